"""Stored projections: the last one of a key, whatever the data has become; bounded in number and in bytes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from chroma_nb import ops
from chroma_nb.engine import layouts
from chroma_nb.engine.engine import Engine
from tests.engine import asked


@pytest.fixture
def docs(engine: Engine) -> str:
    collection = asked.create(engine)
    asked.add(engine, collection, ["a", "b"], [[1, 0], [0, 1]])
    return collection


def put(engine: Engine, collection: str, key: str, version: int, size: int = 2) -> None:
    points = np.arange(2 * size, dtype=np.float32).reshape(size, 2)
    engine.execute(ops.PutLayout(collection, key, version, [f"{i}" for i in range(size)], points))


def kept(engine: Engine, collection: str) -> list[str]:
    return [key for key in map(str, range(100)) if engine.execute(ops.GetLayout(collection, key)) is not None]


def test_the_last_one_is_found_whatever_its_version(engine: Engine, docs: str) -> None:
    assert engine.execute(ops.GetLayout(docs, "1")) is None
    put(engine, docs, "1", 1)
    asked.add(engine, docs, ["c"], [[1, 1]])
    last = engine.execute(ops.GetLayout(docs, "1"))
    assert last is not None
    assert (last.version, last.ids, last.coordinates.tolist()) == (1, ["0", "1"], [[0, 1], [2, 3]])
    assert engine.execute(ops.GetLayout(docs, "1", 2)) is None
    put(engine, docs, "1", 2, 3)
    assert engine.execute(ops.GetLayout(docs, "1", 1)) is None
    for version in (2, None):
        newer = engine.execute(ops.GetLayout(docs, "1", version))
        assert newer is not None
        assert (newer.version, len(newer.ids)) == (2, 3)
    assert engine.execute(ops.GetLayout(docs, "2")) is None


def test_so_many_are_kept_and_no_more(engine: Engine, docs: str) -> None:
    other = asked.create(engine, "other")
    put(engine, other, "0", 1)
    for number in range(20):
        put(engine, docs, str(number), 100 - number)
    assert kept(engine, docs) == [str(number) for number in range(4, 20)]
    put(engine, docs, "4", 1)
    put(engine, docs, "50", 1)
    assert kept(engine, docs) == ["4", *(str(number) for number in range(6, 20)), "50"]
    assert kept(engine, other) == ["0"]


def test_so_many_bytes_are_kept_and_the_last_one_in_any_case(engine: Engine, docs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(engine, docs, "0", 1, 100)
    with engine._database.read() as connection:
        size = connection.execute("SELECT length(ids) + length(coordinates) FROM layout").fetchone()[0]
    monkeypatch.setattr(layouts, "_LARGEST", 3 * size)
    for number in range(1, 5):
        put(engine, docs, str(number), 1, 100)
    assert kept(engine, docs) == ["2", "3", "4"]
    put(engine, docs, "9", 1, 1000)
    assert kept(engine, docs) == ["9"]


def test_a_damaged_one_is_none(engine: Engine, docs: str, tmp_path: Path) -> None:
    put(engine, docs, "1", 1)
    with sqlite3.connect(tmp_path / "store" / "chroma_nb.sqlite3") as connection:
        connection.execute("UPDATE layout SET coordinates = zeroblob(16)")
    connection.close()
    assert engine.execute(ops.GetLayout(docs, "1")) is None
