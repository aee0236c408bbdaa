"""The 2-D or 3-D layout of embeddings: how it is asked for, and how it is computed.

A :class:`ProjectionSpec` is parsed once from the caller's words and from then on is both the instruction and the cache
key. Called by the client and the notebook widgets. Storing coordinates and drawing them is not done here.
"""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from chroma_nb.brief import inert_line, short
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.scalars import unwrapped
from chroma_nb.viz.pca import principal_components
from chroma_nb.viz.progress import Progress
from chroma_nb.viz.umap_layout import FEWEST_ROWS, umap_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

Method = Literal["umap", "pca"]
Space = Literal["l2", "cosine", "ip"]
Metric = Literal["cosine", "euclidean"]

METRIC_OF_SPACE: dict[Space, Metric] = {"cosine": "cosine", "l2": "euclidean", "ip": "cosine"}
"""UMAP's metric for a collection's space. Inner product is no metric (a vector need not be its own nearest neighbour);
the angle is what it has in common with one, so `ip` collections are laid out by cosine."""

OPTIONS: dict[Method, tuple[str, ...]] = {"umap": ("n_neighbors", "min_dist", "metric", "n_epochs", "seed"), "pca": ("seed",)}
"""What each method takes besides n_components and space."""

TABLE = 2
"""Axes of an array of vectors."""

LAYOUT_VERSION = 2
"""Part of the cache key; raised when the same spec would give other coordinates."""


@dataclass(frozen=True)
class ProjectionSpec:
    """One way to lay out embeddings, checked and complete. Made by :meth:`of`.

    Attributes
    ----------
    method : {"umap", "pca"}
    n_components : {2, 3}
        Coordinates per record.
    space : {"l2", "cosine", "ip"}
        The collection's distance.
    n_neighbors : int or None
        UMAP: neighbours that shape a record's surroundings; small values show detail, large ones the whole.
    min_dist : float or None
        UMAP: how close together records may lie, 0..1.
    metric : {"cosine", "euclidean"} or None
        UMAP: distance between embeddings.
    n_epochs : int or None
        UMAP: rounds of optimisation; None leaves it to the number of records.
    seed : int or None
        UMAP: the same number gives the same map; None uses all cores and gives another map every time.
    """

    method: Method
    n_components: int
    space: Space
    n_neighbors: int | None = None
    min_dist: float | None = None
    metric: Metric | None = None
    n_epochs: int | None = None
    seed: int | None = None

    @classmethod
    def of(cls, method: str = "umap", n_components: int = 2, space: str = "l2", **options: object) -> ProjectionSpec:
        """Check the caller's words and fill in the defaults.

        Parameters
        ----------
        method : {"umap", "pca"}
        n_components : {2, 3}
        space : {"l2", "cosine", "ip"}
        **options
            For UMAP `n_neighbors` (15), `min_dist` (0.1), `metric` (from the space: cosine for "cosine" and "ip",
            euclidean for "l2"), `n_epochs` (from the number of records) and `seed` (42). PCA takes only `seed`, so that
            callers need not tell the methods apart, and has no use for it.

        Raises
        ------
        InvalidArgumentError
            A name is unknown or a value out of range.

        Examples
        --------
        >>> ProjectionSpec.of("umap", space="cosine", n_neighbors=30).metric
        'cosine'
        """
        known_method = cast("Method", _choice("method", method, OPTIONS))
        known_space = cast("Space", _choice("space", space, METRIC_OF_SPACE))
        components = _integer("n_components", n_components, 2, 3)
        for name in options:
            _known_option(name, known_method)
        seed = None if options.get("seed", 42) is None else _integer("seed", options.get("seed", 42), 0, 2**32 - 1)
        if known_method == "pca":
            return cls(known_method, components, known_space)
        metric = options.get("metric")
        epochs = options.get("n_epochs")
        return cls(
            known_method,
            components,
            known_space,
            n_neighbors=_integer("n_neighbors", options.get("n_neighbors", 15), 2),
            min_dist=_fraction("min_dist", options.get("min_dist", 0.1)),
            metric=METRIC_OF_SPACE[known_space] if metric is None else cast("Metric", _choice("metric", metric, ("cosine", "euclidean"))),
            n_epochs=None if epochs is None else _integer("n_epochs", epochs, 1),
            seed=seed,
        )

    @property
    def reproducible(self) -> bool:
        """Whether the same embeddings get the same coordinates every time."""
        return self.method == "pca" or self.seed is not None

    def to_json(self) -> str:
        """Return a stable text with everything that changes coordinates, for use as a cache key.

        Examples
        --------
        >>> ProjectionSpec.of("pca", space="cosine").to_json()
        '{"method":"pca","n_components":2,"space":"cosine","version":2}'
        """
        key: dict[str, object] = {"version": LAYOUT_VERSION, "method": self.method, "n_components": self.n_components, "space": self.space}
        if self.method == "umap":
            key |= {name: getattr(self, name) for name in OPTIONS["umap"]}
        return json.dumps(key, sort_keys=True, separators=(",", ":"))


