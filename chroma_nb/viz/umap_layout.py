"""The UMAP layout: neighbours, starting positions, optimisation with progress.

Called by :func:`chroma_nb.viz.projection.project`, which has checked the values and keeps tiny and constant tables away.
umap-learn is imported on first use only: importing and compiling it takes seconds.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb.optional import need
from chroma_nb.viz.neighbors import BLOCK_DISTANCES, Scaling, smallest
from chroma_nb.viz.pca import principal_components
from chroma_nb.viz.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    import numpy.typing as npt

    from chroma_nb.viz.projection import ProjectionSpec

    Floats = npt.NDArray[np.float32]

FEWEST_ROWS = 10
"""Below this, neighbourhoods say nothing and PCA is used instead."""

EXACT_NEIGHBORS_UP_TO = 50_000
"""Up to here all pairs are compared: exact, and quicker than compiling the approximate search."""

MOVES = 20
"""How often coordinates are handed out on the way."""

_one_fit_at_a_time = threading.Lock()
"""Some of numba's threading layers end the process when two threads start parallel code at once."""


def umap_layout(rows: Floats, spec: ProjectionSpec, progress: Progress, moving: Callable[[Floats], None] | None = None) -> Floats:
    """Lay out `rows` by UMAP (McInnes, Healy and Melville 2018).

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
        At least `FEWEST_ROWS` finite vectors, not all the same.
    spec : ProjectionSpec
        Of method "umap". `n_neighbors` is cut to n - 1.
    progress : Progress
        Told about the neighbour search and every round of the optimisation.
    moving : callable, optional
        Takes the coordinates as they are so far, about twenty times during the optimisation.

    Returns
    -------
    ndarray, shape (n, spec.n_components), float32
        In the order of `rows`.
    """
    points = Scaling.of(rows, angular=spec.metric == "cosine")(rows)
    start = _starting_positions(points, spec)
    progress(0.03)
    options = _options(points, spec, progress.part(0.03, 0.25))
    with _one_fit_at_a_time, _umap_quietly() as umap, _own_thread_count(), _followed(umap, progress.part(0.3, 1.0), moving):
        layout = umap.UMAP(init=start, **options).fit_transform(points)
    return np.asarray(layout, dtype=np.float32)


def exact_neighbors(
    points: Floats, n_neighbors: int, *, angular: bool, report: Callable[[float], None]
) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return every row's nearest rows and their distances, itself first at 0.

    Parameters
    ----------
    points : ndarray, shape (n, d), float32
        Near the origin: the products of far-away points cancel. Of length 1 or 0 when `angular`.
    n_neighbors : int
        Neighbours per row, itself included; at most n.
    angular : bool
        Cosine distance, else Euclidean.
    report : callable
        Takes the fraction done, 0..1.

    Returns
    -------
    indices : ndarray, shape (n, n_neighbors), int32
    distances : ndarray, shape (n, n_neighbors), float32
        Ascending in every row.

    Examples
    --------
    >>> points = np.array([[0.0], [1.0], [5.0]], "f4")
    >>> exact_neighbors(points, 2, angular=False, report=lambda done: None)[0].tolist()
    [[0, 1], [1, 0], [2, 1]]
    """
    n = len(points)
    indices = np.empty((n, n_neighbors), np.int32)
    distances = np.empty((n, n_neighbors), np.float32)
    squares = np.einsum("ij,ij->i", points, points)
    step = max(1, BLOCK_DISTANCES // n)
    for first in range(0, n, step):
        own = np.arange(first, min(first + step, n))
        block = squares - 2 * (points[own] @ points.T)
        block[own - first, own] = -np.inf
        near, _ = smallest(block, n_neighbors)
        gaps = _distances(points, own, near, angular=angular)
        gaps[near == own[:, None]] = -1
        order = np.argsort(gaps, axis=1, kind="stable")
        indices[own] = np.take_along_axis(near, order, axis=1)
        distances[own] = np.maximum(np.take_along_axis(gaps, order, axis=1), 0)
        report(float(own[-1] + 1) / n)
    return indices, distances


def _distances(points: Floats, own: npt.NDArray[np.intp], near: npt.NDArray[np.intp], *, angular: bool) -> Floats:
    """Distances without the cancellation of the product form; half a unit vector's squared gap is its cosine distance."""
    gaps = np.empty(near.shape, np.float32)
    for column in range(near.shape[1]):
        difference = points[own] - points[near[:, column]]
        gaps[:, column] = np.einsum("ij,ij->i", difference, difference)
    if not angular:
        return np.sqrt(gaps)
    empty = np.asarray(~points.any(axis=1))
    return np.where(empty[own][:, None] != empty[near], np.float32(1), gaps / 2).astype(np.float32)


