"""Every dataset in files, found by its YAML: ToyTown is written in its layout and read back."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uda_seg.commands.data_draw import draw, layouts, splits_of
from uda_seg.config import conf_folder, shipped
from uda_seg.data.checking.numberings import merge_thirds, thirds
from uda_seg.data.checking.plausibility import other_numbering
from uda_seg.data.datasets.base import Dataset, FileDataset
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.datasets.opening import open_split
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import DataError

SIZE = [48, 80]
COUNT = 2
PLAIN = {"toytown", "toytown_camera", "images", "video", "folder", "several"}
"""Drawn in memory, without labels, or laid out as the user says: tested elsewhere."""

FILES = sorted(
    (path.parent.name, path.stem)
    for group in ("source", "target")
    for path in (conf_folder() / group).glob("*.yaml")
    if path.stem not in PLAIN
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each layout is written once, below a folder with letters that are not ASCII."""
    root = tmp_path_factory.mktemp("Städte 街")
    settings = {"domain": "toytown", "length": [COUNT, COUNT], "size": SIZE, "seed": 0}
    for name, (_, node) in layouts().items():
        draw(node, root / name, {**settings, "workers": 0})
    return {name: root / name for name in layouts()}


def node_of(group: str, name: str, root: Path) -> dict[str, Any]:
    return {**shipped(group, name), "root": str(root)}


def opened(group: str, name: str, drawn: dict[str, Path]) -> list[tuple[str, Dataset]]:
    """ToyTown's name of a split, and the dataset at its own name of it."""
    node = node_of(group, name, drawn[name])
    datasets = [(town, open_split(node, split)) for split, town in splits_of(node).items()]
    assert datasets, "a dataset without a split tests nothing"
    return datasets


def test_every_dataset_in_files_can_be_drawn() -> None:
    assert {name for _, name in FILES} == set(layouts())
    assert len(layouts()) > 3


@pytest.mark.parametrize(("group", "name"), FILES)
def test_what_is_drawn_is_read_back(group: str, name: str, drawn: dict[str, Path]) -> None:
    labelled = 0
    for town, dataset in opened(group, name, drawn):
        scenes = ToyTown("toytown", town, {town: COUNT}, SIZE, 0)
        assert len(dataset) == COUNT
        space = common(CITYSCAPES, dataset.classes.values())
        ours = space.lookup(dict(enumerate(CITYSCAPES)))
        fields = {"image", *(["label"] if dataset.has_labels else [])}
        fields |= {"depth"} if dataset.has_depth else set()
        for index in range(COUNT):
            scene, sample = scenes.read(index, {"label", "depth"}), dataset.read(index, fields)
            difference = np.abs(scene.image.astype(int) - sample.image)
            assert difference.mean() < 2, "colors in another order, or another image"
            if dataset.has_labels:
                labelled += 1
                assert sample.label is not None
                assert scene.label is not None
                encoded = LabelMapper(space, dataset)(sample.label, sample.name)
                np.testing.assert_array_equal(encoded, ours[scene.label])
            if dataset.has_depth:
                assert sample.depth is not None
                assert scene.depth is not None
                near = (scene.depth > 0) & (scene.depth < 80)
                assert sample.depth.dtype == np.float32
                np.testing.assert_allclose(
                    sample.depth[near], scene.depth[near], atol=0.02, rtol=0.01
                )
    assert labelled, "a dataset that is never scored nor learnt from tests nothing here"


@pytest.mark.parametrize(("group", "name"), FILES)
def test_sources_have_labels_to_learn_from(group: str, name: str, drawn: dict[str, Path]) -> None:
    node = node_of(group, name, drawn[name])
    split = node["train_split" if group == "source" else "val_split"]
    assert open_split(node, split).has_labels


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_raw_id_has_one_meaning(group: str, name: str, drawn: dict[str, Path]) -> None:
    for _, dataset in opened(group, name, drawn):
        assert not set(dataset.classes) & set(dataset.void)
        assert all(0 <= i <= 255 for i in (*dataset.classes, *dataset.void))
        assert set(dataset.own_names) <= {*dataset.classes, *dataset.void}


@pytest.mark.parametrize(("group", "name"), FILES)
def test_its_own_labels_are_believed(group: str, name: str, drawn: dict[str, Path]) -> None:
    for _, dataset in opened(group, name, drawn):
        if dataset.has_labels:
            labels = [dataset.read(index, {"label"}).label for index in range(COUNT)]
            found = merge_thirds(thirds(label) for label in labels if label is not None)
            assert other_numbering(dataset, found, group) is None


