"""Pyramids: what their head reads, its layers, and what it starts from."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from networks.test_deeplab import IMAGE, make
from networks.thin_pyramids import THIN_CONVNEXT, THIN_PVT
from networks.thin_resnet import THIN
from torch import nn

from uda_seg.config import shipped
from uda_seg.errors import ConfigError, WeightsError
from uda_seg.networks.backbones import PyramidEncoder
from uda_seg.networks.fusion import FusionHead

CHANNELS = [6, 8, 12, 16]


def head(fusion: str = "separable_aspp", **changes: Any) -> FusionHead:
    torch.manual_seed(0)
    settings = {"width": 4, "dilations": [1, 6, 12, 18], "dropout": 0.1} | changes
    return FusionHead(CHANNELS, 5, fusion=fusion, **settings)


def stages(batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = zip(CHANNELS, (16, 8, 4, 2), strict=True)
    return [torch.randn(batch, depth, s, s * 3 // 2, generator=generator) for depth, s in sizes]


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


def test_daformers_head_has_these_weights() -> None:
    """Counted by hand for MiT-B5 (64, 128, 320, 512 channels), 256 wide, 19 classes."""
    layers = FusionHead([64, 128, 320, 512], 19, 256, "separable_aspp", [1, 6, 12, 18], 0.1)
    embed = (64 + 128 + 320 + 512) * 256 + 4 * 256
    pointwise, depthwise = 1024 * 256 + 2 * 256, 1024 * 9 + 2 * 1024
    bottleneck, classifier = 1024 * 256 * 9 + 2 * 256, 256 * 19 + 19
    expected = embed + pointwise + 3 * (depthwise + pointwise) + bottleneck + classifier
    assert sum(weight.numel() for weight in layers.parameters()) == expected == 3_712_275


def test_segformers_head_has_these_weights() -> None:
    layers = FusionHead([64, 128, 320, 512], 19, 768, "1x1", [1], 0.1)
    embed = (64 + 128 + 320 + 512) * 768 + 4 * 768
    expected = embed + 4 * 768 * 768 + 2 * 768 + 768 * 19 + 19
    assert sum(weight.numel() for weight in layers.parameters()) == expected


def test_branches_look_ever_further_with_norm_and_relu_after_each_convolution() -> None:
    branches = head().fuse[0]
    layer = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert [kinds(branch) for branch in branches] == [layer, *([layer * 2] * 3)]
    convolutions = [m for m in branches.modules() if isinstance(m, nn.Conv2d)]
    assert all(one.bias is None for one in convolutions)
    assert [(c.kernel_size[0], c.dilation[0], c.groups) for c in convolutions] == [
        (1, 1, 1), (3, 6, 16), (1, 1, 1), (3, 12, 16), (1, 1, 1), (3, 18, 16), (1, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fusion", "shapes"),
    [
        ("1x1", [(4, 16, 1, 1)]),
        ("3x3", [(4, 16, 3, 3)]),
        ("aspp", [(4, 16, 1, 1), *[(4, 16, 3, 3)] * 4]),
        ("separable_aspp", [(4, 16, 1, 1), *[(16, 1, 3, 3), (4, 16, 1, 1)] * 3, (4, 16, 3, 3)]),
    ],
)
def test_fusions_have_these_convolutions(fusion: str, shapes: list[tuple[int, ...]]) -> None:
    layers = head(fusion)
    found = [tuple(m.weight.shape) for m in layers.fuse.modules() if isinstance(m, nn.Conv2d)]
    assert found == shapes
    assert isinstance(layers.context, nn.Identity)


@pytest.mark.parametrize(("fusion", "stage"), [("deepest_aspp", 0), ("coarse_aspp", -1)])
def test_context_of_the_deepest_stage_alone(fusion: str, stage: int) -> None:
    """At the first stage's size, or at its own."""
    layers, maps, seen = head(fusion), stages(), []
    layers.context.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    assert layers(maps).shape[-2:] == maps[0].shape[-2:]
    assert [size[-2:] for size in seen] == [maps[stage].shape[-2:]]
    found = [tuple(m.weight.shape) for m in layers.context.modules() if isinstance(m, nn.Conv2d)]
    assert found == [(4, 4, 1, 1), *[(4, 1, 3, 3), (4, 4, 1, 1)] * 3, (4, 16, 3, 3)]
    assert [tuple(w.shape) for w in layers.fuse.parameters()] == [(4, 16, 1, 1), (4,), (4,)]


