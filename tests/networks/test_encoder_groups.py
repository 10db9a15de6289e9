"""Groups of an encoder's weights: which decay, and at which rate each block learns."""

from typing import Any

import pytest
import timm
import torch
from conftest import compose
from networks.thin_pyramids import THIN_PVT
from torch import Tensor, nn

from uda_seg.config import build, plain
from uda_seg.errors import ConfigError
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.encoder_groups import block_depths, norm_weights
from uda_seg.networks.prediction import Prediction
from uda_seg.runs.identity import differences
from uda_seg.training.optimization import make_optimizer
from uda_seg.training.setup import make_adaptation, make_method

VFM2 = 1e-5 * 8**0.5
"""VFM-UDA++'s rate of a ViT-L for a batch of 8 in all."""


class Probe(SegmentationNetwork):
    """An encoder of timm's and a linear head."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(4, [0.5] * 3, [0.5] * 3, head_factor=10.0)
        self.encoder = timm.create_model(name, **options)
        self.head = nn.Conv2d(4, 4, 1)

    def predict(self, image: Tensor) -> Prediction:
        raise NotImplementedError

    def heads(self) -> list[nn.Module]:
        return [self.head]


def probe(name: str, **options: Any) -> Probe:
    with torch.device("meta"):
        return Probe(name, **options)


def rate_of(network: Probe, rate: float) -> dict[str, float]:
    optimizer = make_optimizer(network, lambda groups: torch.optim.AdamW(groups, lr=rate))
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: rates[p] for name, p in network.named_parameters()}


def test_vfms_rates_of_a_vit_l() -> None:
    network = probe("vit_large_patch14_dinov2", num_classes=0)
    network.layer_decay = 0.9
    rates = rate_of(network, VFM2 / 10)  # the encoder's; the head's is ten times that
    assert rates["head.weight"] == pytest.approx(2.8284e-5, rel=1e-4)
    assert rates["encoder.blocks.23.mlp.fc2.bias"] == pytest.approx(2.828e-6, rel=1e-3)
    assert rates["encoder.blocks.22.ls1.gamma"] == pytest.approx(0.9 * VFM2 / 10)
    assert rates["encoder.blocks.0.norm1.weight"] == pytest.approx(2.507e-7, rel=1e-3)
    for stem in ("cls_token", "pos_embed", "patch_embed.proj.weight"):
        assert rates[f"encoder.{stem}"] == pytest.approx(2.256e-7, rel=1e-3)
    assert rates["encoder.norm.weight"] == pytest.approx(2.828e-6, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "blocks"),
    [
        ("vit_tiny_patch16_224", {}, 12),
        ("vit_small_patch16_dinov3", {}, 12),
        ("pvt_v2_b0", {"features_only": True}, 2 + 2 + 2 + 2),
        ("convnext_tiny", {"features_only": True}, 3 + 3 + 9 + 3),
        ("swin_tiny_patch4_window7_224", {"features_only": True}, 2 + 2 + 6 + 2),
        ("resnet101c", {"features_only": True}, 3 + 4 + 23 + 3),
        ("tf_efficientnet_lite0", {"features_only": True}, 1 + 2 + 2 + 3 + 3 + 4 + 1),
        ("mobilevit_xxs", {"features_only": True}, 1 + 3 + 2 + 2 + 2),
        ("vgg11", {"features_only": True}, 0),
    ],
)
def test_blocks_are_counted_through_all_stages(
    name: str, options: dict[str, bool], blocks: int
) -> None:
    with torch.device("meta"):
        body = timm.create_model(name, **options)
    depths = list(block_depths([name for name, _ in body.named_parameters()]))
    assert depths == sorted(depths)
    assert (depths[0], depths[-1], len(set(depths))) == (0, blocks, blocks + 1)


def test_what_lies_between_stages_counts_with_the_block_before() -> None:
    names = [
        "stem_0.weight", "stages_0.blocks.0.norm.weight", "stages_0.blocks.1.norm.weight",
        "stages_1.downsample.0.weight", "stages_1.blocks.0.attn.blocks.0.weight",
        "stages_1.blocks.0.mlp.weight", "norm.weight",
    ]  # fmt: skip
    assert list(block_depths(names)) == [0, 1, 2, 2, 3, 3, 3]
    mit = ["patch_embed1.proj.weight", "block1.0.norm1.weight", "norm1.weight", "block2.0.x.bias"]
    assert list(block_depths(mit)) == [0, 1, 1, 2]


def test_norms_of_the_encoder_do_not_decay_and_those_of_the_head_do() -> None:
    """As DAFormer's groups of a MiT: layer norms of an encoder, batch norm of the head."""
    config = plain(compose("train", ["backbone=daformer_pvt_v2_b0", "method=daformer"]))["backbone"]
    with torch.device("meta"):
        network = build(config | {"pretrained": "none", "depth_head": False}, classes=4)
    assert config["optimizer"]["norm_decay"] is False
    network.norm_decay = False
    encoder, norms, heads = network.parameter_groups()
    assert (norms["weight_decay"], norms["factor"]) == (0.0, 1.0)
    assert "weight_decay" not in encoder | heads
    bare = {id(p) for p in norms["params"]}
    named = {name for name, p in network.named_parameters() if id(p) in bare}
    assert named == {
        n for n, _ in network.encoder.named_parameters(prefix="encoder") if "norm" in n
    }
    assert len(named) == 2 * (8 * 2 + 4 + 4 + 6)  # blocks, stages, embeddings, reduced attention
    head_norms = norm_weights(network.head)
    assert head_norms
    assert {id(p) for p in head_norms} <= {id(p) for p in heads["params"]}


