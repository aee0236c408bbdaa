"""A collection in memory: immutable views that catch up with the store by sequence number.

Theory of operation
-------------------
A `View` is what the filters and the search see: per position a row, a vector's label, whether it is still alive, the id,
and the metadata as typed columns. It belongs to one sequence number of the collection. When the store has moved on, `caught_up`
reads the journal and makes the *next* view: whatever was written is appended as new positions, and what it replaces or
removes dies. Buffers are shared between views and only ever written beyond what an older view looks at, so readers of an
older view need no lock, and an interrupt between two views leaves nothing behind but unused space.

The same mechanism serves the first load, another process's commit and the recovery of a crash: there is no second path.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chroma_nb import stopping
from chroma_nb.engine import reading, vectors
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.columns import Columns
from chroma_nb.engine.encoding import decode_metadatas, is_sound
from chroma_nb.engine.exact import squares_of
from chroma_nb.engine.ids import Ids
from chroma_nb.engine.inverse import Inverse
from chroma_nb.engine.scanning import scanning, taken
from chroma_nb.engine.schema import span
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.records import Vectors
from chroma_nb.scalars import Value

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]
Seen: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], Sequence[str], Sequence[Mapping[str, Value] | None]]
"""Rows, labels, ids and metadata of records."""
_SEEN = "id, label, metadata, uri, crc"
_SEEN_TEXTS = (1, 3, 4)
_BATCH = 50_000
_LEAST_DEAD = 1000


class Matrix:
    """The vectors of a view's positions, loaded when first needed and extended as views grow.

    Parameters
    ----------
    loaded : (n, d) float32, if some are at hand already
    """

    def __init__(self, loaded: Vectors | None = None) -> None:
        self._turn = threading.Lock()
        self._buffer = loaded
        self._squares = None if loaded is None else squares_of(loaded)
        self._filled = 0 if loaded is None else len(loaded)
        self._skipped = np.empty(0, dtype=np.int64)

    def of(self, connection: sqlite3.Connection, entry: Entry, view: View) -> tuple[Vectors, NDArray[np.float64]]:
        """Return the vectors of all positions of `view` (n, d) and their squared lengths (n,)."""
        with stopping.taking(self._turn):
            if self._filled < view.size:
                self._load(connection, entry, view)
            skipped = self._skipped[self._skipped < view.size]
            skipped = skipped[view.alive[skipped]]
            if len(skipped):  # dead in the newer view that loaded them, alive in this older one
                self._fill(skipped, self._found(connection, entry, view, skipped))
            assert self._buffer is not None  # noqa: S101
            assert self._squares is not None  # noqa: S101
            return self._buffer[: view.size], self._squares[: view.size]

    def _load(self, connection: sqlite3.Connection, entry: Entry, view: View) -> None:
        start = self._filled
        # Vectors that were overwritten or deleted may be gone from the store by now.
        living = np.flatnonzero(view.alive[start:]) + start
        found = self._found(connection, entry, view, living)  # before memory is taken for as many as the file says there are
        buffer = grown(self._buffer, start, view.size, (entry.info.dimension or 0,), np.float32)
        squares = grown(self._squares, start, view.size, (), np.float64)
        buffer[start : view.size] = 0
        squares[start : view.size] = 0
        self._buffer, self._squares = buffer, squares
        self._fill(living, found)
        self._skipped = np.concatenate([self._skipped, np.flatnonzero(~view.alive[start:]) + start])
        self._filled = view.size

    @staticmethod
    def _found(connection: sqlite3.Connection, entry: Entry, view: View, positions: Positions) -> Vectors:
        return vectors.read(connection, entry.number, view.labels[positions], entry.info.dimension or 0)

    def _fill(self, positions: Positions, found: Vectors) -> None:
        assert self._buffer is not None  # noqa: S101
        assert self._squares is not None  # noqa: S101
        self._buffer[positions] = found
        self._squares[positions] = squares_of(found)
        self._skipped = np.setdiff1d(self._skipped, positions)

    def taken(self, positions: Positions) -> Matrix:
        """Return the vectors of `positions` as a matrix of its own; nothing when not all of them are loaded."""
        if self._buffer is None or (len(positions) and int(positions.max()) >= self._filled):
            return Matrix()
        return Matrix(self._buffer[positions])


@dataclass(frozen=True, eq=False)
class View:
    """A collection at one sequence number. Arrays may be longer than `size`; the properties show the part that counts.

    Parameters
    ----------
    seq, size, dead
        Sequence number, positions in use, and how many of them are dead.
    row_buffer, label_buffer
        Row and label per position.
    alive
        (size,) whether a position still stands for a record.
    row_position, label_position
        The position of a row, and of a label.
    """

    seq: int
    size: int
    dead: int
    row_buffer: NDArray[np.int64]
    label_buffer: NDArray[np.int64]
    alive: Mask
    row_position: Inverse
    label_position: Inverse
    ids: Ids
    columns: Columns
    matrix: Matrix
    remembered: dict[Any, Any] = field(default_factory=dict)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row per position."""
        return self.row_buffer[: self.size]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label per position."""
        return self.label_buffer[: self.size]

    @property
    def count(self) -> int:
        """Number of records."""
        return self.size - self.dead

    def positions_of_rows(self, rows: NDArray[np.int64]) -> Positions:
        """Return the positions of `rows`, all of which the records file has.

        Raises
        ------
        DatabaseCorruptedError
            One of them is not in the view, which then came from saved columns of something else.
        """
        found = self.row_position.of(rows)
        if (found < 0).any():
            raise DatabaseCorruptedError("a record is not among the saved columns; remove the folder of caches, and they are made anew")
        return found

    def positions_of_labels(self, labels: NDArray[np.int64]) -> Positions:
        """Return the position of each label, -1 where no record has it (any more, or yet)."""
        return self.label_position.of(labels)

    def in_order(self, positions: Positions) -> Positions:
        """Sort positions into collection order."""
        rows = self.rows[positions]
        return positions[np.argsort(rows, kind="stable")] if len(rows) > 1 and (np.diff(rows) < 0).any() else positions


def empty() -> View:
    """Return the view of a collection nobody has written to."""
    none = np.empty(0, dtype=np.int64)
    return View(0, 0, 0, none, none, np.empty(0, dtype=bool), Inverse.empty(), Inverse.empty(), Ids.empty(), Columns(), Matrix())


def restored(seq: int, rows: NDArray[np.int64], labels: NDArray[np.int64], ids: Ids, columns: Columns, entry: Entry) -> View:
    """Return the view that a saved copy of these parts stands for.

    Raises
    ------
    ValueError, DatabaseCorruptedError
        Rows or labels cannot be those of this collection.
    """
    if rows.dtype != np.int64 or labels.dtype != np.int64 or not (rows[1:] > rows[:-1]).all():
        raise ValueError("its rows or labels are not in order")
    reading.rows_within(entry, rows)
    reading.labels_within(entry, labels)
    return _written(empty(), seq, rows, labels, ids, columns)


def caught_up(view: View | None, connection: sqlite3.Connection, entry: Entry) -> View:
    """Return the view of `entry.seq`, starting from an older one where that helps."""
    if view is not None and view.seq == entry.seq:
        return view
    if view is not None and entry.floor <= view.seq < entry.seq:
        try:
            made = _advanced(view, connection, entry)
        except (IndexError, TypeError, ValueError, DatabaseCorruptedError):
            made = None
        # A damaged line of the journal leads nowhere; then the records themselves decide.
        if made is not None and made.count == entry.info.count:
            return made
    made = _loaded(connection, entry)
    if made.count != entry.info.count:
        raise reading.damaged(entry, f"{made.count} records, expected {entry.info.count}")
    return made


def _advanced(view: View, connection: sqlite3.Connection, entry: Entry) -> View | None:
    """Return the view of `entry.seq` by the journal; None when loading everything is less work."""
    written, removed = _journal(connection, entry, view.seq)
    if len(written) > max(entry.info.count, _LEAST_DEAD):
        return None
    view = _without(view, removed)
    for rows, labels, ids, metadatas in _fresh(connection, entry, written):
        view = _written(view, view.seq, rows, labels, view.ids.extended(ids), view.columns.extended(metadatas))
    return _compacted(_stamped(view, entry.seq))


def _loaded(connection: sqlite3.Connection, entry: Entry) -> View:
    view = empty()
    base = span(entry.number)[0]
    with scanning(connection):
        cursor = connection.execute(f"SELECT key, {_SEEN} FROM record WHERE key BETWEEN ? AND ? ORDER BY key", span(entry.number))
        while found := taken(connection, cursor, _SEEN_TEXTS, _BATCH):
            rows, labels, ids, metadatas = _checked(entry, found, base)
            view = _written(view, 0, rows, labels, view.ids.extended(ids), view.columns.extended(metadatas))
    return _stamped(view, entry.seq)


def _journal(connection: sqlite3.Connection, entry: Entry, after: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows written since (and still there), and those that are gone."""
    with scanning(connection):
        found = connection.execute(
            "SELECT key, written, removed FROM change WHERE key BETWEEN ? AND ? ORDER BY key", span(entry.number, after + 1, entry.seq)
        )
        lines = [line[1:] for line in taken(connection, found, (1, 2))]
    if len(lines) != entry.seq - after:
        raise reading.damaged(entry, "lines of its journal are missing")
    written, gone = (np.unique(np.concatenate([np.frombuffer(blob, dtype="<i8") for blob in blobs])) for blobs in zip(*lines, strict=True))
    reading.rows_within(entry, written)
    return written[~np.isin(written, gone)] if len(gone) else written, gone


