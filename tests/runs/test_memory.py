"""Freed memory stays with the process."""

import os
import resource
import sys

import pytest
import torch

from uda_seg.runs.memory import keep_freed_memory


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
