"""HRDA: DAFormer on large crops, seen coarsely as a whole and finely in part.

Hoyer et al., HRDA: Context-Aware High-Resolution Domain-Adaptive Semantic Segmentation, ECCV 2022,
https://arxiv.org/abs/2204.13132

Most of it is a network, `networks/hrda.py`: the teacher's detail slides, the distance of features
is measured on the context. Faithful to: the authors' published code (`lhoyer/HRDA` at commit
c370b5b), by its step order and constants; `tests/methods/test_hrda.py` holds it to that.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.methods.daformer import DAFormer
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.hrda import HRDANetwork
from uda_seg.networks.prediction import Prediction


class HRDA(DAFormer):
    """
    Args:
        (see `DAFormer` and `DACS` for the others)
        network: of two resolutions.
        lambda_detail: weight of the loss on detail alone; that of both together has the rest.
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
        lambda_detail: float,
    ) -> None:
        if not isinstance(network, HRDANetwork):
            raise ConfigError(
                "backbone: HRDA needs a network of two resolutions; choose one of those called "
                "hrda_…, such as backbone=hrda_small, or method=daformer"
            )
        super().__init__(
            network, weights, teacher, augmentation, threshold, class_scope, class_share, margins,
            source_mean, sure_share, things, thing_share,
        )  # fmt: skip
        self.lambda_detail = lambda_detail

    def student_loss(
        self, prediction: Prediction, label: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Of both resolutions together on all pixels, and of detail alone in its window."""
        fused = super().student_loss(prediction, label, weight)
        detail, share = prediction.detail, self.lambda_detail
        if detail is None or not share:
            return fused
        alone = Prediction(detail.logits, prediction.features)
        part = super().student_loss(
            alone, detail.of(label), None if weight is None else detail.of(weight)
        )
        return (1 - share) * fused + share * part
