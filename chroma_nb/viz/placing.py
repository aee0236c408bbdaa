"""Places on a map that is already there: for new records, for a question, for a second map beside the first.

A place found here is an estimate; the caller marks it as such. Called by the client and the explorer, and for what a layout was not
fitted on by :mod:`chroma_nb.viz.many`. Fitting a layout is not done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError
from chroma_nb.viz.neighbors import Neighbors
from chroma_nb.viz.progress import Progress
from chroma_nb.viz.projection import finite_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from chroma_nb.viz.projection import Metric

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

NEIGHBORS = 15

SAME = 1e-12
"""Of the largest distance: what is nearer is at the same place, up to rounding."""

NEARLY_ZERO = 1e-6

ROWS_AT_A_TIME = 20_000


def place_of_query(coordinates: npt.ArrayLike, distances: npt.ArrayLike) -> Floats:
    """Return where on a map a question belongs: among its hits, the nearer the closer.

    Parameters
    ----------
    coordinates : array_like, shape (k, 2 or 3)
        Of the hits. Hits without a finite place count for nothing.
    distances : array_like, shape (k,)
        To the hits, smaller is nearer, in any space.

    Returns
    -------
    ndarray, shape (2,) or (3,), float32
        NaN if no hit has a place.

    Examples
    --------
    >>> place_of_query([[0, 0], [4, 0]], [1.0, 3.0]).tolist()
    [1.0, 0.0]
    """
    places = np.asarray(coordinates, dtype=np.float64)
    return placed_among(np.arange(len(places))[None, :], np.asarray(distances, dtype=np.float64)[None, :], places).reshape(-1)


def placed_among(neighbors: npt.ArrayLike, distances: npt.ArrayLike, coordinates: npt.ArrayLike) -> Floats:
    """Return for each record the mean of its neighbours' coordinates, weighted by 1 / distance (Shepard 1968).

    So a record equal to one on the map gets that one's place. Squared Euclidean and cosine distances are meant; where they are
    negative, as inner products can make them, the differences to the smallest one count, and that of the mean one is added to all.

    Parameters
    ----------
    neighbors : array_like of int, shape (m, k)
        Rows of `coordinates`; negative where there is none.
    distances : array_like, shape (m, k)
    coordinates : array_like, shape (n, 2 or 3)
        Rows that are not finite count for nothing.

    Returns
    -------
    ndarray, shape (m, 2 or 3), float32
        NaN for a record none of whose neighbours has a place.

    Raises
    ------
    InvalidArgumentError
        Shapes that do not fit each other.
    """
    rows, gaps, places = np.asarray(neighbors), np.asarray(distances, dtype=np.float64), np.asarray(coordinates, dtype=np.float64)
    if rows.ndim != 2 or gaps.shape != rows.shape or places.ndim != 2:
        message = f"got neighbors {rows.shape}, distances {gaps.shape}, coordinates {places.shape}"
        raise InvalidArgumentError(f"place: {message}, expected (records, k) twice and (records on the map, 2 or 3).")
    if len(places) == 0 or rows.shape[1] == 0:
        return np.full((len(rows), places.shape[1]), np.nan, np.float32)
    there = places[rows]
    usable = (rows >= 0) & np.isfinite(gaps) & np.isfinite(there).all(axis=2)
    weights = _weights(np.where(usable, gaps, np.nan))
    sums = weights.sum(axis=1, keepdims=True)
    means = np.full((len(rows), places.shape[1]), np.nan)
    np.divide(np.einsum("mk,mkc->mc", weights, np.where(usable[:, :, None], there, 0.0)), sums, out=means, where=sums > 0)
    return means.astype(np.float32)


def placed(
    known_embeddings: npt.ArrayLike,
    known_coordinates: npt.ArrayLike,
    new_embeddings: npt.ArrayLike,
    k: int = NEIGHBORS,
    *,
    metric: Metric = "euclidean",
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """Place new records on a map without moving the ones that are there.

    Parameters
    ----------
    known_embeddings : array_like, shape (n, d), float32
        Of the records on the map.
    known_coordinates : array_like, shape (n, 2 or 3)
    new_embeddings : array_like, shape (m, d), float32
    k : int
        Neighbours whose coordinates are averaged, at least 1; all if there are fewer.
    metric : {"euclidean", "cosine"}
        The one by which the map was laid out.
    progress : callable, optional
        Takes the fraction done, 0..1. What it raises ends the work.

    Returns
    -------
    ndarray, shape (m, 2 or 3), float32
        NaN if there is nothing on the map.

    Raises
    ------
    InvalidArgumentError
        Tables that do not fit each other, or with numbers that are not finite.

    Examples
    --------
    >>> placed([[0.0, 0.0], [9.0, 0.0]], [[1, 1], [5, 5]], [[9.0, 0.0]]).tolist()
    [[5.0, 5.0]]
    """
    known, new, places = finite_table(known_embeddings), finite_table(new_embeddings), np.asarray(known_coordinates)
    if len(places) != len(known):
        raise InvalidArgumentError(f"known_coordinates: got {len(places)} rows for {len(known)} embeddings, expected as many.")
    if len(known) and len(new) and known.shape[1] != new.shape[1]:
        raise InvalidDimensionError(f"new_embeddings: got dimension {new.shape[1]}, expected {known.shape[1]} as on the map.")
    if k < 1:
        raise InvalidArgumentError(f"k: got {k}, expected at least 1.")
    there = np.flatnonzero(np.isfinite(places).all(axis=1)) if len(places) else np.empty(0, np.intp)
    found = np.full((len(new), places.shape[1] if places.ndim == 2 else 2), np.nan, np.float32)
    report = Progress(progress)
    if len(there) == 0:
        return found
    index = Neighbors(known[there], angular=metric == "cosine")
    for first in range(0, len(new), ROWS_AT_A_TIME):
        part = slice(first, first + ROWS_AT_A_TIME)
        found[part] = placed_among(*index.nearest(new[part], k), places[there])
        report(min(first + ROWS_AT_A_TIME, len(new)) / len(new))
    return found


def aligned(new: npt.ArrayLike, old: npt.ArrayLike, shared: tuple[npt.ArrayLike, npt.ArrayLike] | None = None) -> Floats:
    """Turn, mirror, scale and move a map so that it lies as closely as possible on another one (orthogonal Procrustes).

    Distances on the map keep their proportions, so the map says the same; only the eye need not start afresh.

    Parameters
    ----------
    new : array_like, shape (n, c)
        The map to be moved.
    old : array_like, shape (m, c)
        The one it shall lie on.
    shared : two array_like of int, optional
        Rows of `new` and of `old` that are the same records; by default row i of both.

    Returns
    -------
    ndarray, shape (n, c), float32
        Where fewer than two shared records have a place on both maps, `new` as it was.

    Raises
    ------
    InvalidArgumentError
        Maps of different dimension, or `shared` rows that do not pair up.

    Notes
    -----
    Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31 (1966).

    Examples
    --------
    >>> aligned([[0, 0], [0, 2], [1, 0]], [[5, 5], [9, 5], [5, 7]]).tolist()
    [[5.0, 5.0], [9.0, 5.0], [5.0, 7.0]]
    """
    moving, fixed = np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)
    if moving.ndim != 2 or fixed.ndim != 2 or moving.shape[1] != fixed.shape[1]:
        raise InvalidArgumentError(f"align: got maps of shapes {moving.shape} and {fixed.shape}, expected the same number of axes.")
    if shared is None and len(moving) != len(fixed):
        raise InvalidArgumentError(f"align: got {len(moving)} and {len(fixed)} records, expected as many, or which ones are shared.")
    here, there = (moving, fixed) if shared is None else (moving[np.asarray(shared[0])], fixed[np.asarray(shared[1])])
    if here.shape != there.shape:
        raise InvalidArgumentError(f"shared: got {len(here)} and {len(there)} rows, expected pairs.")
    both = np.isfinite(here).all(axis=1) & np.isfinite(there).all(axis=1)
    here, there = here[both], there[both]
    if len(here) < 2 or not np.ptp(here, axis=0).any() or not np.ptp(there, axis=0).any():
        return moving.astype(np.float32)
    middle_here, middle_there = here.mean(axis=0), there.mean(axis=0)
    left, sizes, right = np.linalg.svd((here - middle_here).T @ (there - middle_there))
    scale = sizes.sum() / np.square(here - middle_here).sum()
    turned: Doubles = (moving - middle_here) @ (left @ right) * scale + middle_there
    return turned.astype(np.float32)


def _weights(distances: Doubles) -> Doubles:
    """Return 1 / distance, bounded; 0 for NaN. Only proportions within a row matter."""
    smallest = np.fmin.reduce(distances, axis=1, keepdims=True)
    beyond = distances - smallest
    counts = np.isfinite(beyond).sum(axis=1, keepdims=True)
    mean = np.nansum(beyond, axis=1, keepdims=True) / np.maximum(counts, 1)
    # Rounding can make the distance of equal vectors a trace less than 0.
    negative = smallest < -NEARLY_ZERO
    gaps = np.where(negative, beyond + mean, np.maximum(distances, 0.0))
    largest = np.fmax.reduce(gaps, axis=1, keepdims=True)
    shares = np.divide(gaps, largest, out=np.where(np.isnan(gaps), np.nan, 0.0), where=largest > 0)
    return np.nan_to_num(1 / np.maximum(shares, SAME))
