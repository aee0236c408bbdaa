"""Tests on documents, evaluated by SQLite row by row, so that documents never have to fit in memory.

``$contains`` is ``instr``: a literal, case-sensitive substring in which ``%`` and ``_`` are ordinary characters. The function of
``$regex`` is made with each connection (`chroma_nb.engine.database`).
"""

from __future__ import annotations

import sqlite3
import time

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.database import Shared
from chroma_nb.engine.memory import OutdatedReadError
from chroma_nb.engine.scanning import scanning
from chroma_nb.engine.schema import span
from chroma_nb.engine.view import Mask, Positions, View
from chroma_nb.filters import Document

_SPARSE = 20
_PARAMETERS = 500
_FIRST_STRETCH, _STRETCH = 16, 0.05
"""Rows that are looked at first, and seconds that a stretch is to take."""
_TESTS = {
    "$contains": "instr(document, ?) > 0",
    "$not_contains": "instr(document, ?) = 0",
    "$regex": "typeof(document) = 'text' AND chroma_nb_search(?, document)",
    "$not_regex": "typeof(document) = 'text' AND NOT chroma_nb_search(?, document)",
}


def mask(connection: sqlite3.Connection, entry: Entry, view: View, test: Document, within: Positions | None = None) -> Mask:
    """Return which positions of `view` pass `test`; outside `within` the answer is False.

    Returns
    -------
    (view.size,) bool
    """
    condition = f"document IS NOT NULL AND {_TESTS[test.op]}"
    if getattr(test, "missing", False):
        condition = f"(document IS NULL OR {_TESTS[test.op]})"
    passed = np.zeros(view.size, dtype=bool)
    if within is not None and len(within) * _SPARSE < view.count:
        rows = _among(connection, entry, condition, test.text, view.rows[within])
    else:
        rows = _everywhere(connection, entry, condition, test.text)
    passed[view.positions_of_rows(rows)] = True
    if within is not None:
        inside = np.zeros(view.size, dtype=bool)
        inside[within] = True
        passed &= inside
    return passed


def _everywhere(connection: sqlite3.Connection, entry: Entry, condition: str, text: str) -> NDArray[np.int64]:
    base = span(entry.number)[0]
    found = [np.empty(0, dtype=np.int64)]
    # Other reads use a shared connection too, and a pattern can take long: then it goes by stretches, and lets them in.
    first, step = 0, _FIRST_STRETCH if isinstance(connection, Shared) else entry.next_row
    while first < entry.next_row:
        last = min(first + step, entry.next_row) - 1
        begun = time.monotonic()
        with scanning(connection):
            rows = connection.execute(
                f"SELECT key FROM record WHERE key BETWEEN ? AND ? AND {condition}", (base | first, base | last, text)
            )
            found.append(np.fromiter((key - base for (key,) in rows), dtype=np.int64))
        first = last + 1
        step = max(1, int(step * min(4.0, _STRETCH / max(time.monotonic() - begun, _STRETCH / 4))))
        _let_others_in(connection, begun)
    return np.concatenate(found)


def _let_others_in(connection: sqlite3.Connection, since: float) -> None:
    if isinstance(connection, Shared) and time.monotonic() - since > _STRETCH / 4 and not connection.lend():
        raise OutdatedReadError


def _among(connection: sqlite3.Connection, entry: Entry, condition: str, text: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    base = span(entry.number)[0]
    keys = (rows + base).tolist()
    found: list[int] = []
    for start in range(0, len(keys), _PARAMETERS):
        begun = time.monotonic()
        part = keys[start : start + _PARAMETERS]
        marks = ",".join("?" * len(part))
        found += [
            key - base for (key,) in connection.execute(f"SELECT key FROM record WHERE key IN ({marks}) AND {condition}", (*part, text))
        ]
        _let_others_in(connection, begun)
    return np.array(found, dtype=np.int64)