def project(
    embeddings: npt.ArrayLike,
    spec: ProjectionSpec,
    progress: Callable[[float], None] | None = None,
    moving: Callable[[npt.NDArray[np.float32]], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Lay out embeddings in 2 or 3 dimensions.

    In cosine space only the direction of a vector counts: PCA sees unit vectors. UMAP starts from the principal
    components, which keeps the large-scale arrangement meaningful. Fewer than 10 records have no neighbourhoods worth
    the name and are laid out by PCA whatever the method; so are records that are all the same, whose coordinates are 0.
    Axes beyond the rank or the dimension of the data are 0.

    Parameters
    ----------
    embeddings : array_like, shape (n, d), float32
        One row per record.
    spec : ProjectionSpec
        What to compute.
    progress : callable, optional
        Takes the fraction done, ascending from 0 to 1, in the calling thread. What it raises ends the computation.
    moving : callable, optional
        Takes the coordinates that UMAP has so far, about twenty times and from the calling thread, for a map that settles before
        the reader's eyes. What it raises ends the computation too.

    Returns
    -------
    ndarray, shape (n, spec.n_components), float32
        In the order of `embeddings`, finite, without unit.

    Raises
    ------
    InvalidArgumentError
        The embeddings are no table of finite numbers.
    MissingExtraError
        UMAP is asked for and not installed.

    Examples
    --------
    >>> project([[0.0, 0.0], [4.0, 0.0]], ProjectionSpec.of("pca")).tolist()
    [[-2.0, 0.0], [2.0, 0.0]]
    """
    rows = finite_table(embeddings)
    report = Progress(progress)
    report(0.0)
    if spec.method == "pca" or len(rows) < FEWEST_ROWS or bool((rows == rows[0]).all()):
        layout = principal_components(rows, spec.n_components, unit=spec.space == "cosine", report=report)
    else:
        layout = umap_layout(rows, spec, report, moving)
    report(1.0)
    return layout


def finite_table(embeddings: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return embeddings as float32, shape (n, d), or say what is wrong with them."""
    try:
        with np.errstate(over="ignore"):
            rows = np.asarray(embeddings, dtype=np.float32)
    except (TypeError, ValueError) as error:
        message = "embeddings: expected a table of numbers, one row of the same length per record."
        raise InvalidTypeError(message) from error
    if rows.ndim == 1 and len(rows) == 0:
        rows = rows.reshape(0, 0)
    if rows.ndim != TABLE:
        message = f"embeddings: got shape {rows.shape}, expected (records, dimension)."
        raise InvalidArgumentError(message)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        row = int(finite.argmin())
        message = f"embeddings: row {row} has a value that is not finite in float32. Leave such records out of the map."
        raise InvalidArgumentError(message)
    return rows


def _choice(name: str, value: object, known: Iterable[str]) -> str:
    words = list(known)
    if isinstance(value, str) and str.__str__(value) in words:
        return str.__str__(value)
    hint = did_you_mean(value, words) if isinstance(value, str) else ""
    message = f"{name}: got {short(value)}, expected one of {', '.join(map(repr, words))}.{hint}"
    raise InvalidArgumentError(message)


def _known_option(name: str, method: Method) -> None:
    if name in OPTIONS[method]:
        return
    owners = [owner for owner, names in OPTIONS.items() if name in names]
    if owners:
        message = f"{name}: an option of {owners[0]!r}, not of {method!r}. Leave it out, or use method={owners[0]!r}."
        raise InvalidArgumentError(message)
    known = OPTIONS[method]
    message = f"{inert_line(name)}: unknown option of {method!r}, which takes {', '.join(known)}.{did_you_mean(name, known)}"
    raise InvalidArgumentError(message)


def _integer(name: str, value: object, low: int, high: int | None = None) -> int:
    expected = f"an integer from {low} to {high}" if high is not None else f"an integer of at least {low}"
    try:
        number = operator.index(cast("int", unwrapped(value)))
    except TypeError:
        message = f"{name}: got {short(value)}, expected {expected}."
        raise InvalidTypeError(message) from None
    if isinstance(value, bool | np.bool_) or number < low or (high is not None and number > high):
        message = f"{name}: got {short(value)}, expected {expected}."
        raise InvalidArgumentError(message)
    return number


def _fraction(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value <= 1:
        message = f"{name}: got {short(value)}, expected a number from 0 to 1."
        raise InvalidArgumentError(message)
    return float(value)
