"""Domain discriminators."""

from itertools import pairwise

from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks.cpu_layers import ByDevice


class FullyConvolutionalDiscriminator(ByDevice, nn.Sequential):
    """AdaptSegNet's discriminator (Tsai et al., CVPR 2018): five 4x4 convolutions of stride 2.

    Channels width, 2, 4 and 8 times width, 1; LeakyReLU after the first four; no norm, no
    sigmoid. (B, channels, H, W) to scores (B, 1, H / 32, W / 32), each halving rounding down.
    Their width is 64, their slope 0.2; with 19 channels that is 2,781,121 weights.
    """

    STRIDE = 32

    def __init__(self, channels: int, width: int, slope: float) -> None:
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(slope, inplace=True)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, 2, 1))
        self.arrange()

    def forward(self, maps: Tensor) -> Tensor:
        """Raises ConfigError for maps of less than 32 pixels in height or width."""
        height, width = maps.shape[-2:]
        if min(height, width) < self.STRIDE:
            raise ConfigError(
                f"the discriminator halves its input five times, so it needs at least "
                f"{self.STRIDE}x{self.STRIDE} pixels and got {height}x{width}: enlarge the images "
                "or crops"
            )
        return super().forward(self.arranged(maps))


class PatchDiscriminator(nn.Sequential):
    """PatchGAN (Isola et al., CVPR 2017, arXiv:1611.07004): each score sees 70x70 pixels.

    4x4 convolutions to width, 2, 4 and 8 times width, of strides 2, 2, 2 and 1, and one to the
    scores; instance norm but in the first; LeakyReLU. (B, channels, H, W) to (B, 1, h, w). Their
    width is 64, their slope 0.2.
    """

    def __init__(self, channels: int, width: int, slope: float) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(slope)]
        for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(before * width, after * width, 4, stride, 1),
                nn.InstanceNorm2d(after * width),
                nn.LeakyReLU(slope),
            ]
        super().__init__(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
