"""timm's ResNets with an eighth of their channels: what is tested of ResNets needs no more."""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, Bottleneck, ResNet, _create_resnet

THIN, THIN_AND_SHALLOW = "resnet26_thin", "resnet10_thin"
default_cfgs = generate_default_cfgs(
    {name: {"first_conv": "conv1", "classifier": "fc"} for name in (THIN, THIN_AND_SHALLOW)}
)


@register_model
def resnet26_thin(pretrained: bool = False, **settings: Any) -> ResNet:
    """Of bottleneck blocks, two a stage, as in 50 and 101 otherwise."""
    return _thin(THIN, pretrained, block=Bottleneck, layers=(2, 2, 2, 2), **settings)


@register_model
def resnet10_thin(pretrained: bool = False, **settings: Any) -> ResNet:
    return _thin(THIN_AND_SHALLOW, pretrained, block=BasicBlock, layers=(1, 1, 1, 1), **settings)


def _thin(name: str, pretrained: bool, **settings: Any) -> ResNet:
    network: ResNet = _create_resnet(name, pretrained, channels=(8, 16, 32, 64), **settings)
    return network
