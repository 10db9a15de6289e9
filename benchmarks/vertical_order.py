"""How long RPT's order model takes on one core, for its verdicts on an image and for a step.

    python benchmarks/vertical_order.py [--rounds 3] [--hidden 256] [--segments 768]

Drawn superpixels with wavy borders at 1024x512, 19 classes at random, all of the image in one crop.

2026-11-21, on one core of a busy AMD EPYC (Zen 3), versions of constraints.txt, one minute:

    columns  pieces  crossed  verdicts (s)  step (s)
         16    30.4    0.543         0.060     0.131
         32    31.9    0.980         0.118     0.240
         64    31.4    1.000         0.235     0.388
        128    35.5    1.000         0.540     1.004

2026-11-26, --rounds 2, one thread on a busy Intel Xeon of two cores, columns as above: verdicts
0.034, 0.068, 0.153, 0.335 s, a step 0.105, 0.168, 0.406, 1.099 s.

On the first machine 2,975 images take 6 minutes with 32 columns, which is one a superpixel, and 12
with 64.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.components.image_columns import target_columns
from uda_seg.components.vertical_order import VerticalOrder

CLASSES, HEIGHT, WIDTH = 19, 512, 1024
WAVES = 6
"""Pixels, one standard deviation."""


def superpixels(segments: int) -> Tensor:
    """(1, H, W): about as many, on a grid whose lines are bent."""
    down = max(1, round((segments * HEIGHT / WIDTH) ** 0.5))
    across = segments // down
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    noise = torch.randn(1, 2, HEIGHT // 8, WIDTH // 8)
    bent = WAVES * F.interpolate(noise, (HEIGHT, WIDTH), mode="bilinear")[0]
    rows = ((rows + bent[0]).clamp(0, HEIGHT - 1) * down / HEIGHT).long()
    columns = ((columns + bent[1]).clamp(0, WIDTH - 1) * across / WIDTH).long()
    return (rows * across + columns)[None]


def seconds(task: Callable[[], object], rounds: int) -> float:
    """Of processor time, the mean; the first time warms up."""
    task()
    start = time.process_time()
    for _ in range(rounds):
        task()
    return (time.process_time() - start) / rounds


def row(order: VerticalOrder, classes: Tensor, blocks: Tensor, rounds: int) -> str:
    found = target_columns(classes, blocks, order.columns)
    pieces = found.lengths.float().mean()
    crossed = len(found.superpixels[found.superpixels >= 0].unique()) / len(blocks.unique())
    label = classes[0][blocks]
    verdicts = seconds(lambda: order.probabilities_of(classes, blocks), rounds)
    step = seconds(lambda: order.loss(label).backward(), rounds)
    return f"{pieces:8.1f}{crossed:9.3f}{verdicts:14.3f}{step:10.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rounds", 3), ("hidden", 256), ("segments", 768)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    blocks = superpixels(arguments.segments)
    classes = torch.randint(CLASSES, (1, arguments.segments))
    print("columns  pieces  crossed  verdicts (s)  step (s)")
    for columns in (16, 32, 64, 128):
        order = VerticalOrder(CLASSES, arguments.hidden, columns, arguments.segments, 0.25)
        print(f"{columns:7}" + row(order, classes, blocks, arguments.rounds))


if __name__ == "__main__":
    main()
