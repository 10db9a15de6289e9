"""Pieces of HTML that parts of a page are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Part:
    """What stands below one heading of a page."""

    title: str
    body: str


def note(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def scroller(inner: str, label: str) -> str:
    """What may be wider than the screen, within reach of a keyboard.

    Args:
        inner: HTML.
        label: what it is, for screen readers.
    """
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{inner}</div>'
    )


def row_head(words: str) -> str:
    """The cell that names a row; a long name is broken."""
    return f'<th scope="row"><span class="row">{escape(words)}</span></th>'


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """A table of plain text; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{escape(words)}</th>' for words in heads)
    body = "".join(
        f"<tr>{row_head(row[0])}"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return scroller(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", label)


def folded(summary: str, inner: str) -> str:
    """HTML that opens when its summary is chosen."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"
