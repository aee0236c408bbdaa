"""The server's routes that Chroma's API has no words for; only our own clients ask for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from chroma_nb import ops
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.call import Call, Handler
from chroma_nb.http.serving_records import columns
from chroma_nb.http.wire import parse_wire_vectors

_PAGE = 100_000


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
    return columns(call, call.service.execute(op), include)


def _scan(call: Call) -> Any:
    body = call.body()
    include = call.include(body, ("metadatas", "documents"))
    limit = call.number(body, "limit", 1000, 1, _PAGE) or 1
    page = call.service.execute(
        ops.ScanPage(call.collection, call.number(body, "cursor", None), limit, call.filter(body), frozenset(include))
    )
    return {**columns(call, page.records, include), "cursor": page.cursor}


def _explain(call: Call) -> Any:
    body = call.body()
    vectors, missing = parse_wire_vectors(body.get("query_embeddings"), "query_embeddings")
    if vectors is None or missing is not None:
        raise InvalidArgumentError("query_embeddings: expected at least one vector")
    wanted = call.number(body, "n_results", 10, 1, call.service.limits.results) or 1
    query = ops.Query(call.collection, vectors, wanted, call.ids(body), call.filter(body), frozenset())
    return asdict(call.service.execute(ops.Explain(query)))


def _get_layout(call: Call) -> Any:
    body = call.body()
    layout = call.service.execute(ops.GetLayout(call.collection, _text(body, "key"), call.number(body, "version", 0) or 0))
    return None if layout is None else {"ids": layout.ids, "coordinates": layout.coordinates}


def _put_layout(call: Call) -> Any:
    body = call.body()
    coordinates = np.asarray(body.get("coordinates"), dtype=np.float32)
    ids = body.get("ids")
    if not isinstance(ids, list) or coordinates.ndim != 2 or len(coordinates) != len(ids):
        raise InvalidArgumentError("coordinates: expected two or three numbers for each of ids")
    call.service.execute(ops.PutLayout(call.collection, _text(body, "key"), call.number(body, "version", 0) or 0, ids, coordinates))
    return {}


def _build_index(call: Call) -> Any:
    call.service.execute(ops.BuildIndex(call.collection))
    return {}


HANDLERS: dict[str, Handler] = {
    "nb.tenants": _tenants,
    "nb.count_where": _count_where,
    "nb.describe": _describe,
    "nb.facets": _facets,
    "nb.sample": _sample,
    "nb.scan": _scan,
    "nb.explain": _explain,
    "nb.get_layout": _get_layout,
    "nb.put_layout": _put_layout,
    "nb.build_index": _build_index,
}
