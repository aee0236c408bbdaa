"""Colours of a map as a page and a picture need them: a number per point, the colours behind the numbers, and the legend in words.

Made from :class:`chroma_nb.viz.color.Coloring`, which decides what a column becomes. Called by the map widget's other files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz.color import MISSING_COLOR, PALETTE, SCALE, Coloring, date_ticks
from chroma_nb.viz.raster import ramp, rgb
from chroma_nb.widgets.map_cloud import Rows

STEPS: Final = 256
"""Colours of a scale, as many as eight bits tell apart."""

MOST_GROUPS: Final = 2048
"""As many colours as every graphics card holds in one row of a texture."""

NAME_LENGTH: Final = 200


@dataclass(frozen=True, eq=False)
class Colors:
    """The colour of every point.

    Attributes
    ----------
    codes : ndarray, shape (n,), uint16
        A row of `palette` for each point.
    palette : ndarray, shape (k, 3), uint8
    legend : mapping
        What the page shows beside the map: JSON.
    groups : mapping of int to ndarray of intp
        The points behind an entry of the legend, by its code.
    """

    codes: NDArray[np.uint16]
    palette: NDArray[np.uint8]
    legend: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[int, Rows] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.codes)


def plain(n: int) -> Colors:
    """Return one colour for `n` points, and no legend."""
    return Colors(np.zeros(n, np.uint16), rgb(PALETTE[:1]))


def painted(coloring: Coloring, n: int, title: str) -> Colors:
    """Return the colours of `n` points; the ones that `coloring` does not mention look like missing values.

    Raises
    ------
    InvalidArgumentError
        The colouring is of other points than these.

    Examples
    --------
    >>> from chroma_nb.viz.color import Group
    >>> colors = painted(Coloring((Group("a", np.array([1]), "#ff0000"),)), 2, "topic")
    >>> colors.palette[colors.codes].tolist()
    [[195, 200, 207], [255, 0, 0]]
    """
    if coloring.scale is not None and len(coloring.scale) != n:
        raise InvalidArgumentError(f"coloring: got {len(coloring.scale)} values for {n} points. Colour the points that are shown.")
    if any(len(group.rows) and int(group.rows.max()) >= n for group in coloring.groups):
        raise InvalidArgumentError(f"coloring: a group holds points beyond the {n} that are shown. Colour the points that are shown.")
    if len(coloring.groups) > MOST_GROUPS:
        raise InvalidArgumentError(f"coloring: got {len(coloring.groups)} groups, expected at most {MOST_GROUPS}. Join the small ones.")
    scale = ramp(np.linspace(0, 1, STEPS) if coloring.scale is not None else [])
    palette = np.concatenate([scale, rgb([*(group.color for group in coloring.groups), MISSING_COLOR])])
    codes = np.full(n, len(palette) - 1, np.uint16)
    legend: dict[str, Any] = {"title": title[:NAME_LENGTH], "entries": []}
    if coloring.scale is not None:
        low, high = (float(end(coloring.scale)) for end in (np.nanmin, np.nanmax))
        shares = _shares(coloring.scale, low, high)
        known = ~np.isnan(shares)
        codes[known] = np.rint(shares[known] * (STEPS - 1)).astype(np.uint16)
        legend |= {"stops": list(SCALE), "ticks": _ticks(low, high, dates=coloring.dates)}
    groups = {}
    for code, group in enumerate(coloring.groups, len(scale)):
        codes[group.rows] = code
        groups[code] = group.rows
        entry = {"code": code, "name": str(group.name)[:NAME_LENGTH], "color": group.color, "count": len(group.rows), "role": group.role}
        legend["entries"].append(entry)
    return Colors(codes, palette, legend, groups)


def _shares(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return where between `low` (0) and `high` (1) values are; in the middle if these are the same."""
    # Halves, since the difference of the largest numbers there are is none of them.
    extent = high / 2 - low / 2
    return (values / 2 - low / 2) / extent if extent > 0 else np.where(np.isnan(values), np.nan, 0.5)


def _ticks(low: float, high: float, *, dates: bool) -> list[tuple[float, str]]:
    """Return where on the bar (0 to 1) which text stands."""
    rough = high / 4 - low / 4
    if rough <= 0:
        return [(0.5, date_ticks(low, high)[1][0] if dates else f"{low:.6g}")]
    if dates:
        places, texts = date_ticks(low, high)
    else:
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
        places = [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
        texts = [f"{place:.6g}" for place in places]
    return list(zip(_shares(np.array(places), low, high).tolist(), texts, strict=True))
