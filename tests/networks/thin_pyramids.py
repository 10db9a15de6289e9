"""A PVT-v2 and a ConvNeXt of timm's with an eighth of their channels and a block or two a stage."""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from timm.models.convnext import ConvNeXt, _create_convnext
from timm.models.pvt_v2 import PyramidVisionTransformerV2, _create_pvt2

THIN_PVT, THIN_CONVNEXT = "pvt_v2_thin", "convnext_thin"
default_cfgs = generate_default_cfgs({THIN_PVT: {}, THIN_CONVNEXT: {}})


@register_model
def pvt_v2_thin(pretrained: bool = False, **settings: Any) -> PyramidVisionTransformerV2:
    """Of widths 8, 16, 40, 64, as B5 has 64, 128, 320, 512."""
    thin = {"depths": (1, 2, 1, 1), "embed_dims": (8, 16, 40, 64), "num_heads": (1, 2, 5, 8)}
    network: PyramidVisionTransformerV2 = _create_pvt2(THIN_PVT, pretrained, **thin, **settings)
    return network


@register_model
def convnext_thin(pretrained: bool = False, **settings: Any) -> ConvNeXt:
    thin = {"depths": (1, 1, 2, 1), "dims": (8, 16, 32, 64)}
    network: ConvNeXt = _create_convnext(THIN_CONVNEXT, pretrained, **thin, **settings)
    return network
