"""A view that caught up with the journal step by step is the view one loads afresh, in every process, at every step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb import ops
from chroma_nb.engine import caches, catalog, indexer, memory, view
from chroma_nb.engine.engine import Engine
from chroma_nb.engine.view import View
from tests.engine import asked
from tests.engine.contents import difference, of_view
from tests.filters.strategies import VALUES

IDS = st.lists(st.integers(0, 15).map(str), min_size=1, max_size=6, unique=True)
METADATAS = st.none() | st.dictionaries(st.sampled_from(["a", "b", "Ω key"]), VALUES, min_size=1)
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "embeddings", "metadata", "delete", "look"]), IDS, st.lists(METADATAS, min_size=6, max_size=6)),
    max_size=12,
)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Engine]]:
    """Two engines on one path, as two processes would have them."""
    made = [Engine(tmp_path / "store", allow_reset=True), Engine(tmp_path / "store")]
    yield made
    for engine in made:
        engine.close()


def view_of(engine: Engine, collection: str) -> View:
    with engine._database.read() as connection:
        return engine._memory.view(connection, catalog.by_id(connection, collection))


@pytest.mark.parametrize("lowest", [0, 3, 10_000], ids=["compacting", "sometimes", "never"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_every_step_leads_where_a_fresh_load_leads(two: list[Engine], lowest: int, steps: Any) -> None:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(view, "_LEAST_DEAD", lowest)
        patches.setattr(view, "_BATCH", 2)
        two[0].execute(ops.Reset())
        collection = asked.create(two[0])
        numbers = itertools.count()
        for turn, (step, ids, metadatas) in enumerate(steps):
            engine = two[turn % 2]
            vectors = [[next(numbers), 1] for _ in ids]
            if step == "add":
                asked.add(engine, collection, ids, vectors, metadatas=metadatas[: len(ids)])
            elif step == "embeddings":
                asked.update(engine, collection, ids, vectors)
            elif step == "metadata":
                asked.update(engine, collection, ids, None, metadatas[: len(ids)])
            elif step == "delete":
                asked.delete(engine, collection, ids)
            else:
                assert difference(engine, collection) is None
        for engine in two:
            assert difference(engine, collection) is None


def test_an_older_view_stays_as_it_was(engine: Engine) -> None:
    collection = asked.create(engine)
    asked.add(engine, collection, [str(i) for i in range(10)], np.eye(10), metadatas=[{"i": i} for i in range(10)])
    older = view_of(engine, collection)
    before = of_view(older)
    for round_ in range(30):
        asked.update(engine, collection, [str(round_ % 10)], np.full((1, 10), round_), [{"i": -round_, f"new {round_}": "x"}])
        asked.add(engine, collection, [f"more {round_}"], np.ones((1, 10)), metadatas=[{"i": 99}])
        assert view_of(engine, collection).seq == older.seq + 2 * (round_ + 1)
    asked.delete(engine, collection, ["0", "1"])
    assert difference(engine, collection) is None
    assert of_view(older) == before


def test_nothing_is_loaded_twice(engine: Engine) -> None:
    collection = asked.create(engine)
    asked.add(engine, collection, ["a"], [[1, 2]])
    assert view_of(engine, collection) is view_of(engine, collection)


def test_a_trimmed_journal_means_a_fresh_load(two: list[Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_JOURNAL_KEPT", 1)
    monkeypatch.setattr(memory, "_WORTH_SAVING", 1)
    monkeypatch.setattr(indexer, "_PAUSE", 3600.0)
    collection = asked.create(two[0])
    asked.add(two[0], collection, ["a", "b"], [[1, 2], [3, 4]], metadatas=[{"n": 1}, None])
    behind = view_of(two[1], collection)
    for i in range(8):
        asked.add(two[0], collection, [f"c{i}"], [[i, i]], metadatas=[{"n": i}])
        asked.delete(two[0], collection, ["a"])
        two[0]._indexer.maintain(collection, lambda _: True)
    with two[1]._database.read() as connection:
        entry = catalog.by_id(connection, collection)
        lines = connection.execute("SELECT count(*) FROM change").fetchone()[0]
    assert entry.floor > behind.seq
    assert lines <= entry.seq - entry.floor
    assert difference(two[1], collection) is None
    assert two[1].execute(ops.Count(collection)) == 9


def test_two_engines_see_every_commit_at_their_next_call(two: list[Engine]) -> None:
    collection = asked.create(two[0])
    for i in range(20):
        writer, reader = two[i % 2], two[1 - i % 2]
        asked.add(writer, collection, [str(i)], [[i, 1]])
        assert reader.execute(ops.Count(collection)) == i + 1
        assert asked.found(asked.query(reader, collection, [[i, 1]], 1)) == [[str(i)]]
        asked.update(reader, collection, [str(i)], [[-i, 1]])
        assert asked.found(asked.query(writer, collection, [[-i, 1]], 1)) == [[str(i)]]
    assert asked.delete(two[0], collection, [str(i) for i in range(0, 20, 2)]) == 10
    assert len(asked.found(asked.query(two[1], collection, [[0, 0]], 99))[0]) == 10
