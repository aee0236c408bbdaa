"""The server side: a request becomes operations, their replies a reply. No sockets, no framework, no threads.

``answer(execute, request)`` serves every route of both versions of the API. What a client of some generation reads
differently is asked of its `Speaker`; everything else is said once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from chroma_nb import ops
from chroma_nb._version import __version__
from chroma_nb.configuration import Configuration, changed_configuration, parse_configuration
from chroma_nb.errors import AuthorizationError, ChromaError, InvalidTypeError
from chroma_nb.http.call import DEFAULT_DATABASE, DEFAULT_TENANT, Call, Handler, Service
from chroma_nb.http.message import SERVER_HEADER, Reply, Request
from chroma_nb.http.pieces import pieces, size_of
from chroma_nb.http.routes import UNIMPLEMENTED, resolve
from chroma_nb.http.serving_own import HANDLERS as OWN
from chroma_nb.http.serving_records import HANDLERS as RECORDS
from chroma_nb.http.serving_records import check_size
from chroma_nb.http.speaker import Speaker
from chroma_nb.http.wire import dumper, dumps, thawed
from chroma_nb.names import CHROMA_NAMES, collection_name, scope_name
from chroma_nb.records import collection_metadata

_AT_ONCE = 4 << 20
"""Bytes up to which a reply is written before it is sent, so that its length can be said."""
_JSON = {"content-type": "application/json", SERVER_HEADER: __version__, "x-content-type-options": "nosniff", "cache-control": "no-store"}


def answer(service: Service, request: Request) -> Reply:
    """Carry out a request and return the reply; no error leaves this function."""
    found = resolve(request.method, request.path)
    version = 1 if request.path.startswith("/api/v1") else 2
    speaker = Speaker.of(version, request.headers)
    if isinstance(found, set):
        return _lost(request, found)
    try:
        if found.route.writes and service.read_only:
            raise AuthorizationError("this server is read-only; start it without --read-only to write")
        given = _HANDLERS[found.route.name](Call(service, found, request, speaker))
        return _written(given, 201 if found.route.name == "records.add" else 200, service.limits.reply, speaker)
    except ChromaError as error:
        return refusal(*speaker.refusal(error, of_collection=found.route.name.startswith(("collection.", "records."))))
    except RecursionError:
        return refusal(400, {"error": "InvalidArgumentError", "message": "body: nested too deeply"})


def _written(value: Any, status: int, limit: int, speaker: Speaker) -> Reply:
    """Return the reply of what a handler gave: written down if it is small, else piece by piece while it is sent."""
    following = pieces(value, dumper(instants_as_text=not speaker.typed))
    begun, size = [], 0
    for piece in following:
        begun.append(piece)
        size += len(piece)
        if size > _AT_ONCE:
            break
    else:
        return Reply(status, b"".join(begun), _JSON)
    size = size_of(value)
    check_size(size, limit)
    return Reply(status, begun[0], _JSON, _joined(begun[:0:-1], following), size)


def _joined(begun: list[bytes], following: Iterator[bytes]) -> Iterator[bytes]:
    """Give the pieces that were written already, the last of the list first, each kept no longer than needed; then the others."""
    while begun:
        yield begun.pop()
    yield from following


def refusal(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error's reply, with the id Chroma's clients show as ``trace_id``."""
    return Reply(status, dumps(body), {**_JSON, "chroma-trace-id": secrets.token_hex(16), **(headers or {})})


def _lost(request: Request, methods: set[str]) -> Reply:
    if methods:
        message = f"{request.method} is not allowed here; use {', '.join(sorted(methods))}"
        return refusal(405, {"error": "MethodNotAllowed", "message": message}, {"allow": ", ".join(sorted(methods))})
    if request.path.endswith(UNIMPLEMENTED):
        return refusal(501, {"error": "Unimplemented", "message": "this server does not offer search and attached functions"})
    return refusal(404, {"error": "NotFoundError", "message": f"no such route: {request.path[:200]}"})


