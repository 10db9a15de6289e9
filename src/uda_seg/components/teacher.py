"""Networks that guide another one: a frozen copy, and the moving average of a student."""

import copy

import torch
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks import batch_norm as norms
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction


class FrozenTeacher(nn.Module):
    """A copy of a network as it is now; always in evaluation mode, without gradients.

    Made when a method is built, it holds the encoder's ImageNet weights: weights that a run starts
    from (`initial=`) are loaded later, into the network alone.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "FrozenTeacher":
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the deepest features (B, D, h, w)."""
        return self.network.encode(image, "target")


BUFFERS = ("own", "averaged")


class MovingTeacher(nn.Module):
    """The moving average of a student's weights (mean teacher, Tarvainen and Valpola, 2017).

    teacher <- a teacher + (1 - a) student, with a = min(1 - 1 / (t + 1), rate): a plain mean of all
    students so far, until `rate` is reached. It moves after each step. DAFormer, HRDA and MIC move
    theirs at the start of the next step, before anyone has used it: the same teacher in every step.

    It predicts as its authors let it: batch norm with the batch's statistics (unless the network's
    policy has them frozen), dropout and stochastic depth off.

    Args:
        network: the student; copied, and copied again when the first step begins.
        rate: the largest share of itself that a move keeps.
        first_move: t of the first move; 0 makes it the student after its first step (DACS), 1 the
            mean of the student before and after it (DAFormer, HRDA, MIC, VFM-UDA).
        buffers: of batch norm; "own" are moved by the teacher's own predictions, "averaged" like
            the weights (VFM-UDA).
    """

    moves: Tensor
    """How often it has moved; part of a checkpoint, so that a resumed run goes on with it."""

    def __init__(
        self, network: SegmentationNetwork, rate: float, first_move: int, buffers: str
    ) -> None:
        super().__init__()
        if buffers not in BUFFERS:
            raise ConfigError(f"buffers={buffers!r}: choose {' or '.join(BUFFERS)}")
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.rate, self.first_move, self.buffers_averaged = rate, first_move, buffers != "own"
        self.register_buffer("moves", torch.zeros((), dtype=torch.long))
        self._moves: int | None = None
        self.train(self.training)

    def train(self, mode: bool = True) -> "MovingTeacher":
        """In training mode, only batch norm is."""
        super().train(False)
        if mode:
            for layer in norms.batch_norms(self.network):
                layer.train()
            norms.fix_mode(self.network, self.network.batch_norm)
        self.training = mode
        return self

    def begin(self, student: SegmentationNetwork) -> None:
        """Before the first step it becomes the student, whose weights a run may have loaded."""
        if self._moved() == 0:
            self.network.load_state_dict(student.state_dict())

    @torch.no_grad()
    def follow(self, student: SegmentationNetwork) -> None:
        """To be called after each step of the student."""
        t = self.first_move + self._moved()
        share = 1 - min(1 - 1 / (t + 1), self.rate)
        own: list[Tensor] = list(self.network.parameters())
        others: list[Tensor] = list(student.parameters())
        if self.buffers_averaged:
            for mine, other in zip(self.network.buffers(), student.buffers(), strict=True):
                if mine.is_floating_point():
                    own.append(mine)
                    others.append(other)
                else:
                    mine.copy_(other)
        torch._foreach_lerp_(own, others, share)
        self.moves += 1
        self._moves = t - self.first_move + 1

    def _moved(self) -> int:
        """The counter's value, without asking a GPU for it in every step."""
        if self._moves is None:
            self._moves = int(self.moves)
        return self._moves

    def _load_from_state_dict(self, *arguments: object) -> None:
        super()._load_from_state_dict(*arguments)  # type: ignore[arg-type]
        self._moves = None

    @torch.no_grad()
    def forward(self, image: Tensor) -> Prediction:
        """(B, 3, H, W) in [0, 1], images of the target."""
        return self.network(image, "target")
