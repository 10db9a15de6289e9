"""CBST and CRST: learn one's own labels of target images, a class as much as another, in rounds.

Zou et al., Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced
Self-Training, ECCV 2018, https://arxiv.org/abs/1810.07911
Zou et al., Confidence Regularized Self-Training, ICCV 2019, https://arxiv.org/abs/1908.09822

Faithful to: the authors' published code (`yzou2/CRST` at commit f7e4df0), by its thresholds, labels
and losses; `tests/methods/test_cbst.py` holds it to that. Ours: the network that a round began with
labels each crop again instead of whole images once; the source takes part by its weight instead of
by a share of its images; crops are not centred on rare classes.
"""

import copy
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.batch import IGNORE, Batch, Target, TargetPass, divisor
from uda_seg.components.confidences import Confidences
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.losses import cross_entropy, per_pixel
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.ensemble import Ensemble

EVERY = 4
"""Of a class's pixels in an image, in rows, every fourth counts for its threshold: their code."""
LABELS = ("hard", "soft")


class CBST(Method):
    """
    Args:
        rounds: each with labels of its own.
        first_round: share of the run before the first of them, on the source alone.
        portion: of a class's pixels that are sure enough in the first round, the paper's p.
        portion_step: by which it grows in each later round.
        largest_portion: it grows up to that.
        scale: of the images that are labelled.
        mirror: whether labels are those of an image and its mirror image together.
        labels: "hard" (CBST, MRKLD), or "soft" (LRENT).
        smoothness: of soft labels, LRENT's α.

    A weight of `kld` adds MRKLD: predictions on labelled pixels are kept from being too sure.
    """

    thresholds: Tensor
    """(C,): k_c, by which a class's probabilities are divided."""

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        rounds: int,
        first_round: float,
        portion: float,
        portion_step: float,
        largest_portion: float,
        scale: float,
        mirror: bool,
        labels: str,
        smoothness: float,
    ) -> None:
        super().__init__(network, weights)
        if labels not in LABELS:
            raise ValueError(f"labels: {labels!r} is unknown; choose from {', '.join(LABELS)}")
        self.rounds, self.first_round = rounds, first_round
        self.portion, self.portion_step = portion, portion_step
        self.largest_portion = largest_portion
        self.scale, self.mirror = scale, mirror
        self.labels, self.smoothness = labels, smoothness
        self.labeller = Ensemble([copy.deepcopy(network)], mean="logits")
        self.register_buffer("thresholds", torch.ones(network.classes))

    def losses(self, batch: Batch) -> Iterator[Losses]:
        source = self.network(batch.source.image, "source")
        yield {"segmentation": cross_entropy(source.logits, batch.source.label)}
        logits = self.network(batch.target.image, "target").logits
        yield self.taught(logits, self.soft_label(batch.target.image))

    def taught(self, logits: Tensor, label: Tensor) -> Losses:
        """Means over the labelled pixels.

        Args:
            logits: (B, C, H, W), of target images.
            label: (B, C, H, W), see `soft_label`.
        """
        kept = label.sum(1) > 0
        count = divisor(kept.sum())
        own, uniform = per_pixel(_surprises, logits, label).unbind(1)
        losses = {"pseudo_label": own.sum() / count}
        if "kld" in self.weights:
            losses["kld"] = (uniform * kept).sum() / count
        return losses

    @torch.no_grad()
    def soft_label(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of target images (B, 3, H, W): shares with a sum of 1; 0 without a label."""
        if self.round == 0:
            return image.new_zeros(len(image), self.network.classes, *image.shape[-2:])
        probabilities = self.probabilities(image)
        if self.labels == "soft":
            return smooth_labels(probabilities, self.thresholds, self.smoothness)
        label = balanced_labels(probabilities, self.thresholds)
        one_hot = F.one_hot(label.where(label != IGNORE, 0), self.network.classes)
        return one_hot.movedim(3, 1) * (label != IGNORE)[:, None]

    def probabilities(self, image: Tensor) -> Tensor:
        """(B, C, H, W): what the network that the round began with says of target images."""
        seen = image
        if self.scale != 1:
            seen = F.interpolate(image, scale_factor=self.scale, mode="bilinear")
        found = self._asked(seen, image)
        return (found + self._asked(seen.flip(3), image).flip(3)) / 2 if self.mirror else found

    def _asked(self, image: Tensor, like: Tensor) -> Tensor:
        prediction = self.labeller.networks[0](image, "target")
        size = (like.shape[-2], like.shape[-1])
        aligned = bool(getattr(self.network, "align_corners", False))
        logits = prediction.smallest_logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=aligned).softmax(1)

    def start_round(self, target_images: TargetPass) -> None:
        """The network as it is now becomes the one that labels."""
        self.labeller.networks[0].load_state_dict(self.network.state_dict())
        confidences = Confidences(self.network.classes, target_images.device, EVERY)
        for images in target_images:
            confidences.add(self.probabilities(images.image))
        confidences.share()
        grown = self.portion + (self.round - 1) * self.portion_step
        places = (confidences.counts.double() * min(grown, self.largest_portion)).floor().long()
        self.thresholds.copy_(confidences.largest(places))

    def get_extra_state(self) -> dict[str, int]:
        return {"round": self.round}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.round = state["round"]

    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        if self.round == 0:
            return None
        soft = self.soft_label(target.image)
        kept = soft.sum(1) > 0
        return PseudoLabels(soft.argmax(1).where(kept, IGNORE), kept.float())

    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        pseudo = self.pseudo_label(target)
        return {} if pseudo is None else {"pseudo_label": pseudo.label}


def _surprises(logits: Tensor, label: Tensor) -> Tensor:
    """(B, 2, H, W): cross-entropy of the label, and of all classes alike."""
    log_probabilities = logits.log_softmax(1)
    return -torch.stack([(label * log_probabilities).sum(1), log_probabilities.mean(1)], 1)


def balanced_labels(probabilities: Tensor, thresholds: Tensor) -> Tensor:
    """The class with the largest P / k, IGNORE where that is below 1: (B, C, H, W) to (B, H, W)."""
    score, label = (probabilities / thresholds[:, None, None]).max(1)
    return label.where(score >= 1, IGNORE)


def smooth_labels(probabilities: Tensor, thresholds: Tensor, smoothness: float) -> Tensor:
    """LRENT's labels y ~ (P / k)^(1 / α), where they cost less than having none.

    Args:
        probabilities: (B, C, H, W).
        thresholds: (C,).
        smoothness: α.

    Returns:
        (B, C, H, W), sums of 1; 0 where -Σ y log P + α Σ y log y is not below -Σ y log k.
    """
    log_probabilities = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()
    log_thresholds = thresholds.log()[:, None, None]
    log_label = ((log_probabilities - log_thresholds) / smoothness).log_softmax(1)
    label = log_label.exp()
    costs = (label * (smoothness * log_label - log_probabilities)).sum(1, keepdim=True)
    return label * (costs < -(label * log_thresholds).sum(1, keepdim=True))
