"""A record's values as JSON has them, in both directions: vectors (lists or base64), metadata with instants, filters.

float32 numbers are written with the fewest digits that bring them back exactly, so nothing is lost and replies stay small.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.records import MAX_DIMENSION, Records, Vectors, parse_ids, parse_metadatas, parse_texts, parse_vectors
from chroma_nb.scalars import INT_MAX, INT_MIN, Instant, zone_of

_LONGEST_PACKED = MAX_DIMENSION * 16 // 3 + 4
"""Characters of base64 that a vector may have."""

_DUMP = partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY)


def dumper(*, instants_as_text: bool = False) -> Callable[[Any], bytes]:
    """Return what writes JSON: numpy arrays as lists, instants as objects, or as the ISO 8601 text every client knows; NaN cannot occur."""
    return _DUMP_AS_TEXT if instants_as_text else _DUMP


def dumps(value: Any, *, instants_as_text: bool = False) -> bytes:
    """Write JSON as `dumper` says."""
    return dumper(instants_as_text=instants_as_text)(value)


def _as_text(value: object) -> str:
    if isinstance(value, Instant):
        return value.iso()
    raise TypeError(f"{type(value).__name__} is no JSON")


_DUMP_AS_TEXT = partial(orjson.dumps, default=_as_text, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS)


def parse_wire_vectors(given: object, place: str) -> tuple[Vectors | None, NDArray[np.bool_] | None]:
    """Read vectors: lists of numbers, base64 texts of little-endian float32, or null for "not given".

    Returns
    -------
    (m, d) float32, None when none is given; and which of the n entries are given, (n,) bool, None when all of them are.
    """
    if given is None:
        return None, None
    if isinstance(given, VectorColumn):
        return given.whole()
    if not isinstance(given, list):
        raise InvalidTypeError(f"{place}: expected a list of vectors, got {type(given).__name__}")
    if not {list, str, type(None)}.issuperset(map(type, given)):
        raise InvalidTypeError(f"{place}: expected a list of vectors, each a list of numbers or a base64 text")
    unpacked = [_unpacked(vector, place, i) if isinstance(vector, str) else vector for i, vector in enumerate(given)]
    rows = [row for row in unpacked if row is not None]
    if not rows:
        return None, None
    present = None if len(rows) == len(given) else np.array([vector is not None for vector in given])
    return parse_vectors(_joined(rows), place), present


class VectorColumn:
    """Vectors of a long body, read piece by piece.

    Parameters
    ----------
    place
        How error messages call them.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._parts: list[Vectors] = []
        self._present: list[NDArray[np.bool_]] = []
        self._count = 0

    def add(self, given: list[Any]) -> None:
        """Read more of them, as `parse_wire_vectors` does."""
        vectors, present = parse_wire_vectors(given, f"{self._place}[{self._count}:]" if self._count else self._place)
        if vectors is not None:
            widths = {vectors.shape[1], *(part.shape[1] for part in self._parts[:1])}
            if len(widths) > 1:
                message = f"inconsistent dimensions {sorted(widths)} in one call; every vector needs the same length"
                raise InvalidArgumentError(f"{self._place}: {message}")
            self._parts.append(vectors)
        self._present.append(np.full(len(given), vectors is not None) if present is None else present)
        self._count += len(given)

    def whole(self) -> tuple[Vectors | None, NDArray[np.bool_] | None]:
        """Return what `parse_wire_vectors` returns of all of them at once."""
        if not self._parts:
            return None, None
        if len(self._parts) > 1:
            whole, end = np.empty((sum(map(len, self._parts)), self._parts[0].shape[1]), dtype=np.float32), 0
            self._parts.reverse()
            while self._parts:  # each part ends when it is copied, so that all of them never take twice the memory
                part = self._parts.pop()
                whole[end : end + len(part)] = part
                end += len(part)
            self._parts.append(whole)
        present = np.concatenate(self._present)
        return self._parts[0], None if present.all() else present


