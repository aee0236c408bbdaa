"""Rows for a table out of a collection: some of the map's records, of which only the page that is shown is read.

The counterpart of `sources.FrameSource` for records that stay where they are. Sorting needs one column of them. Used by the explorer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.frames import column_of
from chroma_nb.widgets.points import Points, Rows
from chroma_nb.widgets.sources import Column, Kind, Sort, order_of

if TYPE_CHECKING:
    import pandas as pd

_DOCUMENTS_SORTED = 100_000
"""Documents that are read to sort by them."""
_KINDS: dict[str, Kind] = {"int": "number", "float": "number", "bool": "bool", "datetime": "date", "list": "list"}


class RecordSource:
    """Records of a collection as the rows of a table.

    Parameters
    ----------
    collection
        Any synchronous collection.
    points
        The records of the map.
    rows
        Which of them, in the order to show; None for all.
    fields
        `columns_of` the collection's description.
    """

    def __init__(self, collection: Any, points: Points, rows: Rows | None, fields: Sequence[Column]) -> None:
        self._collection = collection
        self._points = points
        self._rows = rows
        self.columns: Sequence[Column] = (Column("id", "id"), Column("document", "text"), *fields)
        self._order: tuple[tuple[str, bool], Rows] | None = None

    def count(self) -> int:
        """Return the number of records."""
        return len(self._points) if self._rows is None else len(self._rows)

    def page(self, start: int, stop: int, sort: Sort) -> Sequence[Sequence[object]]:
        """Return the cells of records `start` to `stop` (exclusive) under an order.

        Raises
        ------
        InvalidArgumentError
            Sorting by document would read too many of them.
        """
        ids = self._points.ids_of(self._ordered(sort)[start:stop])
        if not ids:
            return []
        frame = self._collection.get(ids=ids, include=["documents", "metadatas"]).reindex(ids)
        cells = [frame[column.name].tolist() if column.name in frame.columns else [None] * len(ids) for column in self.columns[1:]]
        return list(zip(ids, *cells, strict=True))

    def _ordered(self, sort: Sort) -> Rows:
        rows = np.arange(len(self._points), dtype=np.intp) if self._rows is None else self._rows
        if sort is None:
            return rows
        known = self._order
        if known is None or known[0] != sort:
            name, ascending = sort
            known = self._order = sort, rows[order_of(self._values(name, rows), ascending=ascending)]
        return known[1]

    def _values(self, name: str, rows: Rows) -> pd.Series[Any]:
        import pandas as pd

        ids = self._points.ids[rows]
        if name == "id":
            names: pd.Series[Any] = pd.Series(ids)
            return names
        if name != "document":
            field = next(column for column in self.columns if column.name == name)
            column: pd.Series[Any] = self._points.column(field.label).iloc[rows]
            return column
        if len(rows) > _DOCUMENTS_SORTED:
            raise InvalidArgumentError(
                f"sorting by document would read {len(rows):,} of them; select or filter at most {_DOCUMENTS_SORTED:,} first"
            )
        documents: pd.Series[Any] = self._collection.get(ids=list(ids), include=["documents"])["document"].reindex(ids)
        return documents


def columns_of(fields: pd.DataFrame) -> list[Column]:
    """Return the table columns of a description's fields: named as in data frames, labelled by their keys."""
    return [Column(column_of(str(key)), _kind(str(types)), str(key)) for key, types in fields["types"].items()]


def _kind(types: str) -> Kind:
    """Return the kind of cells for a description's ``types``, such as ``"int (5), float (2)"``."""
    kinds = {_KINDS.get(each.split(" ")[0], "text") for each in types.split(", ")}
    return kinds.pop() if len(kinds) == 1 else "text"
