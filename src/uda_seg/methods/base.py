"""The one seam every adaptation method fits into."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from uda_seg.batch import Batch, Source, Target, TargetPass
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.components.teacher import MovingTeacher
from uda_seg.losses import weighted_cross_entropy
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction

Losses = dict[str, Tensor]


class Method(nn.Module, ABC):
    """What to minimise on a batch, and which networks play.

    A method never sees an optimizer, a trainer, a logger, a device or a config: `Adaptation`
    steps it.

    Args:
        network: the segmentation network that is adapted and evaluated.
        weights: factor of every loss in the objective, by the loss's name; None for a loss that
            this variant of the method does not have.
    """

    needs: frozenset[str] = frozenset()
    """Optional fields of the batch it reads, such as `source.depth`."""

    supervised_by: str = "source"
    """The domain whose labels it trains on. Only the oracle says "target"."""

    reads_target: bool = True
    """Whether its losses look at target images. If not, none is read for it, and `batch.target`
    has images of no pixel.
    """

    rounds: int = 0
    """How often it looks over all target training images; 0: never."""

    first_round: float = 0.0
    """Share of the run before the first of these rounds."""

    labels_targets: bool = False
    """Whether its losses leave labels of the batch's whole target images in `pseudo`."""

    pseudo: PseudoLabels | None = None
    """Those of the latest batch: what is built on this method learns from them too."""

    margins: Mapping[str, float] = {}
    """Shares of the full target image at its sides where pseudo-labels do not count."""

    round: int = 0
    """The one it is in; 0 before the first. A method with rounds keeps it in its extra state."""

    def __init__(self, network: SegmentationNetwork, weights: Mapping[str, float | None]) -> None:
        super().__init__()
        self.network = network
        self.weights = {name: weight for name, weight in weights.items() if weight is not None}

    @classmethod
    def needed(cls, settings: Mapping[str, Any]) -> frozenset[str]:
        """`needs` of the variant that these settings of the constructor make."""
        return cls.needs

    @abstractmethod
    def losses(self, batch: Batch) -> Iterator[Losses]:
        """Yield named, unweighted losses; each yield is back-propagated at once.

        Losses that share a graph must be yielded together.
        """

    def players(self) -> dict[str, nn.Module]:
        """The modules trained, by name; each has an optimizer of its own."""
        return {"network": self.network}

    def after_step(self) -> None:
        """Called once the players have been updated."""
        return

    def start_round(self, target_images: TargetPass) -> None:
        """Called before the first step of a round, in evaluation mode and without gradients;
        `round` is its number. What it decides belongs into the method's extra state.
        """
        return

    def student_loss(
        self, prediction: Prediction, label: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """How predictions of images with labels or pseudo-labels become a loss, here and in what is
        built on this method.

        Args:
            prediction: of images (B, 3, H, W).
            label: (B, H, W), a class or IGNORE.
            weight: (B, H, W), of pseudo-labels; None for labels of the source.
        """
        return weighted_cross_entropy(prediction.logits, label, weight)

    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        """What it would train on as labels of these images, if it came to them now; None for a
        method that makes no labels, or does not yet.

        Called in training mode without gradients, by who compares them with true labels that no
        method sees. It may move buffers, which are put back, and must change nothing else.
        """
        return None

    def moving_teacher(self) -> MovingTeacher | None:
        """The moving average of its network, where it keeps one."""
        return None

    def discriminator_accuracy(self) -> dict[str, Tensor]:
        """How often each of its discriminators was right in the latest step, in [0, 1], by name."""
        modules = ((name.split(".")[-1], module) for name, module in self.named_modules())
        found = {name: getattr(module, "accuracy", None) for name, module in modules}
        return {k.removesuffix("_adversary"): v for k, v in found.items() if v is not None}

    def pictures(self, target: Target) -> dict[str, Tensor]:
        """Maps worth a look, by name: (B, 1, h, w) in [0, 1]."""
        return {}

    def source_pictures(self, source: Source) -> dict[str, Tensor]:
        """Images made from the source's, by name: (B, 3, h, w) in [0, 1]."""
        return {}

    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        """What it makes of the target's training images, by name: pictures (B, 3, h, w) in [0, 1],
        or classes (B, h, w) long, which are shown in their colors.
        """
        return {}
