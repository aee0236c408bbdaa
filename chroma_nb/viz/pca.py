"""Principal components of embeddings, exactly, in bounded memory.

Called by :mod:`chroma_nb.viz.projection`, for maps by PCA and as the starting layout of UMAP. Choosing a method and
checking the caller's values is not done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

BLOCK_VALUES = 4_000_000
"""Numbers converted to float64 at a time (32 MB)."""


def principal_components(rows: Floats, n_components: int, *, unit: bool, report: Callable[[float], None]) -> Floats:
    """Return the coordinates of `rows` on their directions of largest variance.

    The eigenvectors are those of the covariance matrix (d, d) when there are more rows than dimensions, and otherwise
    come from the matrix of inner products (n, n), which has the same non-zero eigenvalues. All sums are float64.
    Every axis points to where its largest loading is positive, so that equal input gives equal coordinates.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
        Finite vectors.
    n_components : int
        Coordinates per row. Those beyond the rank of the data are 0.
    unit : bool
        Scale every row to length 1 first (rows of zeros stay).
    report : callable
        Takes the fraction done, 0..1.

    Returns
    -------
    ndarray, shape (n, n_components), float32
        In the order of `rows`, centred on 0, first axis widest.

    Examples
    --------
    >>> principal_components(np.array([[3.0, 0.0], [-3.0, 0.0]], "f4"), 1, unit=False, report=lambda done: None).tolist()
    [[3.0], [-3.0]]
    """
    n, d = rows.shape
    scores = np.zeros((n, n_components), np.float32)
    if n <= 1 or d == 0:
        return scores
    mean = np.zeros(d)
    for _, block in _blocks(rows, unit=unit):
        mean += block.sum(axis=0) / n
    report(0.1)
    if n > d:
        directions = _from_covariance(rows, mean, n_components, unit=unit, report=report)
    else:
        directions = _from_products(rows, mean, n_components, unit=unit)
    report(0.9)
    largest = np.finfo(np.float32).max
    for start, block in _blocks(rows, unit=unit):
        scores[start : start + len(block), : directions.shape[1]] = np.clip((block - mean) @ directions, -largest, largest)
    return scores


def unit_rows(rows: npt.NDArray[np.floating]) -> Doubles:
    """Return `rows` (n, d) scaled to length 1, as float64; rows of zeros stay zeros."""
    wide: Doubles = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    np.divide(wide, lengths, out=wide, where=lengths > 0)
    return wide


def _blocks(rows: Floats, *, unit: bool) -> Iterator[tuple[int, Doubles]]:
    step = max(1, BLOCK_VALUES // rows.shape[1])
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        yield start, unit_rows(block) if unit else block.astype(np.float64)


def _from_covariance(rows: Floats, mean: Doubles, n_components: int, *, unit: bool, report: Callable[[float], None]) -> Doubles:
    n, d = rows.shape
    scatter = np.zeros((d, d))
    for start, block in _blocks(rows, unit=unit):
        centred = block - mean
        scatter += centred.T @ centred
        report(0.1 + 0.7 * (start + len(block)) / n)
    values, vectors = np.linalg.eigh(scatter)
    return _oriented(values, vectors, n_components, n)


def _from_products(rows: Floats, mean: Doubles, n_components: int, *, unit: bool) -> Doubles:
    centred = np.concatenate([block - mean for _, block in _blocks(rows, unit=unit)])
    values, vectors = np.linalg.eigh(centred @ centred.T)
    directions = centred.T @ vectors[:, -n_components:]
    lengths = np.linalg.norm(directions, axis=0)
    np.divide(directions, lengths, out=directions, where=lengths > 0)
    return _oriented(values[-n_components:], directions, n_components, max(rows.shape))


def _oriented(values: Doubles, vectors: Doubles, n_components: int, size: int) -> Doubles:
    """Take the widest directions, widest first, without those that only rounding tells from nothing."""
    order = np.argsort(values, kind="stable")[::-1][:n_components]
    real = values[order] > size * np.finfo(np.float64).eps * max(values[order[0]], 0.0)
    chosen = vectors[:, order] * real
    peaks = chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])]
    return np.asarray(chosen * np.where(peaks < 0, -1.0, 1.0))
