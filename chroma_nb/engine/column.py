"""One metadata key as a typed column in memory: its values, compactly, and every test of a filter over all of them at once.

Lives here: `Column`, exact comparison of whole arrays with one number, and the raw arrays in which a cache file
keeps a column. Must not live here: more than one key at a time (`chroma_nb.engine.columns`), the table of distinct texts and lists
(`chroma_nb.engine.distinct`), SQLite, files, documents. Called by `chroma_nb.engine.columns` only.

Theory of operation
-------------------
Columns only grow. A column holds its values compactly, in the order of their positions: a code of the kind per value, and beside it
one array for whole numbers (ints, bools, instants), one for floats, one for codes into the distinct texts, lists and zone names. Memory
follows the number of values, however many keys there are. Growing returns a new object which shares the buffers of the old one and
writes only past its end: whoever still reads the old one is undisturbed, without locks. One thread grows at a time (the engine's
writer). Growing the same object twice is fine: the second time copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat, starmap
from math import ceil, floor
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from chroma_nb.engine.buffer import Buffer
from chroma_nb.engine.distinct import Distinct
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.filters import COMPARISONS, OPERATORS, Compare, Contains, Kind, Member, comparable, kind_of
from chroma_nb.scalars import INT_MAX, INT_MIN, Instant, Scalar, Value

Mask: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.int64]

STR, INT, FLOAT, BOOL, NAIVE, ZONED, LIST = range(1, 8)
"""How a column notes the kind of a value."""
_DTYPES: Final = {
    name: np.dtype(kind)
    for name, kind in {
        "kinds": "u1",
        "rows": "i8",
        "ints": "i8",
        "floats": "f8",
        "codes": "i4",
        "words": "u1",
        "ends": "i8",
        "lists": "u1",
    }.items()
}
_KIND_OF_TYPE: Final[dict[type, int]] = {str: STR, int: INT, float: FLOAT, bool: BOOL, Instant: NAIVE, tuple: LIST}
_IN_INTS: Final[dict[Kind, int]] = {"bool": BOOL, "naive datetime": NAIVE, "zoned datetime": ZONED}


@dataclass(frozen=True, slots=True)
class _Parts:
    """The buffers of a column; `rows` is None while value i is at position i, the others until a kind needs them."""

    kinds: Buffer
    rows: Buffer | None = None
    ints: Buffer | None = None
    floats: Buffer | None = None
    codes: Buffer | None = None


class Column:
    """The values of one metadata key.

    Parameters
    ----------
    size
        Number of values, that is of records that have the key.
    counts
        Number of values by kind; index 0 is unused.
    """

    __slots__ = ("_distinct", "_parts", "counts", "size")

    def __init__(self, size: int, counts: tuple[int, ...], parts: _Parts, distinct: Distinct) -> None:
        self.size, self.counts, self._parts, self._distinct = size, counts, parts, distinct

    @classmethod
    def empty(cls) -> Column:
        """Return a column without values."""
        return cls(0, (0,) * 8, _Parts(Buffer(np.zeros(0, np.uint8), 0)), Distinct())

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """Kind of each value, (size,)."""
        return self._parts.kinds.data[: self.size]

    @property
    def ints(self) -> NDArray[np.int64]:
        """Ints, bools as 0 and 1, instants in nanoseconds; 0 elsewhere; (size,)."""
        return self._view(self._parts.ints, np.int64)

    @property
    def floats(self) -> NDArray[np.float64]:
        """Floats; 0 elsewhere; (size,)."""
        return self._view(self._parts.floats, np.float64)

    @property
    def codes(self) -> NDArray[np.int32]:
        """Codes of texts, of lists, and of the zones of zoned instants; 0 elsewhere; (size,)."""
        return self._view(self._parts.codes, np.int32)

    @property
    def rows(self) -> Positions | None:
        """Positions of the values, ascending, (size,); None when value i is at position i."""
        return None if self._parts.rows is None else self._parts.rows.data[: self.size]

    def _view(self, buffer: Buffer | None, dtype: type) -> NDArray[Any]:
        return np.zeros(self.size, dtype) if buffer is None else buffer.data[: self.size]

    def extended(self, rows: Positions, values: Sequence[Value]) -> Column:
        """Return a column that also has `values`, at the ascending positions `rows` after all of this one's.

        This column stays as it is, and valid.
        """
        used, n = self.size, len(values)
        kinds = _kinds(values)
        counts = np.bincount(kinds, minlength=8)
        ints = floats = codes = None
        distinct = self._distinct.ready()
        for kind in np.flatnonzero(counts).tolist():
            at: Any = slice(None) if counts[kind] == n else np.flatnonzero(kinds == kind)
            chosen: Any = values if counts[kind] == n else [values[i] for i in at]
            if kind == FLOAT:
                floats = np.zeros(n, np.float64) if floats is None else floats
                floats[at] = chosen
            if kind in (INT, BOOL, NAIVE, ZONED):
                ints = np.zeros(n, np.int64) if ints is None else ints
                ints[at] = chosen if kind in (INT, BOOL) else [each.ns for each in chosen]
            if kind in (STR, LIST, ZONED):
                codes = np.zeros(n, np.int32) if codes is None else codes
                texts = [each.zone for each in chosen] if kind == ZONED else chosen
                codes[at] = distinct.coded_lists(texts) if kind == LIST else distinct.coded(texts)
        parts = _Parts(
            self._parts.kinds.appended(used, kinds),
            self._rows_with(rows),
            _grown(self._parts.ints, used, n, ints),
            _grown(self._parts.floats, used, n, floats),
            _grown(self._parts.codes, used, n, codes),
        )
        return Column(used + n, tuple((counts + self.counts).tolist()), parts, distinct)

    def _rows_with(self, rows: Positions) -> Buffer | None:
        buffer, used = self._parts.rows, self.size
        if buffer is None:
            if not len(rows) or (int(rows[-1]) == used + len(rows) - 1 and int(rows[0]) == used):
                return None
            buffer = Buffer(np.arange(used, dtype=np.int64), used)
        return buffer.appended(used, rows)

    def passing(self, test: Compare | Member | Contains) -> Mask:
        """Return which values pass `test`, or for a negative one the test it negates; (size,) bool."""
        match test:
            case Compare(_, op, value):
                return self._compared(OPERATORS[op].negates or op, value)
            case Member(_, _, values):
                return self._among(values)
            case Contains(_, _, value):
                return self._masked({LIST: lambda: self._with_element(value)})
            case _:
                assert_never(test)

    def _masked(self, tests: dict[int, Callable[[], Mask]]) -> Mask:
        """Return the values that pass the test of their kind; only the kinds that occur are tested."""
        found: Mask | None = None
        for kind, test in tests.items():
            if not self.counts[kind]:
                continue
            passed = test()
            if self.counts[kind] < self.size:
                passed = passed & (self.kinds == kind)
            found = passed if found is None else found | passed
        return np.zeros(self.size, np.bool_) if found is None else found

    def _compared(self, op: str, value: Scalar) -> Mask:
        kind = kind_of(value)
        wanted = comparable(value)
        if kind == "number":
            return self._masked(
                {INT: lambda: _ints_compared(self.ints, op, wanted), FLOAT: lambda: _floats_compared(self.floats, op, wanted)}
            )
        if kind == "str":
            return self._masked({STR: lambda: self._with_words([wanted])})
        return self._masked({_IN_INTS[kind]: lambda: COMPARISONS[op](self.ints, np.int64(wanted))})

    def _among(self, values: tuple[Scalar, ...]) -> Mask:
        kind = kind_of(values[0])
        wanted = [comparable(value) for value in values]
        if kind == "number":
            return self._masked(
                {
                    INT: lambda: _ints_among(self.ints, [int(x) for x in wanted if x == floor(x)]),
                    FLOAT: lambda: np.isin(self.floats, np.array([float(x) for x in wanted if float(x) == x], np.float64)),
                }
            )
        if kind == "str":
            return self._masked({STR: lambda: self._with_words(wanted)})
        return self._masked({_IN_INTS[kind]: lambda: _ints_among(self.ints, [int(x) for x in wanted])})

    def _with_words(self, words: list[str]) -> Mask:
        known = self._distinct.ready().codes
        return self._looked_up([known[word] for word in words if word in known], len(self._distinct.words))

    def _with_element(self, element: Scalar) -> Mask:
        wanted = self._distinct.ready().lists_with(element)
        return self._looked_up(wanted, len(self._distinct.tuples))

    def _looked_up(self, wanted: Sequence[int] | NDArray[np.int32], distinct: int) -> Mask:
        if not len(wanted):
            return np.zeros(self.size, np.bool_)
        if len(wanted) == 1:
            same: Mask = self.codes == np.int32(wanted[0])
            return same
        table = np.zeros(distinct, np.bool_)
        table[np.asarray(wanted)] = True
        return table.take(self.codes, mode="clip")

    def chosen(self, mask: Mask | None) -> Positions | None:
        """Return the indices into this column of the values whose record is in `mask` (count,); None means all of them."""
        if mask is None:
            return None
        return np.flatnonzero(mask[: self.size] if self.rows is None else mask[self.rows])

    def at(self, positions: Positions) -> tuple[Positions, Positions]:
        """Return which of `positions` have a value, as indices into `positions`, and the indices of those values."""
        if self.rows is None:
            hit = np.flatnonzero(positions < self.size)
            return hit, positions[hit]
        index = np.searchsorted(self.rows, positions)
        hit = np.flatnonzero(self.rows[np.minimum(index, self.size - 1)] == positions)
        return hit, index[hit]

    def values(self, index: Positions | None = None) -> list[Any]:
        """Return the values at the indices `index` into this column (all of them by default), each exactly as it was given."""
        kinds, ints, floats, codes = (each if index is None else each[index] for each in (self.kinds, self.ints, self.floats, self.codes))
        distinct = self._distinct.ready()
        result: list[Any] = [None] * len(kinds)
        for kind in np.flatnonzero(np.bincount(kinds, minlength=8)).tolist():
            at = np.flatnonzero(kinds == kind)
            words = distinct.tuples if kind == LIST else distinct.words
            made: Iterable[Any]
            if kind in (STR, LIST):
                made = map(words.__getitem__, codes[at].tolist())
            elif kind == FLOAT:
                made = floats[at].tolist()
            elif kind in (INT, BOOL):
                made = ints[at].astype(np.bool_ if kind == BOOL else np.int64).tolist()
            else:
                zones = map(words.__getitem__, codes[at].tolist()) if kind == ZONED else repeat(None)
                made = starmap(Instant, zip(ints[at].tolist(), zones, strict=False))
            if len(at) == len(kinds):
                return list(made)
            for i, value in zip(at.tolist(), made, strict=False):
                result[i] = value
        return result

    def counted(
        self, index: Positions | None, groups: tuple[int, ...] = (BOOL, INT, FLOAT, STR, NAIVE, ZONED, LIST)
    ) -> list[tuple[Positions, NDArray[np.int64]]]:
        """Count equal values among those at `index` (all by default): per group, where each distinct value first is, and how often.

        A group is a kind, but whole numbers go with `INT` and only the others with `FLOAT`: as in a filter, an int and a float may be
        equal. So are instants with different zones. Groups without values are left out.
        """
        index = np.arange(self.size) if index is None else index
        kinds = self.kinds[index]
        counted = []
        for group in groups:
            if group in (INT, FLOAT):
                chosen, keys = self._numbers(index, kinds, whole=group == INT)
            else:
                chosen = index[kinds == group]
                keys = (self.codes if group in (STR, LIST) else self.ints)[chosen] if len(chosen) else chosen
            if len(chosen):
                counted.append(_first_and_count(chosen, keys))
        return counted

    def _numbers(self, index: Positions, kinds: NDArray[np.uint8], *, whole: bool) -> tuple[Positions, NDArray[Any]]:
        """Return the indices of the whole numbers and each as int64, or those of the other numbers and each as float64."""
        floating = index[kinds == FLOAT]
        floats = self.floats[floating]
        is_whole = (floats == np.floor(floats)) & (floats >= -(2.0**63)) & (floats < 2.0**63)
        if not whole:
            return floating[~is_whole], floats[~is_whole]
        chosen = np.concatenate([index[kinds == INT], floating[is_whole]])
        keys = self.ints[chosen]
        keys[len(chosen) - int(is_whole.sum()) :] = floats[is_whole].astype(np.int64)
        return chosen, keys

    def taken(self, positions: Positions) -> Column:
        """Return the column of the records at `positions`, in their order, with only the texts and lists they use."""
        rows, index = self.at(positions)
        return Column.empty().extended(rows, self.values(index))

    def dump(self, key: str) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Return what `load` needs: a header and the arrays it counts on, in order."""
        distinct = self._distinct.ready()
        arrays: dict[str, NDArray[Any]] = {"kinds": self.kinds}
        for name in ("rows", "ints", "floats", "codes"):
            if getattr(self._parts, name) is not None:
                arrays[name] = getattr(self, name)
        arrays.update(distinct.dump())
        return {"key": key, "size": self.size, "counts": list(self.counts), "arrays": list(arrays)}, list(arrays.values())

    @classmethod
    def load(cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], count: int) -> Column:
        """Return the column of `count` records that `dump` wrote; its texts are decoded when first needed, its arrays are only read.

        Raises
        ------
        DatabaseCorruptedError
            A number of it leads nowhere, or is of another kind than it should be.
        """
        key, size = header["key"], header["size"]
        if not isinstance(key, str) or type(size) is not int or not 0 < size <= count:
            raise _damaged(key, "has no key, or more values than there are records")
        if any(array.dtype != _DTYPES.get(name) for name, array in arrays.items()):
            raise _damaged(key, "has an array of another kind")
        own = {name: arrays[name] for name in ("kinds", "rows", "ints", "floats", "codes") if name in arrays}
        if "kinds" not in own or any(len(data) != size for data in own.values()):
            raise _damaged(key, f"does not have the {size} values that the header names")
        counts = np.bincount(own["kinds"], minlength=8).tolist()
        if len(counts) != 8 or counts[0] or counts != header["counts"]:
            raise _damaged(key, "has values of an unknown kind")
        rows, floats = own.get("rows"), own.get("floats")
        if rows is not None and ((rows[1:] <= rows[:-1]).any() or not 0 <= int(rows[0]) <= int(rows[-1]) < count):
            raise _damaged(key, "has positions that are not in order")
        if floats is not None and not np.isfinite(floats).all():
            raise _damaged(key, "has a number that is not finite")
        distinct = Distinct.load(arrays)
        for kinds, known in (((STR, ZONED), distinct.size), ((LIST,), len(distinct.tuples))):
            _check_codes(key, own, kinds, known)
        return cls(size, tuple(counts), _Parts(**{name: Buffer(data, size) for name, data in own.items()}), distinct)


