"""Batch-norm policies: which passes move the statistics, and whether the affine part learns.

Target images that pass through batch norm adapt a network by themselves (AdaBN, Li et al.,
2017, arXiv 1603.04779), so the policy is a part of every result.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from uda_seg.errors import ConfigError

POLICIES = {
    "train": "statistics and affine part learn from source and target images",
    "frozen_affine": "statistics move with both domains, gamma and beta stay (AdaptSegNet)",
    "source": "only source passes move the running statistics",
    "target": "only target passes move the running statistics",
    "frozen": "nothing moves: running statistics are used in training too",
}
DOMAINS = ("source", "target")
NEITHER = "neither"
"""The domain of images that move the running statistics under no policy."""


def batch_norms(network: nn.Module) -> Iterator[_BatchNorm]:
    """All batch-norm layers, timm's fused ones and SyncBatchNorm included."""
    return (module for module in network.modules() if isinstance(module, _BatchNorm))


def check_policy(policy: str) -> None:
    """Raises ConfigError for a name that is not in `POLICIES`."""
    if policy not in POLICIES:
        choices = "; ".join(f"{name} ({meaning})" for name, meaning in POLICIES.items())
        raise ConfigError(f"batch_norm: {policy!r} is not a policy; choose one of: {choices}")


def fix_affine(network: nn.Module, policy: str) -> None:
    """Takes gamma and beta out of training, or gives them back, as the policy says."""
    learns = policy not in ("frozen_affine", "frozen")
    for layer in batch_norms(network):
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(learns)


def fix_mode(network: nn.Module, policy: str) -> None:
    """Keeps frozen layers in evaluation mode; to be called after every `train()`."""
    if policy == "frozen":
        for layer in batch_norms(network):
            layer.eval()


@contextmanager
def statistics(network: nn.Module, policy: str, domain: str) -> Iterator[None]:
    """Training passes inside normalise with the batch's statistics as ever, but leave the
    running ones (and their counter) alone when they belong to the other domain.
    """
    if domain not in (*DOMAINS, NEITHER):
        raise ValueError(f"domain is {domain!r}, but must be one of {', '.join(DOMAINS)}")
    if domain != NEITHER and (policy not in DOMAINS or policy == domain):
        yield
        return
    # In training mode a layer that does not track is given no running statistics at all;
    # in evaluation mode the flag changes nothing, so this is safe in either.
    paused = [layer for layer in batch_norms(network) if layer.track_running_stats]
    for layer in paused:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in paused:
            layer.track_running_stats = True


class Repeated:
    """A context for passes that repeat one of now: they normalise alike, and what they move are
    copies of the running statistics. It can be entered again and again.
    """

    def __init__(self, network: nn.Module) -> None:
        self.layers = [(layer, layer.track_running_stats) for layer in batch_norms(network)]

    def __enter__(self) -> None:
        self.kept = [(dict(layer._buffers), layer.track_running_stats) for layer, _ in self.layers]
        for layer, tracks in self.layers:
            layer.track_running_stats = tracks
            for name, buffer in layer._buffers.items():
                layer._buffers[name] = None if buffer is None else buffer.clone()

    def __exit__(self, *error: object) -> None:
        for (layer, _), (buffers, tracks) in zip(self.layers, self.kept, strict=True):
            layer._buffers.update(buffers)
            layer.track_running_stats = tracks
