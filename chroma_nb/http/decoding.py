"""Replies read on the client's side: JSON into the values that operations answer with.

Written against two servers: our own, which tells all it knows to our own clients, and Chroma's, which leaves a lot out; and against
whatever else may answer in their place. What comes out is what it seems: texts are texts, columns of one result have one length,
vectors are finite and of one dimension, metadata holds what metadata may. Readers refuse the rest as readers of arguments do, and
`chroma_nb.http.session.Answer.read` says that it was the server's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import fields
from types import NoneType
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb.configuration import Configuration, HnswParameters
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, ServerReplyError
from chroma_nb.http.replies import ordered
from chroma_nb.http.wire import thawed
from chroma_nb.records import MAX_DIMENSION
from chroma_nb.results import (
    Cells,
    CollectionInfo,
    DatabaseInfo,
    FieldSummary,
    GetResult,
    Include,
    IndexState,
    Layout,
    Plan,
    QueryResult,
    Summary,
    Table,
    Written,
)
from chroma_nb.scalars import INT_MAX, PLAIN, Instant, Value, value_of
from chroma_nb.spaces import SPACES

_HNSW = tuple(each.name for each in fields(HnswParameters))
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
_ROWS = 1000
"""Rows of a request to a server that does not say what it takes."""
_PLAIN_OR_NONE = PLAIN | {NoneType}
_NESTED = ("documents", "embeddings", "metadatas", "uris", "distances")
_METHODS = ("exact", "hnsw", "empty")


def dictionary(given: Any, place: str = "the reply") -> dict[str, Any]:
    """Read an object."""
    if not isinstance(given, dict):
        raise InvalidTypeError(f"{place}: expected an object, got {_kind(given)}")
    return given


def items(given: Any, place: str = "the reply") -> list[Any]:
    """Read a list of anything."""
    if not isinstance(given, list):
        raise InvalidTypeError(f"{place}: expected a list, got {_kind(given)}")
    return given


def _kind(given: Any) -> str:
    return "nothing" if given is None else type(given).__name__


def text(given: Any, place: str = "the reply") -> str:
    """Read a text."""
    if not isinstance(given, str):
        raise InvalidTypeError(f"{place}: expected a text, got {_kind(given)}")
    return given


def number(given: Any, place: str = "the reply", most: int = INT_MAX) -> int:
    """Read a number of things."""
    if type(given) is not int or not 0 <= given <= most:
        raise InvalidTypeError(f"{place}: expected a whole number from 0 on, got {str(given)[:40] if type(given) is int else _kind(given)}")
    return given


def member(given: Any, name: str) -> Any:
    """Return what an object has under a name; None when it is not there."""
    return dictionary(given).get(name)


def heartbeat(given: Any) -> int:
    """Read the server's clock."""
    return number(member(given, "nanosecond heartbeat"), "nanosecond heartbeat")


def name(given: Any) -> str:
    """Read the name of a tenant."""
    return text(member(given, "name"), "name")


def deleted(given: Any) -> int:
    """Read how many records our own server deleted."""
    return number(member(given, "deleted"), "deleted")


def indexed(given: Any) -> int:
    """Read how many vectors our own server put into its graph."""
    return number(dictionary(given).get("added", 0), "added")


def pre_flight(given: Any) -> tuple[int, bool]:
    """Read the rows a server takes in one request, and whether it reads vectors as base64."""
    rows = member(given, "max_batch_size")
    return rows if type(rows) is int and rows > 0 else _ROWS, member(given, "supports_base64_encoding") is True


def texts(given: Any, place: str = "the reply") -> list[str]:
    """Read a list of texts."""
    if not {str}.issuperset(map(type, items(given, place))):
        raise InvalidTypeError(f"{place}: expected a list of texts")
    return given  # type: ignore[no-any-return]


def ids(given: Any, place: str = "ids") -> list[str]:
    """Read ids, none of them twice."""
    if len(set(texts(given, place))) < len(given):
        raise InvalidArgumentError(f"{place}: the same id comes twice")
    return given  # type: ignore[no-any-return]


def ids_of(given: Any) -> list[str]:
    """Read the ids of records."""
    return ids(member(given, "ids"))


