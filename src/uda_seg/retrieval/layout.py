"""Where in an image which classes are: class shares in the cells of a spatial pyramid.

After Lazebnik, Schmid and Ponce, Beyond Bags of Features, CVPR 2006; theirs halves the image at
every level, ours has the whole image and thirds (three rows by three columns: above and below the
horizon, and the middle and sides of a street, are what its layout is made of).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

LEVELS = (1, 3)
"""Rows, and columns, of each level. Ours."""
CELLS = sum(level**2 for level in LEVELS)
WEIGHTS = np.concatenate([np.full(n * n, 1 / n / n / len(LEVELS)) for n in LEVELS])
"""(CELLS,), summing to 1: every level weighs the same, and every cell of a level."""
TOGETHER = 512
"""Images that a query is compared with at once: 400 kB of 19 classes, which caches hold."""


def cells(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """CELLS parts of an image, level by level, row by row; those of a level neither overlap nor
    leave a pixel out.
    """
    for level in LEVELS:
        rows, columns = ([i * side // level for i in range(level + 1)] for side in (height, width))
        for top, bottom in pairwise(rows):
            for left, right in pairwise(columns):
                yield slice(top, bottom), slice(left, right)


def layout(label: np.ndarray, counted: Sequence[int], classes: int) -> np.ndarray:
    """A label (h, w) uint8 to (CELLS, classes): shares among the cell's pixels that count, 0 in
    a cell without any.

    Args:
        label: ids.
        counted: the ids that count.
        classes: how many there are.
    """
    found = np.zeros((CELLS, 256), np.int64)
    for place, (rows, columns) in enumerate(cells(*label.shape)):
        found[place] = np.bincount(label[rows, columns].ravel(), minlength=256)
    shares = np.zeros((CELLS, classes), np.float32)
    shares[:, counted] = found[:, counted]
    sums = shares.sum(1, keepdims=True)
    return np.divide(shares, sums, out=np.zeros_like(shares), where=sums > 0)


def layout_similarities(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Histogram intersections of layouts (Q, CELLS, C) and (G, CELLS, C): (Q, G) in [0, 1].

    In a cell it is the sum over classes of the smaller share. Cells in which either has no pixel
    that counts are left out, and the others' weights made to sum to 1; NaN when none is left.
    """
    found = np.empty((len(queries), len(gallery)))
    for start in range(0, len(gallery), TOGETHER):
        # Images side by side, so that the processor takes many at once.
        others = np.ascontiguousarray(gallery[start : start + TOGETHER].transpose(1, 2, 0))
        smaller = np.empty_like(others)
        for place, query in enumerate(queries):
            common = np.minimum(others, query[..., None], out=smaller).sum(1)
            found[place, start : start + TOGETHER] = (WEIGHTS[:, None] * common).sum(0)
    # A cell without pixels has no share in common with any.
    known, others_known = (each.any(2).astype(np.float64) for each in (queries, gallery))
    # Not a product of matrices, which rounds equal images in different ways.
    sums = np.einsum("qc,gc->qg", known * WEIGHTS, others_known)
    return np.divide(found, sums, out=np.full_like(found, np.nan), where=sums > 0)
