"""Pictures of very many points: how many fall on each pixel, in which colours, as pixels and as a PNG.

Called by the explorer for maps too large to send point by point, for its density view and for the pictures that stand in for a
live map. Which points are sent all the same is decided in :mod:`chroma_nb.viz.sampling`, and what colour a value has in
:mod:`chroma_nb.viz.color`; figures are not drawn here.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.optional import need
from chroma_nb.viz.color import PALETTE, SCALE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]
    Bytes = npt.NDArray[np.uint8]
    Rows = npt.NDArray[np.intp]

__all__ = ["Tone", "View", "counts", "picture", "png", "ramp", "rgb", "static_png"]

_KEPT_COLORS = 128

Tone: TypeAlias = Literal["eq_hist", "log", "sqrt", "linear"]

MARGIN = 0.04
"""Empty border around all points, as a share of the map."""

SMALLEST_EXTENT = 1e-6
"""Of a view, as a share of its distance from the origin: less than that float32 cannot tell apart."""

MOST_PIXELS = 40_000_000

FAINTEST = 0.45
"""Opacity of a pixel with the fewest points: visible on a white and on a black page."""

MOST_LEVELS = 1 << 16
"""Counts from here on are told apart no more when tones are equalised."""

THUMBNAIL = 480, 360
DOTS_BY_COUNT = ((2_000, 3), (20_000, 2), (200_000, 1))
"""Up to so many points, dots of this radius in pixels; beyond, single pixels."""

DIMMED = 0.35
"""Opacity left to what is not selected."""


@dataclass(frozen=True)
class View:
    """The part of a map that a picture shows: y grows upwards, the first row of pixels is the top one.

    Attributes
    ----------
    left, bottom, right, top : float
        In the map's coordinates.
    width, height : int
        Pixels.
    """

    left: float
    bottom: float
    right: float
    top: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse what has no pixels or no extent."""
        limits = (self.left, self.bottom, self.right, self.top)
        if not np.isfinite(limits).all() or self.left >= self.right or self.bottom >= self.top:
            raise InvalidArgumentError(f"view: got {limits}, expected finite left < right and bottom < top.")
        if min(self.width, self.height) < 1 or self.width * self.height > MOST_PIXELS:
            raise InvalidArgumentError(f"view: got {self.width} x {self.height} pixels, expected at least one and at most {MOST_PIXELS:,}.")

    @classmethod
    def fitting(cls, positions: npt.ArrayLike, width: int, height: int) -> View:
        """Return the view of all points with a finite place, with one scale for both axes.

        Examples
        --------
        >>> View.fitting([[0.0, 0.0], [10.0, 10.0]], 200, 100).right
        15.8
        """
        points = np.asarray(positions).reshape(-1, 2)
        points = points[np.isfinite(points).all(axis=1)].astype(np.float64)
        low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.zeros(2))
        middle = (low + high) / 2
        extent = np.maximum((high - low) * (1 + 2 * MARGIN), np.abs(middle).max() * SMALLEST_EXTENT)
        half = (float((extent / (width, height)).max()) or 1 / width) * np.array([width, height]) / 2
        (left, bottom), (right, top) = middle - half, middle + half
        return cls(float(left), float(bottom), float(right), float(top), width, height)

    def pixels(self, positions: npt.ArrayLike) -> tuple[Rows, Rows | None]:
        """Return the pixel of each visible point, row by row from the top, and which points these are (None: all).

        Points on the right and on the upper border belong to the outermost pixels; without a finite place, none is visible.
        """
        points = np.asarray(positions)
        column = (points[:, 0].astype(np.float64) - self.left) * (self.width / (self.right - self.left))
        row = (self.top - points[:, 1].astype(np.float64)) * (self.height / (self.top - self.bottom))
        seen = (column >= 0) & (column <= self.width) & (row >= 0) & (row <= self.height)
        rows = None if seen.all() else np.flatnonzero(seen)
        if rows is not None:
            column, row = column[rows], row[rows]
        column, row = np.minimum(column, self.width - 1), np.minimum(row, self.height - 1)
        return row.astype(np.intp) * self.width + column.astype(np.intp), rows


def counts(positions: npt.ArrayLike, view: View) -> Rows:
    """Return how many points fall on each pixel.

    Parameters
    ----------
    positions : array_like, shape (n, 2)
    view : View

    Returns
    -------
    ndarray, shape (view.height, view.width), intp
        The top row first.

    Examples
    --------
    >>> counts([[0.5, 0.5], [0.5, 0.5], [1.5, 0.5]], View(0, 0, 2, 1, width=2, height=1)).tolist()
    [[2, 1]]
    """
    pixels, _ = view.pixels(_points(positions))
    return _summed(pixels, view)


