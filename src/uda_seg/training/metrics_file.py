"""metrics.csv: one row a step, continued by a resumed run."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from uda_seg.runs import files


class MetricsFile(Logger):
    """Lightning's CSVLogger would delete the metrics of the run that is resumed."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder, "metrics.csv")
        self.columns = ["step"]
        self.rows: list[dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run folder's config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds to the step's row, or begins it."""
        row: dict[str, Any] = {k: v for k, v in metrics.items() if k != "epoch"}
        row["step"] = step = step or 0
        first = self.rows is None
        if self.rows is None:
            self.rows = self._earlier_rows(before=step)
        new = [name for name in row if name not in self.columns]
        self.columns += new
        same = bool(self.rows) and self.rows[-1]["step"] == step
        if same:
            self.rows[-1].update(row)
        else:
            self.rows.append(row)
        if same or first or new:
            self._write()
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def _earlier_rows(self, before: int) -> list[dict[str, Any]]:
        """An earlier start's rows; steps behind the checkpoint it resumes from come again."""
        if not self.path.is_file():
            return []
        # What a power failure leaves of a row that was being written is no row.
        lines = self.path.read_bytes().replace(b"\0", b"").decode(errors="replace").splitlines(True)
        reader = csv.DictReader(line for line in lines if line.endswith("\n"))
        self.columns = list(reader.fieldnames or self.columns)
        rows: list[dict[str, Any]] = []
        for row in reader:
            if str(row.get("step", "")).isdecimal() and None not in row.values():
                rows.append(dict(row, step=int(row["step"])))
        return [row for row in rows if row["step"] < before]

    def _write(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(self.rows or [])
        files.write_text(self.path, text.getvalue())
