"""What is special to single loaders of real streets, and of two drawn after them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uda_seg.data.datasets.acdc import ACDC
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.bdd100k import BDD100K
from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.classes import CITYSCAPES, IDD_LEVEL_1
from uda_seg.data.datasets.dark_zurich import DarkZurich
from uda_seg.data.datasets.idd import IDD, IDD19, LEVEL_3, LEVEL_3_IDS, NAMES, TRAIN_IDS
from uda_seg.data.datasets.idd_lite import IDDLite
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.datasets.synscapes import Synscapes
from uda_seg.data.datasets.urbansyn import UrbanSyn
from uda_seg.data.datasets.writing import save_channels, save_ids, save_image
from uda_seg.errors import DataError


def put(path: Path, ids: Sequence[int] | None = None) -> Path:
    """An image of 8x4 pixels, or a label whose columns have these ids."""
    if ids is None:
        save_image(path, np.full((4, 8, 3), 100, np.uint8))
    else:
        save_ids(path, np.tile(np.array(ids, np.uint8), (4, 8 // len(ids))))
    return path


def top_row(dataset: Dataset, index: int = 0) -> list[int]:
    label = dataset.read(index, {"label"}).label
    assert label is not None
    return label[0].tolist()


def listed(dataset: Any) -> list[str]:
    return [dataset.name(index) for index in range(len(dataset))]


@pytest.mark.parametrize("split", ["test", "train_extra"])
def test_cityscapes_without_annotations_is_pictures_alone(tmp_path: Path, split: str) -> None:
    folder = tmp_path / "leftImg8bit" / split / "ulm"
    for name in ("ulm_000000_000019", "troisdorf_000000_000073"):
        put(folder / f"{name}_leftImg8bit.png")
    dataset = Cityscapes(str(tmp_path), split)
    assert listed(dataset) == [f"leftImg8bit/{split}/ulm/ulm_000000_000019_leftImg8bit.png"]
    assert not dataset.has_labels


def test_cityscapes_with_train_ids_only_says_which_files_it_wants(tmp_path: Path) -> None:
    put(tmp_path / "leftImg8bit/val/ulm/ulm_0_1_leftImg8bit.png")
    put(tmp_path / "gtFine/val/ulm/ulm_0_1_gtFine_labelTrainIds.png", [0])
    dataset = Cityscapes(str(tmp_path), "val")
    with pytest.raises(DataError, match=r"only .*labelTrainIds.png lies in .*unpack the \*_labelI"):
        dataset.read(0, {"label"})
    assert dataset.read(0, {"image"}).label is None


def test_idd_knows_every_polygon_in_both_encodings() -> None:
    assert len(NAMES) == len(LEVEL_3_IDS) == len(TRAIN_IDS) == 40
    assert len(LEVEL_3) == 26
    for name, level_3, train_id in zip(NAMES, LEVEL_3_IDS, TRAIN_IDS, strict=True):
        if name in LEVEL_3 and name in CITYSCAPES:
            assert (LEVEL_3[level_3], CITYSCAPES[train_id]) == (name, name)
    assert set(LEVEL_3_IDS) - {255} == set(range(26))
    assert IDD19.classes[TRAIN_IDS[NAMES.index("non-drivable fallback")]] == "terrain"


def idd(root: Path, endings: dict[str, Any]) -> Path:
    """One image, and labels with these endings: ids of its columns, or polygons."""
    put(root / "leftImg8bit/train/7/000001_leftImg8bit.png")
    for ending, content in endings.items():
        path = root / "gtFine/train/7" / f"000001_gtFine_{ending}"
        if path.suffix == ".png":
            put(path, content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def polygon(label: str, left: int, right: int, **more: Any) -> dict[str, Any]:
    corners = [[left, 0], [right, 0], [right, 3], [left, 3.4]]
    return {"label": label, "polygon": corners, **more}


def annotation(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"imgWidth": 8, "imgHeight": 4, "objects": list(objects)}


def test_idd_draws_polygons_in_their_order(tmp_path: Path) -> None:
    root = idd(
        tmp_path,
        {
            "polygons.json": annotation(
                polygon("non-drivable fallback", 0, 5),
                polygon("cargroup", 2, 3, deleted=0),
                polygon("sky", 0, 7, deleted=1),
                polygon("license plate", 3, 3),
            )
        },
    )
    assert list(IDD(str(root), "train").missing({"label"})) == []
    assert top_row(IDD(str(root), "train")) == [3, 3, 9, 255, 3, 3, 255, 255]
    assert top_row(IDD19(str(root), "train")) == [9, 9, 13, 255, 9, 9, 255, 255]


def test_idd_prefers_masks_of_its_encoding_then_of_ids(tmp_path: Path) -> None:
    train, autorickshaw, plate = 17, 11, 39
    endings: dict[str, Any] = {"polygons.json": annotation()}
    dataset = IDD(str(idd(tmp_path, endings)), "train")
    assert top_row(dataset) == [255] * 8
    endings["labelids.png"] = [train, autorickshaw, plate, 0]
    assert top_row(IDD(str(idd(tmp_path, endings)), "train"))[:4] == [12, 8, 255, 0]
    assert top_row(IDD19(str(tmp_path), "train"))[:4] == [16, 255, 255, 0]
    endings["labellevel3Ids.png"] = [1, 2, 3, 4]
    assert top_row(IDD(str(idd(tmp_path, endings)), "train"))[:4] == [1, 2, 3, 4]
    endings["labelcsTrainIds.png"] = [5, 6, 7, 8]
    assert top_row(IDD19(str(idd(tmp_path, endings)), "train"))[:4] == [5, 6, 7, 8]


def test_idd_passes_by_polygons_without_an_area(tmp_path: Path) -> None:
    """Part II has empty ones (AutoNUE/public-code, issue 5); Pillow draws two corners as a line."""
    things = [
        polygon("road", 0, 7),
        {"label": "pole", "polygon": [], "deleted": 0},
        {"label": "car", "polygon": [[1, 0]], "deleted": 0},
        {"label": "sky", "polygon": [[2, 0], [4, 0]], "deleted": 0},
    ]
    root = idd(tmp_path, {"polygons.json": annotation(*things)})
    assert top_row(IDD(str(root), "train")) == [0, 0, 25, 25, 25, 0, 0, 0]
    assert (IDD(str(root), "train").read(0, {"label"}).label[1:] == 0).all()  # type: ignore[index]


def test_idd_keeps_ids_that_its_table_does_not_know(tmp_path: Path) -> None:
    root = idd(tmp_path, {"polygons.json": annotation()})
    path = root / "gtFine/train/7/000001_gtFine_labelids.png"
    save_ids(path, np.full((4, 8), 26003, np.uint16))
    assert top_row(IDD(str(root), "train")) == [26003] * 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (annotation(polygon("unicorn", 0, 3)), "there is no class 'unicorn'; choose from road"),
        ("{", "holds no polygons of the India Driving Dataset .JSONDecodeError"),
        ([1], "holds no polygons"),
        ({"imgWidth": 8, "imgHeight": 4}, "KeyError: 'objects'"),
        (annotation({"label": "car", "polygon": [[1], [2], [3]]}), "IndexError"),
    ],
)
def test_idd_names_polygons_it_cannot_draw(tmp_path: Path, content: Any, message: str) -> None:
    root = idd(tmp_path, {"polygons.json": content})
    with pytest.raises(DataError, match=rf"000001_gtFine_polygons.json: .*{message}"):
        top_row(IDD(str(root), "train"))


def test_idd_refuses_ids_nobody_named(tmp_path: Path) -> None:
    dataset = IDD(str(idd(tmp_path, {"labelids.png": [0, 40]})), "train")
    encode = LabelMapper(common(CITYSCAPES, dataset.classes.values()), dataset)
    with pytest.raises(DataError, match="holds ids 40"):
        encode(np.array([top_row(dataset)]), "sample")


def test_idd_without_any_label_names_all_that_would_do(tmp_path: Path) -> None:
    dataset = IDD(str(idd(tmp_path, {})), "train")
    (told,) = dataset.missing({"label"})
    for ending in ("labellevel3Ids.png", "labelids.png", "polygons.json"):
        assert f"*_gtFine_{ending}" in told


def test_idd_takes_both_parts_as_they_unpack(tmp_path: Path) -> None:
    put(tmp_path / "IDD_Segmentation/leftImg8bit/train/7/1_leftImg8bit.png")
    put(tmp_path / "IDD_Segmentation/gtFine/train/7/1_gtFine_labellevel3Ids.png", [1])
    put(tmp_path / "idd20kII/leftImg8bit/train/201/frame1_leftImg8bit.jpg")
    put(tmp_path / "idd20kII/gtFine/train/201/frame1_gtFine_labellevel3Ids.png", [2])
    dataset = IDD(str(tmp_path), "train")
    assert [top_row(dataset, index)[0] for index in range(2)] == [1, 2]
    assert listed(dataset)[1] == "idd20kII/leftImg8bit/train/201/frame1_leftImg8bit.jpg"


def test_idd_lite_has_level_1_and_leaves_instances_alone(tmp_path: Path) -> None:
    put(tmp_path / "leftImg8bit/train/132/475092_image.jpg")
    put(tmp_path / "gtFine/train/132/475092_label.png", [0, 6, 255, 3])
    put(tmp_path / "gtFine/train/132/475092_inst_label.png", [77])
    dataset = IDDLite(str(tmp_path), "train")
    assert len(dataset) == 1
    assert top_row(dataset)[:4] == [0, 6, 255, 3]
    assert tuple(dataset.classes.values()) == IDD_LEVEL_1


def test_bdd100k_comes_in_two_packages(tmp_path: Path) -> None:
    put(tmp_path / "new/images/10k/val/a-b.jpg")
    put(tmp_path / "new/labels/sem_seg/masks/val/a-b.png", [13])
    put(tmp_path / "old/seg/images/val/a-b.jpg")
    put(tmp_path / "old/seg/labels/val/a-b_train_id.png", [14])
    assert top_row(BDD100K(str(tmp_path / "new"), "val"))[0] == 13
    assert top_row(BDD100K(str(tmp_path / "old"), "val"))[0] == 14


def test_acdc_reads_the_conditions_it_is_told(tmp_path: Path) -> None:
    for condition, label in (("fog", 7), ("night", 8), ("snow", 23)):
        name = f"{condition}/train/GOPR0475/GOPR0475_frame_000041"
        put(tmp_path / f"rgb_anon/{name}_rgb_anon.png")
        put(tmp_path / f"gt/{name}_gt_labelIds.png", [label])
    dataset = ACDC(str(tmp_path), "train", ["snow", "fog"])
    assert [top_row(dataset, index)[0] for index in range(len(dataset))] == [23, 7]
    with pytest.raises(DataError, match="none of the folders rgb_anon/rain/train is there"):
        ACDC(str(tmp_path), "train", ["fog", "rain"])


def test_acdcs_references_are_pictures_alone(tmp_path: Path) -> None:
    put(tmp_path / "rgb_anon/fog/train_ref/GOPR0475/GOPR0475_frame_000041_rgb_ref_anon.png")
    dataset = ACDC(str(tmp_path), "train_ref", ["fog"])
    assert len(dataset) == 1
    assert not dataset.has_labels


def test_dark_zurich_has_times_of_day_and_archives(tmp_path: Path) -> None:
    train = tmp_path / "Dark_Zurich_train_anon/rgb_anon/train"
    put(train / "night/GOPR0351/GOPR0351_frame_000090_rgb_anon.png")
    put(train / "twilight/GOPR0360/GOPR0360_frame_000001_rgb_anon.png")
    val = "val/night/GOPR0356/GOPR0356_frame_000321"
    put(tmp_path / f"Dark_Zurich_val_anon/rgb_anon/{val}_rgb_anon.png")
    put(tmp_path / f"Dark_Zurich_val_anon/gt/{val}_gt_labelIds.png", [23])
    assert "night/GOPR0351" in DarkZurich(str(tmp_path), "train").name(0)
    assert "twilight/GOPR0360" in DarkZurich(str(tmp_path), "train_twilight").name(0)
    assert not DarkZurich(str(tmp_path), "train").has_labels
    assert top_row(DarkZurich(str(tmp_path), "val"))[0] == 23


def test_synscapes_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        put(tmp_path / f"img/rgb/{number}.png")
        put(tmp_path / f"img/class/{number}.png", [7])
    assert listed(Synscapes(str(tmp_path), "all")) == [f"img/rgb/{n}.png" for n in (1, 2, 10)]


def test_urbansyn_takes_grey_in_three_channels_but_no_colors(tmp_path: Path) -> None:
    put(tmp_path / "rgb/rgb_0001.png")
    label = np.full((4, 8, 3), 19, np.uint8)
    save_channels(tmp_path / "ss/ss_0001.png", label)
    assert top_row(UrbanSyn(str(tmp_path), "all")) == [19] * 8
    label[1, 2] = (128, 64, 128)
    save_channels(tmp_path / "ss/ss_0001.png", label)
    with pytest.raises(DataError, match=r"ss_0001.png: has 3 channels, .* color picture"):
        top_row(UrbanSyn(str(tmp_path), "all"))
