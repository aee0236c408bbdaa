"""The client's side of each operation: the requests that carry it out, and its reply made of theirs.

``steps(session, op)`` is written once for clients with and without ``await``. What only our own server offers, and Chroma's
has to be asked for in several requests, is in `chroma_nb.http.emulation`; writes, which may have to be cut, in
`chroma_nb.http.batches`; projections, which not every server keeps, in `chroma_nb.http.layouts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from chroma_nb import ops
from chroma_nb.configuration import CHANGEABLE, Configuration, HnswParameters, parse_configuration
from chroma_nb.errors import BatchSizeExceededError, ChromaError, NotFoundError, UniqueConstraintError
from chroma_nb.filters import EVERYTHING
from chroma_nb.http import batches, decoding, emulation, layouts
from chroma_nb.http.session import Ask, Server, Session, Steps, scoped, understood
from chroma_nb.http.wire import dumps
from chroma_nb.results import CollectionInfo, DatabaseInfo, GetResult, Page, Plan, QueryResult, Summary, Table
from chroma_nb.scalars import Value

R = TypeVar("R")
_MOST = 2**31 - 1
"""As far as Chroma's server counts, and beyond any collection."""
_PAGE = 50_000
"""Records per request of a scan or a sample; more are asked for in several."""


def steps(session: Session, op: ops.Op[R]) -> Steps[R]:
    """Return the steps that carry out `op`."""
    made: Steps[R] = _STEPS[type(op)](session, op)
    return made


def _heartbeat(_: Session, op: ops.Heartbeat) -> Steps[int]:
    del op
    return (yield Ask("heartbeat")).read(decoding.heartbeat)


def _version(_: Session, op: ops.Version) -> Steps[str]:
    del op
    return (yield Ask("version")).read(decoding.text)


def _max_batch_size(session: Session, _: ops.MaxBatchSize) -> Steps[int]:
    return (yield from session.server()).rows


def _reset(session: Session, _: ops.Reset) -> Steps[None]:
    yield Ask("reset")
    session.layouts.clear()


def _create_tenant(_: Session, op: ops.CreateTenant) -> Steps[None]:
    yield Ask("tenant.create", body=dumps({"name": op.name}))


def _get_tenant(_: Session, op: ops.GetTenant) -> Steps[str]:
    return (yield Ask("tenant.get", {"tenant": op.name})).read(decoding.name)


def _list_tenants(session: Session, _: ops.ListTenants) -> Steps[list[str]]:
    if not (yield from session.server()).own:
        raise emulation.not_offered("list tenants")
    return (yield Ask("nb.tenants")).read(decoding.texts)


def _create_database(session: Session, op: ops.CreateDatabase) -> Steps[None]:
    if not (yield from session.server()).own:
        yield Ask("tenant.get", {"tenant": op.tenant})  # Chroma's makes databases of tenants that do not exist
    yield Ask("database.create", {"tenant": op.tenant}, dumps({"name": op.name}))


def _get_database(session: Session, op: ops.GetDatabase) -> Steps[DatabaseInfo]:
    if not (yield from session.server()).own:
        yield Ask("tenant.get", {"tenant": op.tenant})  # so that the error says which of the two is missing
    return (yield Ask("database.get", scoped(op.tenant, op.name))).read(decoding.database)


def _list_databases(_: Session, op: ops.ListDatabases) -> Steps[list[DatabaseInfo]]:
    answer = yield Ask("database.list", {"tenant": op.tenant}, query=_window(op.limit, op.offset))
    return answer.read(decoding.databases)


def _window(limit: int | None, offset: int) -> dict[str, str]:
    return {**({} if limit is None else {"limit": str(limit)}), **({"offset": str(offset)} if offset else {})}


def _delete_database(_: Session, op: ops.DeleteDatabase) -> Steps[None]:
    yield Ask("database.delete", scoped(op.tenant, op.name))


def _create_collection(session: Session, op: ops.CreateCollection) -> Steps[CollectionInfo]:
    server = yield from session.server()
    body: dict[str, Any] = {"name": op.name, "metadata": op.metadata, "get_or_create": op.get_or_create}
    if server.own:
        body["configuration"] = op.configuration.to_json()
    else:
        body["metadata"] = emulation.plain_collection_metadata(op.metadata)
        body["configuration"] = _as_chroma_takes_it(op)
    answer = yield Ask("collection.create", scoped(op.tenant, op.database), dumps(body))
    return (yield from _known(session, server, answer.read(decoding.collection_info)))


