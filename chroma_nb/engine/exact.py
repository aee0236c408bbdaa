"""Exact nearest neighbours: every candidate is compared.

A matrix product in float32 finds who may be among the nearest, with a margin no smaller than its rounding error; those few
are then measured by the space's formula in float64 (`chroma_nb.spaces.distances`). So the answer is exact however large the
vectors or close their distances are. It serves small collections and selective filters, and is the oracle of the graph.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from chroma_nb import spaces, stopping
from chroma_nb.records import Vectors
from chroma_nb.spaces import Space

Positions = NDArray[np.int64]
_GATHER = 4096
_BLOCK = 4 << 20
_PRODUCTS = 1 << 24
"""Products of queries with vectors that are held at one time: however many queries a call has, its memory is bounded."""
_OVERFLOW = 1e30
_TINY = 1e-60
_DENORMAL = 1e-36
_EPSILON = float(np.finfo(np.float32).eps)
_BESIDE_ONE = float(np.finfo(np.float64).eps)
"""What ``1 - a.b`` in float64 cannot see: products that differ by less are ties."""


def squares_of(vectors: Vectors) -> NDArray[np.float64]:
    """Return the squared lengths (n,) of `vectors` (n, d), in float64: those of tiny vectors do not vanish, of huge ones not overflow."""
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return squares


def nearest(
    space: Space,
    queries: Vectors,
    matrix: Vectors,
    squares: NDArray[np.float64],
    candidates: Positions | None,
    order: NDArray[np.int64],
    k: int,
) -> list[tuple[Positions, NDArray[np.float64]]]:
    """Return, per query, the `k` nearest candidates and their distances, nearest first.

    Parameters
    ----------
    queries, matrix : (q, d), (n, d) float32
    squares : (n,) squared lengths of the rows of `matrix`
    candidates : positions that compete, ascending; None for all
    order : (n,) breaks ties between equal distances, lower first
    """
    if candidates is None:
        candidates = np.arange(len(matrix))
    if len(candidates) <= k or not _fits_float32(queries, squares[candidates]):
        return [ranked(space, query, matrix, candidates, order, k) for query in queries]
    found = []
    step = max(1, _PRODUCTS // len(matrix))
    for start in range(0, len(queries), step):
        stopping.check()
        found += _nearest(space, queries[start : start + step], matrix, squares, candidates, order, k)
    return found


def _nearest(
    space: Space,
    queries: Vectors,
    matrix: Vectors,
    squares: NDArray[np.float64],
    candidates: Positions,
    order: NDArray[np.int64],
    k: int,
) -> list[tuple[Positions, NDArray[np.float64]]]:
    lengths = squares[candidates]
    rough = _rough(space, queries, matrix, lengths, candidates)
    margins = _scales(space, queries, float(lengths.max())) * ((queries.shape[1] + 8) * _EPSILON) + (
        _BESIDE_ONE if space == "ip" else _DENORMAL
    )
    odd = np.flatnonzero((lengths > 0) & (lengths < _TINY))
    found = []
    for query, values, margin in zip(queries, rough, margins, strict=True):
        kth = np.float64(np.partition(values, k - 1)[k - 1])
        # Twice: the k-th value and the value compared with it may both be off.
        close = np.flatnonzero(values <= kth + 2 * margin)
        if len(odd):  # too short for float32 to tell their direction
            close = np.union1d(close, odd)
        found.append(ranked(space, query, matrix, candidates[close], order, k))
    return found


def ranked(
    space: Space, query: Vectors, matrix: Vectors, positions: Positions, order: NDArray[np.int64], k: int
) -> tuple[Positions, NDArray[np.float64]]:
    """Measure `positions` by the formula and return the `k` nearest, nearest first, with their distances."""
    parts = [spaces.distances(space, query, matrix[positions[i : i + _GATHER]]) for i in range(0, len(positions), _GATHER)]
    distances = np.concatenate(parts) if parts else np.empty(0)
    best = np.lexsort((order[positions], distances))[:k]
    return positions[best], distances[best]


def _fits_float32(queries: Vectors, lengths: NDArray[np.float64]) -> bool:
    """Tell whether products of these vectors stay far from the end of float32."""
    return float(lengths.max()) < _OVERFLOW and float(np.abs(queries).max()) < math.sqrt(_OVERFLOW)


def _scales(space: Space, queries: Vectors, longest: float) -> NDArray[np.float64]:
    """Return, per query, the size of the numbers whose rounding the margin must cover."""
    if space == "cosine":
        return np.ones(len(queries))
    own = squares_of(queries)
    return own + longest if space == "l2" else np.sqrt(own * longest)


def _rough(space: Space, queries: Vectors, matrix: Vectors, lengths: NDArray[np.float64], candidates: Positions) -> NDArray[np.float32]:
    """Return (q, n) values that order candidates as the distance does, within rounding."""
    if space == "cosine":
        own = np.sqrt(squares_of(queries))
        queries = (queries / np.where(own > 0, own, 1)[:, None]).astype(np.float32)
    products = _products(queries, matrix, candidates)
    if space == "l2":
        products *= -2
        products += lengths.astype(np.float32)
        return products
    if space == "cosine":
        products /= np.sqrt(np.where(lengths > 0, lengths, 1)).astype(np.float32)
    np.negative(products, out=products)
    return products


def _products(queries: Vectors, matrix: Vectors, candidates: Positions) -> NDArray[np.float32]:
    products: NDArray[np.float32]
    if 2 * len(candidates) > len(matrix):
        products = queries @ matrix.T
        return products if len(candidates) == len(matrix) else products[:, candidates]
    step = max(512, _BLOCK // (4 * matrix.shape[1]))
    products = np.empty((len(queries), len(candidates)), dtype=np.float32)
    for start in range(0, len(candidates), step):
        products[:, start : start + step] = queries @ matrix[candidates[start : start + step]].T
    return products