def _heartbeat(call: Call) -> Any:
    return {"nanosecond heartbeat": call.service.execute(ops.Heartbeat())}


def _pre_flight(call: Call) -> Any:
    size = min(call.service.execute(ops.MaxBatchSize()), call.service.limits.rows)
    return {"max_batch_size": size} if call.v1 else {"max_batch_size": size, "supports_base64_encoding": True}


def _identity(call: Call) -> Any:
    del call
    return {"user_id": "", "tenant": DEFAULT_TENANT, "databases": [DEFAULT_DATABASE]}


def _reset(call: Call) -> Any:
    if not call.service.allow_reset:
        raise AuthorizationError("Reset is disabled by config: start the server with --allow-reset if you mean to delete everything")
    call.service.execute(ops.Reset())
    return True


def _name(body: Mapping[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str):
        raise InvalidTypeError("name: expected a text")
    return name


def _create_tenant(call: Call) -> Any:
    call.service.execute(ops.CreateTenant(scope_name(_name(call.body()), "tenant")))
    return call.done()


def _get_tenant(call: Call) -> Any:
    name = call.service.execute(ops.GetTenant(call.part("tenant")))
    return {"name": name} if call.v1 or call.speaker.is_strict else {"name": name, "resource_name": None}


def _update_tenant(call: Call) -> Any:
    if not isinstance(call.body().get("resource_name"), (str, type(None))):
        raise InvalidTypeError("resource_name: expected a text")
    call.service.execute(ops.GetTenant(call.part("tenant")))
    return call.done()


def _database_json(info: Any) -> dict[str, str]:
    return {"id": info.id, "name": info.name, "tenant": info.tenant}


def _list_databases(call: Call) -> Any:
    query = call.request.query
    op = ops.ListDatabases(call.part("tenant"), call.number(query, "limit", None), call.number(query, "offset", 0) or 0)
    return [_database_json(info) for info in call.service.execute(op)]


def _create_database(call: Call) -> Any:
    call.service.execute(ops.CreateDatabase(call.part("tenant"), scope_name(_name(call.body()), "database")))
    return call.done()


def _get_database(call: Call) -> Any:
    return _database_json(call.service.execute(ops.GetDatabase(*call.scope)))


def _delete_database(call: Call) -> Any:
    call.service.execute(ops.DeleteDatabase(*call.scope))
    return call.done()


def _list_collections(call: Call) -> Any:
    query = call.request.query
    op = ops.ListCollections(*call.scope, call.number(query, "limit", None), call.number(query, "offset", 0) or 0)
    return [call.speaker.collection(info, listed=True) for info in call.service.execute(op)]


def _create_collection(call: Call) -> Any:
    body = call.body()
    given = body.get("metadata")
    metadata = None if given is None else collection_metadata(thawed(given))
    configuration = parse_configuration(metadata, _configuration(body))
    get_or_create = body.get("get_or_create") or False
    if not isinstance(get_or_create, bool):
        raise InvalidTypeError(f"get_or_create: expected true or false, got {type(get_or_create).__name__}")
    name = collection_name(_name(body), CHROMA_NAMES)
    op = ops.CreateCollection(*call.scope, name, metadata, configuration, get_or_create=get_or_create)
    return call.speaker.collection(call.service.execute(op))


def _configuration(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the configuration a client sent, be it of the old form, the new one, or part of a schema."""
    given = body.get("configuration")
    if isinstance(given, dict) and "_type" in given:
        old = given.get("hnsw_configuration") or {}
        renamed = {"M": "max_neighbors"}
        known = {renamed.get(key, key): value for key, value in old.items() if key != "_type"} if isinstance(old, dict) else {}
        return {"hnsw": known}
    if given is None and isinstance(body.get("schema"), dict):
        return _from_schema(body["schema"])
    if given is not None and not isinstance(given, dict):
        raise InvalidTypeError("configuration: expected an object")
    return given


def _from_schema(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    place: Any = schema
    for key in ("keys", "#embedding", "float_list", "vector_index", "config"):
        place = place.get(key) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        return None
    hnsw = {key: value for key, value in (place.get("hnsw") or {}).items() if value is not None}
    if place.get("space") is not None:
        hnsw["space"] = place["space"]
    return {"hnsw": hnsw, "embedding_function": place.get("embedding_function")}


def _count_collections(call: Call) -> Any:
    return call.service.execute(ops.CountCollections(*call.scope))


def _get_collection(call: Call) -> Any:
    if call.v1 and call.request.query.get("type"):  # 0.4 looks up by id this way
        return call.speaker.collection(call.service.execute(ops.GetCollectionById(call.request.query["type"])))
    return call.speaker.collection(call.service.execute(ops.GetCollection(*call.scope, call.found.parts["name"])))


def _get_collection_by_id(call: Call) -> Any:
    return call.speaker.collection(call.service.execute(ops.GetCollectionById(call.collection)))


def _delete_collection(call: Call) -> Any:
    call.service.execute(ops.DeleteCollection(*call.scope, call.found.parts["name"]))
    return call.done()


def _modify_collection(call: Call) -> Any:
    body = call.body()
    name, metadata, configuration = body.get("new_name"), body.get("new_metadata"), body.get("new_configuration")
    current: Configuration | None = None
    if configuration is not None:
        if not isinstance(configuration, dict) or not isinstance(configuration.get("embedding_function"), (dict, type(None))):
            raise InvalidTypeError("new_configuration: expected an object such as {'hnsw': {'ef_search': 200}}")
        info = call.service.execute(ops.GetCollectionById(call.collection))
        current = changed_configuration(info.configuration, configuration)
    op = ops.ModifyCollection(
        call.collection,
        None if name is None else collection_name(name, CHROMA_NAMES),
        None if metadata is None else collection_metadata(thawed(metadata)),
        set_metadata=metadata is not None,
        configuration=current,
    )
    info = call.service.execute(op)
    return call.speaker.collection(info) if call.speaker.typed else call.done()


def _fork(call: Call) -> Any:
    name = collection_name(call.body().get("new_name"), CHROMA_NAMES)
    return call.speaker.collection(call.service.execute(ops.ForkCollection(call.collection, name)))


def _fork_count(call: Call) -> Any:
    call.service.execute(ops.GetCollectionById(call.collection))
    return {"count": 0}


def _indexing_status(call: Call) -> Any:
    summary = call.service.execute(ops.Describe(call.collection))
    total = summary.index.indexed + summary.index.pending
    return {
        "num_indexed_ops": summary.index.indexed,
        "num_unindexed_ops": summary.index.pending,
        "total_ops": total,
        "op_indexing_progress": summary.index.indexed / total if total else 1.0,
    }


_HANDLERS: dict[str, Handler] = {
    **RECORDS,
    **OWN,
    "root": _heartbeat,
    "heartbeat": _heartbeat,
    "version": lambda call: call.service.execute(ops.Version()),
    "healthcheck": lambda _: {"is_executor_ready": True, "is_log_client_ready": True},
    "pre_flight_checks": _pre_flight,
    "identity": _identity,
    "reset": _reset,
    "tenant.create": _create_tenant,
    "tenant.get": _get_tenant,
    "tenant.update": _update_tenant,
    "database.list": _list_databases,
    "database.create": _create_database,
    "database.get": _get_database,
    "database.delete": _delete_database,
    "collection.list": _list_collections,
    "collection.create": _create_collection,
    "collection.count_all": _count_collections,
    "collection.by_id": _get_collection_by_id,
    "collection.get": _get_collection,
    "collection.delete": _delete_collection,
    "collection.modify": _modify_collection,
    "collection.fork": _fork,
    "collection.fork_count": _fork_count,
    "collection.indexing_status": _indexing_status,
}
