"""stdout and stderr that never end a command, whatever they cannot show and whoever hangs up.

A training must not die of an arrow in a log, nor of `| head`, a closed terminal or a full disk
behind `> log.txt`.
"""

import codecs
import contextlib
import errno
import io
import os
import sys
from typing import Any

PLAIN = {
    "→": "->", "←": "<-", "–": "-", "—": "-", "−": "-", "…": "...", "±": "+-", "×": "x", "·": ".",
    "λ": "lambda", "†": "+", "‡": "++", "²": "2", "³": "3", "¹": "1", "≥": ">=", "≤": "<=",
    "’": "'", "‘": "'", "“": '"', "”": '"', "█": "#", "━": "-", "─": "-", "═": "=", "│": "|",
    "┃": "|", "║": "|", "╸": "-", "╺": "-", "•": "*", "✓": "v", "Δ": "delta", "µ": "u", "°": " deg",
}  # fmt: skip
"""What stands for a character that an encoding lacks; other lines of boxes become +."""

GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ESHUTDOWN)
"""Nobody reads any more: `| head` has ended, the terminal was closed."""


def plain(error: UnicodeError) -> tuple[str, int]:
    """A handler of codecs: something readable in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(_plain, missing)), error.end


def _plain(sign: str) -> str:
    if sign in PLAIN:
        return PLAIN[sign]
    return "+" if "\u2500" <= sign <= "\u257f" else "?"


codecs.register_error("uda_seg_plain", plain)


class FaultTolerantStream(io.TextIOWrapper):
    """Text that is dropped where it cannot be written."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if error.errno in GONE:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)


def fault_tolerant_output() -> None:
    """Replaces stdout and stderr, where they are still Python's own."""
    for name in ("stdout", "stderr"):
        stream, own = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is own and type(stream) is io.TextIOWrapper:
            made = _fault_tolerant(stream)
            setattr(sys, name, made)
            setattr(sys, f"__{name}__", made)


def _fault_tolerant(stream: io.TextIOWrapper) -> FaultTolerantStream:
    settings: dict[str, Any] = {
        "encoding": stream.encoding,
        "errors": "uda_seg_plain",
        "line_buffering": getattr(stream, "line_buffering", False),
        "write_through": getattr(stream, "write_through", False),
    }
    return FaultTolerantStream(stream.detach(), **settings)
