"""Mapillary Vistas (Neuhold et al., ICCV 2017), releases 1.2 and 2.0.

Layout: `{training,validation,testing}/images/NAME.jpg` with palette PNGs of class ids in
`SPLIT/labels/NAME.png` (1.2 as it was first released) or `SPLIT/{v1.2,v2.0}/labels/NAME.png`.
`config.json` or `config_v1.2.json`, `config_v2.0.json` name the ids: an id is a place in `labels`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.mapillary_names import CITYSCAPES_WORDS, NAMES_1_2, NAMES_2_0
from uda_seg.data.datasets.writing import raw_ids, save_image, save_palette
from uda_seg.data.files.reading import load
from uda_seg.data.files.spelling import Spelling, find_folder, folder_of
from uda_seg.errors import DataError

LABELLED = ("training", "validation")
UNLABELED = "void--unlabeled"


def words_of(names: Sequence[str]) -> dict[int, str]:
    """Our name of the class by id, for the ids that count."""
    return {i: CITYSCAPES_WORDS[name] for i, name in enumerate(names) if name in CITYSCAPES_WORDS}


def readable(name: str) -> str:
    """The last part in words: `construction--flat--bike-lane` is bike lane."""
    return name.split("--")[-1].replace("-", " ")


def own_of(names: Sequence[str]) -> dict[int, str]:
    """Mapillary's own word by id, for ids that count and go by another name here."""
    own = {i: readable(names[i]) for i in words_of(names)}
    return {i: word for i, word in own.items() if word != words_of(names)[i]}


def void_of(names: Sequence[str], own: Sequence[str]) -> dict[int, str]:
    """Mapillary's own word by id, for the ids that do not count."""
    return {i: own[i] for i, name in enumerate(names) if name not in CITYSCAPES_WORDS}


class Mapillary(FileDataset):
    """Release 1.2, 66 ids.

    Args:
        root: holds the folders named above; a config file there has the last word on ids.
        split: training or validation; testing gives pictures alone.
    """

    names: Sequence[str] = NAMES_1_2
    """By id: Mapillary's `name` of the class, when there is no config file."""
    labels: Sequence[str] = ("labels", "v1.2/labels")
    """Where labels may lie, below the split; `write_sample` takes the first."""
    configs: Sequence[str] = ("config.json", "config_v1.2.json")
    terms = "research edition: CC BY-NC-SA, not for commercial use (recalled)"
    classes = words_of(NAMES_1_2)
    void = void_of(NAMES_1_2, [readable(name) for name in NAMES_1_2])
    own_names = own_of(NAMES_1_2)

    def __init__(self, root: str, split: str) -> None:
        images = self.pictures_in(folder_of(root, f"{split}/images"), "*.jpg")
        places = [f"{split}/{place}" for place in self.labels]
        labels = find_folder(root, *places) or Path(root) / places[0]
        self.has_labels = split in LABELLED
        super().__init__(
            root,
            [
                Files(image, label=labels / f"{image.stem}.png" if self.has_labels else None)
                for image in images
            ],
        )
        for config in self.configs:
            path = Spelling(self.root).one(self.root / config)
            if path.is_file():
                names, own = _read_config(path)
                self.classes, self.void = words_of(names), void_of(names, own)
                self.own_names = {i: own[i] for i, word in self.classes.items() if own[i] != word}
                break

    def prediction_name(self, index: int) -> str:
        """All in one folder, named as the images (mapillary/mapillary_vistas, README)."""
        return f"{self.files[index].image.stem}.png"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        name = f"{number:022d}"
        save_image(root / split / "images" / f"{name}.jpg", sample.image)
        colors = np.random.default_rng(0).integers(0, 256, (256, 3))
        (root / cls.configs[0]).write_text(cls._config(colors.tolist()), encoding="utf-8")
        if split in LABELLED:
            assert sample.label is not None
            ids = raw_ids(sample.label, cls.classes, void=cls.names.index(UNLABELED))
            save_palette(root / split / cls.labels[0] / f"{name}.png", ids, colors)

    @classmethod
    def _config(cls, colors: list[list[int]]) -> str:
        """A config file's text; its colors and readable names are not the official ones."""
        labels = [
            {"name": name, "readable": readable(name).title(), "color": color, "evaluate": True}
            for name, color in zip(cls.names, colors, strict=False)
        ]
        return json.dumps({"labels": labels}, indent=2)


class Mapillary2(Mapillary):
    """Release 2.0, 124 ids."""

    names = NAMES_2_0
    labels = ("v2.0/labels",)
    configs = ("config_v2.0.json",)
    classes = words_of(NAMES_2_0)
    void = void_of(NAMES_2_0, [readable(name) for name in NAMES_2_0])
    own_names = own_of(NAMES_2_0)


def _read_config(path: Path) -> tuple[list[str], list[str]]:
    """By id: `name`, and `readable` in small letters, of a config file."""
    try:
        labels = json.loads(load(path).tobytes())["labels"]
        names = [str(label["name"]) for label in labels]
        return names, [str(label.get("readable", label["name"])).lower() for label in labels]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: is no config file of Mapillary Vistas ({type(error).__name__}: {error}); "
            "unpack it again, or remove it to take the release's own class names"
        ) from error
