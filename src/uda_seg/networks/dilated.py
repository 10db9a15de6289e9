"""Dilated depthwise convolutions at the speed of undilated ones, on CPUs.

oneDNN has no fast kernel for them. A convolution of dilation d is d x d undilated ones, each on
every d-th row and column; so the image is taken apart into those and put together again.
Depthwise convolutions have few multiplications for their data, which makes it pay:
benchmarks/backbones.py.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class DilatedDepthwise(nn.Conv2d):
    """A stride-1 dilated depthwise convolution; same weights, same results up to rounding."""

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if image.device.type != "cpu":
            return super().forward(image)
        step = self.dilation[0]
        batch, channels, height, width = image.shape
        # Zeros up to the next multiple: they are the padding of the shorter parts.
        padded = F.pad(image, (0, -width % step, 0, -height % step))
        rows, columns = padded.shape[-2] // step, padded.shape[-1] // step
        parts = (
            padded.permute(0, 2, 3, 1)
            .reshape(batch, rows, step, columns, step, channels)
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(batch * step * step, rows, columns, channels)
            .permute(0, 3, 1, 2)
        )
        margin = self.kernel_size[0] // 2
        parts = F.conv2d(parts, self.weight, self.bias, 1, margin, 1, self.groups)
        whole = (
            parts.permute(0, 2, 3, 1)
            .reshape(batch, step, step, rows, columns, channels)
            .permute(0, 3, 1, 4, 2, 5)
            .reshape(batch, rows * step, columns * step, channels)
            .permute(0, 3, 1, 2)
        )
        return whole[..., :height, :width]


def speed_up_dilated(network: nn.Module) -> int:
    """Turns the convolutions in `network` that fit into `DilatedDepthwise`; returns how many.

    The layers stay the same objects, so weights, names and optimizers are not touched.
    """
    fitting = [
        layer
        for layer in network.modules()
        if type(layer) is nn.Conv2d
        and layer.groups == layer.in_channels == layer.out_channels
        and layer.stride == (1, 1)
        and layer.padding_mode == "zeros"
        and _keeps_size(layer)
    ]
    for layer in fitting:
        layer.__class__ = DilatedDepthwise
    return len(fitting)


def undo(network: nn.Module) -> None:
    """Makes plain convolutions of them again."""
    for layer in network.modules():
        if isinstance(layer, DilatedDepthwise):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]


def _keeps_size(layer: nn.Conv2d) -> bool:
    """Whether it is dilated, square, and padded so that the map's size stays."""
    dilation, kernel = layer.dilation[0], layer.kernel_size[0]
    return (
        layer.dilation == (dilation, dilation)
        and layer.kernel_size == (kernel, kernel)
        and dilation > 1
        and kernel % 2 == 1
        and layer.padding == (dilation * (kernel // 2),) * 2
    )