def test_scores_are_computed_as_described() -> None:
    """Embedded, enlarged, side by side, fused, classified."""
    layers, maps = head("1x1").eval(), stages()
    together = torch.cat(
        [
            F.interpolate(F.conv2d(one, embed.weight, embed.bias), (16, 24), mode="bilinear")
            for one, embed in zip(maps, layers.embed, strict=True)
        ],
        1,
    )
    fused = F.conv2d(together, layers.fuse[0].weight).div((1 + 1e-5) ** 0.5).relu()
    expected = F.conv2d(fused, layers.classifier.weight, layers.classifier.bias)
    torch.testing.assert_close(layers(maps), expected)


def test_start_of_the_weights() -> None:
    layers = FusionHead([64, 128], 19, 256, "separable_aspp", [1, 6], 0.1)
    assert layers.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    bottleneck = layers.fuse[1][0].weight
    assert bottleneck.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.05)


def test_dropout_takes_whole_channels() -> None:
    layers, maps = head(width=64, dropout=0.5).train(), stages()
    seen: list[torch.Tensor] = []
    layers.classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    layers(maps)
    gone = (seen[0] == 0).flatten(2).all(2)
    assert 0.2 < gone.float().mean() < 0.8


def test_unknown_fusion_names_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"fusion='isa'.*separable_aspp \(.*1x1 \("):
        head("isa")


