"""Which criterion without labels orders networks as target labels do: rank correlations.

    python benchmarks/criteria.py FOLDER_OF_A_TABLE …

Reads the histories of all runs below the folders (`scores.json`). "between runs": the last
validations of all runs of one target; "within runs": the validations of each run that has three
or more, mean over the runs. Spearman's coefficient with mIoU: 1 is the true order, 0 none.
Entropy counts with its sign turned: low is good.

"""

import argparse
import json
import math
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from measure import table
from torchmetrics.functional.regression import spearman_corrcoef

CRITERIA = {
    "entropy": -1,
    "information_maximisation": 1,
    "soft_neighbourhood_density": 1,
    "teacher_agreement": 1,
}


def correlation(entries: list[dict[str, Any]], criterion: str) -> float:
    """Over the entries of histories that have it; NaN for fewer than three."""
    having = [e for e in entries if e.get(criterion) is not None and e["miou"] is not None]
    if len(having) < 3:
        return math.nan
    values, truth = (torch.tensor([float(e[key]) for e in having]) for key in (criterion, "miou"))
    return float(spearman_corrcoef(CRITERIA[criterion] * values, truth))


def evaluated(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """What `evaluate` found of one checkpoint, as an entry of a history."""
    found = scores["selections"].values()
    return [one | {"entropy": one.get("mean_normalised_entropy")} for one in found]


def row(name: str, runs: list[list[dict[str, Any]]]) -> list[Any]:
    cells: list[Any] = [name, len(runs)]
    for criterion in CRITERIA:
        between = correlation([history[-1] for history in runs], criterion)
        each = [correlation(history, criterion) for history in runs]
        within = [value for value in each if not math.isnan(value)]
        inside = f"{statistics.mean(within):+.2f} ({len(within)})" if within else "–"
        cells.append(f"{'–' if math.isnan(between) else f'{between:+.2f}'} · {inside}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    found: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
    for folder in parser.parse_args().folders:
        for path in sorted(folder.rglob("scores.json")):
            scores = json.loads(path.read_text(encoding="utf-8"))
            history = scores["history"] or evaluated(scores)
            if history:
                found[f"{folder.name}: {scores['target']}"].append(history)
    heads = ["runs of", "runs", *(f"{name}: between · within" for name in CRITERIA)]
    print(table(heads, [row(name, runs) for name, runs in found.items()]))


if __name__ == "__main__":
    main()
