"""What a round of RPT costs, in time and memory, for Cityscapes' 2,975 images of 1024x512.

    python benchmarks/rounds.py [--images 4] [--backbone small] [--of 2975]

Some drawn images of that size are looked at as a round does, part by part; medians of the
processor's time on one core, and bytes that stay, are extrapolated to all images. Superpixels are
made once by `data prepare superpixels`; features and clusters are made in the first round only
(k-means itself: benchmarks/clusters.py).

2026-11-21, --images 5, one busy core of an AMD EPYC (Zen 3), versions of constraints.txt:

    part                          s an image    min, 2975 images
    superpixels, once                  0.175                 8.7
    snapshot                           0.557                27.6
    classes and shares                 0.010                 0.5
    verdicts on order                  0.088                 4.4
    ImageNet features, once            0.506                25.1
    pooled and projected, once         0.028                 1.4
    a round                            0.655                32.5
    superpixels of an image, at most: 750
    verdicts and clusters, kept in the checkpoint: 16 MB
    features in the first round: 0.57 GB
    sample for k-means: 49 MB

2026-11-26, --images 2, one thread on a busy Intel Xeon of two cores: snapshot 0.569 s, verdicts on
order 0.052, a round 0.636 (31.5 min for 2,975 images), of which 0.89 are the network's; superpixels
once 11.7 min, features once 24.1.

So on a CPU a round is the network's own time; what RPT adds to it is 0.1 s an image.
"""

import argparse
import statistics
import time
from collections import defaultdict
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from uda_seg.cli.command_line import check
from uda_seg.components import clusters, superpixels
from uda_seg.config import build
from uda_seg.data.toytown import scene
from uda_seg.methods.rpt import RPT, SAMPLE

HEIGHT, WIDTH = 512, 1024


def measured(images: int, backbone: str) -> tuple[dict[str, float], int]:
    """Median seconds of each part for one image, and superpixels of an image."""
    words = ["method=rpt_plain", f"backbone={backbone}", "target=toytown_camera"]
    composed: DictConfig = check("train", words).config
    with open_dict(composed):
        composed.pop("hydra")
    config: Any = OmegaConf.to_container(composed, resolve=True)
    divide = build(config["superpixels"])
    method: RPT = build(config["method"], network=build(config["backbone"], classes=19)).eval()
    assert method.teacher is not None
    assert method.order is not None
    seconds: dict[str, list[float]] = defaultdict(list)
    most = 0

    def timed(name: str, work: Any) -> Any:
        start = time.process_time()
        result = work()
        seconds[name].append(time.process_time() - start)
        return result

    for number in range(images):
        drawn = scene(0, number, "toytown_camera", (HEIGHT, WIDTH)).image
        segments = timed("superpixels, once", lambda image=drawn: divide(image))
        image = torch.from_numpy(drawn).permute(2, 0, 1)[None].float() / 255
        segments = torch.from_numpy(segments)[None].long()
        count = int(segments.max()) + 1
        most = max(most, count)
        with torch.no_grad():
            labels = timed("snapshot", lambda x=image: method.network(x, "target").logits.argmax(1))
            votes = timed(
                "classes and shares",
                lambda p=labels, s=segments, n=count: superpixels.dominant(
                    superpixels.counts(p, s, 19, n)
                ),
            )
            timed(
                "verdicts on order",
                lambda c=votes[0], s=segments: method.order.probabilities_of(c, s),
            )
            features = timed("ImageNet features, once", lambda x=image: method.teacher(x))
            timed(
                "pooled and projected, once",
                lambda f=features, s=segments, n=count: clusters.compact(
                    superpixels.mean_features(f, s, n).flatten(0, 1), seed=0
                ),
            )
    return {name: statistics.median(values) for name, values in seconds.items()}, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--of", type=int, default=2975)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds, most = measured(arguments.images, arguments.backbone)
    of = arguments.of
    print(f"{'part':28}{'s an image':>12}{f'min, {of} images':>20}")
    for name, each in seconds.items():
        print(f"{name:28}{each:12.3f}{each * of / 60:20.1f}")
    every = sum(each for name, each in seconds.items() if "once" not in name)
    print(f"{'a round':28}{every:12.3f}{every * of / 60:20.1f}")
    rows = of * most
    print(f"superpixels of an image, at most: {most}")
    print(f"verdicts and clusters, kept in the checkpoint: {rows * (3 + 4) / 1e6:.0f} MB")
    print(f"features in the first round: {rows * clusters.WIDTH * 2 / 1e9:.2f} GB")
    print(f"sample for k-means: {of * SAMPLE * clusters.WIDTH * 2 / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
