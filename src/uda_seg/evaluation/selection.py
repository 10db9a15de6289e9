"""Choosing a checkpoint without target labels.

Information maximisation (Krause et al., Discriminative Clustering by Regularized Information
Maximization, NeurIPS 2010; as a validator: Musgrave et al., arXiv 2208.07360): good predictions are
each confident (low mean entropy), and together use all classes (high entropy of the mean).

Soft neighbourhood density (Saito et al., Tune it the Right Way: Unsupervised Validation of Domain
Adaptation via Soft Neighborhood Density, ICCV 2021, arXiv 2108.10860; recalled): a good network's
answers for a pixel are like those for many others.

Agreement with the teacher (ours): how many pixels a network and the mean of its past call the same.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from uda_seg.evaluation.enlarged import Enlarged

CACHED = 2**18
"""Numbers, 1 MB of them."""
STEEP = 80.0
"""Logits that differ by more, in powers of e, do not fit into float32 side by side."""


def cached_parts(logits: Tensor) -> tuple[Tensor, ...]:
    """Rows of (B, C, H, W), on a CPU as many at once as its caches hold: what is worked out of a
    pixel's numbers in several passes then takes a quarter of the time.
    """
    if not logits.is_cpu:
        return (logits,)
    return logits.split(max(1, CACHED * logits.shape[2] // logits.numel()), 2)


class InformationMaximisation(Metric):
    """H(mean of p) - mean of H(p) over all pixels, in nats: 0 to ln C, higher is better.

    Images weigh the same whatever their size. Sums are kept per image, so they are exact enough in
    float32, which every device has.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    probabilities: Tensor
    entropies: Tensor
    images: Tensor

    def __init__(self, classes: int | None = None) -> None:
        super().__init__()
        # A sum over processes wants the right shape from the start; 0 + (C,) has it too.
        shape = () if classes is None else (classes,)
        self.add_state("probabilities", torch.zeros(shape), dist_reduce_fx="sum")
        self.add_state("entropies", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Tensor | Enlarged) -> None:
        """`logits`: (B, C, H, W) of target images."""
        pixels = logits.shape[2] * logits.shape[3]
        with torch.autocast(self.entropies.device.type, enabled=False):
            sums = [_weighed(part) for part in _lowered(logits)]
            used, certain = (torch.stack(each).sum(0) for each in zip(*sums, strict=True))
        self.probabilities = self.probabilities + used / pixels
        self.entropies = self.entropies - certain / pixels
        self.images = self.images + logits.shape[0]

    def compute(self) -> Tensor:
        mean = self.probabilities / self.images
        return torch.special.entr(mean).sum() - self.entropies / self.images

    def mean_normalised_entropy(self) -> Tensor:
        """Mean of H(p) / ln C over all pixels: 0 is certain, 1 knows nothing."""
        with self.sync_context():
            return self.entropies / self.images / math.log(self.probabilities.numel())


def _lowered(logits: Tensor | Enlarged) -> Iterator[Tensor]:
    """Parts (n, C, …) less what is the same for all classes of a pixel, so that none is above 0."""
    if isinstance(logits, Enlarged):
        steep = float(logits.lower.maps.min()) < -STEEP
        for _, part in logits.lower.parts():
            yield part - part.amax(1, keepdim=True) if steep else part
        return
    for part in cached_parts(logits.float()):
        yield part - part.amax(1, keepdim=True)


def _weighed(lower: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of p (C,) and of p log p, which is p (lower - log Σ exp lower): with one exponential a
    number.
    """
    probabilities = lower.exp()
    sums = probabilities.sum(1, keepdim=True)
    probabilities *= sums.reciprocal()
    certain = probabilities.flatten() @ lower.flatten() - sums.log().sum()
    return probabilities.sum([0, *range(2, lower.dim())]), certain


class MeanOverImages(Metric):
    """A number of each image, averaged; images weigh the same whatever their size."""

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    total: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def add(self, numbers: Tensor) -> None:
        """`numbers`: (B,)."""
        self.total = self.total + numbers.sum()
        self.images = self.images + len(numbers)

    def compute(self) -> Tensor:
        return self.total / self.images


class SoftNeighbourhoodDensity(MeanOverImages):
    """Mean entropy of how like each other pixels are, in nats: 0 to ln 1023, higher is better.

    Probabilities, scaled to length 1, of 32 x 32 pixels of an image; the softmax of a pixel's
    products with all others, at a temperature of 0.05.
    """

    GRID, TEMPERATURE = (32, 32), 0.05

    def update(self, logits: Tensor | Enlarged) -> None:
        """`logits`: (B, C, H, W) of target images."""
        if isinstance(logits, Enlarged):
            chosen = logits.sampled(self.GRID).flatten(2)
        else:
            chosen = F.interpolate(logits.float(), self.GRID, mode="nearest").flatten(2)
        directions = F.normalize(chosen.softmax(1), dim=1)
        # From -20, for products of what is not negative, to 0: the exponential is never 0.
        lower = (directions.transpose(1, 2) @ directions - 1) / self.TEMPERATURE
        shares = lower.exp()
        shares.diagonal(dim1=1, dim2=2).zero_()
        sums = shares.sum(2)
        self.add((sums.log() - (shares * lower).sum(2) / sums).mean(1))


class TeacherAgreement(MeanOverImages):
    """Share of pixels that two networks call the same, in [0, 1]."""

    def update(self, logits: Tensor | Enlarged, teachers: Tensor) -> None:
        """Both (B, C, H, W) of target images."""
        # `max` takes a sixth of the time of `argmax`.
        waits = isinstance(logits, Enlarged)
        ours = logits.classes() if waits else logits.max(1).indices
        same = ours == teachers.max(1).indices
        self.add(same.float().mean((1, 2)))
