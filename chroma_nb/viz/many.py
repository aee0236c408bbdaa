"""The layout of more embeddings than memory holds: read in chunks, fitted on a sample, the others placed among it.

Called by the client for collections beyond `MANY`. Up to there :mod:`chroma_nb.viz.projection` does it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz.neighbors import Neighbors
from chroma_nb.viz.pca import principal_components_of_chunks
from chroma_nb.viz.placing import NEIGHBORS, ROWS_AT_A_TIME, placed_among
from chroma_nb.viz.progress import Progress
from chroma_nb.viz.projection import finite_table, project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from chroma_nb.viz.projection import ProjectionSpec

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]

Chunks: TypeAlias = "Callable[[], Iterable[npt.ArrayLike]]"
"""Returns all embeddings from the first on, as tables (m, d) of any length; called once for every time they are read."""

MANY = 100_000
"""Records up to which UMAP looks at all of them: minutes, and all vectors in memory."""

FITTED_ON = 20_000
"""Records of a larger collection that UMAP is fitted on. The time to place the others grows with it, their neighbours come nearer
only with its root of the data's (intrinsic) dimension."""


@dataclass(frozen=True, eq=False)
class LargeLayout:
    """Coordinates of very many records.

    Attributes
    ----------
    coordinates : ndarray, shape (n, 2 or 3), float32
        In the order in which the embeddings came.
    fitted : ndarray of bool, shape (n,)
        Whether a record took part in the fit; the others are placed among those that did.
    """

    coordinates: Floats
    fitted: npt.NDArray[np.bool_]


def lay_out_many(
    chunks: Chunks,
    n: int,
    spec: ProjectionSpec,
    *,
    fit_on: int = FITTED_ON,
    progress: Callable[[float], None] | None = None,
    moving: Callable[[Rows, Floats], None] | None = None,
) -> LargeLayout:
    """Lay out `n` embeddings without ever holding more of them than a sample and a chunk.

    PCA is exact whatever their number. UMAP is fitted on `fit_on` records, drawn by the spec's seed, and every other record gets the
    weighted mean of its 15 nearest ones' coordinates, as a new record would (:func:`chroma_nb.viz.placing.placed`).

    Parameters
    ----------
    chunks : callable
        See `Chunks`. Called twice, and once where nothing has to be placed.
    n : int
        How many embeddings there are.
    spec : ProjectionSpec
    fit_on : int
        Records for UMAP to look at.
    progress : callable, optional
        Takes the fraction done, ascending from 0 to 1, in the calling thread. What it raises ends the computation.
    moving : callable, optional
        Takes the rows in the sample and the coordinates that UMAP has so far for them, about twenty times.

    Returns
    -------
    LargeLayout

    Raises
    ------
    InvalidArgumentError
        The chunks hold another number of rows, or numbers that are not finite.

    Examples
    --------
    >>> from chroma_nb.viz.projection import ProjectionSpec
    >>> chunk = np.random.default_rng(0).normal(size=(500, 8))
    >>> lay_out_many(lambda: [chunk, chunk], 1000, ProjectionSpec.of("pca")).coordinates.shape
    (1000, 2)
    """
    report = Progress(progress)
    report(0.0)
    if spec.method == "pca" and n > MANY:
        unit = spec.space == "cosine"
        scores = principal_components_of_chunks(lambda: _tables(chunks, n), n, spec.n_components, unit=unit, report=report)
        return LargeLayout(scores, np.ones(n, np.bool_))
    sampled = spec.method == "umap" and n > fit_on
    sample = np.sort(np.random.default_rng(spec.seed).choice(n, fit_on, replace=False)) if sampled else np.arange(n)
    told = None if moving is None else partial(moving, sample)
    embeddings = _picked(chunks, n, sample, report.part(0.0, 0.1))
    fit = project(embeddings, spec, report.part(0.1, 0.4 if sampled else 1.0), told)
    if not sampled:
        return LargeLayout(fit, np.ones(n, np.bool_))
    coordinates = _placed_around(chunks, n, embeddings, fit, angular=spec.metric == "cosine", report=report.part(0.4, 1.0))
    coordinates[sample] = fit
    fitted = np.zeros(n, np.bool_)
    fitted[sample] = True
    return LargeLayout(coordinates, fitted)


def _tables(chunks: Chunks, n: int) -> Iterator[Floats]:
    """Yield the chunks, checked: the embeddings may have changed since they were counted."""
    count = 0
    for chunk in chunks():
        table = finite_table(chunk)
        count += len(table)
        if count > n:
            break
        if len(table):
            yield table
    if count != n:
        raise InvalidArgumentError(f"chunks: got {count:,} embeddings or more, expected {n:,}. Count them again, and repeat the call.")


def _picked(chunks: Chunks, n: int, sample: Rows, report: Callable[[float], None]) -> Floats:
    """Return the rows of the sample."""
    parts, start = [np.empty((0, 0), np.float32)], 0
    for table in _tables(chunks, n):
        first, last = np.searchsorted(sample, [start, start + len(table)])
        parts.append(table[sample[first:last] - start])
        start += len(table)
        report(start / n)
    return np.concatenate(parts[1:] or parts)


def _placed_around(chunks: Chunks, n: int, embeddings: Floats, fit: Floats, *, angular: bool, report: Callable[[float], None]) -> Floats:
    """Return a place for every record, those of the sample among them."""
    known = Neighbors(embeddings, angular=angular)
    coordinates = np.empty((n, fit.shape[1]), np.float32)
    done = 0
    for table in _tables(chunks, n):
        for first in range(0, len(table), ROWS_AT_A_TIME):
            part = table[first : first + ROWS_AT_A_TIME]
            coordinates[done : done + len(part)] = placed_among(*known.nearest(part, NEIGHBORS), fit)
            done += len(part)
            report(done / n)
    return coordinates
