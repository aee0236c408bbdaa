"""What travels over the API, as JSON Schema: a row per kind of value, and a row per route that says which of them it takes and gives.

The tables say what the server does, no more and no less; the tests hold them against the running server. Must not live here: paths
and methods (`chroma_nb.http.routes`) and the form of the document (`chroma_nb.http.openapi`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from chroma_nb.http.call import DEFAULT_DATABASE, DEFAULT_TENANT, Limits
from chroma_nb.names import LONGEST, SHORTEST
from chroma_nb.scalars import INT_MAX, INT_MIN
from chroma_nb.spaces import SPACES

Schema = dict[str, Any]
_LARGEST_PAGE = 100_000


def ref(name: str) -> Schema:
    """Return a reference to a row of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, required: str | list[str] = "", *, closed: bool = False) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required.split() if isinstance(required, str) else required
    return {**schema, "additionalProperties": False} if closed else schema


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _or_null(schema: Schema) -> Schema:
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else {"anyOf": [schema, {"type": "null"}]}


def _number(lowest: int = 0, highest: int = INT_MAX) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def _only(key: str, value: Schema) -> Schema:
    return _object({key: value}, [key], closed=True)


def _included(default: str) -> Schema:
    names = {"enum": ["documents", "embeddings", "metadatas", "distances", "uris", "data"]}
    return {**_or_null(_list(names)), "description": f"Columns of the reply: {default}, unless this says otherwise."}


def _columns(*, nested: bool) -> Schema:
    def column(items: Schema) -> Schema:
        return _list(_list(items)) if nested else _list(items)

    names = {**_list(_TEXT), "description": "What was asked for, under both names that clients look for."}
    columns = {
        "ids": column(_TEXT),
        "embeddings": _or_null(column(_list({"type": "number"}))),
        "documents": _or_null(column(_or_null(_TEXT))),
        "uris": _or_null(column(_or_null(_TEXT))),
        "metadatas": _or_null(column(_or_null({"type": "object"}))),
        "data": {"type": "null"},
        "include": names,
        "included": names,
    }
    return {**columns, "distances": _or_null(column({"type": "number"}))} if nested else columns


def _hnsw(*, changes: bool) -> Schema:
    fixed = {} if changes else {"space": {"enum": [*SPACES, None]}, "ef_construction": _or_null(_number(1, 10_000))}
    changeable = {
        "ef_search": _or_null(_number(1, 100_000)),
        "max_neighbors": _or_null(_number(2, 512)),
        "num_threads": _or_null(_number(0, 1024)),
        "batch_size": _or_null(_number(1, 2**31)),
        "sync_threshold": _or_null(_number(1, 2**31)),
        "resize_factor": {"type": ["number", "null"], "minimum": 1, "maximum": 100},
    }
    return _object({**fixed, **changeable}, closed=True)


