"""PIT-inspired: which classes an image holds, as a bridge to where they are.

Lv, Liang, Chen, Lin, Cross-Domain Semantic Segmentation via Domain-Invariant Interactive Relation
Transfer, CVPR 2020 (no arXiv)

A reconstruction from the abstract: neither paper nor code was at hand, so every form and constant
is ours or another paper's, as `conf/method/pit.yaml` says. What the abstract says, and what stands
for it here:

"constructing pivot information that is common knowledge shared across domains as a bridge":
    `presence_source` trains a classifier of image-level presence; `presence_domain` keeps it from
    telling the domains apart, so that it holds on the target too.
"first infer the image-level category information about the target images, which is then utilized
to facilitate pixel-level transfer":
    confident answers of that classifier are the beliefs that `pooling_target` fits the target's
    predictions to; `suppression` takes pixels from classes believed absent.
"the interactive relation between the image-level category information and the pixel-level semantic
information is invariant across domains":
    one pooling makes pixels an image-level answer in both domains; `pooling_source` makes it agree
    with the truth where that is known.
"a novel multi-level region expansion mechanism that aligns both the image-level and pixel-level
information":
    presence is said of whole crops and of their cells, at growing fractions of them (multi-level),
    which bounds a class's area from below and above; `expansion` grows the surest pixels of
    each class that is not believed absent into their neighborhood, as labels.

Reported results look as if built on an adversary or on self-training: `adversarial_main` and
`discriminator_main` are AdaptSegNet's, in output space.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import IGNORE, Batch, Target
from uda_seg.components.adversary import Adversary, without_idle_discriminators
from uda_seg.components.expansion import RegionExpansion
from uda_seg.components.pooling import RegionPooling, spread
from uda_seg.components.presence import (
    ABSENT,
    UNSURE,
    PresenceClassifier,
    class_shares,
    somewhere,
    true_presence,
)
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.losses import (
    cross_entropy,
    masked_binary_cross_entropy,
    presence_loss,
    suppression,
)
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction

PIVOT = {"presence_source", "presence_domain", "pooling_source", "pooling_target", "suppression"}
"""Losses of the classifier of presence, and of those who believe it."""


class PIT(Method):
    """
    Args:
        pooling: regions, and how pixels make a region's score.
        expansion: how confident regions grow.
        presence: makes the classifier for a number of channels, classes and a pooling.
        gan: "vanilla" or "ls".
        discriminator: makes a discriminator for a number of channels.

    A weight of None leaves a loss out, and with it whoever plays for it alone. Without
    `presence_source` there is no classifier, and none of the pivot's losses: nothing is believed,
    and every class may grow everywhere.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        pooling: RegionPooling,
        expansion: RegionExpansion,
        presence: Callable[[int, int, RegionPooling], PresenceClassifier],
        gan: str,
        discriminator: Callable[[int], nn.Module],
    ) -> None:
        weights = without_idle_discriminators(weights)
        if weights.get("presence_source") is None:
            weights = {name: weight for name, weight in weights.items() if name not in PIVOT}
        super().__init__(network, weights)
        self.pooling, self.expansion = pooling, expansion
        self.presence: PresenceClassifier | None = None
        self.adversary: Adversary | None = None
        if "presence_source" in self.weights:
            self.presence = presence(network.feature_channels, network.classes, pooling)
        if "adversarial_main" in self.weights:
            self.adversary = Adversary(discriminator(network.classes), gan)

    def players(self) -> dict[str, nn.Module]:
        candidates = {
            "network": self.network,
            "presence": self.presence,
            "discriminator": self.adversary,
        }
        return {name: module for name, module in candidates.items() if module is not None}

    def losses(self, batch: Batch) -> Iterator[Losses]:
        shares = class_shares(batch.source.label, self.network.classes, self.pooling)
        source = self.network(batch.source.image, "source")
        known = source.logits.softmax(1)
        yield self._weighted(
            segmentation=cross_entropy(source.logits, batch.source.label),
            pooling_source=self._source_pooling_loss(known, shares),
        )
        target = self.network(batch.target.image, "target")
        probabilities = target.logits.softmax(1)
        transfer, look = self._transfer(target, probabilities), None
        if self.adversary is not None:
            look = self.adversary.look(probabilities)
            transfer["adversarial_main"] = self.adversary.adversarial_loss(look)
        if transfer:
            yield transfer
        if self.presence is not None:
            yield self._presence(self.presence, source, target, shares)
        if self.adversary is not None and look is not None:
            yield {"discriminator_main": self.adversary.discriminator_loss(known, look)}

    @torch.no_grad()
    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        """Of the grown regions."""
        if "expansion" not in self.weights:
            return None
        grown, _ = self._look(self.network(target.image, "target"))
        label = F.interpolate(grown[:, None].float(), target.image.shape[-2:])[:, 0].long()
        return PseudoLabels(label, (label != IGNORE).float())

    def _weighted(self, **losses: Tensor) -> Losses:
        """Those that this variant has."""
        return {name: loss for name, loss in losses.items() if name in self.weights}

    def _source_pooling_loss(self, probabilities: Tensor, shares: Tensor) -> Tensor:
        """Pooled predictions against true presence. Positions without a label count as nothing."""
        labelled = shares.sum(1, keepdim=True) >= 0.5
        probabilities = self.pooling.reduce(probabilities) * labelled
        return self._pooling_loss(probabilities, true_presence(shares, self.pooling))

    def _pooling_loss(self, probabilities: Tensor, presences: list[Tensor]) -> Tensor:
        scores = self.pooling.scores(probabilities)
        levels = [presence_loss(*s, p) for s, p in zip(scores, presences, strict=True)]
        return torch.stack(levels).mean()

    def _transfer(self, target: Prediction, probabilities: Tensor) -> Losses:
        """From believed presence to pixels, of which these are the classes' (B, C, H, W)."""
        probabilities = self.pooling.reduce(probabilities)
        beliefs = self.believe(target, probabilities)
        possible = self.possible(beliefs, probabilities)
        grown = self.expansion(probabilities.detach(), possible)
        return self._weighted(
            pooling_target=self._pooling_loss(probabilities, beliefs),
            suppression=suppression(probabilities, ~possible),
            # Positions' probabilities sum to 1, so these are logits of themselves.
            expansion=cross_entropy((probabilities + 1e-6).log(), grown),
        )

    def believe(self, target: Prediction, probabilities: Tensor) -> list[Tensor]:
        """Presence per grid (B, C, fractions, g, g); all UNSURE without a classifier."""
        if self.presence is not None:
            return self.presence.believe(target.features)
        batch, classes, fractions = *probabilities.shape[:2], len(self.pooling.fractions)
        return [
            torch.full((batch, classes, fractions, grid, grid), UNSURE, device=probabilities.device)
            for grid in self.pooling.grids
        ]

    def possible(self, beliefs: list[Tensor], probabilities: Tensor) -> Tensor:
        """(B, C, h, w) bool: classes not believed absent, at any level, where they would be.

        Seeds of believed classes alone would leave the rare ones, of which the classifier is never
        sure, without a single label (docs/results.md).
        """
        return ~somewhere(beliefs, ABSENT, (probabilities.shape[2], probabilities.shape[3]))

    def _presence(
        self, classifier: PresenceClassifier, source: Prediction, target: Prediction, shares: Tensor
    ) -> Losses:
        """The classifier's own game. Its gradient ends at the features: the pivot is a judge, and
        what it changes in the network, it changes by way of pixels.
        """
        features = source.features.detach()
        levels = zip(classifier(features), true_presence(shares, self.pooling), strict=True)
        losses = [masked_binary_cross_entropy(logits, answers) for logits, answers in levels]
        return self._weighted(
            presence_source=torch.stack(losses).mean(),
            presence_domain=classifier.domain_loss(features, target.features.detach()),
        )

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """Where regions grew; of how many classes the finest cells are sure (as a share); where
        the discriminator takes the prediction for the target's.
        """
        prediction = self.network(target.image, "target")
        grown, beliefs = self._look(prediction)
        shown = {"grown_region": (grown != IGNORE)[:, None].float()}
        if self.presence is not None:
            finest = (beliefs[-1][:, :, 0] != UNSURE).float().mean(1, keepdim=True)
            shown["sure_of_presence"] = spread(finest, (grown.shape[1], grown.shape[2]))
        if self.adversary is not None:
            shown["discriminator_main"] = self.adversary.fakeness(prediction.logits.softmax(1))
        return shown

    @torch.no_grad()
    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        """Labels of the grown regions."""
        return {"grown": self._look(self.network(target.image, "target"))[0]}

    def _look(self, target: Prediction) -> tuple[Tensor, list[Tensor]]:
        """Labels of the grown regions (B, h, w), and what is believed."""
        probabilities = self.pooling.reduce(target.logits.softmax(1))
        beliefs = self.believe(target, probabilities)
        grown = self.expansion(probabilities, self.possible(beliefs, probabilities))
        return grown, beliefs
