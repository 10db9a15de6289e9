"""The three rows every method is measured against: lower bound, control, upper bound."""

from collections.abc import Iterator, Mapping

import torch

from uda_seg.batch import Batch, Source
from uda_seg.losses import cross_entropy
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction


def supervision(prediction: Prediction, source: Source, levels: str) -> Losses:
    """Cross-entropy at the main level, and at the auxiliary one when `levels` is "multi"."""
    losses = {"segmentation": cross_entropy(prediction.logits, source.label)}
    if levels == "multi":
        auxiliary = prediction.required("auxiliary_logits")
        losses["segmentation_auxiliary"] = cross_entropy(auxiliary, source.label)
    return losses


class SourceOnly(Method):
    """No adaptation: the network never sees a target image.

    Args:
        levels: "single", or "multi" to train the auxiliary head too, as multi-level methods do.
    """

    reads_target = False

    def __init__(
        self, network: SegmentationNetwork, weights: Mapping[str, float | None], levels: str
    ) -> None:
        super().__init__(network, weights)
        self.levels = levels

    def losses(self, batch: Batch) -> Iterator[Losses]:
        prediction = self.network(batch.source.image, "source")
        yield supervision(prediction, batch.source, self.levels)


class AdaptiveBatchNorm(SourceOnly):
    """The control: target images pass through the network and move batch-norm statistics only.

    It is an adversarial method's run with that method's weights at zero, so what a method gains
    over this row is its own. (Li et al., Revisiting Batch Normalization, arXiv:1603.04779,
    replaces the statistics; here they mix, as AdaptSegNet's code lets them.)
    """

    reads_target = True

    def losses(self, batch: Batch) -> Iterator[Losses]:
        yield from super().losses(batch)
        with torch.no_grad():
            self.network(batch.target.image, "target")


class TargetOnly(SourceOnly):
    """The oracle: trained on the target's labels, which no other method may open."""

    supervised_by = "target"
