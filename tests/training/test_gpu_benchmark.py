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
import gpu_steps  # noqa: E402


@pytest.mark.parametrize("words", gpu_steps.ROWS)
def test_every_row_is_a_command_line_of_train(words: str) -> None:
    check("train", [*shlex.split(words), "data_root=/data"])


@pytest.mark.parametrize("words", gpu_steps.VARIANTS.values(), ids=gpu_steps.VARIANTS)
def test_every_variant_is_one(words: str) -> None:
    check("train", [*shlex.split(gpu_steps.ROWS[0]), *shlex.split(words), "data_root=/data"])


@pytest.mark.slow
def test_the_script_runs_on_a_cpu() -> None:
    """One row of each of its two calls, at 64x128 pixels."""
    row = ["--rows", "method=source_only backbone=small source=gta5 target=cityscapes"]
    small = ["--device", "cpu", "--small", "--steps", "1", "--variants", "published", "bf16-fused"]
    done = subprocess.run(
        ["sh", FOLDER / "gpu.sh", *small, *row],
        env=os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = re.findall(r"^\| `method=source_only.*\| (\S+) \| .* \| finite \|$", done.stdout, re.M)
    assert len(rows) == 4, done.stdout
    assert done.stdout.count("failed") == 0