@pytest.mark.parametrize(("group", "name"), FILES)
def test_nothing_is_opened_that_nobody_asks_for(
    group: str, name: str, drawn: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, dataset in opened(group, name, drawn):
        kind = type(dataset)
        for part in ("read_label", "read_depth"):
            monkeypatch.setattr(kind, part, lambda *_: pytest.fail("was opened"))
        sample = dataset.read(0, {"image"})
        assert sample.label is sample.depth is None


@pytest.mark.parametrize(("group", "name"), FILES)
def test_a_missing_partner_is_named_before_and_while_reading(
    group: str, name: str, drawn: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(drawn[name], tmp_path / name)
    for _, dataset in opened(group, name, {name: tmp_path / name}):
        if not dataset.has_labels:
            continue
        assert isinstance(dataset, FileDataset)
        assert list(dataset.missing({"image", "label"})) == []
        label = dataset.files[1].label
        assert label is not None
        label.unlink()
        told = list(dataset.missing({"image", "label"}))
        assert len(told) == 1
        assert str(dataset.files[1].image) in told[0]
        with pytest.raises(DataError, match="has no label"):
            dataset.read(1, {"label"})


@pytest.mark.parametrize(("group", "name"), FILES)
def test_a_sample_has_an_identity_that_follows_its_files(
    group: str, name: str, drawn: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(drawn[name], tmp_path / name)
    for _, dataset in opened(group, name, {name: tmp_path / name}):
        assert isinstance(dataset, FileDataset)
        before = [dataset.identity(index) for index in range(COUNT)]
        assert before[0] != before[1]
        with open(dataset.files[0].image, "ab") as file:
            file.write(b"\0")
        assert dataset.identity(0) != before[0]
        assert dataset.identity(1) == before[1]


@pytest.mark.parametrize(("group", "name"), FILES)
def test_a_wrong_or_empty_root_is_told(group: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "nowhere", tmp_path / "empty"):
        node = node_of(group, name, root)
        with pytest.raises(DataError, match=f"{root.name}.*(root=|unpack)") as told:
            open_split(node, node["train_split"])
        assert "\n" not in str(told.value)


def rearrange(root: Path, elsewhere: Path) -> None:
    """Every folder of pictures behind a link, every other ending in capital letters, and what
    notebooks, operating systems and links to parents add.
    """
    for place, _, names in os.walk(root, topdown=False):
        pictures = [name for name in sorted(names) if name.endswith((".png", ".jpg"))]
        if not pictures:
            continue
        folder = Path(place)
        for left in (".ipynb_checkpoints", "@eaDir", "__MACOSX"):
            (folder / left).mkdir()
            shutil.copy(folder / pictures[0], folder / left / pictures[0])
        shutil.copy(folder / pictures[0], folder / f"._{pictures[0]}")
        (folder / "back").symlink_to("..", target_is_directory=True)
        for name in pictures[::2]:
            (folder / name).rename((folder / name).with_suffix(Path(name).suffix.upper()))
        if folder != root:
            moved = elsewhere / str(len(list(elsewhere.iterdir())))
            folder.rename(moved)
            folder.symlink_to(moved, target_is_directory=True)


@pytest.mark.parametrize(("group", "name"), FILES)
def test_links_capital_endings_and_leftovers_change_no_sample(
    group: str, name: str, drawn: dict[str, Path], tmp_path: Path
) -> None:
    def listed(root: Path) -> list[list[str]]:
        found = []
        for _, dataset in opened(group, name, {name: root}):
            assert isinstance(dataset, FileDataset)
            fields = {"label"} if dataset.has_labels else set()
            assert list(dataset.missing(fields)) == []
            partners = [[f.image, f.label, f.depth] for f in dataset.files]
            paths = [str(path.relative_to(root)) for part in partners for path in part if path]
            found += [[path.lower() for path in paths], [str(len(dataset))]]
            found += [[dataset.prediction_name(i) for i in range(len(dataset))]]
        return found

    shutil.copytree(drawn[name], tmp_path / "root")
    (tmp_path / "elsewhere").mkdir()
    rearrange(tmp_path / "root", tmp_path / "elsewhere")
    assert any(tmp_path.glob("elsewhere/*/*.[PJ][NP]G")) or any(tmp_path.glob("root/*.PNG"))
    assert listed(tmp_path / "root") == listed(drawn[name])


@pytest.mark.parametrize(("group", "name"), FILES)
def test_an_unknown_split_is_refused(group: str, name: str, drawn: dict[str, Path]) -> None:
    with pytest.raises(DataError):
        open_split(node_of(group, name, drawn[name]), "no_such_split")
