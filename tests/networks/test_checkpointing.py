"""Blocks that compute again what they forgot: the same losses, gradients and statistics."""

import copy

import pytest
import torch
from networks.thin_pyramids import THIN_CONVNEXT, THIN_PVT
from networks.thin_resnet import THIN
from torch import nn

from uda_seg.config import build, conf_folder, shipped
from uda_seg.networks.batch_norm import batch_norms
from uda_seg.networks.checkpointing import blocks, checkpoint

BACKBONES = sorted(path.stem for path in (conf_folder() / "backbone").glob("*.yaml"))


def made(name, **settings):
    """With the kind of its encoder in few channels, and a depth head."""
    node = shipped("backbone", name)
    node |= settings | {"depth_head": True} | ({"pretrained": "none"} if "mean" in node else {})
    if "pretrained" not in shipped("backbone", name):
        node.pop("pretrained", None)
    encoder = node.get("host", node).get("encoder", {"name": ""})
    for kind, thin in (("pvt", THIN_PVT), ("convnext", THIN_CONVNEXT), ("resnet", THIN)):
        if kind in encoder["name"]:
            encoder["name"] = thin
    node |= {"width": 8} if "width" in node else {}
    torch.manual_seed(0)
    return build(node, classes=4).train()


def step(network, passes=1, domain="source"):
    """Loss, gradients by name, and buffers after so many backward passes of one graph."""
    torch.manual_seed(1)
    prediction = network(torch.rand(2, 3, 64, 96), domain)
    others = [prediction.auxiliary_logits, prediction.depth]
    maps = [prediction.logits, prediction.features, *(m for m in others if m is not None)]
    loss = torch.stack([part.float().square().mean() for part in maps]).sum()
    for left in reversed(range(passes)):
        loss.backward(retain_graph=left > 0)
    gradients = {name: weight.grad for name, weight in network.named_parameters()}
    return loss.detach(), gradients, {k: v.clone() for k, v in network.named_buffers()}


def assert_same(first, second):
    assert torch.equal(first[0], second[0])
    for before, after in zip(first[1:], second[1:], strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            assert (value is None) == (after[name] is None), name
            assert value is None or torch.equal(value, after[name]), name


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_computes_the_same(name):
    plain = made(name)
    forgetful = copy.deepcopy(plain)
    assert checkpoint(forgetful) >= 1
    assert plain.state_dict().keys() == forgetful.state_dict().keys()
    assert_same(step(plain), step(forgetful))


@pytest.mark.parametrize("policy", ["train", "frozen_affine", "source", "target", "frozen"])
@pytest.mark.parametrize("domain", ["source", "target", "neither"])
def test_statistics_move_once_whoever_moves_them(policy, domain):
    plain = made("tiny", batch_norm=policy)
    forgetful = copy.deepcopy(plain)
    checkpoint(forgetful)
    assert_same(step(plain, domain=domain), step(forgetful, domain=domain))
    assert all(layer.track_running_stats for layer in batch_norms(forgetful))


def test_a_graph_can_be_gone_through_twice_and_mixed_precision_stays():
    plain = made("daformer_pvt_v2_b0")
    forgetful = copy.deepcopy(plain)
    checkpoint(forgetful)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(step(plain, passes=2), step(forgetful, passes=2))


def test_less_is_kept_for_the_way_back():
    def kept(network):
        sizes = {}

        def keep(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        weights = {w.untyped_storage().data_ptr() for w in network.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            logits = network(torch.rand(2, 3, 64, 96)).logits
        assert logits.requires_grad
        return sum(size for place, size in sizes.items() if place not in weights)

    plain = made("deeplab_resnet50")
    forgetful = copy.deepcopy(plain)
    checkpoint(forgetful)
    assert kept(forgetful) < 0.5 * kept(plain)


def test_blocks_are_the_largest_and_none_changes_what_it_is_computed_from():
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True))
    changing = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1))
    branch = nn.Sequential(block, changing)
    network = nn.Sequential(nn.Sequential(block, nn.Conv2d(3, 3, 1)), nn.ModuleList([branch]))
    assert list(blocks(network)) == [block, branch]
    assert list(blocks(nn.Sequential(changing))) == []


def test_without_gradients_nothing_is_computed_again(monkeypatch):
    network = made("tiny")
    checkpoint(network)
    monkeypatch.setattr("uda_seg.networks.checkpointing.computed_again", None)
    with torch.no_grad():
        network(torch.rand(2, 3, 32, 32))
    with pytest.raises(TypeError):
        network(torch.rand(2, 3, 32, 32))
