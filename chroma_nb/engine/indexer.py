"""The thread that keeps graphs and saved caches up to date, after writes are durable and out of everybody's way.

It waits until writing has paused, then makes a new graph beside the one in use and swaps it in. Until then searches
compare exactly what the graph lacks, so nothing ever waits for it. Being killed at any moment costs only its own work.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb import stopping
from chroma_nb.engine import caches, catalog, graph
from chroma_nb.engine.graph import Draft, Graph
from chroma_nb.engine.memory import Memory, OutdatedReadError, outside
from chroma_nb.engine.plan import SMALL
from chroma_nb.errors import NotFoundError

if TYPE_CHECKING:
    from chroma_nb.engine.catalog import Entry
    from chroma_nb.engine.database import Database
    from chroma_nb.engine.view import View
    from chroma_nb.records import Vectors

_SLICE = 0.1
_PAUSE = 0.3
_LONGEST_PAUSE = 5.0
_PENDING = 2000
_PENDING_SHARE = 0.05
_STALE_SHARE = 0.3
_LARGEST_SQUARE = 1e30
_log = logging.getLogger("chroma_nb")


class Indexer:
    """Background maintenance of one store."""

    def __init__(self, database: Database, memory: Memory) -> None:
        self._database = database
        self._memory = memory
        self.renew()

    def renew(self) -> None:
        """Start without a thread (at birth, and in a forked child, where the parent's does not run)."""
        self._turn = threading.Lock()
        self._starting = threading.Lock()
        self._building: str | None = None
        self._wanted: dict[str, None] = {}
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def poke(self, identifier: str) -> None:
        """Say that a collection may need work."""
        if self._stopping.is_set():
            return
        self._wanted[identifier] = None
        self._woken.set()
        with self._starting:
            self._start()

    def _start(self) -> None:
        # Not alive: never started, because an interrupt came while it was being made.
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="chroma_nb indexer", daemon=True)
            # A debugger that stops all threads must not wait for this one (as ipykernel marks its own).
            thread.pydev_do_not_trace = thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
            self._thread = thread
            thread.start()

    def is_building(self, identifier: str) -> bool:
        """Tell whether the collection's graph is being made now, or is about to be."""
        return self._building == identifier or identifier in self._wanted

    def stop(self) -> None:
        """End the thread; what it was making is dropped."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            while self._thread.is_alive():
                self._thread.join(_SLICE)
                stopping.check()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait()
            self._wait_for_a_pause()
            while self._wanted and not self._stopping.is_set():
                identifier = next(iter(self._wanted.copy()))  # a copy, because other threads add to it
                self._building = identifier
                self._wanted.pop(identifier, None)
                try:
                    self._database.fold()
                    self.maintain(identifier, lambda _: not self._stopping.is_set())
                except Exception as error:  # noqa: BLE001 - hnswlib's and numpy's too: only a cache is concerned
                    _log.warning(
                        "chroma_nb: the index of collection %s was not brought up to date (%s); searches stay exact", identifier, error
                    )
                finally:
                    self._building = None

    def _wait_for_a_pause(self) -> None:
        begun = time.monotonic()
        while self._woken.is_set() and not self._stopping.is_set() and time.monotonic() - begun < _LONGEST_PAUSE:
            self._woken.clear()
            self._stopping.wait(_PAUSE)
        self._woken.clear()

    def maintain(self, identifier: str, going_on: Callable[[int], bool], *, force: bool = False) -> None:
        """Bring graph and saved columns of a collection up to date, if that is worth it or `force` is set."""
        with stopping.taking(self._turn):
            try:
                entry, view, current, vectors = self._seen(identifier, force=force)
            except NotFoundError:
                return
            self._memory.save_columns(entry, view)
            if vectors is None:
                return
            made = _built(entry, view, current, vectors, going_on, force=force)
            if made is None:
                return
            self._memory.publish(identifier, made)
            header, arrays = graph.dump(made)
            caches.save(self._database, entry, "graph", view.seq, {"graph": header}, arrays)

    def _seen(self, identifier: str, *, force: bool) -> tuple[Entry, View, Graph | None, Vectors | None]:
        while True:
            try:
                with self._database.read() as connection:
                    entry = catalog.by_id(connection, identifier)
                    view = self._memory.view(connection, entry)
                    if not (force or entry.info.count > SMALL) or not entry.info.count or not graph.available():
                        return entry, view, None, None
                    current = self._memory.graph(connection, entry)
                    if not worth_it(view, current, force=force):
                        return entry, view, current, None
                    vectors, squares = view.matrix.of(connection, entry, view)
                    # Products of longer vectors overflow float32, in which the graph computes.
                    return entry, view, current, vectors if float(squares.max()) < _LARGEST_SQUARE else None
            except OutdatedReadError:
                continue


def worth_it(view: View, current: Graph | None, *, force: bool = False) -> bool:
    """Tell whether the graph lacks, or carries along, enough to be made anew; with `force` whether it is out of date at all."""
    if current is None:
        return True
    pending, stale = outside(view, current)
    if force:
        return bool(len(pending) or stale)
    return len(pending) > max(_PENDING, _PENDING_SHARE * view.count) or stale > max(_PENDING, _STALE_SHARE * len(current.labels))


def _built(
    entry: Entry, view: View, current: Graph | None, vectors: Vectors, going_on: Callable[[int], Any], *, force: bool
) -> Graph | None:
    parameters = entry.info.configuration.hnsw
    processors = os.cpu_count() or 1
    # Whoever waits for the graph gets all processors; in the background half of them are left to the notebook.
    threads = parameters.num_threads or (processors if force else max(1, processors // 2))
    stale = outside(view, current)[1] if current is not None else 0
    if current is None or (force and stale) or stale > _STALE_SHARE * len(current.labels):
        missing = np.flatnonzero(view.alive)
        draft = Draft.new(parameters, vectors.shape[1], len(missing), threads)
    else:
        missing = outside(view, current)[0]
        draft = Draft.copy(current, len(current.labels) + len(missing), threads)
        draft.retire(current.labels[view.positions_of_labels(current.labels) < 0])
    whole = draft.add(view.labels[missing], vectors, missing, going_on)
    return draft.finished(parameters.ef_search) if whole else None
