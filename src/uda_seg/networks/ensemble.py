"""Several networks that answer together."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from uda_seg.networks.prediction import Prediction

MEANS = ("logits", "probabilities")


class Ensemble(nn.Module):
    """The mean of networks of the same classes; it is asked, never trained.

    Args:
        networks: at least one.
        mean: "logits" (ADVENT), or "probabilities" (FDA): of the logits before they are enlarged,
            which the mean of the probabilities then is. Logits are then the logarithm of that mean.
        shares: of each network; they are divided by their sum. None: all the same.
    """

    def __init__(
        self, networks: Sequence[nn.Module], mean: str, shares: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks).requires_grad_(False)
        given = [1.0] * len(networks) if shares is None else list(shares)
        self.mean, self.shares = mean, [share / sum(given) for share in given]
        self.train(False)

    def train(self, mode: bool = True) -> "Ensemble":
        return super().train(False)

    @property
    def batch_norm(self) -> str:
        """The first network's policy."""
        return str(getattr(self.networks[0], "batch_norm", ""))

    @property
    def align_corners(self) -> bool:
        """How the first network enlarges its logits."""
        return bool(getattr(self.networks[0], "align_corners", False))

    @torch.no_grad()
    def forward(self, image: Tensor, domain: str = "target") -> Prediction:
        """(B, 3, H, W) in [0, 1]; `features` are the first network's."""
        predictions = [network(image, domain) for network in self.networks]
        answers = [
            one.logits if self.mean == "logits" else probabilities(one) for one in predictions
        ]
        total = torch.stack([a * s for a, s in zip(answers, self.shares, strict=True)]).sum(0)
        if self.mean != "logits":
            total = total.clamp(min=torch.finfo(total.dtype).tiny).log()
        return Prediction(total, predictions[0].features)


def probabilities(prediction: Prediction) -> Tensor:
    """(B, C, H, W): those of a network's logits before they were enlarged, enlarged as it does."""
    small = prediction.small
    if small is None:
        return prediction.logits.softmax(1)
    return replace(small, maps=small.maps.softmax(1)).enlarged()
