"""Which classes an image holds, and where roughly: true on the source, believed on the target.

Presence is said of a level's regions: (B, C, fractions, g, g), for every grid g of a
`RegionPooling`. A class is present at a fraction of a region when it fills that much of it. Absent
at the smallest fraction, it is as good as not there; at larger ones, it is smaller than that.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import IGNORE
from uda_seg.components.pooling import RegionPooling, split, spread
from uda_seg.components.regions import reverse_gradient

ABSENT, PRESENT, UNSURE = 0, 1, -1
LABELLED = 0.5
"""Ours: of a region with a smaller labelled share, nothing is known."""


def class_shares(label: Tensor, classes: int, pooling: RegionPooling) -> Tensor:
    """(B, H, W) ids to each class's share of each position (B, C, h, w).

    Ignored pixels belong to no class: where there are some, the shares sum to less than 1.
    """
    known = label != IGNORE
    one_hot = F.one_hot(label.where(known, 0), classes) * known[..., None]
    return pooling.reduce(one_hot.permute(0, 3, 1, 2).float())


def true_presence(shares: Tensor, pooling: RegionPooling) -> list[Tensor]:
    """Per grid (B, C, fractions, g, g): PRESENT where a class fills the fraction, else ABSENT;
    UNSURE where too little is labelled.
    """
    answers = []
    for grid in pooling.grids:
        regions = split(shares, grid)
        least = pooling.counts(regions.shape[-1]).to(shares) / regions.shape[-1]
        share = regions.mean(-1)[:, :, None]
        present = (share > least.view(-1, 1, 1) - 1e-6).long()
        unknown = share.sum(1, keepdim=True) < LABELLED
        answers.append(present.masked_fill(unknown, UNSURE))
    return answers


class PresenceClassifier(nn.Module):
    """Tells a region's classes from features, and is kept from telling the domains apart.

    Features, 1x1 convolution, ReLU; mean and maximum over each cell; a linear layer per grid. On
    the pooled hidden values of the whole crop, an image-level domain discriminator; its gradient
    is reversed on its way into the hidden layer.

    Args:
        channels: of the features.
        classes: C.
        pooling: whose grids and fractions presence is said of.
        width: hidden channels.
        present_above: a target's class is believed present from this probability on.
        absent_below: and absent up to this one.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        pooling: RegionPooling,
        width: int,
        present_above: float,
        absent_below: float,
    ) -> None:
        super().__init__()
        if not 0 <= absent_below < present_above <= 1:
            raise ValueError(
                f"absent_below {absent_below} and present_above {present_above}: must be in "
                "[0, 1], the first below the second"
            )
        self.classes, self.pooling = classes, pooling
        self.present_above, self.absent_below = present_above, absent_below
        self.hidden = nn.Conv2d(channels, width, 1)
        answers = classes * len(pooling.fractions)
        self.heads = nn.ModuleList(nn.Conv2d(2 * width, answers, 1) for _ in pooling.grids)
        for head in self.heads.parameters():
            nn.init.zeros_(head)  # it begins unsure of everything, whatever the features' scale
        self.domain = nn.Sequential(
            nn.Conv2d(2 * width, width, 1), nn.ReLU(), nn.Conv2d(width, 1, 1)
        )

    def forward(self, features: Tensor) -> list[Tensor]:
        """(B, D, h, w) to logits of being present, per grid (B, C, fractions, g, g)."""
        hidden = F.relu(self.hidden(features))
        pairs = zip(self.heads, self.pooling.grids, strict=True)
        answers = [head(summary(hidden, grid)) for head, grid in pairs]
        fractions = len(self.pooling.fractions)
        return [a.unflatten(1, (self.classes, fractions)) for a in answers]

    def domain_loss(self, source: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of telling whose image it is, one loss for both players: the
        discriminator descends it, the hidden layer climbs it.
        """
        losses = []
        for features, answer in ((source, 0.0), (target, 1.0)):
            hidden = F.relu(self.hidden(features))
            scores = self.domain(reverse_gradient(summary(hidden, 1)))
            wanted = torch.full_like(scores, answer)
            losses.append(F.binary_cross_entropy_with_logits(scores, wanted))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def believe(self, features: Tensor) -> list[Tensor]:
        """PRESENT, ABSENT or UNSURE, per grid."""
        beliefs = []
        for logits in self(features):
            probability = logits.sigmoid()
            belief = torch.full_like(logits, UNSURE, dtype=torch.long)
            belief[probability < self.absent_below] = ABSENT
            belief[probability > self.present_above] = PRESENT
            beliefs.append(belief)
        return beliefs


def summary(hidden: Tensor, grid: int) -> Tensor:
    """(B, D, h, w) to mean and maximum over each cell (B, 2 D, g, g)."""
    pools = (F.adaptive_avg_pool2d(hidden, grid), F.adaptive_max_pool2d(hidden, grid))
    return torch.cat(pools, 1)


def somewhere(beliefs: list[Tensor], verdict: int, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) bool: positions in a region, of any level, that has this verdict at the smallest
    fraction.
    """
    maps = [spread(belief[:, :, 0] == verdict, size) for belief in beliefs]
    return torch.stack(maps).any(0)
