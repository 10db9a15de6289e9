"""What happens to training samples that cannot be read."""

import logging
from pathlib import Path

from uda_seg.errors import DataError

log = logging.getLogger(__name__)


class BadImages:
    """What happens to training samples that cannot be read.

    Args:
        skip: take the next sample of the stream instead, rather than stop the run.
        record: folder with a list of each domain's, to which each adds a line, from whichever
            process reads it. None: these samples are scored.
    """

    def __init__(self, skip: bool, record: Path | None) -> None:
        self.skip, self.record = skip, record

    def cure(self, side: str) -> str:
        """What a user may do about samples of a "source" or "target" that are not whole."""
        by_name = f"{side}.leave_out=FILE (data check writes such a file)"
        if self.record is None:
            cure = "validation samples are never skipped; fix them, or leave them out by name: "
            return cure + by_name
        return f"fix them, skip them: on_bad_image=skip, or leave them out by name: {by_name}"

    def met(self, error: DataError, side: str, name: str) -> None:
        """Raises the error, or notes the sample down, as `leave_out` reads it."""
        if not self.skip:
            raise error
        log.warning("skipped: %s", error)
        if self.record is not None:
            with open(self.record / f"bad_images_{side}.txt", "a", encoding="utf-8") as file:
                # One write: processes do not mix.
                file.write(f"{name}\t{' '.join(str(error).split())}\n")

    def skipped(self) -> list[str]:
        """What was skipped so far in this run, each sample once."""
        lists = [] if self.record is None else sorted(self.record.glob("bad_images_*.txt"))
        texts = [path.read_text(encoding="utf-8") for path in lists]
        return sorted({line for text in texts for line in text.splitlines()})
