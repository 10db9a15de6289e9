"""One side of a retrieval: some images of a domain, and what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import Subset

from uda_seg.batch import IGNORE
from uda_seg.data.feeding.evaluation_set import EvaluationSet, collate_evaluation
from uda_seg.data.feeding.streams import Loader
from uda_seg.retrieval.descriptors import describe
from uda_seg.retrieval.layout import layout
from uda_seg.runs.bars import track


@dataclass
class Side:
    domain: str
    """`source` or `target`."""
    name: str
    """Of the dataset."""
    split: str
    pictures: EvaluationSet
    indices: list[int]
    """Which of them take part."""
    classes: tuple[str, ...]
    """Of the networks."""

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


def counted(sides: Mapping[str, Side]) -> list[int]:
    """Ids of the classes that both sides' labels tell apart; empty when one has no labels."""
    return sorted(set.intersection(*(side.labelled for side in sides.values())) - {IGNORE})


def describe_all(
    side: Side,
    networks: Mapping[str, nn.Module],
    counted: list[int],
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
        layouts += [layout(one.numpy(), counted, len(side.classes)) for one in batch.label]
    described = {
        name: {descriptor: torch.cat(parts).numpy() for descriptor, parts in by_name.items()}
        for name, by_name in found.items()
    }
    return described, np.stack(layouts) if counted else None
