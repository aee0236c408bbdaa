"""The embedded engine: a backend that executes operations on one store.

An operation walks from here to the catalogue, the reader or writer, and the search, and its reply comes back; nothing here
knows pandas, HTTP or notebooks. One engine serves a store for the whole process, from any number of threads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chroma_nb import ops, stopping
from chroma_nb._version import __version__
from chroma_nb.engine import caches, catalog, graph, layouts, reading, schema, view
from chroma_nb.engine import folder as files
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.cells import cells_at
from chroma_nb.engine.database import CACHES, RECORDS, Database
from chroma_nb.engine.encoding import encode
from chroma_nb.engine.indexer import Indexer, worth_it
from chroma_nb.engine.memory import Memory, OutdatedReadError, outside
from chroma_nb.engine.plan import SMALL
from chroma_nb.engine.scanning import scanning
from chroma_nb.engine.search import Search, matching
from chroma_nb.engine.writing import Change
from chroma_nb.errors import AuthorizationError, ClosedError
from chroma_nb.filters import EVERYTHING
from chroma_nb.results import (
    CollectionInfo,
    DatabaseInfo,
    FieldSummary,
    GetResult,
    IndexState,
    Layout,
    Page,
    Plan,
    QueryResult,
    Summary,
    Table,
    Written,
)
from chroma_nb.scalars import Value

R = TypeVar("R")
MAX_BATCH_SIZE = 41_666
"""What Chroma's clients are told; our own verbs split nothing below it and never show it."""
_STRAY_AGE = 3600.0
_log = logging.getLogger("chroma_nb")
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()

Reading = Callable[[Any, Entry, view.View], R]


