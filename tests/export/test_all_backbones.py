"""Every backbone can be followed for images of any size, and answers the same."""

import pytest
import torch
from networks.thin_pyramids import THIN_CONVNEXT, THIN_PVT
from networks.thin_resnet import THIN_AND_SHALLOW

from uda_seg.config import build, conf_folder, shipped
from uda_seg.export import agreement, deployed, formats

SIZES = [[120, 136], [131, 119]]
BACKBONES = sorted(path.stem for path in (conf_folder() / "backbone").glob("*.yaml"))


def made(name: str) -> torch.nn.Module:
    node = shipped("backbone", name)
    node |= {"depth_head": False} | ({"pretrained": "none"} if "pretrained" in node else {})
    for kind, thin in (("pvt", THIN_PVT), ("convnext", THIN_CONVNEXT)):  # a block or two a stage
        if kind in name:
            node.get("host", node)["encoder"]["name"] = thin
    torch.manual_seed(0)
    return build(node, classes=4).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_exported(name, tmp_path):
    for package in formats.Onnx.packages:
        pytest.importorskip(package, reason="install the extra export")
    network = made(name)
    program = deployed.trace(network, "logits", name)
    for format in (formats.Onnx(None), formats.TorchExport()):
        path = tmp_path / format.file
        format.write(program, path, "logits", {})
        found = agreement.compare(network, format.open(path), SIZES, 0.001)
        agreement.check(format.file, found, 0.001)
        assert [one.shape[0] for one in found] == [1, 2]


ENCODER = {
    "_target_": "uda_seg.networks.backbones.ResNetEncoder", "name": THIN_AND_SHALLOW,
    "output_stride": 8, "stride_on": "conv2", "ceil_mode": True,
}  # fmt: skip
"""Ten layers in place of a hundred and one."""


@pytest.mark.parametrize(
    "name", ["deeplab_resnet101", pytest.param("pspnet_resnet101", marks=pytest.mark.slow)]
)
def test_their_kinds_are_exported(name, tmp_path):
    node = shipped("backbone", name)
    node |= {"depth_head": False, "pretrained": "none", "encoder": ENCODER}
    node |= {"width": 8} if "width" in node else {}
    torch.manual_seed(0)
    network = build(node, classes=4).eval()
    program = deployed.trace(network, "logits", name)
    format = formats.TorchExport()
    format.write(program, tmp_path / format.file, "logits", {})
    found = agreement.compare(network, format.open(tmp_path / format.file), SIZES, 0.001)
    agreement.check(name, found, 0.001)


class Counting(torch.nn.Module):
    """What cannot be followed: it depends on Python's view of one image."""

    def forward(self, image):
        return image if image.sum().item() > 3 else -image


def test_a_network_that_cannot_be_followed_is_named(monkeypatch):
    network = made("tiny")
    network.early = Counting()
    with pytest.raises(deployed.ConfigError, match="backbone=mine: cannot be exported"):
        deployed.trace(network, "logits", "mine")
