"""Projections beside the records: a cache, of which the last ones stored are kept.

Must not live here: how a projection is made, what its key says, which records it lacks by now. Called by the engine, inside its
transactions.
"""

from __future__ import annotations

import sqlite3
from typing import TypeAlias
from zlib import crc32

import numpy as np
import orjson

from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.scanning import scanning
from chroma_nb.ops import GetLayout, PutLayout
from chroma_nb.results import Layout

_KEPT = 16
_LARGEST = 256 << 20
"""Bytes of all projections of a collection together; the last one stored is kept whatever its size."""
Stored: TypeAlias = tuple[str, int, bytes, bytes, int]


def load(connection: sqlite3.Connection, entry: Entry, op: GetLayout) -> Layout | None:
    """Return the projection, or None when there is none of this version, or it is damaged."""
    row = connection.execute(
        "SELECT version, ids, coordinates, crc FROM layout WHERE collection = ? AND key = ?", (entry.number, op.key)
    ).fetchone()
    return None if row is None else _layout(row, op.version)


def _layout(row: tuple[object, ...], wanted: int | None) -> Layout | None:
    version, ids, coordinates, crc = row
    if type(version) is not int or wanted not in (None, version) or not isinstance(ids, bytes) or not isinstance(coordinates, bytes):
        return None
    if crc32(coordinates, crc32(ids)) != crc:
        return None
    try:
        parsed, places = orjson.loads(ids), np.frombuffer(coordinates, dtype="<f4")
    except ValueError:
        return None
    if not isinstance(parsed, list) or set(map(type, parsed)) - {str} or len(places) not in (2 * len(parsed), 3 * len(parsed)):
        return None
    if not np.isfinite(places).all():
        return None
    return Layout(parsed, places.reshape(len(parsed), -1 if parsed else 2).copy(), version)


def encode(op: PutLayout) -> Stored:
    """Return what `save` writes; made before the transaction begins."""
    ids, coordinates = orjson.dumps(op.ids), np.ascontiguousarray(op.coordinates, dtype="<f4").tobytes()
    return op.key, op.version, ids, coordinates, crc32(coordinates, crc32(ids))


def save(connection: sqlite3.Connection, entry: Entry, stored: Stored) -> None:
    """Store a projection, and forget those that were stored longest ago."""
    connection.execute("INSERT OR REPLACE INTO layout VALUES (?, ?, ?, ?, ?, ?)", (entry.number, *stored))
    kept = """SELECT key FROM (
        SELECT key, row_number() OVER newest AS place, sum(length(ids) + length(coordinates)) OVER newest AS size
        FROM layout WHERE collection = ? WINDOW newest AS (ORDER BY rowid DESC)
        ) WHERE place = 1 OR (place <= ? AND size <= ?)"""
    with scanning(connection):
        connection.execute(
            f"DELETE FROM layout WHERE collection = ? AND key NOT IN ({kept})", (entry.number, entry.number, _KEPT, _LARGEST)
        )
