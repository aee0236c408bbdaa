"""What a process holds of its collections: the newest view and the graph of each, and how they are found.

Views and graphs are immutable; this is the one place where the current ones are replaced.
"""

from __future__ import annotations

import sqlite3
import threading

import numpy as np

from chroma_nb import stopping
from chroma_nb.engine import caches, graph, schema, view
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.columns import Columns
from chroma_nb.engine.database import Database
from chroma_nb.engine.graph import Graph
from chroma_nb.engine.ids import Ids
from chroma_nb.engine.view import Positions, View
from chroma_nb.errors import ChromaError

_WORTH_SAVING = 2000
_SHARE_WORTH_SAVING = 10
_COLUMN_SHARE = 8
"""Bytes of saved columns per byte of the records file, at most: a value of five bytes of JSON takes up to 29."""
_LEAST = 1 << 20
_LEAST_LABELS = 10_000
_PATIENCE = 100
"""Reads in a row that may turn out to be outdated before the view itself is doubted."""


class OutdatedReadError(ChromaError):
    """The read began before a state that another thread has loaded meanwhile: begin it anew. Never seen by callers."""


class Memory:
    """Views and graphs by collection id.

    Parameters
    ----------
    trust_caches
        Whether to look at saved ones; else all are made anew from the records.
    """

    def __init__(self, database: Database, *, trust_caches: bool = True) -> None:
        self._database = database
        self.trust_caches = trust_caches
        self.renew()

    def renew(self) -> None:
        """Forget everything (at birth, after a reset, and in a forked child)."""
        self._catching_up = threading.Lock()
        self._outdated = 0
        self._views: dict[str, View] = {}
        self._graphs: dict[str, Graph | None] = {}
        self._saved: dict[str, tuple[int, int]] = {}

    def forget(self, collection: str) -> None:
        """Drop what is held of a collection that was deleted."""
        for held in (self._views, self._graphs, self._saved):
            held.pop(collection, None)

    def view(self, connection: sqlite3.Connection, entry: Entry) -> View:
        """Return the view of exactly the state that `connection` sees.

        Raises
        ------
        OutdatedReadError
            Another thread has moved on; the caller begins a new read.
        """
        identifier = entry.info.id
        held = self._views.get(identifier)
        if held is not None and held.seq == entry.seq:
            return held
        with stopping.taking(self._catching_up):
            held = self._views.get(identifier)
            if held is not None and held.seq > entry.seq:
                self._outdated += 1
                if self._outdated < _PATIENCE:
                    raise OutdatedReadError
                held = None  # not a race: somebody put an older file in the place of this one
            self._outdated = 0
            if held is None or held.seq < entry.floor:
                held = self._restored(connection, entry)
            self._views[identifier] = made = view.caught_up(held, connection, entry)
        return made

    def _restored(self, connection: sqlite3.Connection, entry: Entry) -> View | None:
        if not self.trust_caches or not schema.is_present(connection):
            return None
        most = _COLUMN_SHARE * schema.size(connection) + _LEAST
        made = caches.load(self._database, connection, entry, "columns", most, lambda cache: _view_of(cache, entry))
        if made is not None:
            self._saved[entry.info.id] = (made.seq, made.size)
        return made

    def save_columns(self, entry: Entry, current: View) -> None:
        """Save the columns of a view if that will spare the next process a good part of its work."""
        seq, size = self._saved.get(entry.info.id, (0, 0))
        gap = abs(current.size - size) + current.dead
        if current.count < _WORTH_SAVING or seq >= current.seq or gap * _SHARE_WORTH_SAVING < current.count:
            return
        if current.dead:
            kept = current.in_order(np.flatnonzero(current.alive))
            rows, labels, ids, columns = current.rows[kept], current.labels[kept], current.ids.taken(kept), current.columns.take(kept)
        else:
            rows, labels, ids, columns = current.rows, current.labels, current.ids, current.columns
        header, arrays = columns.dump()
        if caches.save(self._database, entry, "columns", current.seq, {"columns": header}, [rows, labels, ids.text, ids.ends, *arrays]):
            self._saved[entry.info.id] = (current.seq, current.size)

    def graph(self, connection: sqlite3.Connection, entry: Entry) -> Graph | None:
        """Return the collection's graph, loaded from its cache at the first call, or None while there is none."""
        identifier = entry.info.id
        if identifier not in self._graphs:
            with stopping.taking(self._catching_up):
                if identifier not in self._graphs:
                    self._graphs[identifier] = self._loaded_graph(connection, entry)
        return self._graphs[identifier]

    def _loaded_graph(self, connection: sqlite3.Connection, entry: Entry) -> Graph | None:
        if not self.trust_caches or not graph.available():
            return None
        parameters, dimension = entry.info.configuration.hnsw, entry.info.dimension or 0
        most = (2 * entry.info.count + _LEAST_LABELS) * graph.size_of_element(parameters, dimension)

        def made(cache: caches.Cache) -> Graph:
            return graph.load(cache.header["graph"], cache.arrays, parameters, dimension, entry.next_label)

        return caches.load(self._database, connection, entry, "graph", most, made)

    def publish(self, identifier: str, made: Graph) -> None:
        """Let searches use a new graph."""
        self._graphs[identifier] = made

    def held(self) -> list[str]:
        """Return the ids of the collections that have a view."""
        return list(self._views)

    def held_view(self, identifier: str) -> View | None:
        """Return the newest view in memory, without looking at the store."""
        return self._views.get(identifier)

    def held_graph(self, identifier: str) -> Graph | None:
        """Return the graph in memory, without looking for a cache."""
        return self._graphs.get(identifier)


def _view_of(cache: caches.Cache, entry: Entry) -> View | None:
    """Return the view that saved columns stand for; None when the journal no longer goes back to them.

    Raises
    ------
    ValueError, KeyError, TypeError, DatabaseCorruptedError
        They cannot be those of this collection.
    """
    if cache.seq < entry.floor:
        return None
    rows, labels, text, ends, *arrays = cache.arrays
    ids, columns = Ids.load(text, ends), Columns.load(cache.header["columns"], arrays)
    if not len(rows) == len(labels) == ids.size == columns.count or (cache.seq == entry.seq and len(rows) != entry.info.count):
        raise ValueError("it has another number of records")
    return view.restored(cache.seq, rows, labels, ids, columns, entry)


def outside(current: View, made: Graph) -> tuple[Positions, int]:
    """Return the living positions whose vector is not in the graph, and how many of its labels no record has any more."""
    remembered = current.remembered.get("graph")
    if remembered is None or remembered[0] is not made:
        living = np.flatnonzero(current.alive)
        pending = living[~made.has(current.labels[living])]
        remembered = (made, pending, len(made.labels) - (len(living) - len(pending)))
        current.remembered["graph"] = remembered
    return remembered[1], remembered[2]
