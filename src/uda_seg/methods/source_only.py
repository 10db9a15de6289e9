"""The three rows every method is measured against: lower bound, control, upper bound."""

from collections.abc import Iterator

import torch

from uda_seg.batch import Batch, Source
from uda_seg.losses import cross_entropy
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.prediction import Prediction

WITHOUT_AUXILIARY = (
    "set the weights of its losses to null (method.weights.segmentation_auxiliary and so on), as "
    "method=adaptseg_single does"
)
"""How a method does without a network's auxiliary head."""


def supervision(prediction: Prediction, source: Source, auxiliary: bool) -> Losses:
    """Cross-entropy at the main level, and at the auxiliary one if it is wanted."""
    losses = {"segmentation": cross_entropy(prediction.logits, source.label)}
    if auxiliary:
        logits = prediction.required("auxiliary_logits", WITHOUT_AUXILIARY)
        losses["segmentation_auxiliary"] = cross_entropy(logits, source.label)
    return losses


class SourceOnly(Method):
    """No adaptation: the network never sees a target image.

    With a weight of `segmentation_auxiliary` it trains the auxiliary head too.
    """

    reads_target = False

    def losses(self, batch: Batch) -> Iterator[Losses]:
        prediction = self.network(batch.source.image, "source")
        yield supervision(prediction, batch.source, "segmentation_auxiliary" in self.weights)


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
