"""Gradients of several processes, averaged once a step."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import compose
from torch import Tensor, nn

from uda_seg.training import gradients
from uda_seg.training.optimization import JointOptimizer
from uda_seg.training.trainer import _strategy


class Processes:
    """Threads that stand for processes: what `torch.distributed` does between them."""

    def __init__(self, count: int) -> None:
        self.count, self.own = count, threading.local()
        self.meet = threading.Barrier(count, timeout=20)
        self.sent: dict[int, Tensor] = {}
        self.calls: list[str] = []

    def get_world_size(self) -> int:
        return self.count

    def all_reduce(self, tensor: Tensor) -> None:
        sent = self._exchange("all_reduce", tensor)
        tensor.copy_(torch.stack([sent[rank] for rank in range(self.count)]).sum(0))

    def broadcast(self, tensor: Tensor, source: int) -> None:
        tensor.copy_(self._exchange("broadcast", tensor)[source])

    def _exchange(self, name: str, tensor: Tensor) -> dict[int, Tensor]:
        self.sent[self.own.rank] = tensor.clone()
        if self.own.rank == 0:
            self.calls.append(name)
        self.meet.wait()
        sent = dict(self.sent)
        self.meet.wait()
        return sent

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        results: list[Any] = [None] * self.count

        def process(rank: int) -> None:
            self.own.rank = rank
            results[rank] = work(rank)

        threads = [threading.Thread(target=process, args=[rank]) for rank in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Processes:
    processes = Processes(3)
    monkeypatch.setattr(gradients, "dist", processes)
    return processes


def test_one_all_reduce_makes_every_gradient_the_mean(three: Processes) -> None:
    """Of those that some lack, with zeros for them; in channels-last order too."""

    def work(rank: int) -> list[nn.Parameter]:
        everywhere, somewhere, nowhere = (nn.Parameter(torch.ones(2, 3, 1, 2)) for _ in range(3))
        frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        everywhere.grad = (torch.arange(12.0).view(2, 3, 1, 2) * (rank + 1)).contiguous(
            memory_format=torch.channels_last
        )
        if rank == 1:
            somewhere.grad = torch.full((2, 3, 1, 2), 6.0)
        own = [frozen, everywhere, somewhere, nowhere]
        gradients.average(own)
        return own

    for frozen, everywhere, somewhere, nowhere in three.run(work):
        assert frozen.grad is None
        assert torch.equal(everywhere.grad, torch.arange(12.0).view(2, 3, 1, 2) * 2)
        assert everywhere.grad.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(somewhere.grad, torch.full((2, 3, 1, 2), 2.0))
        assert nowhere.grad is None
    assert three.calls == ["all_reduce"]


def test_an_overflow_of_one_leaves_the_step_out_in_all(three: Processes) -> None:
    """Of both players, with the same scale afterwards; the next step is made by all."""

    def work(rank: int) -> tuple[list[list[float]], list[float], int]:
        weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
        joint = JointOptimizer(
            {str(number): torch.optim.SGD([w], lr=1.0) for number, w in enumerate(weights)}
        )
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        seen, scales = [], []
        for step in range(2):
            for player, weight in enumerate(weights):
                weight.grad = torch.full((2,), scaler.get_scale() * (rank + 1))
                if (step, rank, player) == (0, 2, 1):
                    weight.grad[1] = float("inf")
                scaler.scale(torch.ones(()))
            for parameters in joint.parameters():
                gradients.average(parameters)
            scaler.step(joint)
            scaler.update()
            seen.append([float(w.detach()[0]) for w in weights])
            scales.append(scaler.get_scale())
        return seen, scales, joint.steps

    assert three.run(work) == [([[1.0, 1.0], [-1.0, -1.0]], [4.0, 4.0], 1)] * 3


def test_a_player_that_learns_nothing_sends_nothing(three: Processes) -> None:
    three.run(lambda rank: gradients.average([nn.Parameter(torch.ones(1), requires_grad=False)]))
    assert three.calls == []


def test_buffers_become_the_first_processes(three: Processes) -> None:
    def work(rank: int) -> nn.Module:
        norm = nn.BatchNorm2d(2)
        norm.running_mean.fill_(rank)  # type: ignore[union-attr]
        norm.num_batches_tracked.fill_(rank + 5)  # type: ignore[union-attr]
        gradients.share(norm.buffers())
        return norm

    for norm in three.run(work):
        assert norm.running_mean.tolist() == [0, 0]
        assert norm.running_var.tolist() == [1, 1]
        assert int(norm.num_batches_tracked) == 5
    assert three.calls == ["broadcast"] * 2  # floats, and whole numbers


def test_several_devices_average_once_unless_told_otherwise() -> None:
    def chosen(*words: str) -> Any:
        return _strategy(compose("train", list(words))["trainer"])

    assert chosen() == "auto"
    assert chosen("trainer=ddp", "trainer.devices=1") == "auto"
    for words in (["trainer=ddp"], ["trainer.devices=[0,1]"], ["trainer.num_nodes=2"]):
        assert isinstance(chosen(*words), gradients.AveragingOnce)
    reducer = "ddp_find_unused_parameters_true"
    assert chosen("trainer=ddp", f"trainer.strategy={reducer}") == reducer