_TEXT: Final[Schema] = {"type": "string"}
_SOME_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_PATTERN: Final[Schema] = {"type": "string", "format": "regex", "minLength": 1}
_KEY: Final[Schema] = {"type": "string", "pattern": "^[^$#]", "not": {"const": "chroma:document"}}
_INT: Final = _number(INT_MIN, INT_MAX)
_FLOAT: Final[Schema] = {"type": "number"}
_FLAG: Final[Schema] = {"type": "boolean"}
_INSTANT: Final = _object({"ns": _number(INT_MIN + 1, INT_MAX), "zone": {"enum": [None, "UTC"]}}, "ns zone", closed=True)
_VALUES: Final = [_TEXT, _FLAG, _INT, _FLOAT]
_SCALAR: Final[Schema] = {"anyOf": [*_VALUES, _INSTANT]}
_ORDERED: Final[Schema] = {"anyOf": [_INT, _FLOAT, _INSTANT]}
_ARRAY: Final[Schema] = {"anyOf": [_list(kind, minItems=1) for kind in _VALUES]}
_ELEMENT: Final[Schema] = {"anyOf": _VALUES}
_SCOPE_NAME: Final[Schema] = {"type": "string", "minLength": SHORTEST, "maxLength": LONGEST, "pattern": r"^[^/\x00]+$"}
_COLLECTION_NAME: Final[Schema] = {
    "type": "string",
    "minLength": SHORTEST,
    "maxLength": LONGEST,
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]*[A-Za-z0-9]$",
    "description": "Dots are allowed too, inside and not two in a row, unless the name is an IPv4 address.",
}
_VECTOR: Final = _list({"type": "number"}, minItems=1, maxItems=65_536)
_PACKED: Final[Schema] = {"type": "string", "contentEncoding": "base64", "description": "float32 values, little-endian."}
_VECTORS: Final = _list({"anyOf": [_VECTOR, _PACKED]})
_IDS: Final = _list(_SOME_TEXT, minItems=1, maxItems=Limits().rows)
_ON_TEXT: Final = [
    _only("$contains", _SOME_TEXT),
    _only("$not_contains", _SOME_TEXT),
    _only("$regex", _PATTERN),
    _only("$not_regex", _PATTERN),
]
_ON_VALUES: Final = [
    *(_only(op, _SCALAR) for op in ("$eq", "$ne")),
    *(_only(op, _ORDERED) for op in ("$gt", "$gte", "$lt", "$lte")),
    *(_only(op, _ARRAY) for op in ("$in", "$nin")),
    *(_only(op, _ELEMENT) for op in ("$contains", "$not_contains")),
]
_FILTERS: Final[Schema] = {"where": ref("Where"), "where_document": ref("WhereDocument")}
_PAGE: Final[Schema] = {"limit": _or_null(_number()), "offset": _or_null(_number())}
_READ_IDS: Final = _or_null(_list(_SOME_TEXT))
_COLUMNS: Final[Schema] = {
    "documents": _or_null(_list(_or_null(_TEXT))),
    "metadatas": _or_null(_list(_or_null(ref("Metadata")))),
    "uris": _or_null(_list(_or_null(_TEXT))),
}
_EMBEDDING_FUNCTION: Final[Schema] = {"type": ["object", "null"], "description": "Kept and given back as it is; never run."}

_SPANN: Final[Schema] = {
    "type": ["object", "null"],
    "description": "In place of hnsw, and read as such: one machine has one kind of index.",
}


def _joined(clause: str, *leaves: Schema) -> Schema:
    """Return the schema of a filter: one of `leaves`, or several filters joined."""
    parts = _list(ref(clause), minItems=1)
    return {"anyOf": [*leaves, _only("$and", parts), _only("$or", parts)]}


