"""Processor time of a training step of small networks with DAFormer's and SegFormer's heads.

    python benchmarks/heads.py [--rounds 5] [--height 144] [--width 192]

A step is forward, cross-entropy on the class scores and backward, batch 4, 11 classes, one thread;
prediction is a forward pass alone. Candidates take turns, so that a busy machine slows all of them;
the time is the process's own on the processor, and the table shows medians. What it showed on
26 November 2026 (ms a step at 144x192 and at 240x320; two busy cores, torch 2.15 on a CPU):

    small                                       234    663
    width 64, dilations 1 6 12 18               437   1730
    width 64, dilations 1 3 6 9                 357    941
    width 64, dilations 1 3 6                   294    785
    width 48, dilations 1 3 6 9                 286    755
    width 48, dilations 1 3 6 (daformer_small)  239    660
    width 32, dilations 1 3 6 9                 237    658
    width 96, dilations 1 3 6, from stride 8    214    562
    width 64, 3x3                               229    631
    width 64, 1x1                               199    539
    width 128, 1x1 (segformer_small)            241    658
"""

import argparse
import statistics
import time
from typing import Any

import torch
from omegaconf import OmegaConf

from uda_seg.config import build, shipped
from uda_seg.losses import cross_entropy
from uda_seg.networks.base import SegmentationNetwork

CLASSES = 11
HEADS: dict[str, dict[str, Any]] = {
    f"width {width}, dilations {' '.join(map(str, dilations))}": {
        "head": {"width": width, "dilations": dilations}
    }
    for width, dilations in (
        (64, [1, 6, 12, 18]), (64, [1, 3, 6, 9]), (64, [1, 3, 6]), (48, [1, 3, 6, 9]),
        (48, [1, 3, 6]), (32, [1, 3, 6, 9]),
    )
}  # fmt: skip
CANDIDATES: dict[str, tuple[str, dict[str, Any]]] = {
    "small": ("small", {}),
    **{name: ("daformer_small", changes) for name, changes in HEADS.items()},
    "width 96, dilations 1 3 6, from stride 8": (
        "daformer_small", {"head": {"width": 96}, "finest_stride": 8}
    ),
    "width 64, 3x3": ("daformer_small", {"head": {"width": 64, "fusion": "3x3"}}),
    "width 64, 1x1": ("segformer_small", {"head": {"width": 64}}),
    "width 128, 1x1": ("segformer_small", {}),
}  # fmt: skip


def network_of(name: str, changes: dict[str, Any]) -> SegmentationNetwork:
    """With random weights, which cost the same as trained ones."""
    fixed = {"pretrained": "none", "depth_head": False}
    node = OmegaConf.merge(shipped("backbone", name), fixed, changes)
    network: SegmentationNetwork = build(node, classes=CLASSES)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rounds", 5), ("height", 144), ("width", 192)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = torch.rand(4, 3, arguments.height, arguments.width)
    label = torch.randint(CLASSES, (4, arguments.height, arguments.width))
    networks = {name: network_of(*candidate) for name, candidate in CANDIDATES.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
    for turn in range(arguments.rounds + 1):
        for name, network in networks.items():
            start = time.process_time()
            cross_entropy(network(image).logits, label).backward()
            network.zero_grad()
            between = time.process_time()
            with torch.no_grad():
                network(image)
            if turn:  # the first turn warms up
                seconds[name].append((between - start, time.process_time() - between))
    print("| network | weights (M) | ms a step of 4 | ms a prediction of 4 |")
    print("|---|---|---|---|")
    for name, times in seconds.items():
        weights = sum(weight.numel() for weight in networks[name].parameters()) / 1e6
        step, prediction = (1000 * statistics.median(part) for part in zip(*times, strict=True))
        print(f"| {name} | {weights:.2f} | {step:.0f} | {prediction:.0f} |")


if __name__ == "__main__":
    main()
