"""Which device a run takes, and what is said where it is not there."""

from typing import Any

import pytest
import torch

from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.training.devices import check_devices

FULL = {"precision": "32-true"}


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, cuda: str | None = "12.4") -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("there", "kind", "devices", "words"),
    [
        (0, "gpu", 1, "finds no GPU here .* trainer=cpu"),
        (0, "mps", 1, "no Apple GPU here"),
        (0, "auto", [1], r"devices=\[1\]: a list says which GPUs, but torch finds no GPU"),
        (
            2,
            "cpu",
            [0, 1],
            "trainer.accelerator=cpu; give a number of processes, trainer.devices=2",
        ),
        (2, "gpu", 3, r"devices=3: there are 2 GPUs; a list says which: trainer.devices=\[1\]"),
        (2, "auto", [0, 2], r"devices=\[0,2\]: there are 2 GPUs, 0 to 1"),
        (1, "gpu", [1], "there is one GPU, number 0"),
    ],
)
def test_a_device_that_is_not_there_is_named(there, kind, devices, words, monkeypatch) -> None:
    gpus(monkeypatch, there)
    with pytest.raises(ConfigError, match=words):
        check_devices(FULL | {"accelerator": kind, "devices": devices})


def test_why_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, Any] = FULL | {"accelerator": "gpu", "devices": 1}
    gpus(monkeypatch, 0, cuda=None)
    with pytest.raises(ConfigError, match="installed without CUDA"):
        check_devices(wanted)
    gpus(monkeypatch, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match="CUDA_VISIBLE_DEVICES= hides all"):
        check_devices(wanted)


@pytest.mark.parametrize("devices", [1, 2, [1], [0, 1]])
def test_devices_that_are_there_are_taken(devices, monkeypatch) -> None:
    gpus(monkeypatch, 2)
    check_devices(FULL | {"accelerator": "auto", "devices": devices})
    gpus(monkeypatch, 0)
    check_devices(FULL | {"accelerator": "cpu", "devices": 2})
    check_devices(FULL | {"accelerator": "auto", "devices": 2})


@pytest.mark.parametrize(("there", "kind"), [(0, "auto"), (0, "cpu"), (1, "cpu")])
def test_half_precision_is_refused_where_it_would_be_another_one(there, kind, monkeypatch) -> None:
    """Lightning computes in bfloat16 on a CPU, with a warning, while config.yaml says 16-mixed."""
    gpus(monkeypatch, there)
    half = {"precision": "16-mixed", "accelerator": kind, "devices": 1}
    with pytest.raises(ConfigError, match="precision=16-mixed: needs a GPU.*precision=bf16-mixed"):
        check_devices(half)
    gpus(monkeypatch, 1)
    check_devices(half | {"accelerator": "auto"})


def test_a_list_says_which_and_nothing_else() -> None:
    assert check("train", ["trainer.devices=[1]"]).config.trainer.devices == [1]
    for wrong in ("[]", "[1,1]", "[-1]", "[a]", "0", "-1"):
        with pytest.raises(ConfigError, match="trainer.devices"):
            check("train", [f"trainer.devices={wrong}"])
