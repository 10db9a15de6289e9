"""What stdout and stderr do with characters they lack, and with nobody at the other end."""

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from uda_seg.cli import output

SIGNS = "seed → λ 1e-3 ± 2 … × † │ ╭ é"


def written(encoding: str) -> tuple[output.FaultTolerantStream, io.BytesIO]:
    raw = io.BytesIO()
    return output.FaultTolerantStream(raw, encoding=encoding, errors="uda_seg_plain"), raw


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "seed -> lambda 1e-3 +- 2 ... x + | + ?"),
        ("cp1252", "seed -> lambda 1e-3 ± 2 … × † | + é"),
        ("utf-8", SIGNS),
    ],
)
def test_characters_that_an_encoding_lacks_are_written_plainly(encoding: str, shown: str) -> None:
    stream, raw = written(encoding)
    stream.write(SIGNS)
    stream.flush()
    assert raw.getvalue().decode(encoding) == shown


def test_a_name_of_bytes_and_a_table_can_be_printed() -> None:
    for encoding in ("ascii", "latin-1", "utf-8"):
        stream, raw = written(encoding)
        stream.write("b\udcfccher")  # what Python makes of a file's name it cannot decode
        table = Table("λ → ±")
        table.add_row("…")
        Console(file=stream).print(table)
        stream.flush()
        assert raw.getvalue().startswith(b"b?cher")


def test_a_reader_that_hangs_up_ends_nothing() -> None:
    """As `| head -1` does."""
    here, there = os.pipe()
    os.close(here)
    stream = output.FaultTolerantStream(open(there, "wb", buffering=0), encoding="utf-8")  # noqa: SIM115
    for _ in range(3):
        stream.write("step\n")
        stream.flush()
    stream.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_a_redirection_ends_nothing() -> None:
    stream = output.FaultTolerantStream(open("/dev/full", "wb", buffering=0), encoding="utf-8")  # noqa: SIM115
    stream.write("step\n" * 10_000)
    stream.flush()
    with suppress(OSError):
        stream.close()


def test_the_command_itself_does_so() -> None:
    """Without torch: the overview of all commands."""
    command = f"{sys.executable} -m uda_seg --help"
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": "1"}
    shown = subprocess.run(command.split(), capture_output=True, env=environment)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"python -m uda_seg" in shown.stdout
    shown = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -1"], capture_output=True
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
