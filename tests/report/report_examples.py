"""Scores of invented runs, made by the module that real runs use."""

import csv
import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from uda_seg.config import conf_folder, read_yaml
from uda_seg.evaluation import scores
from uda_seg.images import pictures
from uda_seg.report.rows import Row, compare
from uda_seg.report.table import Table, run_table

CLASSES = ["road", "traffic light", "car"]
ROLES = {"baseline": "source_only", "control": "adaptive_bn", "oracle": "target_only"}


def matrix(share: float, absent: bool = False) -> list[list[int]]:
    """A share of each class is right, the rest is said to be road, or car where it is road."""
    hit = round(100 * share)
    last = [0, 0, 0] if absent else [100 - hit, 0, hit]
    return [[hit, 0, 0 if absent else 100 - hit], [100 - hit, hit, 0], last]


@functools.cache
def called(method: str) -> dict[str, str]:
    """What scores.json says of a shipped method; of others, and before labels, the name alone."""
    file = conf_folder() / "method" / f"{method}.yaml"
    shipped = read_yaml(file) if file.is_file() else {}
    return {"name": method} | {key: shipped[key] for key in ("label",) if key in shipped}


def save_run(folder: Path, method: str, seed: int, share: float, **changes) -> Path:
    history = [{"step": step, "miou": 100 * share * step / 20} for step in (10, 20)]
    scores.save(
        folder / "scores.json",
        {
            "schema": 1,
            "run_name": f"{method}_{seed}",
            "method": called(method),
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


def make_table(root: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> Table:
    """The rows beside each other."""
    return run_table(compare(make_rows(root, seeds), **ROLES))


def save_whole_run(
    folder: Path, method: str, seed: int, share: float, said: dict | None = None, **changes
) -> Path:
    """A run folder with its config, command and metrics; `said`: overrides, such as method.x=1."""
    save_run(folder, method, seed, share, **changes)
    write_config(folder, method, seed, said or {})
    rows = [f"{step - 1},{1 / step},{0.5 + step / 100}" for step in range(10, 210, 10)]
    head = "step,loss/segmentation,discriminator_accuracy/main"
    (folder / "metrics.csv").write_text("\n".join([head, *rows, "209,0.0"]))  # being written
    return folder


def write_config(folder: Path, method: str, seed: int, said: dict) -> None:
    config: dict = {"method": {"name": method, "lambda_adv": 0.001}, "seed": seed}
    config |= {"trainer": {"steps": 20, "workers": seed}, "run_name": f"{method}_{seed}"}
    for key, value in said.items():
        first, _, last = key.partition(".")
        config.setdefault(first, {})[last] = value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "environment.json").write_text("{}")
    words = [f"method={method}", f"seed={seed}", *(f"{k}={v}" for k, v in said.items())]
    (folder / "overrides.txt").write_text("\n".join([*words, ""]))


def save_sweep(root: Path, values: tuple[float, ...], seeds: tuple[int, ...] = (0, 1)) -> Path:
    """A multirun's folder: AdaptSegNet with several λ_adv; the third best of all is the default."""
    for number, value in enumerate(values):
        for seed in seeds:
            folder = root / f"{number}_lambda_adv={value},seed={seed}"
            said = {"method.lambda_adv": value}
            save_whole_run(folder, "adaptseg", seed, 0.5 + number / 20 + seed / 50, said)
    return root


def save_table(root: Path, seeds: tuple[int, ...] = (0, 1)) -> Path:
    """What `compare` leaves: ROW/seedN, each with its job, and the table's config."""
    rows = {
        "warm_up": ("warm-up", "source_only", 0.2, False),
        "source_only": ("source only", "source_only", 0.3, True),
        "control": ("adaptive BN <control>", "adaptive_bn", 0.4, True),
        "ours": ("ours & theirs", "adaptseg", 0.5, True),
        "target_only": ("oracle", "target_only", 0.9, True),
    }
    for name, (_, method, share, _) in rows.items():
        for seed in seeds:
            folder = save_whole_run(root / name / f"seed{seed}", method, seed, share + seed / 100)
            words = [f"method={method}", f"seed={seed}", f"initial='{root}/warm_up/seed{seed}'"]
            (folder / "job.json").write_text(json.dumps({"overrides": words}))
    roles = {"baseline": "source_only", "control": "control", "oracle": "target_only"}
    spec = {
        "title": "One table",
        "roles": roles,
        "rows": {n: {"label": label, "shown": shown} for n, (label, _, _, shown) in rows.items()},
    }
    (root / ".hydra").mkdir()
    text = yaml.safe_dump({"table": spec}, sort_keys=False)
    (root / ".hydra" / "config.yaml").write_text(text)
    return root


PSEUDO_LABELS = "step class pixels labelled right precision recall pseudo_iou student_iou weight"


def save_pseudo_labels(
    folder: Path, gain: float = 0.0, classes: Sequence[str] = tuple(CLASSES)
) -> None:
    """Of three validations; nothing is taken for a car before the last."""
    with (folder / "pseudo_labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(PSEUDO_LABELS.split())
        for step in (10, 20, 30):
            for place, name in enumerate([*classes, "all"]):
                given = name != "car" or step == 30
                precision = 40 + 10 * place + gain + step if given else ""
                counts = [600, 300, 240] if name == "all" else [200, 100, 80]
                row = [step, name, *counts, precision, 20 + gain, 50 + gain, 45, 0.25]
                writer.writerow(row)
