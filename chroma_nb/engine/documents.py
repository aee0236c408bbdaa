"""Tests on documents, evaluated by SQLite row by row, so that documents never have to fit in memory.

``$contains`` is ``instr``: a literal, case-sensitive substring in which ``%`` and ``_`` are ordinary characters. The function of
``$regex`` is made with each connection (`chroma_nb.engine.database`).
"""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.scanning import scanning
from chroma_nb.engine.schema import span
from chroma_nb.engine.view import Mask, Positions, View
from chroma_nb.filters import Document

_SPARSE = 20
_PARAMETERS = 500
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
    base, top = span(entry.number)
    with scanning(connection):
        found = connection.execute(f"SELECT key FROM record WHERE key BETWEEN ? AND ? AND {condition}", (base, top, text))
        return np.fromiter((key - base for (key,) in found), dtype=np.int64)


def _among(connection: sqlite3.Connection, entry: Entry, condition: str, text: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    base = span(entry.number)[0]
    keys = (rows + base).tolist()
    found: list[int] = []
    for start in range(0, len(keys), _PARAMETERS):
        part = keys[start : start + _PARAMETERS]
        marks = ",".join("?" * len(part))
        found += [
            key - base for (key,) in connection.execute(f"SELECT key FROM record WHERE key IN ({marks}) AND {condition}", (*part, text))
        ]
    return np.array(found, dtype=np.int64)