def picture(
    positions: npt.ArrayLike,
    view: View,
    *,
    colors: npt.ArrayLike | None = None,
    values: npt.ArrayLike | None = None,
    value_range: tuple[float, float] | None = None,
    tone: Tone = "eq_hist",
    spread: int = 0,
) -> Bytes:
    """Paint the points, transparent where there are none, so that it suits light and dark pages.

    The more points a pixel has, the more opaque it is. Without `colors` and `values` its colour says the same once more.

    Parameters
    ----------
    positions : array_like, shape (n, 2)
    view : View
    colors : array_like, shape (n, 3), uint8, optional
        Red, green and blue per point; a pixel has the mean of its points' (of the squares, which is what mixing light does).
    values : array_like, shape (n,), optional
        Numbers instead: a pixel has the colour of its points' mean. Points whose value is not finite are left out.
    value_range : tuple of float, optional
        Numbers at the ends of the scale; by default the smallest and the largest of `values`, so that zooming changes no colour.
    tone : {"eq_hist", "log", "sqrt", "linear"}
        How counts become opacity. "eq_hist" gives every opacity to equally many pixels, so that both dense and sparse regions show.
    spread : int
        Radius of a dot in pixels; 0 paints single pixels.

    Returns
    -------
    ndarray, shape (view.height, view.width, 4), uint8
        Red, green, blue and opacity.

    Raises
    ------
    InvalidArgumentError
        Arguments do not fit each other.
    """
    points = _points(positions)
    if colors is not None and values is not None:
        raise InvalidArgumentError("picture: got both colors and values, expected at most one of them.")
    if colors is not None:
        table = _column("colors", colors, (len(points), 3)).astype(np.float64)
        return _painted(points, view, table**2, lambda mean: np.sqrt(mean).round(), tone, spread)
    if values is not None:
        numbers = _column("values", values, (len(points),)).astype(np.float64)
        finite = np.isfinite(numbers)
        points, numbers = points[finite], numbers[finite]
        low, high = value_range or ((float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 1.0))
        return _painted(points, view, numbers[:, None], lambda mean: ramp((mean[:, 0] - low) / ((high - low) or 1.0)), tone, spread)
    return _painted(points, view, np.empty((len(points), 0)), None, tone, spread)


def ramp(shares: npt.ArrayLike) -> Bytes:
    """Return the colours (n, 3) of shares (n,) along the scale of numbers: 0 its beginning, 1 its end, NaN as 0."""
    stops = rgb(SCALE).astype(np.float64)
    places = np.clip(np.nan_to_num(np.asarray(shares, np.float64)), 0, 1) * (len(stops) - 1)
    channels = [np.interp(places, np.arange(len(stops)), channel) for channel in stops.T]
    return np.asarray(np.stack(channels, axis=-1).round(), np.uint8)


def rgb(colors: tuple[str, ...] | list[str]) -> Bytes:
    """Return colours written as ``#rrggbb`` as numbers, shape (n, 3).

    Examples
    --------
    >>> rgb(["#ff8000"]).tolist()
    [[255, 128, 0]]
    """
    return np.frombuffer(bytes.fromhex("".join(color.lstrip("#") for color in colors)), np.uint8).reshape(-1, 3)


