"""A user's own masks: colors, instances, wide ids, and images that EXIF says to turn."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from test_folder import folder, write

from uda_seg.data.checking.examination import examine
from uda_seg.data.checking.first_look import first_look
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.writing import save_ids, save_image
from uda_seg.errors import DataError


def test_several_colors_are_one_class(tmp_path: Path) -> None:
    """As in A2D2, where every car of a picture may have a color of its own."""
    write(tmp_path, "a.jpg", "a.png")
    paint = np.uint8([[255, 0, 0], [0, 0, 0], [200, 0, 0], [9, 9, 9]])[None].repeat(2, 0)
    save_image(tmp_path / "masks/train/a.png", paint.repeat(2, 1))
    colors = {"car": [[255, 0, 0], [200, 0, 0]], "road": [0, 0, 0]}
    painted = {"classes": {}, "void_colors": {"nothing": [[8, 8, 8], [9, 9, 9]]}}
    dataset = folder(tmp_path, colors=colors, **painted)
    assert (dataset.classes, dataset.void) == ({0: "car", 1: "road"}, {2: "nothing"})
    label = dataset.read(0, {"label"}).label
    assert label is not None
    assert label[0].tolist() == [0, 0, 1, 1, 0, 0, 2, 2]
    other = folder(tmp_path, colors=colors | {"car": [[255, 0, 0], [200, 0, 1]]}, **painted)
    assert other.identity(0) != dataset.identity(0)


def test_masks_of_instances_are_divided(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "a.png")
    ids = np.array([[0, 1, 2003, 65535]], np.uint16).repeat(2, 0).repeat(2, 1)
    save_ids(tmp_path / "masks/train/a.png", ids)
    void = {65: "void", 65535: "no data"}
    found = {}
    for divide_all in (False, True):
        dataset = folder(tmp_path, divide=1000, divide_all=divide_all, void=void)
        sample = dataset.read(0, {"label"})
        assert sample.label is not None
        found[divide_all] = sample.label[0, ::2].tolist()
        LabelMapper(LabelSpace(("road",)), dataset)(sample.label, "a")
    assert found == {False: [0, 1, 2, 65], True: [0, 0, 2, 65]}
    plain = folder(tmp_path, void={65535: "no data"})
    sample = plain.read(0, {"label"})
    assert sample.label is not None
    with pytest.raises(DataError, match=r"holds ids 2003, for .* set divide: 1000"):
        LabelMapper(LabelSpace(("road",)), plain)(sample.label, "a")
    assert plain.identity(0) != dataset.identity(0)


def test_ids_that_do_not_count_may_be_any_whole_numbers(tmp_path: Path) -> None:
    """Programs of geography write -9999 where there is nothing."""
    write(tmp_path, "a.jpg", "a.tif")
    mask = np.array([[0, 1, -9999, 2]], np.float32).repeat(2, 0).repeat(2, 1)
    (tmp_path / "masks/train/a.tif").write_bytes(cv2.imencode(".tif", mask)[1].tobytes())
    dataset = folder(tmp_path, label_name="{stem}.tif", void={"-9999": "nothing"})
    label = dataset.read(0, {"label"}).label
    assert label is not None
    encoded = LabelMapper(LabelSpace(("road", "sidewalk")), dataset)(label, "a")
    assert encoded[0].tolist() == [0, 0, 1, 1, 255, 255, 255, 255]


@pytest.mark.parametrize("orientation", [3, 6])
def test_turned_images_are_read_as_their_masks_lie(
    tmp_path: Path, orientation: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A phone stores what the sensor saw; who labels sees it upright."""
    write(tmp_path, "a.jpg", "a.png")
    exif = Image.Exif()
    exif[274] = orientation
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:8] = 200
    Image.fromarray(picture).save(tmp_path / "images/train/a.jpg", exif=exif, quality=100)
    upright = {3: picture[::-1], 6: picture.swapaxes(0, 1)[:, ::-1]}[orientation]
    save_ids(tmp_path / "masks/train/a.png", np.uint8(upright[..., 0] > 100))
    dataset = folder(tmp_path, upright=True)
    sample = dataset.read(0, {"label"})
    assert sample.label is not None
    assert np.abs(sample.image.astype(int) - 200 * sample.label[..., None]).max() < 8
    assert folder(tmp_path).identity(0) != dataset.identity(0)
    encode = LabelMapper(LabelSpace(("road", "sidewalk")), dataset)
    first_look(dataset, {"image", "label"}, encode, BadImages(False, None), "target")
    assert examine(dataset, 0, {"label"}).notes == ()
    assert not caplog.records
    plain = folder(tmp_path)
    if orientation == 6:
        with pytest.raises(DataError, match="is 16x32 pixels, .* EXIF .* set upright: true"):
            plain.read(0, {"label"})
    else:
        first_look(plain, {"image", "label"}, encode, BadImages(False, None), "target")
        assert examine(plain, 0, {"label"}).notes == ("turned",)
        assert examine(MergedDataset({"a": plain}, None), 0, {"label"}).notes == ("turned",)
        assert "images that EXIF says to turn, which are read as stored" in caplog.text
        assert "images/train/a.jpg" in caplog.text


def test_a_mask_that_lies_as_stored_needs_no_turning(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "a.png")
    exif = Image.Exif()
    exif[274] = 8
    Image.new("RGB", (8, 2)).save(tmp_path / "images/train/a.jpg", exif=exif)
    assert folder(tmp_path).read(0, {"label"}).image.shape == (2, 8, 3)
    with pytest.raises(DataError, match=r"is 2x8|is 8x2 pixels, .* set upright: false"):
        folder(tmp_path, upright=True).read(0, {"label"})
