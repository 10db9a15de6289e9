"""How this process handles the memory that training frees and asks for again at every step."""

import ctypes
import functools
import gc
import os
import platform
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's `mallopt` (malloc.h)."""
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""A variable of torch (c10/core/impl/alloc_cpu.cpp)."""
LARGEST = 32 * 2**20
"""Bytes that an allocation may have to come from the heap: the most that glibc takes."""


def ask_for_large_pages() -> None:
    """Before torch is imported, which looks once: large maps then lie in pages of 2 MB, where the
    system offers them, and are cleared in half the time.
    """
    os.environ.setdefault(LARGE_PAGES, "1")


def keep_freed_memory() -> bool:
    """Lets glibc keep what is freed, rather than give it back to the system.

    Given back, every page is cleared and mapped anew when the next step asks for it: a fifth of the
    processor's time of a small network's run on a CPU. What a process holds at most stays the same.
    What is larger than `LARGEST` is given back all the same.

    Returns:
        Whether it was done: not where there is no glibc (macOS, Windows, musl), nor where the
        environment says something about it.
    """
    told = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if told or sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))


@functools.cache  # a sweep's later jobs find objects that are to go
def leave_out_what_is_imported() -> None:
    """Keeps Python's collector of garbage from what is there by now: a million objects of modules,
    which stay. Going through them again and again took a sixth of a short run's time.
    """
    gc.freeze()
