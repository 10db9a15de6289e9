"""A method on top of another one, whichever that is."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from uda_seg.batch import Batch, Source, Target, TargetPass
from uda_seg.components.pseudo_labels import PseudoLabels, pseudo_labels, trusted
from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction


class Wrapper(Method):
    """The base's losses, then its own, on pseudo-labels of the batch's target images.

    Pseudo-labels are those of a base that makes some (DACS, what is built on it, another wrapper),
    else those of a teacher of its own. All that is not said here is the base's.

    Args:
        weights: of its own losses; all others are the base's.
        base: makes the other method, of the same network.
        pseudo_labels: "base", or "own" to do without those of a base that makes some.
        teacher: makes a teacher of a network.
        threshold: of its own teacher's pseudo-labels, see `DACS`.
        needs_labels: whether this variant looks at pseudo-labels at all.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        base: Callable[[SegmentationNetwork], Method],
        pseudo_labels: str,
        teacher: Callable[[SegmentationNetwork], MovingTeacher],
        threshold: float,
        needs_labels: bool = True,
    ) -> None:
        super().__init__(network, weights)
        with _in_the_bases_words():
            self.base = base(network)
        if self.base.supervised_by != "source":
            raise ConfigError(
                f"method.base: {type(self.base).__name__} learns from the target's labels, which "
                "leaves nothing to adapt; choose another method@method.base"
            )
        self.weights = {**self.base.weights, **self.weights}
        self.rounds, self.first_round = self.base.rounds, self.base.first_round
        own = pseudo_labels == "own" or not self.base.labels_targets
        self.teacher = teacher(network) if own and needs_labels else None
        self.labels_targets = self.teacher is not None or self.base.labels_targets
        self.threshold, self.margins = threshold, self.base.margins

    @abstractmethod
    def own_losses(self, batch: Batch) -> Losses:
        """What it adds to the base, when `pseudo` holds the batch's pseudo-labels."""

    def players(self) -> dict[str, nn.Module]:
        return self.base.players()

    def losses(self, batch: Batch) -> Iterator[Losses]:
        if self.teacher is not None:
            self.teacher.begin(self.network)
        with _in_the_bases_words():
            yield from self.base.losses(batch)
        own = self.teacher is not None
        self.pseudo = self.pseudo_label(batch.target) if own else self.base.pseudo
        yield self.own_losses(batch)

    def student_loss(
        self, prediction: Prediction, label: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """The base's: HRDA's looks at two resolutions."""
        return self.base.student_loss(prediction, label, weight)

    @torch.no_grad()
    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        if self.teacher is None:
            return self.base.pseudo_label(target)
        trust = trusted(target, self.margins)
        return pseudo_labels(self.teacher(target.image).logits, self.threshold, trust)

    def moving_teacher(self) -> MovingTeacher | None:
        return self.teacher or self.base.moving_teacher()

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
            shown["own_pseudo_label"] = self.teacher(target.image).logits.argmax(1)
        return shown


@contextmanager
def _in_the_bases_words() -> Iterator[None]:
    """Mistakes name keys of a method, which here stand under `method.base`."""
    try:
        yield
    except ConfigError as error:
        text = str(error).replace("method.", "method.base.")
        raise ConfigError(text.replace("method=", "method@method.base=")) from error
