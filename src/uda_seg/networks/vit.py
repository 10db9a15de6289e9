"""A plain vision transformer and a light head, as VFM-UDA has them.

Englert et al., Exploring the Benefits of Vision Foundation Models for Unsupervised Domain
Adaptation, CVPR workshops 2024, arXiv:2406.09896.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from uda_seg.batch import random_numbers
from uda_seg.errors import ConfigError
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.pretrained import load_pretrained
from uda_seg.networks.resizing import resize


class ViTEncoder(nn.Module):
    """Any plain vision transformer of timm's (DINOv2, DINOv3, EVA-02, CLIP, DeiT, …).

    Learnt positions are resampled to an image's patches. Class and register tokens take part and
    are dropped at the end.

    Args:
        name: timm's.
        drop_path_rate: of stochastic depth in the last block; it rises evenly from the first's 0.
        settings: others of timm's, such as {depth: 2}.
    """

    def __init__(self, name: str, drop_path_rate: float, settings: Mapping[str, Any]) -> None:
        super().__init__()
        options = {"num_classes": 0, "global_pool": "", "dynamic_img_size": True, **settings}
        try:
            self.body = timm.create_model(name, drop_path_rate=drop_path_rate, **options)
            self.patch, self.others = (
                self.body.patch_embed.patch_size[0],
                self.body.num_prefix_tokens,
            )
        except (RuntimeError, TypeError, AttributeError, AssertionError) as error:
            known = timm.list_models(["vit_base*dino*", "eva02_base*", "vit_base*clip_224"])
            raise ConfigError(
                f"backbone.encoder.name={name}: timm cannot build it as a plain vision transformer "
                f"({error}). Some that it can: {', '.join(known)}"
            ) from error
        self.name, self.channels, self.reductions = name, [self.body.embed_dim], [self.patch]
        self.mask_token = nn.Parameter(torch.zeros(self.body.embed_dim))
        """What stands in the place of a hidden patch: that of the weights, where they have one."""
        self.hidden_share = 0.0
        self.body.patch_embed.register_forward_hook(self._hide)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W), multiples of a patch, to a list of one map (B, C, H / patch, W / patch)."""
        rows, columns = (side // self.patch for side in image.shape[-2:])
        tokens = self.body.forward_features(image)[:, self.others :]
        return [tokens.transpose(1, 2).unflatten(2, (rows, columns))]

    def _hide(self, embedding: nn.Module, image: object, tokens: Tensor) -> Tensor | None:
        """Each patch by itself, before positions are added."""
        if not self.hidden_share:
            return None
        places = tokens.shape[:-1]
        numbers = random_numbers(places[0], places[1:].numel(), tokens.device).view(places)
        hidden = (numbers < self.hidden_share)[..., None]
        return torch.where(hidden, self.mask_token.to(tokens.dtype), tokens)

    def load(self, pretrained: str) -> str:
        return load_pretrained(self.body, self.name, pretrained, self._in_timms_names)

    def _in_timms_names(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' files; their mask token, which timm leaves out, is taken here."""
        token = state.get("mask_token")
        if token is not None and token.numel() == self.mask_token.numel():
            self.mask_token.data.copy_(token.flatten())
        translate = importlib.import_module(type(self.body).__module__).checkpoint_filter_fn
        return translate(dict(state), self.body)


class PlainViT(SegmentationNetwork):
    """
    Args:
        classes: of the experiment.
        encoder: a `ViTEncoder`.
        head: makes `LightHead` or `LinearHead`, from channels and a number of classes.
        enlargement: of images before they are cut into patches; sides are then rounded down to
            whole patches.
        frozen: the encoder never learns.
        pretrained: see `load_pretrained`.
        mean, std: of the images; None: as timm has them for the encoder.
        depth_head: a second classifier, linear, of one channel.
    """

    def __init__(
        self,
        classes: int,
        encoder: ViTEncoder,
        head: Callable[[int, int], nn.Module],
        enlargement: float,
        frozen: bool,
        pretrained: str,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        batch_norm: str,
        head_factor: float,
        depth_head: bool,
    ) -> None:
        known = encoder.body.pretrained_cfg
        super().__init__(classes, mean or known["mean"], std or known["std"], head_factor)
        self.encoder, self.enlargement, self.frozen = encoder, enlargement, frozen
        self.feature_channels = encoder.channels[-1]
        self.head = head(self.feature_channels, classes)
        self.depth_head = LinearHead(self.feature_channels, 1) if depth_head else None
        self.load_report = encoder.load(pretrained)
        encoder.requires_grad_(not frozen)
        self.set_batch_norm(batch_norm)

    def predict(self, image: Tensor) -> Prediction:
        features, size = self.deepest(image), (image.shape[-2], image.shape[-1])
        logits = resize(self.head(features), size, align_corners=False)
        depth = None
        if self.depth_head is not None:
            depth = resize(self.depth_head(features), size, align_corners=False).sigmoid()
        return Prediction(logits, features, depth=depth)

    def deepest(self, image: Tensor) -> Tensor:
        patch, height, width = self.encoder.patch, *image.shape[-2:]
        # As integers, so that a graph of any size can hold it.
        over, under = Fraction(self.enlargement).limit_denominator().as_integer_ratio()
        size = [max(side * over // (under * patch), 1) * patch for side in (height, width)]
        enlarged = F.interpolate(image, size, mode="bilinear", align_corners=False)
        return self.encoder(enlarged)[-1]

    @contextmanager
    def hidden_patches(self, share: float) -> Iterator[None]:
        """Each patch is hidden with that probability meanwhile."""
        self.encoder.hidden_share = share
        try:
            yield
        finally:
            self.encoder.hidden_share = 0.0

    def heads(self) -> list[nn.Module]:
        return [self.head] if self.depth_head is None else [self.head, self.depth_head]

    def train(self, mode: bool = True) -> "PlainViT":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self


class LightHead(nn.Sequential):
    """VFM-UDA's: (B, D, h, w) to (B, classes, 4 h, 4 w) by two transposed convolutions."""

    def __init__(self, channels: int, classes: int) -> None:
        half, quarter = channels // 2, channels // 4
        super().__init__(
            nn.ConvTranspose2d(channels, half, 2, stride=2, bias=False),
            LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2, bias=False),
            LayerNorm2d(quarter),
            nn.Conv2d(quarter, quarter, 3, padding=1, bias=False),
            LayerNorm2d(quarter),
            LinearHead(quarter, classes),
        )


class LinearHead(nn.Conv2d):
    """(B, D, h, w) to (B, classes, h, w), without a bias."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes, 1, bias=False)
        nn.init.normal_(self.weight, 0.0, 0.1)
