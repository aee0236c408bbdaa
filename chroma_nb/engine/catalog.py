"""Tenants, databases and collections in SQLite: looking up, making, changing, removing. No records here."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import orjson

from chroma_nb.configuration import Configuration
from chroma_nb.engine.encoding import decode_metadatas, encode_metadata
from chroma_nb.engine.scanning import ascending, scanning
from chroma_nb.engine.schema import SHIFT, span
from chroma_nb.errors import DatabaseCorruptedError, NotFoundError, UniqueConstraintError, did_you_mean
from chroma_nb.records import MAX_DIMENSION
from chroma_nb.results import CollectionInfo, DatabaseInfo
from chroma_nb.scalars import Metadata


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the collection table."""

    number: int
    info: CollectionInfo
    next_row: int
    next_label: int
    floor: int

    @property
    def seq(self) -> int:
        """Sequence number of the last change."""
        return self.info.version


_COLUMNS = """
    SELECT c.number, c.id, c.name, t.name, d.name, c.metadata, c.configuration, c.dimension, c.count, c.seq, c.vectors_seq,
           c.next_row, c.next_label, c.floor
    FROM collection AS c"""
_JOINED = "JOIN database AS d ON d.number = c.database JOIN tenant AS t ON t.number = d.tenant"
_SELECT = f"{_COLUMNS} {_JOINED}"


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_COLLECTIONS = 1 << 63 - SHIFT
_MOST = 1 << SHIFT - 1
"""Rows or labels that may have been given away: half of what a key has room for, so that there is always room for one more call."""


@lru_cache(maxsize=256)
def _configuration(text: bytes) -> Configuration:
    return Configuration.from_json(orjson.loads(text))


def _entry(row: Sequence[Any]) -> Entry:
    number, identifier, name, tenant, database, metadata, configuration, dimension, count, seq, vectors_seq, next_row, next_label, floor = (
        row
    )
    if not (
        type(identifier) is type(name) is type(tenant) is type(database) is str
        and _UUID.fullmatch(identifier)
        and not set(map(type, (number, count, seq, vectors_seq, next_row, next_label, floor))) - {int}
        and 0 < number < _COLLECTIONS
        and 0 <= count <= next_row <= _MOST
        and count <= next_label <= _MOST
        and 0 <= floor <= seq <= _MOST
        and 0 <= vectors_seq <= seq
        and ((dimension is None and not count) or (type(dimension) is int and 0 < dimension <= MAX_DIMENSION))
    ):
        raise DatabaseCorruptedError(f"collection {str(name)[:60]!r}: the numbers that describe it are damaged; restore a backup")
    try:
        parsed_metadata, parsed_configuration = None if metadata is None else decode_metadatas([metadata])[0], _configuration(configuration)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatabaseCorruptedError(f"collection {name[:60]!r}: its description is damaged ({error}); restore a backup") from error
    info = CollectionInfo(
        id=identifier,
        name=name,
        tenant=tenant,
        database=database,
        metadata=parsed_metadata,
        configuration=parsed_configuration,
        dimension=dimension,
        count=count,
        version=seq,
        vectors_version=vectors_seq,
    )
    return Entry(number, info, next_row, next_label, floor)


def by_id(connection: sqlite3.Connection, identifier: str) -> Entry:
    """Return the collection with this id.

    Raises
    ------
    NotFoundError
        It was deleted, or never was.
    """
    row = connection.execute(f"{_SELECT} WHERE c.id = ?", (identifier,)).fetchone()
    if row is None:
        raise NotFoundError(
            f"Collection [{identifier}] does not exist: it was deleted after this object was made; get or create it again by name"
        )
    return _entry(row)


def exists(connection: sqlite3.Connection, identifier: str) -> bool:
    """Tell whether there is a collection with this id."""
    return connection.execute("SELECT 1 FROM collection WHERE id = ?", (identifier,)).fetchone() is not None


def by_name(connection: sqlite3.Connection, tenant: str, database: str, name: str) -> Entry:
    """Return the collection of this name.

    Raises
    ------
    NotFoundError
        There is none; the message suggests a similar name.
    """
    entry = find(connection, database_number(connection, tenant, database), name)
    if entry is None:
        known = [info.name for info in listing(connection, tenant, database, None, 0)]
        raise NotFoundError(f"Collection [{name}] does not exist in database {database!r}.{did_you_mean(name, known)}")
    return entry


def find(connection: sqlite3.Connection, database: int, name: str) -> Entry | None:
    """Return the collection of this name, or None."""
    row = connection.execute(f"{_SELECT} WHERE c.database = ? AND c.name = ?", (database, name)).fetchone()
    return None if row is None else _entry(row)


