"""Videos in and out, frame by frame, whatever their length. With PyAV (FFmpeg's libraries)."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter

from uda_seg.data.datasets.video import Video, timeline_of
from uda_seg.errors import ConfigError, DataError
from uda_seg.prediction.store import OutputError

USUAL_RATE = Fraction(25)
"""Frames a second of files that do not say."""
ENCODERS = (
    "libx264 libopenh264 h264_nvenc h264_videotoolbox h264_qsv h264_vaapi h264_amf mpeg4"
).split()
PRESET = "veryfast"
"""Of libx264: 0.4 of the processor time of its usual one (30 instead of 77 ms a frame of 1280x720)
for files as large within a sixth, at 0.6 dB less (32.6 of 33.2; halved colors cost most of it).
"""
BT709 = 1
"""The number of ITU-R BT.709 among FFmpeg's matrices, primaries and transfer functions."""
LIMITED = 1
"""FFmpeg's number of the range 16 .. 235."""


class Clip:
    """Frames of a video file in their order, upright, with their times.

    Args:
        path: of the file.
        every: frames 0, every, 2 · every, … are taken.

    Attributes:
        times: of the frames taken, in units of `time_base` seconds; the first is 0.
        rate: frames taken a second, on average.
        size: (height, width) of the frames.
        pixel_shape: width of a pixel by its height.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.video = Video(str(path), "all", every)
        timeline = timeline_of(path)
        with reading(path), av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate = _fraction(stream.average_rate) or _fraction(stream.guessed_rate) or USUAL_RATE
            unit = _fraction(stream.time_base)
            lies = (stream.height, stream.width)
            self.pixel_shape = _fraction(stream.sample_aspect_ratio) or Fraction(1)
        self.size = self.frame(0).shape[:2]
        if self.size != lies:  # turned upright
            self.pixel_shape = 1 / self.pixel_shape
        self.time_base = 1 / rate if timeline.counted or unit is None else unit
        self.times = [time - timeline.times[0] for time in timeline.times[::every]]
        self.rate = rate / every

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, place: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Fast when they are asked for in their order, and by one thread."""
        return self.video.read(place, {"image"}).image


class Movie:
    """A video file that is there when it is whole, and not before: to be used in a `with`.

    Args:
        path: of the file; its ending tells the container.
        clip: whose times and shape of pixels it has.
        codec: an encoder of PyAV's FFmpeg, or "ffv1": exact bytes, for ids.
        quality: of libx264: 0 loses nothing but color resolution, 51 is the worst.
    """

    def __init__(self, path: Path, clip: Clip, codec: str, quality: int) -> None:
        self.path, self.clip, self.codec, self.quality = path, clip, codec, quality
        self.unfinished = path.with_name(path.name + ".part")
        self.container: Any = None
        self.stream: Any = None
        self.reformatter = VideoReformatter()

    def __enter__(self) -> "Movie":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.container is None:
            return
        try:
            with self._explain():
                if error is None:
                    self.container.mux(self.stream.encode())
                self.container.close()
                if error is None:
                    self.unfinished.replace(self.path)
        except OutputError:
            if error is None:  # else the first one is the one to be told
                raise
        finally:
            self.unfinished.unlink(missing_ok=True)

    def add(self, place: int, picture: np.ndarray) -> None:
        """The frame at a place of the clip: (H, W, 3) uint8 RGB, or (H, W) uint8 ids."""
        with self._explain():
            if self.container is None:
                self._open(picture)
            frame = self._frame(picture)
            frame.pts, frame.time_base = self.clip.times[place], self.clip.time_base
            self.container.mux(self.stream.encode(frame))

    def _open(self, picture: np.ndarray) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        matroska = self.path.suffix == ".mkv"
        options = {} if matroska else {"movflags": "+faststart"}  # plays while it is fetched
        name = "matroska" if matroska else "mp4"
        self.container = av.open(str(self.unfinished), "w", format=name, options=options)
        own = {"crf": str(self.quality), "preset": PRESET} if self.codec == "libx264" else {}
        self.stream = self.container.add_stream(self.codec, self.clip.rate, options=own)
        height, width = picture.shape[:2]
        context = self.stream.codec_context
        context.time_base = self.clip.time_base
        context.sample_aspect_ratio = self.clip.pixel_shape
        if picture.ndim == 2:
            context.width, context.height, context.pix_fmt = width, height, "gray"
            return
        context.width, context.height, context.pix_fmt = _even(width), _even(height), "yuv420p"
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED

    def _frame(self, picture: np.ndarray) -> av.VideoFrame:
        if picture.ndim == 2:
            return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
        height, width = picture.shape[:2]
        odd = ((0, height % 2), (0, width % 2), (0, 0))
        if height % 2 or width % 2:  # two pixels share a color, so their number is even
            picture = np.pad(picture, odd, mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        return self.reformatter.reformat(frame, format="yuv420p", dst_colorspace=BT709)

    @contextmanager
    def _explain(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{self.path}: cannot be written with codec={self.codec} ({reason})"
            ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{path}: the file cannot be decoded ({reason})") from error


def check_codec(name: str) -> None:
    """
    Raises:
        ConfigError: the installed PyAV has no such encoder.
    """
    if _encodes(name):
        return
    there = [encoder for encoder in ENCODERS if _encodes(encoder)]
    raise ConfigError(
        f"codec={name}: this PyAV ({av.__version__}) has no such video encoder; it has "
        f"{', '.join(there) or 'none that would do'}. PyAV's own wheels have libx264: "
        "pip install --force-reinstall av"
    )


def _encodes(name: str) -> bool:
    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:  # what PyAV raises is one
        return False


def _even(length: int) -> int:
    return length + length % 2


def _fraction(value: Any) -> Fraction | None:
    """Unset is None, or 0 in newer versions."""
    return Fraction(value.numerator, value.denominator) if value else None
