"""The style of one image on another: its low frequencies' amplitudes (Yang and Soatto, FDA)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.errors import ConfigError

SQUARES = ("symmetric", "corners")


def with_style(image: Tensor, style: Tensor, share: float, square: str) -> Tensor:
    """Images with the amplitudes of other images' low frequencies, and their own phases.

    Args:
        image: (B, 3, H, W).
        style: (B, 3, h, w), as many; resized to the images' size.
        share: the paper's β; a frequency is low up to b = floor(β min(H, W)).
        square: "symmetric", -b … b along both axes, as in the paper's equation and the authors'
            NumPy code; with b = 0 the means are exchanged. "corners", -b … b - 1, which is what
            their training ran: its inverse is not real, and the real part is taken here, since how
            their old library dropped the rest cannot be told.

    Returns:
        (B, 3, H, W), not clipped.
    """
    if square not in SQUARES:
        raise ConfigError(f"square={square!r}: choose {' or '.join(SQUARES)}")
    size = (image.shape[-2], image.shape[-1])
    if style.shape[-2:] != size:
        style = F.interpolate(style, size, mode="bilinear", antialias=True, align_corners=False)
    reach = int(share * min(size))
    last = reach if square == "symmetric" else reach - 1
    own, other = torch.fft.fft2(image), torch.fft.fft2(style)
    low = torch.outer(*(_within(side, reach, last, image.device) for side in size))
    mixed = torch.where(low, torch.polar(other.abs(), own.angle()), own)
    return torch.fft.ifft2(mixed).real


def _within(side: int, reach: int, last: int, device: torch.device) -> Tensor:
    """(side,) bool: which of the frequencies 0, 1, …, -2, -1 lie in -reach … last."""
    frequency = torch.fft.fftfreq(side, 1 / side, device=device).round()
    # Of an even side, the highest frequency is -side / 2 and side / 2 at once.
    return (frequency >= -reach) & (frequency <= last)
