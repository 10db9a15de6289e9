"""How long a training step of the small network takes on a CPU, candidate by candidate.

    python benchmarks/backbones.py [--rounds 5] [--threads 1] [--height 128] [--width 256]

A step is forward, cross-entropy on both heads and backward, batch 4, batch norm in training.
Candidates take turns, so that a busy machine slows all of them; the table shows medians.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from uda_seg.config import build, conf_folder

CLASSES = 19
CANDIDATES = {
    f"{name}, stride {stride}{cut_name}{layout_name}": {
        "encoder": {"name": name, "output_stride": stride, "last_stage": cut},
        "channels_last": layout,
    }
    for name, stride, (cut, cut_name), (layout, layout_name) in itertools.product(
        ("mobilenetv2_100", "tf_efficientnet_lite0"),
        (8, 16),
        ((-1, ""), (-2, ", last stage cut")),
        ((True, ", channels last"), (False, "")),
    )
    if layout or cut == -1
}


def training_step(options: dict, image: torch.Tensor, label: torch.Tensor) -> Callable[[], None]:
    """One step of `small` with some keys replaced; random weights cost the same as trained ones."""
    config = OmegaConf.load(conf_folder() / "backbone" / "small.yaml")
    network = build(
        OmegaConf.merge(config, {"pretrained": "none", "depth_head": False}, options),
        classes=CLASSES,
    )

    def step() -> None:
        prediction = network(image)
        loss = F.cross_entropy(prediction.logits, label)
        loss = loss + 0.1 * F.cross_entropy(prediction.auxiliary_logits, label)
        loss.backward()
        network.zero_grad()

    step.weights = sum(weight.numel() for weight in network.parameters())  # type: ignore[attr-defined]
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rounds", 5), ("threads", 1), ("height", 128), ("width", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    image = torch.rand(4, 3, arguments.height, arguments.width)
    label = torch.randint(CLASSES, (4, arguments.height, arguments.width))
    steps = {name: training_step(options, image, label) for name, options in CANDIDATES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(arguments.rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
    print(f"| network | weights (M) | ms a step of 4 ({arguments.threads} threads) | images/s |")
    print("|---|---|---|---|")
    for name, times in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
        median, weights = statistics.median(times), steps[name].weights / 1e6  # type: ignore[attr-defined]
        print(f"| {name} | {weights:.2f} | {1000 * median:.0f} | {4 / median:.1f} |")


if __name__ == "__main__":
    main()
