"""What was found for single queries: as rows of a table, and as strips of pictures."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from torch import nn

from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.images import pictures
from uda_seg.retrieval import strips
from uda_seg.retrieval.answers import Direction
from uda_seg.retrieval.side import Side


def neighbors(
    directions: Sequence[Direction], sides: Mapping[str, Side], count: int
) -> list[dict[str, Any]]:
    """The `count` nearest of every query, one a row."""
    found = []
    for direction in directions:
        queries, gallery = sides[direction.queries], sides[direction.gallery]
        for (label, descriptor), one in direction.answers.items():
            for query, ranked in enumerate(one.ranked[:, :count]):
                for rank, place in enumerate(ranked, 1):
                    alike, relevant = direction.judgement(query, place)
                    found.append(
                        {
                            "run": label,
                            "descriptor": descriptor,
                            "queries": direction.queries,
                            "query": queries.name_of(query),
                            "rank": rank,
                            "neighbor": gallery.name_of(place),
                            "cosine": round(float(one.similarity[query, place]), 5),
                            "layout": None if alike is None else round(100 * alike, 2),
                            "relevant": relevant,
                        }
                    )
    return found


def draw(
    directions: Sequence[Direction],
    sides: Mapping[str, Side],
    networks: Mapping[str, nn.Module],
    queries: int,
    count: int,
    folder: Path,
) -> list[Path]:
    """QUERIES_NNN_DESCRIPTOR.png: all runs' neighbors of a query below one another.

    Args:
        directions: with the answers.
        sides: by domain.
        networks: by run.
        queries: drawn of each direction, evenly spread.
        count: neighbors of each.
        folder: what an earlier call drew there goes.
    """
    for old in folder.glob("*.png"):
        old.unlink()
    drawn = []
    for direction in directions:
        asked, searched = sides[direction.queries], sides[direction.gallery]
        descriptors = dict.fromkeys(name for _, name in direction.answers)
        for query, descriptor in product(evenly_spaced(len(asked.indices), queries), descriptors):
            lines = [
                (label, row(direction, sides, label, descriptor, query, count, network))
                for label, network in networks.items()
            ]
            name = asked.name_of(query)
            title = f"{name}, looked up in {searched.name} {searched.split} by {descriptor}"
            path = folder / f"{direction.queries}_{query:03}_{descriptor}.png"
            pictures.save(path, strips.strip(title, lines, asked.classes))
            drawn.append(path)
    return drawn


def row(
    direction: Direction,
    sides: Mapping[str, Side],
    label: str,
    descriptor: str,
    query: int,
    count: int,
    network: nn.Module,
) -> list[strips.Shown]:
    """The query and its nearest neighbors by one run and descriptor."""
    one = direction.answers[label, descriptor]
    shown = [strips.Shown(*sides[direction.queries].shown(query, network), "query")]
    for place in one.ranked[query, :count]:
        words, frame = f"cosine {one.similarity[query, place]:.3f}", strips.PLAIN
        alike, relevant = direction.judgement(query, place)
        if alike is not None:
            words += f", layout {100 * alike:.0f} %"
            frame = strips.RELEVANT if relevant else strips.OTHER
        image, classes = sides[direction.gallery].shown(place, network)
        shown.append(strips.Shown(image, classes, words, frame))
    return shown
