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
    found = np.empty((len(labels), dimension), dtype=np.float32)
    order = np.argsort(labels, kind="stable")
    wanted = labels[order]
    for first, piece, start, stop in _pieces(connection, collection, wanted, dimension):
        found[order[start:stop]] = piece[wanted[start:stop] - first]
    return found


def _pieces(
    connection: sqlite3.Connection, collection: int, wanted: NDArray[np.int64], dimension: int
) -> Iterator[tuple[int, Vectors, int, int]]:
    """Yield (first label, piece, start, stop): ``wanted[start:stop]`` lies in that piece. `wanted` is sorted."""
    base = span(collection)[0]
    start = 0
    while start < len(wanted):
        label = int(wanted[start])
        row = connection.execute(
            "SELECT key, size, crc FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1", (base, base | label)
        ).fetchone()
        if row is None or label >= row[0] - base + row[1]:
            raise DatabaseCorruptedError(f"the vector with label {label} is missing from the records file; restore it from a backup")
        key, size, crc = row
        data = connection.execute("SELECT data FROM vectors WHERE key = ?", (key,)).fetchone()
        if data is None or len(data[0]) != size * dimension * 4 or crc32(data[0]) != crc:
            raise DatabaseCorruptedError(
                f"the vectors with labels from {key - base} on are damaged in the records file; restore it from a backup"
            )
        stop = int(np.searchsorted(wanted, key - base + size))
        yield key - base, np.frombuffer(data[0], dtype="<f4").reshape(size, dimension), start, stop
        start = stop


def retire(connection: sqlite3.Connection, collection: int, labels: NDArray[np.int64]) -> None:
    """Note that `labels` no longer belong to a record; a piece of which none is left is removed."""
    base = span(collection)[0]
    wanted = np.sort(labels)
    start = 0
    while start < len(wanted):
        key, size, live = connection.execute(
            "SELECT key, size, live FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1", (base, base | int(wanted[start]))
        ).fetchone()
        stop = int(np.searchsorted(wanted, key - base + size))
        if live == stop - start:
            connection.execute("DELETE FROM chunk WHERE key = ?", (key,))
            connection.execute("DELETE FROM vectors WHERE key = ?", (key,))
        else:
            connection.execute("UPDATE chunk SET live = ? WHERE key = ?", (live - (stop - start), key))
        start = stop
