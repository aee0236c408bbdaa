"""What a column becomes on a map: groups with a colour each, or numbers on a scale.

Called by :mod:`chroma_nb.viz.figure`. Decides by the values, not by the file they came from; draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chroma_nb.optional import need

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Doubles = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

PALETTE = (
    *("#4269d0", "#efa318", "#ff6b57", "#2bb3a0", "#a463f2", "#3ca951", "#ff8ab7", "#9c6b4e", "#6fa8f5", "#d2288c"),
    *("#8fce3c", "#287850", "#8c32aa", "#e56be0", "#d22828", "#aac882", "#9678aa", "#64d2e6", "#288caa", "#d2b4f0"),
)
"""Twenty colours far apart in OKLab, none too light for a white page or too dark for a black one."""

SCALE = ("#4361dc", "#8a55d6", "#cb4a9c", "#f0685f", "#f59b3d", "#f2cf52")
"""Dark to light for numbers, without the ends that vanish on a white or a black page."""

OTHER_COLOR = "#8b929c"
MISSING_COLOR = "#c3c8cf"
MISSING = "n/a"

NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
DATES = ("datetime", "datetime64", "date")
"""What pandas calls the values of a column of objects."""

MOST_TICKS = 6
TICK_STEPS = (
    *(("ms", 1e0, "%H:%M:%S.%f"), ("s", 1e3, "%H:%M:%S"), ("15s", 15e3, "%H:%M:%S"), ("min", 6e4, "%H:%M"), ("10min", 6e5, "%H:%M")),
    *(("h", 36e5, "%H:%M"), ("6h", 216e5, "%d %b %H:%M"), ("D", 864e5, "%d %b %Y"), ("7D", 6048e5, "%d %b %Y")),
    *(("MS", 26e8, "%b %Y"), ("QS", 78e8, "%b %Y"), ("YS", 315e8, "%Y"), ("5YS", 1575e8, "%Y"), ("20YS", 63e10, "%Y")),
)
"""Steps between dates on a colour bar: pandas' name, length in milliseconds, format."""


@dataclass(frozen=True)
class Group:
    """Rows that share a colour and a legend entry."""

    name: object
    rows: Rows
    color: str
    role: Literal["category", "other", "missing"] = "category"


@dataclass(frozen=True)
class Coloring:
    """One column as colours.

    Attributes
    ----------
    groups : tuple of Group
        In legend order. Every row is in one, unless there is a scale: then only the missing ones are.
    scale : ndarray, shape (n,), float64, or None
        Numbers, or milliseconds since 1970 (UTC); NaN where missing.
    dates : bool
        Whether the scale holds dates.
    """

    groups: tuple[Group, ...]
    scale: Doubles | None = None
    dates: bool = False


def coloring(column: pd.Series[Any], max_categories: int = len(PALETTE)) -> Coloring:
    """Decide how to colour by `column`.

    Numbers go on a scale (infinities count as missing), dates too; everything else, bools included, becomes groups: the
    most frequent `max_categories` values, the rest together, and the missing ones. An ordered categorical keeps its
    order, other groups come by size.

    Examples
    --------
    >>> import pandas as pd
    >>> [(group.name, len(group.rows)) for group in coloring(pd.Series(["a", "b", "b", None])).groups]
    [('b', 2), ('a', 1), ('n/a', 1)]
    """
    scale = numbers(column)
    dates = scale is None
    if scale is None:
        scale = _milliseconds(column)
    if scale is None:
        return Coloring(_groups(column, max_categories))
    missing = np.flatnonzero(np.isnan(scale))
    groups = (Group(MISSING, missing, MISSING_COLOR, "missing"),) if len(missing) else ()
    return Coloring(groups, None if len(missing) == len(scale) else scale, dates)


def numbers(column: pd.Series[Any]) -> Doubles | None:
    """Return a numeric column as float64 with NaN for what is missing or infinite, or None if it holds something else."""
    pandas = need("pandas", "a map")
    types = pandas.api.types
    if types.is_object_dtype(column.dtype):
        if types.infer_dtype(column, skipna=True) not in NUMBERS:
            return None
        column = pandas.to_numeric(column, errors="coerce")
    if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        return None
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def date_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return positions in milliseconds and their texts for a colour bar from `low` to `high`.

    Examples
    --------
    >>> date_ticks(0.0, 86_400_000.0 * 365 * 20)[1]
    ['1970', '1975', '1980', '1985']
    """
    pandas = need("pandas", "a map")
    fitting = [step for step in TICK_STEPS if (high - low) / step[1] < MOST_TICKS]
    name, length, form = fitting[0] if fitting else TICK_STEPS[-1]
    first, last = pandas.Timestamp(int(low), unit="ms"), pandas.Timestamp(int(high), unit="ms")
    start = first.normalize() if length >= TICK_STEPS[7][1] else first.floor("D" if name == "6h" else name)
    moments = [moment for moment in pandas.date_range(start, last, freq=name) if moment >= first] or [first]
    every = -(-len(moments) // MOST_TICKS)
    return [moment.timestamp() * 1000 for moment in moments[::every]], [moment.strftime(form) for moment in moments[::every]]


def _milliseconds(column: pd.Series[Any]) -> Doubles | None:
    pandas = need("pandas", "a map")
    types = pandas.api.types
    dated = types.is_datetime64_any_dtype(column.dtype)
    if not dated and types.is_object_dtype(column.dtype):
        dated = types.infer_dtype(column, skipna=True) in DATES
    if not dated:
        return None
    moments = pandas.to_datetime(column, utc=True, errors="coerce").dt.tz_localize(None).to_numpy("datetime64[ms]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64).astype(np.float64))


def _groups(column: pd.Series[Any], max_categories: int) -> tuple[Group, ...]:
    codes, names = _codes(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    frequent = np.argsort(-counts, kind="stable")[:max_categories]
    frequent = frequent[counts[frequent] > 0]
    if getattr(column.dtype, "ordered", False):
        frequent = np.sort(frequent)
    groups = []
    place = np.full(len(names) + 1, len(frequent))
    place[frequent] = np.arange(len(frequent))
    place[-1] = -1
    by_place = place[codes]
    for at, code in enumerate(frequent.tolist()):
        groups.append(Group(names[code], np.flatnonzero(by_place == at), PALETTE[at]))
    rest = np.flatnonzero(by_place == len(frequent))
    if len(rest):
        count = int((counts > 0).sum()) - len(frequent)
        groups.append(Group(f"other ({count} value{'s' * (count > 1)})", rest, OTHER_COLOR, "other"))
    missing = np.flatnonzero(by_place < 0)
    if len(missing):
        groups.append(Group(MISSING, missing, MISSING_COLOR, "missing"))
    return tuple(groups)


def _codes(column: pd.Series[Any]) -> tuple[Rows, list[object]]:
    """Return a number per row, -1 for missing, and the value behind each; values that have no hash count by their text."""
    pandas = need("pandas", "a map")
    if isinstance(column.dtype, pandas.CategoricalDtype):
        return np.asarray(column.cat.codes, dtype=np.intp), list(column.cat.categories)
    try:
        codes, names = pandas.factorize(column)
    except TypeError:
        texts = [None if value is None else str(value) for value in column]
        codes, names = pandas.factorize(pandas.Series(texts, dtype=object))
    return np.asarray(codes, dtype=np.intp), list(names)
