"""Whose terms hold for what an encoder was before training."""

import pytest

from uda_seg.config import shipped
from uda_seg.export.terms import UNKNOWN, of_first_weights


def of(name: str, pretrained: str) -> str:
    backbone = shipped("backbone", "vfm_dinov2_base")
    encoder = backbone["encoder"] | {"name": name}
    return of_first_weights(backbone | {"encoder": encoder, "pretrained": pretrained})


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("vit_base_patch14_dinov2.lvd142m", "apache-2.0"),
        ("vit_base_patch16_dinov3.lvd1689m", "dinov3-license"),
        ("eva02_base_patch14_224.mim_in22k", "mit"),
        ("resnet101.tv_in1k", "bsd-3-clause"),
    ],
)
def test_timm_says_whose_terms_hold(name: str, licence: str) -> None:
    words = of(name, "hub")
    assert words.startswith(f"{name} from timm's hub: {licence} (read: timm ")
    assert ("ImageNet's pictures" in words) == ("in1k" in name or "in22k" in name)
    own = of(name, "folder/authors.pth")
    assert own.startswith(f"the file authors.pth: {UNKNOWN}; timm's own weights of {name}: ")
    assert licence in own


def test_what_nobody_says_is_unknown() -> None:
    assert of("vit_of_mine", "hub") == f"vit_of_mine from timm's hub: {UNKNOWN}"
    assert of("vit_of_mine", "folder/mine.pth") == f"the file mine.pth: {UNKNOWN}"
    assert of("vit_of_mine", "none") == "none: it started at random"