def _checked(entry: Entry, found: Sequence[tuple[Any, ...]], base: int) -> Seen:
    for row in found:
        if not is_sound(*row[1:]):
            raise reading.damaged(entry, f"record {reading.named(row[1])} is damaged")
    keys, ids, labels, texts, _, _ = zip(*found, strict=True)
    rows = reading.rows_within(entry, np.array(keys, dtype=np.int64) - base)
    return rows, reading.labels_of(entry, labels), ids, decode_metadatas(texts)


def _fresh(connection: sqlite3.Connection, entry: Entry, written: NDArray[np.int64]) -> Iterator[Seen]:
    base = span(entry.number)[0]
    for start in range(0, len(written), _BATCH):
        yield _checked(entry, list(reading.select(connection, entry, _SEEN, written[start : start + _BATCH])), base)


def _stamped(view: View, seq: int) -> View:
    return View(
        seq,
        view.size,
        view.dead,
        view.row_buffer,
        view.label_buffer,
        view.alive,
        view.row_position,
        view.label_position,
        view.ids,
        view.columns,
        view.matrix,
    )


def _written(view: View, seq: int, rows: NDArray[np.int64], labels: NDArray[np.int64], ids: Ids, columns: Columns) -> View:
    """Append records; rows that are there already die at their old position.

    Raises
    ------
    DatabaseCorruptedError
        Two records have the same label; so many vectors would be in memory that are not in the file.
    """
    size, total = view.size, view.size + len(rows)
    row_buffer = grown(view.row_buffer, size, total, (), np.int64)
    label_buffer = grown(view.label_buffer, size, total, (), np.int64)
    row_buffer[size:total], label_buffer[size:total] = rows, labels
    row_position, label_position, alive, dead = view.row_position, view.label_position, view.alive, view.dead
    old = row_position.of(rows)
    old = old[old >= 0]
    if len(old):
        alive = alive.copy()
        alive[old] = False
        label_position = label_position.without(view.labels[old])
        dead += len(old)
    positions = np.arange(size, total, dtype=np.int32)
    row_position = row_position.placed(rows, positions)
    known = label_position.of(labels)
    label_position = label_position.placed(labels, positions)
    if (known >= 0).any() or (label_position.of(labels) != positions).any():
        raise DatabaseCorruptedError("two records have the same vector; restore the records file from a backup")
    alive = np.concatenate([alive, np.ones(len(rows), dtype=bool)])
    return View(seq, total, dead, row_buffer, label_buffer, alive, row_position, label_position, ids, columns, view.matrix)


