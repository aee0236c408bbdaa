"""Which embeddings changed since a version of the data, against a record of every write; and ids and cells beside their plain values."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chroma_nb import ops
from chroma_nb.engine import caches, catalog, indexer, memory, schema
from chroma_nb.engine.cells import cells_at
from chroma_nb.engine.columns import Columns
from chroma_nb.engine.engine import Engine
from chroma_nb.engine.ids import Ids
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.results import Cells
from tests.engine import asked
from tests.engine.contents import difference
from tests.filters.strategies import METADATAS, TEXTS

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "upsert", "embeddings", "metadata", "delete"]),
        st.lists(st.integers(0, 9).map(str), min_size=1, max_size=5, unique=True),
    ),
    min_size=1,
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[("add", ["1", "2", "3"]), ("metadata", ["3", "2"]), ("embeddings", ["1"])])
def test_changed_since_every_version(engine: Engine, steps: list[tuple[str, list[str]]]) -> None:
    engine.execute(ops.Reset())
    collection = asked.create(engine)
    order: list[str] = []
    stored: dict[str, int] = {}
    for turn, (step, ids) in enumerate(steps):
        vectors, metadatas = [[turn, 1]] * len(ids), [{"turn": turn}] * len(ids)
        before = set(order)
        if step == "delete":
            asked.delete(engine, collection, ids)
            order = [identifier for identifier in order if identifier not in ids]
        elif step == "metadata":
            asked.update(engine, collection, ids, None, metadatas)
        elif step == "embeddings":
            asked.update(engine, collection, ids, vectors)
        elif step == "add":
            asked.add(engine, collection, ids, vectors)
        else:
            engine.execute(ops.Upsert(collection, asked.records(ids, vectors)))
        if step in ("add", "upsert"):
            order += [identifier for identifier in ids if identifier not in before]
        version = engine.execute(ops.GetCollectionById(collection)).version
        for identifier in ids:
            wrote = {"add": identifier not in before, "upsert": True, "embeddings": identifier in before}.get(step, False)
            if wrote:
                stored[identifier] = version
    last = engine.execute(ops.GetCollectionById(collection)).version
    for version in range(last + 2):
        expected = [identifier for identifier in order if stored[identifier] > version]
        assert engine.execute(ops.ChangedSince(collection, version)) == expected
    assert engine.execute(ops.Columns(collection)).ids == order


def test_what_the_journal_forgot_is_unknown(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_JOURNAL_KEPT", 1)
    monkeypatch.setattr(memory, "_WORTH_SAVING", 1)
    monkeypatch.setattr(indexer, "_PAUSE", 3600.0)
    collection = asked.create(engine)
    for i in range(5):
        asked.add(engine, collection, [str(i)], [[i, 1]])
    engine._indexer.maintain(collection, lambda _: True)
    asked.add(engine, collection, ["new"], [[9, 9]])
    floor = engine.execute(ops.GetCollectionById(collection)).version - 2
    assert engine.execute(ops.ChangedSince(collection, floor)) == ["4", "new"]
    assert engine.execute(ops.ChangedSince(collection, floor - 1)) is None
    assert engine.execute(ops.ChangedSince(collection, floor + 2)) == []


def test_a_copy_knows_nothing_of_what_came_before_it(engine: Engine) -> None:
    collection = asked.create(engine)
    asked.add(engine, collection, ["a"], [[1, 1]])
    asked.add(engine, collection, ["b"], [[1, 1]])
    copy = engine.execute(ops.ForkCollection(collection, "copy"))
    assert engine.execute(ops.ChangedSince(copy.id, 1)) is None
    asked.add(engine, copy.id, ["c"], [[1, 1]])
    assert engine.execute(ops.ChangedSince(copy.id, copy.version)) == ["c"]


def test_saved_columns_bring_the_ids_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_WORTH_SAVING", 1)
    names = [f"naïve {i}" if i % 3 else f"plain {i}" for i in range(40)]
    with_gaps = [name for i, name in enumerate(names) if i % 7]
    engine = Engine(tmp_path / "store")
    collection = asked.create(engine)
    asked.add(engine, collection, names, np.ones((40, 2)), metadatas=[{"n": i} for i in range(40)])
    asked.delete(engine, collection, [name for i, name in enumerate(names) if not i % 7])
    assert engine.execute(ops.Columns(collection)).ids == with_gaps
    engine.close()
    again = Engine(tmp_path / "store")
    try:
        with again._database.read() as connection:
            restored = again._memory._restored(connection, catalog.by_id(connection, collection))
        assert restored is not None
        asked.add(again, collection, ["later"], [[1, 1]])
        assert again.execute(ops.Columns(collection)).ids == [*with_gaps, "later"]
    finally:
        again.close()


def store_of_the_first_format(folder: Path) -> str:
    """Make a store as the first format had it, with saved columns; return its collection."""
    engine = Engine(folder)
    collection = asked.create(engine)
    asked.add(engine, collection, ["a", "b"], [[1, 1], [2, 2]], metadatas=[{"n": 1}, {"n": 2}])
    asked.update(engine, collection, ["a"], [[3, 3]])
    engine.execute(ops.Columns(collection))
    engine.close()
    connection = sqlite3.connect(folder / "chroma_nb.sqlite3")
    assert connection.execute("SELECT kind FROM cache").fetchall() == [("columns",)]
    connection.execute("ALTER TABLE change DROP COLUMN label")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    return collection


def test_a_store_of_the_first_format_becomes_one_of_the_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_WORTH_SAVING", 1)
    collection = store_of_the_first_format(tmp_path / "store")
    again = Engine(tmp_path / "store")
    try:
        assert again.execute(ops.Columns(collection, ("n",))).columns["n"].tolist() == [1, 2]
        assert again.execute(ops.ChangedSince(collection, 1)) == ["a", "b"]
        asked.add(again, collection, ["c"], [[4, 4]])
        assert again.execute(ops.ChangedSince(collection, 2)) == ["c"]
        assert difference(again, collection) is None
        with again._database.read() as reading:
            assert reading.execute("PRAGMA user_version").fetchone()[0] == schema.FORMAT
    finally:
        again.close()


def test_a_store_of_the_first_format_can_be_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_WORTH_SAVING", 1)
    collection = store_of_the_first_format(tmp_path / "store")
    again = Engine(tmp_path / "store", read_only=True)
    try:
        found = again.execute(ops.Columns(collection, ("n",)))
        assert (found.ids, found.columns["n"].tolist()) == (["a", "b"], [1, 2])
        assert again.execute(ops.ChangedSince(collection, 2)) == []
        assert again.execute(ops.ChangedSince(collection, 1)) is None
        with again._database.read() as reading:
            assert again._memory._restored(reading, catalog.by_id(reading, collection)) is None
    finally:
        again.close()


def test_a_store_of_a_later_format_is_left_alone(tmp_path: Path) -> None:
    Engine(tmp_path / "store").close()
    connection = sqlite3.connect(tmp_path / "store" / "chroma_nb.sqlite3")
    connection.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
    connection.close()
    with pytest.raises(DatabaseCorruptedError, match="upgrade chroma-nb"):
        Engine(tmp_path / "store")


@given(batches=st.lists(st.lists(TEXTS, max_size=5), max_size=5), data=st.data())
def test_ids_are_what_was_put_in(batches: list[list[str]], data: st.DataObject) -> None:
    ids, known = Ids.empty(), list[str]()
    older: list[tuple[Ids, list[str]]] = []
    for batch in batches:
        older.append((ids, list(known)))
        ids, known = ids.extended(batch), known + batch
    branch = older[-1][0].extended(["other"]) if older else ids
    for one, expected in [*older, (ids, known), (branch, [*older[-1][1], "other"] if older else known)]:
        assert one.at(np.arange(one.size)) == expected
    positions = data.draw(st.lists(st.integers(0, len(known) - 1))) if known else []
    chosen = np.array(positions, dtype=np.int64)
    assert ids.at(chosen) == [known[i] for i in positions]
    assert ids.taken(chosen).at(np.arange(len(positions))) == [known[i] for i in positions]
    assert Ids.load(ids.text, ids.ends).at(np.arange(ids.size)) == known


def alike(one: Cells, other: Cells) -> None:
    assert (one.kind, one.zone) == (other.kind, other.zone)
    assert list(map(repr, one.tolist())) == list(map(repr, other.tolist()))
    assert type(one.values) is type(other.values)
    if isinstance(one.values, np.ndarray) and isinstance(other.values, np.ndarray):
        assert one.values.dtype == other.values.dtype
    if one.missing is None or other.missing is None:
        assert one.missing is other.missing
    else:
        assert one.missing.tolist() == other.missing.tolist()


def without_signs(value: Any) -> Any:
    """Return a value with the zeros in lists unsigned: of equal lists a column keeps one."""
    return tuple(each + 0.0 if isinstance(each, float) else each for each in value) if isinstance(value, tuple) else value


@given(metadatas=st.lists(METADATAS, min_size=1, max_size=12), data=st.data())
def test_cells_are_those_of_the_values(metadatas: list[Any], data: st.DataObject) -> None:
    rows = [{key: without_signs(value) for key, value in (row or {}).items()} for row in metadatas]
    columns = Columns().extended(rows[:5]).extended(rows[5:])
    positions = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    for key in ("a", "b", "Ω key", "nobody"):
        for chosen in (positions, range(len(rows))):
            expected = Cells.of([rows[i].get(key) for i in chosen])
            alike(cells_at(columns.get(key), np.array(chosen, dtype=np.int64)), expected)
            assert list(map(repr, expected.tolist())) == [repr(rows[i].get(key)) for i in chosen]


def test_cells_are_the_callers_own() -> None:
    columns = Columns().extended([{"n": 1}, {"n": 2}])
    made = cells_at(columns["n"], np.arange(2))
    assert isinstance(made.values, np.ndarray)
    made.values[:] = 99
    assert columns["n"].values() == [1, 2]
