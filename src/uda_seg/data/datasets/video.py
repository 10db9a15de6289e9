"""Frames of video files, unlabelled: only to be adapted to. Decoded with PyAV (FFmpeg's libraries).

A file's packets are listed once, without decoding; a frame is then reached by seeking to the key
frame before it and decoding from there. Where times are missing or cannot be trusted (bare streams;
AVI and MPEG-PS with frames out of order), frames are counted from the beginning, which is slow.
"""

import bisect
import hashlib
import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.files.listing import Listing, walk
from uda_seg.errors import DataError

log = logging.getLogger(__name__)

VIDEOS = (
    ".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .ts .mts .m2ts .wmv .flv .3gp .mjpeg .h264 .h265"
).split()
"""Names of video files end so, in small or capital letters."""


@dataclass(frozen=True)
class Timeline:
    """When the frames of a file are shown, in units of its stream.

    Attributes:
        times: of all frames, ascending; or 0, 1, … when they are counted.
        keys: times of those that can be decoded without others, ascending.
        counted: the file's own times do not serve.
    """

    times: tuple[int, ...]
    keys: tuple[int, ...]
    counted: bool


class Video(Dataset):
    """
    Args:
        root: a video file, or a folder that is searched with all folders in it.
        split: "all".
        every: of each file, frames 0, every, 2 · every, … are taken.
    """

    classes = {}
    has_labels = False
    _left_out = 0

    def __init__(self, root: str, split: str, every: int) -> None:
        self.root = Path(root)
        self._listing = _videos(self.root)
        self.paths = self._listing.files
        self.frames = [
            (path, number, time)
            for path in self.paths
            for number, time in list(enumerate(timeline_of(path).times))[::every]
        ]
        self._opened: dict[int, Decoder] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": {}}

    def __len__(self) -> int:
        return len(self.frames)

    def name(self, index: int) -> str:
        path, number, _ = self.frames[index]
        inside = path.name if path == self.root else path.relative_to(self.root)
        return f"{inside}/{number:06}"

    def identity(self, index: int) -> str:
        path, number, _ = self.frames[index]
        stat = path.stat()
        text = f"Video {path.resolve()} {stat.st_size} {stat.st_mtime_ns} {number}"
        return hashlib.sha256(text.encode()).hexdigest()

    def remarks(self) -> Iterator[str]:
        yield from self._listing.remarks()
        if self._left_out:
            yield f"{self._left_out} of {self._left_out + len(self)} samples are left out by name"

    def take(self, indices: Sequence[int]) -> None:
        self._left_out += len(self.frames) - len(indices)
        self.frames = [self.frames[index] for index in indices]

    def real_paths(self) -> list[str]:
        real = {path: os.path.realpath(path) for path in self.paths}
        return [f"{real[path]}/{number:06}" for path, number, _ in self.frames]

    def read(self, index: int, fields: Collection[str]) -> Sample:
        path, number, time = self.frames[index]
        if {"label", "depth"} & set(fields):
            raise DataError(f"{path}: a video has images alone")
        with _explain(path, f"frame {number}"):
            return Sample(image=self._decoder(path).frame(time), name=self.name(index))

    def _decoder(self, path: Path) -> "Decoder":
        """This process's own: a position in a file must not be shared with a forked one.

        A parent's decoder is left untouched in a forked process, not even closed: its threads live
        in the parent.
        """
        decoder = self._opened.get(os.getpid())
        if decoder is None or decoder.path != path:
            decoder = self._opened[os.getpid()] = Decoder(path, timeline_of(path))
        return decoder


