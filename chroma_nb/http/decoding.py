"""Replies read back on the client's side: JSON into the values that operations answer with, refusals into errors.

Written against two servers: our own, which tells all it knows to our own clients, and Chroma's, which leaves a lot out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb import errors
from chroma_nb.configuration import Configuration, HnswParameters
from chroma_nb.errors import ChromaError, InvalidDimensionError, ServerReplyError
from chroma_nb.http.message import SERVER_HEADER, Reply
from chroma_nb.http.wire import parse_stored_metadata, thawed
from chroma_nb.results import Cells, CollectionInfo, FieldSummary, GetResult, Include, IndexState, Layout, Plan, QueryResult, Summary, Table
from chroma_nb.scalars import Value

_HNSW = tuple(each.name for each in fields(HnswParameters))
_DIMENSION = re.compile(r"expecting embedding with dimension of \d+", re.IGNORECASE)


def _family() -> dict[tuple[str, int], type[ChromaError]]:
    """Return the class of each wire name that says anything, and status; where several share both, the most general one."""
    known: dict[tuple[str, int], type[ChromaError]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ChromaError) and kind.code != ChromaError.code:
            known.setdefault((kind.code, kind.status), kind)
    return known


_BY_NAME = _family()
_BY_STATUS: dict[int, type[ChromaError]] = {
    400: errors.InvalidArgumentError,
    401: errors.AuthorizationError,
    403: errors.AuthorizationError,
    404: errors.NotFoundError,
    409: errors.UniqueConstraintError,
    410: errors.NotOfferedError,
    413: errors.BatchSizeExceededError,
    415: errors.InvalidArgumentError,
    421: errors.AuthorizationError,
    422: errors.InvalidArgumentError,
    501: errors.NotOfferedError,
}


def json_of(reply: Reply, place: str) -> Any:
    """Return the JSON of a reply that is no refusal.

    Raises
    ------
    ChromaError
        It is a refusal; or it is no JSON, so that something else than a Chroma server answered.
    """
    if reply.status >= 400 or 300 <= reply.status < 400:
        raise refusal_of(reply, place)
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise _foreign(reply, place) from None
    if SERVER_HEADER not in reply.headers and isinstance(body, dict) and body.get("metadatas"):
        body["metadatas"] = _ordered(body["metadatas"])
    return body


def _ordered(metadata: Any) -> Any:
    """Return metadata with its keys sorted: Chroma's server sends them in another order each time, and columns would jump about."""
    if isinstance(metadata, list):
        return [_ordered(each) for each in metadata]
    return None if metadata is None else dict(sorted(metadata.items()))


def refusal_of(reply: Reply, place: str) -> ChromaError:
    """Return the error that a reply tells of; ``trace_id`` is the server's name for the incident."""
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        error = _without_body(reply, place, body)
    else:
        code, message = body["error"], str(body.get("message") or body["error"])
        kind = _BY_NAME.get((code, reply.status)) or _BY_STATUS.get(reply.status) or errors.StoreError
        if kind is errors.InvalidArgumentError and _DIMENSION.search(message):
            kind = InvalidDimensionError
        if reply.status == 401:
            message += f" ({place}; pass it to the client as headers={{'X-Chroma-Token': '...'}})"
        error = kind(message)
        error.status = reply.status
    error.trace_id = reply.headers.get("chroma-trace-id")
    return error


def _without_body(reply: Reply, place: str, body: object) -> ChromaError:
    if reply.status == 413:
        return errors.BatchSizeExceededError(f"{place}: the request is larger than the server takes; send fewer records at once")
    if reply.status in (401, 403):
        return errors.AuthorizationError(f"{place}: access denied (status {reply.status}); is the token in headers={{...}} the right one?")
    if reply.status in (404, 410) and body is not None:
        return ServerReplyError(f"{place}: the server has no version 2 of Chroma's API; it needs Chroma 0.5.16 or newer")
    return _foreign(reply, place)


def _foreign(reply: Reply, place: str) -> ServerReplyError:
    kind = reply.headers.get("content-type", "").partition(";")[0] or "no content type"
    if 300 <= reply.status < 400:
        to = reply.headers.get("location", "elsewhere").partition("?")[0][:100]
        return ServerReplyError(f"{place}: redirected to {to}, as login pages are; is the address right, and the token in headers={{...}}?")
    what = "a web page" if "html" in kind else f"{len(reply.body)} bytes of {kind}"
    cure = "is a Chroma server at this address, and the token for a proxy in front of it in headers={...}?"
    return ServerReplyError(f"{place}: expected JSON, got {what} (status {reply.status}); {cure}")


