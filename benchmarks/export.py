"""How fast exported files answer, one thread each, beside the network that they were made of.

    python benchmarks/export.py [--networks small deeplab_resnet50] [--size 512 1024] [--rounds 5]

Random weights: what they are does not change the time. All take turns; processor time. The last
column is the multiply-adds of a forward pass, at the rate of a large product of matrices here, over
the time: the share of what the core could do.

2026-11-26, --networks small --rounds 3, a busy Intel Xeon of two cores, torch 2.15.0, onnxruntime
1.31.1: the network 354 ms (0.26 of the core's 153 GFLOP/s), .onnx 228 (1.56 times as fast, 0.40),
.pt2 388 (0.91).
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import measure
import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

from uda_seg.cli.command_line import check
from uda_seg.config import build, plain
from uda_seg.export.deployed import INPUT, trace
from uda_seg.export.formats import make_formats
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.runs.memory import keep_freed_memory

CLASSES = 19


def flops_a_second() -> float:
    """Of a product of matrices, two a multiply-add."""
    matrix = torch.rand(1500, 1500)
    taken = measure.take_turns({"product": lambda: matrix @ matrix}, 7)
    return 2 * 1500**3 / statistics.median(taken["product"])


def rows(name: str, size: tuple[int, int], rounds: int, rate: float) -> Iterator[list[object]]:
    config = check("train", [f"backbone={name}", "backbone.pretrained=none"]).config
    network = cast(SegmentationNetwork, build(plain(config.backbone), classes=CLASSES).eval())
    image = torch.rand(1, 3, *size)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        formats = make_formats(["onnx", "torch_export"], None)
        program = trace(network, "logits", name)
        for format in formats.values():
            format.write(program, Path(folder) / format.file, "logits", {})
        session = onnxruntime.InferenceSession(f"{folder}/network.onnx", options)
        torch_export = formats["torch_export"].open(Path(folder) / "network.pt2")
    with torch.no_grad():
        with FlopCounterMode(display=False) as counted:
            network(image, domain="target")
        taken = measure.take_turns(
            {
                "the network": lambda: network(image, domain="target"),
                ".onnx, onnxruntime": lambda: session.run(None, {INPUT: image.numpy()}),
                ".pt2": lambda: torch_export(image.numpy()),
            },
            rounds,
        )
    for way, seconds in taken.items():
        median = statistics.median(seconds)
        share = counted.get_total_flops() / rate / median
        yield [name, way, 1000 * median, measure.ratio(taken["the network"], seconds), share]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["small", "deeplab_resnet50"])
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command line does
    rate = flops_a_second()
    print(measure.machine(), f"onnxruntime {onnxruntime.__version__}", f"{rate / 1e9:.0f} GFLOP/s")
    header = ["network", "way", "ms", "times as fast", "of the core's rate"]
    found = [
        row
        for name in arguments.networks
        for row in rows(name, arguments.size, arguments.rounds, rate)
    ]
    print(measure.table(header, found))


if __name__ == "__main__":
    main()
