"""Scores of invented runs, made by the module that real runs use."""

from pathlib import Path

import numpy as np

from uda_seg.data import pictures
from uda_seg.evaluation import scores
from uda_seg.report.comparison import Row

CLASSES = ["road", "traffic light", "car"]
ROLES = {"baseline": "source_only", "control": "adaptive_bn", "oracle": "target_only"}


def matrix(share: float, absent: bool = False) -> list[list[int]]:
    """A share of each class is right, the rest is said to be road, or car where it is road."""
    hit = round(100 * share)
    last = [0, 0, 0] if absent else [100 - hit, 0, hit]
    return [[hit, 0, 0 if absent else 100 - hit], [100 - hit, hit, 0], last]


def save_run(folder: Path, method: str, seed: int, share: float, **changes) -> Path:
    history = [{"step": step, "miou": 100 * share * step / 20} for step in (10, 20)]
    scores.save(
        folder / "scores.json",
        {
            "schema": 1,
            "run_name": f"{method}_{seed}",
            "method": {"name": method},
            "source": "toytown",
            "target": "camvid",
            "backbone": "tiny",
            "seed": seed,
            "steps": 20,
            "batch_norm": "train",
            "classes": CLASSES,
            "selections": {
                "last": {"step": 20, "confusion": matrix(share)},
                "oracle_best": {"step": 10, "confusion": matrix(share + 0.05)},
            },
            "history": history,
            "finished": True,
            "git_commit": "0123456789abcdef-dirty",
            "versions": {"torch": "2.15", "timm": None},
        }
        | changes,
    )
    for number in ("000", "001"):
        for kind in ("image", "label", "prediction"):
            picture = np.full((8, 16, 3), 40, np.uint8)
            pictures.save(folder / "pictures" / f"{number}_{kind}.png", picture)
    return folder


def make_rows(root: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> list[Row]:
    """Four rows; the method gains 10 points of hits on the control, the control 10 on the base."""
    rows = []
    for name, label, share in (
        ("source_only", "source only", 0.3),
        ("adaptive_bn", "adaptive BN <control>", 0.4),
        ("adaptseg", "AdaptSegNet [multi] | x", 0.5),
        ("target_only", "oracle", 0.9),
    ):
        folders = [save_run(root / name / str(s), name, s, share + s / 100) for s in seeds]
        rows.append(Row(name, label, folders, [scores.load(folder) for folder in folders]))
    return rows
