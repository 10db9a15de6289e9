"""Several datasets as one: names decide what is one class, lengths or shares what is drawn."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pytest

from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.datasets.merged import MergedDataset, open_merged
from uda_seg.errors import ConfigError, DataError


class Counted(Dataset):
    """Sample i has its number in every pixel of the image; the label holds all ids there are."""

    def __init__(self, length: int, ids: list[int]) -> None:
        self.length, self.ids = length, ids

    def __len__(self) -> int:
        return self.length

    def read(self, index: int, fields: Collection[str]) -> Sample:
        sample = Sample(np.full((2, 2, 3), index, np.uint8), name=self.name(index))
        if "label" in fields:
            assert self.has_labels
            sample.label = np.uint8([self.ids])
        if "depth" in fields:
            sample.depth = np.full((2, 2), index, np.float32)
        return sample

    def identity(self, index: int) -> str | None:
        return f"{type(self).__name__} {index}"

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        yield from (f"{type(self).__name__} lacks {field}" for field in sorted(fields))


class Town(Counted):
    classes = {7: "road", 11: "building", 24: "pedestrian", 200: "Parking"}
    void = {0: "void", 255: "plate"}
    own_names = {24: "pedestrian"}
    has_depth = True


class Village(Counted):
    classes = {0: "person", 1: "road", 2: "cow"}
    void = {9: "void", 10: "parking"}
    own_names = {0: "human"}


class Album(Counted):
    classes = {}
    has_labels = False

    def identity(self, index: int) -> str | None:
        return None


def both(**given: Any) -> MergedDataset:
    members = {"town": Town(3, [7, 11, 24, 200, 0, 255]), "village": Village(2, [0, 1, 2, 9, 10])}
    return MergedDataset(members | given, None)


def test_classes_of_one_name_are_one() -> None:
    dataset = both()
    assert list(dataset.classes.values()) == ["road", "building", "person", "parking", "cow"]
    assert sorted(dataset.void.values()) == ["parking", "plate", "void"]
    assert not set(dataset.classes) & set(dataset.void)
    names = {**dataset.classes, **dataset.void}
    town, village = dataset.read(0, {"label"}), dataset.read(3, {"label"})
    assert town.label is not None
    assert village.label is not None
    assert [names[i] for i in town.label[0]] == [
        "road", "building", "person", "parking", "void", "plate",
    ]  # fmt: skip
    assert [names[i] for i in village.label[0]] == ["person", "road", "cow", "void", "parking"]
    # What counts in one and not in the other stays apart.
    assert town.label[0, 3] in dataset.classes
    assert village.label[0, 4] in dataset.void
    assert dataset.own_names == {2: "pedestrian, human"}


def test_an_experiment_sees_the_same_classes_through_it() -> None:
    dataset = both()
    space = common(CITYSCAPES, dataset.classes.values())
    for index, member in ((0, dataset.datasets["town"]), (3, dataset.datasets["village"])):
        whole, part = dataset.read(index, {"label"}), member.read(0, {"label"})
        assert whole.label is not None
        assert part.label is not None
        np.testing.assert_array_equal(
            LabelMapper(space, dataset)(whole.label, "whole"),
            LabelMapper(space, member)(part.label, "part"),
        )


def test_an_id_without_a_name_is_told_with_its_dataset() -> None:
    dataset = both(village=Village(2, [1, 3]))
    with pytest.raises(DataError, match=r"village/Village\[1\]: .* ids 3, for which Village has"):
        dataset.read(4, {"label"})
    assert dataset.read(4, {"image"}).label is None


def test_samples_follow_one_another() -> None:
    dataset = both()
    assert len(dataset) == 5
    names = [dataset.name(index) for index in range(5)]
    assert names == [*(f"town/Town[{i}]" for i in range(3)), "village/Village[0]",
                     "village/Village[1]"]  # fmt: skip
    for index in range(5):
        sample = dataset.read(index, {"image"})
        assert sample.name == names[index]
        assert f"[{sample.image[0, 0, 0]}]" in sample.name


@pytest.mark.parametrize(
    ("shares", "drawn"),
    [
        ({"town": 1, "village": 1}, (30, 30)),
        ({"village": 0.5, "town": 0.5}, (30, 30)),
        ({"town": 3, "village": 1}, (30, 10)),
        ({"town": 1, "village": 3}, (30, 90)),
        ({"town": 0.1, "village": 0.3}, (30, 90)),
    ],
)
def test_shares_repeat_the_smaller(shares: dict[str, float], drawn: tuple[int, int]) -> None:
    dataset = MergedDataset({"town": Town(30, []), "village": Village(7, [])}, shares)
    places = [dataset.place(index) for index in range(len(dataset))]
    for name, count in zip(("town", "village"), drawn):
        of_it = [inner for member, inner in places if member == name]
        assert len(of_it) == count
        times = np.bincount(of_it)
        assert len(times) == len(dataset.datasets[name])
        assert times.max() - times.min() <= 1


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"town": 1}, "give one for each of town, village; given are town"),
        ({"town": 1, "village": 1, "x": 1}, "given are town, village, x"),
        ({"town": 1, "village": 0}, r"shares\.village=0: must be a number greater than 0"),
        ({"town": 1, "village": "x"}, r"shares\.village=x: must be a number"),
        ({"town": 1, "village": 1e-8}, "so far apart"),
    ],
)
def test_shares_are_checked(shares: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MergedDataset({"town": Town(3, []), "village": Village(2, [])}, shares)


def test_identity_knows_what_the_ids_become() -> None:
    dataset = both()
    assert len({dataset.identity(index) for index in range(5)}) == 5
    assert dataset.identity(0) == both().identity(0)
    other = MergedDataset({"village": Village(2, []), "town": Town(3, [])}, None)
    assert other.place(2) == ("town", 0)
    assert other.identity(2) != dataset.identity(0)
    assert both(album=Album(1, [])).identity(5) is None


def test_pictures_alone_may_be_among_a_targets_datasets() -> None:
    dataset = both(album=Album(4, []))
    assert (dataset.has_labels, dataset.has_depth, len(dataset)) == (False, False, 9)
    assert dataset.read(8, {"image"}).name == "album/Album[3]"
    with pytest.raises(DataError, match=r"album/Album\[0\]: album has no labels"):
        dataset.read(5, {"label"})
    with pytest.raises(DataError, match=r"village has no depths"):
        dataset.read(3, {"depth"})
    scored = dataset.labelled()
    assert scored.has_labels
    assert len(scored) == 5
    assert scored.classes == both().classes
    with pytest.raises(DataError, match="album: none of them has labels"):
        MergedDataset({"album": Album(1, [])}, None).labelled()


def test_depth_is_there_when_all_have_it() -> None:
    dataset = MergedDataset({"a": Town(1, []), "b": Town(2, [])}, None)
    assert dataset.has_depth
    depth = dataset.read(2, {"depth"}).depth
    assert depth is not None
    assert depth[0, 0] == 1


def test_missing_files_are_asked_of_each() -> None:
    assert list(both(album=Album(1, [])).missing({"label"})) == [
        "Town lacks label", "Village lacks label",
    ]  # fmt: skip


def test_it_is_opened_from_a_config() -> None:
    def town(name: str, **given: Any) -> dict[str, Any]:
        node = {"_target_": "uda_seg.data.toytown.ToyTown", "domain": name, "seed": 0}
        node |= {"size": [32, 64]}
        node |= {"length": {"train": 6, "val": 2, "tune": 3}}
        return {**node, "train_split": "train", "val_split": "val", **given}

    domain = {
        "datasets": {"a": town("toytown"), "b": town("toytown_camera", train_split="val")},
        "shares": {"a": 1, "b": 1},
        "train_split": "train",
        "val_split": "val",
    }
    assert len(open_merged(domain, "train")) == 12
    assert len(open_merged(domain, "val")) == 4  # every sample once, whatever the shares
    assert len(open_merged(domain, "tune")) == 6
    with pytest.raises(ConfigError, match="none; give a list"):
        open_merged({**domain, "datasets": {}}, "train")
