"""Layers that cost less on a CPU: the same weights, results and gradients up to rounding.

`speed_up` makes them of a finished network's plain layers, `undo` plain ones again. They stay the
same objects, so weights, names and optimizers are not touched. benchmarks/step.py times them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from uda_seg.networks.depthwise import DepthwiseConv2d, is_depthwise

WIDE = 6
"""Least dilation that is worth a look."""


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


class WideConv2d(nn.Conv2d):
    """A dilated 3x3 convolution that keeps the size, for maps that its kernel reaches across: there
    oneDNN takes ten times as long for the weights' gradient as products of matrices, one for each
    of the kernel's nine places, of the pixels that have a partner on the map.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        exact = maps.dtype == self.weight.dtype == torch.float32
        reaches = 2 * self.dilation[0] > min(maps.shape[-2:])
        if not (learns and exact and reaches) or maps.device.type != "cpu":
            return super().forward(maps)
        if torch.is_autocast_enabled("cpu"):
            return super().forward(maps)
        result: Tensor = _Wide.apply(maps, self.weight, self.bias, self.dilation[0])
        return result


class _Wide(Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, dilation: int
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.dilation = dilation
        return F.conv2d(maps, weight, bias, 1, dilation, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        for_maps, for_weight, for_bias, _ = ctx.needs_input_grad
        step = (ctx.dilation, ctx.dilation)
        first = (
            torch.ops.aten.convolution_backward(
                gradient, maps, weight, None, (1, 1), step, step, False, (0, 0), 1,
                (True, False, False),
            )[0]
            if for_maps
            else None
        )  # fmt: skip
        own = _weight_gradient(maps, gradient, ctx.dilation) if for_weight else None
        return first, own, gradient.sum((0, 2, 3)) if for_bias else None, None


def _weight_gradient(maps: Tensor, gradient: Tensor, dilation: int) -> Tensor:
    """(D, C, 3, 3), from (B, C, H, W) and (B, D, H, W)."""
    maps, gradient = (each.permute(0, 2, 3, 1).contiguous() for each in (maps, gradient))
    _, height, width, channels = maps.shape
    places = gradient.new_zeros(3, 3, gradient.shape[-1], channels)
    for row, down in enumerate((-dilation, 0, dilation)):
        for column, right in enumerate((-dilation, 0, dilation)):
            if abs(down) >= height or abs(right) >= width:
                continue
            here = gradient[:, _shifted(-down, height), _shifted(-right, width)]
            there = maps[:, _shifted(down, height), _shifted(right, width)]
            places[row, column] = here.flatten(0, 2).T @ there.flatten(0, 2)
    return places.permute(2, 3, 0, 1)


def _shifted(by: int, size: int) -> slice:
    """Of 0 .. size - 1, those that are `by` more than another."""
    return slice(max(by, 0), size + min(by, 0))


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
    return sum(kind in PLAIN for _, kind in kinds)


def undo(network: nn.Module) -> None:
    """Makes plain layers of them again, which lie as on other devices from the next move on."""
    for layer in network.modules():
        layer.__class__ = PLAIN.get(type(layer), type(layer))  # type: ignore[assignment]
        if isinstance(layer, ByDevice) and layer.channels_last == "cpu":
            layer.channels_last = False


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    DepthwiseConv2d: nn.Conv2d,
    PointwiseConv2d: nn.Conv2d,
    WideConv2d: nn.Conv2d,
    LeanBatchNorm2d: nn.BatchNorm2d,
    FrugalReLU6: nn.ReLU6,
}


def _cheaper(layer: nn.Module) -> Any:
    if type(layer) is nn.ReLU6 and layer.inplace:
        return FrugalReLU6
    if type(layer) is nn.BatchNorm2d:
        return LeanBatchNorm2d
    if type(layer) is not nn.Conv2d:
        return type(layer)
    if is_depthwise(layer):
        return DepthwiseConv2d
    if _is_wide(layer):
        return WideConv2d
    return PointwiseConv2d if _is_pointwise(layer) else nn.Conv2d


def _is_wide(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.padding == layer.dilation
        and layer.dilation[0] == layer.dilation[1] >= WIDE
        and layer.padding_mode == "zeros"
        and layer.groups == 1
    )


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == layer.stride == (1, 1)
        and layer.padding == (0, 0)
        and layer.groups == 1
    )
