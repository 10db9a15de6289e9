"""Pictures and frames without labels: turned upright, in order, and whole."""

import logging
import pickle
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from test_real import there
from torch.utils.data import DataLoader

from uda_seg.data.datasets.image_folder import Images
from uda_seg.data.datasets.leaving_out import leave_out
from uda_seg.data.datasets.video import Video
from uda_seg.errors import DataError

COUNT, STEP = 30, 8


def write_video(path: Path, codec: str = "libx264", count: int = COUNT, turned: int = 0) -> Path:
    """Frame i is grey, STEP · i + 8, but for a white upper left corner; key frames every 8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = 8, 4_000_000
        if codec == "mpeg4":
            stream.codec_context.options = {"bf": "2"}
        if turned:
            stream.set_display_rotation(turned)
        for number in range(count):
            picture = np.full((48, 64, 3), number * STEP + 8, np.uint8)
            picture[:16, :16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def number_of(image: np.ndarray) -> int:
    return round((float(np.median(image)) - 8) / STEP)


def numbers(dataset: Video, order: list[int]) -> list[int]:
    return [number_of(dataset.read(index, {"image"}).image) for index in order]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),  # frames out of order in the file
        ("b.mp4", "mpeg4"),
        ("c.mkv", "libx264"),
        ("d.ts", "libx264"),  # seeking goes to a later key frame
        ("e.avi", "libx264"),  # the file's times are wrong
        ("f.avi", "mpeg4"),
        ("g.mpg", "mpeg2video"),
        ("h.h264", "libx264"),  # no times
    ],
)
def test_frames_are_the_right_ones_in_any_order(tmp_path: Path, name: str, codec: str) -> None:
    dataset = Video(str(write_video(tmp_path / name, codec)), "all", every=1)
    assert len(dataset) == COUNT
    order = np.random.default_rng(0).permutation(COUNT).tolist()
    assert numbers(dataset, order) == order
    assert numbers(dataset, [5, 5, 6, 4]) == [5, 5, 6, 4]
    assert numbers(dataset, list(range(COUNT))) == list(range(COUNT))


def test_every_nth_frame_of_every_file_is_taken(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", count=21)
    write_video(tmp_path / "Straße 道路/b.MKV", count=5)
    (tmp_path / "notes.txt").write_text("no video")
    dataset = Video(str(tmp_path), "all", every=10)
    assert not dataset.has_labels
    names = [dataset.name(index) for index in range(len(dataset))]
    left = Video(str(tmp_path), "all", every=10)
    leave_out(left, {"a.mp4/000010": "", "straße 道路/b.mkv": ""}, "video")
    assert [left.name(index) for index in range(len(left))] == ["a.mp4/000000", "a.mp4/000020"]
    assert sorted(names) == [
        "Straße 道路/b.MKV/000000", "a.mp4/000000", "a.mp4/000010", "a.mp4/000020",
    ]  # fmt: skip
    expected = [int(name.rpartition("/")[2]) for name in names]
    assert numbers(dataset, [0, 1, 2, 3]) == expected


def test_only_slow_files_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Video(str(write_video(tmp_path / "a.mp4")), "all", 1)
        assert not caplog.records
        Video(str(write_video(tmp_path / "a.h264")), "all", 1)
        assert "counts its frames" in caplog.text


def test_forked_workers_have_decoders_of_their_own(tmp_path: Path) -> None:
    dataset = Video(str(write_video(tmp_path / "a.mp4")), "all", every=1)
    assert numbers(dataset, [3]) == [3]  # open here, at the time of the fork
    images = Frames(dataset)
    loader = DataLoader(images, num_workers=2, multiprocessing_context="fork")
    assert [int(number) for number in loader] == list(range(COUNT))
    assert numbers(dataset, [4, 20]) == [4, 20]
    assert numbers(pickle.loads(pickle.dumps(dataset)), [7]) == [7]


class Frames:
    def __init__(self, dataset: Video) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> int:
        return number_of(self.dataset.read(index, {"image"}).image)


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_a_video_is_turned_as_it_says(tmp_path: Path, turned: int) -> None:
    if not hasattr(av.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write such a file")
    path = write_video(tmp_path / "a.mp4", turned=turned)
    image = Video(str(path), "all", 1).read(0, {"image"}).image
    corners = np.full((48, 64), 8)
    corners[:16, :16] = 255
    # Turned counter-clockwise, as the display matrix has it.
    np.testing.assert_allclose(image[..., 0], np.rot90(corners, turned // 90), atol=40)


def test_identity_follows_the_file_and_the_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    dataset = Video(str(path), "all", 10)
    before = [dataset.identity(index) for index in range(3)]
    assert len(set(before)) == 3
    assert Video(str(path), "all", 20).identity(1) == before[2]
    with open(path, "ab") as file:
        file.write(b"\0")
    assert dataset.identity(0) != before[0]


def test_a_file_that_is_no_whole_video_is_named(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "broken.mp4"
    for content in (b"just text", b"", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"broken\.mp4: the file cannot be decoded .*; copy"):
            Video(str(path), "all", 10)


def test_a_video_that_was_cut_off_is_found_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    with av.open(str(write_video(tmp_path / "whole.mp4"))) as whole:
        fast = {"movflags": "faststart"}  # the list of frames comes first, and survives
        with av.open(str(path), "w", options=fast) as copy:
            stream = copy.add_stream_from_template(whole.streams.video[0])
            for packet in whole.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    copy.mux(packet)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cut\.mp4: .*copy or download it again"):
        Video(str(path), "all", 10)


def test_a_video_that_ends_early_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.mkv", "mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with caplog.at_level(logging.WARNING):
        Video(str(path), "all", 1)
    assert "a.mkv: has fewer frames than its length says" in caplog.text


def test_damage_within_is_named_with_its_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", "mpeg4")
    code = bytearray(path.read_bytes())
    middle = len(code) // 2
    code[middle : middle + 400] = bytes(400)
    path.write_bytes(code)
    with pytest.raises(DataError, match=r"a\.mkv: "):
        numbers(Video(str(path), "all", 1), list(range(COUNT)))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match=r"song\.mp4: has no pictures in it"):
        Video(str(path), "all", 1)


def test_wrong_roots_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: is not there; set target.root="):
        Video(str(tmp_path / "nowhere"), "all", 1)
    with pytest.raises(DataError, match=r"holds no videos"):
        Video(str(tmp_path), "all", 1)
    with pytest.raises(DataError, match=r"nowhere: is not there; set target.root="):
        Images(str(tmp_path / "nowhere"), "all")
    with pytest.raises(DataError, match=r"holds no pictures, .*target=video"):
        Images(str(tmp_path), "all")


def test_pictures_are_found_in_all_folders_and_stand_upright(tmp_path: Path) -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 10:] = 200
    (tmp_path / "Ferien/.thumbnails").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    Image.fromarray(picture).save(tmp_path / "Ferien/b.jpg", exif=exif, quality=95)
    Image.fromarray(picture).save(tmp_path / "a.PNG")
    Image.fromarray(picture).save(tmp_path / "Ferien/.thumbnails/b.jpg")
    dataset = Images(str(tmp_path), "all")
    assert [dataset.name(index) for index in range(len(dataset))] == ["Ferien/b.jpg", "a.PNG"]
    assert (dataset.has_labels, dict(dataset.classes)) == (False, {})
    turned = dataset.read(0, {"image"}).image
    assert turned.shape == (20, 10, 3)
    assert turned[:8].max() < 20 < 180 < turned[-8:].min()
    assert dataset.read(1, {"image"}).image.shape == (10, 20, 3)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("udacity_solidWhiteRight.mp4", 221, (540, 960, 3)),
        ("udacity_vehicle_test_video.mp4", 38, (720, 1280, 3)),
    ],
)
def test_genuine_clips(name: str, count: int, size: tuple[int, ...]) -> None:
    path = there("video") / name
    dataset = Video(str(path), "all", every=1)
    assert len(dataset) == count
    with av.open(str(path)) as container:
        in_order = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert in_order[0].shape == size
    for index in np.random.default_rng(0).permutation(count)[:15].tolist():
        np.testing.assert_array_equal(dataset.read(index, {"image"}).image, in_order[index])
