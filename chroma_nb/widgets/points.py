"""The records of a map: ids and places in one order, columns that are loaded when they are asked for.

Row numbers, not ids, are what the map and the table exchange; here they become ids and back. Lives below the explorer and knows no widget.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb.brief import short
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.records import numbers_of
from chroma_nb.scalars import plain_text, sequence_of
from chroma_nb.widgets.map_cloud import Rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Places", "Points", "Rows", "ids_in"]

Places = NDArray[np.float32]

_KEPT = 32
"""Columns in memory at a time."""


class Points:
    """Records in the order of a layout.

    Parameters
    ----------
    collection
        Any synchronous collection.
    places : DataFrame
        Index: ids. Columns ``x``, ``y`` and perhaps ``z``; where there is a column ``approximate``, it says which places were
        estimated from neighbours instead of laid out.
    """

    def __init__(self, collection: Any, places: pd.DataFrame) -> None:
        self._collection = collection
        self._lock = threading.RLock()
        self._columns: dict[str, pd.Series[Any]] = {}
        self.ids: pd.Index[Any] = places.index.astype(object).rename("id")
        # Makes the index's hash table now, in whatever thread this is, and not when somebody waits for the first selection.
        _ = self.ids.is_unique
        axes = [axis for axis in ("x", "y", "z") if axis in places.columns]
        self.places: Places = np.ascontiguousarray(places[axes].to_numpy(dtype=np.float32))
        estimated = places["approximate"].to_numpy(dtype=bool) if "approximate" in places.columns else np.zeros(len(places), dtype=bool)
        self.approximate: NDArray[np.bool_] = estimated

    @classmethod
    def none(cls, collection: Any, n_components: int) -> Points:
        """Return the points of a map that is not made yet."""
        import pandas as pd

        axes = ["x", "y", "z"][:n_components]
        return cls(collection, pd.DataFrame({axis: np.empty(0, np.float32) for axis in axes}, index=pd.Index([], name="id", dtype=object)))

    @classmethod
    def given(cls, collection: Any, coordinates: Any) -> Points:
        """Return points at places that a user brings.

        Parameters
        ----------
        coordinates : DataFrame or array-like, shape (n, 2 or 3)
            A frame with columns ``x``, ``y`` (and ``z``) by id, such as `project` returns; or an array in collection order.

        Raises
        ------
        InvalidArgumentError
            It is neither, or its length is not that of the collection.
        """
        import pandas as pd

        ids = collection.columns([]).index
        if isinstance(coordinates, pd.DataFrame):
            if not {"x", "y"} <= set(coordinates.columns):
                raise InvalidArgumentError(f"coordinates: expected columns x and y (and z), got {list(coordinates.columns)[:10]}")
            known = coordinates.index.intersection(ids, sort=False)
            if not len(known) and len(ids):
                raise InvalidArgumentError("coordinates: none of the frame's index is an id of the collection; index it by id")
            return cls(collection, coordinates.loc[known])
        given = numbers_of(coordinates, "coordinates")
        if given.dtype.kind not in "iuf":
            raise InvalidTypeError(f"coordinates: expected numbers, got values of type {short(str(given.dtype))}")
        with np.errstate(over="ignore", invalid="ignore"):
            table = given.astype(np.float32)
        if table.ndim != 2 or table.shape[0] != len(ids) or table.shape[1] not in (2, 3):
            raise InvalidArgumentError(
                f"coordinates: got shape {table.shape}, expected ({len(ids)}, 2 or 3), one row per record in collection order"
            )
        return cls(collection, pd.DataFrame(table, columns=["x", "y", "z"][: table.shape[1]], index=ids))

    def moved(self, places: Places) -> Points:
        """Return the same records at other places."""
        return Points(self._collection, self.frame().assign(**dict(zip("xyz", places.T, strict=False))))

    def frame(self) -> pd.DataFrame:
        """Return the places by id: columns ``x``, ``y`` (and ``z``) and ``approximate``."""
        import pandas as pd

        frame: pd.DataFrame = pd.DataFrame(self.places, columns=["x", "y", "z"][: self.places.shape[1]], index=self.ids)
        frame["approximate"] = self.approximate
        return frame

    def __len__(self) -> int:
        """Return the number of records on the map."""
        return len(self.ids)

    def rows_of(self, ids: Iterable[str]) -> Rows:
        """Return the rows of `ids`, in their order; ids that are not on the map are left out."""
        found = self.located(ids)
        return found[found >= 0]

    def located(self, ids: Iterable[str]) -> Rows:
        """Return the row of each of `ids`, -1 for those that are not on the map."""
        import pandas as pd

        return np.asarray(self.ids.get_indexer(pd.Index(list(ids), dtype=object)), dtype=np.intp)

    def ids_of(self, rows: Rows) -> list[str]:
        """Return the ids of `rows`, in their order."""
        return list(self.ids[rows])

    def matching(self, where: Mapping[str, Any] | None, where_document: Mapping[str, Any] | None) -> Rows:
        """Return the rows whose records match a filter, ascending."""
        frame = self._collection.columns([], where, where_document)
        return np.sort(self.rows_of(frame.index))

    def column(self, key: str) -> pd.Series[Any]:
        """Return a metadata key's values by id, one per row, missing where a record has none."""
        with self._lock:
            columns = self._columns
            known = columns.get(key)
        if known is not None:
            return known
        frame = self._collection.columns([key])
        # A key that looks like one of our columns stands under another name in frames; there is one column either way.
        values = frame.iloc[:, 0] if frame.shape[1] else _nothing(frame)
        column = values.reindex(self.ids)
        # Into those of before: if they were forgotten since, what was read is forgotten with them.
        with self._lock:
            if len(columns) >= _KEPT:
                columns.pop(next(iter(columns)))
            columns[key] = column
        return column

    def forget_columns(self) -> None:
        """Read columns anew when they are next asked for."""
        with self._lock:
            self._columns = {}

    def chosen(self, ids: object = None, mask: object = None, where: Any = None, where_document: Any = None) -> Rows:
        """Return the rows that one of `ids`, `mask` and a filter means.

        Parameters
        ----------
        ids
            A text or texts; anything with an index of ids, such as a frame that a query returned, means its ids.
        mask
            One bool per row in the order of `ids`, or a boolean Series by id.

        Raises
        ------
        InvalidArgumentError
            None or several were given, an id is unknown, or the mask has another length.
        """
        filtered = where is not None or where_document is not None
        if (ids is not None) + (mask is not None) + filtered != 1:
            raise InvalidArgumentError("select: give one of ids, mask, and where or where_document")
        if filtered:
            return self.matching(where, where_document)
        if mask is not None:
            return self._masked(mask)
        names = ids_in(ids)
        found = self.located(names)
        if len(names) and (found < 0).any():
            unknown = names[int(np.flatnonzero(found < 0)[0])]
            raise InvalidArgumentError(
                f"ids: {unknown[:60]!r} is not on this map, which has {len(self):,} records; refresh() takes in new ones"
            )
        return found

    def _masked(self, mask: Any) -> Rows:
        if hasattr(mask, "index") and hasattr(mask, "reindex"):
            mask = mask.reindex(self.ids, fill_value=False)
        values = np.asarray(mask)
        if values.dtype != bool or values.shape != (len(self),):
            shape = f"{values.dtype} of shape {values.shape}"
            raise InvalidArgumentError(
                f"mask: expected {len(self):,} bools, one per record of the map in the order of its ids, got {shape}"
            )
        return np.flatnonzero(values)


def ids_in(given: Any) -> list[str]:
    """Return the ids that a user's value means: a text, texts, or the index (or column ``id``) of a frame.

    Examples
    --------
    >>> ids_in("a"), ids_in(["a", "b"])
    (['a'], ['a', 'b'])
    """
    kind = type(given)
    if isinstance(given, str):
        return [str.__str__(given)]
    if hasattr(kind, "columns") and "id" in given.columns:
        given = given["id"]
    elif hasattr(kind, "index") and hasattr(kind, "iloc"):
        given = given.index
    return [plain_text(name, f"ids[{i}]") for i, name in enumerate(sequence_of(given, "ids", "a text, texts or a data frame"))]


def _nothing(frame: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(index=frame.index, dtype=object)
