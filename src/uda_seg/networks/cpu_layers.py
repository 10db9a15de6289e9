"""Layers that cost less on a CPU: the same weights, results and gradients up to rounding.

`speed_up` makes them of a finished network's plain layers, `undo` plain ones again. They stay the
same objects, so weights, names and optimizers are not touched. benchmarks/step.py times them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from uda_seg.networks.conv3x3 import Conv3x3, keeps_size
from uda_seg.networks.depthwise import DepthwiseConv2d, is_depthwise


class ByDevice(nn.Module):
    """A module whose weights lie as is faster on their device, wherever they go.

    Attributes:
        channels_last: whether those of convolutions have their channels last; "cpu": on a CPU.
    """

    channels_last: bool | str = "cpu"

    def arranged(self, maps: Tensor) -> Tensor:
        """(B, C, H, W), as weights lie on its device: where the two differ, each convolution would
        copy its weights.
        """
        last = maps.device.type == "cpu" if self.channels_last == "cpu" else self.channels_last
        return maps.contiguous(
            memory_format=torch.channels_last if last else torch.contiguous_format
        )

    def arrange(self) -> None:
        """To be called when all weights are there; from then on, they stay so."""
        self._apply(lambda tensor: tensor)

    def _apply(self, change: Any, recurse: bool = True) -> "ByDevice":
        """Takes part in every move to another device."""

        def changed(tensor: Tensor) -> Tensor:
            new: Tensor = change(tensor)
            return self.arranged(new) if new.dim() == 4 else new

        return super()._apply(changed, recurse)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1 as a product of matrices, which moves no pixel where the
    channels of one lie side by side.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        side_by_side = image.is_contiguous(memory_format=torch.channels_last)
        if image.device.type != "cpu" or not side_by_side:
            return super().forward(image)
        pixels = F.linear(image.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return pixels.permute(0, 3, 1, 2)


class StridedDepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that strides: in 32 bits in mixed precision too, where oneDNN takes
    thirty times as long for its gradients otherwise.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, h, w)."""
        if image.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(image)
        with torch.autocast("cpu", enabled=False):
            return super().forward(image.float())


STRIDED: dict[type[nn.Conv2d], type[nn.Conv2d]] = {nn.Conv2d: StridedDepthwiseConv2d}
"""What depthwise ones become that stride; `backbones` knows timm's, which takes long to import."""


class LeanBatchNorm2d(nn.BatchNorm2d):
    """In training, statistics of maps whose rows lie side by side are taken as group norm takes
    them: torch's batch norm needs four times as long there.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        fits = maps.device.type == "cpu" and maps.dtype == torch.float32 and maps.is_contiguous()
        many = maps.numel() > maps.shape[1] and maps.shape[2] * maps.shape[3] > 1
        if not (fits and many and self.training and self.affine) or self.momentum is None:
            return super().forward(maps)
        result, mean, inverse = _LeanNorm.apply(maps, self.weight, self.bias, self.eps)
        if self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            count = maps.numel() // maps.shape[1]
            variance = (inverse**-2 - self.eps) * (count / (count - 1))
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance, self.momentum)  # type: ignore[union-attr]
        normalised: Tensor = result
        return normalised


class _LeanNorm(Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, channels, height, width = maps.shape
        result, means, inverses = torch.native_group_norm(
            maps, weight, bias, batch, channels, height * width, channels, eps
        )
        mean, inverse = means[0], inverses[0]
        if batch > 1:  # of all images: their own, put together
            mean = means.mean(0)
            variance = (inverses**-2 - eps + (means - mean) ** 2).mean(0)
            inverse = (variance + eps).rsqrt()
            result = torch.native_batch_norm(
                maps, weight, bias, mean, variance, False, 0.0, eps
            )[0]  # fmt: skip
        ctx.save_for_backward(maps, weight, mean, inverse)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, inverse)
        return result, mean, inverse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        maps, weight, mean, inverse = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        gradients = torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, inverse, True, ctx.eps, wanted
        )
        return *(g if want else None for g, want in zip(gradients, wanted, strict=True)), None


class FrugalReLU6(nn.ReLU6):
    """In place; torch's own keeps a copy of the input, though the result says as much."""

    def forward(self, image: Tensor) -> Tensor:
        if image.device.type != "cpu" or not image.requires_grad:
            return super().forward(image)
        result: Tensor = _ReLU6.apply(image)
        return result


class _ReLU6(Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.mark_dirty(image)
        image.clamp_(0, 6)
        ctx.save_for_backward(image)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, result, 0, 6)


def speed_up(network: nn.Module) -> int:
    """Turns the layers in `network` that have one into their cheaper kind; returns how many."""
    kinds = [(layer, _cheaper(layer)) for layer in network.modules()]
    for layer, kind in kinds:
        layer.__class__ = kind
    return sum(kind in (*PLAIN, *STRIDED.values()) for _, kind in kinds)


def undo(network: nn.Module) -> None:
    """Makes plain layers of them again, which lie as on other devices from the next move on."""
    plain = PLAIN | {cheaper: kind for kind, cheaper in STRIDED.items()}
    for layer in network.modules():
        layer.__class__ = plain.get(type(layer), type(layer))  # type: ignore[assignment]
        if isinstance(layer, ByDevice) and layer.channels_last == "cpu":
            layer.channels_last = False


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    DepthwiseConv2d: nn.Conv2d,
    PointwiseConv2d: nn.Conv2d,
    Conv3x3: nn.Conv2d,
    LeanBatchNorm2d: nn.BatchNorm2d,
    FrugalReLU6: nn.ReLU6,
}


def _cheaper(layer: nn.Module) -> Any:
    if type(layer) is nn.ReLU6 and layer.inplace:
        return FrugalReLU6
    if type(layer) is nn.BatchNorm2d:
        return LeanBatchNorm2d
    if not isinstance(layer, nn.Conv2d):
        return type(layer)
    if layer.stride != (1, 1) and layer.groups == layer.in_channels > 1:
        return STRIDED.get(type(layer), type(layer))
    if type(layer) is not nn.Conv2d:
        return type(layer)
    if is_depthwise(layer):
        return DepthwiseConv2d
    if keeps_size(layer):
        return Conv3x3
    return PointwiseConv2d if _is_pointwise(layer) else nn.Conv2d


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == layer.stride == (1, 1)
        and layer.padding == (0, 0)
        and layer.groups == 1
    )
