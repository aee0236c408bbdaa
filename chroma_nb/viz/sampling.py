"""Which points stand for all when a map has too many to send: fewer where it is crowded, all where it is empty.

Called by the explorer and by what fits on a part (clusters). Pixels are not counted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chroma_nb.errors import InvalidArgumentError

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Cells = npt.NDArray[np.uint16]

CELLS_PER_SIDE = 128
"""Of the grid whose cells are thinned out each by itself."""

TRIMMED = 0.001
"""Share of the points on each side that count to the outermost cells, so that one far outlier does not take the grid's detail."""


def stratified_sample(positions: npt.ArrayLike, n: int, codes: npt.ArrayLike | None = None, *, seed: int = 0) -> Rows:
    """Choose `n` points so that sparse regions and rare categories stay visible.

    A cell of the map, and before that a category, gets a share that grows with the square root of its number of points: ten times
    as crowded, a bit over three times as many. Which points of a cell are taken is chance, fixed by `seed`.

    Parameters
    ----------
    positions : array_like, shape (n_points, 2 or 3)
        Points without a finite place are never chosen.
    n : int
        How many to choose, at least 0; all if there are no more.
    codes : array_like of int, shape (n_points,), optional
        The category of each point; -1, for none, is a category too.
    seed : int
        The same seed and the same points give the same choice.

    Returns
    -------
    ndarray of intp
        Ascending; ``min(n, points with a place)`` of them.

    Examples
    --------
    >>> crowd_and_loner = np.float32([[0, 0]] * 1000 + [[9, 9]])
    >>> 1000 in stratified_sample(crowd_and_loner, 40)
    True
    """
    points = np.asarray(positions)
    if n < 0:
        raise InvalidArgumentError(f"n: got {n}, expected at least 0.")
    if len(points) == 0:
        return np.empty(0, np.intp)
    labels = np.zeros(len(points), np.intp) if codes is None else np.asarray(codes)
    if labels.shape != (len(points),):
        raise InvalidArgumentError(f"codes: got shape {labels.shape}, expected ({len(points)},), one category per point.")
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(rows) <= n:
        return rows
    cells = _cells(points[rows])
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    _, category, sizes = np.unique(labels[rows], return_inverse=True, return_counts=True)
    by_category = np.split(shuffled[np.argsort(category[shuffled], kind="stable")], np.cumsum(sizes)[:-1])
    chosen = [_thinned(cells[own], quota) for own, quota in zip(by_category, shares(sizes, n).tolist(), strict=True)]
    picked = np.concatenate([own[taken] for own, taken in zip(by_category, chosen, strict=True)])
    return np.sort(rows[picked])


def shares(sizes: Rows, n: int) -> Rows:
    """Divide `n` among groups in proportion to the square roots of their sizes, none getting more than it has.

    Parameters
    ----------
    sizes : ndarray of int, shape (groups,)
    n : int
        At most the sum of `sizes`.

    Returns
    -------
    ndarray of intp, shape (groups,)
        Their sum is `n`; where whole numbers do not come out, the largest fractions are rounded up.

    Examples
    --------
    >>> shares(np.array([1, 100, 10_000]), 111).tolist()
    [1, 10, 100]
    """
    roots = np.sqrt(sizes)
    # A group is used up from a factor of its own root on: below the k-th smallest root, k groups give all they have.
    order = np.argsort(sizes, kind="stable")
    used_up = np.cumsum(sizes[order]) - sizes[order]
    remaining = np.cumsum(roots[order][::-1])[::-1]
    factors = np.divide(n - used_up, remaining, out=np.zeros(len(sizes)), where=remaining > 0)
    fitting = np.flatnonzero(factors <= roots[order])
    factor = factors[fitting[0]] if len(fitting) else np.inf
    exact = np.minimum(sizes, factor * roots, where=roots > 0, out=np.zeros(len(sizes)))
    whole = np.floor(exact).astype(np.intp)
    largest = np.argsort(whole - exact, kind="stable")[: n - int(whole.sum())]
    whole[largest] += 1
    return whole


def _thinned(cells: Cells, quota: int) -> Rows:
    """Return which `quota` of the points with these cells to take: from each cell the first ones."""
    if quota >= len(cells):
        return np.arange(len(cells))
    order = np.argsort(cells, kind="stable")
    _, starts, sizes = np.unique(cells[order], return_index=True, return_counts=True)
    within = np.arange(len(cells)) - np.repeat(starts, sizes)
    return np.asarray(order[within < np.repeat(shares(sizes, quota), sizes)])


def _cells(points: npt.NDArray[np.floating]) -> Cells:
    low, high = np.quantile(points[:, :2].astype(np.float64), [TRIMMED, 1 - TRIMMED], axis=0)
    extent = np.where(high > low, high - low, 1.0)
    places = np.clip((points[:, :2] - low) / extent * CELLS_PER_SIDE, 0, CELLS_PER_SIDE - 1).astype(np.uint16)
    cells: Cells = places[:, 1] * np.uint16(CELLS_PER_SIDE) + places[:, 0]
    return cells