class Decoder:
    """One open file, standing behind the frame it gave last."""

    def __init__(self, path: Path, timeline: Timeline) -> None:
        self.path, self.timeline = path, timeline
        self._open()

    def _open(self) -> None:
        self.container: InputContainer = av.open(str(self.path))
        self.stream = self.container.streams.video[0]
        self.stream.codec_context.thread_count = 1  # readers are processes of their own
        self.behind: int | None = None
        self.stored = enumerate(self.container.decode(self.stream))

    def frame(self, time: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, turned as the file says: what is shown first at or after a time."""
        for start in self._starts(time):
            if start is not None:
                self._go_to(start)
            # Containers may go to a later key frame than they were asked for: an exact hit, or a
            # frame before it, shows that this one did not.
            sure = start is None or start <= self.timeline.times[0]
            for number, frame in self.stored:
                shown = number if self.timeline.counted else frame.pts
                if shown is None:
                    continue
                self.behind = shown
                if shown == time or (shown > time and sure):
                    return _upright(frame, self.path)
                if shown > time:
                    break
                sure = True
        raise DataError(f"{self.path}: ends before its last frame; {CURE}")

    def _starts(self, time: int) -> Iterator[int | None]:
        """Where to begin decoding: here (None) when it is not far, at key frames, at the start."""
        keys, first = self.timeline.keys, self.timeline.times[0]
        place = bisect.bisect_right(keys, time)
        if self.behind is not None and keys[place - 1] <= self.behind < time:
            yield None
        yield from dict.fromkeys([*keys[max(place - 2, 0) : place][::-1], first])

    def _go_to(self, time: int) -> None:
        if time <= self.timeline.times[0]:  # a seek may miss the very start: MPEG-TS does
            self.container.close()
            self._open()
        else:
            self.container.seek(time, stream=self.stream)
            self.stored = enumerate(self.container.decode(self.stream))


CURE = "copy or download it again, or move it away (play it to see what is whole)"


def timeline_of(path: Path) -> Timeline:
    """Listed once for as long as the file stays the same.

    Raises:
        DataError: it is missing, no video, cut off, or without frames.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); set target.root=") from error
    return _list_files(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _list_files(path: Path, size: int, changed: int) -> Timeline:
    with _explain(path, "the file"), av.open(str(path)) as container:
        if not container.streams.video:
            raise DataError(f"{path}: has no pictures in it, only other tracks; move it away")
        stream = container.streams.video[0]
        entries = getattr(stream, "index_entries", ())  # since PyAV 17, which needs Python 3.11
        if any(entry.pos + entry.size > size for entry in entries):
            raise DataError(f"{path}: is cut off at {size} bytes; {CURE}")
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        times = [packet.pts for packet in packets if packet.pts is not None]
        keys = sorted(p.pts for p in packets if p.is_keyframe and p.pts is not None)
        reorders = stream.codec_context.has_b_frames and container.format.name in ("avi", "mpeg")
        lasts = (container.duration or 0) / av.time_base - 1
        if times and (max(times) - min(times)) * float(stream.time_base or 0) < 0.9 * lasts:
            log.warning("%s: has fewer frames than its length says; is it cut off?", path)
    if not packets:
        raise DataError(f"{path}: has no frames; {CURE}")
    if len(times) == len(packets) and keys and not reorders:
        # What comes before the first key frame cannot be decoded.
        return Timeline(tuple(sorted({t for t in times if t >= keys[0]})), tuple(keys), False)
    log.warning(
        "%s: has no reliable times, so each read counts its frames from the start; faster: "
        "ffmpeg -i %s -crf 16 %s.mp4", path, path.name, path.stem,
    )  # fmt: skip
    return Timeline(tuple(range(len(packets))), (0,), True)


@contextmanager
def _explain(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise DataError(f"{path}: may not be read; give yourself the right: chmod +r") from error
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{path}: {what} cannot be decoded ({reason}); {CURE}") from error


def _upright(frame: VideoFrame, path: Path) -> np.ndarray:
    if frame.is_corrupt:
        raise DataError(f"{path}: is damaged at {frame.time} s; {CURE}")
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, frame.rotation // 90))


def _videos(root: Path) -> Listing:
    if root.is_file():
        return Listing([root])
    if not root.is_dir():
        raise DataError(f"{root.resolve()}: is not there; set target.root= to a video or a folder")
    listing = walk(root, endings=VIDEOS)
    if not listing.files:
        raise DataError(
            f"{root.resolve()}: holds no videos ({' '.join(VIDEOS)}), nor does any folder in it "
            f"({listing.instead()}); set target.root="
        )
    return listing