def listing(connection: sqlite3.Connection, tenant: str, database: str, limit: int | None, offset: int) -> list[CollectionInfo]:
    """Return the collections of a database in order of creation."""
    number = database_number(connection, tenant, database)
    with scanning(connection):
        rows = connection.execute(
            f"{_COLUMNS} NOT INDEXED {_JOINED} WHERE c.database = ? ORDER BY c.number LIMIT ? OFFSET ?",
            (number, -1 if limit is None else limit, offset),
        )
        return [_entry(row).info for row in ascending(rows)]


def count(connection: sqlite3.Connection, tenant: str, database: str) -> int:
    """Return how many collections a database has."""
    number = database_number(connection, tenant, database)
    with scanning(connection):
        return int(connection.execute("SELECT count(*) FROM collection WHERE database = ?", (number,)).fetchone()[0])


def create(connection: sqlite3.Connection, database: int, name: str, metadata: Metadata | None, configuration: Configuration) -> Entry:
    """Make a collection.

    Raises
    ------
    UniqueConstraintError
        The name is taken.
    """
    _require_free(connection, database, name)
    identifier = str(uuid.uuid4())
    _insert(
        connection,
        "INSERT INTO collection (id, database, name, metadata, configuration) VALUES (?, ?, ?, ?, ?)",
        (identifier, database, name, encode_metadata(metadata), _written(configuration)),
    )
    return by_id(connection, identifier)


def _one(connection: sqlite3.Connection, statement: str, number: int) -> Any:
    """Return a value of the row with this number, which an index said is there."""
    row = connection.execute(statement, (number,)).fetchone()
    if row is None:
        raise DatabaseCorruptedError(f"an index leads to number {number}, which is not there; restore a backup")
    return row[0]