def _as_chroma_takes_it(op: ops.CreateCollection) -> dict[str, Any]:
    """Return the configuration in Chroma's words: all that is not its default, if anything is not said by the metadata."""
    chosen = op.configuration.hnsw
    said = chosen == parse_configuration(op.metadata, None).hnsw
    hnsw = {} if said else {name: value for name, value in asdict(chosen).items() if value != getattr(HnswParameters(), name)}
    return {**({"hnsw": hnsw} if hnsw else {}), "embedding_function": op.configuration.embedding_function}


def _known(session: Session, server: Server, info: CollectionInfo) -> Steps[CollectionInfo]:
    """Return what a server says of a collection, completed by what Chroma's has to be asked for."""
    session.seen(info)
    if server.own:
        return info
    return emulation.versioned(session, info, (yield from session.count(info.id)))


def _get_collection(session: Session, op: ops.GetCollection) -> Steps[CollectionInfo]:
    server = yield from session.server()
    answer = yield Ask("collection.get", scoped(op.tenant, op.database, name=op.name))
    return (yield from _known(session, server, answer.read(decoding.collection_info)))


def _get_collection_by_id(session: Session, op: ops.GetCollectionById) -> Steps[CollectionInfo]:
    server = yield from session.server()
    answer = yield Ask("collection.by_id", session.parts(op.collection))
    return (yield from _known(session, server, answer.read(decoding.collection_info)))


def _list_collections(session: Session, op: ops.ListCollections) -> Steps[list[CollectionInfo]]:
    server = yield from session.server()
    answer = yield Ask("collection.list", scoped(op.tenant, op.database), query=_window(op.limit, op.offset))
    found = answer.read(decoding.collections)
    if not server.own and not found:
        yield Ask("database.get", scoped(op.tenant, op.database))  # Chroma's lists nothing for what does not exist
    infos = []
    for info in found:
        infos.append((yield from _known(session, server, info)))  # noqa: PERF401 - no comprehension can yield
    return infos


def _count_collections(_: Session, op: ops.CountCollections) -> Steps[int]:
    return (yield Ask("collection.count_all", scoped(op.tenant, op.database))).read(decoding.number)


def _modify_collection(session: Session, op: ops.ModifyCollection) -> Steps[CollectionInfo]:
    server = yield from session.server()
    body: dict[str, Any] = {"new_name": op.name, "new_metadata": op.metadata if op.set_metadata else None}
    before = None if server.own else (yield from _get_collection_by_id(session, ops.GetCollectionById(op.collection)))
    if before is not None:
        body["new_metadata"] = emulation.plain_collection_metadata(body["new_metadata"])
        yield from _check_free(session, before, op.name)
    if op.configuration is not None:
        body["new_configuration"] = {"hnsw": _changes(op.configuration, before)}
    said = {key: value for key, value in body.items() if value is not None}
    answer = yield Ask("collection.modify", session.parts(op.collection), dumps(said))
    if before is None:
        return session.seen(answer.read(decoding.collection_info))
    return (yield from _get_collection_by_id(session, ops.GetCollectionById(op.collection)))


def _changes(wanted: Configuration, before: CollectionInfo | None) -> dict[str, Any]:
    names = sorted(CHANGEABLE)
    if before is not None:
        names = [name for name in names if getattr(wanted.hnsw, name) != getattr(before.configuration.hnsw, name)]
    return {name: getattr(wanted.hnsw, name) for name in names}


def _check_free(session: Session, info: CollectionInfo, name: str | None) -> Steps[None]:
    """Refuse a name that is taken; Chroma's server answers with an internal error."""
    if name is None or name == info.name:
        return
    try:
        yield from _get_collection(session, ops.GetCollection(info.tenant, info.database, name))
    except NotFoundError:
        return
    raise UniqueConstraintError(f"Collection [{name}] already exists")


