"""MIC: masked images get the label of the whole image, on top of any other method.

Hoyer et al., MIC: Masked Image Consistency for Context-Enhanced Domain Adaptation, CVPR 2023,
https://arxiv.org/abs/2212.01322

Faithful to: the authors' published code (`lhoyer/MIC` at commit 2f932a9, `seg`), by its step order
and constants; `tests/methods/test_mic.py` holds it to that. Ours: methods it was never put on.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from uda_seg.batch import Batch, check_one_size
from uda_seg.components.block_mask import block_mask, masked
from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.components.teacher import MovingTeacher
from uda_seg.methods.base import Losses, Method
from uda_seg.methods.wrapper import Wrapper
from uda_seg.networks.base import SegmentationNetwork


class MIC(Wrapper):
    """
    Args:
        (see `Wrapper` for the others)
        masked_images: "target" or "source", all images of the batch; or "both", the first of each.
        block: side of the blocks that are masked, in pixels.
        ratio: of blocks that are masked.
        augmentation: of images before they are masked.
        moves_statistics: whether masked images move batch norm's running statistics, as in the
            authors' code. A network is scored on whole images, whose statistics are others.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        base: Callable[[SegmentationNetwork], Method],
        pseudo_labels: str,
        teacher: Callable[[SegmentationNetwork], MovingTeacher],
        threshold: float,
        masked_images: str,
        block: int,
        ratio: float,
        augmentation: StrongAugmentation,
        moves_statistics: bool,
    ) -> None:
        needed = masked_images != "source"
        super().__init__(network, weights, base, pseudo_labels, teacher, threshold, needed)
        self.masked_images, self.block, self.ratio = masked_images, block, ratio
        self.augmentation = augmentation
        self.domain = "target" if moves_statistics else "neither"

    def own_losses(self, batch: Batch) -> Losses:
        image, label, weight = self.labelled(batch)
        image = self.augmentation(image, together=True)
        mask = block_mask(image, self.block, self.ratio)
        prediction = self.network(masked(image, mask, self.network.mean), self.domain)
        return {"masked": self.student_loss(prediction, label, weight)}

    def labelled(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The images to be masked (B, 3, H, W), their labels and weights (B, H, W)."""
        source, target, pseudo = batch.source, batch.target, self.pseudo
        certain = torch.ones_like(source.label, dtype=source.image.dtype)
        if self.masked_images == "source":
            return source.image, source.label, certain
        assert pseudo is not None
        if self.masked_images == "target":
            return target.image, pseudo.label, pseudo.weight
        check_one_size(batch)
        image = torch.cat([source.image[:1], target.image[:1]])
        label = torch.cat([source.label[:1], pseudo.label[:1]])
        return image, label, torch.cat([certain[:1], pseudo.weight[:1]])