class Engine:
    """Executes operations on the store in `folder` (None: in memory).

    Parameters
    ----------
    allow_reset
        Whether `ops.Reset` may empty the store.
    read_only
        Refuse every write.
    trust_caches
        Whether to use the saved columns and graphs of the folder; by default if it is this user's.
    """

    def __init__(
        self, folder: Path | None, *, allow_reset: bool = False, read_only: bool = False, trust_caches: bool | None = None
    ) -> None:
        with stopping.held_back():
            self._database = Database(folder, read_only=read_only)
            self.allow_reset = allow_reset
            self._memory = Memory(self._database, trust_caches=_are_trusted(folder) if trust_caches is None else trust_caches)
            self._indexer = Indexer(self._database, self._memory)
            self._closing = threading.Lock()
            self._closed = False
            try:
                with self._database.read() as connection:
                    caches.remove_strays(self._database, connection, time.time() - _STRAY_AGE)
            except BaseException:
                self._database.close()
                raise
            _engines.add(self)

    @property
    def place(self) -> str:
        """Where the store lives, for messages and reprs."""
        return self._database.place

    @property
    def folder(self) -> Path | None:
        """The store's folder; None in memory."""
        return self._database.folder

    @property
    def closed(self) -> bool:
        """Whether the engine was closed."""
        return self._closed

    @property
    def gone(self) -> bool:
        """Whether the store was removed or replaced behind the engine's back."""
        return self._database.is_gone()

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._database.read_only

    @property
    def trust_caches(self) -> bool:
        """Whether saved columns and graphs are used."""
        return self._memory.trust_caches

    def execute(self, op: ops.Op[R]) -> R:
        """Carry out `op` and return its reply.

        Raises
        ------
        ChromaError
            As the operation says; the store is as it was before.
        """
        if self._closed:
            raise ClosedError(f"the client of {self.place} is closed; make a new one")
        with stopping.held_back():
            reply: R = _HANDLERS[type(op)](self, op)
        return reply

    def close(self) -> None:
        """Stop background work, save what spares the next start some work, close the store; safe to call twice."""
        with stopping.held_back(), stopping.taking(self._closing):
            if self._closed:
                return
            self._indexer.stop()
            with contextlib.suppress(Exception):
                self._save_views()
            self._closed = True
            self._database.close()
            self._memory.renew()

    def _save_views(self) -> None:
        if self._database.folder is None or self._database.read_only:
            return
        with self._database.read() as connection:
            entries = [
                catalog.by_id(connection, identifier) for identifier in self._memory.held() if catalog.exists(connection, identifier)
            ]
        for entry in entries:
            held = self._memory.held_view(entry.info.id)
            if held is not None:
                self._memory.save_columns(entry, held)

    def renew(self) -> None:
        """Start afresh in a forked child: its threads, locks and connections are not the parent's."""
        self._closing = threading.Lock()
        self._memory.renew()
        self._indexer.renew()

    def _reading(self, collection: str, body: Reading[R]) -> R:
        """Run `body` on a collection's entry and the view of the very state that its connection sees."""
        lending = True
        while True:
            with self._database.read(lending=lending) as connection:
                entry = catalog.by_id(connection, collection)
                try:
                    return body(connection, entry, self._memory.view(connection, entry))
                except OutdatedReadError:
                    lending = False

    def _heartbeat(self, _: ops.Heartbeat) -> int:
        self._database.check_usable()
        return time.time_ns()

    def _version(self, _: ops.Version) -> str:
        return __version__

    def _max_batch_size(self, _: ops.MaxBatchSize) -> int:
        return MAX_BATCH_SIZE

    def _reset(self, _: ops.Reset) -> None:
        if not self.allow_reset:
            raise AuthorizationError(
                "Resetting is not allowed by this configuration: make the client with allow_reset=True if you mean to delete everything"
            )
        with self._database.write() as connection:
            for number in catalog.numbers(connection):
                catalog.delete(connection, number)
            # With a condition, because without one SQLite frees a table's pages by itself, and looks at nothing meanwhile.
            with scanning(connection):
                connection.execute("DELETE FROM database WHERE true")
                connection.execute("DELETE FROM tenant WHERE true")
                schema.add_defaults(connection)
        self._memory.renew()

    def _create_tenant(self, op: ops.CreateTenant) -> None:
        with self._database.write() as connection:
            catalog.create_tenant(connection, op.name)

    def _get_tenant(self, op: ops.GetTenant) -> str:
        with self._database.read() as connection:
            catalog.tenant_number(connection, op.name)
        return op.name

    def _list_tenants(self, _: ops.ListTenants) -> list[str]:
        with self._database.read() as connection:
            return catalog.tenants(connection)

    def _create_database(self, op: ops.CreateDatabase) -> None:
        with self._database.write() as connection:
            catalog.create_database(connection, op.tenant, op.name)

    def _get_database(self, op: ops.GetDatabase) -> DatabaseInfo:
        with self._database.read() as connection:
            return catalog.database(connection, op.tenant, op.name)

    def _list_databases(self, op: ops.ListDatabases) -> list[DatabaseInfo]:
        with self._database.read() as connection:
            return catalog.databases(connection, op.tenant, op.limit, op.offset)

    def _delete_database(self, op: ops.DeleteDatabase) -> None:
        with self._database.write() as connection:
            catalog.delete_database(connection, op.tenant, op.name)

    def _create_collection(self, op: ops.CreateCollection) -> CollectionInfo:
        with self._database.read() as connection:
            found = catalog.find(connection, catalog.database_number(connection, op.tenant, op.database), op.name)
        if found is not None and op.get_or_create:
            return found.info
        with self._database.write() as connection:
            database = catalog.database_number(connection, op.tenant, op.database)
            found = catalog.find(connection, database, op.name) if op.get_or_create else None
            return (found or catalog.create(connection, database, op.name, op.metadata, op.configuration)).info

    def _get_collection(self, op: ops.GetCollection) -> CollectionInfo:
        with self._database.read() as connection:
            return catalog.by_name(connection, op.tenant, op.database, op.name).info

    def _get_collection_by_id(self, op: ops.GetCollectionById) -> CollectionInfo:
        with self._database.read() as connection:
            return catalog.by_id(connection, op.collection).info

    def _list_collections(self, op: ops.ListCollections) -> list[CollectionInfo]:
        with self._database.read() as connection:
            return catalog.listing(connection, op.tenant, op.database, op.limit, op.offset)

    def _count_collections(self, op: ops.CountCollections) -> int:
        with self._database.read() as connection:
            return catalog.count(connection, op.tenant, op.database)

    def _modify_collection(self, op: ops.ModifyCollection) -> CollectionInfo:
        with self._database.write() as connection:
            entry = catalog.by_id(connection, op.collection)
            catalog.modify(connection, entry, op.name, op.configuration)
            if op.set_metadata:
                catalog.set_metadata(connection, entry, op.metadata)
            return catalog.by_id(connection, op.collection).info

    def _fork_collection(self, op: ops.ForkCollection) -> CollectionInfo:
        with self._database.write() as connection:
            return catalog.fork(connection, catalog.by_id(connection, op.collection), op.name).info

    def _delete_collection(self, op: ops.DeleteCollection) -> None:
        with self._database.write() as connection:
            entry = catalog.by_name(connection, op.tenant, op.database, op.name)
            catalog.delete(connection, entry.number)
        self._memory.forget(entry.info.id)

    def _add(self, op: ops.Add) -> Written:
        batch = encode(op.records)
        return self._writing(op.collection, lambda change: change.add(batch), op.progress)

    def _upsert(self, op: ops.Upsert) -> Written:
        batch = encode(op.records)
        return self._writing(op.collection, lambda change: change.upsert(batch), op.progress)

    def _update(self, op: ops.Update) -> Written:
        return self._writing(op.collection, lambda change: change.update(op.records))

    def _writing(self, collection: str, body: Callable[[Change], R], progress: Callable[[int], Any] | None = None) -> R:
        with self._database.write() as connection:
            entry = catalog.by_id(connection, collection)
            reply = body(Change(connection, entry, progress))
        self._indexer.poke(collection)
        return reply

    def _delete(self, op: ops.Delete) -> int:
        while True:
            with self._database.write() as connection:
                entry = catalog.by_id(connection, op.collection)
                try:
                    rows = self._rows(connection, entry, op.ids, op.filter, op.limit, 0)
                except OutdatedReadError:
                    continue
                removed = Change(connection, entry).delete(rows)
            self._indexer.poke(op.collection)
            return removed

    def _rows(self, connection: Any, entry: Entry, ids: list[str] | None, where: Any, limit: int | None, offset: int) -> reading.Rows:
        """Return the rows that match, in collection order; filters alone need the view."""
        if where is EVERYTHING:
            if ids is None:
                return reading.first_rows(connection, entry, -1, limit, offset)
            rows = reading.rows_of(connection, entry, ids)
        else:
            current = self._memory.view(connection, entry)
            mask = matching(connection, entry, current, ids, where)
            assert mask is not None  # noqa: S101 - there is a filter
            rows = np.sort(current.rows[np.flatnonzero(mask)])
        return rows[offset:] if limit is None else rows[offset : offset + limit]

    def _count(self, op: ops.Count) -> int:
        if op.filter is EVERYTHING:
            with self._database.read() as connection:
                return catalog.by_id(connection, op.collection).info.count

        def counted(connection: Any, entry: Entry, current: view.View) -> int:
            mask = matching(connection, entry, current, None, op.filter)
            return current.count if mask is None else int(np.count_nonzero(mask))

        return self._reading(op.collection, counted)

    def _get(self, op: ops.Get) -> GetResult:
        lending = True
        while True:
            with self._database.read(lending=lending) as connection:
                entry = catalog.by_id(connection, op.collection)
                try:
                    rows = self._rows(connection, entry, op.ids, op.filter, op.limit, op.offset)
                except OutdatedReadError:
                    lending = False
                    continue
                return reading.fetch(connection, entry, rows, op.include)

    def _query(self, op: ops.Query) -> QueryResult:
        def found(connection: Any, entry: Entry, current: view.View) -> QueryResult:
            search = self._search(connection, entry, current, op)
            hits = search.run()
            positions = np.concatenate([positions for positions, _ in hits])
            fetch = reading.fetch_repeated if len(hits) > 1 else reading.fetch
            records = fetch(connection, entry, current.rows[positions], op.include)
            distances = np.concatenate([distances for _, distances in hits]) if "distances" in op.include else None
            return QueryResult(records, [len(positions) for positions, _ in hits], distances)

        return self._reading(op.collection, found)

    def _search(self, connection: Any, entry: Entry, current: view.View, op: ops.Query) -> Search:
        if current.count <= SMALL or not graph.usable():
            return Search.of(connection, entry, current, None, op)
        held = self._memory.graph(connection, entry)
        if worth_it(current, held):  # it was never built, or another process has written a lot
            self._indexer.poke(op.collection)
        return Search.of(connection, entry, current, held, op)

    def _explain(self, op: ops.Explain) -> Plan:
        return self._reading(
            op.query.collection, lambda connection, entry, current: self._search(connection, entry, current, op.query).plan
        )

    def _scan_page(self, op: ops.ScanPage) -> Page:
        after = -1 if op.cursor is None else op.cursor

        def page(connection: Any, entry: Entry, rows: reading.Rows) -> Page:
            records = reading.fetch(connection, entry, rows, op.include)
            return Page(records, int(rows[-1]) if len(rows) == op.limit else None)

        if op.filter is EVERYTHING:
            with self._database.read() as connection:
                entry = catalog.by_id(connection, op.collection)
                return page(connection, entry, reading.first_rows(connection, entry, after, op.limit))

        def filtered(connection: Any, entry: Entry, current: view.View) -> Page:
            mask = matching(connection, entry, current, None, op.filter)
            assert mask is not None  # noqa: S101 - there is a filter
            rows = current.rows[np.flatnonzero(mask)]
            return page(connection, entry, np.sort(rows[rows > after])[: op.limit])

        return self._reading(op.collection, filtered)

    def _sample(self, op: ops.Sample) -> GetResult:
        def sampled(connection: Any, entry: Entry, current: view.View) -> GetResult:
            mask = matching(connection, entry, current, None, op.filter)
            rows = np.sort(current.rows[np.flatnonzero(current.alive if mask is None else mask)])
            chosen = np.random.default_rng(op.seed).choice(len(rows), size=min(op.n, len(rows)), replace=False)
            return reading.fetch(connection, entry, rows[np.sort(chosen)], op.include)

        return self._reading(op.collection, sampled)

    def _describe(self, op: ops.Describe) -> Summary:
        def described(connection: Any, entry: Entry, current: view.View) -> Summary:
            held = self._memory.graph(connection, entry) if current.count > SMALL else self._memory.held_graph(op.collection)
            pending, stale = outside(current, held) if held is not None else (np.flatnonzero(current.alive), 0)
            indexed = 0 if held is None else len(held.labels) - stale
            with scanning(connection):
                documents = connection.execute(
                    "SELECT count(document) FROM record WHERE key BETWEEN ? AND ?", schema.span(entry.number)
                ).fetchone()[0]
            return Summary(
                entry.info,
                tuple(self._field(current, key) for key in current.columns),
                documents,
                IndexState(indexed, len(pending), self._indexer.is_building(op.collection) and current.count > SMALL),
            )

        return self._reading(op.collection, described)

    @staticmethod
    def _field(current: view.View, key: str) -> FieldSummary:
        stopping.check()  # there may be a key of its own for every record
        return current.columns.summary(key, current.alive if current.dead else None)

    def _facets(self, op: ops.Facets) -> list[tuple[Value, int]]:
        def counted(connection: Any, entry: Entry, current: view.View) -> list[tuple[Value, int]]:
            mask = matching(connection, entry, current, None, op.filter)
            if mask is None and current.dead:
                mask = current.alive
            return current.columns.facets(op.key, mask, op.top)

        return self._reading(op.collection, counted)

    def _columns(self, op: ops.Columns) -> Table:
        def chosen(connection: Any, entry: Entry, current: view.View) -> Table:
            mask = matching(connection, entry, current, None, op.filter)
            positions = current.in_order(np.flatnonzero(current.alive if mask is None else mask))
            cells = {key: cells_at(current.columns.get(key), positions) for key in op.keys}
            return Table(current.ids.at(positions), cells)

        return self._reading(op.collection, chosen)

    def _changed_since(self, op: ops.ChangedSince) -> list[str] | None:
        def changed(connection: Any, entry: Entry, current: view.View) -> list[str] | None:
            if op.version >= entry.info.vectors_version:
                return []
            if not schema.is_present(connection):
                return None
            first = schema.span(entry.number, max(op.version, 0) + 1)[0]
            line = connection.execute("SELECT label FROM change WHERE key = ?", (first,)).fetchone()
            if op.version < entry.floor or line is None:
                return None
            if type(line[0]) is not int:
                raise reading.damaged(entry, "its journal is damaged")
            return current.ids.at(current.in_order(np.flatnonzero(current.alive & (current.labels >= line[0]))))

        return self._reading(op.collection, changed)

    def _get_layout(self, op: ops.GetLayout) -> Layout | None:
        with self._database.read() as connection:
            return layouts.load(connection, catalog.by_id(connection, op.collection), op)

    def _put_layout(self, op: ops.PutLayout) -> None:
        if self._database.read_only:
            return
        stored = layouts.encode(op)
        with self._database.write() as connection:
            layouts.save(connection, catalog.by_id(connection, op.collection), stored)

    def _build_index(self, op: ops.BuildIndex) -> None:
        with self._database.read() as connection:
            catalog.by_id(connection, op.collection)

        def going_on(added: int) -> bool:
            stopping.check()
            if op.progress is not None:
                with stopping.released():
                    op.progress(added)
            return True

        self._indexer.maintain(op.collection, going_on, force=True)