def _insert(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> None:
    with scanning(connection):  # for a new number SQLite goes through the table of those it gave away
        connection.execute(statement, values)


def _written(configuration: Configuration) -> bytes:
    return orjson.dumps({"hnsw": asdict(configuration.hnsw), "embedding_function": configuration.embedding_function})


def _require_free(connection: sqlite3.Connection, database: int, name: str) -> None:
    if find(connection, database, name) is not None:
        raise UniqueConstraintError(f"Collection [{name}] already exists; use get_or_create_collection, or another name")


def modify(connection: sqlite3.Connection, entry: Entry, name: str | None, configuration: Configuration | None) -> None:
    """Rename a collection and replace its configuration."""
    if name is not None and name != entry.info.name:
        database = _one(connection, "SELECT database FROM collection WHERE number = ?", entry.number)
        _require_free(connection, database, name)
        connection.execute("UPDATE collection SET name = ? WHERE number = ?", (name, entry.number))
    if configuration is not None:
        connection.execute("UPDATE collection SET configuration = ? WHERE number = ?", (_written(configuration), entry.number))


def set_metadata(connection: sqlite3.Connection, entry: Entry, metadata: Metadata | None) -> None:
    """Replace a collection's metadata."""
    connection.execute("UPDATE collection SET metadata = ? WHERE number = ?", (encode_metadata(metadata), entry.number))


def fork(connection: sqlite3.Connection, entry: Entry, name: str) -> Entry:
    """Copy a collection, records and all, under a new name of the same database."""
    database = _one(connection, "SELECT database FROM collection WHERE number = ?", entry.number)
    made = create(connection, database, name, entry.info.metadata, entry.info.configuration)
    shift = span(made.number)[0] - span(entry.number)[0]
    keys = span(entry.number)
    with scanning(connection):
        for table in ("record", "chunk", "vectors"):  # SQLite writes all it copies into a temporary table first
            rows = connection.execute(f"SELECT key FROM {table} WHERE key BETWEEN ? AND ? ORDER BY key", keys)
            deque(ascending(rows), maxlen=0)
        connection.execute(
            """INSERT INTO record SELECT key + ?, ?, id, label, metadata, uri, document, crc, document_crc
               FROM record WHERE key BETWEEN ? AND ?""",
            (shift, made.number, *keys),
        )
        connection.execute("INSERT INTO chunk SELECT key + ?, size, live, crc FROM chunk WHERE key BETWEEN ? AND ?", (shift, *keys))
        connection.execute("INSERT INTO vectors SELECT key + ?, data FROM vectors WHERE key BETWEEN ? AND ?", (shift, *keys))
    connection.execute(
        """UPDATE collection SET (dimension, count, next_row, next_label, seq, vectors_seq, floor) =
           (SELECT dimension, count, next_row, next_label, seq, vectors_seq, seq FROM collection WHERE number = ?) WHERE number = ?""",
        (entry.number, made.number),
    )
    return by_id(connection, made.info.id)


def delete(connection: sqlite3.Connection, number: int) -> None:
    """Remove a collection, its records and what the caches said of it."""
    keys = span(number)
    with scanning(connection):
        for table in ("record", "chunk", "vectors", "change"):
            connection.execute(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", keys)
        for table in ("cache", "layout"):
            connection.execute(f"DELETE FROM {table} WHERE collection = ?", (number,))
    connection.execute("DELETE FROM collection WHERE number = ?", (number,))


def numbers(connection: sqlite3.Connection, database: int | None = None) -> list[int]:
    """Return the numbers of all collections, or of those of one database."""
    with scanning(connection):
        rows = connection.execute("SELECT number, database FROM collection NOT INDEXED ORDER BY number")
        found = [number for number, owner in ascending(rows) if database in (None, owner)]
    if not all(0 < number < _COLLECTIONS for number in found):
        raise DatabaseCorruptedError("a collection has a number that is never given; restore a backup")
    return found


def tenant_number(connection: sqlite3.Connection, tenant: str) -> int:
    """Return a tenant's number, or say that there is none."""
    row = connection.execute("SELECT number FROM tenant WHERE name = ?", (tenant,)).fetchone()
    if row is None:
        raise NotFoundError(f"Tenant [{tenant}] not found; make it with AdminClient.create_tenant")
    return int(row[0])


def database_number(connection: sqlite3.Connection, tenant: str, database: str) -> int:
    """Return a database's number, or say that there is none."""
    row = connection.execute(
        "SELECT d.number FROM database AS d JOIN tenant AS t ON t.number = d.tenant WHERE t.name = ? AND d.name = ?", (tenant, database)
    ).fetchone()
    if row is None:
        tenant_number(connection, tenant)
        raise NotFoundError(f"Database [{database}] not found in tenant {tenant!r}; make it with AdminClient.create_database")
    return int(row[0])


def create_tenant(connection: sqlite3.Connection, name: str) -> None:
    """Make a tenant."""
    if connection.execute("SELECT 1 FROM tenant WHERE name = ?", (name,)).fetchone():
        raise UniqueConstraintError(f"Tenant [{name}] already exists")
    _insert(connection, "INSERT INTO tenant (name) VALUES (?)", (name,))


def tenants(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all tenants in order of creation."""
    with scanning(connection):
        rows = connection.execute("SELECT number, name FROM tenant NOT INDEXED ORDER BY number")
        return [_text(name, "a tenant") for _, name in ascending(rows)]


def _text(value: object, whose: str) -> str:
    if not isinstance(value, str):
        raise DatabaseCorruptedError(f"the name of {whose} is no text; restore a backup")
    return value


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise DatabaseCorruptedError("the id of a database is no UUID; restore a backup")
    return value


def create_database(connection: sqlite3.Connection, tenant: str, name: str) -> None:
    """Make a database in a tenant."""
    number = tenant_number(connection, tenant)
    if connection.execute("SELECT 1 FROM database WHERE tenant = ? AND name = ?", (number, name)).fetchone():
        raise UniqueConstraintError(f"Database [{name}] already exists in tenant {tenant!r}")
    _insert(connection, "INSERT INTO database (id, tenant, name) VALUES (?, ?, ?)", (str(uuid.uuid4()), number, name))


def databases(connection: sqlite3.Connection, tenant: str, limit: int | None, offset: int) -> list[DatabaseInfo]:
    """Return the databases of a tenant in order of creation."""
    number = tenant_number(connection, tenant)
    with scanning(connection):
        rows = connection.execute(
            "SELECT number, id, name FROM database NOT INDEXED WHERE tenant = ? ORDER BY number LIMIT ? OFFSET ?",
            (number, -1 if limit is None else limit, offset),
        )
        return [DatabaseInfo(_identifier(identifier), _text(name, "a database"), tenant) for _, identifier, name in ascending(rows)]


def database(connection: sqlite3.Connection, tenant: str, name: str) -> DatabaseInfo:
    """Return one database."""
    number = database_number(connection, tenant, name)
    identifier = _one(connection, "SELECT id FROM database WHERE number = ?", number)
    return DatabaseInfo(_identifier(identifier), name, tenant)


def delete_database(connection: sqlite3.Connection, tenant: str, name: str) -> list[int]:
    """Remove a database with all its collections; return the numbers those had."""
    number = database_number(connection, tenant, name)
    gone = numbers(connection, number)
    for collection in gone:
        delete(connection, collection)
    connection.execute("DELETE FROM database WHERE number = ?", (number,))
    return gone