def _without(view: View, rows: NDArray[np.int64]) -> View:
    old = view.row_position.of(rows)
    rows, old = rows[old >= 0], old[old >= 0]
    if not len(rows):
        return view
    alive = view.alive.copy()
    alive[old] = False
    row_position, label_position = view.row_position.without(rows), view.label_position.without(view.labels[old])
    return View(
        view.seq,
        view.size,
        view.dead + len(old),
        view.row_buffer,
        view.label_buffer,
        alive,
        row_position,
        label_position,
        view.ids,
        view.columns,
        view.matrix,
    )


def _compacted(view: View) -> View:
    """Leave dead positions behind once they are a third of all."""
    if view.dead <= _LEAST_DEAD or view.dead * 3 <= view.size:
        return view
    kept = view.in_order(np.flatnonzero(view.alive))
    start = empty()
    start = View(
        0,
        0,
        0,
        start.row_buffer,
        start.label_buffer,
        start.alive,
        start.row_position,
        start.label_position,
        start.ids,
        start.columns,
        view.matrix.taken(kept),
    )
    return _written(start, view.seq, view.rows[kept], view.labels[kept], view.ids.taken(kept), view.columns.take(kept))


def grown(buffer: NDArray[Any] | None, used: int, total: int, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Return a buffer for `total` entries whose first `used` are those of `buffer`; capacity doubles, so appending is cheap."""
    if buffer is not None and len(buffer) >= total and buffer.shape[1:] == shape:
        return buffer
    result: NDArray[Any] = np.empty((max(total, 2 * used), *shape), dtype=dtype)
    if used and buffer is not None:
        result[:used] = buffer[:used]
    return result
