"""One side of a retrieval: some images of a domain, and what is known of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Subset

from uda_seg.batch import IGNORE
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.datasets.opening import open_scored
from uda_seg.data.feeding.evaluation_set import EvaluationSet, collate_evaluation
from uda_seg.data.feeding.streams import Loader
from uda_seg.errors import ConfigError
from uda_seg.retrieval.descriptors import describe
from uda_seg.retrieval.layout import layout
from uda_seg.runs.bars import track

log = logging.getLogger(__name__)


@dataclass
class Side:
    domain: str
    """`source` or `target`."""
    name: str
    """The dataset's name."""
    split: str
    pictures: EvaluationSet
    indices: list[int]
    """Which of them take part."""
    classes: tuple[str, ...]
    """The classes of the networks."""

    @property
    def labels(self) -> bool:
        return self.pictures.dataset.has_labels

    @property
    def labelled(self) -> set[int]:
        """Ids of the classes that its labels tell apart."""
        return set(self.pictures.encode.table.tolist()) & set(range(len(self.classes)))

    def name_of(self, place: int) -> str:
        return self.pictures.dataset.name(self.indices[place])

    def shown(self, place: int, network: nn.Module) -> tuple[np.ndarray, np.ndarray]:
        """An image (H, W, 3) uint8, and its label (h, w); what the network predicts without one."""
        image, label, _ = self.pictures[self.indices[place]]
        if self.labels:
            classes = label.numpy()
        else:
            device = next(network.parameters()).device
            with torch.no_grad():
                answered = network(image[None].to(device).float() / 255, domain=self.domain)
            classes = answered.logits[0].argmax(0).cpu().numpy().astype(np.uint8)
        return image.permute(1, 2, 0).numpy(), classes


def open_side(domain: str, config: Mapping[str, Any], names: Sequence[str]) -> Side:
    """
    Args:
        domain: `source` or `target`.
        config: of the command.
        names: of the networks' classes.

    Raises:
        ConfigError: it has too few images.
    """
    classes = tuple(names)
    node = config[domain]
    split = config[f"{domain}_split"] or node["val_split"]
    scored = EvaluationSet(open_scored(node, split), node.get("size"), LabelSpace(classes))
    indices = evenly_spaced(len(scored), config["limit"] or len(scored))
    if len(indices) < 2:
        raise ConfigError(
            f"{domain}={node['name']}: its split {split} has one image; two are needed"
        )
    return Side(domain, node["name"], split, scored, indices, classes)


def say_what_counts(sides: Mapping[str, Side], common: Sequence[int], ks: Sequence[int]) -> None:
    """
    Raises:
        ConfigError: both have labels, but of different things.
    """
    smallest = min(len(side.indices) for side in sides.values())
    if max(ks) > smallest:
        log.warning("k=%s: a side has only %d images, all of which then count", ks, smallest)
    bare = [f"{side.domain}={side.name}" for side in sides.values() if not side.labels]
    if bare:
        log.warning("%s: no labels, so nothing tells what is relevant", ", ".join(bare))
        return
    classes = sides["source"].classes
    if not common:
        raise ConfigError(
            f"source={sides['source'].name} and target={sides['target'].name}: no class of the "
            f"network's ({', '.join(classes)}) is labelled in both"
        )
    missing = [name for place, name in enumerate(classes) if place not in common]
    if missing:
        log.warning("%s: not labelled on both sides, left out of layouts", ", ".join(missing))


def common_classes(sides: Mapping[str, Side]) -> list[int]:
    """Ids of the classes that both sides' labels tell apart; empty when one has no labels."""
    return sorted(set.intersection(*(side.labelled for side in sides.values())) - {IGNORE})


def describe_all(
    side: Side,
    networks: Mapping[str, nn.Module],
    common: list[int],
    batch_size: int,
    workers: int,
) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray | None]:
    """Reads every image once.

    Returns:
        By network and descriptor (N, D), rows of length 1; and the layouts (N, CELLS, C) of the
        labels, None without any.
    """
    loader = Loader(
        Subset(side.pictures, side.indices),
        collate_evaluation,
        batch_size=batch_size,
        num_workers=workers,
    )
    found: dict[str, dict[str, list[torch.Tensor]]] = {name: {} for name in networks}
    layouts = []
    for batch in track(loader, f"{side.domain} {side.name}", len(loader)):
        for name, network in networks.items():
            image = batch.image.to(next(network.parameters()).device).float() / 255
            for descriptor, vectors in describe(network, image, side.domain).items():
                found[name].setdefault(descriptor, []).append(vectors)
        layouts += [layout(one.numpy(), common, len(side.classes)) for one in batch.label]
    described = {
        name: {descriptor: torch.cat(parts).numpy() for descriptor, parts in by_name.items()}
        for name, by_name in found.items()
    }
    return described, np.stack(layouts) if common else None
