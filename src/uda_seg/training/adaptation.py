"""The only training loop: steps any `Method` under Lightning, and scores its network.

for each batch                      # one batch is one step, whatever the number of players
    when a round begins: method.start_round(all target training images)
    seed every random number by (seed, step, rank)
    for each piece of the batch     # gradient accumulation
        for each yield of method.losses(piece)
            back-propagate weight * loss, summed
    average all processes' gradients: once, whatever the number of yields and pieces
    clip, step all players, advance the schedule, method.after_step()

With trainer.precision=16-mixed, losses are multiplied by a scale before they are back-propagated:
gradients are divided by it before they are clipped, and a step whose gradients overflowed is left
out: no player, schedule or `after_step` sees it. Losses are kept as they were before the scale.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
import torch.distributed as dist
from lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from uda_seg.batch import Batch, Source, Target, mean_of_processes
from uda_seg.data.feeding.evaluation_set import Evaluation
from uda_seg.errors import ConfigError
from uda_seg.evaluation.confusion import ConfusionMatrix
from uda_seg.evaluation.inference import Inference
from uda_seg.evaluation.selection import (
    InformationMaximisation,
    SoftNeighbourhoodDensity,
    TeacherAgreement,
)
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.modes import evaluating
from uda_seg.training.gradients import AveragingOnce, average
from uda_seg.training.optimization import (
    JointOptimizer,
    OptimizerFactory,
    make_optimizer,
    seed_step,
)
from uda_seg.training.rounds import round_at

log = logging.getLogger(__name__)


class Adaptation(LightningModule):
    """
    Args:
        method: what to minimise.
        optimizers: a factory for every player of the method.
        schedule: makes the learning-rate schedule of all players.
        classes: names of the experiment's classes.
        inference: turns images into logits when scoring.
        seed: of everything random in a step.
        accumulate: equal pieces a batch is back-propagated in; divides the batch size.
        clip_norm: longest gradient of a player, or None.
        steps: of the whole run, over which a method's rounds are laid.
        others: names of classes that only the labels have which it is scored on.
        teacher_agreement: validations compare the network with the method's teacher too.
    """

    def __init__(
        self,
        method: Method,
        optimizers: Mapping[str, OptimizerFactory],
        schedule: Callable[[Optimizer], LRScheduler],
        classes: list[str],
        inference: Inference,
        seed: int,
        accumulate: int,
        clip_norm: float | None,
        steps: int,
        others: Sequence[str] = (),
        teacher_agreement: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.method, self.inference = method, inference
        self.classes, self.others = list(classes), list(others)
        self.schedule, self.steps = schedule, steps
        self.seed, self.accumulate, self.clip_norm = seed, accumulate, clip_norm
        self.last_losses: dict[str, Tensor] = {}
        """Unweighted losses of the latest step, by name: of all processes' images."""
        self.overflows = 0
        """Latest steps in a row that were left out because their gradients overflowed."""
        self.confusion = ConfusionMatrix(len(classes), len(others))
        self.label_free = InformationMaximisation(len(classes))
        self.density = SoftNeighbourhoodDensity()
        teacher = method.moving_teacher() if teacher_agreement else None
        self.agreement = None if teacher is None else TeacherAgreement()
        players = set(method.players())
        if not players <= set(optimizers):
            raise ConfigError(
                f"method.optimizers: {type(method).__name__} trains {sorted(players)}, "
                f"but optimizers are configured for {sorted(optimizers)}"
            )
        # A variant without a player (no discriminator, say) leaves that one's optimizer idle.
        self.optimizer_factories = {k: v for k, v in optimizers.items() if k in players}

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to logits (B, C, H, W)."""
        return self.inference(self.method.network, image)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self._begin_round()
        seed_step(self.seed, self.global_step, self.global_rank)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        seen: dict[str, Tensor] = {}
        for piece in pieces(batch, self.accumulate):
            for losses in self.method.losses(piece):
                objective = self.objective(losses)
                if objective.requires_grad:  # RPT's regularisers do not before its first round
                    self.manual_backward(objective / self.accumulate)
                for name, loss in losses.items():
                    seen[name] = seen.get(name, 0) + loss.detach() / self.accumulate
        self._check_all_weighted(seen)
        if self._step(optimizer):
            self.lr_schedulers().step()
            self.method.after_step()
        if dist.is_initialized() and seen:
            means = mean_of_processes(torch.stack(list(seen.values())))
            seen = dict(zip(seen, means, strict=True))
        self.last_losses = seen
        every = getattr(self.trainer, "log_every_n_steps", 0)
        if every and self.global_step % every == 0:
            self._write_metrics()

    def _write_metrics(self) -> None:
        """Lightning would write them only after the step was saved, and never if the run is
        stopped there: a run that goes on would lack the row.
        """
        watched = {f"loss/{name}": loss for name, loss in self.last_losses.items()}
        right = self.method.discriminator_accuracy()
        watched |= {f"discriminator_accuracy/{name}": share for name, share in right.items()}
        values = {name: float(value) for name, value in watched.items()}
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=self.global_step - 1)
            logger.save()

    def _step(self, optimizer: Any) -> bool:
        """Averages, clips and steps all players; whether they did step."""
        joint: JointOptimizer = optimizer.optimizer
        if isinstance(self.trainer.strategy, AveragingOnce):
            for parameters in joint.parameters():
                average(parameters)
        if self.clip_norm is not None and not self._scales_gradients():
            joint.clip(self.clip_norm)
        before = joint.steps
        optimizer.step()
        stepped = joint.steps > before
        self.overflows = 0 if stepped else self.overflows + 1
        return stepped

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Lightning calls it once it has divided the gradients by the scale."""
        if self.clip_norm is not None and self._scales_gradients():
            optimizer.clip(self.clip_norm)

    def on_train_end(self) -> None:
        left_out = self.global_step - self.lr_schedulers().last_epoch
        if left_out:
            log.info(
                "%d of %d steps were left out: their gradients overflowed in half precision",
                left_out,
                self.global_step,
            )

    def _scales_gradients(self) -> bool:
        """Whether gradients are multiplied by a scale until Lightning's step divides them."""
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    def _begin_round(self) -> None:
        method = self.method
        number = round_at(self.global_step, self.steps, method.rounds, method.first_round)
        if number <= method.round:  # a resumed run is in it already
            return
        start, method.round = time.monotonic(), number
        images = self.trainer.datamodule.target_pass(self.device)  # type: ignore[attr-defined]
        with evaluating(method):
            method.start_round(images)
        seconds = time.monotonic() - start
        log.info("round %d of %d: %d images, %.0f s", number, method.rounds, images.length, seconds)

    def objective(self, losses: Losses) -> Tensor:
        """The weighted sum of what a method yielded at once."""
        weights = self.method.weights
        unknown = losses.keys() - weights.keys()
        if unknown:
            raise ConfigError(
                f"method.weights: no weight for {', '.join(sorted(unknown))}; "
                f"there are {', '.join(sorted(weights))}"
            )
        return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()

    def _check_all_weighted(self, seen: Mapping[str, Tensor]) -> None:
        idle = self.method.weights.keys() - seen.keys()
        if idle:
            raise ConfigError(
                f"method.weights: {', '.join(sorted(idle))} weigh no loss of this method; "
                f"it has {', '.join(sorted(seen))}"
            )

    def configure_optimizers(self) -> Any:
        players = self.method.players()
        optimizer = JointOptimizer(
            {p: make_optimizer(players[p], f) for p, f in self.optimizer_factories.items()},
            self.method.network.repeated(),
        )
        return {"optimizer": optimizer, "lr_scheduler": self.schedule(optimizer)}

    def validation_step(self, batch: Evaluation, batch_idx: int) -> None:
        answers = self.inference.each(self.method.network, batch.image)
        teacher = None if self.agreement is None else self.method.moving_teacher()
        theirs = None if teacher is None else teacher(batch.image).logits
        for place, (logits, label) in enumerate(zip(answers, batch.label, strict=True)):
            self.label_free.update(logits)
            self.density.update(logits)
            if self.agreement is not None and theirs is not None:
                self.agreement.update(logits, theirs[place : place + 1])
            self.confusion.update(self.inference.predict(logits, label.shape[-2:]), label[None])

    @torch.no_grad()
    def predict_label(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to classes (B, H, W), in evaluation mode."""
        training = self.method.training
        self.method.eval()
        try:
            return self(image.to(self.device)).argmax(1)
        finally:
            self.method.train(training)


def pieces(batch: Batch, count: int) -> Iterator[Batch]:
    """A batch in `count` equal parts.

    Raises:
        ConfigError: there are not as many.
    """
    if count == 1:
        yield batch
        return
    size, rest = divmod(len(batch.source.image), count)
    if rest:
        raise ConfigError(
            f"trainer.accumulate={count} does not divide a batch of {len(batch.source.image)}"
        )
    for first in range(0, size * count, size):
        yield Batch(*(_part(d, slice(first, first + size)) for d in (batch.source, batch.target)))


def _part(domain: Source | Target, rows: slice) -> Any:
    values = {f.name: getattr(domain, f.name) for f in fields(domain)}
    return replace(domain, **{k: v[rows] for k, v in values.items() if v is not None})
