"""MinEnt: be sure of target images, by minimising the entropy of predictions.

Vu et al., ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic Segmentation,
CVPR 2019, https://arxiv.org/abs/1811.12833

Faithful to: the authors' published loop (`valeoai/ADVENT` at commit 3e58d45), by its step order and
constants; `tests/methods/test_advent.py` holds it to that. Their class-ratio prior is in no code,
and their "entropy ranges" are not here.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from uda_seg.batch import Batch, Target
from uda_seg.components.entropy import information
from uda_seg.losses import per_pixel
from uda_seg.methods.base import Losses, Method
from uda_seg.methods.source_only import WITHOUT_AUXILIARY, supervision
from uda_seg.networks.prediction import Prediction

LEVELS = ("main", "auxiliary")


class MinEnt(Method):
    """Supervision on source images, and the entropy of each level that `entropy_LEVEL` weighs."""

    def losses(self, batch: Batch) -> Iterator[Losses]:
        source = self.network(batch.source.image, "source")
        yield supervision(source, batch.source, "segmentation_auxiliary" in self.weights)
        target = self.network(batch.target.image, "target")
        yield {
            f"entropy_{level}": self.maps(target, level).mean()
            for level in LEVELS
            if f"entropy_{level}" in self.weights
        }

    def maps(self, prediction: Prediction, level: str) -> Tensor:
        """(B, H, W) in [0, 1]: the entropy of a level's prediction at the image's size."""
        logits = prediction.logits
        if level == "auxiliary":
            logits = prediction.required("auxiliary_logits", WITHOUT_AUXILIARY)
        return per_pixel(lambda rows: information(rows.softmax(1)).sum(1), logits)

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """How unsure it is."""
        prediction = self.network(target.image, "target")
        return {"entropy": self.maps(prediction, "main")[:, None].clamp(0, 1)}