def database(given: Any) -> DatabaseInfo:
    """Read a database."""
    return DatabaseInfo(*(text(member(given, part), part) for part in ("id", "name", "tenant")))


def databases(given: Any) -> list[DatabaseInfo]:
    """Read a list of databases."""
    return list(map(database, items(given)))


def written(given: Any) -> Written:
    """Read what a write to our own server did."""
    said = dictionary(given)
    return Written(number(said.get("added"), "added"), number(said.get("updated"), "updated"), tuple(texts(said.get("ignored"), "ignored")))


def collection_info(given: Any) -> CollectionInfo:
    """Read a collection; what Chroma's server does not say is 0."""
    found = dictionary(given)
    own = dictionary(found.get("chroma_nb") or {}, "chroma_nb")
    stated = dictionary(found.get("configuration_json") or {}, "configuration_json")
    function = stated.get("embedding_function")
    dimension = found.get("dimension")
    identifier = text(found.get("id"), "id")
    if not _UUID.fullmatch(identifier):
        raise InvalidArgumentError(f"id: expected a UUID, got {identifier[:40]!r}")
    return CollectionInfo(
        identifier,
        text(found.get("name"), "name"),
        text(found.get("tenant") or "default_tenant", "tenant"),
        text(found.get("database") or "default_database", "database"),
        stored_metadata(own["metadata"] if "metadata" in own else ordered(found.get("metadata")), "metadata"),
        Configuration(
            _hnsw(own.get("hnsw") or stated.get("hnsw") or stated.get("spann") or {}),
            None if function is None else dictionary(function, "embedding_function"),
        ),
        None if dimension is None else number(dimension, "dimension", MAX_DIMENSION),
        number(own.get("count", 0), "count"),
        number(own.get("version", 0), "version"),
        number(own.get("vectors_version", 0), "vectors_version"),
    )


def _hnsw(given: Any) -> HnswParameters:
    section = dictionary(given, "hnsw")
    said = {parameter: section[parameter] for parameter in _HNSW if section.get(parameter) is not None}
    for parameter, value in said.items():
        if parameter == "space":
            if not isinstance(value, str) or value not in SPACES:
                raise InvalidArgumentError(f"space: expected one of {', '.join(SPACES)}, got {str(value)[:40]!r}")
        elif parameter != "resize_factor" or type(value) is not float:
            number(value, parameter)
    return HnswParameters(**said)


def collections(given: Any) -> list[CollectionInfo]:
    """Read a list of collections."""
    return list(map(collection_info, items(given)))


def stored_metadata(given: Any, place: str = "metadatas") -> dict[str, Value] | None:
    """Read metadata; of no key at all it is none."""
    if not given and (given is None or isinstance(given, dict)):
        return None
    if not isinstance(given, dict):
        raise InvalidTypeError(f"{place}: expected an object, got {_kind(given)}")
    if PLAIN.issuperset(map(type, given.values())):  # the common case, without a call per value
        if any(type(value) is int and value > INT_MAX for value in given.values()):
            raise _too_large(place)
        return given
    return {key: stored_value(value, place) for key, value in given.items() if value is not None} or None


