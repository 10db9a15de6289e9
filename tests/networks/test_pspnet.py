"""Pyramid pooling against a loop, and what stays frozen."""

from typing import Any

import pytest
import torch
from networks.thin_resnet import THIN
from omegaconf import OmegaConf
from torch import nn

from uda_seg.config import build, shipped
from uda_seg.errors import ConfigError
from uda_seg.networks.pspnet import PyramidPooling


def make(name: str = "pspnet_resnet101", **changes: Any) -> Any:
    torch.manual_seed(0)
    config = OmegaConf.create(shipped("backbone", name))
    config.pretrained = "none"
    if "resnet" in name:
        config.encoder.name = THIN
    if "width" in config:
        config.width = 16
    return build(OmegaConf.merge(config, {"depth_head": False}, changes), classes=5)


def test_cells_of_the_pyramid_are_means_over_their_part_of_the_image() -> None:
    pyramid = PyramidPooling(8, [1, 2]).eval()
    assert pyramid.channels == 16
    for branch in pyramid.branches:
        nn.init.zeros_(branch[0].weight)
        for channel in range(4):
            branch[0].weight.data[channel, channel] = 1.0
    features = torch.rand(1, 8, 4, 4)
    maps = pyramid(features)
    torch.testing.assert_close(maps[:, :8], features)
    whole = features[0, :4].mean((1, 2)) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(maps[0, 8:12], whole[:, None, None].expand(4, 4, 4))
    corner = features[0, :4, :2, :2].mean((1, 2)) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(maps[0, 12:16, 0, 0], corner)


def test_one_image_has_no_statistics_for_the_coarsest_cell() -> None:
    image = torch.rand(1, 3, 64, 64)
    with pytest.raises(ConfigError, match="batch_size=2"):
        make().train()(image)
    assert make(batch_norm="frozen").train()(image).logits.shape == (1, 5, 64, 64)


@pytest.mark.parametrize(
    "name", ["pspnet_resnet101", "deeplab_resnet101", "small", "deeplab_vgg16"]
)
def test_frozen_stages_are_the_shallow_ones(name: str) -> None:
    free, frozen = make(name), make(name, frozen_stages=2)
    image = torch.rand(2, 3, 32, 32)

    def learns(network: Any) -> dict[str, bool]:
        network.train()
        prediction = network(image)
        (prediction.logits.square().mean() + prediction.auxiliary_logits.square().mean()).backward()
        return {key: w.grad is not None for key, w in network.encoder.named_parameters()}

    before, after = learns(free), learns(frozen)
    stopped = [key for key in before if before[key] and not after[key]]
    assert stopped
    assert stopped == [key for key in list(before) if before[key]][: len(stopped)]
    assert len(stopped) < sum(before.values()) / 2
    with pytest.raises(ConfigError, match="frozen_stages=99"):
        free.encoder.freeze(99)