@pytest.mark.parametrize("name", ["tiny", "small", "hrda_tiny"])
def test_by_default_an_encoder_is_one_group(name: str) -> None:
    config = plain(compose("train", [f"backbone={name}"]))["backbone"]
    network = build(config | ({"pretrained": "none"} if "pretrained" in config else {}), classes=4)
    heads = [p for head in network.heads() for p in head.parameters()]
    known = {id(p) for p in heads}
    encoder = [p for p in network.parameters() if id(p) not in known]
    expected = [("encoder", encoder, 1.0), ("heads", heads, float(config["head_factor"]))]
    found = network.parameter_groups()
    assert [{"name", "params", "factor"}] * 2 == [group.keys() for group in found]
    for group, (words, params, factor) in zip(found, expected, strict=True):
        assert (group["name"], group["factor"]) == (words, factor)
        assert list(map(id, group["params"])) == list(map(id, params))


WORDS = ["source=camvid", "target=camvid", "backbone=tiny", "method=source_only"]
DECAY = ["backbone.optimizer.weight_decay=0.5", "backbone.optimizer.lr=0.1"]


@pytest.mark.parametrize("decays", [True, False])
def test_a_step_without_gradients_moves_what_decays(decays: bool) -> None:
    words = [*WORDS, *DECAY, f"backbone.optimizer.norm_decay={str(decays).lower()}"]
    config = plain(compose("train", words))
    method = make_method(config, list("abcd"))
    joint = make_adaptation(config, method, list("abcd")).configure_optimizers()["optimizer"]
    norms = {p for p in norm_weights(method.network) if p.requires_grad}
    before = {p: p.detach().clone() for p in method.network.parameters()}
    for p in before:
        p.grad = torch.zeros_like(p)
    joint.step()
    assert norms
    for p, was in before.items():
        share = 1.0 if p in norms and not decays else 0.95
        torch.testing.assert_close(p.detach(), was * share)


def test_an_encoder_without_blocks_has_no_layer_decay() -> None:
    config = plain(compose("train", [*WORDS, "backbone.optimizer.layer_decay=0.9"]))
    with pytest.raises(ConfigError, match=r"layer_decay=0\.9: this encoder has no numbered blocks"):
        make_adaptation(config, make_method(config, list("abcd")), list("abcd"))


def test_older_configs_lack_the_keys_and_mean_what_they_did() -> None:
    config = plain(compose("train", WORDS))
    older = plain(compose("train", WORDS))
    for key in ("norm_decay", "layer_decay", "encoder_updates"):
        del older["backbone"]["optimizer"][key]
    assert differences(older, config) == differences(config, older) == []
    changed = plain(compose("train", [*WORDS, "backbone.optimizer.norm_decay=false"]))
    words = "backbone.optimizer.norm_decay: was true, is false"
    assert [str(one) for one in differences(older, changed)] == [words]
    networks = [make_method(one, list("abcd")) for one in (older, config)]
    groups = [
        make_adaptation(one, method, list("abcd")).configure_optimizers()["optimizer"].param_groups
        for one, method in zip((older, config), networks, strict=True)
    ]
    shapes = [[[p.shape for p in group["params"]] for group in every] for every in groups]
    assert shapes[0] == shapes[1]
    rest = [[{**g, "params": None} for g in every] for every in groups]
    assert rest[0] == rest[1]


def test_daformers_updates_equal_a_plain_transcription() -> None:
    """Its groups, one a weight, by names; rates set step by step. Gradients are drawn."""
    steps, warm_up = 6, 4
    words = ["backbone=daformer_pvt_v2_b5", *WORDS[:2], WORDS[3], "backbone.pretrained=none"]
    words += [f"backbone.encoder.name={THIN_PVT}", f"backbone.schedule.warm_up={warm_up}"]
    config = plain(compose("train", [*words, f"trainer.steps={steps}", *DECAY]))
    torch.manual_seed(0)
    method = make_method(config, list("abcd"))
    made = make_adaptation(config, method, list("abcd")).configure_optimizers()
    joint, schedule = made["optimizer"], made["lr_scheduler"]
    ours = dict(method.network.named_parameters())
    theirs = {name: nn.Parameter(p.detach().clone()) for name, p in ours.items()}
    groups: list[dict[str, Any]] = []
    for name, p in theirs.items():
        if name.startswith("head."):
            groups.append({"params": [p], "times": 10.0, "weight_decay": 0.5})
        else:
            decay = 0.0 if "norm" in name else 0.5
            groups.append({"params": [p], "times": 1.0, "weight_decay": decay})
    reference = torch.optim.AdamW(groups, lr=0.1, betas=(0.9, 0.999))
    for step in range(steps):
        for group in reference.param_groups:
            group["lr"] = 0.1 * group["times"] * (1 - step / steps)
            if step < warm_up:
                less = (1 - step / warm_up) * (1 - 1e-6)
                group["lr"] = group["lr"] * (1 - less)
        for name, p in ours.items():
            p.grad = torch.randn_like(p)
            theirs[name].grad = p.grad.clone()
        joint.step()
        schedule.step()
        reference.step()
    for name, p in ours.items():
        torch.testing.assert_close(p, theirs[name], rtol=1e-5, atol=1e-9, msg=name)
