"""The tables of a store, and how an older format becomes the present one.

Every record is found under one integer: ``key = (collection number << 40) | row``, so that the records of a collection lie
side by side in the order they were added, and a row number, like a vector's label, is never used twice.

``vectors`` holds many vectors per BLOB: the vectors a call brought, in pieces of about 1 MiB; ``chunk`` says which labels a
piece holds and how many of them still belong to a record. ``change`` is the journal by which caches catch up: one line
per transaction and collection, with the rows it wrote and removed, and the label that the first vector it stored got, or
would have got. Everything else in the folder is a cache that ``cache`` vouches for.

Format 1 had no labels in the journal, and saved columns without ids.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from chroma_nb.errors import DatabaseCorruptedError

APPLICATION_ID = 0x43_4E_42_31  # "CNB1"
FORMAT = 2
SHIFT = 40
"""Bits of a key below the collection number: 2^40 rows or labels per collection, 2^23 collections."""
PAGE_SIZE = 16_384

DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
DEFAULT_DATABASE_ID = "00000000-0000-0000-0000-000000000000"

_FIRST_CHANGE: Final = "CREATE TABLE change (key INTEGER PRIMARY KEY, written BLOB NOT NULL, removed BLOB NOT NULL)"
_CHANGE: Final = f"{_FIRST_CHANGE[:-1]}, label INTEGER NOT NULL)"
_ADD_LABEL: Final = "ALTER TABLE change ADD COLUMN label INTEGER NOT NULL DEFAULT 0"
Shape: TypeAlias = frozenset[tuple[str, ...]]
"""What SQLite says of tables and whatever else there is: type, name, table, and the statement that made it."""

_TABLES: Final = (
    "CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE tenant (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE database (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, name TEXT NOT NULL,
        UNIQUE (tenant, name))""",
    """CREATE TABLE collection (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, database INTEGER NOT NULL, name TEXT NOT NULL,
        metadata BLOB, configuration BLOB NOT NULL, dimension INTEGER,
        count INTEGER NOT NULL DEFAULT 0, next_row INTEGER NOT NULL DEFAULT 0, next_label INTEGER NOT NULL DEFAULT 0,
        seq INTEGER NOT NULL DEFAULT 0, vectors_seq INTEGER NOT NULL DEFAULT 0, floor INTEGER NOT NULL DEFAULT 0,
        UNIQUE (database, name))""",
    """CREATE TABLE record (
        key INTEGER PRIMARY KEY, collection INTEGER NOT NULL, id TEXT NOT NULL, label INTEGER NOT NULL,
        metadata BLOB, uri TEXT, document TEXT, crc INTEGER NOT NULL, document_crc INTEGER NOT NULL,
        UNIQUE (collection, id))""",
    "CREATE TABLE chunk (key INTEGER PRIMARY KEY, size INTEGER NOT NULL, live INTEGER NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE vectors (key INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    _CHANGE,
    """CREATE TABLE cache (
        collection INTEGER NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL, file TEXT NOT NULL,
        size INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (collection, kind)) WITHOUT ROWID""",
    """CREATE TABLE layout (
        collection INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, ids BLOB NOT NULL, coordinates BLOB NOT NULL,
        crc INTEGER NOT NULL, PRIMARY KEY (collection, key))""",
)


def prepare(connection: sqlite3.Connection, place: str, *, read_only: bool = False) -> None:
    """Make the tables of a new store, or check that an existing one can be read, and bring it to the present format.

    With `read_only`, a store of an earlier format stays one: its journal has no labels, its saved columns are not used.

    Raises
    ------
    DatabaseCorruptedError
        The file is another program's, or of a newer format; it is left as it is.
    """
    if not is_ours(connection, place):
        _write(connection, _create)
    elif not read_only and not is_present(connection):
        _write(connection, _upgrade)


