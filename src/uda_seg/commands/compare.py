"""Run a table's rows for every seed, without published numbers; print one table, write one page."""

from pathlib import Path
from typing import Any

from uda_seg.commands import table


def run(config: dict[str, Any], folder: Path) -> None:
    """As `table` does; what papers say, and rows that cannot be run, are left out.

    Raises:
        RunError: some runs failed; the table is written all the same.
    """
    table.run(config, folder, "compare")
