"""A user's own images and masks: ten lines of YAML, and every mistake in them named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import folder_keys
from omegaconf import OmegaConf

from uda_seg.cli.command_line import Checked, check
from uda_seg.data.datasets.folder import Folder
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.datasets.opening import open_split
from uda_seg.data.datasets.writing import save_ids, save_image, save_palette
from uda_seg.errors import ConfigError, DataError

IDS = np.uint8([[0, 1, 2, 255]]).repeat(2, 0).repeat(2, 1)
COLORS = {"road": [128, 64, 128], "my class": [1, 2, 3]}

TEN_LINES = """\
defaults: [folder, _self_]
name: my_city
root: {root}
images: images/{{split}}
labels: masks/{{split}}
classes: {{0: road, 1: sidewalk, 2: my class}}
"""


def write(root: Path, name: str, mask: str, split: str = "train") -> None:
    random = np.random.default_rng(0)
    save_image(root / "images" / split / name, random.integers(0, 256, (2, 8, 3)).astype(np.uint8))
    save_ids(root / "masks" / split / mask, IDS)


@pytest.fixture
def city(tmp_path: Path) -> Path:
    root = tmp_path / "Meine Stadt 街"
    for split in ("train", "val"):
        for name in ("x", "inner/x", "inner/y"):
            write(root, f"{name}.jpg", f"{name}.png", split)
    return root


def folder(root: Path, split: str = "train", **given: Any) -> Folder:
    keys = {"labels": "masks/{split}", "classes": {0: "road", 1: "sidewalk", 2: "my class"}}
    return Folder(str(root), split, **(folder_keys() | keys | given))


def checked(root: Path, own: Path, *arguments: str, group: str = "target") -> Checked:
    (own / group).mkdir(parents=True, exist_ok=True)
    (own / group / "my_city.yaml").write_text(TEN_LINES.format(root=root), encoding="utf-8")
    return check("train", [f"{group}=my_city", *arguments], own_folder=own)


@pytest.mark.parametrize("group", ["source", "target"])
def test_ten_lines_of_yaml_are_a_dataset(city: Path, tmp_path: Path, group: str) -> None:
    line = checked(city, tmp_path / "own", f"{group}.size=[16,32]", group=group)
    node = OmegaConf.to_container(line.config[group], resolve=True)
    assert isinstance(node, dict)
    dataset = open_split(node, node["val_split"])
    assert len(dataset) == 3
    assert dataset.classes == {0: "road", 1: "sidewalk", 2: "my class"}
    assert dataset.void == {255: "void"}
    sample = dataset.read(1, {"label"})
    assert sample.name == "images/val/inner/y.jpg"
    assert sample.label is not None
    np.testing.assert_array_equal(sample.label, IDS)


def test_its_classes_can_be_changed_on_the_command_line(city: Path, tmp_path: Path) -> None:
    line = checked(city, tmp_path / "own", "target.classes.1=wall", "+target.classes.7=sky")
    node = OmegaConf.to_container(line.config.target, resolve=True)
    assert isinstance(node, dict)
    assert open_split(node, "val").classes == {0: "road", 1: "wall", 2: "my class", 7: "sky"}


def test_all_of_it_fits_on_the_command_line(city: Path) -> None:
    arguments = [
        "target=folder",
        f"target.root='{city}'",
        "target.labels='masks/{split}'",
        "target.classes={0: road, 1: sidewalk, 2: 'my class'}",
    ]
    line = check("train", arguments)
    node = OmegaConf.to_container(line.config.target, resolve=True)
    assert isinstance(node, dict)
    assert open_split(node, "train").classes[2] == "my class"
    # Hydra itself adds keys to a mapping only when told to.
    assert any(o.startswith("++target.classes={") for o in line.overrides)


def test_a_folder_without_its_root_is_asked_for_it() -> None:
    with pytest.raises(ConfigError, match=r"target\.root: missing, add target\.root=…"):
        check("train", ["target=folder"])


def test_names_of_masks_can_follow_any_pattern(tmp_path: Path) -> None:
    write(tmp_path, "a_rgb.png", "a_ids.png")
    write(tmp_path, "a_depth.png", "unused.png")
    dataset = folder(tmp_path, image_name="{stem}_rgb.*", label_name="{stem}_ids.png")
    assert [file.image.name for file in dataset.files] == ["a_rgb.png"]
    assert list(dataset.missing({"label"})) == []


def test_images_and_masks_may_share_a_folder(tmp_path: Path) -> None:
    save_image(tmp_path / "all/a.jpg", np.zeros((2, 8, 3), np.uint8))
    save_palette(tmp_path / "all/a.png", IDS, np.zeros((256, 3)))
    shared = {"images": "all", "labels": "all"}
    sample = folder(tmp_path, image_name="{stem}.jpg", **shared).read(0, {"label"})
    assert sample.label is not None
    np.testing.assert_array_equal(sample.label, IDS)
    with pytest.raises(ConfigError, match=r"a\.png: is taken for an image and for a mask"):
        folder(tmp_path, **shared)


def test_one_mask_for_two_images_is_refused(city: Path) -> None:
    write(city, "x.png", "x.png")
    with pytest.raises(ConfigError, match=r"x\.\w+ and x\.\w+, .* would share the mask x\.png"):
        folder(city)


def test_colors_are_classes(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "a.png")
    paint = np.uint8([*COLORS.values(), [0, 0, 0], [1, 2, 3]])[None].repeat(2, 0).repeat(2, 1)
    save_image(tmp_path / "masks/train/a.png", paint)
    dataset = folder(tmp_path, classes={}, colors=COLORS, void_colors={"nothing": [0, 0, 0]})
    assert dataset.classes == {0: "road", 1: "my class"}
    assert dataset.void == {2: "nothing"}
    label = dataset.read(0, {"label"}).label
    assert label is not None
    assert label[0].tolist() == [0, 0, 1, 1, 2, 2, 1, 1]
    with pytest.raises(DataError, match=r"a\.png: color \(0, 0, 0\) at row 0, column 4"):
        folder(tmp_path, classes={}, colors=COLORS).read(0, {"label"})


def test_identity_follows_what_ids_mean(city: Path) -> None:
    painted = [
        folder(city, classes={}, colors=dict(items)).identity(0)
        for items in (COLORS.items(), reversed(COLORS.items()))
    ]
    assert len({*painted, folder(city).identity(0), folder(city, labels=None).identity(0)}) == 4
    assert folder(city).identity(0) == folder(city, classes={0: "sky"}).identity(0)


def test_an_id_that_the_yaml_does_not_name_is_to_be_added_there(city: Path) -> None:
    dataset = folder(city, classes={0: "road", 1: "sidewalk"})
    sample = dataset.read(0, {"image", "label"})
    assert sample.label is not None
    with pytest.raises(
        DataError, match="holds ids 2, for which Folder .* to `classes`, or to `void"
    ):
        LabelMapper(LabelSpace(("road",)), dataset)(sample.label, sample.name)


def test_without_labels_it_is_a_target_of_images(city: Path) -> None:
    dataset = folder(city, labels=None, classes={})
    assert not dataset.has_labels
    assert dataset.classes == {}
    assert dataset.read(0, {"image"}).image.shape == (2, 8, 3)


def test_a_class_goes_before_the_usual_void(city: Path) -> None:
    dataset = folder(city, classes={255: "sky", "0": "road"})
    assert (dataset.classes, dataset.void) == ({255: "sky", 0: "road"}, {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"split": "test"}, ["split test:", "images/test is not there", "train, val"]),
        ({"images": "pictures"}, ["pictures is not there", "images, masks", "images="]),
        ({"images": "images/{spilt}"}, ["{spilt} is unknown", "only {split}"]),
        ({"labels": "masks/{spilt}"}, ["labels=", "{spilt} is unknown"]),
        ({"image_name": "x.png"}, ["image_name=x.png", "needs {stem}"]),
        ({"label_name": "{name}{stem}.png"}, ["label_name=", "{name} is unknown"]),
        ({"image_name": "{stem}.bmp"}, ["no picture named {stem}.bmp"]),
        ({"classes": {}}, ["classes: missing", "colors:"]),
        ({"classes": {"road": 0}}, ["classes: 'road' is no id", "{0: road}"]),
        ({"classes": {-1: "road"}}, ["'-1' is no id"]),
        ({"classes": {300: "road"}}, ["'300' is no id", "0 to 255"]),
        ({"classes": {0: ""}}, ["classes.0: '' is no name"]),
        ({"classes": {0: True}}, ["classes.0: True is no name", "quotes"]),
        ({"classes": {0: None}}, ["classes.0: None is no name"]),
        ({"void": {"x": "void"}}, ["void: 'x' is no id"]),
        ({"colors": COLORS}, ["classes and colors are both given"]),
        ({"classes": {}, "colors": {"road": [1, 2]}}, ["colors.road: [1, 2] is no color"]),
        ({"classes": {}, "colors": {"road": "red"}}, ["colors.road: red is no color"]),
        ({"classes": {}, "colors": {"road": [1, 2, 300]}}, ["is no color", "0 to 255"]),
        (
            {"classes": {}, "colors": {"road": [1, 2, 3], "sky": [1, 2, 3]}},
            ["sky and road are both [1, 2, 3]"],
        ),
        (
            {"classes": {}, "colors": {"road": [[1, 2, 3], [4, 5, 6]], "sky": [4, 5, 6]}},
            ["sky and road are both [4, 5, 6]"],
        ),
        ({"classes": {}, "colors": {"road": [[1, 2, 3], [4, 5]]}}, ["[4, 5] is no color"]),
        ({"classes": {}, "colors": {"road": [[1, 2, 3], 4]}}, ["is no color", "several such"]),
        ({"classes": {}, "colors": {"road": []}}, ["colors.road: [] is no color"]),
        ({"classes": {}, "colors": COLORS, "divide": 1000}, ["only ids are divided"]),
    ],
)
def test_every_mistake_is_named(city: Path, given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        folder(city, **given)
    text = str(caught.value)
    assert all(word in text for word in words), text


def test_a_wrong_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: is no folder; set source.root= or target.root="):
        folder(tmp_path / "nowhere")


def test_a_missing_mask_is_named_before_and_while_reading(city: Path) -> None:
    (city / "masks/train/inner/y.png").unlink()
    dataset = folder(city)
    told = list(dataset.missing({"label"}))
    assert len(told) == 1
    assert str(Path("masks/train/inner/y.png")) in told[0]
    assert "label_name=" in told[0]
    with pytest.raises(DataError, match=r"y\.jpg: has no label at"):
        dataset.read(1, {"label"})
    assert dataset.read(1, {"image"}).label is None
