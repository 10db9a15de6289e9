"""How well images of one domain are found from the other, in NumPy.

Queries and gallery are described by vectors of length 1 and ranked by cosine. What a good answer is
tells the similarity of their *labels'* layouts (see `layout`), which no network has seen here.
Every score is one number a query, a share in [0, 1]; NaN where it does not apply.

What the published slides did is unknown; this protocol is ours.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Scores = dict[tuple[str, int | None], np.ndarray]
"""By metric and k (None where there is no k): (Q,) a share each."""
TIES = 0
"""Seed of the order in which equally near images come."""


def cosines(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """(Q, D) and (G, D), rows of length 1, to (Q, G)."""
    return queries.astype(np.float64) @ gallery.astype(np.float64).T


def ranking(similarity: np.ndarray) -> np.ndarray:
    """(Q, G) to the gallery's indices (Q, G), nearest first; NaN comes last.

    Ties come in a random order, another one for each query, and the same at every call: by the
    order of files, images taken one after the other would be neighbors without any merit.
    """
    ties = np.random.default_rng(TIES).random(similarity.shape)
    return np.lexsort((ties, np.where(np.isnan(similarity), np.inf, -similarity)))


def thresholds(similarities: np.ndarray, share: float) -> np.ndarray:
    """(Q, G) to (Q,): the layout similarity above which a share of the gallery lies (less of it,
    where images tie); infinite for a query that nothing can be compared with.

    Of each query, not of all pairs: some streets are laid out like none in the other domain. With
    one threshold 66 of 100 drawn streets had no relevant image in CamVid, and did not count.
    """
    known = ~np.isnan(similarities).all(1)
    found = np.full(len(similarities), np.inf)
    found[known] = np.nanquantile(similarities[known], 1 - share, axis=1)
    return found


def score_ranking(
    ranked: np.ndarray, layouts: np.ndarray, above: np.ndarray, ks: Sequence[int]
) -> Scores:
    """
    Args:
        ranked: (Q, G) the gallery's indices, nearest first.
        layouts: (Q, G) layout similarities.
        above: (Q,) and what is relevant lies above it.
        ks: numbers of neighbors; more than G means G.
    """
    similar = np.take_along_axis(layouts, ranked, 1)
    hits = similar > above[:, None]
    found: Scores = {("precision", k): hits[:, :k].mean(1) for k in ks}
    found["average_precision", None] = average_precision(hits)
    return found | {("layout", k): _mean(similar[:, :k]) for k in ks}


def best(layouts: np.ndarray, above: np.ndarray, ks: Sequence[int]) -> Scores:
    """What no descriptor can exceed: neighbors chosen by their labels."""
    return score_ranking(ranking(layouts), layouts, above, ks)


def chance(layouts: np.ndarray, above: np.ndarray, ks: Sequence[int]) -> Scores:
    """What is expected of neighbors drawn at random."""
    hits = layouts > above[:, None]
    found: Scores = {("precision", k): hits.mean(1) for k in ks}
    found["average_precision", None] = chance_average_precision(hits.sum(1), hits.shape[1])
    return found | {("layout", k): _mean(layouts) for k in ks}


def blind(layouts: np.ndarray, above: np.ndarray, ks: Sequence[int]) -> Scores:
    """One order for all queries: first what is relevant to most of them.

    A network that does not look at the query can get as far as this, and where a domain's streets
    are all alike, or a gallery is one drive, that is far above chance.
    """
    often = (layouts > above[:, None]).sum(0)
    order = ranking(often[None].astype(float))
    return score_ranking(np.repeat(order, len(layouts), 0), layouts, above, ks)


def average_precision(hits: np.ndarray) -> np.ndarray:
    """Ranked hits (Q, G) to (Q,): the mean, over hits, of the precision down to each; NaN for a
    query without any.
    """
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    relevant = hits.sum(1)
    unknown = np.full(len(hits), np.nan)
    return np.divide((precision * hits).sum(1), relevant, out=unknown, where=relevant > 0)


def chance_average_precision(relevant: np.ndarray, size: int) -> np.ndarray:
    """Mean of the average precision over all orders of a gallery; NaN where nothing is relevant.

    Rank i holds a hit with probability r/n, and given that, each rank before it with probability
    (r-1)/(n-1). With H(n) = 1 + 1/2 + … + 1/n that sums to (H + (r-1)/(n-1) (n - H)) / n.

    Args:
        relevant: (Q,) r, how many of the gallery are relevant.
        size: n, of the gallery.
    """
    harmonic = (1 / np.arange(1, size + 1)).sum()
    others = (relevant - 1) / max(size - 1, 1)
    return np.where(relevant > 0, (harmonic + others * (size - harmonic)) / size, np.nan)


def mixing(own: np.ndarray, other: np.ndarray, ks: Sequence[int]) -> Scores:
    """How many of the k nearest, among all images of both domains but the query itself, are of the
    other domain. Where the domains look the same to the network it is chance, see `even_mixing`.

    Args:
        own: (Q, D) the queries.
        other: (G, D) the other domain.
        ks: numbers of neighbors.
    """
    everything = np.concatenate([own, other])
    similarity = cosines(own, everything)
    # -inf comes last in the ranking; the last column is then the query itself.
    np.fill_diagonal(similarity, -np.inf)
    ranked = ranking(similarity)[:, :-1]
    return {("other_domain", k): _mean((ranked[:, :k] >= len(own)).astype(float)) for k in ks}


def even_mixing(own: int, other: int, ks: Sequence[int]) -> Scores:
    """The other domain's share of a gallery without the query."""
    return {("other_domain", k): np.full(own, other / max(own + other - 1, 1)) for k in ks}


def difference(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Mean over queries of ours - theirs, and half of its 95 % interval (normal, over queries: it
    says nothing about what another training run would give); NaN for fewer than two queries.
    """
    paired = (ours - theirs)[~np.isnan(ours - theirs)]
    if len(paired) < 2:
        return (float(paired.mean()) if len(paired) else np.nan), np.nan
    return float(paired.mean()), float(1.96 * paired.std(ddof=1) / np.sqrt(len(paired)))


def means(
    scores: Mapping[tuple[str, int | None], np.ndarray],
) -> dict[tuple[str, int | None], float]:
    """Over the queries to which a score applies."""
    return {key: float(_mean(values[None])[0]) for key, values in scores.items()}


def _mean(values: np.ndarray) -> np.ndarray:
    """(Q, N) to (Q,): the mean of what is not NaN; NaN, without NumPy's warning, of nothing."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(1), known.sum(1)
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)
