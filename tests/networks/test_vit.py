"""Plain vision transformers: authors' files, sizes, hidden and frozen patches."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from uda_seg.errors import ConfigError, WeightsError
from uda_seg.networks.vit import LightHead, LinearHead, PlainViT, ViTEncoder

THIN = {"depth": 2, "embed_dim": 48, "num_heads": 4}
IMAGE = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def encoder(name: str = "vit_small_patch14_dinov2", size: int = 56) -> ViTEncoder:
    torch.manual_seed(0)
    return ViTEncoder(name, 0.0, {**THIN, "img_size": size})


def network(name: str = "vit_small_patch14_dinov2", **settings: Any) -> PlainViT:
    options = {
        "head": LightHead, "enlargement": 1.1, "frozen": False, "pretrained": "none", "mean": None,
        "std": None, "batch_norm": "train", "head_factor": 10.0, "depth_head": False,
    }  # fmt: skip
    return PlainViT(5, encoder(name), **(options | settings)).eval()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape)


def blocks(attention: str, scales: tuple[str, str], bias: bool = True) -> dict[str, Tensor]:
    """Two blocks of 48 channels, as authors name them."""
    state: dict[str, Tensor] = {}
    for i in range(2):
        layers = {
            "norm1": (48,), "norm2": (48,), attention: (144, 48), "attn.proj": (48, 48),
            "mlp.fc1": (192, 48), "mlp.fc2": (48, 192),
        }  # fmt: skip
        for layer, shape in layers.items():
            state[f"blocks.{i}.{layer}.weight"] = random(*shape)
            if bias or layer != attention:
                state[f"blocks.{i}.{layer}.bias"] = random(shape[0])
        state |= {f"blocks.{i}.{scale}": random(48) for scale in scales}
    return state


def dinov2(registers: int) -> dict[str, Tensor]:
    """Names and shapes of facebookresearch/dinov2's files, at 4 x 4 patches."""
    state = {
        "cls_token": random(1, 1, 48), "pos_embed": random(1, 17, 48), "mask_token": random(1, 48),
        "patch_embed.proj.weight": random(48, 3, 14, 14), "patch_embed.proj.bias": random(48),
        "norm.weight": random(48), "norm.bias": random(48),
    }  # fmt: skip
    if registers:
        state["register_tokens"] = random(1, registers, 48)
    return state | blocks("attn.qkv", ("ls1.gamma", "ls2.gamma"))


def dinov3() -> dict[str, Tensor]:
    """Of facebookresearch/dinov3's: rotary positions, storage tokens."""
    state = {
        "cls_token": random(1, 1, 48), "storage_tokens": random(1, 4, 48),
        "mask_token": random(1, 48), "rope_embed.periods": random(3),
        "patch_embed.proj.weight": random(48, 3, 16, 16), "patch_embed.proj.bias": random(48),
        "norm.weight": random(48), "norm.bias": random(48),
    }  # fmt: skip
    return state | blocks("attn.qkv", ("ls1.gamma", "ls2.gamma"), bias=False)


FILES = {
    "vit_small_patch14_dinov2": lambda: dinov2(0),
    "vit_small_patch14_reg4_dinov2": lambda: dinov2(4),
    "vit_small_patch16_dinov3": dinov3,
}


@pytest.mark.parametrize("name", FILES)
def test_the_authors_files_fit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = FILES[name]()
    torch.save(state, tmp_path / "authors.pth")
    found = encoder(name)
    report = found.load(str(tmp_path / "authors.pth"))
    assert ", 0 missing, 0 unexpected, 0 of wrong shape" in report
    assert torch.equal(found.mask_token.data, state["mask_token"][0])
    assert torch.equal(found.body.patch_embed.proj.weight, state["patch_embed.proj.weight"])
    assert torch.equal(found.body.blocks[1].mlp.fc2.bias, state["blocks.1.mlp.fc2.bias"])
    maps = found.eval()(torch.rand(1, 3, 4 * found.patch, 6 * found.patch))[0]
    assert maps.shape == (1, 48, 4, 6)


NAMES = [*FILES, "eva02_tiny_patch14_224", "vit_base_patch16_clip_224.openai"]


