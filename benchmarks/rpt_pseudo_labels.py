"""What RPT's verdicts are worth, by their constants: with labels, which training never opens.

    python benchmarks/rpt_pseudo_labels.py CHECKPOINT [--every 4] [--segments 256] [--threads 1]

CHECKPOINT is of a run from ToyTown to its camera; every n-th training image of the camera is looked
at. Of pulls: the share of pixels they speak of, the mIoU of what they say, and the mIoU of the
network's own prediction on the same pixels; a pull is worth something where the first is higher.
Of pushes: the share of superpixels, and how many of these the network has wrong.

2026-11-21, `adaptive_bn` after 300 steps of conf/table/toytown_rpt.yaml, seed 0 (mIoU of all
pixels: 44.6); two minutes of one core:

                                        % pixels  verdicts   network   (mIoU on these pixels)
    patch, share 0.5                        94.0      50.9      48.0
    patch, share 0.7                        80.5      58.3      55.1
    patch, share 0.9                        64.2      65.0      63.5
    cluster of 320, share 0.7               56.0      29.8      42.7
    cluster of 320, share 0.9               35.7      15.2      26.4
    cluster of 80, share 0.7                60.2      39.8      45.0
    cluster of 80, share 0.9                39.7      26.9      31.9
    cluster of 20, share 0.7                64.4      52.3      49.9
    cluster of 20, share 0.9                46.4      47.3      45.0

    of all superpixels 19 % are wrong
                                        % pushed   % wrong
    context, 75 steps, below 0.25           42.8      34.5
    context, 75 steps, below 0.05           13.9      41.7
    context, 75 steps, below 0.01            1.2      56.5
    context, 300 steps, below 0.25          25.2      45.9
    context, 300 steps, below 0.05           9.3      60.3
    context, 300 steps, below 0.01           3.5      72.8
    context, 600 steps, below 0.25          24.3      47.0
    context, 600 steps, below 0.05           9.2      62.5
    context, 600 steps, below 0.01           3.8      75.0

So clusters must be small (20 superpixels) where features are a small network's, patches may be
loose, and below 0.25 most pushes hit what is right.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uda_seg.batch import IGNORE
from uda_seg.components import clusters, superpixels
from uda_seg.components.vertical_order import VerticalOrder
from uda_seg.config import build
from uda_seg.data.cache.slic import SLIC
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.opening import open_split
from uda_seg.evaluation.confusion import ConfusionMatrix
from uda_seg.evaluation.measures import miou
from uda_seg.runs.trained import config_of, open_trained

CLASSES = 19


@dataclass
class Looks:
    """Of every image, one entry a list; superpixels of all images are numbered through."""

    labels: list[Tensor] = field(default_factory=list)
    predictions: list[Tensor] = field(default_factory=list)
    superpixels: list[Tensor] = field(default_factory=list)
    classes: list[Tensor] = field(default_factory=list)
    shares: list[Tensor] = field(default_factory=list)
    truths: list[Tensor] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)


@torch.no_grad()
def look(checkpoint: Path, run: dict[str, Any], every: int, segments: int) -> Looks:
    network = open_trained(checkpoint).network
    teacher = build(run["backbone"], classes=CLASSES).eval()  # ImageNet's weights
    dataset = open_split(run["target"], "train")
    slic = SLIC(segments, compactness=10, smoothing=0.5, iterations=4)
    looks = Looks()
    for index in range(0, len(dataset), every):
        sample = dataset.read(index, {"image", "label"})
        assert sample.label is not None
        image = torch.from_numpy(sample.image).permute(2, 0, 1)[None] / 255
        label = torch.from_numpy(sample.label.astype(np.int64))[None]
        label = label.where(label < CLASSES, IGNORE)
        pieces = torch.from_numpy(slic(sample.image)).long()[None]
        count = int(pieces.max()) + 1
        predicted = network(image).logits.argmax(1)
        classes, share = superpixels.dominant(superpixels.counts(predicted, pieces, CLASSES, count))
        truth, _ = superpixels.dominant(superpixels.counts(label, pieces, CLASSES, count))
        pooled = superpixels.mean_features(teacher(image, "target").features, pieces, count)[0]
        entries = (label, predicted, pieces, classes[0], share[0], truth[0], pooled)
        for values, entry in zip(vars(looks).values(), entries, strict=True):
            values.append(entry)
    return looks


def pull(name: str, looks: Looks, classes: Tensor) -> None:
    """Prints what a class for every superpixel, or IGNORE, is worth."""
    said, own = ConfusionMatrix(CLASSES), ConfusionMatrix(CLASSES)
    spoken = pixels = 0
    sizes = [len(classes) for classes in looks.classes]
    parts = zip(looks.labels, looks.predictions, looks.superpixels, classes.split(sizes))
    for label, predicted, pieces, chosen in parts:
        painted = superpixels.paint(chosen[None], pieces, IGNORE)
        there = label.where(painted != IGNORE, IGNORE)
        said.update(painted.where(painted != IGNORE, 0), there)
        own.update(predicted, there)
        spoken, pixels = spoken + int((painted != IGNORE).sum()), pixels + label.numel()
    numbers = (100 * spoken / pixels, miou(said.counts()), miou(own.counts()))
    print(f"{name:34}" + "".join(f"{number:10.1f}" for number in numbers), flush=True)


def pulls(looks: Looks) -> None:
    print(f"{'':34}{'% pixels':>10}{'verdicts':>10}{'network':>10}   (mIoU on these pixels)")
    classes, shares = torch.cat(looks.classes), torch.cat(looks.shares)
    for least in (0.5, 0.7, 0.9):
        pull(f"patch, share {least}", looks, classes.where(shares >= least, IGNORE))
    features = clusters.compact(torch.cat(looks.features), seed=0)
    for each in (320, 80, 20):
        count = len(features) // each
        members = clusters.nearest(features, clusters.cluster(features, count, seed=0))
        counted = clusters.class_counts(members, classes, count, CLASSES)
        chosen, share = superpixels.dominant(counted)
        for least in (0.7, 0.9):
            name = f"cluster of {each}, share {least}"
            pull(name, looks, chosen.where(share >= least, IGNORE)[members])


def learnt(labels: Dataset, segments: int) -> Iterator[tuple[int, VerticalOrder]]:
    """The order model after some numbers of steps."""
    torch.manual_seed(0)
    order = VerticalOrder(CLASSES, hidden=64, columns=32, segments=segments, masked_share=0.25)
    optimizer = torch.optim.Adam(order.parameters(), lr=5e-3)
    for step in range(1, 601):
        batch = [labels.read(int(i), {"label"}).label for i in torch.randint(len(labels), (4,))]
        label = torch.from_numpy(np.stack([np.asarray(one, np.int64) for one in batch]))
        loss = order.loss(label.where(label < CLASSES, IGNORE))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (75, 300, 600):
            yield step, order


def pushes(looks: Looks, labels: Dataset, segments: int) -> None:
    classes, truths = torch.cat(looks.classes), torch.cat(looks.truths)
    known = truths != IGNORE
    wrong = (classes != truths)[known].float()
    print(f"\nof all superpixels {100 * wrong.mean():.0f} % are wrong")
    print(f"{'':34}{'% pushed':>10}{'% wrong':>10}")
    for step, order in learnt(labels, segments):
        pieces = zip(looks.classes, looks.superpixels)
        found = torch.cat([order.probabilities_of(c[None], s)[0] for c, s in pieces])[known]
        for logic in (0.25, 0.05, 0.01):
            pushed = found < logic
            numbers = (100 * pushed.float().mean(), 100 * wrong[pushed].mean())
            name = f"context, {step} steps, below {logic}"
            print(f"{name:34}" + "".join(f"{number:10.1f}" for number in numbers), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--segments", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = config_of(options.checkpoint)
    looks = look(options.checkpoint, run, options.every, options.segments)
    print(f"{len(looks.labels)} images, {sum(len(c) for c in looks.classes)} superpixels")
    pulls(looks)
    pushes(looks, open_split(run["source"], "train"), options.segments)


if __name__ == "__main__":
    main()
