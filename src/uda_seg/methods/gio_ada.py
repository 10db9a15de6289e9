"""GIO-Ada: translate the source with its geometry, align segmentation and depth jointly.

Chen, Li, Chen, Van Gool, Learning Semantic Segmentation from Synthetic Data: A Geometrically Guided
Input-Output Adaptation Approach, CVPR 2019, https://arxiv.org/abs/1812.05040

Faithful to the paper as others describe it: no code of the authors exists, and the paper was not at
hand. Known are the networks, the losses and where their gradients flow; λ 0.1 and 0.001 are
recalled. Chosen by us, each named in `conf/method/gio_ada.yaml`: λ_d, the form of the inverse
depth, the optimizers of translator and discriminators.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import IGNORE, Batch, Source, Target
from uda_seg.components.adversary import Adversary, without_idle_discriminators
from uda_seg.losses import cross_entropy, masked_l1
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction

WITHOUT_DEPTH = "set method.geometry=false"


class GIOAda(Method):
    """
    Args:
        geometry: whether depth takes part: read by the translator, predicted by the network, seen
            by the output's discriminator.
        nearest: metres; depth is used as nearest / depth, at most 1.
        gan: "vanilla" or "ls".
        translator: makes the translation network for a number of channels beside the image.
        image_discriminator: makes a discriminator of images for a number of channels.
        output_discriminator: the same for predictions.

    Domains are aligned where there is a weight: source images are translated with
    `adversarial_input`, a discriminator looks at predictions with `adversarial_output`.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        geometry: bool,
        nearest: float,
        gan: str,
        translator: Callable[[int], nn.Module],
        image_discriminator: Callable[[int], nn.Module],
        output_discriminator: Callable[[int], nn.Module],
    ) -> None:
        weights = without_idle_discriminators(weights)
        super().__init__(network, weights if geometry else {**weights, "depth": None})
        self.geometry, self.nearest = geometry, nearest
        seen = network.classes + geometry
        self.translator: nn.Module | None = None
        self.image_adversary: Adversary | None = None
        self.output_adversary: Adversary | None = None
        if "adversarial_input" in self.weights:
            self.translator = translator(seen)
            self.image_adversary = Adversary(image_discriminator(3), gan)
        if "adversarial_output" in self.weights:
            self.output_adversary = Adversary(output_discriminator(seen), gan)

    @classmethod
    def needed(cls, settings: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({"source.depth"} if settings["geometry"] else ())

    def players(self) -> dict[str, nn.Module]:
        candidates = {
            "network": self.network,
            "translator": self.translator,
            "image_discriminator": self.image_adversary,
            "output_discriminator": self.output_adversary,
        }
        return {name: module for name, module in candidates.items() if module is not None}

    def losses(self, batch: Batch) -> Iterator[Losses]:
        images = self.translate(batch.source)
        source = self.network(images, "source")
        # The task's gradient reaches the translator too: it keeps the content in its place.
        losses, translated = self._task(source, batch.source), None
        if self.image_adversary is not None:
            translated = self.image_adversary.look(images)
            losses["adversarial_input"] = self.image_adversary.adversarial_loss(translated)
        yield losses
        # Without a discriminator too: at all levels, batch norm sees the same images.
        with torch.set_grad_enabled(self.output_adversary is not None):
            target = self.network(batch.target.image, "target")
        predicted = None
        if self.output_adversary is not None:
            predicted = self.output_adversary.look(self.joint(target))
            yield {"adversarial_output": self.output_adversary.adversarial_loss(predicted)}
        if self.image_adversary is not None and translated is not None:
            loss = self.image_adversary.discriminator_loss(batch.target.image, translated)
            yield {"discriminator_input": loss}
        if self.output_adversary is not None and predicted is not None:
            with torch.no_grad():
                real = self.joint(source)
            loss = self.output_adversary.discriminator_loss(real, predicted)
            yield {"discriminator_output": loss}

    def translate(self, source: Source) -> Tensor:
        """(B, 3, H, W): source images in the target's look, or as they are without a translator."""
        if self.translator is None:
            return source.image
        return self.translator(source.image, self.guide(source))

    def guide(self, source: Source) -> Tensor:
        """(B, C or C + 1, H, W): one-hot label, and inverse depth; zeros where they are unknown."""
        counts = source.label != IGNORE
        one_hot = F.one_hot(source.label.where(counts, 0), self.network.classes)
        guide = (one_hot * counts[..., None]).permute(0, 3, 1, 2).to(source.image.dtype)
        return torch.cat([guide, self.inverse(source)], 1) if self.geometry else guide

    def inverse(self, source: Source) -> Tensor:
        """(B, 1, H, W) in [0, 1]: 1 up close, towards 0 far away; 0 where depth is not known."""
        assert source.depth is not None
        known = source.depth > 0
        inverse = (self.nearest / source.depth.clamp(min=1e-6)).clamp(max=1)
        return inverse.where(known, torch.zeros_like(inverse))

    def joint(self, prediction: Prediction) -> Tensor:
        """(B, C or C + 1, H, W): class probabilities, and predicted inverse depth."""
        probabilities = prediction.logits.softmax(1)
        if not self.geometry:
            return probabilities
        return torch.cat([probabilities, prediction.required("depth", WITHOUT_DEPTH)], 1)

    def _task(self, prediction: Prediction, source: Source) -> Losses:
        losses = {"segmentation": cross_entropy(prediction.logits, source.label)}
        if self.geometry:
            assert source.depth is not None
            known = source.depth > 0
            depth = prediction.required("depth", WITHOUT_DEPTH)
            losses["depth"] = masked_l1(depth, self.inverse(source), known)
        return losses

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """Predicted inverse depth, and where a prediction is taken for a target's."""
        prediction = self.network(target.image, "target")
        shown = {}
        if self.geometry:
            assert prediction.depth is not None
            shown["inverse_depth"] = prediction.depth
        if self.output_adversary is not None:
            shown["discriminator_output"] = self.output_adversary.fakeness(self.joint(prediction))
        return shown

    @torch.no_grad()
    def source_pictures(self, source: Source) -> dict[str, Tensor]:
        """The translation of source images."""
        return {} if self.translator is None else {"translation": self.translate(source)}
