"""Image translation: a ResNet generator with instance norm (Johnson et al., ECCV 2016, 1603.08155).

As in CycleGAN (Zhu et al., ICCV 2017, 1703.10593): a 7x7 convolution, two of stride 2, residual
blocks, two transposed ones, a 7x7 convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Translator(nn.Module):
    """
    Args:
        extra: channels beside the image's three.
        width: channels of the first layer (CycleGAN: 64); the blocks have four times as many.
        blocks: residual blocks (CycleGAN: 9, or 6 for small images).
        residual: the network's answer is added to the image, and is zero at first; else it is the
            image, as in CycleGAN.
    """

    def __init__(self, extra: int, width: int, blocks: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        wide = 4 * width
        self.body = nn.Sequential(
            *_layer(nn.Conv2d(3 + extra, width, 7, padding=3, padding_mode="reflect"), width),
            *_layer(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *_layer(nn.Conv2d(2 * width, wide, 3, 2, 1), wide),
            *(_Block(wide) for _ in range(blocks)),
            *_layer(nn.ConvTranspose2d(wide, 2 * width, 3, 2, 1, output_padding=1), 2 * width),
            *_layer(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), width),
        )
        self.last = nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect")
        if residual:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, extra: Tensor) -> Tensor:
        """
        Args:
            image: (B, 3, H, W) in [0, 1].
            extra: (B, extra, H, W), in about the same range.

        Returns:
            (B, 3, H, W) in [0, 1].
        """
        height, width = image.shape[-2:]
        inputs = torch.cat([2 * image - 1, extra], 1)
        # Two halvings and two doublings give back the size only of multiples of four.
        inputs = F.pad(inputs, (0, -width % 4, 0, -height % 4), mode="replicate")
        answer = self.last(self.body(inputs))[..., :height, :width]
        if self.residual:
            return (image + answer.tanh()).clamp(0, 1)
        return (answer.tanh() + 1) / 2


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.body = nn.Sequential(*_layer(first, channels), second, nn.InstanceNorm2d(channels))

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.body(maps)


def _layer(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(channels), nn.ReLU()]
