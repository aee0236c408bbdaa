"""Records out of SQLite: by id, by row, page by page. Every row that leaves here has passed its checksums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine import vectors
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.encoding import are_sound, are_sound_documents, decode_metadatas, is_sound, is_sound_document
from chroma_nb.engine.scanning import scanning, taken
from chroma_nb.engine.schema import span
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.results import GetResult, Include

_PARAMETERS = 500
_TEXTS = frozenset(("id", "metadata", "uri", "document"))
_DENSE = 0.9
"""Share of all rows from which reading the whole range is quicker than looking rows up."""

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
    if found:
        rows_within(entry, np.array([row for row, _ in found.values()], dtype=np.int64))
        labels_of(entry, [label for _, label in found.values()])
    return found


def rows_within(entry: Entry, rows: Rows) -> Rows:
    """Return `rows` if each is one that the collection gave away.

    Raises
    ------
    DatabaseCorruptedError
        One is not.
    """
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < entry.next_row:
        raise damaged(entry, f"a record has a number outside of the {entry.next_row} that were given away")
    return rows


def labels_of(entry: Entry, labels: Sequence[object]) -> NDArray[np.int64]:
    """Return labels from the records file as an array, if each is one that the collection gave away.

    Raises
    ------
    DatabaseCorruptedError
        One is not, or is no number.
    """
    if set(map(type, labels)) - {int}:
        raise damaged(entry, "the label of a vector is no number")
    return labels_within(entry, np.array(labels, dtype=np.int64))


def labels_within(entry: Entry, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `labels` if each is one that the collection gave away.

    Raises
    ------
    DatabaseCorruptedError
        One is not.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < entry.next_label:
        raise damaged(entry, f"a vector has a label outside of the {entry.next_label} that were given away")
    return labels


def rows_of(connection: sqlite3.Connection, entry: Entry, ids: Sequence[str]) -> Rows:
    """Return the rows of those `ids` that the collection has, ascending."""
    return np.sort(np.fromiter((row for row, _ in known(connection, entry, ids).values()), dtype=np.int64))


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]


def select(connection: sqlite3.Connection, entry: Entry, columns: str, rows: Rows) -> list[tuple[Any, ...]]:
    """Return (key, *columns) of `rows`, which are ascending; `columns` is ours, never a caller's."""
    keys = (rows + span(entry.number)[0]).tolist()
    texts = [i for i, column in enumerate(columns.split(", "), 1) if column in _TEXTS]
    if len(keys) > max(_DENSE * entry.info.count, _PARAMETERS):
        wanted = set(keys)
        with scanning(connection):
            cursor = connection.execute(f"SELECT key, {columns} FROM record WHERE key BETWEEN ? AND ? ORDER BY key", (keys[0], keys[-1]))
            return [row for row in taken(connection, cursor, texts) if row[0] in wanted]
    found: list[tuple[Any, ...]] = []
    for part in _parts(keys):
        marks = ",".join("?" * len(part))
        cursor = connection.execute(f"SELECT key, {columns} FROM record WHERE key IN ({marks}) ORDER BY key", part)
        found += taken(connection, cursor, texts)
    return found


def first_rows(connection: sqlite3.Connection, entry: Entry, after: int, limit: int | None, offset: int = 0) -> Rows:
    """Return up to `limit` rows beyond row `after`, skipping `offset`, in collection order."""
    base, top = span(entry.number)
    with scanning(connection):
        found = connection.execute(
            "SELECT key FROM record WHERE key > ? AND key <= ? ORDER BY key LIMIT ? OFFSET ?",
            (min(base + after, top), top, -1 if limit is None else limit, offset),
        )
        rows = rows_within(entry, np.fromiter((key - base for (key,) in found), dtype=np.int64))
    if (rows[1:] <= rows[:-1]).any():
        raise damaged(entry, "a record is there twice")
    if after < 0 and len(rows) != min(max(entry.info.count - offset, 0), entry.info.count if limit is None else limit):
        raise damaged(entry, f"{len(rows)} records where there should be more or fewer, of {entry.info.count}")
    return rows


def damaged(entry: Entry, what: str) -> DatabaseCorruptedError:
    """Return the error for a collection of which something is not as it was stored."""
    return DatabaseCorruptedError(f"collection {entry.info.name!r}: {what}; restore the records file from a backup")


def fetch(connection: sqlite3.Connection, entry: Entry, rows: Rows, include: Include) -> GetResult:
    """Return the records at `rows`, in the order of `rows`; repeats are allowed.

    Raises
    ------
    DatabaseCorruptedError
        A checksum differs.
    """
    ascending = bool((rows[1:] > rows[:-1]).all())
    distinct = rows if ascending else np.unique(rows)
    documents = "documents" in include
    columns = "id, label, metadata, uri, crc" + (", document, document_crc" if documents else "")
    found = select(connection, entry, columns, distinct)
    if len(found) != len(distinct):
        raise damaged(entry, f"{len(distinct) - len(found)} records are missing")
    if not ascending:
        by_key = {row[0]: row for row in found}
        found = [by_key[key] for key in (rows + span(entry.number)[0]).tolist()]
    columned: list[tuple[Any, ...]] = list(zip(*found, strict=True)) if found else [()] * 8
    if not are_sound(*columned[1:6]) or (documents and not are_sound_documents(*columned[6:])):
        raise damaged(entry, f"record {_first_damaged(found)} is damaged")
    labels = labels_of(entry, columned[2])
    return GetResult(
        list(columned[1]),
        vectors.read(connection, entry.number, labels, entry.info.dimension or 0) if "embeddings" in include else None,
        list(columned[6]) if documents else None,
        decode_metadatas(columned[3]) if "metadatas" in include else None,
        list(columned[4]) if "uris" in include else None,
    )


def _first_damaged(rows: Sequence[tuple[Any, ...]]) -> str:
    odd = (row[1] for row in rows if not is_sound(*row[1:6]) or (len(row) > 6 and not is_sound_document(*row[6:])))
    return shown(next(odd, rows[0][1]))


def shown(identifier: object) -> str:
    """Return an id for a message; one from a damaged file may be of any kind and length."""
    return repr(identifier[:60] if isinstance(identifier, (str, bytes)) else identifier)
