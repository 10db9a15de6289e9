"""Choosing a checkpoint without target labels.

Information maximisation (Krause et al., Discriminative Clustering by Regularized Information
Maximization, NeurIPS 2010; as a validator: Musgrave et al., arXiv 2208.07360): good predictions are
each confident (low mean entropy), and together use all classes (high entropy of the mean).
"""

import math

import torch
from torch import Tensor
from torchmetrics import Metric


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

    def update(self, logits: Tensor) -> None:
        """`logits`: (B, C, H, W) of target images."""
        log_probabilities = logits.float().log_softmax(1)
        probabilities = log_probabilities.exp()
        self.probabilities = self.probabilities + probabilities.mean((2, 3)).sum(0)
        entropy = -(probabilities * log_probabilities).sum(1)
        self.entropies = self.entropies + entropy.mean((1, 2)).sum()
        self.images = self.images + len(logits)

    def compute(self) -> Tensor:
        mean = self.probabilities / self.images
        return torch.special.entr(mean).sum() - self.entropies / self.images

    def mean_normalised_entropy(self) -> Tensor:
        """Mean of H(p) / ln C over all pixels: 0 is certain, 1 knows nothing."""
        with self.sync_context():
            return self.entropies / self.images / math.log(self.probabilities.numel())