@pytest.mark.parametrize("name", NAMES)
def test_timms_own_files_fit_and_other_networks_do_not(name: str, tmp_path: Path) -> None:
    trained = encoder(name)
    for weight in trained.body.parameters():
        torch.nn.init.normal_(weight)
    torch.save(trained.body.state_dict(), tmp_path / "timms.pth")
    fresh = encoder(name)
    assert ", 0 missing, 0 unexpected" in fresh.load(str(tmp_path / "timms.pth"))
    for key, weight in trained.body.state_dict().items():
        assert torch.equal(fresh.body.state_dict()[key], weight), key
    assert not fresh.mask_token.any()
    torch.save({"stem.weight": random(4)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="At least 90% must match"):
        fresh.load(str(tmp_path / "other.pth"))


@pytest.mark.parametrize("name", NAMES)
def test_any_size_of_image(name: str) -> None:
    net = network(name)
    patch = net.encoder.patch
    for size in ((64, 96), (patch, 3 * patch + 5), (90, 33)):
        prediction = net(torch.rand(1, 3, *size))
        assert prediction.logits.shape == (1, 5, *size)
        rows, columns = (max(int(side * 1.1) // patch, 1) for side in size)
        assert prediction.features.shape == (1, 48, rows, columns)


def test_crops_of_1024_become_80_patches_and_are_scored_at_a_quarter_of_them() -> None:
    seen: list[Any] = []
    net = network()
    net.encoder.forward = lambda image: [seen.append(image) or torch.zeros(1, 48, 80, 80)]
    net.head.register_forward_hook(lambda _, inputs, maps: seen.append(maps))
    assert net(torch.zeros(1, 3, 1024, 1024)).logits.shape[-2:] == (1024, 1024)
    image, maps = seen
    assert image.shape[-2:] == (1120, 1120)
    assert maps.shape == (1, 5, 320, 320)


def test_colors_are_those_that_the_encoder_was_trained_on() -> None:
    own, given = network("vit_base_patch16_clip_224.openai"), network(mean=[0.1, 0.2, 0.3])
    assert own.mean.flatten().tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    assert given.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_hidden_patches_are_not_seen() -> None:
    net = network()
    plain = net(IMAGE).logits
    with net.hidden_patches(1.0):
        blind, other = net(IMAGE).logits, net(1 - IMAGE).logits
    torch.testing.assert_close(blind, other)
    assert not torch.allclose(blind, plain)
    assert torch.equal(net(IMAGE).logits, plain), "only meanwhile"
    shares = []
    net.encoder.mask_token.data.fill_(7)
    net.encoder.body.patch_embed.register_forward_hook(
        lambda _, inputs, tokens: shares.append((tokens == 7).all(-1).float().mean(dim=(1, 2)))
    )
    torch.manual_seed(0)
    with net.hidden_patches(0.7):
        net(torch.rand(2, 3, 560, 560))
    assert shares[0].tolist() == pytest.approx([0.7, 0.7], abs=0.04)
    assert shares[0][0] != shares[0][1], "each image by itself"


@pytest.mark.parametrize("head", [LightHead, LinearHead])
def test_a_frozen_encoder_never_learns_and_drops_nothing(head: type) -> None:
    torch.manual_seed(0)
    dropping = ViTEncoder("vit_small_patch14_dinov2", 0.5, {**THIN, "img_size": 56})
    settings = {"mean": None, "std": None, "batch_norm": "train", "head_factor": 1.0}
    net = PlainViT(5, dropping, head, 1.0, True, "none", **settings, depth_head=False).train()
    prediction = net(IMAGE)
    assert not prediction.features.requires_grad
    assert torch.equal(prediction.features, net(IMAGE).features)
    prediction.logits.sum().backward()
    assert all(weight.grad is None for weight in net.encoder.parameters())
    assert all(weight.grad is not None for weight in net.head.parameters())


@pytest.mark.parametrize(
    "name", ["resnet50", "vit_nothing_patch14", "swin_tiny_patch4_window7_224"]
)
def test_what_is_no_plain_vision_transformer_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"name={name}.*vit_base_patch14_dinov2"):
        ViTEncoder(name, 0.0, {})
