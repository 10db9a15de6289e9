"""AdaptSegNet: fool a discriminator that sees predictions, at one or more levels.

Tsai et al., Learning to Adapt Structured Output Space for Semantic Segmentation, CVPR 2018,
https://arxiv.org/abs/1802.10349

Faithful to: the authors' published loop (`train_gta2cityscapes_multi.py` at commit fca9ff0), by its
step order and constants; `tests/methods/test_adaptsegnet.py` holds it to that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import Batch, Target
from uda_seg.components.adversary import Adversary, without_idle_discriminators
from uda_seg.methods.base import Losses, Method
from uda_seg.methods.source_only import WITHOUT_AUXILIARY, supervision
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction

LEVELS = ("feature", "main", "auxiliary")
"""Where a discriminator may look: at the deepest features, or at one of the predictions."""


class AdaptSegNet(Method):
    """
    Args:
        gan: "vanilla" or "ls".
        discriminator: makes a discriminator for a number of input channels.

    A level has a discriminator if `adversarial_LEVEL` has a weight: "single" in the paper is main,
    "multi" is main and auxiliary, with `segmentation_auxiliary`.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        gan: str,
        discriminator: Callable[[int], nn.Module],
    ) -> None:
        super().__init__(network, without_idle_discriminators(weights))
        channels = {"feature": network.feature_channels}
        self.adversaries = nn.ModuleDict(
            {
                level: Adversary(discriminator(channels.get(level, network.classes)), gan)
                for level in LEVELS
                if f"adversarial_{level}" in self.weights
            }
        )

    def players(self) -> dict[str, nn.Module]:
        discriminators = {"discriminator": self.adversaries} if self.adversaries else {}
        return {"network": self.network, **discriminators}

    def losses(self, batch: Batch) -> Iterator[Losses]:
        source = self.network(batch.source.image, "source")
        yield supervision(source, batch.source, "segmentation_auxiliary" in self.weights)
        target = self.network(batch.target.image, "target")
        looks = {k: a.look(self.view(target, k)) for k, a in self._adversaries()}
        adversarial = {
            f"adversarial_{k}": a.adversarial_loss(looks[k]) for k, a in self._adversaries()
        }
        yield adversarial | self.target_losses(target, batch.target)
        with torch.no_grad():
            views = {k: self.view(source, k) for k in self.adversaries}
        if views:
            yield {
                f"discriminator_{k}": a.discriminator_loss(views[k], looks[k])
                for k, a in self._adversaries()
            }

    def target_losses(self, target: Prediction, images: Target) -> Losses:
        """Losses on the target's prediction that a method built on this one adds."""
        return {}

    def _adversaries(self) -> Iterable[tuple[str, Adversary]]:
        return cast(Iterable[tuple[str, Adversary]], self.adversaries.items())

    def view(self, prediction: Prediction, level: str) -> Tensor:
        """What the discriminator of a level looks at: (B, classes or features, H, W)."""
        if level == "main":
            return prediction.logits.softmax(1)
        if level == "auxiliary":
            return prediction.required("auxiliary_logits", WITHOUT_AUXILIARY).softmax(1)
        # The authors enlarge features to the image's size (AdaptSegNet issues 41 and 67).
        size = prediction.logits.shape[-2:]
        return F.interpolate(prediction.features, size, mode="bilinear", align_corners=False)

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """Where each discriminator takes the target's prediction for the target's."""
        prediction = self.network(target.image, "target")
        return {
            f"discriminator_{level}": adversary.fakeness(self.view(prediction, level))
            for level, adversary in self._adversaries()
        }
