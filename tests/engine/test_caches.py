"""Saved columns and graphs come back as they were, or not at all."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chroma_nb import ops
from chroma_nb.configuration import HnswParameters
from chroma_nb.engine import caches, catalog, engine, graph, indexer, memory, plan, view
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.engine import Engine
from tests.engine import asked
from tests.engine.contents import difference

N = 60
VECTORS = np.random.default_rng(0).standard_normal((N, 8)).astype(np.float32)


@pytest.fixture(autouse=True)
def lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_WORTH_SAVING", 1)
    monkeypatch.setattr(indexer, "_PAUSE", 3600.0)
    for module in (plan, engine, indexer):
        monkeypatch.setattr(module, "SMALL", 10)


@pytest.fixture
def store(tmp_path: Path) -> tuple[Path, str]:
    """Return a closed store with saved columns and graph, and its collection."""
    made = Engine(tmp_path / "store")
    collection = filled(made)
    made.execute(ops.BuildIndex(collection))
    made.close()
    return tmp_path / "store", collection


def filled(made: Engine, name: str = "docs") -> str:
    collection = asked.create(made, name)
    metadatas: list[Any] = [{"i": i, "name": f"n{i % 3}", **({"tags": ["x", "y"], "half": 0.5} if i % 2 else {})} for i in range(N)]
    asked.add(made, collection, [str(i) for i in range(N)], VECTORS, metadatas=metadatas)
    return collection


@pytest.fixture
def opened(store: tuple[Path, str]) -> Iterator[Engine]:
    made = Engine(store[0])
    yield made
    made.close()


def loaded(made: Engine, collection: str, kind: str) -> caches.Cache | None:
    with made._database.read() as connection:
        return caches.load(made._database, connection, catalog.by_id(connection, collection), kind, 1 << 20, lambda cache: cache)


def files(folder: Path) -> dict[str, Path]:
    return {path.name.split("-")[-3]: path for path in (folder / "caches").iterdir()}


def entry_of(made: Engine, collection: str) -> Entry:
    with made._database.read() as connection:
        return catalog.by_id(connection, collection)


def answers_rightly(made: Engine, collection: str) -> None:
    assert difference(made, collection) is None
    places = [3, 40]
    assert asked.found(asked.query(made, collection, VECTORS[places], 1)) == [[str(i)] for i in places]
    assert made.execute(ops.Count(collection, asked.query_of(collection, [[1]], where={"name": "n1"}).filter)) == 20


def test_both_caches_are_used_after_reopening(
    store: tuple[Path, str], opened: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(view, "_loaded", None)  # nothing needs to be read row by row
    assert asked.explain(opened, store[1], VECTORS[:1], 1).method == "hnsw"
    assert asked.found(asked.query(opened, store[1], VECTORS[:3], 1)) == [["0"], ["1"], ["2"]]
    monkeypatch.undo()
    answers_rightly(opened, store[1])
    assert caplog.text == ""


def test_a_graph_round_trip_changes_no_answer(store: tuple[Path, str], opened: Engine) -> None:
    cache = loaded(opened, store[1], "graph")
    assert cache is not None
    about = HnswParameters(), 8, N
    first = graph.load(cache.header["graph"], cache.arrays, *about)
    second = graph.load(*graph.dump(first), *about)
    np.testing.assert_array_equal(first.search(VECTORS, 5, 50), second.search(VECTORS, 5, 50))
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.has(np.array([0, N - 1, N, 10**6])).tolist() == [True, True, False, False]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flip, truncate, lengthen, empty, Path.unlink, folder_instead])
@pytest.mark.parametrize("kind", ["columns", "graph"])
def test_damaged_files_are_not_believed(
    store: tuple[Path, str], kind: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder, collection = store
    damage(files(folder)[kind])
    made = Engine(folder)
    with caplog.at_level(logging.WARNING, "chroma_nb"):
        assert loaded(made, collection, kind) is None
    assert "not usable" in caplog.text
    answers_rightly(made, collection)
    made.execute(ops.BuildIndex(collection))
    answers_rightly(made, collection)
    made.close()


@pytest.mark.parametrize("kind", ["columns", "graph"])
def test_files_of_another_collection_or_store_are_not_believed(store: tuple[Path, str], tmp_path: Path, kind: str) -> None:
    folder, collection = store
    other = Engine(tmp_path / "other")
    foreign = filled(other)
    asked.update(other, foreign, ["3"], np.zeros((1, 8)), [{"name": "n1"}])
    other.execute(ops.BuildIndex(foreign))
    other.close()
    shutil.copy(files(tmp_path / "other")[kind], files(folder)[kind])
    made = Engine(folder)
    assert loaded(made, collection, kind) is None
    answers_rightly(made, collection)
    made.close()


def test_a_cache_that_names_another_collection_is_not_believed(
    store: tuple[Path, str], opened: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    second = filled(opened, "second")
    for kind, seq in (("columns", 1), ("graph", 99)):
        whose = entry_of(opened, store[1])
        assert caches.save(opened._database, whose, kind, seq, {}, [])
        with opened._database.write() as connection:
            connection.execute(
                "UPDATE cache SET collection = ? WHERE collection = ? AND kind = ?", (entry_of(opened, second).number, whose.number, kind)
            )
        assert loaded(opened, second, kind) is None
        assert "belongs elsewhere" in caplog.text
        caplog.clear()


def test_a_cache_from_the_future_is_not_believed(store: tuple[Path, str], opened: Engine) -> None:
    """As after restoring an older records file beside newer caches."""
    entry = entry_of(opened, store[1])
    assert caches.save(opened._database, entry, "columns", entry.seq + 5, {"columns": {}}, [])
    assert loaded(opened, store[1], "columns") is None
    answers_rightly(opened, store[1])


def test_an_older_cache_never_replaces_a_newer_one(store: tuple[Path, str], opened: Engine) -> None:
    entry = entry_of(opened, store[1])
    asked.add(opened, store[1], ["later"], np.ones((1, 8)))
    newer = entry_of(opened, store[1])
    numbers: list[Any] = [np.arange(3), np.array([1.5]), np.empty(0, dtype=np.uint8)]
    assert caches.save(opened._database, newer, "columns", newer.seq, {"mark": "newer"}, numbers)
    assert not caches.save(opened._database, entry, "columns", entry.seq, {"mark": "older"}, [])
    cache = loaded(opened, store[1], "columns")
    assert cache is not None
    assert cache.header["mark"] == "newer"
    for ours, theirs in zip(numbers, cache.arrays, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert sorted(files(store[0])) == ["columns", "graph"]
    assert len(list((store[0] / "caches").iterdir())) == 2


def test_a_cache_of_a_deleted_collection_is_not_kept(store: tuple[Path, str], opened: Engine) -> None:
    entry = entry_of(opened, store[1])
    opened.execute(ops.DeleteCollection(*asked.PLACE, "docs"))
    assert not caches.save(opened._database, entry, "columns", entry.seq, {}, [])
    caches_left = {path.name for path in (store[0] / "caches").iterdir()}
    with opened._database.read() as connection:
        caches.remove_strays(opened._database, connection, older_than=2.0**40)
    assert list((store[0] / "caches").iterdir()) == [], caches_left


def test_files_that_cannot_be_written_are_a_warning_only(store: tuple[Path, str], opened: Engine, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(store[0] / "caches")
    (store[0] / "caches").write_text("in the way")
    entry = entry_of(opened, store[1])
    assert not caches.save(opened._database, entry, "columns", entry.seq, {}, [])
    assert "was not saved" in caplog.text
    answers_rightly(opened, store[1])
