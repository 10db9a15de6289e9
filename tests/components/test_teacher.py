"""The moving teacher: its schedule, its modes, and what of it is kept."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from conftest import make_batch
from torch import nn

from uda_seg.components.teacher import MovingTeacher
from uda_seg.errors import ConfigError
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction


class OneWeight(SegmentationNetwork):
    """A weight, a batch norm and things that chance decides."""

    def __init__(self) -> None:
        super().__init__(2, [0.5] * 3, [0.25] * 3, 1.0)
        self.weight = nn.Parameter(torch.zeros(1))
        self.norm, self.dropout = nn.BatchNorm2d(3), nn.Dropout(0.5)

    def predict(self, image: torch.Tensor) -> Prediction:
        maps = self.dropout(self.norm(image)) + self.weight
        return Prediction(maps, maps)

    def heads(self) -> list[nn.Module]:
        return []


def weights_of(first_move: int, rate: float, moves: list[int]) -> dict[int, float]:
    """The teacher's weight after moves where the student's weight at its step t is t."""
    student = OneWeight().double()
    teacher = MovingTeacher(student, rate, first_move, "own")
    teacher.begin(student)
    seen = {}
    for t in range(first_move, max(moves) + 1):
        nn.init.constant_(student.weight, t)
        teacher.follow(student)
        seen[t] = teacher.network.weight.item()
    return {t: seen[t] for t in moves}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.999, {1: 0.5, 2: 1.0, 10: 5.0, 100: 50.0, 1000: 500.0005, 2000: 1184.4802}),
        (0.99, {1: 0.5, 2: 1.0, 10: 5.0, 100: 50.005, 1000: 901.0058, 2000: 1901.0}),
    ],
)
def test_it_is_a_plain_mean_until_its_rate_is_reached(
    rate: float, expected: dict[int, float]
) -> None:
    """Moved at the start of the next step (MIC) or after this one, counted from 1 (VFM-UDA)."""
    assert weights_of(1, rate, list(expected)) == pytest.approx(expected, rel=1e-6)


def test_dacs_makes_it_the_student_after_the_first_step() -> None:
    student = OneWeight()
    teacher = MovingTeacher(student, 0.99, 0, "own")
    nn.init.constant_(student.weight, 7.0)
    teacher.follow(student)
    assert teacher.network.weight.item() == 7
    nn.init.constant_(student.weight, 9.0)
    teacher.follow(student)
    assert teacher.network.weight.item() == 8  # t = 1: half of each


def test_it_begins_as_the_student_whose_weights_a_run_loaded() -> None:
    student = OneWeight()
    teacher = MovingTeacher(student, 0.999, 1, "own")
    nn.init.constant_(student.weight, 3.0)
    student.norm.running_mean.fill_(0.5)  # type: ignore[union-attr]
    teacher.begin(student)
    assert teacher.network.weight.item() == 3
    assert teacher.network.norm.running_mean.tolist() == [0.5] * 3
    teacher.follow(student)
    nn.init.constant_(student.weight, 5.0)
    teacher.begin(student)
    assert teacher.network.weight.item() == 3, "only before the first step"


def test_batch_norm_trains_and_nothing_else_does() -> None:
    teacher = MovingTeacher(OneWeight(), 0.999, 1, "own").train()
    network: Any = teacher.network
    assert network.norm.training
    assert not network.dropout.training
    assert not network.training
    before = network.norm.running_mean.clone()
    prediction = teacher(torch.rand(2, 3, 8, 8))
    assert not prediction.logits.requires_grad
    assert not torch.equal(network.norm.running_mean, before)
    assert not teacher.eval().network.norm.training
    network.set_batch_norm("frozen")
    assert not teacher.train().network.norm.training


def test_buffers_are_its_own_or_averaged() -> None:
    for buffers, expected in (("own", 0.0), ("averaged", 2.0)):
        student: Any = OneWeight()
        teacher: Any = MovingTeacher(student, 0.999, 1, buffers)
        teacher.begin(student)
        student.norm.running_mean.fill_(4.0)
        student.norm.num_batches_tracked += 3
        teacher.follow(student)
        assert teacher.network.norm.running_mean.tolist() == [expected] * 3
        assert int(teacher.network.norm.num_batches_tracked) == (3 if buffers == "averaged" else 0)
    with pytest.raises(ConfigError, match="own or averaged"):
        MovingTeacher(student, 0.999, 1, "none")


def test_its_counter_is_part_of_a_checkpoint(network: Any) -> None:
    """The authors' starts again on resume, as the student."""
    teacher = MovingTeacher(network, 0.999, 1, "own")
    teacher.begin(network)
    for _ in range(3):
        teacher.follow(network)
    resumed = MovingTeacher(network, 0.999, 1, "own")
    resumed.begin(network)
    resumed.load_state_dict(deepcopy(teacher.state_dict()))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    for one in (teacher, resumed):
        one.begin(network)
        one.follow(network)
    image = make_batch().target.image
    assert torch.equal(teacher(image).logits, resumed(image).logits)
    assert int(resumed.moves) == 4
