"""A store as somebody might prepare it, and every verb asked of it: for the tests that let nothing but our own errors out."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chroma_nb import ops
from chroma_nb.configuration import Configuration
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import ChromaError
from chroma_nb.filters import parse_filter
from chroma_nb.records import Records
from tests.engine import asked

RECORDS = "chroma_nb.sqlite3"
N = 40
VECTORS = np.random.default_rng(0).standard_normal((N, 4)).astype(np.float32)
_EVERYTHING = asked.EVERY_FIELD | {"distances"}


def filled(folder: Path) -> str:
    """Make a store with a collection that has a bit of everything, a graph and saved columns; return the collection's id."""
    with contextlib.closing(Engine(folder)) as engine:
        collection = asked.create(engine)
        metadatas: list[Any] = [{"i": i, "name": f"n{i % 3}", **({"tags": ["x", "é"], "half": 0.5} if i % 2 else {})} for i in range(N)]
        asked.add(engine, collection, [f"é{i}" for i in range(N)], VECTORS, [f"document {i}" for i in range(N)], metadatas)
        asked.update(engine, collection, ["é3", "é4"], VECTORS[:2])
        engine.execute(ops.Count(collection, parse_filter({"i": 1})))
        engine.execute(ops.PutLayout(collection, "map", 2, ["é1", "é2"], np.zeros((2, 2), np.float32)))
        engine.execute(ops.BuildIndex(collection))
    return collection


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give the records file to somebody who knows SQLite; for as long, its columns take values of any kind."""
    with contextlib.closing(sqlite3.connect(folder / RECORDS, isolation_level=None)) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
        lax = [(re.sub(r" NOT NULL| TEXT\b(?! PRIMARY)| BLOB\b| INTEGER\b(?! PRIMARY)", "", sql), name) for name, sql in tables]
        _rewrite(connection, lax)
    with contextlib.closing(sqlite3.connect(folder / RECORDS, isolation_level=None)) as connection:
        yield connection
        _rewrite(connection, [(sql, name) for name, sql in tables])


def _rewrite(connection: sqlite3.Connection, statements: list[tuple[str, str]]) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany("UPDATE sqlite_master SET sql = ? WHERE name = ?", statements)
    connection.execute("PRAGMA writable_schema = RESET")


def bomb(folder: Path, table: str, levels: int = 4) -> None:
    """Let the root of a table lead to the page with its rows in some thousand ways, each over pages that do the same."""
    path = folder / RECORDS
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    data = bytearray(path.read_bytes())
    size = 16_384
    pages = len(data) // size
    leaf = data[(root - 1) * size : root * size]
    assert leaf[0] in (0x0D, 0x0A), "a root with its rows on it"
    data += leaf
    for level in range(levels):
        child = pages + 1 + level
        interior = _interior(child, leaf[0] == 0x0D, size)
        if level == levels - 1:
            data[(root - 1) * size : root * size] = interior
        else:
            data += interior
    data[28:32] = (len(data) // size).to_bytes(4, "big")
    data[92:96] = data[24:28]
    path.write_bytes(data)


def _interior(child: int, is_table: bool, size: int) -> bytes:
    cell = child.to_bytes(4, "big") + (b"\xa0" + b"\x80" * 7 + b"\0" if is_table else b"\x02\x02\x00\x00")  # 2^62, or NULL
    count = (size - 12) // (len(cell) + 2) - 1
    start = size - count * len(cell)
    head = (
        bytes([0x05 if is_table else 0x02])
        + b"\0\0"
        + count.to_bytes(2, "big")
        + start.to_bytes(2, "big")
        + b"\0"
        + child.to_bytes(4, "big")
    )
    pointers = b"".join((start + i * len(cell)).to_bytes(2, "big") for i in range(count))
    return (head + pointers).ljust(start, b"\0") + cell * count


def verbs(engine: Engine, collection: str) -> dict[str, Callable[[], Any]]:
    """Return every operation on the collection, by name; those that take it away come last."""

    def run(op: ops.Op[Any]) -> Callable[[], Any]:
        return lambda: engine.execute(op)

    where, document = parse_filter({"i": {"$gte": 2}}), parse_filter(None, {"$regex": "document 1"})
    query = ops.Query(collection, VECTORS[:2], 3, None, where, _EVERYTHING)
    some = Records.of(["é1", "new"], VECTORS[:2], ["a", "b"], [{"i": 1}, {"name": "x"}])
    return {
        "list": run(ops.ListCollections(*asked.PLACE)),
        "databases": run(ops.ListDatabases(asked.PLACE[0])),
        "by name": run(ops.GetCollection(*asked.PLACE, "docs")),
        "count": run(ops.Count(collection)),
        "get": run(ops.Get(collection, include=asked.EVERY_FIELD)),
        "get ids": run(ops.Get(collection, ["é1", "é3", "no"], include=asked.EVERY_FIELD)),
        "get where": run(ops.Get(collection, None, where, include=asked.EVERY_FIELD)),
        "get document": run(ops.Get(collection, None, document)),
        "query": run(query),
        "explain": run(ops.Explain(query)),
        "scan": run(ops.ScanPage(collection, None, 7, include=asked.EVERY_FIELD)),
        "sample": run(ops.Sample(collection, 5, 0)),
        "describe": run(ops.Describe(collection)),
        "facets": run(ops.Facets(collection, "name")),
        "columns": run(ops.Columns(collection, ("i", "tags"))),
        "changed": run(ops.ChangedSince(collection, 1)),
        "layout": run(ops.GetLayout(collection, "map")),
        "put layout": run(ops.PutLayout(collection, "other", 2, ["é1"], np.zeros((1, 2), np.float32))),
        "modify": run(ops.ModifyCollection(collection, None, {"a": 1}, True, Configuration())),
        "fork": run(ops.ForkCollection(collection, "fork")),
        "update": run(ops.Update(collection, Records.of(["é2"], VECTORS[:1], None, [{"i": 3}], removals=True))),
        "upsert": run(ops.Upsert(collection, some)),
        "add": run(ops.Add(collection, Records.of(["newer"], VECTORS[:1], None, None))),
        "delete": run(ops.Delete(collection, ["é5", "é6"])),
        "delete where": run(ops.Delete(collection, None, where, 3)),
        "build": run(ops.BuildIndex(collection)),
        "delete collection": run(ops.DeleteCollection(*asked.PLACE, "docs")),
        "reset": run(ops.Reset()),
    }


def replies(folder: Path, collection: str, *, read_only: bool = False) -> dict[str, str]:
    """Open a store, ask everything, close it; return by verb what kind of error came, or "answered". Anything else is raised."""
    said = {}
    try:
        engine = Engine(folder, allow_reset=True, read_only=read_only)
    except ChromaError as error:
        return {"open": type(error).__name__}
    with contextlib.closing(engine):
        for name, verb in verbs(engine, collection).items():
            try:
                verb()
            except ChromaError as error:
                said[name] = type(error).__name__
            except Exception as error:
                raise AssertionError(f"asked for {name!r}: {type(error).__name__}: {error}") from error
            else:
                said[name] = "answered"
    return said
