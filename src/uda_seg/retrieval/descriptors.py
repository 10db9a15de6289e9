"""An image as a vector, by which it is found again in another domain.

`features`: the deepest map, averaged over the image (global average pooling, Lin et al., Network in
Network, ICLR 2014, arXiv:1312.4400). `classes`: where the network sees which classes, as the
histogram of its softmax in the cells of a spatial pyramid (see `layout`).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.evaluation.enlarged import Enlarged, each_of, parts_of
from uda_seg.retrieval.layout import CELLS, WEIGHTS, cells


@torch.no_grad()
def describe(network: nn.Module, image: Tensor, domain: str) -> dict[str, Tensor]:
    """By name, (B, D) float32 on the CPU, each vector of length 1.

    Args:
        network: in evaluation mode.
        image: (B, 3, H, W) in [0, 1].
        domain: whose images these are, `source` or `target`.
    """
    prediction = network(image, domain=domain)
    vectors = {
        "features": prediction.features.float().mean((2, 3)),
        "classes": torch.stack([pyramid(logits) for logits in each_of(prediction)]),
    }
    return {name: F.normalize(vector, dim=1).cpu() for name, vector in vectors.items()}


def pyramid(logits: Tensor | Enlarged) -> Tensor:
    """(1, C, H, W) to (CELLS · C,): mean probabilities over the cells, times the roots of their
    weights, so that in a dot product every level counts the same.
    """
    means: list[Any] = [0.0] * CELLS
    for new, part in parts_of(logits):
        probabilities = part.softmax(1)
        for place, (rows, columns) in enumerate(cells(*logits.shape[2:])):
            inside = slice(max(0, rows.start - new.start), max(0, rows.stop - new.start))
            pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
            means[place] = means[place] + probabilities[inside, :, columns].sum((0, 2)) / pixels
    found = torch.stack(means)
    roots = torch.tensor(WEIGHTS, dtype=torch.float32, device=found.device).sqrt()
    return (found * roots[:, None]).flatten()
