"""Records into SQLite: add, update, upsert, delete, each inside one transaction that the caller holds.

What a call writes is noted in the journal (`change`), by which the caches of this and every other process catch up. An
overwritten vector gets a new label and the old one is retired: labels are never used twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb import stopping
from chroma_nb.engine import reading, vectors
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.encoding import Encoded, are_sound, decode_metadatas, document_crc, encode_metadata, head_crc, row_crc, row_crcs
from chroma_nb.engine.schema import span
from chroma_nb.errors import InvalidDimensionError
from chroma_nb.records import Records, Vectors
from chroma_nb.results import Written

_STEP = 5000


class Change:
    """One write call on one collection, inside an open transaction."""

    def __init__(self, connection: sqlite3.Connection, entry: Entry, progress: Callable[[int], Any] | None = None) -> None:
        self._progress = progress
        self._connection = connection
        self._entry = entry
        self._next_row = entry.next_row
        self._next_label = entry.next_label
        self._dimension = entry.info.dimension
        self._count = entry.info.count
        self._vectors_changed = False
        self._written: list[NDArray[np.int64]] = []
        self._removed = np.empty(0, dtype=np.int64)

    def add(self, batch: Encoded) -> Written:
        """Store the records whose ids are new."""
        self._check_dimension(batch.records.embeddings)
        ids = batch.records.ids
        known = reading.known(self._connection, self._entry, ids)
        self._insert(batch, [i for i, identifier in enumerate(ids) if identifier not in known] if known else range(len(ids)))
        self._finish()
        return Written(len(ids) - len(known), 0, tuple(identifier for identifier in ids if identifier in known) if known else ())

    def upsert(self, batch: Encoded) -> Written:
        """Store the records whose ids are new, update the others."""
        self._check_dimension(batch.records.embeddings)
        ids = batch.records.ids
        known = reading.known(self._connection, self._entry, ids)
        if known:
            self._change(batch.records, known)
        self._insert(batch, [i for i, identifier in enumerate(ids) if identifier not in known] if known else range(len(ids)))
        self._finish()
        return Written(len(ids) - len(known), len(known))

    def update(self, records: Records) -> Written:
        """Change the records whose ids are known."""
        self._check_dimension(records.embeddings)
        known = reading.known(self._connection, self._entry, records.ids)
        if known:
            self._change(records, known)
            self._finish()
        return Written(0, len(known), tuple(identifier for identifier in records.ids if identifier not in known))

    def delete(self, rows: reading.Rows) -> int:
        """Remove the records at `rows`."""
        if not len(rows):
            return 0
        labels = reading.labels_of(self._entry, [label for _, label in reading.select(self._connection, self._entry, "label", rows)])
        if not len(labels) == len(rows) <= self._count:
            raise reading.damaged(self._entry, f"{len(rows)} records are to go, {len(labels)} of {self._count} were found")
        base = span(self._entry.number)[0]
        for start in range(0, len(rows), _STEP):
            stopping.check()
            self._connection.executemany(
                "DELETE FROM record WHERE key = ?", [(key,) for key in (rows[start : start + _STEP] + base).tolist()]
            )
        vectors.retire(self._connection, self._entry.number, labels)
        self._removed = rows
        self._count -= len(rows)
        self._vectors_changed = True
        self._finish()
        return len(rows)

    def _check_dimension(self, embeddings: Vectors | None) -> None:
        if embeddings is None:
            return
        if self._dimension is None:
            self._dimension = int(embeddings.shape[1])
        elif embeddings.shape[1] != self._dimension:
            raise InvalidDimensionError(
                f"Collection expecting embedding with dimension of {self._dimension}, got {embeddings.shape[1]}"
                f" (collection {self._entry.info.name!r}); nothing was written. Use the model it was made with, or a new collection"
            )

    def _new_labels(self, embeddings: Vectors) -> int:
        first = self._next_label
        self._require_unused("chunk", first)
        vectors.store(self._connection, self._entry.number, first, embeddings)
        self._next_label += len(embeddings)
        self._vectors_changed = True
        return first

    def _require_unused(self, table: str, number: int) -> None:
        """Refuse to give away a row or a label that is there already, or one after it."""
        if self._connection.execute(f"SELECT 1 FROM {table} WHERE key BETWEEN ? AND ?", span(self._entry.number, number)).fetchone():
            raise reading.damaged(self._entry, f"the next {table} would have number {number}, but there is one from there on")

    def _insert(self, batch: Encoded, chosen: Sequence[int]) -> None:
        if not chosen:
            return
        embeddings = batch.records.embeddings
        assert embeddings is not None  # noqa: S101 - Add and Upsert promise it
        whole = len(chosen) == len(batch.records)
        label = self._new_labels(embeddings if whole else embeddings[np.asarray(chosen)])
        key = span(self._entry.number, self._next_row)[0]
        self._require_unused("record", self._next_row)
        for start in range(0, len(chosen), _STEP):
            stopping.check()
            part = chosen[start : start + _STEP]
            labels = range(label + start, label + start + len(part))
            rows = zip(
                range(key + start, key + start + len(part)),
                [self._entry.number] * len(part),
                [batch.records.ids[i] for i in part],
                labels,
                [batch.metadatas[i] for i in part],
                [batch.uris[i] for i in part],
                [batch.documents[i] for i in part],
                row_crcs([batch.crcs[i] for i in part], labels),
                [batch.document_crcs[i] for i in part],
                strict=True,
            )
            self._connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._tell(len(part))
        self._written.append(np.arange(self._next_row, self._next_row + len(chosen), dtype=np.int64))
        self._next_row += len(chosen)
        self._count += len(chosen)

    def _change(self, records: Records, known: dict[str, tuple[int, int]]) -> None:
        chosen = sorted((known[identifier][0], i) for i, identifier in enumerate(records.ids) if identifier in known)
        rows = np.array([row for row, _ in chosen], dtype=np.int64)
        order = [i for _, i in chosen]
        labels = self._relabelled(records, known, order)
        current = reading.select(self._connection, self._entry, "id, label, metadata, uri, crc, document, document_crc", rows)
        if len(current) != len(rows) or not are_sound(*list(zip(*current, strict=True))[1:6]):
            raise reading.damaged(self._entry, "a record that is to be changed is damaged")
        stored = decode_metadatas([row[3] for row in current])
        for start in range(0, len(current), _STEP):
            stopping.check()
            changed = []
            for place in range(start, min(start + _STEP, len(current))):
                key, identifier, label, metadata, uri, _, document, crc = current[place]
                i = order[place]
                given = None if records.metadatas is None else records.metadatas[i]
                if given:
                    metadata = encode_metadata({**(stored[place] or {}), **given})
                if records.uris is not None and records.uris[i] is not None:
                    uri = records.uris[i]
                if records.documents is not None and records.documents[i] is not None:
                    document = records.documents[i]
                    crc = document_crc(document)
                label = labels.get(i, label)
                changed.append((label, metadata, uri, document, row_crc(head_crc(identifier, uri, metadata), label), crc, key))
            self._connection.executemany(
                "UPDATE record SET label = ?, metadata = ?, uri = ?, document = ?, crc = ?, document_crc = ? WHERE key = ?", changed
            )
            self._tell(len(changed))
        self._written.append(rows)

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            with stopping.released():
                self._progress(done)

    def _relabelled(self, records: Records, known: dict[str, tuple[int, int]], order: list[int]) -> dict[int, int]:
        """Store the new vectors of known records; return their new labels by place in the batch."""
        if records.embeddings is None:
            return {}
        source = {i: i for i in order}
        if records.embedded is not None:
            places = np.cumsum(records.embedded) - 1
            source = {i: int(places[i]) for i in order if records.embedded[i]}
            if not source:
                return {}
        first = self._new_labels(records.embeddings[list(source.values())])
        vectors.retire(self._connection, self._entry.number, np.array([known[records.ids[i]][1] for i in source], dtype=np.int64))
        return {i: first + place for place, i in enumerate(source)}

    def _finish(self) -> None:
        if not self._written and not len(self._removed) and self._dimension == self._entry.info.dimension:
            return
        seq = self._entry.seq + 1
        written = np.concatenate(self._written) if self._written else np.empty(0, dtype=np.int64)
        self._connection.execute(
            "INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?)",
            (
                span(self._entry.number, seq)[0],
                written.astype("<i8").tobytes(),
                self._removed.astype("<i8").tobytes(),
                self._entry.next_label,
            ),
        )
        self._connection.execute(
            """UPDATE collection SET seq = ?, vectors_seq = CASE WHEN ? THEN ? ELSE vectors_seq END,
               next_row = ?, next_label = ?, count = ?, dimension = ? WHERE number = ?""",
            (seq, self._vectors_changed, seq, self._next_row, self._next_label, self._count, self._dimension, self._entry.number),
        )
