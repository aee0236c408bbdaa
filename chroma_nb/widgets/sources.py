"""Where a table's rows come from: anything that can count them and hand out a page, and data frames.

No widgets here and nothing of how cells look. `chroma_nb.widgets.table` shows sources; the explorer brings its own, over a collection.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import InvalidTypeError
from chroma_nb.frames import is_frame
from chroma_nb.optional import need
from chroma_nb.scalars import Instant, is_absent
from chroma_nb.widgets import cells

if TYPE_CHECKING:
    import pandas as pd

Kind: TypeAlias = Literal["text", "number", "bool", "date", "list", "id", "distance"]
Sort: TypeAlias = "tuple[str, bool] | None"
"""Name of a column and whether it ascends; None for the source's own order."""

_LOOKED_AT = 1000
_FIRST = ("id", "query", "rank", "distance", "document", "uri")
_LAST = ("embedding",)
_INFERRED: dict[str, Kind] = {
    "boolean": "bool",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "datetime": "date",
    "datetime64": "date",
    "date": "date",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name
        Unique among the columns of a source; what it is sorted by.
    kind
        How cells are laid out. A cell of another type than the others is shown all the same.
    label
        What the header says; the name where it is empty.
    sortable
        Whether the source can sort by it.
    """

    name: str
    kind: Kind
    label: str = ""
    sortable: bool = True


class Source(Protocol):
    """Rows on demand. Called from the thread that answers pages, never twice for what is on the screen."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns; the first holds the id, a text."""

    def count(self) -> int:
        """Return how many rows there are now."""

    def page(self, start: int, stop: int, sort: Sort) -> Sequence[Sequence[object]]:
        """Return rows `start` to `stop` (fewer at the end) in the order `sort`, each with a cell per column."""


class FrameSource:
    """The rows of a data frame, such as ``get`` and ``query`` return; later changes of the frame are not seen.

    Parameters
    ----------
    frame
        Its index, or its column ``id`` where there is one, holds the ids. The columns come in the order id, distance, document,
        everything else; levels ``query`` and ``rank`` of the index follow the id where the frame answers several queries.

    Raises
    ------
    InvalidTypeError
        `frame` is no pandas DataFrame.

    Examples
    --------
    >>> import pandas as pd
    >>> source = FrameSource(pd.DataFrame({"year": [2024, 2023]}, index=["a", "b"]))
    >>> [column.name for column in source.columns], source.page(0, 2, ("year", True))
    (['id', 'year'], [['b', 2023], ['a', 2024]])
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        pandas = need("pandas", "tables of data frames")
        if not isinstance(frame, pandas.DataFrame):
            known = "; convert it with .to_pandas()" if is_frame(frame) else ""
            raise InvalidTypeError(f"FrameSource: expected a pandas DataFrame, got {type(frame).__name__}{known}")
        self._values = _named(pandas, frame)
        self._orders: dict[tuple[str, bool], NDArray[np.intp]] = {}
        self.columns: Sequence[Column] = tuple(
            Column(name, _kind(pandas, name, values), sortable=name not in _LAST) for name, values in self._values.items()
        )

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._values["id"])

    def page(self, start: int, stop: int, sort: Sort) -> list[list[object]]:
        """Return some rows; sorting is stable, as pandas does it, with missing values last."""
        rows = np.arange(start, min(stop, self.count())) if sort is None else self._order(sort)[start:stop]
        columns = [values.iloc[rows].tolist() for values in self._values.values()]
        return [list(row) for row in zip(*columns, strict=True)]

    def _order(self, sort: tuple[str, bool]) -> NDArray[np.intp]:
        if sort not in self._orders:
            name, ascending = sort
            self._orders[sort] = order_of(self._values[name], ascending=ascending)
        return self._orders[sort]


def order_of(values: pd.Series[Any], *, ascending: bool) -> NDArray[np.intp]:
    """Return the positions of `values` in order: as pandas sorts them where it can, equal ones as they stand, missing ones last.

    Examples
    --------
    >>> import pandas as pd
    >>> order_of(pd.Series([2, None, "a", 1], dtype=object), ascending=True).tolist()
    [3, 0, 2, 1]
    """
    values = values.reset_index(drop=True)
    try:
        ordered = values.sort_values(ascending=ascending, kind="stable", na_position="last")
    except (TypeError, ValueError):  # values of several types, or arrays
        ordered = values.sort_values(ascending=ascending, kind="stable", na_position="last", key=_comparable)
    return ordered.index.to_numpy()


def _named(pandas: Any, frame: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the columns by unique names, ids first."""
    index = frame.index
    columns: list[tuple[str, Any]] = [(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    if not any(name == "id" for name, _ in columns):
        columns.append(("id", index.to_series() if index.inferred_type == "string" else pandas.Series(_joined(index), dtype=object)))
    if set(index.names) == {"query", "rank"} and len(index.get_level_values("query").unique()) > 1:
        columns += [(name, index.get_level_values(name).to_series()) for name in ("query", "rank")]
    named: dict[str, pd.Series[Any]] = {}
    for name, values in sorted(columns, key=lambda column: _place(column[0])):
        unique, copies = name, 1
        while unique in named:
            copies += 1
            unique = f"{name} ({copies})"
        named[unique] = values.copy(deep=False)
    return named


def _joined(index: pd.Index[Any]) -> list[str]:
    if index.nlevels == 1:
        return [cells.text(each) for each in index]
    return [" / ".join(map(cells.text, levels)) for levels in index]


def _place(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST) + (name in _LAST)


def _kind(pandas: Any, name: str, values: pd.Series[Any]) -> Kind:
    types = pandas.api.types
    if name == "id":
        return "id"
    if types.is_bool_dtype(values.dtype):
        return "bool"
    if types.is_numeric_dtype(values.dtype):
        return "distance" if name == "distance" else "number"
    if types.is_datetime64_any_dtype(values.dtype):
        return "date"
    if values.dtype != object and not isinstance(values.dtype, pandas.CategoricalDtype):
        return "text"
    return _kind_of_objects(pandas, [value for value in values.iloc[:_LOOKED_AT].tolist() if not is_absent(value)])


def _kind_of_objects(pandas: Any, values: list[object]) -> Kind:
    if values and all(isinstance(value, (list, tuple, np.ndarray)) for value in values):
        return "list"
    if values and all(isinstance(value, Instant) for value in values):
        return "date"
    return _INFERRED.get(pandas.api.types.infer_dtype(values), "text")


def _comparable(values: pd.Series[Any]) -> pd.Series[Any]:
    """Give values of any types an order: numbers, then moments, then texts, then anything else by its text."""
    keys = [None if is_absent(value) else _rank(value) for value in values.tolist()]
    ordered: pd.Series[Any] = type(values)(keys, index=values.index, dtype=object)
    return ordered


def _rank(value: object) -> tuple[int, int | float, str]:
    if isinstance(value, (int, float)):
        return 0, value, ""
    return 1 if isinstance(value, (Instant, dt.date)) else 2 if isinstance(value, str) else 3, 0, cells.text(value)
