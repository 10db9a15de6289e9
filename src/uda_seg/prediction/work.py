"""Inputs to files: read ahead, asked in batches, drawn and written behind."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from uda_seg.data.files.reading import read_rgb
from uda_seg.errors import CheckError, DataError
from uda_seg.images import pictures
from uda_seg.prediction.ahead import ahead
from uda_seg.prediction.inputs import Input
from uda_seg.prediction.look import Look
from uda_seg.prediction.movie import Clip, Movie
from uda_seg.prediction.predictor import Answer, Frame, Predictor, answer_frames
from uda_seg.prediction.store import OutputError, Store, writing
from uda_seg.runs.bars import Bars

log = logging.getLogger(__name__)

Answered = tuple[Frame, list[Answer]]
Told = Callable[[int], None]
"""Called with the number of frames that are done, or given up."""


@dataclass
class Work:
    """How inputs are predicted.

    Attributes:
        predictors: the checkpoint's, and that of the one it is compared with.
        look: what is drawn.
        store: where it goes.
        batch_size: frames a network is asked at once.
        threads: that read pictures, and as many that draw and write them; 0: none.
        codec: of videos.
        quality: of videos.
    """

    predictors: Sequence[Predictor]
    look: Look
    store: Store
    batch_size: int
    threads: int
    codec: str
    quality: int

    def predict(self, inputs: Sequence[Input], every: int) -> list[DataError]:
        """Predicts all, with a bar; returns what is wrong with those that cannot be read.

        Args:
            inputs: pictures, and videos one by one.
            every: of videos, each n-th frame.

        Raises:
            OutputError: a file cannot be written.
        """
        stills = [one for one in inputs if not one.is_video]
        problems: list[DataError] = []
        start = time.monotonic()
        with Bars("bar", "count", "words", "left") as bars:
            if stills:
                count = bars.counter("pictures", len(stills), "images/s")
                problems += self.pictures(stills, count)
            unreadable = len(problems)
            for one in inputs:
                if one.is_video:
                    try:
                        clip = Clip(one.path, every)
                        self.video(one, clip, bars.counter(one.path.name, len(clip), "images/s"))
                    except OutputError:
                        raise
                    except DataError as error:
                        problems.append(error)
        frames = int(sum(task.completed for task in bars.tasks)) - unreadable
        seconds, good = time.monotonic() - start, len(inputs) - len(problems)
        log.info(
            "%d of %d inputs predicted, %d images in %.1f s: %.1f images a second",
            good, len(inputs), frames, seconds, frames / seconds,
        )  # fmt: skip
        return problems

    def pictures(self, items: Sequence[Input], told: Told) -> list[DataError]:
        """Predicts pictures; returns what is wrong with those that cannot be read."""
        problems: list[DataError] = []

        def read(place: int) -> Frame | DataError:
            try:
                return self._frame(place, read_rgb(items[place].path, upright=True))
            except DataError as error:
                return error

        def good(found: Iterable[Frame | DataError]) -> Iterator[Frame]:
            for one in found:
                if isinstance(one, DataError):
                    problems.append(one)
                    told(1)
                else:
                    yield one

        def write(one: Answered) -> Input:
            frame, answers = one
            item = items[frame.place]
            for kind, picture in self.look.draw(frame.image, answers, "picture").items():
                path = self.store.path(kind, item)
                with writing(path):
                    pictures.save(path, picture)
            return item

        frames = good(ahead(read, range(len(items)), self.threads, self._most))
        with closing(ahead(write, self._answer(frames), self.threads, self._most)) as written:
            for item in written:
                self.store.finish(item, self.look.kinds)
                told(1)
        return problems

    def video(self, item: Input, clip: Clip, told: Told) -> None:
        """Predicts a video: a file a kind, all there or none.

        Raises:
            DataError: it cannot be read to its end.
            OutputError: it cannot be written.
        """
        one_thread = min(self.threads, 1)  # frames come, and go, one after the other

        with ExitStack() as stack:
            movies = {
                kind: stack.enter_context(
                    Movie(
                        self.store.path(kind, item),
                        clip,
                        "ffv1" if kind == "ids" else self.codec,
                        self.quality,
                    )
                )
                for kind in self.look.kinds
            }

            def read(place: int) -> Frame:
                return self._frame(place, clip.frame(place))

            def write(one: Answered) -> None:
                frame, answers = one
                for kind, picture in self.look.draw(frame.image, answers, "video").items():
                    movies[kind].add(frame.place, picture)

            frames = ahead(read, range(len(clip)), one_thread, self._most)
            written = ahead(write, self._answer(frames), one_thread, self._most)
            stack.enter_context(closing(written))  # before the files, whatever happens
            for _ in written:
                told(1)
        self.store.finish(item, self.look.kinds)

    def _frame(self, place: int, image: np.ndarray) -> Frame:
        return Frame(place, image, [predictor.prepare(image) for predictor in self.predictors])

    def _answer(self, frames: Iterable[Frame]) -> Iterator[Answered]:
        return answer_frames(frames, self.predictors, self.batch_size, "entropy" in self.look.kinds)

    @property
    def _most(self) -> int:
        """Frames in memory before the network, and as many behind it."""
        return 2 * self.batch_size + self.threads


def raise_problems(problems: Sequence[DataError], count: int) -> None:
    """
    Raises:
        CheckError: some of `count` inputs could not be read; each is logged.
        DataError: the only one could not.
    """
    if problems and count == 1:
        raise problems[0]
    for problem in problems:
        log.error("%s", problem)
    if problems:
        raise CheckError(
            f"{len(problems)} of {count} inputs cannot be read, listed above; all others are "
            "predicted. Mend or remove them, and call this again"
        )
