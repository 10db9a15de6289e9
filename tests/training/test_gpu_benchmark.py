"""benchmarks/gpu.sh, tried out without a GPU: its command lines are such that there are."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from uda_seg.cli.command_line import check

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
import gpu_rows  # noqa: E402

VARIED = [f"{gpu_rows.ROWS[0]} {words}" for words in gpu_rows.VARIANTS.values()]
LINES = [*gpu_rows.ROWS, *gpu_rows.PRESETS, *VARIED]


@pytest.mark.parametrize("words", dict.fromkeys(LINES))
def test_every_row_is_a_command_line_of_train(words: str) -> None:
    check("train", [*shlex.split(words), "data_root=/data"])


@pytest.mark.slow
def test_the_script_runs_on_a_cpu() -> None:
    """Two rows of each of its three calls: one with a published loop, one with a round, an
    adversary and a memory preset.
    """
    pair = "backbone=small source=gta5 target=cityscapes trainer.batch_size=2"
    own = ["method=source_only", "method=rpt method.cluster_count=8 memory=8gb"]
    row = ["--rows", *(f"{words} {pair}" for words in own)]
    small = ["--device", "cpu", "--small", "--steps", "1", "--variants", "published", "bf16-fused"]
    done = subprocess.run(
        ["sh", FOLDER / "gpu.sh", *small, *row],
        env=os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.findall(r"^\| `method=(\w+) .* \| finite \|$", done.stdout, re.M)
    assert found == ["source_only", "source_only", "rpt"] * 3, done.stdout
    assert done.stdout.count("failed") == 0
