"""Draw ToyTown to disk, in the layout and encoding of a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from uda_seg.config import conf_folder, locate, own_folder
from uda_seg.data.datasets.base import FileDataset, Sample
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import ConfigError, suggest
from uda_seg.runs import files
from uda_seg.runs.bars import track
from uda_seg.runs.stopping import in_worker


def run(config: dict[str, Any], folder: Path) -> None:
    group, node = find_layout(config["layout"], [*filter(None, [own_folder()])])
    root = Path(config["root"])
    draw(node, root, config)
    name = config["layout"]
    print(
        f"{root}: look at it with: python -m uda_seg data check {group}={name} {group}.root={root}"
    )


def draw(node: Mapping[str, Any], root: Path, settings: Mapping[str, Any]) -> None:
    """Writes all splits, which take their place when they are whole.

    Args:
        node: the config of a dataset in files.
        root: must not exist, or be empty.
        settings: domain, length, size, seed, workers as in `conf/data_draw.yaml`.

    Raises:
        DataError: there is something in the way.
    """
    dataset: type[FileDataset] = locate(node["_target_"])  # type: ignore[assignment]
    with files.new_folder(root, "root") as unfinished:
        for (split, town), length in zip(splits_of(node).items(), settings["length"]):
            drawn = Drawing(settings["domain"], town, length, settings["size"], settings["seed"])
            loader = DataLoader(
                drawn,
                batch_size=None,
                num_workers=settings["workers"],
                prefetch_factor=None,
                worker_init_fn=in_worker,
            )
            for number, sample in enumerate(track(loader, f"{split} split", len(drawn))):
                dataset.write_sample(unfinished, split, number, sample)


def splits_of(node: Mapping[str, Any]) -> dict[str, str]:
    """The dataset's name of a split to ToyTown's; one where it has no split of its own."""
    train, val = node["train_split"], node["val_split"]
    return {train: "train"} if val == train else {train: "train", val: "val"}


class Drawing(TorchDataset):
    """Scenes of ToyTown with all their fields."""

    def __init__(self, domain: str, split: str, length: int, size: list[int], seed: int) -> None:
        self.town = ToyTown(domain, split, {split: length}, size, seed)

    def __len__(self) -> int:
        return len(self.town)

    def __getitem__(self, index: int) -> Sample:
        return self.town.read(index, {"image", "label", "depth"})


def find_layout(name: str, own_folders: Sequence[Path] = ()) -> tuple[str, dict[str, Any]]:
    """The group and config of a dataset that can be drawn; folders of the user's own come first.

    Raises:
        ConfigError: there is none of that name; tells which there are.
    """
    known = layouts(own_folders)
    if name not in known:
        hint = f"{suggest(name, known)}choose from {', '.join(known)}"
        raise ConfigError(f"layout={name}: unknown, {hint}")
    return known[name]


def layouts(own_folders: Sequence[Path] = ()) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name to group and config of every dataset in files that knows how it is written."""
    found = {}
    paths = [path for folder in (*own_folders, conf_folder()) for path in folder.glob("*/*.yaml")]
    for path in sorted(paths, key=lambda p: (p.stem, p.parent.name)):
        if path.parent.name in ("source", "target"):
            node: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
            dataset: Any = locate(node["_target_"]) if "_target_" in node else object
            write = getattr(dataset, "write_sample", None)
            base: Any = FileDataset.write_sample
            if path.stem not in found and write and write.__func__ is not base.__func__:
                found[path.stem] = (path.parent.name, node)
    return found
