"""RPT: regularise predictions on the target by what superpixels, clusters and context say.

Zhang, Qiu, Yao, Ngo, Liu, Mei, Transferring and Regularizing Prediction for Semantic Segmentation,
CVPR 2020, https://arxiv.org/abs/2006.06570

Faithful to the paper as it is remembered: no code of the authors exists, and the paper was not at
hand. Known are the three regularisers, that a frozen snapshot decides about all target images and
its pseudo-labels hold for a round, and that RPT¹, RPT², RPT³ are rounds. Chosen by us, named in
`conf/method/rpt.yaml`: nearly all constants, the order model's form, the mean over all pixels.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uda_seg.batch import IGNORE, Batch, Target, TargetPass
from uda_seg.components import clusters, superpixels
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.components.teacher import FrozenTeacher
from uda_seg.components.vertical_order import VerticalOrder
from uda_seg.losses import partial_cross_entropy, unlikelihood
from uda_seg.methods.adaptsegnet import AdaptSegNet
from uda_seg.methods.base import Losses
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction

REGULARIZERS = ("patch", "cluster", "context")
SAMPLE = 64
"""Ours: superpixels of an image that the clusters are made from; all are then assigned to one."""


class RPT(AdaptSegNet):
    """A regulariser on top of a base: source labels, with AdaptSegNet's adversary or without.

    Before the first round the base trains alone, and the order model learns from source labels.

    Args:
        rounds: the number in RPT³; every round has its own pseudo-labels.
        first_round: share of the run before the first round.
        patch_share: least share of its dominant class at which a superpixel is pulled to it; λ_pc.
        cluster_share: the same for a cluster of superpixels; λ_cc.
        logic_threshold: a dominant class less probable in its column is pushed away; λ_sl.
        cluster_count: K of the k-means over all superpixels of the target.
        order: makes the model of vertical order for a number of classes.

    A weight of None leaves its regulariser out.
    """

    needs = frozenset({"target.superpixels", "target.index"})

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        gan: str,
        discriminator: Callable[[int], nn.Module],
        rounds: int,
        first_round: float,
        patch_share: float,
        cluster_share: float,
        logic_threshold: float,
        cluster_count: int,
        order: Callable[[int], VerticalOrder],
    ) -> None:
        ordered = weights["context"] is not None
        super().__init__(
            network, weights if ordered else {**weights, "order": None}, gan, discriminator
        )
        self.rounds, self.first_round, self.round = rounds, first_round, 0
        self.patch_share, self.cluster_share = patch_share, cluster_share
        self.logic_threshold = logic_threshold
        self.cluster_count = cluster_count
        self.order = order(network.classes) if ordered else None
        self.teacher = FrozenTeacher(network) if "cluster" in self.weights else None
        self.pseudo_labels: dict[str, Tensor] = {}
        """By regulariser: (images, S) uint8, the class each superpixel is pulled to or pushed away
        from, IGNORE where nothing was decided. Empty before the first round."""
        self.cluster_of: Tensor | None = None
        """(images, S) int32: the cluster each superpixel is in, or -1."""

    def players(self) -> dict[str, nn.Module]:
        return super().players() | ({} if self.order is None else {"order": self.order})

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "round": self.round,
            "pseudo_labels": self.pseudo_labels,
            "cluster_of": self.cluster_of,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.round, self.pseudo_labels = state["round"], state["pseudo_labels"]
        self.cluster_of = state["cluster_of"]

    def losses(self, batch: Batch) -> Iterator[Losses]:
        yield from super().losses(batch)
        if self.order is not None:
            yield {"order": self.order.loss(batch.source.label, batch.source.window)}

    def target_losses(self, target: Prediction, images: Target) -> Losses:
        """The regularisers, on the target's prediction."""
        logits, labels = target.logits, self.labels(images)
        losses = {
            "patch": lambda label: partial_cross_entropy(logits, label),
            "cluster": lambda label: partial_cross_entropy(logits, label),
            "context": lambda label: unlikelihood(logits, label),
        }
        idle = logits.new_zeros(())  # before the first round
        return {
            name: loss(labels[name]) if labels else idle
            for name, loss in losses.items()
            if name in self.weights
        }

    def labels(self, images: Target) -> dict[str, Tensor]:
        """What holds for every pixel, by regulariser: (B, H, W) long, a class or IGNORE."""
        if not self.pseudo_labels:
            return {}
        assert images.index is not None
        assert images.superpixels is not None
        rows = images.index.cpu()
        return {
            name: superpixels.paint(
                table[rows].to(images.superpixels.device).long(), images.superpixels, IGNORE
            )
            for name, table in self.pseudo_labels.items()
        }

    def pseudo_label(self, target: Target) -> PseudoLabels | None:
        """What superpixels are pulled to: their own dominant class, else their cluster's."""
        labels = self.labels(target)
        pulled = [labels[name] for name in ("patch", "cluster") if name in labels]
        if not pulled:
            return None
        label = pulled[0].where(pulled[0] != IGNORE, pulled[-1])
        return PseudoLabels(label, (label != IGNORE).float())

    def start_round(self, target_images: TargetPass) -> None:
        """The network as it is now decides about every superpixel of the target's images."""
        described: dict[str, dict[int, Tensor]] = {}
        for images in target_images:
            assert images.index is not None
            assert images.superpixels is not None
            found = self._describe(images)
            ends = images.superpixels.amax((1, 2)) + 1  # without what its batch filled up
            for row, (index, end) in enumerate(zip(images.index.tolist(), ends, strict=True)):
                for name, values in found.items():
                    described.setdefault(name, {})[index] = values[row, :end]
        classes = target_images.table(described["class"], IGNORE)
        if self.teacher is not None and self.cluster_of is None:
            self.cluster_of = self._assign_clusters(described["features"], target_images)
        share = target_images.table(described["share"], 0)
        probability = target_images.table(described["order"], 1)
        decided = {
            "patch": classes.where(share >= self.patch_share, IGNORE),
            "cluster": self._labels_of_clusters(classes),
            "context": classes.where(probability < self.logic_threshold, IGNORE),
        }
        self.pseudo_labels = {k: v.byte() for k, v in decided.items() if k in self.weights}

    def _describe(self, images: Target) -> dict[str, Tensor]:
        """Looks at every superpixel (B, S): dominant class, its share, its probability in its
        column; and features (B, S, D), while there are no clusters yet.
        """
        assert images.superpixels is not None
        segments = images.superpixels
        most = int(segments.max()) + 1
        predicted = self.network(images.image, "target").logits.argmax(1)
        counts = superpixels.counts(predicted, segments, self.network.classes, most)
        classes, share = superpixels.dominant(counts)
        found = {"class": classes, "share": share, "order": torch.ones_like(share)}
        if self.order is not None:
            found["order"] = self.order.probabilities_of(classes, segments)
        if self.teacher is not None and self.cluster_of is None:
            features = superpixels.mean_features(self.teacher(images.image), segments, most)
            found["features"] = clusters.compact(features.flatten(0, 1), seed=0).half().cpu()
            found["features"] = found["features"].view(len(segments), most, -1)
        return found

    def _assign_clusters(self, features: Mapping[int, Tensor], target_images: TargetPass) -> Tensor:
        """(images, S): the cluster of each superpixel; superpixels without pixels are in one too.

        Features never change, since the ImageNet network does not: once a run is enough.
        """
        sample = {index: _evenly_spaced(rows, SAMPLE) for index, rows in features.items()}
        points = target_images.table(sample, torch.nan).flatten(0, 1)
        points = points[points.nan_to_num().any(1)]  # numbers without pixels have no features
        centres = target_images.agreed(clusters.cluster(points, self.cluster_count, seed=0))
        centres = centres.to(target_images.device).float()
        rows = {
            index: clusters.nearest(values.to(target_images.device).float(), centres).int()
            for index, values in features.items()
        }
        return target_images.table(rows, -1)

    def _labels_of_clusters(self, classes: Tensor) -> Tensor:
        """(images, S): the class of each superpixel's cluster, where the cluster is of one mind."""
        if self.cluster_of is None:
            return torch.full_like(classes, IGNORE)
        members = self.cluster_of.long()
        inside = members >= 0
        counts = clusters.class_counts(
            members[inside], classes[inside], self.cluster_count, self.network.classes
        )
        chosen, share = superpixels.dominant(counts)
        chosen = chosen.where(share >= self.cluster_share, IGNORE)
        return chosen[members.clamp(min=0)].where(inside, IGNORE)

    @torch.no_grad()
    def color_pictures(self, target: Target) -> dict[str, Tensor]:
        """Superpixels in their mean colors, clusters in a color each, and what was decided."""
        assert target.superpixels is not None
        assert target.index is not None
        segments = target.superpixels
        most = int(segments.max()) + 1
        means = superpixels.mean_features(target.image, segments, most)
        shown = {"superpixels": _paint(means, segments)}
        if self.cluster_of is not None:
            palette = torch.rand(self.cluster_count + 1, 3, generator=torch.manual_seed(0))
            members = self.cluster_of[target.index.cpu()].long()
            shown["clusters"] = _paint(palette[members].to(segments.device), segments)
        return shown | {
            f"{name} pseudo-label": label for name, label in self.labels(target).items()
        }


def _evenly_spaced(rows: Tensor, count: int) -> Tensor:
    """At most `count` of the rows, evenly spread."""
    return rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).long()]


def _paint(colors: Tensor, segments: Tensor) -> Tensor:
    """(B, 3, H, W): every superpixel in its color of (B, S, 3)."""
    return torch.stack([superpixels.paint(c, segments, 0.0) for c in colors.unbind(2)], 1)
