"""An image as a vector, by which it is found again in another domain.

`features`: the deepest map, averaged over the image (global average pooling, Lin et al., Network in
Network, ICLR 2014, arXiv:1312.4400). `classes`: where the network sees which classes, as the
histogram of its softmax in the cells of a spatial pyramid (see `layout`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.retrieval.layout import WEIGHTS, cells


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
        "classes": pyramid(prediction.logits.float().softmax(1)),
    }
    return {name: F.normalize(vector, dim=1).cpu() for name, vector in vectors.items()}


def pyramid(probabilities: Tensor) -> Tensor:
    """(B, C, H, W) to (B, CELLS · C): means over the cells, times the roots of their weights, so
    that in a dot product every level counts the same.
    """
    means = [
        probabilities[..., rows, columns].mean((2, 3))
        for rows, columns in cells(*probabilities.shape[-2:])
    ]
    roots = torch.tensor(WEIGHTS, dtype=torch.float32, device=probabilities.device).sqrt()
    return (torch.stack(means, 1) * roots[:, None]).flatten(1)