def _too_large(place: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{place}: a number does not fit 64 bits")


def stored_value(value: Any, place: str = "value") -> Value:
    """Read one metadata value: arrays become tuples, objects instants. What has no counterpart (a sparse vector) becomes its text."""
    if isinstance(value, list):
        both = {int, float} == set(map(type, value))
        return value_of([float(item) for item in value] if both else value, place)
    if isinstance(value, dict):
        if value.keys() == {"ns", "zone"} and type(value["ns"]) in (int, float) and type(value["zone"]) in (str, NoneType):
            return thawed(value)  # type: ignore[no-any-return]
        return _written_down(value, place)
    if type(value) is int and value > INT_MAX:
        raise _too_large(place)
    if type(value) not in PLAIN:
        raise InvalidTypeError(f"{place}: expected a value of metadata, got {_kind(value)}")
    return value  # type: ignore[no-any-return]


def _written_down(value: dict[str, Any], place: str) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise InvalidArgumentError(f"{place}: an object that is nested too deeply") from None


def get_result(given: Any, include: Include, most: int | None = None, among: Collection[str] | None = None) -> GetResult:
    """Read records, `most` of them, with ids that are `among` some; the columns are those of `include`, whatever else came."""
    body = dictionary(given)
    names = ids_of(body)
    if among is not None and not set(among).issuperset(names):
        raise InvalidArgumentError("ids: expected those that were asked for")
    if most is not None and len(names) > most:
        raise InvalidArgumentError(f"ids: expected {most} records at most, got {len(names)}")
    return _records(body, names, include)


def _records(body: dict[str, Any], names: list[str], include: Include) -> GetResult:
    def column(field: str) -> Any:
        if field not in include:
            return None
        values = body.get(field)
        if values is None:
            return [None] * len(names)
        if len(items(values, field)) != len(names):
            raise InvalidArgumentError(f"{field}: expected one for each of {len(names)} ids, got {len(values)}")
        return values

    metadatas = column("metadatas")
    return GetResult(
        names,
        vectors(column("embeddings"), "embeddings") if "embeddings" in include else None,
        _optional_texts(column("documents"), "documents"),
        None if metadatas is None else list(map(stored_metadata, metadatas)),
        _optional_texts(column("uris"), "uris"),
    )


def _optional_texts(column: Any, place: str) -> Any:
    if column is not None and not {str, NoneType}.issuperset(map(type, column)):
        raise InvalidTypeError(f"{place}: expected texts")
    return column


def vectors(rows: list[Any], place: str) -> NDArray[np.float32]:
    """Read vectors: finite numbers, as many in each."""
    if not rows:
        return np.empty((0, 1), dtype=np.float32)
    try:
        with np.errstate(over="ignore"):
            matrix = np.array(rows, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        raise InvalidArgumentError(f"{place}: expected vectors of numbers, as many in each") from None
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise InvalidArgumentError(f"{place}: expected vectors of finite numbers, got an array of shape {matrix.shape}")
    return matrix


def query_result(given: Any, include: Include, queries: int, wanted: int) -> QueryResult:
    """Read hits, for each of `queries` up to `wanted`: the nested lists of the queries, one after the other."""
    body = dictionary(given)
    found = [ids(each) for each in items(body.get("ids"), "ids")]
    lengths = list(map(len, found))
    if len(found) != queries or max(lengths, default=0) > wanted:
        raise InvalidArgumentError(f"ids: expected up to {wanted} of them for each of {queries} queries, got {lengths[:10]}")
    flat = {field: _chained(body[field], lengths, field) for field in _NESTED if field in include and body.get(field) is not None}
    names = list(itertools.chain.from_iterable(found))
    distances = _distances(flat.get("distances"), len(names)) if "distances" in include else None
    return QueryResult(_records(flat, names, include), lengths, distances)


def _chained(column: Any, lengths: list[int], place: str) -> list[Any]:
    parts = [items(part, place) for part in items(column, place)]
    if list(map(len, parts)) != lengths:
        raise InvalidArgumentError(f"{place}: expected one for each of the ids")
    return list(itertools.chain.from_iterable(parts))


def _distances(column: list[Any] | None, count: int) -> NDArray[np.float64]:
    if not {int, float}.issuperset(map(type, column or ())) or len(column or ()) != count:
        raise InvalidArgumentError("distances: expected a number for each of the ids")
    return np.array(column or (), dtype=np.float64)


def joined(parts: list[GetResult], include: Include) -> GetResult:
    """Return records that came in parts as one result.

    Raises
    ------
    ServerReplyError
        The parts do not fit each other.
    """

    def column(field: str) -> Any:
        return [value for part in parts for value in getattr(part, field)] if field in include else None

    matrices = [part.embeddings for part in parts if part.embeddings is not None and len(part)]
    if len({matrix.shape[1] for matrix in matrices}) > 1:
        raise ServerReplyError("embeddings: the server's pages have vectors of different lengths")
    embeddings = np.concatenate(matrices) if matrices else np.empty((0, 1), dtype=np.float32)
    return GetResult(
        [identifier for part in parts for identifier in part.ids],
        embeddings if "embeddings" in include else None,
        column("documents"),
        column("metadatas"),
        column("uris"),
    )


def page(given: Any, include: Include, most: int, after: int | None) -> tuple[GetResult, int | None]:
    """Read a page of a scan by our own server, up to `most` records, and its cursor, which is beyond the one it came `after`."""
    records = get_result(given, include, most)
    cursor = member(given, "cursor")
    if cursor is not None and (number(cursor, "cursor") <= (-1 if after is None else after) or not len(records)):
        raise InvalidArgumentError(f"cursor: {cursor} leads nowhere")
    return records, cursor


def table(given: Any, keys: Collection[str]) -> Table:
    """Read columns by our own server: those of `keys`."""
    names = ids_of(given)
    columns = dictionary(member(given, "columns"), "columns")
    if columns.keys() != set(keys):
        raise InvalidArgumentError("columns: they are not those that were asked for")
    return Table(names, {key: _cells(columns[key], len(names)) for key in keys})


def _cells(column: Any, count: int) -> Cells:
    kinds = set(map(type, items(column, "columns")))
    if len(column) != count:
        raise InvalidArgumentError(f"columns: expected one value for each of {count} ids, got {len(column)}")
    if not _PLAIN_OR_NONE.issuperset(kinds) or (int in kinds and any(type(value) is int and value > INT_MAX for value in column)):
        return Cells.of([None if value is None else stored_value(value, "columns") for value in column])
    return Cells.of(column)


def facets(given: Any) -> list[tuple[Value, int]]:
    """Read values and their numbers by our own server."""
    pairs = items(given)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise InvalidTypeError("expected pairs of a value and its number")
    return [(stored_value(value), number(count, "count")) for value, count in pairs]


def changes(given: Any) -> list[str] | None:
    """Read which ids changed, None when nobody knows, by our own server."""
    return None if given is None else ids(given)


def layout(given: Any) -> Layout | None:
    """Read a layout by our own server, None for none."""
    if given is None:
        return None
    names = ids_of(given)
    points = vectors(items(member(given, "coordinates"), "coordinates"), "coordinates") if names else np.empty((0, 2), dtype=np.float32)
    if len(points) != len(names) or points.shape[1] not in (2, 3):
        raise InvalidArgumentError(f"coordinates: expected two or three numbers for each of {len(names)} ids, got shape {points.shape}")
    return Layout(names, points, number(member(given, "version"), "version"))


def summary(given: Any) -> Summary:
    """Read a description by our own server."""
    state = dictionary(member(given, "index"), "index")
    building = state.get("building")
    if not isinstance(building, bool):
        raise InvalidTypeError(f"building: expected true or false, got {_kind(building)}")
    return Summary(
        collection_info(member(given, "collection")),
        tuple(map(_field, items(member(given, "fields"), "fields"))),
        number(member(given, "documents"), "documents"),
        IndexState(number(state.get("indexed"), "indexed"), number(state.get("pending"), "pending"), building),
    )


def _field(given: Any) -> FieldSummary:
    types = dictionary(member(given, "types"), "types")
    distinct = member(given, "distinct")
    return FieldSummary(
        text(member(given, "key"), "key"),
        {kind: number(count, "types") for kind, count in types.items()},
        number(member(given, "present"), "present"),
        None if distinct is None else number(distinct, "distinct"),
        _bound(member(given, "minimum"), "minimum"),
        _bound(member(given, "maximum"), "maximum"),
        tuple(stored_value(sample, "samples") for sample in items(member(given, "samples"), "samples")),
    )


def _bound(given: Any, place: str) -> int | float | Instant | None:
    value = None if given is None else stored_value(given, place)
    if value is None or type(value) in (int, float) or isinstance(value, Instant):
        return value  # type: ignore[return-value]
    raise InvalidTypeError(f"{place}: expected a number or a moment, got {_kind(given)}")


def plan(given: Any) -> Plan:
    """Read a plan by our own server."""
    method = member(given, "method")
    if method not in _METHODS:
        raise InvalidArgumentError(f"method: expected one of {', '.join(_METHODS)}, got {str(method)[:40]!r}")
    counts = {each: number(member(given, each), each) for each in ("count", "candidates", "n_results", "fetch", "ef", "pending")}
    return Plan(method, **counts, steps=tuple(texts(member(given, "steps"), "steps")))
