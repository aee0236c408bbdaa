"""Records out of SQLite: by id, by row, page by page. Every row that leaves here has passed its checksums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine import vectors
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.encoding import decode_metadatas, document_crc, head_crc, row_crc
from chroma_nb.engine.schema import span
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.results import GetResult, Include

_PARAMETERS = 500
_DENSE = 4
"""A read of more than one row in this many takes the whole range instead of single rows."""

Rows = NDArray[np.int64]


def known(connection: sqlite3.Connection, entry: Entry, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return id -> (row, label) of those `ids` that the collection has."""
    found: dict[str, tuple[int, int]] = {}
    if not entry.info.count:
        return found
    base = span(entry.number)[0]
    for part in _parts(ids):
        marks = ",".join("?" * len(part))
        rows = connection.execute(f"SELECT id, key, label FROM record WHERE collection = ? AND id IN ({marks})", (entry.number, *part))
        found.update((identifier, (key - base, label)) for identifier, key, label in rows)
    return found


def rows_of(connection: sqlite3.Connection, entry: Entry, ids: Sequence[str]) -> Rows:
    """Return the rows of those `ids` that the collection has, ascending."""
    return np.sort(np.fromiter((row for row, _ in known(connection, entry, ids).values()), dtype=np.int64))


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]


def select(connection: sqlite3.Connection, entry: Entry, columns: str, rows: Rows) -> Iterator[tuple[Any, ...]]:
    """Yield (key, *columns) of `rows`, which are ascending; `columns` is ours, never a caller's."""
    base = span(entry.number)[0]
    if len(rows) * _DENSE > entry.info.count and len(rows) > _PARAMETERS:
        wanted = set((rows + base).tolist())
        keys = (base | int(rows[0]), base | int(rows[-1]))
        for row in connection.execute(f"SELECT key, {columns} FROM record WHERE key BETWEEN ? AND ? ORDER BY key", keys):
            if row[0] in wanted:
                yield row
        return
    for part in _parts((rows + base).tolist()):
        marks = ",".join("?" * len(part))
        yield from connection.execute(f"SELECT key, {columns} FROM record WHERE key IN ({marks}) ORDER BY key", part)


def first_rows(connection: sqlite3.Connection, entry: Entry, after: int, limit: int | None, offset: int = 0) -> Rows:
    """Return up to `limit` rows beyond row `after`, skipping `offset`, in collection order."""
    base, top = span(entry.number)
    found = connection.execute(
        "SELECT key FROM record WHERE key > ? AND key <= ? ORDER BY key LIMIT ? OFFSET ?",
        (base + after, top, -1 if limit is None else limit, offset),
    )
    return np.fromiter((key - base for (key,) in found), dtype=np.int64)


def fetch(connection: sqlite3.Connection, entry: Entry, rows: Rows, include: Include) -> GetResult:
    """Return the records at `rows`, in the order of `rows`; repeats are allowed.

    Raises
    ------
    DatabaseCorruptedError
        A checksum differs.
    """
    distinct, places = np.unique(rows, return_inverse=True)
    documents = "documents" in include
    columns = "id, label, metadata, uri, crc" + (", document, document_crc" if documents else "")
    found = list(select(connection, entry, columns, distinct))
    if len(found) != len(distinct):
        raise DatabaseCorruptedError(
            f"collection {entry.info.name!r}: {len(distinct) - len(found)} records are missing; restore the records file from a backup"
        )
    for row in found:
        if row_crc(head_crc(row[1], row[4], row[3]), row[2]) != row[5] or (documents and document_crc(row[6]) != row[7]):
            raise DatabaseCorruptedError(
                f"collection {entry.info.name!r}: record {row[1]!r} is damaged; restore the records file from a backup"
            )
    columned: list[tuple[Any, ...]] = list(zip(*found, strict=True)) if found else [()] * 8
    ordered = places.tolist()
    straight = len(ordered) == len(found) and bool((np.diff(places) == 1).all())

    def arranged(column: Sequence[Any]) -> list[Any]:
        return list(column) if straight else [column[place] for place in ordered]

    embeddings = None
    if "embeddings" in include:
        labels = np.array(columned[2], dtype=np.int64)
        embeddings = vectors.read(connection, entry.number, labels, entry.info.dimension or 0)[places]
    return GetResult(
        arranged(columned[1]),
        embeddings,
        arranged(columned[6]) if documents else None,
        arranged(decode_metadatas(columned[3])) if "metadatas" in include else None,
        arranged(columned[4]) if "uris" in include else None,
    )
