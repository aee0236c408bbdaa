"""The server's routes of records: write, read, query, count."""

from __future__ import annotations

from typing import Any

import numpy as np

from chroma_nb import ops
from chroma_nb.errors import BatchSizeExceededError, InvalidArgumentError
from chroma_nb.http.call import Call, Handler
from chroma_nb.http.wire import parse_wire_records, parse_wire_vectors
from chroma_nb.results import GetResult, QueryResult

_FLOAT = 12
"""Bytes of a float32 as JSON has it, roughly."""


def _records(call: Call, body: dict[str, Any], *, removals: bool) -> Any:
    limit = call.service.limits.rows
    ids = body.get("ids")
    if isinstance(ids, list) and len(ids) > limit:
        raise BatchSizeExceededError(f"ids: {len(ids):,} records in one request; this server takes {limit:,}. Send them in batches")
    return parse_wire_records(body, removals=removals)


def _needs_embeddings(records: Any) -> None:
    if records.embeddings is None or records.embedded is not None:
        raise InvalidArgumentError("embeddings: every record needs one; this server embeds no texts, the client does")


def _written(call: Call, written: Any) -> Any:
    if call.speaker.typed:
        return {"added": written.added, "updated": written.updated, "ignored": written.ignored}
    return True if call.v1 else {}


def _add(call: Call) -> Any:
    body = call.body()
    if all(body.get(name) in ([], None) for name in ("ids", "embeddings", "documents", "metadatas", "uris")) and body.get("ids") == []:
        return _nothing(call, call.done())
    records = _records(call, body, removals=False)
    _needs_embeddings(records)
    return _written(call, call.service.execute(ops.Add(call.collection, records)))


def _upsert(call: Call) -> Any:
    records = _records(call, call.body(), removals=True)
    _needs_embeddings(records)
    return _written(call, call.service.execute(ops.Upsert(call.collection, records)))


def _update(call: Call) -> Any:
    return _written(call, call.service.execute(ops.Update(call.collection, _records(call, call.body(), removals=True))))


def columns(records: GetResult, include: list[str]) -> dict[str, Any]:
    """Return a result's JSON; clients of every generation find the name of what was included under one of two keys."""
    return {
        "ids": records.ids,
        "embeddings": records.embeddings,
        "documents": records.documents,
        "uris": records.uris,
        "metadatas": records.metadatas,
        "data": None,
        "include": include,
        "included": include,
    }


def _get(call: Call) -> Any:
    body = call.body()
    include = call.include(body, ("metadatas", "documents"))
    ids = call.ids(body)
    limit = call.number(body, "limit", None)
    most = None if call.v1 and limit == 0 else limit
    op = ops.Get(call.collection, ids, call.filter(body), most, call.number(body, "offset", 0) or 0, frozenset(include))
    if ids == []:
        return _nothing(call, columns(GetResult([]), include))
    return columns(call.service.execute(op), include)


def _query(call: Call) -> Any:
    body = call.body()
    include = call.include(body, ("metadatas", "documents", "distances"))
    asked = body.get("query_embeddings")
    vectors, missing = parse_wire_vectors(asked, "query_embeddings")
    wanted, queries, limit = call.number(body, "n_results", 10) or 0, 0 if vectors is None else len(vectors), call.service.limits.results
    if wanted * max(queries, 1) > limit:
        raise BatchSizeExceededError(f"n_results: {wanted:,} for each of {queries:,} vectors; this server answers with {limit:,} at most")
    ids, where = call.ids(body), call.filter(body)
    if missing is not None or (asked and vectors is None):
        raise InvalidArgumentError("query_embeddings: null is no vector")
    if vectors is None:
        return _nothing(call, {**columns(GetResult([]), include), "distances": []})
    if not wanted or ids == []:
        empty = QueryResult(_empty(include), [0] * len(vectors), np.empty(0) if "distances" in include else None)
        return _nothing(call, _nested(empty, include))
    if "embeddings" in include:
        _check_embeddings(call, len(vectors), wanted, vectors.shape[1])
    op = ops.Query(call.collection, vectors, wanted, ids, where, frozenset(include))
    return _nested(call.service.execute(op), include)


def check_size(size: int, limit: int) -> None:
    """Refuse a reply of about so many bytes before any of it is sent.

    Raises
    ------
    BatchSizeExceededError
        It is larger than the limit.
    """
    if size > limit:
        raise BatchSizeExceededError(
            f"the answer would be about {size / (1 << 20):,.0f} MiB, and this server sends {limit / (1 << 20):,.0f} at most:"
            " ask for fewer records (limit and offset, n_results, fewer vectors at once), or leave documents or embeddings out of include"
        )


def _check_embeddings(call: Call, queries: int, wanted: int, dimension: int) -> None:
    """Refuse a query whose embeddings would be too large a reply before the engine reads them: each hit has its own copy."""
    size, limit = queries * dimension * _FLOAT, call.service.limits.reply
    if size * wanted > limit:
        wanted = min(wanted, call.service.execute(ops.Count(call.collection)))
        check_size(size * wanted, limit)


def _nothing(call: Call, reply: Any) -> Any:
    """Return what a call that asks for nothing gets, if the collection is there."""
    call.service.execute(ops.GetCollectionById(call.collection))
    return reply


def _empty(include: list[str]) -> GetResult:
    nothing: dict[str, Any] = {name: [] for name in ("documents", "metadatas", "uris") if name in include}
    return GetResult([], np.empty((0, 1), dtype=np.float32) if "embeddings" in include else None, **nothing)


def _nested(result: QueryResult, include: list[str]) -> dict[str, Any]:
    flat = columns(result.hits, include)
    flat["distances"] = result.distances
    for name in ("ids", "embeddings", "documents", "uris", "metadatas", "distances"):
        if flat[name] is not None:
            flat[name] = _split(flat[name], result.lengths)
    return flat


def _split(column: Any, lengths: list[int]) -> list[Any]:
    parts, start = [], 0
    for length in lengths:
        parts.append(column[start : start + length])
        start += length
    return parts


def _delete(call: Call) -> Any:
    body = call.body()
    ids, where = call.ids(body), call.filter(body)
    if ids == []:
        raise InvalidArgumentError("ids: expected at least one id")
    everything = call.speaker.typed and body.get("where") == {}  # one of our clients, and it means it
    if not everything and ids is None and not body.get("where") and not body.get("where_document"):
        if call.v1:
            raise InvalidArgumentError("give ids, where or where_document; to delete everything, delete the collection itself")
        return _nothing(call, {"deleted": 0})
    gone: list[str] = []
    if call.v1:
        gone = call.service.execute(ops.Get(call.collection, ids, where, include=frozenset())).ids
    removed = call.service.execute(ops.Delete(call.collection, gone if call.v1 and gone else ids, where, call.number(body, "limit", None)))
    if call.v1:
        return gone
    return None if call.speaker.is_strict else {"deleted": removed}


def _count(call: Call) -> Any:
    return call.service.execute(ops.Count(call.collection))


HANDLERS: dict[str, Handler] = {
    "records.add": _add,
    "records.update": _update,
    "records.upsert": _upsert,
    "records.get": _get,
    "records.query": _query,
    "records.delete": _delete,
    "records.count": _count,
}
