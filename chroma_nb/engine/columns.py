"""Metadata of all records as typed columns in memory, and filters evaluated over whole columns at once.

Lives here: `Columns`, a `Column` per metadata key; how the tests of a filter are joined, the counts that widgets ask for, and the form
in which a cache file keeps the whole. Must not live here: how one column keeps and tests its values (`chroma_nb.engine.column`), SQLite,
files, documents (a callback answers for those). Called by the engine only. What a filter means is said in `chroma_nb.filters.meaning`;
``Columns.mask`` must agree with ``filters.matches`` for every record.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from chroma_nb.engine.column import BOOL, FLOAT, INT, LIST, NAIVE, STR, ZONED, Column, Mask, Positions
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.filters import (
    OPERATORS,
    And,
    Compare,
    Contains,
    Document,
    Everything,
    Filter,
    Kind,
    Member,
    Or,
    comparable,
    kind_of,
    needs_document,
)
from chroma_nb.results import FieldSummary
from chroma_nb.scalars import Value

DocumentMask: TypeAlias = Callable[[Document], Mask]

_TYPE_NAME: Final = {STR: "str", INT: "int", FLOAT: "float", BOOL: "bool", NAIVE: "datetime", ZONED: "datetime", LIST: "list"}
_FORMAT: Final = 1
_SAMPLES: Final = 5
_SAMPLED: Final = 1000


class Columns(Mapping[str, Column]):
    """The metadata of `count` records by position: a mapping from key to `Column`. Never changes; `extended` returns a new one.

    Examples
    --------
    >>> from chroma_nb.filters import parse_where
    >>> columns = Columns().extended([{"year": 1999}, None, {"year": 2001.5}])
    >>> columns.mask(parse_where({"year": {"$gt": 2000}})).tolist()
    [False, False, True]
    """

    def __init__(self, count: int = 0, columns: dict[str, Column] | None = None) -> None:
        self.count = count
        self._columns = columns or {}

    @classmethod
    def empty(cls) -> Columns:
        """Return the columns of no records."""
        return cls()

    def __getitem__(self, key: str) -> Column:
        return self._columns[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Columns({self.count} records, {len(self)} keys)"

    def extended(self, metadatas: Sequence[Mapping[str, Value] | None]) -> Columns:
        """Return the columns of these records and the records of `metadatas` after them; this object stays valid."""
        columns = dict(self._columns)
        for key, rows, values in _transposed(metadatas):
            columns[key] = columns.get(key, Column.empty()).extended(rows + self.count, values)
        return Columns(self.count + len(metadatas), columns)

    def take(self, positions: Sequence[int] | Positions) -> Columns:
        """Return the columns of the records at `positions`, in this order; texts that no record has any more are forgotten."""
        chosen = np.asarray(positions, np.int64)
        columns = {key: column.taken(chosen) for key, column in self._columns.items()}
        return Columns(len(chosen), {key: column for key, column in columns.items() if column.size})

    def mask(self, filter: Filter, document_mask: DocumentMask | None = None) -> Mask:  # noqa: A002 - the field's name
        """Return which records match, (count,) bool; the array is the caller's to change.

        Parameters
        ----------
        filter
            What to match.
        document_mask
            Answers a test of documents for all records, `Document.missing` included; may be left out when `filter` has none.
            Within a conjunction it is asked last, and not at all when no record is left.
        """
        match filter:
            case Everything():
                return np.ones(self.count, np.bool_)
            case And(parts) | Or(parts):
                return self._joined(parts, document_mask, conjunction=isinstance(filter, And))
            case Document():
                if document_mask is None:
                    message = "the filter tests documents, and nothing to ask about documents was given"
                    raise TypeError(message)
                return np.array(document_mask(filter), np.bool_)
            case Compare() | Member() | Contains():
                return self._tested(filter)
            case _:
                assert_never(filter)

    def _joined(self, parts: tuple[Filter, ...], document_mask: DocumentMask | None, *, conjunction: bool) -> Mask:
        first, *rest = sorted(parts, key=needs_document)
        result = self.mask(first, document_mask)
        for part in rest:
            if conjunction and result.any():
                result &= self.mask(part, document_mask)
            elif not conjunction and not result.all():
                result |= self.mask(part, document_mask)
            else:
                break
        return result

    def _tested(self, test: Compare | Member | Contains) -> Mask:
        column = self._columns.get(test.key)
        if column is None:
            return np.full(self.count, test.missing)
        passed = column.passing(test)
        if OPERATORS[test.op].negates is not None:
            np.logical_not(passed, out=passed)
        if column.size == self.count:
            return passed
        result = np.full(self.count, test.missing)
        result[slice(column.size) if column.rows is None else column.rows] = passed
        return result

    def values_at(self, key: str, positions: Sequence[int] | Positions) -> list[Value | None]:
        """Return the values of `key` at `positions`, None where a record lacks it."""
        chosen = np.asarray(positions, np.int64)
        result: list[Value | None] = [None] * len(chosen)
        column = self._columns.get(key)
        if column is not None:
            hit, index = column.at(chosen)
            for i, value in zip(hit.tolist(), column.values(index), strict=True):
                result[i] = value
        return result

    def facets(self, key: str, mask: Mask | None = None, top: int | None = None) -> list[tuple[Value, int]]:
        """Count the values of `key`: the `top` most frequent, equally frequent ones in the order of their values.

        Parameters
        ----------
        key
            A metadata key; one that no record has gives an empty list.
        mask
            Records to count, (count,) bool; all by default.
        top
            At most so many; all by default.

        Notes
        -----
        A value's count is the number of records that ``{key: value}`` matches, so 1 and 1.0 are counted together. A list is a value.

        Examples
        --------
        >>> Columns().extended([{"a": "x"}, {"a": "y"}, {"a": "y"}, {"a": 1}, {"a": 1.0}]).facets("a", top=2)
        [(1, 2), ('y', 2)]
        """
        column = self._columns.get(key)
        groups = [] if column is None else column.counted(column.chosen(mask))
        if column is None or not groups or top == 0:
            return []
        counts = np.concatenate([count for _, count in groups])
        least = 1 if top is None or top >= len(counts) else int(np.partition(counts, len(counts) - top)[len(counts) - top])
        found: list[tuple[Value, int]] = []
        for first, count in groups:
            often = np.flatnonzero(count > least)
            found += zip(column.values(first[often]), count[often].tolist(), strict=True)
            ties = column.values(first[count == least])
            mixed = bool(ties) and isinstance(ties[0], tuple)
            chosen = ties if top is None else heapq.nsmallest(top, ties, key=_order if mixed else None)
            found += zip(chosen, repeat(least), strict=False)
        return sorted(found, key=lambda pair: (-pair[1], _order(pair[0])))[:top]

    def summary(self, key: str, mask: Mask | None = None) -> FieldSummary:
        """Summarise the values of `key` over the records of `mask` (all by default).

        The range is that of the numbers when there are any, else of the datetimes without zone, else of those with one.
        """
        column = self._columns.get(key, Column.empty())
        index = column.chosen(mask)
        kinds = column.kinds if index is None else column.kinds[index]
        counts = np.bincount(kinds, minlength=8).tolist()
        types: dict[str, int] = {}
        for kind, name in _TYPE_NAME.items():
            if counts[kind]:
                types[name] = types.get(name, 0) + counts[kind]
        named = [len(first) for first, _ in column.counted(index, (BOOL, STR, LIST))]
        samples: dict[object, Value] = {}
        for value in column.values(np.arange(min(column.size, _SAMPLED)) if index is None else index[:_SAMPLED]):
            samples.setdefault(_order(value), value)
        low, high = _range(column, index, counts)
        return FieldSummary(key, types, len(kinds), sum(named) if named else None, low, high, tuple(samples.values())[:_SAMPLES])

    def dump(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Return a header that JSON can carry and raw arrays, from which `load` makes the same columns."""
        headers, arrays = [], []
        for key, column in self._columns.items():
            header, own = column.dump(key)
            headers.append(header)
            arrays += own
        return {"format": _FORMAT, "count": self.count, "columns": headers}, arrays

    @classmethod
    def load(cls, header: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> Columns:
        """Return the columns that `dump` wrote. The arrays may be read-only (a memory map); they are never written to.

        Raises
        ------
        DatabaseCorruptedError
            Another format, or arrays that do not fit the header; the cache can be rebuilt from the records.
        """
        if header.get("format") != _FORMAT:
            message = f"column cache: expected format {_FORMAT}, got {header.get('format')!r}; rebuild the column cache"
            raise DatabaseCorruptedError(message)
        count = header["count"]
        if type(count) is not int or len(arrays) != sum(len(each["arrays"]) for each in header["columns"]):
            message = f"column cache: got {len(arrays)} arrays, fewer or more than its header names; rebuild the column cache"
            raise DatabaseCorruptedError(message)
        remaining = iter(arrays)
        columns = {each["key"]: Column.load(each, {name: next(remaining) for name in each["arrays"]}, count) for each in header["columns"]}
        return cls(count, columns)


def _transposed(metadatas: Sequence[Mapping[str, Value] | None]) -> Iterator[tuple[str, Positions, list[Value]]]:
    """Yield each key with the indices of the records that have it and their values; quick when all have the same keys."""
    first = metadatas[0] if len(metadatas) else None
    if first is not None and all(metadatas) and set(map(len, metadatas)) == {len(first)}:  # type: ignore[arg-type]
        known: Any = metadatas
        try:
            same: dict[str, list[Value]] = {key: list(map(itemgetter(key), known)) for key in first}
        except KeyError:
            pass
        else:
            rows = np.arange(len(metadatas), dtype=np.int64)
            yield from ((key, rows, values) for key, values in same.items())
            return
    found: dict[str, tuple[list[int], list[Value]]] = {}
    for i, metadata in enumerate(metadatas):
        for key, value in (metadata or {}).items():
            if key not in found:
                found[key] = [], []
            at, values = found[key]
            at.append(i)
            values.append(value)
    yield from ((key, np.array(at, np.int64), values) for key, (at, values) in found.items())


_RANK: Final[dict[Kind, int]] = {"bool": 0, "number": 1, "str": 2, "naive datetime": 3, "zoned datetime": 4, "list": 5}


def _order(value: Value) -> tuple[Any, ...]:
    """Return the sort key of values of any kind; equal for values that a filter holds equal."""
    if isinstance(value, tuple):
        return _RANK["list"], _RANK[kind_of(value[0])], type(value[0]).__name__, value
    return _RANK[kind_of(value)], comparable(value)


def _range(column: Column, index: Positions | None, counts: list[int]) -> tuple[Any, Any]:
    """Return the least and the greatest number, else instant; (None, None) when there is neither."""
    kinds = next((kinds for kinds in ((INT, FLOAT), (NAIVE,), (ZONED,)) if any(counts[kind] for kind in kinds)), ())
    ends: list[Any] = []
    for kind in kinds:
        at = np.flatnonzero(column.kinds == kind) if index is None else index[column.kinds[index] == kind]
        if len(at):
            source = column.floats[at] if kind == FLOAT else column.ints[at]
            ends += column.values(at[np.array([source.argmin(), source.argmax()])])
    return (min(ends, key=comparable), max(ends, key=comparable)) if ends else (None, None)