def png(pixels: npt.NDArray[np.uint8], *, tight: bool = False) -> bytes:
    """Return a picture (h, w, 4) as a PNG file: at once, or `tight`, for one that is kept in notebooks: of 128 colours, a third the size.

    Raises
    ------
    MissingExtraError
        Pillow is not installed.
    """
    file = io.BytesIO()
    pil = need("PIL.Image", "a picture")
    image = pil.fromarray(pixels)
    if tight:
        image.quantize(_KEPT_COLORS, method=pil.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    else:
        image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def static_png(
    positions: npt.ArrayLike,
    colors: npt.ArrayLike | None = None,
    selected: npt.ArrayLike | None = None,
    *,
    view: View | None = None,
    spread: int | None = None,
) -> bytes:
    """Return a small picture of a map, for places where the live one cannot run.

    Parameters
    ----------
    positions : array_like, shape (n, 2)
        Points without a finite place are left out.
    colors : array_like, shape (n, 3), uint8, optional
        By default one colour for all.
    selected : array_like, optional
        Row numbers, or a mask (n,): these are painted over the others, which are dimmed.
    view : View, optional
        By default all points on 480 x 360 pixels.
    spread : int, optional
        Radius of a dot in pixels; by default the fewer points, the larger.

    Returns
    -------
    bytes
        A PNG file with a transparent background.
    """
    points = _points(positions)
    paint = np.broadcast_to(rgb(PALETTE[:1]), (len(points), 3)) if colors is None else _column("colors", colors, (len(points), 3))
    view = view or View.fitting(points, *THUMBNAIL)
    radius = spread if spread is not None else next((radius for most, radius in DOTS_BY_COUNT if len(points) <= most), 0)
    everything = picture(points, view, colors=paint, spread=radius)
    if selected is None:
        return png(everything, tight=True)
    rows = np.arange(len(points))[np.asarray(selected)] if np.size(selected) else np.empty(0, np.intp)
    chosen = picture(points[rows], view, colors=paint[rows], spread=radius)
    everything[..., 3] = (everything[..., 3] * DIMMED).round()
    return png(np.where(chosen[..., 3:] > 0, chosen, everything), tight=True)


def _painted(
    points: npt.NDArray[np.floating],
    view: View,
    weights: Doubles,
    colored: Callable[[Doubles], npt.ArrayLike] | None,
    tone: Tone,
    spread: int,
) -> Bytes:
    """Paint pixels in the colour of their mean weights (n, w), or of their density when there is none to tell it."""
    pixels, rows = view.pixels(points)
    crowd = _spread(_summed(pixels, view), spread)
    filled = np.flatnonzero(crowd)
    found = crowd.ravel()[filled]
    share = _toned(found, tone)
    if colored is None:
        shades: npt.ArrayLike = ramp(share)
    else:
        sums = [_spread(_summed(pixels, view, column if rows is None else column[rows]), spread).ravel()[filled] for column in weights.T]
        shades = colored(np.stack(sums, axis=1) / found[:, None])
    image = np.zeros((view.height * view.width, 4), np.uint8)
    image[filled, :3] = shades
    image[filled, 3] = (255 * (FAINTEST + (1 - FAINTEST) * share)).round()
    return image.reshape(view.height, view.width, 4)


def _summed(pixels: Rows, view: View, weights: Doubles | None = None) -> npt.NDArray[Any]:
    return np.bincount(pixels, weights, minlength=view.width * view.height).reshape(view.height, view.width)


def _spread(sums: npt.NDArray[Any], radius: int) -> npt.NDArray[Any]:
    """Give what each pixel has to all pixels within `radius` as well."""
    if radius == 0:
        return sums
    height, width = sums.shape
    padded = np.pad(sums, radius)
    total = np.zeros_like(sums)
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            if down**2 + across**2 <= radius**2 + 1:
                total += padded[radius + down : radius + down + height, radius + across : radius + across + width]
    return total


def _toned(found: Rows, tone: Tone) -> Doubles:
    """Return for counts of at least 1 a share of 0..1, never less for a larger count."""
    if len(found) == 0:
        return np.empty(0)
    if tone == "eq_hist":
        levels = np.minimum(found, MOST_LEVELS)
        below = np.cumsum(np.bincount(levels)) - np.bincount(levels)
        most = below[int(levels.max())]
        return np.asarray(below[levels] / most if most else np.ones(len(found)))
    bends = {"log": np.log(found), "sqrt": np.sqrt(found) - 1, "linear": found - 1.0}
    if tone not in bends:
        raise InvalidArgumentError(f"tone: got {tone!r}, expected 'eq_hist', 'log', 'sqrt' or 'linear'.")
    bent = bends[tone]
    return np.asarray(bent / bent.max() if bent.max() > 0 else np.ones(len(found)))


def _points(positions: npt.ArrayLike) -> npt.NDArray[np.floating]:
    points = np.asarray(positions)
    if points.size == 0:
        return np.empty((0, 2), np.float32)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InvalidArgumentError(f"positions: got shape {points.shape}, expected (records, 2). Project a 3-D map first.")
    return points


def _column(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    column = np.asarray(values)
    if column.shape != shape and not (column.size == 0 and shape[0] == 0):
        raise InvalidArgumentError(f"{name}: got shape {column.shape}, expected {shape}, one entry per point.")
    return column.reshape(shape)