SCHEMAS: Final[dict[str, Schema]] = {
    "Error": _object({"error": _TEXT, "message": _TEXT}, "error message"),
    "Done": {
        "type": ["object", "null"],
        "description": "An empty object; null to Python clients from 0.5.16 to 0.6.3.",
        "maxProperties": 0,
    },
    "Heartbeat": _object({"nanosecond heartbeat": _number()}, ["nanosecond heartbeat"]),
    "Health": _object({"is_executor_ready": _FLAG, "is_log_client_ready": _FLAG}, "is_executor_ready is_log_client_ready"),
    "Abilities": _object({"max_batch_size": _number(1), "supports_base64_encoding": _FLAG}, "max_batch_size"),
    "Identity": _object({"user_id": _TEXT, "tenant": _TEXT, "databases": _list(_TEXT)}, "user_id tenant databases"),
    "NewTenant": _object({"name": _SCOPE_NAME}, "name"),
    "ChangedTenant": _object({"resource_name": _or_null(_TEXT)}),
    "Tenant": _object({"name": _TEXT, "resource_name": {"type": "null"}}, "name"),
    "NewDatabase": _object({"name": _SCOPE_NAME}, "name"),
    "Database": _object({"id": {"type": "string", "format": "uuid"}, "name": _TEXT, "tenant": _TEXT}, "id name tenant"),
    "Metadata": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _KEY,
        "additionalProperties": {"anyOf": [*_VALUES, _ARRAY, _INSTANT, {"type": "null"}]},
        "description": "Texts, 64-bit integers, finite numbers, booleans, lists of one of them, and instants"
        " (nanoseconds since 1970, and a time zone or null). null is no value; in an update and an upsert it removes the key.",
    },
    "CollectionMetadata": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"type": "string", "pattern": "^(?!hnsw:)[^$#]", "not": {"const": "chroma:document"}},
        "additionalProperties": {"anyOf": [*_VALUES, _ARRAY, _INSTANT, {"type": "null"}]},
        "description": "As the metadata of a record. Keys such as hnsw:space and hnsw:M configure.",
    },
    "Configuration": _object(
        {"hnsw": _or_null(_hnsw(changes=False)), "embedding_function": _EMBEDDING_FUNCTION, "spann": _SPANN}, closed=True
    ),
    "ChangedConfiguration": _object(
        {"hnsw": _or_null(_hnsw(changes=True)), "embedding_function": _EMBEDDING_FUNCTION, "spann": _SPANN}, closed=True
    ),
    "NewCollection": _object(
        {
            "name": _COLLECTION_NAME,
            "metadata": _or_null(ref("CollectionMetadata")),
            "configuration": _or_null(ref("Configuration")),
            "get_or_create": _or_null(_FLAG),
        },
        "name",
    ),
    "ChangedCollection": _object(
        {
            "new_name": _or_null(_COLLECTION_NAME),
            "new_metadata": _or_null(ref("CollectionMetadata")),
            "new_configuration": _or_null(ref("ChangedConfiguration")),
        }
    ),
    "Collection": _object(
        {
            "id": {"type": "string", "format": "uuid"},
            "name": _TEXT,
            "tenant": _TEXT,
            "database": _TEXT,
            "metadata": {"type": ["object", "null"]},
            "dimension": _or_null(_number(1)),
            "configuration_json": {"type": "object", "description": "Its form depends on the client's generation."},
            "schema": {"type": ["object", "null"]},
            "version": _number(),
            "log_position": _number(),
        },
        "id name tenant database metadata",
    ),
    "Fork": _object({"new_name": _COLLECTION_NAME}, "new_name"),
    "ForkCount": _object({"count": _number()}, "count"),
    "IndexingStatus": _object(
        {
            "num_indexed_ops": _number(),
            "num_unindexed_ops": _number(),
            "total_ops": _number(),
            "op_indexing_progress": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "num_indexed_ops num_unindexed_ops total_ops op_indexing_progress",
    ),
    "NewRecords": _object({"ids": {**_IDS, "minItems": 0}, "embeddings": _or_null(_VECTORS), **_COLUMNS}, "ids"),
    "Records": _object({"ids": _IDS, "embeddings": _VECTORS, **_COLUMNS}, "ids embeddings"),
    "ChangedRecords": _object({"ids": _IDS, "embeddings": _or_null(_list(_or_null({"anyOf": [_VECTOR, _PACKED]}))), **_COLUMNS}, "ids"),
    "Where": {"anyOf": [{"type": "null"}, {"type": "object", "maxProperties": 0}, ref("WhereClause")]},
    "WhereClause": _joined(
        "WhereClause",
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"type": "string", "pattern": "^([^$#]|$)"},
            "additionalProperties": {"anyOf": [_SCALAR, *_ON_VALUES]},
        },
        _only("#document", {"anyOf": _ON_TEXT}),
    ),
    "WhereDocument": {"anyOf": [{"type": "null"}, {"type": "object", "maxProperties": 0}, ref("DocumentClause")]},
    "DocumentClause": _joined("DocumentClause", *_ON_TEXT),
    "Get": _object({"ids": _READ_IDS, **_FILTERS, **_PAGE, "include": _included("documents and metadatas")}),
    "GetResult": _object(_columns(nested=False), "ids embeddings documents uris metadatas include"),
    "Query": _object(
        {
            "query_embeddings": _or_null(_VECTORS),
            "n_results": _or_null(_number(0, Limits().results)),
            "ids": _READ_IDS,
            **_FILTERS,
            "include": _included("documents, metadatas and distances"),
        },
    ),
    "QueryResult": _object(_columns(nested=True), "ids embeddings documents uris metadatas distances include"),
    "Delete": _object({"ids": _or_null(_IDS), **_FILTERS, "limit": _or_null(_number())}),
    "Deleted": {"anyOf": [_only("deleted", _number()), {"type": "null"}], "description": "null to Python clients from 0.5.16 to 0.6.3."},
    "Filter": _object(_FILTERS),
    "Facets": _object({"key": _TEXT, "top": _or_null(_number()), **_FILTERS}, "key"),
    "FacetCounts": _list(_list({}, minItems=2, maxItems=2)),
    "Sample": _object(
        {
            "n": _or_null(_number(0, _LARGEST_PAGE)),
            "seed": _or_null(_number()),
            **_FILTERS,
            "include": _included("documents and metadatas"),
        }
    ),
    "Scan": _object(
        {
            "cursor": _or_null(_number()),
            "limit": _or_null(_number(1, _LARGEST_PAGE)),
            **_FILTERS,
            "include": _included("documents and metadatas"),
        }
    ),
    "Scanned": _object({**_columns(nested=False), "cursor": _or_null(_number())}, "ids cursor"),
    "Explain": _object(
        {
            "query_embeddings": {**_VECTORS, "minItems": 1},
            "n_results": _or_null(_number(1, Limits().results)),
            "ids": _READ_IDS,
            **_FILTERS,
        },
        "query_embeddings",
    ),
    "Plan": _object({"method": {"enum": ["exact", "hnsw", "empty"]}, "steps": _list(_TEXT)}, "method steps"),
    "Summary": _object(
        {
            "collection": ref("Collection"),
            "fields": _list(_object({"key": _TEXT, "types": {"type": "object"}, "present": _number()}, "key types present")),
            "documents": _number(),
            "index": _object({"indexed": _number(), "pending": _number(), "building": _FLAG}, "indexed pending building"),
        },
        "collection fields documents index",
    ),
    "Columns": _object({"keys": _or_null(_list(_KEY)), **_FILTERS}),
    "Table": _object(
        {"ids": _list(_TEXT), "columns": {"type": "object", "additionalProperties": {"type": "array"}}},
        "ids columns",
    ),
    "Since": _object({"version": _or_null(_number())}),
    "ChangedIds": {**_or_null(_list(_TEXT)), "description": "null when it is not known any more."},
    "LayoutKey": _object({"key": _TEXT, "version": {**_or_null(_number()), "description": "null for the last one stored."}}, "key"),
    "Layout": _or_null(
        _object(
            {"ids": _list(_TEXT), "coordinates": _list(_list({"type": "number"}, minItems=2, maxItems=3)), "version": _number()},
            "ids coordinates version",
        )
    ),
    "NewLayout": _object(
        {
            "key": _TEXT,
            "version": _or_null(_number()),
            "ids": _list(_SOME_TEXT),
            "coordinates": _list(_list({"type": "number"}, minItems=2, maxItems=2)),
        },
        "key ids coordinates",
    ),
    "Indexed": _object({"added": _number()}, "added"),
}
"""Every kind of value by its name in the document."""


