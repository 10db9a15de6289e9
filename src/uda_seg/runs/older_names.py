"""What had another name in an earlier version: keys of a config, losses, and modules.

Nothing is read by its older name: whoever meets one, on a command line, in a file of the user's or
in an older run folder, is told what it is called now.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uda_seg.errors import ConfigError

KEYS = {
    "critic": "discriminator",
    "image_critic": "image_discriminator",
    "output_critic": "output_discriminator",
    "critic_main": "discriminator_main",
    "critic_auxiliary": "discriminator_auxiliary",
    "critic_feature": "discriminator_feature",
    "critic_input": "discriminator_input",
    "critic_output": "discriminator_output",
    "critic_accuracy": "discriminator_accuracy",
    "logic": "logic_threshold",
    "colour": "color",
    "colours": "colors",
    "void_colours": "void_colors",
    "comparison": "table",
}
REPLACED = {
    "method.levels": "choose method=adaptseg_single or method=adaptseg_feature instead; of GIO-Ada "
    "set method.lambda_input=null or lambda_output=null; of source_only and adaptive_bn, "
    "method.weights.segmentation_auxiliary=0.1",
    "method.pivot": "set method.lambda_presence=null for none",
    "method.adversary": "set method.lambda_adv=null for none",
}
"""Keys in whose place stands something else."""

DATASETS = (
    "acdc|bdd100k|camvid|carla|cityscapes|dark_zurich|folder|gta5|idd|idd_lite|kitti|mapillary|"
    "synscapes|synthia|urbansyn|video|virtual_kitti"
)
TARGETS = (
    (r"uda_seg\.data\.several\.Several", "uda_seg.data.datasets.merged.MergedDataset"),
    (r"uda_seg\.data\.images\.(\w+)", r"uda_seg.data.datasets.image_folder.\1"),
    (r"uda_seg\.data\.superpixels\.(\w+)", r"uda_seg.data.cache.slic.\1"),
    (rf"uda_seg\.data\.({DATASETS})\.(\w+)", r"uda_seg.data.datasets.\1.\2"),
    (r"uda_seg\.loggers\.(\w+)", r"uda_seg.training.loggers.\1"),
    (r"uda_seg\.parts\.(.+)", r"uda_seg.components.\1"),
)


def key_now(key: str) -> str | None:
    """A dotted key as it is called now; None where it has no older name in it."""
    now = ".".join(KEYS.get(part, part) for part in key.split("."))
    return now if now != key else None


def target_now(path: str) -> str | None:
    """The same for the dotted path of a class or function."""
    for older, now in TARGETS:
        if found := re.fullmatch(older, path):
            return found.expand(now)
    return None


def renamed(node: Any) -> Iterator[tuple[str, str]]:
    """Older names in a config, each with what it is now; one may come several times."""
    if isinstance(node, list):
        for child in node:
            yield from renamed(child)
    for key, child in node.items() if isinstance(node, Mapping) else ():
        if now := key_now(str(key)):
            yield str(key), now
        if key == "_target_" and (now := target_now(str(child))):
            yield str(child), now
        yield from renamed(child)


def refuse(config: Mapping[str, Any], path: Path, cure: str) -> None:
    """
    Args:
        config: of an earlier run.
        path: of the file or folder it comes from.
        cure: what the user may do, as a sentence.

    Raises:
        ConfigError: names in it have changed since.
    """
    pairs = dict(renamed(config))
    if not pairs:
        return
    lines = [f"{older} is {now} now" for older, now in pairs.items()]
    raise ConfigError(
        "\n  ".join([f"{path}: was made by an earlier version:", *lines]) + f"\n{cure}"
    )
