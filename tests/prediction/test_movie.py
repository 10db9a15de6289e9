"""Videos in and out: times, sizes, exact ids, and nothing half-written."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tiny_run import frames_of, picture, write_clip

from uda_seg.errors import ConfigError
from uda_seg.prediction.movie import Clip, Movie, check_codec
from uda_seg.prediction.store import OutputError

UNEVEN = [3, 4, 6, 7, 20, 21, 22]


def copy(clip: Clip, path: Path, codec: str = "libx264", quality: int = 5) -> Path:
    with Movie(path, clip, codec, quality) as movie:
        for place in range(len(clip)):
            movie.add(place, clip.frame(place))
    return path


@pytest.mark.parametrize(
    ("unit", "step"), [(Fraction(1, 25), 1), (Fraction(1001, 30000), 1), (Fraction(1, 90000), 3333)]
)
def test_frames_keep_their_times_and_their_pixels(
    tmp_path: Path, unit: Fraction, step: int
) -> None:
    times = [step * time for time in UNEVEN]
    clip = Clip(write_clip(tmp_path / "in.mp4", times, unit), every=1)
    found = frames_of(copy(clip, tmp_path / "out.mp4"))
    assert [time for time, _ in found] == [(time - times[0]) * unit for time in times]
    for number, (_, image) in enumerate(found):
        inner = (slice(2, 6), slice(2, 6))  # of a block: colors are shared by neighbors
        difference = image[inner].astype(int) - picture(number)[inner].astype(int)
        assert abs(difference).max() < 12, number


def test_every_second_frame_stays_where_it_was(tmp_path: Path) -> None:
    clip = Clip(write_clip(tmp_path / "in.mp4", list(range(9))), every=4)
    assert len(clip) == 3
    found = frames_of(copy(clip, tmp_path / "out.mp4"))
    assert [time for time, _ in found] == [Fraction(n, 25) for n in (0, 4, 8)]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(25, 4)


def test_sizes_are_made_even_and_ids_are_exact(tmp_path: Path) -> None:
    clip = Clip(write_clip(tmp_path / "in.mp4", [0, 1, 2], size=(47, 63)), every=1)
    assert clip.size == (47, 63)
    for _, image in frames_of(copy(clip, tmp_path / "out.mp4")):
        assert image.shape == (48, 64, 3)
    ids = np.random.default_rng(0).integers(0, 256, (3, 47, 63)).astype(np.uint8)
    with Movie(tmp_path / "ids.mkv", clip, "ffv1", 20) as movie:
        for place in range(3):
            movie.add(place, ids[place])
    np.testing.assert_array_equal([image for _, image in frames_of(tmp_path / "ids.mkv")], ids)


def test_pixels_keep_their_shape(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
        context.sample_aspect_ratio = Fraction(4, 3)
        if hasattr(stream, "set_display_rotation"):
            stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        container.mux(stream.encode())
    turned = hasattr(av.VideoStream, "set_display_rotation")
    clip = Clip(path, 1)
    assert clip.size == ((64, 48) if turned else (48, 64))
    with av.open(str(copy(clip, tmp_path / "out.mp4"))) as container:
        shape = container.streams.video[0].sample_aspect_ratio
    assert (shape.numerator, shape.denominator) == ((3, 4) if turned else (4, 3))


def test_a_stop_leaves_what_was_there_before(tmp_path: Path) -> None:
    clip = Clip(write_clip(tmp_path / "in.mp4", [0, 1, 2]), every=1)
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "a.mp4"
    path.write_text("before")
    with suppress(KeyboardInterrupt), Movie(path, clip, "mpeg4", 20) as movie:
        movie.add(0, clip.frame(0))  # which this encoder writes at once
        movie.add(1, clip.frame(1))
        assert (tmp_path / "out" / "a.mp4.part").exists()
        raise KeyboardInterrupt
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]
    assert path.read_text() == "before"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    clip = Clip(write_clip(tmp_path / "in.mp4", [0, 1]), every=1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        OutputError, match=r"a\.mp4: cannot be written with codec=libx264 \(File ex"
    ):
        copy(clip, tmp_path / "file" / "a.mp4")
    with pytest.raises(OutputError, match=r"cannot be written with codec=h262"):
        copy(clip, tmp_path / "a.mp4", codec="h262")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "in.mp4"]


def test_an_absent_encoder_is_told_with_those_that_are_there() -> None:
    check_codec("libx264")
    for name in ("libx265000", "aac"):
        with pytest.raises(ConfigError, match=rf"codec={name}: .*it has libx264, .*pip install"):
            check_codec(name)