def _fork_collection(session: Session, op: ops.ForkCollection) -> Steps[CollectionInfo]:
    if (yield from session.server()).own:
        answer = yield Ask("collection.fork", session.parts(op.collection), dumps({"new_name": op.name}), patient=True)
        return session.seen(answer.read(decoding.collection_info))
    info = yield from _get_collection_by_id(session, ops.GetCollectionById(op.collection))
    making = ops.CreateCollection(info.tenant, info.database, op.name, info.metadata, info.configuration)
    made = yield from _create_collection(session, making)
    try:
        yield from emulation.copied(session, op.collection, made.id)
    except ChromaError:
        yield Ask("collection.delete", scoped(made.tenant, made.database, name=made.name))
        raise
    return (yield from _get_collection_by_id(session, ops.GetCollectionById(made.id)))


def _delete_collection(session: Session, op: ops.DeleteCollection) -> Steps[None]:
    yield from session.server()
    yield Ask("collection.delete", scoped(op.tenant, op.database, name=op.name))


def _delete(session: Session, op: ops.Delete) -> Steps[int]:
    server = yield from session.server()
    if op.ids == []:
        return 0
    if not server.own or not understood(op.filter, server):
        return (yield from emulation.deleted(session, op))
    # {} and not null: everything is meant, if there is no filter.
    body: dict[str, Any] = {"ids": op.ids, "limit": op.limit, "where": {}}
    answer = yield session.ask("records.delete", op.collection, body, op.filter)
    return answer.read(decoding.deleted)


def _count(session: Session, op: ops.Count) -> Steps[int]:
    server = yield from session.server()
    if op.filter is EVERYTHING:
        return (yield from session.count(op.collection))
    if not server.own or not understood(op.filter, server):
        return (yield from emulation.counted(session, op))
    return (yield session.ask("nb.count_where", op.collection, {}, op.filter)).read(decoding.number)


def _get(session: Session, op: ops.Get) -> Steps[GetResult]:
    server = yield from session.server()
    if not understood(op.filter, server):
        return (yield from emulation.got(session, op))
    most = None if op.limit is None else min(op.limit, _MOST)
    body = {"ids": op.ids, "limit": most, "offset": min(op.offset, _MOST), "include": sorted(op.include)}
    answer = yield session.ask("records.get", op.collection, body, op.filter)
    return answer.read(decoding.get_result, op.include, most, op.ids)


def _query(session: Session, op: ops.Query) -> Steps[QueryResult]:
    server = yield from session.server()
    ids, where = op.ids, op.filter
    if not understood(where, server) or (ids is not None and not server.own):  # Chroma's fails over an id it does not have
        ids, where = (yield from emulation.named(session, op.collection, ids, where)), EVERYTHING
    if ids == []:
        yield from emulation.check_dimension(session, op)
        return emulation.nothing_found(op)
    wanted, smallest = min(op.n_results, _MOST), False
    waiting, parts = [op.vectors], []
    while waiting:
        vectors = waiting.pop()
        body = {"query_embeddings": vectors, "n_results": wanted, "ids": ids, "include": sorted(op.include)}
        try:
            answer = yield session.ask("records.query", op.collection, body, where)
        except BatchSizeExceededError:
            count = yield from session.count(op.collection)
            if len(vectors) == 1 and (wanted <= count or smallest):
                raise
            smallest = len(vectors) == 1
            half = (len(vectors) + 1) // 2
            waiting += [part for part in (vectors[half:], vectors[:half]) if len(part)]
            wanted = min(wanted, max(count, 1))
            continue
        parts.append(answer.read(decoding.query_result, op.include, len(vectors), wanted))
    return parts[0] if len(parts) == 1 else emulation.queries_joined(parts, op.include)


def _explain(session: Session, op: ops.Explain) -> Steps[Plan]:
    server, query = (yield from session.server()), op.query
    if not server.own or not understood(query.filter, server):
        return (yield from emulation.explained(session, query))
    body = {"query_embeddings": query.vectors, "n_results": query.n_results, "ids": query.ids}
    return (yield session.ask("nb.explain", query.collection, body, query.filter)).read(decoding.plan)


