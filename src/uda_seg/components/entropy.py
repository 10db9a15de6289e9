"""How unsure predictions are: ADVENT's information maps, FDA's penalty of entropy."""

import math

from torch import Tensor

LEAST = 1e-30
"""Added to a probability before its logarithm, as in ADVENT's code."""


def information(probabilities: Tensor) -> Tensor:
    """Each class's share -p log p of a pixel's entropy, the largest possible entropy being 1.

    Vu et al., ADVENT, CVPR 2019, arXiv:1811.12833, "weighted self-information".

    Args:
        probabilities: (B, C, H, W).

    Returns:
        (B, C, H, W) in [0, 1].
    """
    bits = math.log2(probabilities.shape[1])
    return -probabilities * (probabilities + LEAST).log2() / bits


def normalised_entropy(logits: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W) in [0, 1]: 0 is sure, 1 knows nothing."""
    log_probabilities = logits.log_softmax(1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(1)
    return entropy / math.log(max(logits.shape[1], 2))


def robust_entropy(logits: Tensor, exponent: float) -> Tensor:
    """The mean of (h² + 1e-8)^exponent over pixels, h being their normalised entropy.

    Yang and Soatto, FDA, CVPR 2020, arXiv:2004.05498: above an exponent of 0.5 the unsure pixels
    weigh more than the sure ones.

    Args:
        logits: (B, C, H, W).
        exponent: the paper's η.
    """
    return (normalised_entropy(logits).square() + 1e-8).pow(exponent).mean()
