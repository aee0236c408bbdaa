"""How far a map is to be trusted: whether records that are neighbours on it are neighbours in the original space.

Called by the explorer, which shows the figure and colours by it. Nothing here depends on how the map was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.optional import need
from chroma_nb.viz.neighbors import BLOCK_DISTANCES, Scaling
from chroma_nb.viz.progress import Progress
from chroma_nb.viz.projection import finite_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from chroma_nb.viz.projection import Metric

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]

MOST_ANCHORS = 2_000
FEWEST_ANCHORS = 200
MOST_PAIRS = 200_000_000
"""Anchors times records compared: a few seconds. Two hundred anchors still give a share to within three hundredths."""

ROUNDING = 4e-6
"""Squared distances of unit vectors that differ by less are taken for equal: float32 products are no finer."""


@dataclass(frozen=True, eq=False)
class Trust:
    """How well a map keeps neighbours, measured at some of its records.

    Attributes
    ----------
    recall : float
        Share of a record's `k` nearest on the map that are among its `k` nearest in the original space, 0..1, on average.
    trustworthiness : float
        1 less a penalty for each neighbour on the map that is none in the original space, larger the farther away it is there
        (Venna and Kaski 2001); 0..1, about 0.5 for a map that says nothing.
    k : int
        Neighbours looked at; 0 on a map of fewer than three records.
    records : int
        Records with a place on the map.
    rows : ndarray of intp, shape (m,)
        The records measured at, ascending.
    recalls, trusts : ndarray, shape (m,), float32
        The two figures at each of them.
    """

    recall: float
    trustworthiness: float
    k: int
    records: int
    rows: Rows
    recalls: Floats
    trusts: Floats

    @property
    def chance(self) -> float:
        """The recall to be expected of a map that says nothing."""
        return self.k / max(self.records - 1, 1)

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.k == 0:
            return "A map of fewer than three records has no neighbourhoods to judge."
        at = f"at {len(self.rows):,} of {self.records:,} records" if len(self.rows) < self.records else f"at all {self.records:,} records"
        return (
            f"Of a record's {self.k} nearest neighbours on this map, {self.recall:.0%} are among its {self.k} nearest in the original space"
            f" (by chance: {self.chance:.1%}); trustworthiness {self.trustworthiness:.2f} of 1, measured {at}."
        )


def trust(
    embeddings: npt.ArrayLike,
    positions: npt.ArrayLike,
    *,
    k: int = 15,
    metric: Metric = "euclidean",
    sample: int = MOST_ANCHORS,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Trust:
    """Compare neighbourhoods on a map with those in the original space, at a sample of the records, against all records.

    A neighbour that is exactly as far away as the k-th nearest counts as found, so that duplicates are no error of the map.

    Parameters
    ----------
    embeddings : array_like, shape (n, d), float32
    positions : array_like, shape (n, 2 or 3)
        Records without a finite place are left out on both sides.
    k : int
        Neighbours per record, at least 1; cut to less than half the records.
    metric : {"euclidean", "cosine"}
        Distance in the original space.
    sample : int
        Records to measure at, at least 1; fewer, down to 200, of more than 100,000 records, so that it stays a matter of seconds.
    seed : int
        Fixes which ones.
    progress : callable, optional
        Takes the fraction done, 0..1. What it raises ends the work.

    Returns
    -------
    Trust

    Raises
    ------
    InvalidArgumentError
        Tables that do not fit each other, or numbers out of range.
    MissingExtraError
        SciPy is not installed.

    Examples
    --------
    >>> vectors = np.random.default_rng(0).normal(size=(50, 2))
    >>> print(trust(vectors, vectors, k=5))
    Of a record's 5 nearest neighbours on this map, 100% are among its 5 nearest in the original space (by chance: 10.2%);
    trustworthiness 1.00 of 1, measured at all 50 records.
    """
    table, places = finite_table(embeddings), np.asarray(positions, dtype=np.float64)
    if len(places) != len(table):
        raise InvalidArgumentError(f"positions: got {len(places)} rows for {len(table)} embeddings, expected as many.")
    if k < 1 or sample < 1:
        raise InvalidArgumentError(f"trust: got k={k} and sample={sample}, expected at least 1 each.")
    placed = np.flatnonzero(np.isfinite(places).all(axis=1)) if len(places) else np.empty(0, np.intp)
    n = len(placed)
    k = min(k, max(n - 1, 0) // 2)
    if k == 0:
        nowhere, nothing = np.empty(0, np.intp), np.empty(0, np.float32)
        return Trust(1.0, 1.0, 0, n, nowhere, nothing, nothing)
    if n < len(table):
        table, places = table[placed], places[placed]
    most = min(sample, n, max(FEWEST_ANCHORS, MOST_PAIRS // n))
    anchors = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    ranks = _ranks(table, anchors, _nearest_on_map(places, anchors, k), angular=metric == "cosine", report=Progress(progress))
    recalls = (ranks <= k).mean(axis=1)
    trusts = 1 - np.maximum(ranks - k, 0).sum(axis=1) * (2 / (k * (2 * n - 3 * k - 1)))
    return Trust(float(recalls.mean()), float(trusts.mean()), k, n, placed[anchors], recalls.astype("f4"), trusts.astype("f4"))


def _nearest_on_map(places: npt.NDArray[np.float64], anchors: Rows, k: int) -> Rows:
    """Return the k nearest of each anchor, without itself."""
    near: Rows = need("scipy.spatial", "the trust figure").KDTree(places).query(places[anchors], k + 1)[1].astype(np.intp)
    itself = near == anchors[:, None]
    # Among more than k records on one spot, an anchor may miss itself; then any of them may be left out.
    itself[~itself.any(axis=1), -1] = True
    return np.reshape(near[~itself], (len(anchors), k))


def _ranks(table: Floats, anchors: Rows, near: Rows, *, angular: bool, report: Callable[[float], None]) -> npt.NDArray[np.intp]:
    """Return how far up each anchor's list of all others, by distance in the original space, its `near` are: 1 for the nearest.

    Distances are squared, and without what is the same for all pairs of an anchor.
    """
    prepared = Scaling.of(table, angular=angular)
    own = prepared(table[anchors])
    lengths = np.einsum("ij,ij->i", own, own)
    limits = np.empty(near.shape, np.float32)
    for column in range(near.shape[1]):
        others = prepared(table[near[:, column]])
        squares = np.einsum("ij,ij->i", others, others)
        limits[:, column] = squares - 2 * np.einsum("ij,ij->i", own, others) - ROUNDING * (squares + lengths)
    highest = limits.max(axis=1)
    closer = np.zeros(near.shape, np.intp)
    step = max(1, BLOCK_DISTANCES // len(anchors))
    for first in range(0, len(table), step):
        block = prepared(table[first : first + step])
        gaps = (-2 * own) @ block.T
        gaps += np.einsum("ij,ij->i", block, block)
        here = np.flatnonzero((anchors >= first) & (anchors < first + len(block)))
        gaps[here, anchors[here] - first] = np.inf
        for row, values in enumerate(gaps):
            candidates = np.sort(values[values < highest[row]])
            closer[row] += np.searchsorted(candidates, limits[row])
        report(min(first + step, len(table)) / len(table))
    return closer + 1
