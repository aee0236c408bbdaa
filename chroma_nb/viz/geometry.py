"""Which points of a map lie in a lasso, in a box, or under the pointer: exactly, for millions of points.

Called by the explorer, which has the coordinates and what the user drew. Knows nothing of records, widgets or pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from chroma_nb.errors import InvalidArgumentError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]
    Mask = npt.NDArray[np.bool_]

MOST_LINES = 256
"""Grid lines per axis: cell numbers then fit 16 bits, which numpy sorts in linear time."""

POINTS_PER_CELL = 8

TRIMMED = 0.001
"""Share of the points beyond the grid on each side: they count to the outermost cells, so that one far outlier does not squeeze all
others into one cell."""

SAMPLED = 50_000
"""Points that decide where the grid lies."""

PAIRS_AT_A_TIME = 2_000_000
"""Points times edges compared at once (some 100 MB)."""

LARGEST = 1e150
"""Coordinates of a polygon beyond this would overflow when they are subtracted and multiplied."""


class PointIndex:
    """The points of a map sorted into the cells of a grid. Immutable, so that any number of threads may ask.

    A question is answered by the formula itself, in float64; the grid only spares those points for which the answer follows
    from their cell. Points whose coordinates are not finite are never found.

    Parameters
    ----------
    positions : array_like, shape (n, 2), float32
        For a 3-D view what :func:`projected` makes of it.

    Examples
    --------
    >>> index = PointIndex(np.float32([[0, 0], [1, 1], [5, 5]]))
    >>> index.within_polygon([(-1, -1), (2, -1), (2, 2), (-1, 2)]).tolist()
    [0, 1]
    >>> index.nearest(4.5, 5.0, radius=1.0)
    2
    """

    def __init__(self, positions: npt.ArrayLike) -> None:
        points = np.asarray(positions, dtype=np.float32)
        if points.size == 0:
            points = points.reshape(0, 2)
        if points.ndim != 2 or points.shape[1] != 2:
            raise InvalidArgumentError(f"positions: got shape {points.shape}, expected (records, 2). Project a 3-D map first.")
        self._size = len(points)
        finite = np.flatnonzero(np.isfinite(points).all(axis=1))
        placed = points[finite] if len(finite) < len(points) else points
        self._lines = int(np.clip(np.sqrt(len(placed) / POINTS_PER_CELL), 1, MOST_LINES))
        self._columns, self._bands = (_Axis.over(placed[:, axis], self._lines) for axis in (0, 1))
        cells = self._bands.cells(placed[:, 1]) * self._lines + self._columns.cells(placed[:, 0])
        order = np.argsort(cells.astype(np.uint16), kind="stable")
        self._rows: Rows = finite[order]
        self._x, self._y = np.ascontiguousarray(placed[order, 0]), np.ascontiguousarray(placed[order, 1])
        counts = np.bincount(cells, minlength=self._lines**2)
        self._counts: Rows = counts
        self._starts: Rows = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
        self._filled = np.flatnonzero(counts.reshape(self._lines, -1).any(axis=1))
        self._low, self._high = (self._ends_of_bands(end) for end in (np.minimum, np.maximum))

    def __len__(self) -> int:
        """Return the number of points, those without a place included."""
        return self._size

    def within_polygon(self, polygon: npt.ArrayLike) -> Rows:
        """Return the points inside, by the even-odd rule.

        A point is inside if a ray from it to the right crosses an odd number of edges. An edge from (x0, y0) to (x1, y1) is crossed
        if exactly one of its ends is above the point, ``(y0 > y) != (y1 > y)``, and the crossing ``x0 + (y - y0) / (y1 - y0) * (x1 -
        x0)`` is right of it, all in float64. So points on a left or lower boundary are inside, those on a right or upper one are not,
        and of two polygons that share an edge exactly one has the points on it. Where a polygon crosses itself, what it encloses
        twice is outside.

        Parameters
        ----------
        polygon : array_like, shape (k, 2)
            Corners in order; the last is joined to the first. Fewer than three enclose nothing.

        Returns
        -------
        ndarray of intp
            Ascending.

        Raises
        ------
        InvalidArgumentError
            The polygon is no table of two finite columns.
        """
        corners = _corners(polygon)
        if len(corners) < 3 or len(self._rows) == 0:
            return np.empty(0, np.intp)
        edges = _Edges.of(corners)
        passes = self._passes(edges)
        inside = np.repeat(self._parity(passes, passes.above), self._counts)
        touched = self._touched(passes)
        open_points = np.flatnonzero(np.repeat(touched, self._counts))
        if len(open_points):
            inside[open_points] = self._tested(open_points, touched, passes, edges)
        return self._ascending(self._rows[inside])

    def within_box(self, x0: float, y0: float, x1: float, y1: float) -> Rows:
        """Return the points in the box with these opposite corners, its border included, ascending."""
        (left, right), (low, high) = sorted((float(x0), float(x1))), sorted((float(y0), float(y1)))
        if not np.isfinite([left, right, low, high]).all():
            raise InvalidArgumentError(f"box: got ({x0}, {y0}, {x1}, {y1}), expected four finite numbers.")
        first, last = self._bands.cells(np.array([low, high])).tolist()
        part = slice(self._starts[first * self._lines], self._starts[(last + 1) * self._lines])
        x, y = self._x[part].astype(np.float64), self._y[part].astype(np.float64)
        inside = (x >= left) & (x <= right) & (y >= low) & (y <= high)
        return self._ascending(self._rows[part][inside])

    def nearest(self, x: float, y: float, radius: float) -> int | None:
        """Return the point nearest to (x, y), or None if none is within `radius`. Of equally near ones, the first."""
        if not np.isfinite([x, y, radius]).all() or radius < 0 or len(self._rows) == 0:
            return None
        left, right = self._columns.cells(np.array([x - radius, x + radius])).tolist()
        low, high = self._bands.cells(np.array([y - radius, y + radius])).tolist()
        best: tuple[float, int] | None = None
        for band in range(low, high + 1):
            part = slice(self._starts[band * self._lines + left], self._starts[band * self._lines + right + 1])
            gaps = np.hypot(self._x[part].astype(np.float64) - x, self._y[part].astype(np.float64) - y)
            if len(gaps) == 0 or (gap := float(gaps.min())) > radius:
                continue
            candidate = gap, int(self._rows[part][gaps == gap].min())
            best = candidate if best is None else min(best, candidate)
        return None if best is None else best[1]

    def nearest_many(self, places: npt.ArrayLike, radius: float) -> Rows:
        """Return for each of `places` (m, 2) what `nearest` returns, with -1 for None."""
        found = (self.nearest(x, y, radius) for x, y in np.asarray(places, np.float64).reshape(-1, 2).tolist())
        return np.array([-1 if row is None else row for row in found], dtype=np.intp)

    def _ascending(self, rows: Rows) -> Rows:
        found = np.zeros(self._size, np.bool_)
        found[rows] = True
        return np.flatnonzero(found)

    def _ends_of_bands(self, end: np.ufunc) -> Doubles:
        """Return the smallest or largest y in each band; NaN where there is none."""
        ends = np.full(self._lines, np.nan)
        if len(self._filled):
            ends[self._filled] = end.reduceat(self._y, self._starts[self._filled * self._lines])
        return ends

    def _passes(self, edges: _Edges) -> _Passes:
        """Follow each edge through the bands it has a part in.

        Every step from a coordinate to a cell is monotone, in floating point too: so a point in a column left of `first` is left of
        the edge, and one in a column right of `last` is right of it.
        """
        start, stop = self._bands.cells_beyond(edges.y0), self._bands.cells_beyond(edges.y1)
        low, high = np.clip(np.minimum(start, stop), 0, None), np.clip(np.maximum(start, stop), None, self._lines - 1)
        edge, band = _ranges(low, high)
        filled = np.isin(band, self._filled)
        edge, band = edge[filled], band[filled]
        bottom, top, y0, y1 = self._low[band], self._high[band], edges.y0[edge], edges.y1[edge]
        one, other = edges.crossings(edge, bottom), edges.crossings(edge, top)
        # No ray crosses a level edge, yet which of the other two edges at its ends a point sees changes along it.
        other = np.where(y0 == y1, edges.x1[edge], other)
        first, last = (self._columns.cells_beyond(limit) for limit in (np.minimum(one, other), np.maximum(one, other)))
        ends_here = ((bottom < y0) & (y0 <= top)) | ((bottom < y1) & (y1 <= top))
        return _Passes(edge, band, first, last, (y0 > top) != (y1 > top), ends_here)

    def _parity(self, passes: _Passes, counted: Mask) -> Mask:
        """Return for each cell whether an odd number of the counted passes lies wholly right of it."""
        lines = self._lines
        right = np.flatnonzero(counted & (passes.first > 0))
        places = passes.band[right] * lines + passes.first[right] - 1
        ends = np.bincount(places, minlength=lines**2).reshape(lines, lines)
        return np.asarray(np.cumsum(ends[:, ::-1], axis=1)[:, ::-1] % 2 == 1).ravel()

    def _touched(self, passes: _Passes) -> Mask:
        """Return for each cell whether an edge may run through it."""
        lines = self._lines
        seen = (passes.last >= 0) & (passes.first < lines)
        first, last = np.clip(passes.first[seen], 0, None), np.clip(passes.last[seen], None, lines - 1)
        steps = np.zeros((lines, lines + 1), np.intp)
        np.add.at(steps, (passes.band[seen], first), 1)
        np.add.at(steps, (passes.band[seen], last + 1), -1)
        return np.asarray(np.cumsum(steps, axis=1)[:, :-1] > 0).ravel()

    def _tested(self, points: Rows, touched: Mask, passes: _Passes, edges: _Edges) -> Mask:
        """Decide for points in touched cells: what passes wholly right of the cell is counted, everything else is tested.

        An edge that ends in the band is tested for all touched cells left of it too. In the other cells it need not be: there the
        two edges that meet at a corner are both to the right, and of the two comparisons with that corner one undoes the other.
        """
        lines = self._lines
        seen = np.flatnonzero(passes.last >= 0)
        first = np.where(passes.ends_here[seen], 0, np.clip(passes.first[seen], 0, None))
        entry, column = _ranges(first, np.clip(passes.last[seen], None, lines - 1))
        cell = passes.band[seen][entry] * lines + column
        kept = touched[cell]
        cell, edge = cell[kept], passes.edge[seen][entry[kept]]
        edge = edge[np.argsort(cell, kind="stable")]
        per_cell = np.bincount(cell, minlength=lines**2)
        starts = np.cumsum(per_cell) - per_cell

        own = np.repeat(np.arange(lines**2), self._counts)[points]
        odd = self._parity(passes, passes.above & ~passes.ends_here)[own]
        work = np.cumsum(per_cell[own])
        cuts = np.searchsorted(work, np.arange(PAIRS_AT_A_TIME, int(work[-1]), PAIRS_AT_A_TIME))
        for part in np.split(np.arange(len(points)), np.unique(cuts)):
            point, at = _ranges(starts[own[part]], starts[own[part]] + per_cell[own[part]] - 1)
            crossed = edges.crossed_by_rays_from(edge[at], self._x[points[part]][point], self._y[points[part]][point])
            odd[part] ^= np.bincount(point[crossed], minlength=len(part)) % 2 == 1
        return odd


def projected(points: npt.ArrayLike, matrix: npt.ArrayLike) -> Floats:
    """Return where a camera shows the points of a 3-D map, for `PointIndex`.

    Parameters
    ----------
    points : array_like, shape (n, 3)
    matrix : array_like, shape (4, 4)
        Of the view and the projection together, for column vectors: ``matrix @ (x, y, z, 1)``. (WebGL's arrays of 16 hold the columns
        one after the other: reshape them to (4, 4) and transpose.)

    Returns
    -------
    ndarray, shape (n, 2), float32
        After the division by the fourth component; NaN for points beside or behind the camera.

    Examples
    --------
    >>> projected([[2.0, 4.0, 1.0]], np.diag([1, 1, 1, 2])).tolist()
    [[1.0, 2.0]]
    """
    table, camera = np.asarray(points, np.float64).reshape(-1, 3), np.asarray(matrix, np.float64)
    if camera.shape != (4, 4):
        raise InvalidArgumentError(f"matrix: got shape {camera.shape}, expected (4, 4).")
    moved = table @ camera[:, :3].T + camera[:, 3]
    flat = np.full((len(table), 2), np.nan)
    np.divide(moved[:, :2], moved[:, 3:], out=flat, where=moved[:, 3:] > 0)
    with np.errstate(over="ignore"):
        return flat.astype(np.float32)


class _Axis(NamedTuple):
    """How one coordinate becomes the number of a column or band; larger coordinates never get smaller numbers."""

    origin: float
    scale: float
    lines: int
    smallest: float
    largest: float

    @classmethod
    def over(cls, values: Floats, lines: int) -> _Axis:
        if len(values) == 0:
            return cls(0.0, 0.0, lines, 0.0, 0.0)
        step = max(1, len(values) // SAMPLED)
        start, stop = np.quantile(values[::step].astype(np.float64), [TRIMMED, 1 - TRIMMED]).tolist()
        return cls(start, lines / (stop - start) if stop > start else 0.0, lines, float(values.min()), float(values.max()))

    def cells(self, values: npt.NDArray[np.floating]) -> Rows:
        """Return numbers from 0 to lines - 1."""
        shares = (values.astype(np.float64) - self.origin) * self.scale
        return np.asarray(np.clip(shares, 0, self.lines - 1)).astype(np.intp)

    def cells_beyond(self, values: Doubles) -> Rows:
        """Return the same, with -1 and `lines` for what is smaller or larger than every point's coordinate."""
        cells = self.cells(values)
        cells[values < self.smallest] = -1
        cells[values > self.largest] = self.lines
        return cells


