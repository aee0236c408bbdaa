"""Vectors in SQLite: many per BLOB, found by label.

A call's vectors are stored in pieces of about a megabyte, so that a million of them are a few thousand rows: measured on
100,000 x 384, pieces of 1,000 vectors are written 1.6 times and loaded 3 to 8 times faster than one BLOB per vector.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from chroma_nb import stopping
from chroma_nb.engine import schema
from chroma_nb.engine.schema import span
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.records import Vectors

_PIECE = 1 << 20


def store(connection: sqlite3.Connection, collection: int, first: int, vectors: Vectors) -> None:
    """Store `vectors` (n, d) under the labels `first`, `first` + 1, ..."""
    step = max(1, _PIECE // (4 * vectors.shape[1]))
    for start in range(0, len(vectors), step):
        piece = np.ascontiguousarray(vectors[start : start + step], dtype="<f4")
        key = span(collection, first + start)[0]
        data = piece.data.cast("B")
        connection.execute("INSERT INTO chunk VALUES (?, ?, ?, ?)", (key, len(piece), len(piece), crc32(data)))
        connection.execute("INSERT INTO vectors VALUES (?, ?)", (key, data))


def read(connection: sqlite3.Connection, collection: int, labels: NDArray[np.int64], dimension: int) -> Vectors:
    """Return the vectors of `labels` (n,) in their order, (n, d) float32.

    Raises
    ------
    DatabaseCorruptedError
        A piece is missing or its checksum differs.
    """
    order = np.argsort(labels, kind="stable")
    wanted = labels[order]
    require_room(connection, 1 + int(np.count_nonzero(wanted[1:] != wanted[:-1])), dimension)
    found = np.empty((len(labels), dimension), dtype=np.float32)
    for first, piece, start, stop in _pieces(connection, collection, wanted, dimension):
        found[order[start:stop]] = piece[wanted[start:stop] - first]
    return found


def require_room(connection: sqlite3.Connection, count: int, dimension: int) -> None:
    """Refuse a number of vectors that the records file has no room for, before memory is taken for them.

    Raises
    ------
    DatabaseCorruptedError
        So many cannot be in it.
    """
    size = 4 * count * dimension
    if size > _PIECE and size > schema.size(connection):
        raise DatabaseCorruptedError(
            f"{count:,} vectors of {dimension:,} dimensions cannot be in the records file; restore it from a backup"
        )


def _pieces(
    connection: sqlite3.Connection, collection: int, wanted: NDArray[np.int64], dimension: int
) -> Iterator[tuple[int, Vectors, int, int]]:
    """Yield (first label, piece, start, stop): ``wanted[start:stop]`` lies in that piece. `wanted` is sorted."""
    base = span(collection)[0]
    start = 0
    while start < len(wanted):
        stopping.check()
        key, size, _, crc = _chunk(connection, base, int(wanted[start]))
        data = connection.execute("SELECT data FROM vectors WHERE key = ?", (key,)).fetchone()
        if data is None or not isinstance(data[0], bytes) or len(data[0]) != size * dimension * 4 or crc32(data[0]) != crc:
            raise _damaged(key - base)
        piece = np.frombuffer(data[0], dtype="<f4")
        if not _is_finite(piece):
            raise _damaged(key - base)
        stop = int(np.searchsorted(wanted, key - base + size))
        yield key - base, piece.reshape(size, dimension), start, stop
        start = stop


def _chunk(connection: sqlite3.Connection, base: int, label: int) -> tuple[int, int, int, object]:
    """Return key, size, living vectors and checksum of the piece that has `label`."""
    row = connection.execute(
        "SELECT key, size, live, crc FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1", (base, base | label)
    ).fetchone()
    if row is None or type(row[1]) is not int or label >= row[0] - base + row[1]:
        raise DatabaseCorruptedError(f"the vector with label {label} is missing from the records file; restore it from a backup")
    key, size, live, crc = row
    if type(live) is not int or not 0 < live <= size:
        raise _damaged(key - base)
    return key, size, live, crc


def _damaged(first: int) -> DatabaseCorruptedError:
    return DatabaseCorruptedError(f"the vectors with labels from {first} on are damaged in the records file; restore it from a backup")


def _is_finite(values: NDArray[np.float32]) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        # The product is quick, and finite unless a value is not, or is very large.
        return bool(np.isfinite(values @ values)) or bool(np.isfinite(values).all())


def retire(connection: sqlite3.Connection, collection: int, labels: NDArray[np.int64]) -> None:
    """Note that `labels` no longer belong to a record; a piece of which none is left is removed.

    Raises
    ------
    DatabaseCorruptedError
        A piece is missing, or has fewer living vectors than are to be retired.
    """
    base = span(collection)[0]
    wanted = np.sort(labels)
    start = 0
    while start < len(wanted):
        key, size, live, _ = _chunk(connection, base, int(wanted[start]))
        stop = int(np.searchsorted(wanted, key - base + size))
        left = live - (stop - start)
        if left < 0:
            raise _damaged(key - base)
        if left:
            connection.execute("UPDATE chunk SET live = ? WHERE key = ?", (left, key))
        else:
            connection.execute("DELETE FROM chunk WHERE key = ?", (key,))
            connection.execute("DELETE FROM vectors WHERE key = ?", (key,))
        start = stop