def _are_trusted(folder: Path | None) -> bool:
    """Tell whether the caches of a store are used when nobody says so; that they are not is said in the log."""
    if folder is None or files.is_own(folder, folder / RECORDS):
        return True
    if files.has_caches(folder / CACHES):
        _log.warning(
            "chroma_nb: %s belongs to another user, so its saved columns and graphs are not used, but made anew, which takes longer;"
            " pass trust_caches=True if you trust whoever made them",
            folder,
        )
    return False


_HANDLERS: dict[type, Callable[[Engine, Any], Any]] = {
    ops.Heartbeat: Engine._heartbeat,
    ops.Version: Engine._version,
    ops.MaxBatchSize: Engine._max_batch_size,
    ops.Reset: Engine._reset,
    ops.CreateTenant: Engine._create_tenant,
    ops.GetTenant: Engine._get_tenant,
    ops.ListTenants: Engine._list_tenants,
    ops.CreateDatabase: Engine._create_database,
    ops.GetDatabase: Engine._get_database,
    ops.ListDatabases: Engine._list_databases,
    ops.DeleteDatabase: Engine._delete_database,
    ops.CreateCollection: Engine._create_collection,
    ops.GetCollection: Engine._get_collection,
    ops.GetCollectionById: Engine._get_collection_by_id,
    ops.ListCollections: Engine._list_collections,
    ops.CountCollections: Engine._count_collections,
    ops.ModifyCollection: Engine._modify_collection,
    ops.ForkCollection: Engine._fork_collection,
    ops.DeleteCollection: Engine._delete_collection,
    ops.Add: Engine._add,
    ops.Upsert: Engine._upsert,
    ops.Update: Engine._update,
    ops.Delete: Engine._delete,
    ops.Count: Engine._count,
    ops.Get: Engine._get,
    ops.Query: Engine._query,
    ops.Explain: Engine._explain,
    ops.ScanPage: Engine._scan_page,
    ops.Sample: Engine._sample,
    ops.Describe: Engine._describe,
    ops.Facets: Engine._facets,
    ops.Columns: Engine._columns,
    ops.ChangedSince: Engine._changed_since,
    ops.GetLayout: Engine._get_layout,
    ops.PutLayout: Engine._put_layout,
    ops.BuildIndex: Engine._build_index,
}


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        engine.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
