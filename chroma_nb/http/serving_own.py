"""The server's routes that Chroma's API has no words for; only our own clients ask for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb import ops
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.http.call import Call, Handler
from chroma_nb.http.serving_records import check_size, columns
from chroma_nb.http.wire import parse_wire_vectors
from chroma_nb.records import check_key

_PAGE = 100_000
_KEYS = 1_000
_CELL = 12
"""Bytes of a cell as JSON has it, roughly; one that is missing has four."""
_LONGEST_KEY = 1_024


def _tenants(call: Call) -> Any:
    return call.service.execute(ops.ListTenants())


def _count_where(call: Call) -> Any:
    return call.service.execute(ops.Count(call.collection, call.filter(call.body())))


def _describe(call: Call) -> Any:
    summary = call.service.execute(ops.Describe(call.collection))
    fields = [asdict(field) for field in summary.fields]
    return {
        "collection": call.speaker.collection(summary.info),
        "fields": fields,
        "documents": summary.documents,
        "index": asdict(summary.index),
    }


def _facets(call: Call) -> Any:
    body = call.body()
    op = ops.Facets(call.collection, _text(body, "key"), call.number(body, "top", None), call.filter(body))
    return call.service.execute(op)


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{name}: expected a text")
    return text


def _sample(call: Call) -> Any:
    body = call.body()
    include = call.include(body, ("metadatas", "documents"))
    n = call.number(body, "n", 10, 0, _PAGE) or 0
    op = ops.Sample(call.collection, n, call.number(body, "seed", None), call.filter(body), frozenset(include))
    return columns(call.service.execute(op), include)


def _scan(call: Call) -> Any:
    body = call.body()
    include = call.include(body, ("metadatas", "documents"))
    limit = call.number(body, "limit", 1000, 1, _PAGE) or 1
    page = call.service.execute(
        ops.ScanPage(call.collection, call.number(body, "cursor", None), limit, call.filter(body), frozenset(include))
    )
    return {**columns(page.records, include), "cursor": page.cursor}


def _explain(call: Call) -> Any:
    body = call.body()
    vectors, missing = parse_wire_vectors(body.get("query_embeddings"), "query_embeddings")
    if vectors is None or missing is not None:
        raise InvalidArgumentError("query_embeddings: expected at least one vector")
    wanted = call.number(body, "n_results", 10, 1, call.service.limits.results) or 1
    query = ops.Query(call.collection, vectors, wanted, call.ids(body), call.filter(body), frozenset())
    return asdict(call.service.execute(ops.Explain(query)))


def _columns(call: Call) -> Any:
    body = call.body()
    keys = [] if body.get("keys") is None else body["keys"]
    if not isinstance(keys, list):
        raise InvalidTypeError(f"keys: expected a list of texts, got {type(keys).__name__}")
    if len(keys) > _KEYS:
        raise InvalidArgumentError(f"keys: {len(keys):,} at once; ask for {_KEYS:,} at most")
    for i, key in enumerate(keys):
        check_key(key, f"keys[{i}]")
    check_size(len(keys) * call.service.execute(ops.Count(call.collection)) * _CELL, call.service.limits.reply)
    table = call.service.execute(ops.Columns(call.collection, tuple(dict.fromkeys(keys)), call.filter(body)))
    return {"ids": table.ids, "columns": {key: cells.tolist() for key, cells in table.columns.items()}}


def _changed_since(call: Call) -> Any:
    return call.service.execute(ops.ChangedSince(call.collection, call.number(call.body(), "version", 0) or 0))


def _get_layout(call: Call) -> Any:
    body = call.body()
    layout = call.service.execute(ops.GetLayout(call.collection, _layout_key(body), call.number(body, "version", None)))
    return None if layout is None else {"ids": layout.ids, "coordinates": layout.coordinates, "version": layout.version}


def _put_layout(call: Call) -> Any:
    body = call.body()
    coordinates, ids = _coordinates(body.get("coordinates")), body.get("ids")
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise InvalidArgumentError("ids: expected a list of texts")
    if len(coordinates) != len(ids):
        raise InvalidArgumentError(f"coordinates: expected one point for each of {len(ids)} ids, got {len(coordinates)}")
    call.service.execute(ops.PutLayout(call.collection, _layout_key(body), call.number(body, "version", 0) or 0, ids, coordinates))
    return {}


def _layout_key(body: dict[str, Any]) -> str:
    key = _text(body, "key")
    if len(key) > _LONGEST_KEY:
        raise InvalidArgumentError(f"key: {len(key):,} characters; a layout's name has {_LONGEST_KEY:,} at most")
    return key


def _coordinates(given: object) -> NDArray[np.float32]:
    if given == []:
        return np.empty((0, 2), dtype=np.float32)
    points, missing = parse_wire_vectors(given, "coordinates")
    if points is None or missing is not None or points.shape[1] not in (2, 3):
        raise InvalidArgumentError("coordinates: expected a list of points, two or three numbers each")
    return points


def _build_index(call: Call) -> Any:
    added: list[int] = []
    call.service.execute(ops.BuildIndex(call.collection, added.append))
    return {"added": sum(added)}


HANDLERS: dict[str, Handler] = {
    "nb.tenants": _tenants,
    "nb.count_where": _count_where,
    "nb.describe": _describe,
    "nb.facets": _facets,
    "nb.sample": _sample,
    "nb.scan": _scan,
    "nb.explain": _explain,
    "nb.columns": _columns,
    "nb.changed_since": _changed_since,
    "nb.get_layout": _get_layout,
    "nb.put_layout": _put_layout,
    "nb.build_index": _build_index,
}
