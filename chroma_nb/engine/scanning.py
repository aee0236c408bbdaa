"""Statements that go through a table, in files that anybody may have made.

A table is a tree of pages. In a prepared file many branches can lead to the same page, so that half a megabyte has more rows than
anybody can wait for, and SQLite does not notice. No such file is honest about how much a scan of it takes: so that is bounded
by its size. Looking up one key needs none of this. Called by whoever goes through a table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Final

from chroma_nb import stopping
from chroma_nb.errors import DatabaseCorruptedError

STEPS: Final = 20_000
"""Of SQLite's machine, between two looks at whether to go on: some milliseconds."""
_LEAST: Final = 50
_LARGEST_PAGE: Final = 65_536
"""A row takes some ten steps, or a hundred in a sort, and several tens of bytes: fewer steps than bytes, had pages this size."""


class scanning:  # noqa: N801 - reads as a statement, like contextlib.suppress
    """Context for statements, and for taking their rows.

    Raises
    ------
    DatabaseCorruptedError
        There were more rows than the file can hold.
    """

    __slots__ = ("_connection", "_left")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._left: int = _LEAST + connection.execute("PRAGMA page_count").fetchone()[0] * _LARGEST_PAGE // STEPS

    def __enter__(self) -> None:
        self._connection.set_progress_handler(self._is_over, STEPS)

    def _is_over(self) -> bool:
        self._left -= 1
        return self._left < 0 or stopping.is_due()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.set_progress_handler(stopping.is_due, STEPS)
        if self._left < 0 and isinstance(error, sqlite3.OperationalError):
            raise DatabaseCorruptedError("a table has more rows than the file can hold; restore it from a backup") from error


def ascending(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield `rows`, which are in the order of their first value; one that comes again is not taken into memory again.

    Raises
    ------
    DatabaseCorruptedError
        They are not in that order.
    """
    last = None
    for row in rows:
        if last is not None and not row[0] > last:
            raise DatabaseCorruptedError("a table has a row twice; restore it from a backup")
        last = row[0]
        yield row