def _scan_page(session: Session, op: ops.ScanPage) -> Steps[Page]:
    server = yield from session.server()
    if not server.own or not understood(op.filter, server):
        return (yield from emulation.scanned(session, op))
    cursor, left, parts = op.cursor, op.limit, list[GetResult]()
    while True:
        most = min(left, _PAGE)
        answer = yield session.ask("nb.scan", op.collection, {"cursor": cursor, "limit": most, "include": sorted(op.include)}, op.filter)
        page, cursor = answer.read(decoding.page, op.include, most, cursor)
        parts.append(page)
        left -= len(page)
        if cursor is None or left <= 0:
            return Page(parts[0] if len(parts) == 1 else decoding.joined(parts, op.include), cursor)


def _sample(session: Session, op: ops.Sample) -> Steps[GetResult]:
    server = yield from session.server()
    if not server.own or not understood(op.filter, server) or op.n > _PAGE:
        return (yield from emulation.sampled(session, op))
    body = {"n": op.n, "seed": op.seed, "include": sorted(op.include)}
    return (yield session.ask("nb.sample", op.collection, body, op.filter)).read(decoding.get_result, op.include, op.n)


def _describe(session: Session, op: ops.Describe) -> Steps[Summary]:
    if (yield from session.server()).own:
        found = (yield session.ask("nb.describe", op.collection, {})).read(decoding.summary)
        session.seen(found.info)
        return found
    info = yield from _get_collection_by_id(session, ops.GetCollectionById(op.collection))
    return (yield from emulation.described(session, info))


def _facets(session: Session, op: ops.Facets) -> Steps[list[tuple[Value, int]]]:
    server = yield from session.server()
    if not server.own or not understood(op.filter, server):
        return (yield from emulation.facets(session, op))
    return (yield session.ask("nb.facets", op.collection, {"key": op.key, "top": op.top}, op.filter)).read(decoding.facets)


def _columns(session: Session, op: ops.Columns) -> Steps[Table]:
    server = yield from session.server()
    if not server.own or not understood(op.filter, server):
        return (yield from emulation.columned(session, op))
    return (yield session.ask("nb.columns", op.collection, {"keys": op.keys}, op.filter)).read(decoding.table, op.keys)


def _changed_since(session: Session, op: ops.ChangedSince) -> Steps[list[str] | None]:
    if not (yield from session.server()).own:
        return None
    return (yield session.ask("nb.changed_since", op.collection, {"version": op.version})).read(decoding.changes)


def _build_index(session: Session, op: ops.BuildIndex) -> Steps[None]:
    if not (yield from session.server()).own:
        yield Ask("records.count", session.parts(op.collection))  # it indexes by itself; at least the collection must be there
        return
    answer = yield session.ask("nb.build_index", op.collection, {}, patient=True)
    if op.progress is not None:
        op.progress(answer.read(decoding.indexed))


_STEPS: dict[type, Callable[[Session, Any], Any]] = {
    ops.Heartbeat: _heartbeat,
    ops.Version: _version,
    ops.MaxBatchSize: _max_batch_size,
    ops.Reset: _reset,
    ops.CreateTenant: _create_tenant,
    ops.GetTenant: _get_tenant,
    ops.ListTenants: _list_tenants,
    ops.CreateDatabase: _create_database,
    ops.GetDatabase: _get_database,
    ops.ListDatabases: _list_databases,
    ops.DeleteDatabase: _delete_database,
    ops.CreateCollection: _create_collection,
    ops.GetCollection: _get_collection,
    ops.GetCollectionById: _get_collection_by_id,
    ops.ListCollections: _list_collections,
    ops.CountCollections: _count_collections,
    ops.ModifyCollection: _modify_collection,
    ops.ForkCollection: _fork_collection,
    ops.DeleteCollection: _delete_collection,
    ops.Add: batches.added,
    ops.Upsert: batches.upserted,
    ops.Update: batches.updated,
    ops.Delete: _delete,
    ops.Count: _count,
    ops.Get: _get,
    ops.Query: _query,
    ops.Explain: _explain,
    ops.ScanPage: _scan_page,
    ops.Sample: _sample,
    ops.Describe: _describe,
    ops.Facets: _facets,
    ops.Columns: _columns,
    ops.ChangedSince: _changed_since,
    ops.GetLayout: layouts.got,
    ops.PutLayout: layouts.put,
    ops.BuildIndex: _build_index,
}
