"""Predictions as a benchmark's test server wants them: a PNG of ids an image, at its own size."""

import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.classes import CITYSCAPES_TRAIN_IDS, canonical
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.writing import save_ids
from uda_seg.errors import ConfigError, show
from uda_seg.runs import files

KINDS = ("benchmark", "own_ids", "train_ids")
UNLABELLED = ("unlabeled", "void")
"""Names of the id for pixels that belong to no class, the first one there is."""


class Submission:
    """
    Args:
        folder: what is written is `folder/predictions`, and `folder/predictions.zip`.
        dataset: whose images are predicted.
        space: classes of the predictions.
        kind: "own_ids" are the dataset's, "train_ids" are Cityscapes', and "benchmark" is the one
            of them that the dataset's test server wants.
        chosen: class -> id, where several of the dataset's ids belong to one class.

    Raises:
        ConfigError: the dataset has no ids for these classes, or no file names of its own.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        space: LabelSpace,
        kind: str,
        chosen: Mapping[str, int],
    ) -> None:
        self.dataset = dataset
        self.folder, self.unfinished = folder / "predictions", folder / "predictions.unfinished"
        kind = dataset.benchmark_ids if kind == "benchmark" else kind
        if isinstance(dataset, MergedDataset):
            raise ConfigError(
                "save_predictions: cannot write ids for several datasets at once; "
                "evaluate them one by one"
            )
        if kind == "train_ids":
            self.table = raw_ids(space, CITYSCAPES_TRAIN_IDS, {255: "unlabeled"}, {}, chosen)
        elif not dataset.classes:
            raise ConfigError(
                f"save_predictions: {type(dataset).__name__} has no ids of its own; "
                "save_predictions=train_ids writes Cityscapes', and predict knows any pictures"
            )
        else:
            self.table = raw_ids(space, dataset.classes, dataset.void, dataset.own_names, chosen)
        names = Counter(dataset.prediction_name(index) for index in range(len(dataset)))
        name, times = names.most_common(1)[0]
        if times > 1:
            raise ConfigError(
                f"save_predictions: {times} images would be called {name}; evaluate their folders "
                "one by one"
            )
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def add(self, index: int, prediction: np.ndarray) -> None:
        """
        Args:
            index: of the image.
            prediction: (H, W) classes, at its own size.
        """
        name = self.dataset.prediction_name(index)
        save_ids(self.unfinished / name, self.table[prediction])

    def finish(self, zipped: bool) -> Path:
        """Puts the folder in its place. Returns it, or the archive with what it holds."""
        os.replace(self.unfinished, self.folder)
        if not zipped:
            return self.folder
        archive = self.folder.with_suffix(".zip")
        with (
            files.replacing(archive) as whole,
            zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as file,  # PNGs are compressed
        ):
            for path in sorted(self.folder.rglob("*.png")):
                file.write(path, path.relative_to(self.folder))
        return archive


def raw_ids(
    space: LabelSpace,
    names: Mapping[int, str],
    void: Mapping[int, str],
    own: Mapping[int, str],
    chosen: Mapping[str, int],
) -> np.ndarray:
    """(C,) uint8: the raw id of every class of a label space.

    Where several ids belong to one class, it is the one of them that is called like the class
    (Mapillary's road, not its lane markings), or the chosen one. Classes that the dataset has not
    get the id for unlabelled pixels: there they are wrong, as any other would be.

    Raises:
        ConfigError: an id is ambiguous, or there is none for unlabelled pixels.
    """
    unknown = [name for name in chosen if canonical(name) not in space.classes]
    unknown += [name for name, identifier in chosen.items() if identifier not in names]
    if unknown:
        raise ConfigError(
            f"prediction_ids: {', '.join(unknown)}: either no class of this network "
            f"({', '.join(space.classes)}), or not one of the ids {', '.join(map(str, names))}"
        )
    places = {identifier: space.place(name) for identifier, name in names.items()}
    wanted = {canonical(name): identifier for name, identifier in chosen.items()}
    unlabelled_id = next(
        (i for word in UNLABELLED for i, name in void.items() if name == word and i in range(256)),
        None,
    )
    table, ambiguous, missing = np.zeros(len(space), np.uint8), [], []
    example: dict[str, int] = {}
    for place, name in enumerate(space.classes):
        found = [identifier for identifier in names if places[identifier] == place]
        exact = [i for i in found if canonical(own.get(i, names[i])) == name]
        found = [wanted[name]] if name in wanted else exact if len(exact) == 1 else found
        if len(found) > 1:
            words = ", ".join(f"{i} {own.get(i, names[i])}" for i in found[:6])
            ambiguous.append(f"{name} ({words})")
            example[name] = found[0]
            continue
        identifier = found[0] if found else unlabelled_id
        if identifier is None:
            missing.append(name)
        else:
            table[place] = identifier
    if ambiguous:
        raise ConfigError(
            f"save_predictions: several ids belong to {'; '.join(ambiguous)}. Choose one for each, "
            f"such as 'prediction_ids={show(example)}'"
        )
    if missing:
        raise ConfigError(
            f"save_predictions: there are no ids for {', '.join(missing)}, nor one for unlabelled "
            "pixels"
        )
    return table
