"""Labels that would train without complaint and mean something else."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import folder_keys

from uda_seg.data.checking.first_look import MANY, first_look
from uda_seg.data.checking.numberings import merge_thirds, thirds, well_known
from uda_seg.data.checking.plausibility import other_numbering
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.carla import CARLA, EarlierCARLA
from uda_seg.data.datasets.classes import CITYSCAPES_TRAIN_IDS
from uda_seg.data.datasets.folder import Folder
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import DataError

KNOWN = {numbering.name: numbering for numbering in well_known()}
LABEL_IDS, TRAIN_IDS = "Cityscapes' labelIds", "Cityscapes' train ids"
LATER, EARLIER = "CARLA's ids from 0.9.14 on", "CARLA's ids before 0.9.14"
ROADS = {0: "background", 1: "road"}


@pytest.fixture(scope="module")
def streets() -> list[np.ndarray]:
    """Train ids of drawn streets."""
    town = ToyTown("toytown", "train", {"train": 4}, [48, 80], 0)
    labels = [town.read(index, {"label"}).label for index in range(4)]
    return [label for label in labels if label is not None]


def folder(root: Path, masks: Sequence[np.ndarray], classes: dict[int, str], **keys: Any) -> Folder:
    """An own dataset with these masks."""
    for number, mask in enumerate(masks):
        save_image(root / f"images/{number}.png", np.zeros((*mask.shape, 3), np.uint8))
        save_ids(root / f"labels/{number}.png", mask)
    settings = folder_keys() | {"images": "images", "labels": "labels", "classes": classes}
    return Folder(str(root), "all", **(settings | keys))


def look(dataset: Dataset, skip: bool = False) -> None:
    space = LabelSpace(tuple(dict.fromkeys(dataset.classes.values())))
    bad_images = BadImages(skip, None)
    first_look(dataset, {"image", "label"}, LabelMapper(space, dataset), bad_images, "source")


def painted(*values: int) -> np.ndarray:
    """A mask of 16x16 with as many stripes."""
    return np.repeat(np.array(values, np.uint8), 256 // len(values)).reshape(16, 16)


class Named(Dataset):
    """Of a well-known numbering; never read."""

    def __init__(self, name: str) -> None:
        self.classes, self.void = KNOWN[name].classes, KNOWN[name].void

    def __len__(self) -> int:
        return 0

    def read(self, index: int, fields: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("written", [LABEL_IDS, TRAIN_IDS, LATER, EARLIER, "IDD's level3Ids"])
def test_each_numbering_is_told_from_all_others(written: str, streets: list[np.ndarray]) -> None:
    numbering = KNOWN[written]
    void = next(i for i, word in numbering.void.items() if word in ("unlabeled", "void"))
    labels = merge_thirds(thirds(raw_ids(street, numbering.classes, void)) for street in streets)
    for read in KNOWN:
        message = other_numbering(Named(read), labels, "source")
        if read == written:
            assert message is None
        else:
            assert message is not None, read
            assert f"look like {written}, which" in message


def test_carla_is_read_by_its_version_and_the_other_one_is_noticed(
    tmp_path: Path, streets: list[np.ndarray]
) -> None:
    for kind, right, wrong in ((CARLA, "0.10.0", "0.9.13"), (EarlierCARLA, "0.9.9", "0.9.14")):
        for number, street in enumerate(streets):
            name = tmp_path / f"{kind.__name__}/{number}"
            save_image(name.with_name(f"{number}_img.png"), np.zeros((48, 80, 3), np.uint8))
            ids = raw_ids(street, kind.classes, 0)
            save_ids(name.with_name(f"{number}_labelIds.png"), ids)
        root = str(tmp_path / kind.__name__)
        look(CARLA(root, "all", right))
        cure = "version=0.9.14" if kind is CARLA else "version=0.9.13"
        with pytest.raises(DataError, match=f"source: the labels look like CARLA.*{cure}"):
            look(CARLA(root, "all", wrong))


@pytest.mark.parametrize(
    ("found", "classes", "message"),
    [
        (
            (0, 255),
            ROADS,
            r"holds road. The ids found are 0 \(background\).*Name .*{0: background, 255: r",
        ),
        ((0, 128), ROADS, r"ids 128.*classes: {0: background, 128: road}"),
        ((1, 2), ROADS, r"ids 2.*classes: {1: background, 2: road}"),
        ((0, 255), ROADS | {2: "car"}, "holds road or car.*Name what is there in `classes`"),
        ((255,), ROADS, "holds any class of the experiment: background or road"),
        ((0,), ROADS, r"\(all 2\) holds road.*0 \(background\)"),
    ],
)
def test_labels_with_nothing_to_tell_apart_stop_a_run(
    tmp_path: Path, found: tuple[int, ...], classes: dict[int, str], message: str
) -> None:
    dataset = folder(tmp_path, [painted(*found)] * 2, classes)
    with pytest.raises(DataError, match=message):
        look(dataset)


def test_the_cure_for_0_and_255_works(tmp_path: Path) -> None:
    dataset = folder(tmp_path, [painted(0, 255)], {0: "background", 255: "road"})
    look(dataset)
    space = LabelSpace(("background", "road"))
    label = LabelMapper(space, dataset)(painted(0, 255), "")
    assert (np.bincount(label.ravel()) == [128, 128]).all()


def test_void_can_be_named_emptied_and_listed(tmp_path: Path) -> None:
    for void, ids in ((None, {255}), ({}, set()), ([7, 9], {7, 9}), ({"3": "rim"}, {3})):
        assert set(folder(tmp_path, [painted(0)], ROADS, void=void).void) == ids


def test_a_rare_class_does_not_stop_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    masks = [painted(0)] * 30
    masks[17] = painted(0, 1)
    look(folder(tmp_path, masks, ROADS))
    assert not caplog.records
    three = {**ROADS, 2: "car"}
    with caplog.at_level(logging.INFO):
        look(folder(tmp_path / "three", [painted(0, 1)] * 2, three))
    assert "source: no label that was opened (all 2) holds car" in caplog.text
    assert len(masks) < MANY


def test_members_of_several_are_looked_at_one_by_one(
    tmp_path: Path, streets: list[np.ndarray]
) -> None:
    good = folder(tmp_path / "good", streets, CITYSCAPES_TRAIN_IDS)
    ids = [raw_ids(street, KNOWN[LABEL_IDS].classes, 0) for street in streets]
    names = {**CITYSCAPES_TRAIN_IDS, **dict.fromkeys(range(19, 34), "other")}
    bad = folder(tmp_path / "bad", ids, names)
    look(MergedDataset({"a": good, "b": good}, None))
    with pytest.raises(DataError, match="look like Cityscapes' labelIds.*classes: {7: road"):
        look(MergedDataset({"good": good, "bad": bad}, None))
    with pytest.raises(DataError, match="look like Cityscapes' labelIds"):
        look(folder(tmp_path / "bad", ids, CITYSCAPES_TRAIN_IDS), skip=True)
