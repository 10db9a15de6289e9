"""MRM, described by others: features that were taken away are rebuilt, and decoded, in training.

Masked representation modelling, CVPR 2026, https://arxiv.org/abs/2509.13801

The paper was not at hand, and its repository (`Wenlve-Zhou/MRM` at commit 31f28a7) holds no code:
this follows a third party's description. Known from there are the grid, the share of tokens, two
blocks with absolute positions, transposed convolutions, that visible features stay, that pyramids
get their other stages by up-sampling, the loss's weight, the rebuilder's rate. Ours is all else:
the image is the target's as it is, gradients reach the encoder, pseudo-labels and their weights are
the base's, HRDA's context alone takes part; and what `conf/method/mrm.yaml` marks so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from uda_seg.batch import Batch
from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.losses import weighted_cross_entropy
from uda_seg.methods.base import Losses, Method
from uda_seg.methods.wrapper import Wrapper
from uda_seg.networks import batch_norm as norms
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.hrda import HRDANetwork
from uda_seg.networks.resizing import resize

SEAM = ("stages", "scores", "stage_channels")
"""What a network has whose features can be taken apart."""


class MRM(Wrapper):
    """
    Args:
        (see `Wrapper` for the others)
        rebuilder: makes the network that rebuilds features, for the channels of the stages.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        base: Callable[[SegmentationNetwork], Method],
        pseudo_labels: str,
        teacher: Callable[[SegmentationNetwork], MovingTeacher],
        threshold: float,
        rebuilder: Callable[[Sequence[int]], nn.Module],
    ) -> None:
        super().__init__(network, weights, base, pseudo_labels, teacher, threshold)
        if not all(hasattr(self.decoded, name) for name in SEAM):
            raise ConfigError(
                f"backbone: MRM rebuilds the stages of an encoder, and {type(network).__name__} "
                "does not hand them out; choose DeepLab, a pyramid or HRDA"
            )
        self.rebuilder = rebuilder(self.decoded.stage_channels)

    @property
    def decoded(self) -> Any:
        """The network whose encoder and head take part: of HRDA's, what serves both branches."""
        return self.network.host if isinstance(self.network, HRDANetwork) else self.network

    def players(self) -> dict[str, nn.Module]:
        return {**self.base.players(), "rebuilder": self.rebuilder}

    def own_losses(self, batch: Batch) -> Losses:
        assert self.pseudo is not None
        network, image = self.network, batch.target.image
        size = (image.shape[-2], image.shape[-1])
        if isinstance(network, HRDANetwork):
            image = resize(image, (size[0] // 2, size[1] // 2), align_corners=False)
        with norms.statistics(network, network.batch_norm, "target"):
            stages = self.decoded.stages((image - network.mean) / network.std)
            scores = self.decoded.scores(self.rebuilder(stages))
        logits = resize(scores, size, getattr(self.decoded, "align_corners", False))
        return {"rebuilt": weighted_cross_entropy(logits, self.pseudo.label, self.pseudo.weight)}
