"""Freed memory stays with the process."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from uda_seg.runs.memory import LARGE_PAGES, keep_freed_memory


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_what_is_freed_is_found_again_without_a_page_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    assert not keep_freed_memory()  # the user has decided
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_TUNABLES"))]:
        monkeypatch.delenv(name)
    assert keep_freed_memory()

    def step() -> None:
        maps = [torch.ones(5 * 2**18) for _ in range(20)]  # 5 MB each, as of the small network
        del maps

    for _ in range(5):  # until the blocks have found their places among what is there
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2500  # of 25600 pages


LARGE = """
import resource
from uda_seg.runs.memory import ask_for_large_pages
ask_for_large_pages()
import torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(40 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_large_maps_lie_in_large_pages() -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("the system has no large pages")
    faults = []
    for asked in ("1", "0"):
        run = subprocess.run(
            [sys.executable, "-c", LARGE],
            env={"PATH": os.environ["PATH"]} | ({} if asked == "1" else {LARGE_PAGES: asked}),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        faults.append(int(run.stdout))
    assert faults[0] < faults[1] / 4  # of 40960 pages of 4 KB
