"""AdvEnt: AdaptSegNet, whose discriminators see how unsure predictions are.

Vu et al., ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic Segmentation,
CVPR 2019, https://arxiv.org/abs/1811.12833

Faithful to: the authors' published loop (`valeoai/ADVENT` at commit 3e58d45), by its step order and
constants; `tests/methods/test_advent.py` holds it to that.
"""

from torch import Tensor

from uda_seg.components.entropy import information
from uda_seg.methods.adaptsegnet import AdaptSegNet
from uda_seg.networks.prediction import Prediction


class AdvEnt(AdaptSegNet):
    """All but the view is AdaptSegNet's."""

    def view(self, prediction: Prediction, level: str) -> Tensor:
        """A level's information map: (B, classes, H, W)."""
        return information(super().view(prediction, level))
