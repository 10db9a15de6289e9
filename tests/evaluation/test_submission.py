"""Predictions under the names and ids that test servers want."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uda_seg.config import conf_folder, locate, shipped
from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.classes import CITYSCAPES, CITYSCAPES_IDS, CITYSCAPES_TRAIN_IDS
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace, common
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.opening import open_split
from uda_seg.data.files.reading import read_ids
from uda_seg.errors import ConfigError
from uda_seg.evaluation.submission import Submission, raw_ids

WITHOUT_IDS = {"toytown", "toytown_camera", "images", "video", "folder", "several"}
TARGETS = sorted(
    path.stem for path in (conf_folder() / "target").glob("*.yaml") if path.stem not in WITHOUT_IDS
)
AMBIGUOUS = {
    "mapillary": ["rider"],
    "mapillary_v2": ["traffic light", "traffic sign", "person", "rider"],
    "camvid_32": ["traffic sign"],
}
"""Classes to which several ids belong, none of which is called like the class."""

NAMES = {
    "cityscapes": ("test", "ulm_000000_000019_labelIds.png"),
    "kitti": ("testing", "000000_10.png"),
    "idd": ("test", "0/000000_gtFine_labellevel3Ids.png"),
    "idd_19": ("test", "0/000000_gtFine_labelcsTrainIds.png"),
    "idd_lite": ("test", "0/000000_label.png"),
    "bdd100k": ("test", "00000000-00000000.png"),
    "mapillary": ("testing", "0000000000000000000000.png"),
    "acdc": ("test", "labelTrainIds/GOPR0475_frame_000000_rgb_anon.png"),
    "dark_zurich": ("test", "labelTrainIds/GOPR0356_frame_000000_rgb_anon.png"),
}
"""A split without labels, and what the server wants its first prediction to be called."""


def node_of(name: str, root: Path) -> dict[str, Any]:
    return {**shipped("target", name), "root": str(root)}


def drawn(name: str, split: str, root: Path) -> Dataset:
    node = node_of(name, root)
    label = np.arange(32, dtype=np.uint8).reshape(4, 8) % 19
    image = np.zeros((4, 8, 3), np.uint8)
    locate(node["_target_"]).write_sample(root, split, 0, Sample(image, label))  # type: ignore[attr-defined]
    return open_split(node, split)


@pytest.mark.parametrize("name", TARGETS)
def test_ids_are_read_back_as_the_classes_they_were(name: str) -> None:
    kind: Any = locate(node_of(name, Path())["_target_"])
    space = common(CITYSCAPES, kind.classes.values())
    chosen = {}
    if name in AMBIGUOUS:
        with pytest.raises(ConfigError, match="Choose one for each, such as") as told:
            raw_ids(space, kind.classes, kind.void, kind.own_names, {})
        for word in AMBIGUOUS[name]:
            assert f"{word} (" in str(told.value)
            place = space.place(word)
            chosen[word] = next(i for i, w in kind.classes.items() if space.place(w) == place)
        assert str(told.value).count(" (") == len(AMBIGUOUS[name])
    table = raw_ids(space, kind.classes, kind.void, kind.own_names, chosen)
    assert space.lookup(kind.classes)[table].tolist() == list(range(len(space)))


def test_cityscapes_own_ids_and_what_it_has_not() -> None:
    space = LabelSpace(("car", "sky", "animal", "road"))
    assert raw_ids(space, CITYSCAPES_IDS, {0: "unlabeled"}, {}, {}).tolist() == [26, 23, 0, 7]
    assert raw_ids(space, CITYSCAPES_TRAIN_IDS, {255: "void"}, {}, {}).tolist() == [13, 10, 255, 0]
    with pytest.raises(ConfigError, match="no ids for animal, nor one for unlabelled"):
        raw_ids(space, CITYSCAPES_IDS, {}, {}, {})
    merged = LabelSpace(("road", "bicyclist"))
    with pytest.raises(ConfigError, match=r"bicyclist \(25 rider, 33 bicycle\).*prediction_ids="):
        raw_ids(merged, CITYSCAPES_IDS, {}, {}, {})
    assert raw_ids(merged, CITYSCAPES_IDS, {}, {}, {"bicyclist": 33}).tolist() == [7, 33]
    for wrong in ({"sky": 23}, {"bicyclist": 99}):
        with pytest.raises(ConfigError, match="prediction_ids"):
            raw_ids(merged, CITYSCAPES_IDS, {}, {}, wrong)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_called_as_the_server_wants(name: str, tmp_path: Path) -> None:
    split, wanted = NAMES[name]
    dataset = drawn(name, split, tmp_path / "data")
    space = common(CITYSCAPES, dataset.classes.values())
    chosen = {"rider": 20} if name == "mapillary" else {}
    saved = Submission(tmp_path, dataset, space, "benchmark", chosen)
    prediction = np.arange(32).reshape(4, 8) % len(space)
    saved.add(0, prediction)
    assert not (tmp_path / "predictions").exists()
    archive = saved.finish(zipped=True)
    with zipfile.ZipFile(archive) as file:
        assert file.namelist() == [wanted]
    ids = read_ids(tmp_path / "predictions" / wanted)
    assert (ids.shape, ids.dtype) == ((4, 8), np.uint8)
    if dataset.benchmark_ids == "train_ids":
        assert [space.classes[i] for i in prediction.flat] == [CITYSCAPES[i] for i in ids.flat]
    else:
        dataset.has_labels = True  # so that its ids are looked up
        assert (LabelMapper(space, dataset)(ids, "") == prediction).all()


def test_cityscapes_own_script_finds_the_files(tmp_path: Path, monkeypatch) -> None:
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    dataset = drawn("cityscapes", "val", tmp_path / "data")
    saved = Submission(tmp_path, dataset, LabelSpace(CITYSCAPES), "benchmark", {})
    truth = dataset.read(0, {"label"}).label
    saved.add(0, LabelMapper(LabelSpace(CITYSCAPES), dataset)(truth, ""))
    folder = saved.finish(zipped=False)
    monkeypatch.setenv("CITYSCAPES_RESULTS", str(folder))
    monkeypatch.setattr(script.args, "predictionPath", None)
    monkeypatch.setattr(script.args, "predictionWalk", None)
    found = script.getPrediction(script.args, "ulm_000000_000019_gtFine_labelIds.png")
    assert (read_ids(Path(found)) == truth).all()


def test_what_cannot_be_handed_in_is_refused(tmp_path: Path) -> None:
    dataset = drawn("cityscapes", "test", tmp_path / "data")
    several = MergedDataset({"cityscapes": dataset}, None)
    with pytest.raises(ConfigError, match="one by one"):
        Submission(tmp_path, several, LabelSpace(("road",)), "own_ids", {})
    (tmp_path / "data/leftImg8bit/test/bonn").mkdir()
    image = tmp_path / "data/leftImg8bit/test/ulm/ulm_000000_000019_leftImg8bit.png"
    (tmp_path / "data/leftImg8bit/test/bonn" / image.name).write_bytes(image.read_bytes())
    twice = open_split(node_of("cityscapes", tmp_path / "data"), "test")
    with pytest.raises(
        ConfigError, match="2 images would be called ulm_000000_000019_labelIds.png"
    ):
        Submission(tmp_path, twice, LabelSpace(("road",)), "benchmark", {})
    pictures = open_split(node_of("images", tmp_path / "data"), "all")
    with pytest.raises(ConfigError, match="Images has no ids of its own"):
        Submission(tmp_path, pictures, LabelSpace(("road",)), "benchmark", {})
