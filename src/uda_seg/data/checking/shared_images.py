"""Splits that should have no image in common, compared by where their files really lie."""

from collections.abc import Iterator, Mapping
from typing import Any

from uda_seg.data.datasets.base import Dataset


def shared_images(
    source: Dataset | None,
    target: Dataset | None,
    scored: Dataset | None,
    config: Mapping[str, Any],
) -> Iterator[str]:
    """One sentence for every two of a run's splits that share images.

    Args:
        source: its training split; None when its labels are not learned from, or it is not there.
        target: its training split.
        scored: the target's validation split.
        config: holds the `source:` and `target:` configs.
    """
    paths = [set() if one is None else set(one.real_paths()) for one in (source, target, scored)]
    if scored is None or not scored.has_labels:
        paths[2] = set()
    source_split, target_split = (config[side]["train_split"] for side in ("source", "target"))
    places = f"source {config['source']['name']} {source_split}", f"target {target_split}"
    for images, place in zip(paths, places):
        if images & paths[2]:
            yield (
                f"{_share(images, paths[2])} that are scored ({config['target']['val_split']}) are "
                f"trained on too ({place}), so the score says little about other images; set "
                f"target.val_split= or {place.split()[0]}.train_split= to others"
            )
    if paths[0] & paths[1]:
        yield (
            f"{_share(*paths[:2])} of {places[1]} are those of {places[0]}, so there is nothing to "
            "adapt to"
        )


def _share(images: set[str], of: set[str]) -> str:
    """How many of the latter are among the former."""
    count = len(images & of)
    return f"all {count} images" if count == len(of) else f"{count} of {len(of)} images"
