"""The points of a map and what can be asked of them as a viewer sees them: which are inside a lasso, which is under the pointer.

Pure arrays, immutable; nothing of pages or messages. Called by :mod:`chroma_nb.widgets.map`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.viz.geometry import PointIndex, projected
from chroma_nb.viz.sampling import stratified_sample

MOST_SENT: Final = 250_000
"""Points up to which a page gets all of them; of more it gets a sample, and pictures made from all."""

SAMPLE: Final = 50_000
"""Points of the sample, and most of a selection that are sent beside it."""

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class View:
    """How a page sees the points.

    Attributes
    ----------
    matrix : ndarray, shape (4, 4), float64, or None
        For a 3-D map: data coordinates to the page's, where what is visible lies between -1 and 1 on both axes, y upwards. None for a
        2-D map, whose pages speak data coordinates.
    """

    matrix: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points in two or three dimensions.

    Attributes
    ----------
    positions : ndarray, shape (n, 2) or (n, 3), float32
        Rows that are not finite exist and are nowhere.
    approximate : ndarray, shape (n,), bool, or None
        Which were placed without being laid out.
    """

    positions: Floats = field(default_factory=lambda: np.empty((0, 2), np.float32))
    approximate: Mask | None = None
    _last: tuple[bytes, Floats] = field(default=(b"", np.empty((0, 2), np.float32)), init=False, repr=False)
    """The last view of a 3-D map and what it shows: one looks, points and draws from the same direction for a while."""

    @classmethod
    def of(cls, positions: object, approximate: object = None) -> Cloud:
        """Return a cloud of a copy of what a caller hands in.

        Raises
        ------
        InvalidArgumentError
            The positions are no table with two or three columns of numbers.
        """
        try:
            table = np.array(positions, dtype=np.float32, order="C")
        except (TypeError, ValueError) as error:
            raise InvalidTypeError("positions: expected a table of numbers, one row per point.") from error
        if table.ndim != 2 or table.shape[1] not in (2, 3):
            raise InvalidArgumentError(f"positions: got shape {table.shape}, expected (points, 2) or (points, 3).")
        return cls(table, None if approximate is None else mask_of("approximate", approximate, len(table)))

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.positions)

    @property
    def dimensions(self) -> int:
        """Return 2 or 3."""
        return int(self.positions.shape[1])

    @cached_property
    def placed(self) -> Rows | None:
        """The points that are somewhere; None if all are."""
        finite = np.isfinite(self.positions).all(axis=1)
        return None if finite.all() else np.flatnonzero(finite)

    @property
    def sampled(self) -> bool:
        """Whether there are too many points for a page."""
        return len(self) > MOST_SENT

    @cached_property
    def frame(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The centre and the half extents of the box around all points, float64, three numbers each."""
        there = self.positions if self.placed is None else self.positions[self.placed]
        low, high = np.zeros(3), np.zeros(3)
        if len(there):
            low[: self.dimensions], high[: self.dimensions] = there.min(axis=0), there.max(axis=0)
        return (low + high) / 2, (high - low) / 2

    @cached_property
    def sample(self) -> Rows:
        """The points that stand for all where a page cannot get all, ascending."""
        return stratified_sample(self.positions, SAMPLE)

    @cached_property
    def _index(self) -> PointIndex:
        return PointIndex(self.positions[:, :2])

    def prepare(self) -> None:
        """Make now what the first lasso would wait for: of a flat map, whose points do not depend on the view."""
        if self.dimensions == 2:
            _ = self._index

    def within(self, polygon: NDArray[np.float64], view: View) -> Rows:
        """Return the points that `view` shows inside a polygon (k, 2), exactly and of all points, ascending."""
        if view.matrix is None:
            return self._index.within_polygon(polygon)
        if len(polygon) == 0:
            return np.empty(0, np.intp)
        # An index of a view serves once: it is made of those points only that may be inside.
        seen = self.seen(view)
        around = np.flatnonzero(((seen >= polygon.min(axis=0)) & (seen <= polygon.max(axis=0))).all(axis=1))
        return np.asarray(around[PointIndex(seen[around]).within_polygon(polygon)])

    def nearest(self, place: tuple[float, float], view: View, radius: tuple[float, float]) -> int | None:
        """Return the point that `view` shows nearest to a place, within an ellipse of these half axes, or None.

        The half axes are those of a circle of pixels; distance is measured in pixels.
        """
        across, up = (max(half, np.finfo(np.float64).tiny) for half in radius)
        if view.matrix is None and across == up:
            return self._index.nearest(*place, across)
        seen = self.seen(view)
        gaps = np.hypot((seen[:, 0] - place[0]) / across, (seen[:, 1] - place[1]) / up)
        gaps[~np.isfinite(gaps)] = np.inf
        best = int(gaps.argmin()) if len(gaps) else 0
        return best if len(gaps) and gaps[best] <= 1 else None

    def seen(self, view: View) -> Floats:
        """Return where `view` shows the points, (n, 2), in the coordinates that it speaks."""
        if view.matrix is None:
            return self.positions[:, :2]
        if self.dimensions != 3:
            raise InvalidArgumentError("view: got one of a 3-D map, but the map has become 2-D. Look at it again.")
        key, places = self._last
        if key != view.matrix.tobytes():
            places = projected(self.positions, view.matrix)
            object.__setattr__(self, "_last", (view.matrix.tobytes(), places))
        return places


def rows_of(argument: str, given: object, n: int) -> Rows:
    """Return numbers of points as a caller hands them in: ascending, each once.

    Raises
    ------
    InvalidArgumentError
        Not whole numbers from 0 to n - 1. The message begins with the name of the `argument`.
    """
    rows = np.asarray(given)
    if rows.size == 0:
        return np.empty(0, np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise InvalidTypeError(f"{argument}: got {rows.dtype} of shape {rows.shape}, expected the numbers of points in one dimension.")
    if int(rows.min()) < 0 or int(rows.max()) >= n:
        raise InvalidArgumentError(f"{argument}: got numbers from {rows.min()} to {rows.max()}, but the points are 0 to {n - 1}.")
    found = np.zeros(n, np.bool_)
    found[rows] = True
    return np.flatnonzero(found)


def mask_of(argument: str, given: object, n: int) -> Mask:
    """Return one bool per point as a caller hands them in."""
    mask = np.asarray(given)
    if mask.dtype != np.bool_ or mask.shape != (n,):
        raise InvalidArgumentError(f"{argument}: got {mask.dtype} of shape {mask.shape}, expected one bool for each of {n} points.")
    return mask


def numbers_of(argument: str, given: object, n: int) -> Floats:
    """Return one float32 per point as a caller hands them in."""
    values: NDArray[Any] = np.asarray(given)
    if values.dtype.kind not in "iuf" or values.shape != (n,):
        raise InvalidArgumentError(f"{argument}: got {values.dtype} of shape {values.shape}, expected one number for each of {n} points.")
    return values.astype(np.float32)