def is_present(connection: sqlite3.Connection) -> bool:
    """Tell whether the store is of the present format; one that is only read may be of an earlier one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version == FORMAT


def harden(connection: sqlite3.Connection) -> None:
    """Let nothing run or be reached that a records file asks for; the first thing done with a new connection."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    if sys.version_info >= (3, 12):
        # Should somebody change the file while it is open; `is_ours` has refused all of these before.
        for option, on in (
            (sqlite3.SQLITE_DBCONFIG_DEFENSIVE, 1),
            (sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
            (sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        ):
            connection.setconfig(option, bool(on))


def is_ours(connection: sqlite3.Connection, place: str) -> bool:
    """Tell whether the file is a store that can be read; an empty one is not one yet.

    Raises
    ------
    DatabaseCorruptedError
        As `prepare` says; also when it has anything but the tables of its format: a trigger, a view, a computed column would run.
    """
    connection.execute("BEGIN")  # so that it is one state, whatever another process makes of the file meanwhile
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        shape = _shape(connection)
    finally:
        connection.execute("ROLLBACK")
    if application == 0 and version == 0 and not shape:
        return False
    if application != APPLICATION_ID:
        raise DatabaseCorruptedError(f"{place}: an SQLite file, but not a store of chroma_nb; nothing was changed. Choose another folder")
    if version > FORMAT:
        raise DatabaseCorruptedError(
            f"{place}: written in store format {version}, this version reads up to {FORMAT}; upgrade chroma-nb. Nothing was changed"
        )
    known = _known_shapes().get(version)
    if known is None:
        raise DatabaseCorruptedError(f"{place}: says that it is of store format {version}, which never was. Nothing was changed")
    if shape not in known:
        odd = sorted(shape ^ known[0])
        raise DatabaseCorruptedError(
            f"{place}: {odd[0][0][:60]!r} {odd[0][1][:60]!r} is not as chroma_nb made it, or was added; nothing of it was run,"
            " and nothing was changed. Open a backup"
        )
    return True


def _shape(connection: sqlite3.Connection) -> Shape:
    rows = connection.execute("SELECT type, name, tbl_name, substr(sql, 1, 2000) FROM sqlite_master LIMIT 100")
    return frozenset(tuple(map(str, row)) for row in rows)


@lru_cache(maxsize=1)
def _known_shapes() -> dict[int, tuple[Shape, ...]]:
    """Return by format what a store may look like: made so, or brought there from the format before."""
    present, first = (sqlite3.connect(":memory:"), sqlite3.connect(":memory:"))
    with contextlib.closing(present), contextlib.closing(first):
        for table in _TABLES:
            present.execute(table)
            first.execute(_FIRST_CHANGE if table is _CHANGE else table)
        before = _shape(first)
        first.execute(_ADD_LABEL)
        return {1: (before,), 2: (_shape(present), _shape(first))}


def _write(connection: sqlite3.Connection, body: Callable[[sqlite3.Connection], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        body(connection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _create(connection: sqlite3.Connection) -> None:
    for table in _TABLES:
        connection.execute(table)
    connection.execute("INSERT INTO store VALUES ('uuid', ?)", (str(uuid.uuid4()),))
    add_defaults(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _upgrade(connection: sqlite3.Connection) -> None:
    # From label 0 on every vector counts as changed, which is all that can be said of writes before.
    connection.execute(_ADD_LABEL)
    connection.execute("DELETE FROM cache WHERE kind = 'columns'")


def add_defaults(connection: sqlite3.Connection) -> None:
    """Make the default tenant and database; every store has them, also after a reset."""
    connection.execute("INSERT INTO tenant (name) VALUES (?)", (DEFAULT_TENANT,))
    connection.execute(
        "INSERT INTO database (id, tenant, name) SELECT ?, number, ? FROM tenant WHERE name = ?",
        (DEFAULT_DATABASE_ID, DEFAULT_DATABASE, DEFAULT_TENANT),
    )


def size(connection: sqlite3.Connection) -> int:
    """Return the bytes that the store takes, without its caches."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return pages * int(connection.execute("PRAGMA page_size").fetchone()[0])


def span(collection: int, first: int = 0, last: int = (1 << SHIFT) - 1) -> tuple[int, int]:
    """Return the lowest and highest key of a collection's rows (or labels, or changes) `first` to `last`."""
    base = collection << SHIFT
    return base | first, base | last
