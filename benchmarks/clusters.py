"""How long k-means over a training set's superpixels takes, and how much memory.

    python benchmarks/clusters.py [--points 200000] [--clusters 2048] [--of 2284800] [--threads 1]

Points of length 1 around 3,000 directions, 128 numbers each. 2,975 images with 768 superpixels are
2,284,800 of them; the last column lays a line through half of `points` and `points`.

2026-11-21, on one busy core of an AMD EPYC (Zen 3), versions of constraints.txt, 30 s:

    points                            100000    200000   2284800
    cluster, s                          8.44     11.02        65
    nearest, s                          1.30      2.55        29
    memory beyond the points, GB        0.01      0.00
    mean squared distance               0.62      0.63

A line is not all: scikit-learn draws each of the 837 mini-batches in a time that grows with the
number of points, 48 ms for 2,284,800 of them: 40 s more. The points themselves are 1.17 GB.

2026-11-26, --points 50000 --clusters 512, one thread on a busy Intel Xeon of two cores: cluster
0.54 and 0.76 s for 25,000 and 50,000 points (21 for 2,284,800), nearest 0.07 and 0.15 (7).
"""

import argparse
import resource
import time

import torch
import torch.nn.functional as F

from uda_seg.components import clusters

DIRECTIONS = 3000


def points(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.randn(DIRECTIONS, clusters.WIDTH, generator=generator), dim=1)
    made = torch.empty(count, clusters.WIDTH)
    for part in made.split(1000):  # no temporaries that would hide how much k-means needs
        chosen = torch.randint(DIRECTIONS, (len(part),), generator=generator)
        noise = torch.randn(part.shape, generator=generator) / clusters.WIDTH**0.5
        part.copy_(F.normalize(directions[chosen] + noise, dim=1))
    return made


def peak() -> float:
    """GB this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measured(count: int, centres_wanted: int) -> dict[str, float]:
    """Seconds of processor time, GB, and how good the clusters are."""
    features = points(count)
    before, start = peak(), time.process_time()
    centres = clusters.cluster(features, centres_wanted, seed=0)
    found, held = time.process_time(), peak()
    members = clusters.nearest(features, centres)
    done = time.process_time()
    distance = (features - centres[members]).square().sum(1).mean()
    return {
        "cluster, s": found - start,
        "nearest, s": done - found,
        "memory beyond the points, GB": held - before,
        "mean squared distance": float(distance),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("points", 200_000), ("clusters", 2048), ("of", 2_284_800)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    half, whole = arguments.points // 2, arguments.points
    first, second = (measured(count, arguments.clusters) for count in (half, whole))
    print(f"{'points':30}{half:>10}{whole:>10}{arguments.of:>10}")
    for name, value in second.items():
        slope = (value - first[name]) / (whole - half)
        further = f"{value + slope * (arguments.of - whole):10.0f}" if name.endswith(", s") else ""
        print(f"{name:30}{first[name]:10.2f}{value:10.2f}{further}")


if __name__ == "__main__":
    main()
