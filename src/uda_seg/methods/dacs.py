"""DACS: learn from target images with parts of source images pasted in (mean teacher, ClassMix).

Tranheden et al., DACS: Domain Adaptation via Cross-domain Mixed Sampling, WACV 2021,
https://arxiv.org/abs/2007.08702

Faithful to: the authors' published loop (`vikolss/DACS` at commit cc6a87f), by its step order and
constants; `tests/methods/test_dacs.py` holds it to that. Its settings also make the DACS that
DAFormer's authors start from (`lhoyer/DAFormer` at e6f6e04; conf/method/dacs_daformer.yaml).
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from uda_seg.batch import Batch, Source, Target, check_one_size
from uda_seg.components.class_mix import class_masks
from uda_seg.components.class_thresholds import ClassThresholds
from uda_seg.components.pseudo_labels import (
    PseudoLabels,
    labels_by_class,
    pseudo_labels,
    trusted,
)
from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.losses import cross_entropy, weighted_cross_entropy
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction

SOURCE_MEANS = ("valid", "all")


class DACS(Method):
    """
    Args:
        teacher: makes the teacher of a network.
        augmentation: of mixed images.
        threshold: probability from which a pseudo-label counts as confident.
        class_scope: what the pasted classes are drawn from: "image" or "batch".
        class_share: how many of them are drawn.
        margins: shares of the full target image at its "top", "bottom", "left" and "right" where
            pseudo-labels have no weight.
        source_mean: the source's loss is a mean over the "valid" pixels or over "all".
        sure_share: of each class's pseudo-labels the surest share weighs 1, the rest 0; None: all
            have one weight, the batch's share of confident pixels.
    """

    labels_targets = True

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
    ) -> None:
        super().__init__(network, weights)
        if source_mean not in SOURCE_MEANS:
            raise ConfigError(f"source_mean={source_mean!r}: choose {' or '.join(SOURCE_MEANS)}")
        self.teacher, self.augmentation = teacher(network), augmentation
        self.threshold, self.margins = threshold, dict(margins)
        self.class_scope, self.class_share = class_scope, class_share
        self.source_mean = source_mean
        self.thresholds: ClassThresholds | None = None
        if sure_share is not None:
            self.thresholds = ClassThresholds(network.classes, sure_share, threshold)

    def losses(self, batch: Batch) -> Iterator[Losses]:
        self.teacher.begin(self.network)
        yield self.source_losses(batch.source)
        pseudo = self.pseudo = self.pseudo_label(batch.target)
        image, label, weight = self.mixed(batch, pseudo)
        mixed = self.network(image, "target")
        yield {"mixed": self.student_loss(mixed, label, weight)}

    def after_step(self) -> None:
        self.teacher.follow(self.network)

    def source_losses(self, source: Source) -> Losses:
        """Of the student's prediction on source images: they share one graph."""
        prediction = self.network(source.image, "source")
        return {"segmentation": self.student_loss(prediction, source.label)}

    def student_loss(
        self, prediction: Prediction, label: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        if weight is None and self.source_mean == "valid":
            return cross_entropy(prediction.logits, label)
        return weighted_cross_entropy(prediction.logits, label, weight)

    @torch.no_grad()
    def pseudo_label(self, target: Target) -> PseudoLabels:
        """The teacher's labels of target images, which it sees as they are."""
        return self.weighed(self.teacher(target.image).logits, target)

    def weighed(self, logits: Tensor, target: Target) -> PseudoLabels:
        """The teacher's labels, and how much of them counts.

        Args:
            logits: (B, C, H, W).
            target: what they were predicted of.
        """
        trust = trusted(target, self.margins)
        if self.thresholds is not None:
            return labels_by_class(logits, self.thresholds, trust)
        return pseudo_labels(logits, self.threshold, trust)

    def moving_teacher(self) -> MovingTeacher:
        return self.teacher

    @torch.no_grad()
    def mixed(self, batch: Batch, pseudo: PseudoLabels) -> tuple[Tensor, Tensor, Tensor]:
        """Target images with classes of source images pasted in: image, label and weight."""
        source = batch.source
        check_one_size(batch)
        pasted = class_masks(source.label, self.class_scope, self.class_share)
        image = torch.where(pasted, source.image, batch.target.image)
        pasted = pasted[:, 0]
        label = torch.where(pasted, source.label, pseudo.label)
        weight = torch.where(pasted, torch.ones_like(pseudo.weight), pseudo.weight)
        return self.augmentation(image), label, weight

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """How sure the teacher is."""
        probabilities = self.teacher(target.image).logits.softmax(1)
        return {"teacher_confidence": probabilities.amax(1, keepdim=True)}

    @torch.no_grad()
    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        return {"pseudo_label": self.teacher(target.image).logits.argmax(1)}
