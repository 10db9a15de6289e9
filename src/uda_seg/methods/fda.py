"""FDA: source images in the style of target images, sure predictions, and networks that label.

Yang and Soatto, FDA: Fourier Domain Adaptation for Semantic Segmentation, CVPR 2020,
https://arxiv.org/abs/2004.05498

Faithful to: the authors' published loops (`YanchaoYang/FDA` at commit b9a0cdf), by their step order
and constants; `tests/methods/test_fda.py` holds it to that. The swap is the paper's symmetric one.
Ours: where a round's labels come from (other runs' networks, asked for each crop again).
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from uda_seg.batch import IGNORE, Batch, Source, Target, TargetPass
from uda_seg.components.confidences import Confidences
from uda_seg.components.entropy import normalised_entropy, robust_entropy
from uda_seg.components.fourier import with_style
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.losses import cross_entropy
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.ensemble import Ensemble


class FDA(Method):
    """
    Args:
        band: the paper's β: what share of the shorter side the swapped frequencies reach.
        square: see `with_style`.
        exponent: of the penalty of entropy, the paper's η.
        switch2entropy: the entropy counts in the steps after this one.
        unlabelled_share: of a class's pixels, the least sure ones, which get no label in a later
            round. Their code: 0.66; the paper: 0.34.
        certain: a class's threshold is at most this.

    Given `labellers`, it is a later round of the multi-band transfer: what they say together of
    target images, where it is sure, is learnt as well.
    """

    steps: Tensor
    """How many there have been."""
    thresholds: Tensor
    """(C,): least probability of a label, by class."""

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        band: float,
        square: str,
        exponent: float,
        switch2entropy: int,
        unlabelled_share: float,
        certain: float,
        labellers: Sequence[SegmentationNetwork] = (),
    ) -> None:
        taught = {} if labellers else {"pseudo_label": None}
        super().__init__(network, {**weights, **taught})
        self.band, self.square, self.exponent = band, square, exponent
        self.switch2entropy = switch2entropy
        self.unlabelled_share, self.certain = unlabelled_share, certain
        self.labellers = Ensemble(labellers, mean="probabilities") if labellers else None
        self.rounds = 1 if labellers else 0
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("thresholds", torch.ones(network.classes))

    def losses(self, batch: Batch) -> Iterator[Losses]:
        image = self.styled(batch.source, batch.target)
        source = self.network(image, "source")
        yield {"segmentation": cross_entropy(source.logits, batch.source.label)}
        target = self.network(batch.target.image, "target")
        entropy = robust_entropy(target.smallest_logits, self.exponent)
        losses = {"entropy": entropy * (self.steps > self.switch2entropy)}
        pseudo = self.pseudo_label(batch.target)
        if pseudo is not None:
            losses["pseudo_label"] = cross_entropy(target.logits, pseudo.label)
        yield losses

    @torch.no_grad()
    def styled(self, source: Source, target: Target) -> Tensor:
        """Source images in the style of target images: their own batch's, one by one; of those that
        are labelled, the next one's.
        """
        style = target.image if self.labellers is None else target.image.roll(1, 0)
        return with_style(source.image, style, self.band, self.square)

    def after_step(self) -> None:
        self.steps += 1

    def get_extra_state(self) -> dict[str, int]:
        return {"round": self.round}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.round = state["round"]

    def start_round(self, target_images: TargetPass) -> None:
        """How sure the labellers must be of each class."""
        assert self.labellers is not None
        confidences = Confidences(self.network.classes, target_images.device)
        for images in target_images:
            confidences.add(self.labellers(images.image).logits.softmax(1))
        confidences.share()
        self.thresholds.copy_(thresholds(confidences, self.unlabelled_share, self.certain))

    @torch.no_grad()
    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        """What the labellers say together, where they are sure enough."""
        if self.labellers is None or self.round == 0:
            return None
        confidence, label = self.labellers(target.image).logits.softmax(1).max(1)
        label = label.where(confidence >= self.thresholds[label], IGNORE)
        return PseudoLabels(label, (label != IGNORE).float())

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """How unsure it is."""
        logits = self.network(target.image, "target").logits
        return {"entropy": normalised_entropy(logits)[:, None].clamp(0, 1)}

    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        pseudo = self.pseudo_label(target)
        return {} if pseudo is None else {"pseudo_label": pseudo.label}


def thresholds(confidences: Confidences, unlabelled_share: float, certain: float) -> Tensor:
    """(C,): of a class's confidences, from the least on, the one behind the share that is left out;
    at most `certain`; 0 for a class that never wins.
    """
    counts = confidences.counts
    left_out = (counts.double() * unlabelled_share).round().long()
    found = confidences.largest((counts - left_out).clamp(min=1)).clamp(max=certain)
    return found.where(counts > 0, 0.0)
