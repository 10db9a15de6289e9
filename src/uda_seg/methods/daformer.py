"""DAFormer: DACS, and features of things that stay near an ImageNet network's.

Hoyer et al., DAFormer: Improving Network Architectures and Training Strategies for
Domain-Adaptive Semantic Segmentation, CVPR 2022, https://arxiv.org/abs/2111.14887

Faithful to: the authors' published code (`lhoyer/DAFormer` at commit e6f6e04), by its step order
and constants; `tests/methods/test_daformer.py` holds it to that. Rare classes are sampled by the
data side (`rare_classes` of the config), the network is a backbone's matter.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.batch import IGNORE, Source
from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.components.teacher import FrozenTeacher, MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.losses import feature_distance
from uda_seg.methods.base import Losses
from uda_seg.methods.dacs import DACS
from uda_seg.networks.base import SegmentationNetwork


class DAFormer(DACS):
    """
    Args:
        (see `DACS` for the others)
        things: names of the classes whose features stay near the ImageNet network's.
        thing_share: least share of a feature's cell that its class must cover.

    Without a weight of `feature_distance`, no ImageNet network is kept.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        teacher: Callable[[SegmentationNetwork], MovingTeacher],
        augmentation: StrongAugmentation,
        threshold: float,
        class_scope: str,
        class_share: float,
        margins: Mapping[str, float],
        source_mean: str,
        sure_share: float | None,
        things: Sequence[str],
        thing_share: float,
    ) -> None:
        super().__init__(
            network, weights, teacher, augmentation, threshold, class_scope, class_share, margins,
            source_mean, sure_share,
        )  # fmt: skip
        self.thing_share = thing_share
        self.guide: FrozenTeacher | None = None
        names = network.class_names
        is_thing = torch.tensor([name in things for name in names], dtype=torch.bool)
        self.register_buffer("things", is_thing, persistent=False)
        if "feature_distance" in self.weights:
            if not is_thing.any():
                raise ConfigError(
                    f"method.things: none of {', '.join(things)} is a class of this experiment "
                    f"({', '.join(names)}); name others, or leave this loss out with "
                    "method.lambda_feature_distance=null"
                )
            self.guide = FrozenTeacher(network)

    def source_losses(self, source: Source) -> Losses:
        prediction = self.network(source.image, "source")
        losses = {"segmentation": self.student_loss(prediction, source.label)}
        if self.guide is not None:
            features = prediction.features
            mask = self.thing_mask(source.label, features)
            guide = self.guide(source.image)
            losses["feature_distance"] = feature_distance(features, guide, mask)
        return losses

    def thing_mask(self, label: Tensor, like: Tensor) -> Tensor:
        """The cells of a feature map that a thing fills: (B, h, w) bool.

        Args:
            label: (B, H, W), a class or IGNORE.
            like: (B, D, h, w).
        """
        size = (like.shape[2], like.shape[3])
        cells, void = cell_labels(label, self.network.classes, size, self.thing_share)
        things: Tensor = self.get_buffer("things")
        return things[cells.where(~void, 0)] & ~void


def cell_labels(
    label: Tensor, classes: int, size: tuple[int, int], share: float
) -> tuple[Tensor, Tensor]:
    """The class that fills each cell of a coarser grid, and where none does.

    Args:
        label: (B, H, W), a class or IGNORE.
        classes: their number.
        size: (height, width) of the grid.
        share: least share of a cell that its class, void being one, must cover.

    Returns:
        classes (B, height, width) long, void (B, height, width) bool.
    """
    one_hot = F.one_hot(label.where(label != IGNORE, classes), classes + 1)
    shares = F.adaptive_avg_pool2d(one_hot.permute(0, 3, 1, 2).float(), size)
    largest, winner = shares.max(1)
    return winner, (winner == classes) | (largest < share)