class _Edges(NamedTuple):
    """The edges of a polygon, by their ends."""

    x0: Doubles
    y0: Doubles
    x1: Doubles
    y1: Doubles

    @classmethod
    def of(cls, corners: Doubles) -> _Edges:
        following = np.roll(corners, -1, axis=0)
        return cls(corners[:, 0], corners[:, 1], following[:, 0], following[:, 1])

    def crossings(self, edge: Rows, y: Doubles) -> Doubles:
        """Return the x of edges at a height, which is first brought to within the edge's; of a level edge, its first end's."""
        x0, y0, x1, y1 = self.x0[edge], self.y0[edge], self.x1[edge], self.y1[edge]
        within = np.clip(y, np.minimum(y0, y1), np.maximum(y0, y1))
        share = np.divide(within - y0, y1 - y0, out=np.zeros(len(edge)), where=y0 != y1)
        return np.asarray(x0 + share * (x1 - x0))

    def crossed_by_rays_from(self, edge: Rows, x: Floats, y: Floats) -> Mask:
        """Return which of the edges the ray to the right from the point beside it crosses."""
        x_wide, y_wide = x.astype(np.float64), y.astype(np.float64)
        straddled = (self.y0[edge] > y_wide) != (self.y1[edge] > y_wide)
        return np.asarray(straddled & (x_wide < self.crossings(edge, y_wide)))


