"""Time, memory and images a second of training steps at published sizes, measured on a GPU.

    sh benchmarks/gpu.sh                      # all of it, ten minutes on one card
    python benchmarks/gpu_steps.py [--variants bf16 …] [--steps 8] [--rows "method=dacs" …]

Each row is one command line of train; without any, those of `gpu_rows.py`: every method and
published network. Images are random numbers, weights start at random; the losses are the method's
own, the optimizers the config's. A step: losses, backward passes, update, teacher; of a method with
rounds, one of the first round. `published` is the published algorithm in plain PyTorch
(`published.py`), in 32 bits as torch starts: for source_only, adaptseg, dacs and MIC on DeepLab;
"times" is a variant's speed over it, or else over the first variant. The rate is operations,
counted once by torch, a second; its share is of what a product of bf16 matrices reaches on the same
card. Rows that --until leaves no time for are named. `--small` and `--device cpu` try it out: so
every method's row ran once on 26 November 2026, and of the presets DAFormer's at 8, 11 and 16 GB.
benchmarks/step_costs.py computes operations and memory without a GPU.
"""

import argparse
import shlex
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import published
import torch
from gpu_rows import PRESETS, ROWS, VARIANTS
from hydra import compose, initialize_config_dir
from measure import machine, table
from omegaconf import OmegaConf
from step_costs import Operations

from uda_seg.batch import Batch, Source, Target, TargetPass
from uda_seg.config import build, conf_folder, needed_by, optimizers_of
from uda_seg.data.datasets.classes import SPACES
from uda_seg.errors import UserError
from uda_seg.methods.base import Method
from uda_seg.networks.modes import evaluating
from uda_seg.training import fast, setup
from uda_seg.training.adaptation import pieces
from uda_seg.training.memory_presets import settings_that_fit

CLASSES = list(SPACES["cityscapes_19"])
SMALL = [64, 128]
WARM_UP = 3
Step = Callable[[], Any]


def config_of(words: str, device: str, small: bool) -> dict[str, Any]:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        own = [f"trainer.accelerator={device}".replace("cuda", "gpu"), "backbone.pretrained=none"]
        composed = compose("train", [*shlex.split(words), *own])
        config: Any = OmegaConf.to_container(composed, resolve=True)
    for domain in (config["source"], config["target"]) if small else ():
        domain["size"], crop = SMALL, domain["augment"]["crop"]
        domain["augment"]["crop"] = crop and SMALL
    return config


