"""How crowded a map is, as a soft picture: counts on a grid, blurred, painted.

Called by the map widget for its density view. Pictures whose pixels are points are made in :mod:`chroma_nb.viz.raster`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from chroma_nb.viz.raster import View, ramp

if TYPE_CHECKING:
    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

CELL: Final = 3
"""Pixels of a cell: finer than what is left to see after the blur."""

ROUNDS: Final = 3
"""Moving averages one after the other; three are a Gaussian for the eye."""

FAINT: Final = 0.02
"""Share of the densest place below which the page shows through."""


def density(positions: npt.ArrayLike, view: View, *, colors: npt.ArrayLike | None = None, blur: float = 9.0) -> npt.NDArray[np.uint8]:
    """Paint how many points there are around each place, transparent where there are none.

    Parameters
    ----------
    positions : array_like, shape (n, 2)
        Points without a finite place are left out.
    view : View
        What is painted, in pixels; the picture has fewer, for the page to stretch.
    colors : array_like, shape (n, 3), uint8, optional
        A place has the mean colour of the points around it; without, the colour says the density once more.
    blur : float
        Standard deviation in pixels of `view`, at least 0.

    Returns
    -------
    ndarray, shape (about view.height / 3, about view.width / 3, 4), uint8
        Red, green, blue and opacity; the top row first.

    Examples
    --------
    >>> image = density([[0.5, 0.5]], View(0, 0, 1, 1, width=90, height=60))
    >>> image.shape, int(image[10, 15, 3]) > int(image[10, 10, 3]), int(image[0, 0, 3])
    ((20, 30, 4), True, 0)
    """
    grid = View(view.left, view.bottom, view.right, view.top, width=max(1, view.width // CELL), height=max(1, view.height // CELL))
    pixels, rows = grid.pixels(positions)
    radius = round(blur / CELL * float(np.sqrt(3 / ROUNDS)))
    crowd = _blurred(_sums(pixels, grid), radius)
    most = float(crowd.max())
    # The root brings out what is sparse; what is left of a lone point beside a crowd is not worth a stain.
    share = np.sqrt(np.clip(crowd / most - FAINT**2, 0, 1)) if most > 0 else crowd
    image = np.empty((grid.height, grid.width, 4), np.uint8)
    if colors is None:
        image[..., :3] = ramp(share.ravel()).reshape(grid.height, grid.width, 3)
    else:
        table = np.asarray(colors, np.uint8)
        shades = table if rows is None else table[rows]
        squares = [_blurred(_sums(pixels, grid, shades[:, channel].astype(np.float64) ** 2), radius) for channel in range(3)]
        mean = np.stack(squares, axis=-1) / np.maximum(crowd, np.finfo(np.float64).tiny)[..., None]
        image[..., :3] = np.sqrt(np.clip(mean, 0, 255**2)).round()
    image[..., 3] = (255 * np.clip(1.25 * share, 0, 0.95)).round()
    return image


def _sums(pixels: npt.NDArray[np.intp], view: View, weights: Doubles | None = None) -> Doubles:
    return np.bincount(pixels, weights, minlength=view.width * view.height).reshape(view.height, view.width).astype(np.float64)


def _blurred(grid: Doubles, radius: int) -> Doubles:
    """Average over a square around each cell, several times; beyond the border there is nothing."""
    for _ in range(ROUNDS):
        for axis in (0, 1):
            grid = _averaged(grid, radius, axis)
    return grid


def _averaged(grid: Doubles, radius: int, axis: int) -> Doubles:
    if radius < 1:
        return grid
    around: list[Any] = [(0, 0), (0, 0)]
    around[axis] = (radius + 1, radius)
    sums = np.cumsum(np.pad(grid, around), axis=axis)
    width = 2 * radius + 1
    size = grid.shape[axis]
    later, earlier = np.take(sums, range(width, width + size), axis=axis), np.take(sums, range(size), axis=axis)
    return np.asarray((later - earlier) / width)
