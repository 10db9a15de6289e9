"""Evaluation mode, or that of training, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every submodule is as it was."""
    with _kept_mode(module), torch.no_grad():
        module.eval()
        yield


@contextmanager
def as_in_training(module: nn.Module) -> Iterator[None]:
    """Training mode without gradients; afterwards every submodule's mode, every buffer (which
    batch norm moves) and the random numbers are as they were.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    devices = {weight.device for weight in module.parameters() if weight.is_cuda}
    with _kept_mode(module), torch.no_grad(), torch.random.fork_rng(devices):
        module.train()
        try:
            yield
        finally:
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])


@contextmanager
def _kept_mode(module: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