def _check_codes(key: str, own: Mapping[str, NDArray[Any]], kinds: tuple[int, ...], known: int) -> None:
    coded = np.isin(own["kinds"], kinds)
    if coded.any():
        codes = own["codes"][coded] if "codes" in own else np.zeros(1, np.int32)
        if not 0 <= int(codes.min()) <= int(codes.max()) < known:
            raise _damaged(key, "has a value that is not in its table")


def _damaged(key: object, what: str) -> DatabaseCorruptedError:
    return DatabaseCorruptedError(f"column cache, {str(key)[:60]!r}: {what}; rebuild the cache")


def _kinds(values: Sequence[Any]) -> NDArray[np.uint8]:
    types = set(map(type, values))
    if len(types) == 1 and Instant not in types:
        return np.full(len(values), _KIND_OF_TYPE[types.pop()], np.uint8)
    kinds = np.fromiter(map(_KIND_OF_TYPE.__getitem__, map(type, values)), np.uint8, len(values))
    for i in np.flatnonzero(kinds == NAIVE).tolist():
        if values[i].zone is not None:
            kinds[i] = ZONED
    return kinds


def _grown(buffer: Buffer | None, used: int, n: int, tail: NDArray[Any] | None) -> Buffer | None:
    """Return `buffer` with `tail`, or with zeros where a batch has no such values; None while there never were any."""
    if tail is None:
        return None if buffer is None else buffer.appended(used, np.zeros(n, buffer.data.dtype))
    return (buffer or Buffer(np.zeros(used, tail.dtype), used)).appended(used, tail)