class _Passes(NamedTuple):
    """Each edge in each band it has a part in."""

    edge: Rows
    band: Rows
    first: Rows
    last: Rows
    """Columns of that part; -1 and beyond the last column where it is left or right of all points."""
    above: Mask
    """Whether exactly one end is above all points of the band."""
    ends_here: Mask
    """Whether an end is above some of them and not above others."""


def _corners(polygon: npt.ArrayLike) -> Doubles:
    try:
        corners = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError("polygon: expected corners, each with an x and a y.") from error
    if corners.size == 0:
        return np.empty((0, 2))
    if corners.ndim != 2 or corners.shape[1] != 2:
        raise InvalidArgumentError(f"polygon: got shape {corners.shape}, expected (corners, 2).")
    usable = (np.abs(corners) <= LARGEST).all(axis=1)
    if not usable.all():
        at = int(usable.argmin())
        raise InvalidArgumentError(f"polygon: corner {at} is {tuple(corners[at].tolist())}, expected finite numbers up to {LARGEST:g}.")
    return corners


def _ranges(first: Rows, last: Rows) -> tuple[Rows, Rows]:
    """Return the numbers from each `first` to its `last`, one range after the other, preceded by which range each is of."""
    lengths = np.maximum(last - first + 1, 0)
    owner = np.repeat(np.arange(len(first)), lengths)
    offsets = np.cumsum(lengths) - lengths
    return owner, np.arange(len(owner)) - np.repeat(offsets - first, lengths)
