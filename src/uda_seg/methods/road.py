"""ROAD: stay near an ImageNet teacher on real images, adapt region by region.

Chen, Li, Van Gool, ROAD: Reality Oriented Adaptation for Semantic Segmentation of Urban Scenes,
CVPR 2018, https://arxiv.org/abs/1711.11556

Faithful to the paper as others describe it: no code of the authors exists, and the paper was not at
hand. Known are the two losses and their weights (λ 0.1 and 0.01). Chosen by us, each named in
`conf/method/road.yaml`: the form of the classifiers, their optimizer, the mean over positions.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from uda_seg.batch import Batch, Source, Target
from uda_seg.components.regions import RegionClassifiers, region_map, reverse_gradient
from uda_seg.components.teacher import FrozenTeacher
from uda_seg.losses import cross_entropy, feature_distance
from uda_seg.methods.base import Losses, Method
from uda_seg.networks.base import SegmentationNetwork

SOURCE, TARGET = 0.0, 1.0


class ROAD(Method):
    """
    Args:
        distil_on: "target", as the paper proposes, or "source", its ablation (learning without
            forgetting): the images on which features stay near those of the ImageNet encoder.
        grid: regions along each side of the full image; 1 is one classifier for all positions.
        width: hidden channels of a region's classifier.

    A weight of None leaves a loss out: distillation, or the spatial adaptation with its
    classifiers.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights: Mapping[str, float | None],
        distil_on: str,
        grid: int,
        width: int,
    ) -> None:
        super().__init__(network, weights)
        if distil_on not in ("source", "target"):
            raise ValueError(f"distil_on: {distil_on!r} is unknown; choose from source, target")
        self.distil_on, self.grid = distil_on, grid
        self.teacher = FrozenTeacher(network) if "distillation" in self.weights else None
        spatial = "spatial_source" in self.weights
        channels = network.feature_channels
        self.classifiers = RegionClassifiers(channels, grid * grid, width) if spatial else None

    def players(self) -> dict[str, nn.Module]:
        others = {} if self.classifiers is None else {"discriminator": self.classifiers}
        return {"network": self.network, **others}

    def losses(self, batch: Batch) -> Iterator[Losses]:
        source = self.network(batch.source.image, "source")
        segmentation = cross_entropy(source.logits, batch.source.label)
        yield {
            "segmentation": segmentation,
            **self._distillation("source", batch.source, source.features),
            **self._spatial("source", batch.source, source.features, SOURCE),
        }
        target = self.network(batch.target.image, "target")
        others = {
            **self._distillation("target", batch.target, target.features),
            **self._spatial("target", batch.target, target.features, TARGET),
        }
        if others:
            yield others

    def _distillation(self, domain: str, images: Source | Target, features: Tensor) -> Losses:
        if self.teacher is None or domain != self.distil_on:
            return {}
        guide = self.teacher(images.image)
        return {"distillation": feature_distance(features, guide)}

    def _spatial(
        self, domain: str, images: Source | Target, features: Tensor, answer: float
    ) -> Losses:
        """One loss for both players: the classifiers descend it, the network, behind the reversal
        of the gradient, climbs it.
        """
        if self.classifiers is None:
            return {}
        regions = self._regions(images, features)
        reversed_features = reverse_gradient(features)
        return {f"spatial_{domain}": self.classifiers.loss(reversed_features, regions, answer)}

    def _regions(self, images: Source | Target, features: Tensor) -> Tensor:
        size = (features.shape[2], features.shape[3])
        return region_map(images.window, size, self.grid, len(features)).to(features.device)

    @torch.no_grad()
    def pictures(self, target: Target) -> dict[str, Tensor]:
        """Where the target's features are taken for the target's: 0.5 where none can tell."""
        if self.classifiers is None:
            return {}
        features = self.network(target.image, "target").features
        return {"domain": self.classifiers.targetness(features, self._regions(target, features))}