def test_small_pyramid_reads_all_stages_from_stride_4() -> None:
    network = make("daformer_small").eval()
    seen: list[Any] = []
    network.head.embed[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    prediction = network(IMAGE)
    assert seen == [(2, 24, 16, 24)]
    assert [one.in_channels for one in network.head.embed] == [24, 40, 112, 320]
    assert prediction.features.shape == (2, 320, 2, 3)
    coarser = make("daformer_small", finest_stride=8)
    assert [one.in_channels for one in coarser.head.embed] == [40, 112, 320]
    with pytest.raises(ConfigError, match="finest_stride=32.*leaves 1 of.*2, 4, 8, 16, 32"):
        make("daformer_small", finest_stride=32)


@pytest.mark.parametrize("name", [THIN_PVT, THIN_CONVNEXT, THIN, "mobilenetv2_100"])
def test_pyramids_take_timms_weights(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model(name)
    torch.save({"model": whole.state_dict()}, tmp_path / "weights.pth")
    encoder = PyramidEncoder(name, 0.0).eval()
    report = encoder.load(str(tmp_path / "weights.pth"))
    own = [key for key in encoder.body.state_dict() if not key.endswith("num_batches_tracked")]
    assert f"{len(own)} of {len(own)} keys matched, 0 missing" in report
    with torch.no_grad():
        maps, deepest = encoder(IMAGE), whole.eval().forward_features(IMAGE)
    assert [one.shape[1] for one in maps] == encoder.channels
    assert [96 // one.shape[3] for one in maps] == encoder.reductions
    if name != "mobilenetv2_100":  # which has one layer more behind its stages
        torch.testing.assert_close(maps[-1], deepest)


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model(THIN_PVT).state_dict(), tmp_path / "thin.pth")
    with pytest.raises(WeightsError, match="stages_0.*Choose the backbone"):
        PyramidEncoder(THIN_CONVNEXT, 0.0).load(str(tmp_path / "thin.pth"))


@pytest.mark.parametrize("name", [THIN_PVT, THIN_CONVNEXT, THIN])
def test_stochastic_depth_rises_linearly(name: str) -> None:
    encoder = PyramidEncoder(name, 0.1)
    rates = [layer.drop_prob for layer in encoder.modules() if hasattr(layer, "drop_prob")]
    blocks = {THIN_PVT: 5, THIN_CONVNEXT: 5, THIN: 8}[name]
    expected = [0.1 * block / (blocks - 1) for block in range(1, blocks)]
    assert sorted(set(rates)) == pytest.approx(expected)
    none = [layer for layer in PyramidEncoder(name, 0.0).modules() if hasattr(layer, "drop_prob")]
    assert none == []


def test_encoders_without_stochastic_depth_say_so() -> None:
    with pytest.raises(
        ConfigError, match="encoder.name=densenet121, drop_path_rate=0.1: timm cannot"
    ):
        PyramidEncoder("densenet121", 0.1)


@pytest.mark.parametrize(
    ("name", "last"),
    [(THIN_PVT, "stages_1."), (THIN_CONVNEXT, "stages_1."), (THIN, "layer1.")],
)
def test_frozen_stages_are_the_shallow_ones(name: str, last: str) -> None:
    encoder = PyramidEncoder(name, 0.0)
    encoder.freeze(2)
    learns = [weight.requires_grad for weight in encoder.body.parameters()]
    keys = [key for key, _ in encoder.body.named_parameters()]
    first = learns.index(True)
    assert all(learns[first:])
    assert keys[first - 1].startswith(last)
    assert not keys[first].startswith(last)


def test_published_settings() -> None:
    for name in ("daformer_pvt_v2_b5", "segformer_pvt_v2_b5", "dlv2red_resnet101"):
        node = shipped("backbone", name)
        optimizer = node["optimizer"]
        assert optimizer["_target_"] == "torch.optim.AdamW"
        assert (optimizer["lr"], optimizer["weight_decay"]) == (6e-5, 0.01)
        assert optimizer["betas"] == [0.9, 0.999]
        assert (node["head_factor"], node["batch_norm"], node["auxiliary"]) == (10, "train", False)
        assert node["schedule"]["power"] == 1
        assert node["schedule"]["warm_up"] == 1500
    daformer, segformer = (
        shipped("backbone", f"{name}_pvt_v2_b5")["head"] for name in ("daformer", "segformer")
    )
    assert (daformer["width"], daformer["fusion"], daformer["dropout"]) == (
        256,
        "separable_aspp",
        0.1,
    )
    assert daformer["dilations"] == [1, 6, 12, 18]
    assert (segformer["width"], segformer["fusion"], segformer["dropout"]) == (768, "1x1", 0.1)
    assert shipped("backbone", "daformer_pvt_v2_b5")["encoder"]["drop_path_rate"] == 0.1


def test_dilations_of_the_deeplab_that_daformer_compares_with() -> None:
    """2 and 4 in the last stages, half of it in their first blocks; the branches 6 and 12."""
    network = make("dlv2red_resnet101")
    body = network.encoder.body
    found = [
        [block.conv2.dilation[0] for block in stage]
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4)
    ]
    assert found == [[1, 1], [1, 1], [1, 2], [2, 4]]
    assert [branch.dilation[0] for branch in network.head.branches] == [6, 12]
    assert all(branch.bias is not None for branch in network.head.branches)
    assert network.encoder.reductions[-1] == 8
    assert network(IMAGE).auxiliary_logits is None
    stem = timm.create_model("resnet101c", features_only=True, out_indices=(0,)).conv1
    widths = [layer.out_channels for layer in stem if isinstance(layer, nn.Conv2d)]
    assert widths == [32, 32, 64]  # that of "v1c"; the thin network above has a plain one
    assert shipped("backbone", "dlv2red_resnet101")["encoder"]["name"] == "resnet101c.gluon_in1k"


OWN_ENCODER = """
from torch import nn
from uda_seg.networks.pretrained import load_pretrained

class Strided(nn.Module):
    channels, reductions = [4, 8, 12], [4, 8, 16]

    def __init__(self, name, drop_path_rate):
        super().__init__()
        depths = zip([3, 4, 8], self.channels, [4, 2, 2])
        self.body = nn.ModuleList(nn.Conv2d(*two, stride, stride) for *two, stride in depths)

    def forward(self, image):
        maps = [image]
        for layer in self.body:
            maps.append(layer(maps[-1]).relu())
        return maps[1:]

    def load(self, pretrained):
        return load_pretrained(self.body, "strided", pretrained)

    def freeze(self, stages):
        self.body[:stages].requires_grad_(False)
"""


@pytest.fixture
def own_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The dotted path of an encoder of the user's own."""
    (tmp_path / "users_encoders.py").write_text(OWN_ENCODER)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "users_encoders.Strided"
    sys.modules.pop("users_encoders", None)


def test_an_encoder_of_ones_own(
    own_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="UDA_SEG_TRUST=users_encoders"):
        make("daformer_pvt_v2_b5", encoder___target_=own_encoder)
    monkeypatch.setenv("UDA_SEG_TRUST", "users_encoders")
    changes: dict[str, Any] = {"encoder___target_": own_encoder, "frozen_stages": 1}
    network = make("daformer_pvt_v2_b5", **changes)
    assert [one.in_channels for one in network.head.embed] == [4, 8, 12]
    prediction = network(IMAGE)
    assert prediction.features.shape == (2, 12, 4, 6)
    prediction.logits.sum().backward()
    learns = [layer.weight.grad is not None for layer in network.encoder.body]
    assert learns == [False, True, True]
    state = {f"backbone.{key}": value for key, value in network.encoder.body.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "own.pth")
    other = make("daformer_pvt_v2_b5", **changes, pretrained=str(tmp_path / "own.pth"))
    assert "own.pth: 6 of 6 keys matched" in other.load_report
