"""Every run's answers in both directions, with chance and the best possible beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uda_seg.retrieval import ranking
from uda_seg.retrieval.layout import layout_similarities
from uda_seg.retrieval.ranking import Scores
from uda_seg.retrieval.side import Side
from uda_seg.retrieval.tables import SCHEMA
from uda_seg.runs import run_folder
from uda_seg.runs.trained import Trained

DIRECTIONS = (("source", "target"), ("target", "source"))
"""Queries and gallery."""

Vectors = Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
"""Side -> run -> descriptor -> (N, D), rows of length 1."""


@dataclass
class Answer:
    """What one run finds by one descriptor."""

    similarity: np.ndarray
    """(Q, G) cosines."""
    ranked: np.ndarray
    """(Q, G) the gallery's indices, nearest first."""
    scores: Scores


@dataclass
class Direction:
    queries: str
    gallery: str
    layouts: np.ndarray | None
    """(Q, G) similarities of the labels' layouts; None when a side has no labels."""
    above: np.ndarray | None
    """(Q,) the layout similarity that is relevant to each query."""
    levels: dict[str, Scores]
    """What to hold against the answers: `chance`, `blind` and `best`, see `retrieval`."""
    answers: dict[tuple[str, str], Answer]
    """By run and descriptor, in the runs' order."""

    def judgement(self, query: int, place: int) -> tuple[float | None, bool | None]:
        """Layout similarity, and whether it is relevant; None where the labels do not tell."""
        if self.layouts is None or self.above is None or np.isnan(self.layouts[query, place]):
            return None, None
        alike = float(self.layouts[query, place])
        return alike, bool(alike > self.above[query])


def answer(
    vectors: Vectors,
    layouts: Mapping[str, np.ndarray | None],
    ks: Sequence[int],
    share: float,
) -> list[Direction]:
    """
    Args:
        vectors: of every side, run and descriptor.
        layouts: side -> (N, CELLS, C), or None.
        ks: numbers of neighbors.
        share: of the gallery that counts as relevant to a query.
    """
    alike = None
    if layouts["source"] is not None and layouts["target"] is not None:
        alike = layout_similarities(layouts["source"], layouts["target"])
    found = []
    for queries, gallery in DIRECTIONS:
        turned = alike.T if alike is not None and queries == "target" else alike
        asked, searched = vectors[queries], vectors[gallery]
        one = next(iter(next(iter(asked.values())).values()))
        other = next(iter(next(iter(searched.values())).values()))
        even, above = ranking.even_mixing(len(one), len(other), ks), None
        levels: dict[str, Scores] = {"chance": even, "blind": {}, "best": even}
        if turned is not None:
            above = ranking.thresholds(turned, share)
            levels["chance"] = ranking.chance(turned, above, ks) | even
            levels["blind"] = ranking.blind(turned, above, ks)
            levels["best"] = ranking.best(turned, above, ks) | even
        answers = {
            (run, name): _answer(asked[run][name], searched[run][name], turned, above, ks)
            for run in asked
            for name in asked[run]
        }
        found.append(Direction(queries, gallery, turned, above, levels, answers))
    return found


def _answer(
    queries: np.ndarray,
    gallery: np.ndarray,
    layouts: np.ndarray | None,
    above: np.ndarray | None,
    ks: Sequence[int],
) -> Answer:
    similarity = ranking.cosines(queries, gallery)
    ranked = ranking.ranking(similarity)
    scores: Scores = {}
    if layouts is not None and above is not None:
        scores = ranking.score_ranking(ranked, layouts, above, ks)
    return Answer(similarity, ranked, scores | ranking.mixing(queries, gallery, ks))


def rows(directions: Sequence[Direction]) -> Iterator[dict[str, Any]]:
    """One number a row, all in percent; None where it does not apply.

    Rows with `over` are differences to an earlier run, over the same queries; `half_width` is half
    of their 95 % interval.
    """
    for direction in directions:
        levels = {name: ranking.means(one) for name, one in direction.levels.items()}
        runs = list(dict.fromkeys(run for run, _ in direction.answers))
        for (run, descriptor), answer in direction.answers.items():
            base = {
                "queries": direction.queries,
                "gallery": direction.gallery,
                "descriptor": descriptor,
                "run": run,
            }
            for key, value in ranking.means(answer.scores).items():
                yield {
                    **base,
                    "over": None,
                    **_named(key, answer.scores),
                    "value": _percent(value),
                    "half_width": None,
                    **{name: _percent(means.get(key)) for name, means in levels.items()},
                }
            for earlier in runs[: runs.index(run)] if run == runs[-1] else ():
                theirs = direction.answers[earlier, descriptor].scores
                for key, values in answer.scores.items():
                    value, half = ranking.difference(values, theirs[key])
                    yield {
                        **base,
                        "over": earlier,
                        **_named(key, answer.scores),
                        "value": _percent(value),
                        "half_width": _percent(half),
                        **dict.fromkeys(levels),
                    }


def _named(key: tuple[str, int | None], scores: Scores) -> dict[str, Any]:
    """`asked`: queries to which the score applies."""
    return {"metric": key[0], "k": key[1], "asked": int((~np.isnan(scores[key])).sum())}


def _percent(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(100 * value, 3)


def facts(
    config: Mapping[str, Any],
    trained: Mapping[str, Trained],
    sides: Mapping[str, Side],
    common: Sequence[int],
    directions: Sequence[Direction],
) -> dict[str, Any]:
    """What retrieval.json holds, and all that reports read."""
    classes = sides["source"].classes
    return {
        "schema": SCHEMA,
        **{
            domain: {
                "name": side.name,
                "split": side.split,
                "images": len(side.indices),
                "of": len(side.pictures),
                "labels": side.labels,
            }
            for domain, side in sides.items()
        },
        "classes": list(classes),
        "counted": [classes[place] for place in common],
        "k": config["k"],
        "relevant": config["relevant"],
        "judged": directions[0].layouts is not None,
        "runs": [
            {
                "label": label,
                "method": one.run["method"]["name"],
                "seed": one.run["seed"],
                "steps": one.step,
                "backbone": one.run["backbone"]["name"],
                "checkpoint": str(one.path),
                "config_hash": run_folder.config_hash(one.run),
            }
            for label, one in trained.items()
        ],
        "rows": list(rows(directions)),
        "git_commit": run_folder.git_commit(),
        "versions": run_folder.versions(),
    }
