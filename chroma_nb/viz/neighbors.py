"""Nearest embeddings by comparing all pairs, in blocks: for laying records out and for placing them.

Called by the layouts of this package. Queries of users are answered by the engine, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chroma_nb.viz.pca import BLOCK_VALUES, unit_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

BLOCK_DISTANCES = 16_000_000
"""Distances held at a time (64 MB)."""

GROUPS_PER_NEIGHBOR = 4
"""Parts of a row whose minima bound the k-th smallest value, for each of the k."""

MOST_GROUPS = 512
"""Otherwise, as short rows of numbers are slow to compare."""

MOST_CANDIDATES = 8
"""Times k: with more values below the bound than this, nearly all are equal, and plain selection is used."""


FARTHEST = 1e15
"""Times the extent of the embeddings: queries from beyond would overflow when squared, and their order is the same from here."""


def smallest(block: Floats, k: int) -> tuple[Rows, Floats]:
    """Return the columns and the values of the `k` smallest numbers in every row, ascending.

    The minima of many parts of a row bound its k-th smallest value; few others are below that bound, and only these are sorted.
    That is several times as fast as a selection over whole rows.

    Parameters
    ----------
    block : ndarray, shape (m, n), float32
        Without NaN.
    k : int
        At most n.

    Returns
    -------
    columns : ndarray, shape (m, k), intp
    values : ndarray, shape (m, k), float32

    Examples
    --------
    >>> smallest(np.float32([[5, 1, 4, 2]]), 2)[0].tolist()
    [[1, 3]]
    """
    m, n = block.shape
    groups = max(GROUPS_PER_NEIGHBOR * k, min(n // 8, MOST_GROUPS))
    if n >= 2 * groups:
        minima = block[:, : n // groups * groups].reshape(m, -1, groups).min(axis=1)
        bound = np.partition(minima, k - 1, axis=1)[:, k - 1 : k]
        found = np.flatnonzero(block <= bound)
        if len(found) <= MOST_CANDIDATES * k * m:
            rows = found // n
            values = block.ravel()[found]
            order = np.lexsort((values, rows))
            taken = order[np.searchsorted(rows, np.arange(m))[:, None] + np.arange(k)]
            return found[taken] % n, values[taken]
    columns = np.argpartition(block, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(block, columns, axis=1)
    order = np.lexsort((columns, values), axis=1)
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)


@dataclass(frozen=True, eq=False)
class Scaling:
    """What has to be done to vectors before their products in float32 can tell distances. Made by :meth:`of`, called with vectors.

    Attributes
    ----------
    angular : bool
        Whether vectors get length 1, and zeros stay zeros. Otherwise they are moved and scaled.
    middle : ndarray, shape (d,), float64
        What becomes the origin: the products of far-away vectors cancel.
    exponent : int
        Of the power of two that becomes 1: the squares of large vectors overflow.
    """

    angular: bool
    middle: Doubles
    exponent: int

    @classmethod
    def of(cls, embeddings: Floats, *, angular: bool) -> Scaling:
        """Find what suits these embeddings, shape (n, d)."""
        if angular or embeddings.size == 0:
            return cls(angular, np.zeros(embeddings.shape[1]), 0)
        middle = embeddings.mean(axis=0, dtype=np.float64)
        peak = float(np.maximum(embeddings.max(axis=0) - middle, middle - embeddings.min(axis=0)).max())
        return cls(angular, middle, int(np.frexp(peak)[1]) if peak > 0 else 0)

    def __call__(self, rows: Floats) -> Floats:
        """Return vectors, shape (m, d), float32, ready for products."""
        ready = np.empty(rows.shape, np.float32)
        step = max(1, BLOCK_VALUES // max(rows.shape[1], 1))
        for first in range(0, len(rows), step):
            block = rows[first : first + step]
            moved = unit_rows(block) if self.angular else np.ldexp(block - self.middle, -self.exponent).clip(-FARTHEST, FARTHEST)
            ready[first : first + step] = moved
        return ready


class Neighbors:
    """Embeddings among which neighbours are looked for, exactly. Immutable once made.

    Parameters
    ----------
    embeddings : ndarray, shape (n, d), float32
        Finite.
    angular : bool
        Cosine distance (1 between a vector of zeros and any other), else squared Euclidean distance.

    Examples
    --------
    >>> known = Neighbors(np.float32([[0, 0], [3, 0], [9, 9]]), angular=False)
    >>> rows, distances = known.nearest(np.float32([[2, 0]]), 2)
    >>> rows.tolist(), distances.tolist()
    ([[1, 0]], [[1.0, 4.0]])
    """

    def __init__(self, embeddings: Floats, *, angular: bool) -> None:
        self._scaling = Scaling.of(embeddings, angular=angular)
        self._points = self._scaling(embeddings)
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        self._empty = np.asarray(~self._points.any(axis=1))

    def __len__(self) -> int:
        """Return the number of embeddings."""
        return len(self._points)

    def nearest(self, queries: Floats, k: int) -> tuple[Rows, Doubles]:
        """Return the rows and the distances of the `k` nearest embeddings of every query.

        Parameters
        ----------
        queries : ndarray, shape (m, d), float32
        k : int
            Cut to the number of embeddings.

        Returns
        -------
        rows : ndarray, shape (m, k), intp
            Nearest first.
        distances : ndarray, shape (m, k), float64
            Of equal vectors exactly 0.
        """
        k = min(k, len(self))
        rows, distances = np.zeros((len(queries), k), np.intp), np.zeros((len(queries), k))
        if k == 0:
            return rows, distances
        step = max(1, BLOCK_DISTANCES // len(self))
        for first in range(0, len(queries), step):
            part = slice(first, first + step)
            asked = self._scaling(queries[part])
            gaps = (-2 * asked) @ self._points.T
            gaps += self._squares
            rows[part], distances[part] = self._measured(asked, smallest(gaps, k)[0])
        return rows, distances

    def _measured(self, queries: Floats, near: Rows) -> tuple[Rows, Doubles]:
        """Return the distances anew, from differences: those from products are not exactly 0 for equal vectors."""
        distances = np.empty(near.shape)
        for column in range(near.shape[1]):
            difference = queries - self._points[near[:, column]]
            distances[:, column] = np.einsum("ij,ij->i", difference, difference)
        if self._scaling.angular:
            distances /= 2
            distances[self._empty[near] != np.asarray(~queries.any(axis=1))[:, None]] = 1
        else:
            distances = np.ldexp(distances, 2 * self._scaling.exponent)
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(near, order, axis=1), np.take_along_axis(distances, order, axis=1)