def _starting_positions(points: Floats, spec: ProjectionSpec) -> Floats:
    """Principal components of size 10 with a trace of noise: UMAP divides by the range of each axis, which must not be 0."""
    start = principal_components(points, spec.n_components, unit=False, report=Progress(None))
    start *= 10 / max(float(np.abs(start).max()), float(np.finfo(np.float32).tiny))
    noise = np.random.default_rng(spec.seed).normal(scale=1e-4, size=start.shape)
    return (start + noise).astype(np.float32)


def _options(points: Floats, spec: ProjectionSpec, report: Callable[[float], None]) -> dict[str, Any]:
    n_neighbors = min(spec.n_neighbors or 15, len(points) - 1)
    options: dict[str, Any] = {
        "n_components": spec.n_components,
        "n_neighbors": n_neighbors,
        "min_dist": spec.min_dist,
        "metric": spec.metric,
        "n_epochs": spec.n_epochs,
        "random_state": spec.seed,
        "n_jobs": -1 if spec.seed is None else 1,
        # Opposite vectors would otherwise count as disconnected, and records without neighbours get no coordinates.
        "disconnection_distance": float("inf"),
    }
    if len(points) <= EXACT_NEIGHBORS_UP_TO:
        options["precomputed_knn"] = exact_neighbors(points, n_neighbors, angular=spec.metric == "cosine", report=report)
    return options


@contextlib.contextmanager
def _umap_quietly() -> Iterator[ModuleType]:
    """Import umap without its notices about TensorFlow and about choices made here on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield need("umap", "a UMAP projection")


@contextlib.contextmanager
def _own_thread_count() -> Iterator[None]:
    """Undo UMAP's change to numba's thread count, which it leaves behind when it is interrupted."""
    numba = need("numba", "a UMAP projection")
    before = numba.get_num_threads()
    try:
        yield
    finally:
        numba.set_num_threads(before)


@contextlib.contextmanager
def _followed(umap: ModuleType, report: Callable[[float], None], moving: Callable[[Floats], None] | None) -> Iterator[None]:
    """Count this thread's epochs where UMAP has its progress bar, and see the coordinates that it is given to improve in place.

    These are the two places where UMAP can be followed from outside.
    """
    bar, improve = umap.layouts.tqdm, umap.umap_.optimize_layout_euclidean
    owner = threading.get_ident()
    coordinates: list[Floats] = []

    def seen(first: Floats, *others: object, **named: object) -> object:
        if threading.get_ident() == owner:
            coordinates.append(first)
        return improve(first, *others, **named)

    def counted(epochs: Iterable[int], **looks: object) -> Iterable[int]:
        if threading.get_ident() == owner:
            return told(list(epochs))
        others: Iterable[int] = bar(epochs, **looks)
        return others

    def told(epochs: list[int]) -> Iterator[int]:
        between = max(1, len(epochs) // MOVES)
        for done, epoch in enumerate(epochs):
            report(done / len(epochs))
            if moving is not None and coordinates and done % between == 0:
                moving(coordinates[-1].copy())
            yield epoch

    umap.layouts.tqdm, umap.umap_.optimize_layout_euclidean = counted, seen
    try:
        yield
    finally:
        umap.layouts.tqdm, umap.umap_.optimize_layout_euclidean = bar, improve