@dataclass(frozen=True)
class Says:
    """What a route takes and gives.

    Parameters
    ----------
    summary
        What it is for.
    body
        Row of `SCHEMAS` of its body; "" for none.
    gives, gives_v1
        Schema of what a success replies, and of what it does in version 1 where that differs.
    paged
        Whether the query string takes ``limit`` and ``offset``.
    refuses
        Statuses that it may refuse with, beyond those of every route.
    """

    summary: str
    body: str = ""
    gives: Schema = field(default_factory=dict)
    gives_v1: Schema | None = None
    paged: bool = False
    refuses: tuple[int, ...] = ()


def _says(summary: str, body: str, gives: str | Schema, *refuses: int, v1: Schema | None = None, paged: bool = False) -> Says:
    return Says(summary, body, ref(gives) if isinstance(gives, str) else gives, v1, paged, refuses)


_NOTHING: Final[Schema] = {"type": "null"}
_YES: Final[Schema] = {"const": True}

SAYS: Final[dict[str, Says]] = {
    "root": _says("Tell that the server is there", "", "Heartbeat"),
    "heartbeat": _says("Tell the server's time", "", "Heartbeat"),
    "version": _says("Tell the server's version", "", _TEXT),
    "healthcheck": _says("Tell whether the server can work", "", "Health"),
    "pre_flight_checks": _says("Tell what one request may carry", "", "Abilities"),
    "identity": _says("Tell who the caller is", "", "Identity"),
    "reset": _says("Delete everything, where the server allows it", "", _YES, 403),
    "tenant.create": _says("Make a tenant", "NewTenant", "Done", 400, 403, 409, v1=_NOTHING),
    "tenant.get": _says("Look a tenant up", "", "Tenant", 404),
    "tenant.update": _says("Accepted and without effect", "ChangedTenant", "Done", 400, 403, 404),
    "database.list": _says("List the databases of a tenant", "", _list(ref("Database")), 400, 404, paged=True),
    "database.create": _says("Make a database", "NewDatabase", "Done", 400, 403, 404, 409, v1=_NOTHING),
    "database.get": _says("Look a database up", "", "Database", 404),
    "database.delete": _says("Delete a database with all its collections", "", "Done", 403, 404),
    "collection.list": _says("List the collections of a database", "", _list(ref("Collection")), 400, 404, paged=True),
    "collection.create": _says("Make a collection, or get the one that exists", "NewCollection", "Collection", 400, 403, 404, 409),
    "collection.count_all": _says("Count the collections of a database", "", _number(), 404),
    "collection.by_id": _says("Look a collection up by id", "", "Collection", 400, 404),
    "collection.get": _says("Look a collection up by name", "", "Collection", 400, 404),
    "collection.delete": _says("Delete a collection with its records", "", "Done", 400, 403, 404, v1=_NOTHING),
    "collection.modify": _says("Rename or reconfigure a collection", "ChangedCollection", "Done", 400, 403, 404, 409, v1=_NOTHING),
    "collection.fork": _says("Copy a collection under a new name", "Fork", "Collection", 400, 403, 404, 409),
    "collection.fork_count": _says("Count the forks of a collection", "", "ForkCount", 400, 404),
    "collection.indexing_status": _says("Tell how far the index is", "", "IndexingStatus", 400, 404),
    "records.add": _says("Store records whose ids are new", "NewRecords", "Done", 400, 403, 404, v1={"enum": [True, None]}),
    "records.update": _says("Change records that exist", "ChangedRecords", "Done", 400, 403, 404, v1=_YES),
    "records.upsert": _says("Store records, be they new or not", "Records", "Done", 400, 403, 404, v1=_YES),
    "records.get": _says("Read the records that match, in collection order", "Get", "GetResult", 400, 404),
    "records.query": _says("Find the records nearest to vectors", "Query", "QueryResult", 400, 404),
    "records.delete": _says("Delete the records that match", "Delete", "Deleted", 400, 403, 404, v1=_list(_TEXT)),
    "records.count": _says("Count the records", "", _number(), 400, 404),
    "nb.tenants": _says("List the tenants", "", _list(_TEXT)),
    "nb.count_where": _says("Count the records that match", "Filter", _number(), 400, 404),
    "nb.describe": _says("Tell what the collection holds", "", "Summary", 400, 404),
    "nb.facets": _says("Count the values of a metadata key", "Facets", "FacetCounts", 400, 404),
    "nb.sample": _says("Draw matching records", "Sample", "GetResult", 400, 404),
    "nb.scan": _says("Read matching records page by page", "Scan", "Scanned", 400, 404),
    "nb.explain": _says("Tell how a query would be answered", "Explain", "Plan", 400, 404),
    "nb.columns": _says("Read some metadata keys of the records that match", "Columns", "Table", 400, 404),
    "nb.changed_since": _says("List the records whose embeddings are newer than a version of the data", "Since", "ChangedIds", 400, 404),
    "nb.get_layout": _says("Read a stored projection", "LayoutKey", "Layout", 400, 404),
    "nb.put_layout": _says("Store a projection", "NewLayout", "Done", 400, 403, 404),
    "nb.build_index": _says("Bring the index up to date", "", "Indexed", 400, 403, 404),
}
"""What every route says; the names are those of `chroma_nb.http.routes.ROUTES`."""

SCOPE: Final = {"tenant": {**_TEXT, "default": DEFAULT_TENANT}, "database": {**_TEXT, "default": DEFAULT_DATABASE}}
"""Tenant and database as version 1 takes them, in the query string."""
LISTED: Final = {"limit": _number(), "offset": {**_number(), "default": 0}}
"""Query parameters of lists."""
IN_PATH: Final[dict[str, Schema]] = {
    "tenant": {**_SOME_TEXT, "examples": [DEFAULT_TENANT]},
    "database": {**_SOME_TEXT, "examples": [DEFAULT_DATABASE]},
    "collection": {"type": "string", "format": "uuid"},
    "name": {**_SOME_TEXT, "description": "The collection's name."},
}
"""Parts of paths, percent-encoded."""