def random_batch(config: dict[str, Any], device: str) -> Batch:
    """Squares of 64 pixels of one class each, in noise; square superpixels."""
    needs = needed_by(config["method"])

    def image(domain: dict[str, Any]) -> torch.Tensor:
        size = domain["augment"]["crop"] or domain["size"]
        return torch.rand(config["trainer"]["batch_size"], 3, *size, device=device)

    source, target = image(config["source"]), image(config["target"])
    height, width = source.shape[-2:]
    squares = (len(source), -(-height // 64), -(-width // 64))
    label = torch.randint(len(CLASSES), squares, device=device)
    label = label.repeat_interleave(64, 1).repeat_interleave(64, 2)[:, :height, :width]
    window = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device).repeat(len(target), 1)
    height, width = target.shape[-2:]
    side = round((height * width / config["superpixels"]["segments"]) ** 0.5)
    down, along = (torch.arange(n, device=device) // side for n in (height, width))
    cells = (down[:, None] * (width // side + 1) + along).expand(len(target), -1, -1)
    return Batch(
        Source(
            source,
            label,
            depth=50 * source[:, :1] + 1 if "source.depth" in needs else None,
            window=window,
        ),
        Target(
            target,
            window=window,
            superpixels=cells if "target.superpixels" in needs else None,
            index=torch.arange(len(target)),
        ),
    )


def begin_round(method: Method, target: Target, device: str) -> None:
    """The first, over the images of a batch."""
    if method.rounds:
        method.round = 1
        images = replace(target, image=(target.image * 255).byte())
        with evaluating(method):
            method.start_round(TargetPass([images], len(images.image), torch.device(device)))


def ours(config: dict[str, Any], device: str) -> Step:
    made = setup.make_method(config, CLASSES)
    settings = settings_that_fit(made, config) if config["memory"] else config["trainer"]
    fast.set_tf32(settings["tf32"])
    module = setup.make_adaptation(config, made, CLASSES, (), settings)
    method = module.method.to(device).train()
    optimizer = module.configure_optimizers()["optimizer"]
    half, count = settings["precision"] != "32-true", settings["accumulate"]
    begin_round(method, random_batch(config, device).target, device)

    def losses(batch: Batch) -> Iterator[Any]:
        found = method.losses(batch)
        while True:
            with torch.autocast(device, torch.bfloat16) if half else nullcontext():
                one = next(found, None)
                objective = None if one is None else module.objective(one) / count
            if objective is None:
                return
            yield objective

    def step() -> torch.Tensor:
        seen = []
        optimizer.zero_grad()
        for batch in pieces(random_batch(config, device), count):
            for objective in losses(batch):
                if objective.requires_grad:
                    objective.backward()
                seen.append(objective.detach())
        optimizer.step()
        method.after_step()
        return torch.stack(seen)

    return step


def plain(config: dict[str, Any], device: str) -> Step | None:
    """The published loop, of those that were written; None for other methods and networks."""
    fast.set_tf32("convolutions")
    name = config["method"]["name"]
    on = config["method"].get("base", {}).get("name")
    written = name in ("source_only", "adaptseg", "dacs") or (name, on) == ("mic", "dacs")
    if not written or not config["backbone"]["_target_"].endswith("DeepLab"):
        return None
    method = setup.make_method(config, CLASSES).to(device)
    network = published.PlainDeepLab(method.network).to(device).train()
    rates = network.groups(1.0)
    optimizers = [build(config["backbone"]["optimizer"])([{"params": r["params"]} for r in rates])]
    after_step: Step = lambda: None  # noqa: E731
    if name == "source_only":
        loop = published.source_only(network)
    elif name == "adaptseg":
        games = method.adversaries.values()
        judges = [published.plain_discriminator(game.discriminator).to(device) for game in games]
        if len(judges) != 2:
            return None
        factory = build(optimizers_of(config["method"])["discriminator"])
        optimizers += [factory(judge.parameters()) for judge in judges]
        loop = published.adaptsegnet(network, judges, method.weights)
    else:
        masks = name == "mic"
        strength = (method.base if masks else method).augmentation.strength
        loop = published.SelfTraining(network, masks, strength, getattr(method, "block", 0))
        after_step = loop.after_step

    def step() -> torch.Tensor:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = loop(random_batch(config, device))
        for optimizer in optimizers:
            optimizer.step()
        after_step()
        return loss.detach()

    return step


def measure(step: Step, steps: int, warm_up: int, device: str) -> tuple[float, float, bool]:
    """Seconds of a step (median), most GiB, whether all losses were finite."""
    on_gpu, times, finite = device == "cuda", [], True
    for number in range(warm_up + steps):
        if on_gpu:
            torch.cuda.synchronize()
        if on_gpu and number == 1:  # cuDNN's trials of the first step are not the step's
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        torch.compiler.cudagraph_mark_step_begin()
        losses = step()
        finite &= bool(losses.isfinite().all())  # waits for the GPU
        if number >= warm_up:
            times.append(time.perf_counter() - start)
    most = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else float("nan")
    return statistics.median(times), most, finite


def matrix_rate(device: str, side: int) -> float:
    """TFLOP/s of a product of square bf16 matrices, the best of several."""
    first, second = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        float((first @ second)[0, 0])
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best / 1e12


def operations(step: Step) -> float:
    """TFLOP of a step: convolutions and products of matrices, two a multiply-add."""
    with Operations() as counter:
        step()
    return counter.total / 1e12


def row_of(words: str, variant: str, arguments: Any, reference: dict[str, float]) -> list[Any]:
    device = arguments.device
    torch.manual_seed(0)
    torch._dynamo.reset()
    fast.OPTIONS = {"mode": "reduce-overhead"} if variant == "bf16-graphs" else {}
    config = config_of(f"{words} {VARIANTS.get(variant, '')}", device, arguments.small)
    made = (plain if variant == "published" else ours)(config, device)
    if made is None:
        return []
    counted = reference.get("operations")
    if counted is None and "compile" not in VARIANTS.get(variant, ""):
        counted = reference["operations"] = operations(made)
    warm_up = 0 if arguments.small else WARM_UP
    seconds, most, finite = measure(made, arguments.steps, warm_up, device)
    base = reference.setdefault("seconds", seconds)
    images = 2 * config["trainer"]["batch_size"] / seconds
    rate = float("nan") if counted is None else counted / seconds
    share = f"{100 * rate / arguments.rate:.0f} %"
    said = "finite" if finite else "NOT finite"
    return [f"{base / seconds:.2f}", seconds, images, most, rate, share, said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=["published", "bf16"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="64x128 pixels: to try it out")
    parser.add_argument("--until", type=float, default=600, help="seconds; rows left are named")
    parser.add_argument("--presets", action="store_true", help="memory presets instead of methods")
    parser.add_argument("--rows", nargs="+", help="of train, each in quotes")
    arguments = parser.parse_args()
    unknown = set(arguments.variants) - {"published", *VARIANTS}
    if unknown:
        parser.error(f"--variants {', '.join(unknown)}: choose of published, {', '.join(VARIANTS)}")
    start = time.monotonic()
    arguments.rate = matrix_rate(arguments.device, 512 if arguments.small else 8192)
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else "no GPU"
    print(f"{card}; {machine()}; bf16 product {arguments.rate:.3g} TFLOP/s\n", flush=True)
    header = "train|variant|times|s a step|images/s|GiB|TFLOP/s|of the card|losses".split("|")
    print("\n".join(table(header, []).splitlines()), flush=True)
    for words in arguments.rows or (PRESETS if arguments.presets else ROWS):
        reference: dict[str, float] = {}
        for variant in arguments.variants:
            if time.monotonic() - start > arguments.until:
                print(f"| `{words}` | {variant} | left out: no time |", flush=True)
                continue
            try:
                cells = row_of(words, variant, arguments, reference)
            except (RuntimeError, UserError, torch._dynamo.exc.TorchDynamoException) as error:
                cells = [f"failed: {str(error).splitlines()[0][:90]}"]
            if cells:
                line = table(header, [[f"`{words}`", variant, *cells]]).splitlines()[-1]
                print(line, flush=True)
            if arguments.device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