def _ints_compared(ints: NDArray[np.int64], op: str, wanted: float) -> Mask:
    """Compare with a number of any size, exactly: a float bound is first moved to the whole number that says the same."""
    if op == "$eq":
        return _ints_among(ints, [int(wanted)] if wanted == floor(wanted) else [])
    if op in ("$gt", "$gte"):
        least = floor(wanted) + 1 if op == "$gt" else ceil(wanted)
        return np.full(len(ints), least <= INT_MIN) if not INT_MIN < least <= INT_MAX else ints >= np.int64(least)
    most = ceil(wanted) - 1 if op == "$lt" else floor(wanted)
    return np.full(len(ints), most >= INT_MAX) if not INT_MIN <= most < INT_MAX else ints <= np.int64(most)


def _floats_compared(floats: NDArray[np.float64], op: str, wanted: float) -> Mask:
    """Compare with a number exactly: no float lies between an int and the float nearest to it, so which side that is on decides."""
    nearest = float(wanted)
    if nearest != wanted:
        if op == "$eq":
            return np.zeros(len(floats), np.bool_)
        up = op in ("$gt", "$gte")
        op = ("$gte" if up else "$lt") if nearest > wanted else ("$gt" if up else "$lte")
    result: Mask = COMPARISONS[op](floats, nearest)
    return result


def _ints_among(ints: NDArray[np.int64], wanted: list[int]) -> Mask:
    inside = [each for each in wanted if INT_MIN <= each <= INT_MAX]
    if len(inside) == 1:
        same: Mask = ints == np.int64(inside[0])
        return same
    return np.isin(ints, np.array(inside, np.int64))


def _first_and_count(index: Positions, keys: NDArray[Any]) -> tuple[Positions, NDArray[np.int64]]:
    """Return for each distinct key the first of `index` that has it, and how many have it."""
    if keys.dtype.kind == "i":
        low = int(keys.min())
        spread = int(keys.max()) - low + 1
        if spread <= 4 * len(keys) + 1000:
            shifted = keys.astype(np.int64) - low
            count = np.bincount(shifted, minlength=spread)
            first = np.zeros(spread, np.int64)
            first[shifted[::-1]] = index[::-1]
            used = np.flatnonzero(count)
            return first[used], count[used]
    _, first, count = np.unique(keys, return_index=True, return_counts=True)
    return index[first], count
