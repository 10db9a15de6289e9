"""Time and memory of training steps at published sizes, measured on a GPU.

    python benchmarks/gpu_steps.py [--precision bf16-mixed] [--steps 8] ["overrides of train" …]

Each argument is one command line of train, in quotes; without any, the rows of the self-training
family at their published sizes. Images are random numbers, weights start at random; the losses are
the method's own, the optimizers the config's. A step: losses, backward passes, update, teacher.
benchmarks/step_costs.py computes the same without a GPU.
"""

import argparse
import shlex
import statistics
import time
from contextlib import nullcontext
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from uda_seg.batch import Batch, Source, Target
from uda_seg.config import conf_folder
from uda_seg.data.datasets.classes import SPACES
from uda_seg.training import setup

CLASSES = list(SPACES["cityscapes_19"])
CITIES = "source=gta5 target=cityscapes trainer.batch_size=2"
AT_512 = f"{CITIES} source.augment.crop=[512,512] target.augment.crop=[512,512]"
AT_1024 = f"{CITIES} source.augment.crop=[1024,1024] target.augment.crop=[1024,1024]"
PYRAMID, RED = "backbone=daformer_pvt_v2_b5", "backbone=dlv2red_resnet101"
ROWS = (
    f"method=source_only {PYRAMID} {AT_512}",
    f"method=dacs backbone=deeplab_resnet101 {AT_512}",
    f"method=dacs_daformer {RED} {AT_512}",
    f"method=daformer {RED} {AT_512}",
    f"method=daformer {PYRAMID} {AT_512}",
    f"method=mic method@method.base=adaptseg_single {RED} {AT_512}",
    f"method=mic method@method.base=dacs_daformer {RED} {AT_512}",
    f"method=mic method@method.base=daformer {PYRAMID} {AT_512}",
    f"method=hrda backbone=hrda_dlv2red_resnet101 {AT_1024}",
    f"method=hrda backbone=hrda_pvt_v2_b5 {AT_1024}",
    f"method=mic method@method.base=hrda method.block=64 backbone=hrda_pvt_v2_b5 {AT_1024}",
)
WARM_UP = 3


def random_batch(config: dict[str, Any], device: str) -> Batch:
    """Squares of 64 pixels of one class each, in noise."""

    def image(domain: dict[str, Any]) -> torch.Tensor:
        size = domain["augment"]["crop"] or domain["size"]
        return torch.rand(config["trainer"]["batch_size"], 3, *size, device=device)

    source, target = image(config["source"]), image(config["target"])
    rows, columns = (side // 64 for side in source.shape[-2:])
    label = torch.randint(len(CLASSES), (len(source), rows, columns), device=device)
    label = label.repeat_interleave(64, 1).repeat_interleave(64, 2)
    window = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device).repeat(len(target), 1)
    return Batch(Source(source, label, window=window), Target(target, window=window))


def measure(words: str, precision: str, steps: int, device: str) -> tuple[int, float, float, bool]:
    """Weights, seconds of a step (median), most bytes, whether all losses were finite."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        overrides = [*shlex.split(words), "backbone.pretrained=none"]
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    torch.manual_seed(0)
    module = setup.make_adaptation(config, setup.make_method(config, CLASSES), CLASSES)
    method = module.method.to(device).train()
    optimizer = module.configure_optimizers()["optimizer"]
    half = torch.autocast(device, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()
    torch.cuda.reset_peak_memory_stats()
    times, finite = [], True
    for step in range(WARM_UP + steps):
        batch = random_batch(config, device)
        torch.cuda.synchronize()
        start = time.perf_counter()
        optimizer.zero_grad()
        seen = []
        generator = method.losses(batch)
        while True:
            with half:
                losses = next(generator, None)
                if losses is None:
                    break
                total = module.objective(losses)
            total.backward()
            seen += [loss.detach() for loss in losses.values()]
        optimizer.step()
        method.after_step()
        torch.cuda.synchronize()
        if step >= WARM_UP:
            times.append(time.perf_counter() - start)
        finite &= all(bool(loss.isfinite()) for loss in seen)
    weights = sum(weight.numel() for weight in method.network.parameters())
    return weights, statistics.median(times), torch.cuda.max_memory_allocated(), finite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="bf16-mixed", choices=["bf16-mixed", "32-true"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("commands", nargs="*", default=ROWS, help="each in quotes")
    arguments = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {arguments.precision}\n")
    print("| train | weights, M | s a step | GiB | losses |")
    print("|---|---:|---:|---:|---|")
    for words in arguments.commands:
        try:
            weights, seconds, size, finite = measure(
                words, arguments.precision, arguments.steps, "cuda"
            )
        except torch.OutOfMemoryError as error:
            print(f"| `{words}` | | | | out of memory: {str(error)[:60]} |", flush=True)
            continue
        said = "finite" if finite else "NOT finite"
        print(
            f"| `{words}` | {weights / 1e6:.1f} | {seconds:.3f} | {size / 2**30:.1f} | {said} |",
            flush=True,
        )
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