def collection_info(found: Any, count: int | None = None) -> CollectionInfo:
    """Read a collection; what Chroma does not say is taken from `count`, or unknown (0)."""
    own: Mapping[str, Any] = found.get("chroma_nb") or {}
    written: Mapping[str, Any] = found.get("configuration_json") or {}
    section = own.get("hnsw") or written.get("hnsw") or written.get("spann") or {}
    hnsw = HnswParameters(**{name: section[name] for name in _HNSW if section.get(name) is not None})
    metadata = own["metadata"] if "metadata" in own else _ordered(found.get("metadata"))
    return CollectionInfo(
        found["id"],
        found["name"],
        found.get("tenant") or "default_tenant",
        found.get("database") or "default_database",
        stored_metadata(metadata),
        Configuration(hnsw, written.get("embedding_function")),
        found.get("dimension"),
        own["count"] if count is None and "count" in own else count or 0,
        own.get("version", 0),
        own.get("vectors_version", 0),
    )


def stored_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Value] | None:
    """Read metadata; of no key at all it is none, and what has no counterpart here (a sparse vector) becomes its text."""
    parsed = parse_stored_metadata(metadata)
    if not parsed:
        return None
    return {key: orjson.dumps(value).decode() if isinstance(value, dict) else value for key, value in parsed.items()}


def get_result(body: Mapping[str, Any], include: Include) -> GetResult:
    """Read records; the columns are those of `include`, whatever else the server sent."""

    def column(name: str) -> Any:
        return (body.get(name) or []) if name in include else None

    metadatas = column("metadatas")
    return GetResult(
        body["ids"],
        _matrix(column("embeddings")) if "embeddings" in include else None,
        column("documents"),
        None if metadatas is None else list(map(stored_metadata, metadatas)),
        column("uris"),
    )


def _matrix(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32) if rows else np.empty((0, 1), dtype=np.float32)


def query_result(body: Mapping[str, Any], include: Include) -> QueryResult:
    """Read hits: the nested lists of the queries, one after the other."""
    names = ("ids", "documents", "embeddings", "metadatas", "uris", "distances")
    flat = {name: None if body.get(name) is None else list(itertools.chain.from_iterable(body[name])) for name in names}
    distances = np.array(flat["distances"] or [], dtype=np.float64) if "distances" in include else None
    return QueryResult(get_result(flat, include), list(map(len, body["ids"])), distances)


def joined(parts: list[GetResult], include: Include) -> GetResult:
    """Return records that came in parts as one result."""

    def column(name: str) -> Any:
        return [value for part in parts for value in getattr(part, name)] if name in include else None

    vectors = [part.embeddings for part in parts if part.embeddings is not None and len(part)]
    embeddings = np.concatenate(vectors) if vectors else np.empty((0, 1), dtype=np.float32)
    return GetResult(
        [identifier for part in parts for identifier in part.ids],
        embeddings if "embeddings" in include else None,
        column("documents"),
        column("metadatas"),
        column("uris"),
    )


def table(body: Mapping[str, Any]) -> Table:
    """Read columns by our own server."""
    return Table(body["ids"], {key: Cells.of(_stored_values(values)) for key, values in body["columns"].items()})


def _stored_values(values: list[Any]) -> list[Any]:
    return list(map(stored_value, values)) if not {list, dict}.isdisjoint(map(type, values)) else values


def layout(body: Mapping[str, Any]) -> Layout:
    """Read a layout by our own server."""
    ids = body["ids"]
    return Layout(ids, np.array(body["coordinates"], dtype=np.float32).reshape(len(ids), -1 if ids else 2), body["version"])


def summary(body: Mapping[str, Any]) -> Summary:
    """Read a description by our own server."""
    described = [
        FieldSummary(
            each["key"],
            each["types"],
            each["present"],
            each["distinct"],
            thawed(each["minimum"]),
            thawed(each["maximum"]),
            tuple(map(stored_value, each["samples"])),
        )
        for each in body["fields"]
    ]
    return Summary(collection_info(body["collection"]), tuple(described), body["documents"], IndexState(**body["index"]))


def stored_value(value: Any) -> Any:
    """Read one metadata value."""
    return tuple(value) if isinstance(value, list) else thawed(value)


def plan(body: Mapping[str, Any]) -> Plan:
    """Read a plan by our own server."""
    return Plan(**{**body, "steps": tuple(body["steps"])})