def _joined(rows: list[Any]) -> Any:
    """Return `rows` with float32 for bytes: one array when all of them are bytes of one length."""
    if all(isinstance(row, bytes) for row in rows) and len(set(map(len, rows))) == 1:
        return np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1)
    return [np.frombuffer(row, dtype="<f4") if isinstance(row, bytes) else row for row in rows]


def _unpacked(text: str, place: str, i: int) -> bytes:
    if len(text) > _LONGEST_PACKED:
        raise InvalidArgumentError(f"{place}[{i}]: more than {MAX_DIMENSION:,} dimensions")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"{place}[{i}]: not valid base64 ({error})") from error
    if not data or len(data) % 4:
        raise InvalidArgumentError(f"{place}[{i}]: {len(data)} bytes are no whole number of float32 values")
    return data


def packed(vectors: Vectors, embedded: NDArray[np.bool_] | None) -> list[str | None]:
    """Write vectors as base64 texts, null where `embedded` says that there is none."""
    texts = [base64.b64encode(row).decode("ascii") for row in np.ascontiguousarray(vectors, dtype="<f4")]
    if embedded is None:
        return list(texts)
    following = iter(texts)
    return [next(following) if given else None for given in embedded.tolist()]


def parse_wire_records(body: Mapping[str, Any], *, removals: bool) -> Records:
    """Read the records of an add, upsert or update. Of an id that comes twice the first one counts, as in Chroma's server."""
    vectors, embedded = parse_wire_vectors(body.get("embeddings"), "embeddings")
    ids = parse_ids(_list(body.get("ids"), "ids"), unique=False)
    documents, metadatas, uris = (
        None if body.get(name) is None else _list(body[name], name) for name in ("documents", "metadatas", "uris")
    )
    # Columns of wrong lengths are refused before anything is made of them.
    Records(ids, vectors, documents, metadatas, uris, embedded).check_lengths()
    records = Records(
        ids,
        vectors,
        None if documents is None else parse_texts(documents, "documents"),
        None if metadatas is None else parse_metadatas(list(map(thawed, metadatas)), removals=removals),
        None if uris is None else parse_texts(uris, "uris"),
        embedded,
    )
    return _first_of_each(records)


def _list(given: object, place: str) -> list[Any]:
    if not isinstance(given, list):
        raise InvalidTypeError(f"{place}: expected a list, got {type(given).__name__}")
    return given


def _first_of_each(records: Records) -> Records:
    if len(set(records.ids)) == len(records.ids):
        return records
    first = {identifier: i for i, identifier in reversed(list(enumerate(records.ids)))}
    kept = sorted(first.values())
    vectors, embedded = records.embeddings, records.embedded
    if vectors is not None and embedded is None:
        vectors = vectors[kept]
    elif vectors is not None and embedded is not None:
        places = np.cumsum(embedded) - 1
        vectors, embedded = vectors[[int(places[i]) for i in kept if embedded[i]]], embedded[kept]
    return Records(
        [records.ids[i] for i in kept],
        vectors,
        _chosen(records.documents, kept),
        _chosen(records.metadatas, kept),
        _chosen(records.uris, kept),
        embedded,
    )


def _chosen(column: Any, kept: Iterable[int]) -> Any:
    return None if column is None else [column[i] for i in kept]


def thawed(value: Any) -> Any:
    """Read back what was written of metadata or a filter: ``{"ns": ..., "zone": ...}`` objects become instants.

    What has none comes back as it is, without a copy.
    """
    if isinstance(value, dict):
        if value.keys() == {"ns", "zone"} and type(value["ns"]) in (int, float) and isinstance(value["zone"], (str, type(None))):
            return _instant(value["ns"], value["zone"])
        changed = {}
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and (other := thawed(inner)) is not inner:
                changed[key] = other
        return {**value, **changed} if changed else value
    if isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        return [thawed(each) for each in value]
    return value


def _instant(ns: float, zone: str | None) -> Instant:
    if ns != int(ns) or not INT_MIN < ns <= INT_MAX:
        raise InvalidArgumentError(f"ns: {ns} is outside the years 1677 to 2262 that nanoseconds can count")
    if zone is not None:
        zone_of(zone)
    return Instant(int(ns), zone)
