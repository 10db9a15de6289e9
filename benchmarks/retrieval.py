"""What `retrieve` takes beyond its network: descriptors, layouts, ranking, for Cityscapes' sizes.

    python benchmarks/retrieval.py [--queries 500] [--gallery 2975] [--rounds 3]

Vectors and layouts are drawn at random; what an image costs is measured at 1024x512 with the small
network. The last column says what the same work would take if nothing but its multiplications, at
the rate of a large product of matrices of the same type, or its bytes, at the rate of a copy, had
to be done.

2026-11-26, one thread of an Intel Xeon of two cores with little else on it, torch 2.15.0: network
226 ms, with descriptors 252 (its share: 0.89; 0.76 when a softmax of all pixels was written and
read), layout of a label 6.7; 500 queries in 2,975, in s, behind it the least: cosines 0.0084
(0.0060), layouts 0.153 (0.080; query by query it was five times as much), ranked 0.14 (0.0008),
scored 0.019 (0.0008), mixing of domains 0.18 (0.0070).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import measure
import numpy as np
import torch

from uda_seg.cli.command_line import check
from uda_seg.config import build, plain
from uda_seg.retrieval import ranking
from uda_seg.retrieval.descriptors import describe
from uda_seg.retrieval.layout import CELLS, layout, layout_similarities
from uda_seg.runs.memory import keep_freed_memory

CLASSES, KS = 19, (1, 5, 10)
WIDTH = CELLS * CLASSES
"""Of a descriptor by classes."""


def unit(rows: int, width: int) -> np.ndarray:
    found = np.random.default_rng(rows).standard_normal((rows, width), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def rates() -> tuple[float, float]:
    """Multiply-adds a second of a 64-bit product; bytes a second that a copy reads and writes."""
    matrix, long = np.ones((1500, 1500)), np.ones(2**25, np.uint8)
    target = np.empty_like(long)
    taken = measure.take_turns(
        {"product": lambda: matrix @ matrix, "copy": lambda: np.copyto(target, long)}, 5
    )
    product, copy = (statistics.median(taken[name]) for name in ("product", "copy"))
    return 1500**3 / product, 2 * long.nbytes / copy


def of_an_image(rounds: int) -> Iterator[list[object]]:
    config = check("train", ["backbone=small", "backbone.pretrained=none"]).config
    network = build(plain(config.backbone), classes=CLASSES).eval()
    image = torch.rand(1, 3, 512, 1024)
    label = np.random.default_rng(0).integers(0, CLASSES, (1024, 2048)).astype(np.uint8)

    @torch.no_grad()
    def forward() -> object:
        return network(image, domain="target")

    ways: dict[str, Callable[[], object]] = {
        "network alone": forward,
        "network and descriptors": lambda: describe(network, image, "target"),
        "layout of a label of 2048x1024": lambda: layout(label, list(range(CLASSES)), CLASSES),
    }
    taken = measure.take_turns(ways, rounds)
    for name, seconds in taken.items():
        share = measure.ratio(taken["network alone"], seconds)
        yield [name, 1000 * statistics.median(seconds), share]


def of_a_split(queries: int, gallery: int) -> Iterator[list[object]]:
    multiplied, copied = rates()
    cells = (CELLS, CLASSES)
    chance = np.random.default_rng(0)
    asked, searched = (chance.random((n, *cells), np.float32) for n in (queries, gallery))
    asked, searched = (each / each.sum(2, keepdims=True) for each in (asked, searched))
    ours, theirs = unit(queries, WIDTH), unit(gallery, WIDTH)
    kept: dict[str, np.ndarray] = {}

    def timed(name: str, work: Callable[[], np.ndarray], least: float) -> list[object]:
        start = time.process_time()
        kept[name] = work()
        return [name, time.process_time() - start, least]

    pairs = queries * gallery
    yield timed("cosines", lambda: ranking.cosines(ours, theirs), pairs * WIDTH / multiplied)
    yield timed(
        "layouts compared",
        lambda: layout_similarities(asked, searched),
        pairs * asked[0].size * asked.itemsize / copied,
    )
    yield timed("ranked", lambda: ranking.ranking(kept["cosines"]), pairs * 8 / copied)
    above = ranking.thresholds(kept["layouts compared"], 0.1)
    yield timed(
        "scored",
        lambda: ranking.score_ranking(kept["ranked"], kept["layouts compared"], above, KS)[
            "average_precision", None
        ],
        pairs * 8 / copied,
    )
    everything = queries + gallery
    yield timed(
        "mixing of domains",
        lambda: ranking.mixing(ours, theirs, KS)["other_domain", 1],
        queries * everything * WIDTH / multiplied,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--gallery", type=int, default=2975)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command line does
    print(measure.machine())
    header = ["an image", "ms", "network's share"]
    print(measure.table(header, of_an_image(arguments.rounds)))
    header = [f"{arguments.queries} queries in {arguments.gallery}", "s", "at least, s"]
    print(measure.table(header, of_a_split(arguments.queries, arguments.gallery)))


if __name__ == "__main__":
    main()
