"""MIC: masked images get the label of the whole image, on top of any other method.

Hoyer et al., MIC: Masked Image Consistency for Context-Enhanced Domain Adaptation, CVPR 2023,
https://arxiv.org/abs/2212.01322

Faithful to: the authors' published code (`lhoyer/MIC` at commit 2f932a9, `seg`), by its step order
and constants; `tests/methods/test_mic.py` holds it to that. Ours: methods it was never put on.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from uda_seg.batch import Batch, Source, Target, TargetPass
from uda_seg.components.block_mask import block_mask, masked
from uda_seg.components.pseudo_labels import PseudoLabels, pseudo_labels, trusted
from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.losses import weighted_cross_entropy
from uda_seg.methods.base import Losses, Method
from uda_seg.methods.dacs import DACS
from uda_seg.networks.base import SegmentationNetwork


class MIC(Method):
    """A method's losses, and that of masked images.

    Pseudo-labels are those of a base that makes some (DACS and what is built on it), else those of
    a teacher of its own.

    Args:
        weights: of `masked`; all others are the base's.
        base: makes the other method, of the same network.
        masked_images: "target" or "source", all images of the batch; or "both", the first of each.
        block: side of the blocks that are masked, in pixels.
        ratio: of blocks that are masked.
        augmentation: of images before they are masked.
        pseudo_labels: "base", or "own" to do without those of a base that makes some.
        teacher: makes a teacher of a network.
        threshold: of its own teacher's pseudo-labels, see `DACS`.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        base: Callable[[SegmentationNetwork], Method],
        masked_images: str,
        block: int,
        ratio: float,
        augmentation: StrongAugmentation,
        pseudo_labels: str,
        teacher: Callable[[SegmentationNetwork], MovingTeacher],
        threshold: float,
    ) -> None:
        super().__init__(network, weights)
        self.base = base(network)
        if self.base.supervised_by != "source":
            raise ConfigError(
                f"method.base: {type(self.base).__name__} learns from the target's labels, which "
                "leaves nothing to adapt; choose another method@method.base"
            )
        self.weights = {**self.base.weights, **self.weights}
        self.rounds, self.first_round = self.base.rounds, self.base.first_round
        self.masked_images, self.block, self.ratio = masked_images, block, ratio
        self.augmentation, self.threshold = augmentation, threshold
        own = pseudo_labels == "own" or not isinstance(self.base, DACS)
        self.teacher = teacher(network) if own and masked_images != "source" else None
        self.margins = self.base.margins if isinstance(self.base, DACS) else {}

    def players(self) -> dict[str, nn.Module]:
        return self.base.players()

    def losses(self, batch: Batch) -> Iterator[Losses]:
        if self.teacher is not None:
            self.teacher.begin(self.network)
        yield from self.base.losses(batch)
        image, label, weight = self.labelled(batch)
        image = self.augmentation(image, together=True)
        mask = block_mask(image, self.block, self.ratio)
        prediction = self.network(masked(image, mask, self.network.mean), "target")
        if isinstance(self.base, DACS):
            yield {"masked": self.base.student_loss(prediction, label, weight)}
        else:
            yield {"masked": weighted_cross_entropy(prediction.logits, label, weight)}

    def labelled(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The images to be masked: (B, 3, H, W), label and weight (B, H, W)."""
        source = batch.source
        certain = torch.ones_like(source.label, dtype=source.image.dtype)
        if self.masked_images == "source":
            return source.image, source.label, certain
        pseudo = self.base.pseudo if isinstance(self.base, DACS) else None
        if self.teacher is not None:
            pseudo = self.pseudo_label(batch.target)
        assert pseudo is not None
        if self.masked_images == "target":
            return batch.target.image, pseudo.label, pseudo.weight
        pairs = ((source.image, batch.target.image), (source.label, pseudo.label))
        image, label = (torch.cat([a[:1], b[:1]]) for a, b in pairs)
        return image, label, torch.cat([certain[:1], pseudo.weight[:1]])

    @torch.no_grad()
    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        if self.teacher is None:
            return self.base.pseudo_label(target)
        height, width = target.image.shape[-2:]
        trust = trusted(target.window, height, width, self.margins)
        if trust is not None:
            trust = trust.to(target.image.device)
        return pseudo_labels(self.teacher(target.image).logits, self.threshold, trust)

    def after_step(self) -> None:
        self.base.after_step()
        if self.teacher is not None:
            self.teacher.follow(self.network)

    @property
    def round(self) -> int:  # type: ignore[override]
        """The base's, which keeps it in its extra state."""
        return self.base.round

    @round.setter
    def round(self, number: int) -> None:
        self.base.round = number

    def start_round(self, target_images: TargetPass) -> None:
        self.base.start_round(target_images)

    def pictures(self, target: Target) -> dict[str, Tensor]:
        return self.base.pictures(target)

    def source_pictures(self, source: Source) -> dict[str, Tensor]:
        return self.base.source_pictures(source)

    @torch.no_grad()
    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        shown = self.base.color_pictures(target)
        if self.teacher is not None:
            shown["masked_pseudo_label"] = self.teacher(target.image).logits.argmax(1)
        return shown
