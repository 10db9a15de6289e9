"""VFM-UDA: self-training of a vision foundation model, from whose student patches are hidden.

Englert et al., Exploring the Benefits of Vision Foundation Models for Unsupervised Domain
Adaptation, CVPR workshops 2024, https://arxiv.org/abs/2406.09896

Faithful to: the authors' published code (`tue-mps/vfm-uda` at commit e154d8f), by its step order
and constants; `tests/methods/test_vfm_uda.py` holds it to that. Ours: margins are mirrored with a
crop, and hidden images are changed in color as lightly as mixed ones before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from uda_seg.batch import Batch, Target
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.methods.base import Losses
from uda_seg.methods.dacs import DACS
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.vit import PlainViT


class VFMUDA(DACS):
    """
    Args:
        (see `DACS` for the others)
        weak_augmentation: of source images for their own loss, and of target images before source
            images are pasted in, or patches hidden. The teacher sees them as they are.
        hidden_share: of patches, that the student does not see in the images of its loss `hidden`;
            without a weight of that loss there are none.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        teacher: Callable[[SegmentationNetwork], MovingTeacher],
        weak_augmentation: StrongAugmentation,
        augmentation: StrongAugmentation,
        threshold: float,
        class_scope: str,
        class_share: float,
        margins: Mapping[str, float],
        source_mean: str,
        sure_share: float | None,
        hidden_share: float,
    ) -> None:
        super().__init__(
            network, weights, teacher, augmentation, threshold, class_scope, class_share, margins,
            source_mean, sure_share,
        )  # fmt: skip
        self.weak_augmentation, self.hidden_share = weak_augmentation, hidden_share
        if "hidden" in self.weights and not isinstance(network, PlainViT):
            raise ConfigError(
                "method.lambda_hidden: this hides patches of a plain vision transformer, which the "
                "network is not; choose backbone=vfm_dinov2_base or another vfm_…, or "
                "method.lambda_hidden=null"
            )

    def losses(self, batch: Batch) -> Iterator[Losses]:
        self.teacher.begin(self.network)
        source = replace(batch.source, image=self.weak_augmentation(batch.source.image))
        target = replace(batch.target, image=self.weak_augmentation(batch.target.image))
        yield self.source_losses(source)
        pseudo = self.pseudo = self.pseudo_label(batch.target)
        image, label, weight = self.mixed(Batch(batch.source, target), pseudo)
        yield {"mixed": self.student_loss(self.network(image, "target"), label, weight)}
        if "hidden" in self.weights:
            yield {"hidden": self.hidden_loss(target, pseudo)}

    def hidden_loss(self, target: Target, pseudo: PseudoLabels) -> Tensor:
        """Of the student's prediction where it sees few of the patches."""
        assert isinstance(self.network, PlainViT)
        image = self.augmentation(target.image)
        with self.network.hidden_patches(self.hidden_share):
            prediction = self.network(image, "target")
        return self.student_loss(prediction, pseudo.label, pseudo.weight)

    @torch.no_grad()
    def pseudo_label(self, target: Target) -> PseudoLabels:
        """The mean of what the teacher says of target images and of their mirror images."""
        both = torch.cat([target.image, target.image.flip(3)])
        plain, mirrored = self.teacher(both).logits.softmax(1).chunk(2)
        probabilities = (plain + mirrored.flip(3)) / 2
        return self.weighed(probabilities.log(), target)
