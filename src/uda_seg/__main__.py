"""`python -m uda_seg [VERB] key=value …`; the verb is train when it is left out."""

import atexit
import os
import sys
from contextlib import suppress

from uda_seg.cli.main import main


def program() -> None:
    """The console script `uda-seg`: `main`, in a process that ends with it.

    Threads are waited for, and what `atexit` was told is done, as always. Then Python would take a
    million objects of torch and others apart, for a second of the processor's time and to no end:
    the system takes their memory as it is.
    """
    codes: list[int] = []
    atexit.register(_leave, codes)  # before the others, and so called after them
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):  # else Python says what it is
            codes.append(end.code or 0)
        raise


def _leave(codes: list[int]) -> None:
    if not codes:  # an error that Python itself tells of
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody listens any longer
            stream.flush()
    os._exit(codes[0])


if __name__ == "__main__":
    program()
