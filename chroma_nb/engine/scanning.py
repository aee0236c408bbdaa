"""Going through a table, in files that anybody may have made.

A table is a tree of pages, and a long value a chain of them. In a prepared file many branches can lead to the same page, and many rows
to the same chain, so that half a megabyte has more rows than anybody can wait for, or more bytes than any memory; SQLite does not
notice. No number in such a file says what a scan of it takes, so that is bounded by the file's size. Looking up one key needs
none of this. Called by whoever goes through a table, or takes many rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import ge
from types import TracebackType
from typing import Any, Final

from chroma_nb import stopping
from chroma_nb.engine import schema
from chroma_nb.errors import DatabaseCorruptedError

STEPS: Final = 20_000
"""Of SQLite's machine, between two looks at whether to go on: some milliseconds."""
_LEAST: Final = 50
_PART: Final = 64
_SMALL: Final = 1 << 20
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
            raise _doubled()
        last = row[0]
        yield row


def _doubled() -> DatabaseCorruptedError:
    return DatabaseCorruptedError("a table has a row twice; restore it from a backup")


def taken(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]], texts: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return `rows`, in the order of their first value, as a list, unless their values at `texts` have more bytes together than the file.

    Raises
    ------
    DatabaseCorruptedError
        They have; or they are neither texts nor bytes nor None, or in another order.
    """
    remaining = iter(rows)
    found: list[tuple[Any, ...]] = []
    size, most, last = 0, _SMALL, None
    while part := list(islice(remaining, _PART)):
        columns = list(zip(*part, strict=True))
        keys = columns[0]
        if any(map(ge, keys, keys[1:])) or (last is not None and last >= keys[0]):
            raise _doubled()
        last = keys[-1]
        try:
            size += sum(sum(map(len, filter(None, columns[i]))) for i in texts)
        except TypeError as error:
            raise DatabaseCorruptedError("a text is of another kind; restore the records file from a backup") from error
        if size > most:
            most = max(most, schema.size(connection))
        if size > most:
            raise DatabaseCorruptedError("values have more bytes than the file can hold; restore it from a backup")
        found += part
    return found
