"""Principal components of embeddings, exactly, in bounded memory.

Called by :mod:`chroma_nb.viz.projection`, for maps by PCA and as the starting layout of UMAP. Choosing a method and
checking the caller's values is not done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    if n <= 1 or d == 0:
        return np.zeros((n, n_components), np.float32)
    if n > d:
        return principal_components_of_chunks(lambda: [rows], n, n_components, unit=unit, report=report)
    blocks = list(_blocks([rows], unit=unit))
    mean = np.sum([block.sum(axis=0) for block in blocks], axis=0) / n
    directions = _from_products(np.concatenate([block - mean for block in blocks]), n_components)
    report(0.9)
    return np.concatenate([_scores(block - mean, directions, n_components) for block in blocks])


def principal_components_of_chunks(
    chunks: Callable[[], Iterable[Floats]], n: int, n_components: int, *, unit: bool, report: Callable[[float], None]
) -> Floats:
    """Return the same for more rows than memory holds, n rows in all, more than dimensions: read twice, never held.

    Parameters
    ----------
    chunks : callable
        Returns the rows from the first on, as arrays (m, d); called twice.
    n : int
        Rows in all.
    n_components, unit, report
        As for `principal_components`.

    Returns
    -------
    ndarray, shape (n, n_components), float32
    """
    mean, directions = _from_covariance(chunks, n, n_components, unit=unit, report=report)
    scores = np.zeros((n, n_components), np.float32)
    done = 0
    for block in _blocks(chunks(), unit=unit):
        scores[done : done + len(block)] = _scores(block - mean, directions, n_components)
        done += len(block)
        report(0.7 + 0.3 * done / n)
    return scores


def unit_rows(rows: npt.NDArray[np.floating]) -> Doubles:
    """Return `rows` (n, d) scaled to length 1, as float64; rows of zeros stay zeros."""
    wide: Doubles = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    np.divide(wide, lengths, out=wide, where=lengths > 0)
    return wide


def _blocks(chunks: Iterable[Floats], *, unit: bool) -> Iterator[Doubles]:
    for rows in chunks:
        step = max(1, BLOCK_VALUES // max(rows.shape[1], 1))
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            yield unit_rows(block) if unit else block.astype(np.float64)


def _from_covariance(
    chunks: Callable[[], Iterable[Floats]], n: int, n_components: int, *, unit: bool, report: Callable[[float], None]
) -> tuple[Doubles, Doubles]:
    """Return the mean and the directions, from sums about the first block's mean: about 0 they would cancel."""
    done = 0
    shift = total = scatter = np.zeros(0)
    for block in _blocks(chunks(), unit=unit):
        if done == 0:
            shift, total = block.mean(axis=0), np.zeros(block.shape[1])
            scatter = np.zeros((block.shape[1], block.shape[1]))
        moved = block - shift
        total += moved.sum(axis=0)
        scatter += moved.T @ moved
        done += len(block)
        report(0.7 * done / n)
    scatter -= np.outer(total, total) / n
    values, vectors = np.linalg.eigh(scatter)
    return shift + total / n, _oriented(values, vectors, n_components, n)


def _from_products(centred: Doubles, n_components: int) -> Doubles:
    values, vectors = np.linalg.eigh(centred @ centred.T)
    directions = centred.T @ vectors[:, -n_components:]
    lengths = np.linalg.norm(directions, axis=0)
    np.divide(directions, lengths, out=directions, where=lengths > 0)
    return _oriented(values[-n_components:], directions, n_components, max(centred.shape))


def _scores(centred: Doubles, directions: Doubles, n_components: int) -> Floats:
    """Return coordinates within what float32 can hold, 0 on the axes for which there is no direction."""
    scores = np.zeros((len(centred), n_components), np.float32)
    largest = np.finfo(np.float32).max
    scores[:, : directions.shape[1]] = np.clip(centred @ directions, -largest, largest)
    return scores


def _oriented(values: Doubles, vectors: Doubles, n_components: int, size: int) -> Doubles:
    """Take the widest directions, widest first, without those that only rounding tells from nothing."""
    order = np.argsort(values, kind="stable")[::-1][:n_components]
    real = values[order] > size * np.finfo(np.float64).eps * max(values[order[0]], 0.0)
    chosen = vectors[:, order] * real
    peaks = chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])]
    return np.asarray(chosen * np.where(peaks < 0, -1.0, 1.0))
