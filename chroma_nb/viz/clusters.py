"""Groups of points that lie together on a map, and where on the map their names belong.

Called by the explorer. The words for a group are found in :mod:`chroma_nb.viz.naming` and offered here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.optional import need
from chroma_nb.viz.naming import cluster_labels
from chroma_nb.viz.sampling import stratified_sample

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Codes = npt.NDArray[np.int32]

__all__ = ["anchors", "cluster_labels", "clusters"]

NOISE = -1

FITTED_UP_TO = 12_000
"""Points that are clustered themselves. The time grows with the square (half a second here), and scikit-learn holds the
interpreter's lock for all of it: a kernel would seem to hang."""

FEWEST_POINTS = 10
SMOOTHING = 5
"""Neighbours by which the density at a point is judged."""

SIZE_PER_ROOT = 0.8
SMALLEST_CLUSTER = 5


def clusters(positions: npt.ArrayLike, *, min_size: int | None = None, seed: int = 0) -> Codes:
    """Find groups by density, with HDBSCAN (Campello, Moulavi and Sander 2013).

    On a map of more than 12,000 points a sample is clustered, drawn so that sparse regions stay; every other point goes with the
    nearest one of the sample, also when that is in no group.

    Parameters
    ----------
    positions : array_like, shape (n, 2 or 3)
        Points without a finite place are in no group.
    min_size : int, optional
        Fewest points, of those that are clustered, that count as a group; at least 2. By default about the square root of their number.
    seed : int
        Fixes the sample.

    Returns
    -------
    ndarray, shape (n,), int32
        The number of each point's group: 0 for the largest, and so on; -1 for points between groups.

    Raises
    ------
    InvalidArgumentError
        `positions` is no table, or `min_size` too small.
    MissingExtraError
        scikit-learn is not installed.

    Examples
    --------
    >>> lumps = np.repeat([[0.0, 0.0], [50.0, 0.0]], [40, 60], axis=0) + np.random.default_rng(0).normal(size=(100, 2))
    >>> codes = clusters(lumps)
    >>> codes[20].item(), codes[70].item()
    (1, 0)
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.size == 0:
        return np.empty(0, np.int32)
    if points.ndim != 2:
        raise InvalidArgumentError(f"positions: got shape {points.shape}, expected (records, 2) or (records, 3).")
    if min_size is not None and min_size < 2:
        raise InvalidArgumentError(f"min_size: got {min_size}, expected at least 2.")
    codes = np.full(len(points), NOISE, np.int32)
    placed = np.flatnonzero(np.isfinite(points).all(axis=1))
    fitted = placed[stratified_sample(points[placed], FITTED_UP_TO, seed=seed)]
    if len(fitted) < FEWEST_POINTS:
        return codes
    smallest = min_size or max(SMALLEST_CLUSTER, int(SIZE_PER_ROOT * len(fitted) ** 0.5))
    method = need("sklearn.cluster", "clusters").HDBSCAN(min_cluster_size=smallest, min_samples=SMOOTHING, copy=True)
    codes[fitted] = method.fit_predict(points[fitted])
    if len(fitted) < len(placed):
        others = np.setdiff1d(placed, fitted, assume_unique=True)
        tree = need("scipy.spatial", "clusters").KDTree(points[fitted])
        codes[others] = codes[fitted][tree.query(points[others])[1]]
    return _by_size(codes)


def anchors(positions: npt.ArrayLike, codes: npt.ArrayLike) -> Floats:
    """Return a place for the name of each group: its point nearest to the medians of its coordinates.

    Parameters
    ----------
    positions : array_like, shape (n, 2 or 3)
    codes : array_like of int, shape (n,)
        As `clusters` returns them.

    Returns
    -------
    ndarray, shape (groups, 2 or 3), float32
        NaN for a number that no point has.

    Examples
    --------
    >>> anchors([[0, 0], [1, 1], [9, 2], [5, 5]], [0, 0, 0, -1]).tolist()
    [[1.0, 1.0]]
    """
    points, numbers = np.asarray(positions, dtype=np.float64), np.asarray(codes)  # the squares of float32's largest are beyond it
    count = int(numbers.max(initial=NOISE)) + 1
    places = np.full((count, points.shape[1] if points.ndim == 2 else 2), np.nan, np.float32)
    order = np.argsort(numbers, kind="stable")
    limits = np.searchsorted(numbers[order], np.arange(count + 1))
    for code in range(count):
        members = points[order[limits[code] : limits[code + 1]]]
        if len(members):
            places[code] = members[np.linalg.norm(members - np.median(members, axis=0), axis=1).argmin()]
    return places


def _by_size(codes: Codes) -> Codes:
    """Give the largest group the smallest number; of equally large ones, the one that begins first."""
    sizes = np.bincount(codes[codes >= 0]) if (codes >= 0).any() else np.empty(0, np.intp)
    firsts = np.full(len(sizes), len(codes))
    np.minimum.at(firsts, codes[codes >= 0], np.flatnonzero(codes >= 0))
    order = np.lexsort((firsts, -sizes))
    number = np.append(np.argsort(order), NOISE).astype(np.int32)
    return number[codes]
