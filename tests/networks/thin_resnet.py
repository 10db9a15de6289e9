"""timm's ResNet-26 with an eighth of its channels: what is tested of ResNets needs no more."""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from timm.models.resnet import Bottleneck, ResNet, _create_resnet

THIN = "resnet26_thin"
default_cfgs = generate_default_cfgs({THIN: {"first_conv": "conv1", "classifier": "fc"}})


@register_model
def resnet26_thin(pretrained: bool = False, **settings: Any) -> ResNet:
    """Of bottleneck blocks, two a stage, as in 50 and 101 otherwise."""
    shape = {"layers": (2, 2, 2, 2), "channels": (8, 16, 32, 64)}
    network: ResNet = _create_resnet(THIN, pretrained, block=Bottleneck, **shape, **settings)
    return network
