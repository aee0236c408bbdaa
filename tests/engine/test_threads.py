"""Threads of one process: each reads what it wrote, nobody sees ghosts, and closing is the only thing that ends them."""

from __future__ import annotations

import faulthandler
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chroma_nb import ops
from chroma_nb.engine import engine as engines
from chroma_nb.engine import indexer, memory, plan, view
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import ClosedError, NotFoundError
from chroma_nb.filters import parse_where_document
from tests.engine import asked

SECONDS = 2.5
D = 8


@pytest.fixture(autouse=True)
def lowered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make graphs, compaction and saving happen all the time, and show where threads hang should they do so."""
    for module in (plan, engines, indexer):
        monkeypatch.setattr(module, "SMALL", 50)
    monkeypatch.setattr(indexer, "_PENDING", 10)
    monkeypatch.setattr(indexer, "_PAUSE", 0.001)
    monkeypatch.setattr(indexer, "_LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(view, "_LEAST_DEAD", 30)
    monkeypatch.setattr(memory, "_WORTH_SAVING", 10)
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


class Crowd:
    """Threads that do something again and again until told to stop; what goes wrong in them is kept."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.wrong: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], None], *allowed: type[Exception]) -> None:
        def run() -> None:
            try:
                while not self.stopping.is_set():
                    work()
            except allowed:
                return
            except BaseException as error:  # noqa: BLE001 - it is raised in the test
                self.wrong.append(error)
                self.stopping.set()

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def finish(self, after: float) -> None:
        self.stopping.wait(after)
        self.stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        if self.wrong:
            raise self.wrong[0]


def vector_of(owner: int, number: int, version: int) -> Any:
    return np.random.default_rng([owner, number, version]).standard_normal((1, D)).astype(np.float32)


def writer(engine: Engine, collection: str, owner: int) -> Callable[[], None]:
    """Return work that adds, changes and deletes records of `owner` and checks each of its own steps."""
    chance = random.Random(owner)
    held: dict[int, int] = {}

    def work() -> None:
        number = chance.randrange(60)
        identifier = f"{owner}-{number}"
        if number in held and chance.random() < 0.4:
            assert asked.delete(engine, collection, [identifier]) == 1
            old = vector_of(owner, number, held.pop(number))
            assert identifier not in asked.found(asked.query(engine, collection, old, 3))[0]
            assert not asked.get(engine, collection, [identifier]).ids
            return
        version = held[number] = held.get(number, -1) + 1
        vector = vector_of(owner, number, version)
        write = asked.update if version else asked.add
        write(engine, collection, [identifier], vector, metadatas=[{"owner": owner, "version": version}])
        assert asked.found(asked.query(engine, collection, vector, 1)) == [[identifier]]
        where = {"$and": [{"owner": owner}, {"version": version}]}
        assert identifier in asked.found(asked.query(engine, collection, vector, 1, where))[0]
        stored = asked.get(engine, collection, [identifier])
        assert stored.embeddings is not None
        assert stored.embeddings.tobytes() == vector.tobytes()
        assert stored.metadatas == [{"owner": owner, "version": version}]

    return work


def reader(engine: Engine, collection: str) -> Callable[[], None]:
    """Return work that looks at everything in every way; each answer must hold together."""
    chance = random.Random(99)

    def work() -> None:
        result = asked.query(
            engine, collection, np.array([[chance.gauss(0, 1) for _ in range(D)]]), 10, chance.choice([None, {"owner": 1}])
        )
        assert result.distances is not None
        assert len(result.hits.ids) == len(set(result.hits.ids)) == len(result.distances)
        assert (np.diff(result.distances) >= 0).all()
        whole = asked.get(engine, collection)
        assert len(whole.ids) == len(set(whole.ids))
        for identifier, metadata in zip(whole.ids, whole.metadatas or [], strict=True):
            assert metadata is not None
            assert identifier.startswith(f"{metadata['owner']}-")
        engine.execute(ops.Describe(collection))
        engine.execute(ops.Count(collection, asked.query_of(collection, [[1]], where={"version": {"$gt": 0}}).filter))

    return work


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in a folder"])
def test_threads_read_their_writes_and_see_no_ghosts(tmp_path: Path, in_memory: bool) -> None:
    engine = Engine(None if in_memory else tmp_path / "store")
    collection = asked.create(engine)
    crowd = Crowd()
    for owner in (1, 2):
        crowd.start(writer(engine, collection, owner))
    crowd.start(reader(engine, collection))
    crowd.start(lambda: engine.execute(ops.BuildIndex(collection)))
    crowd.finish(SECONDS)
    assert asked.get(engine, collection).ids
    engine.close()


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in a folder"])
def test_closing_under_way_ends_calls_with_closed_error_only(tmp_path: Path, in_memory: bool) -> None:
    for round_ in range(5):
        engine = Engine(None if in_memory else tmp_path / f"store{round_}")
        collection = asked.create(engine)
        crowd = Crowd()
        for owner in (1, 2):
            crowd.start(writer(engine, collection, owner), ClosedError)
        crowd.start(reader(engine, collection), ClosedError)
        time.sleep(0.15)
        closers = [threading.Thread(target=engine.close) for _ in range(3)]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join(60)
            assert not closer.is_alive()
        with pytest.raises(ClosedError):
            asked.get(engine, collection)
        crowd.finish(0)


def test_collections_come_and_go_while_they_are_used(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "store", allow_reset=True)
    crowd = Crowd()

    def churn() -> None:
        collection = asked.create(engine, "fleeting")
        asked.add(engine, collection, [str(i) for i in range(70)], np.eye(70))
        assert asked.found(asked.query(engine, collection, np.eye(70)[:1], 1)) == [["0"]]
        engine.execute(ops.DeleteCollection(*asked.PLACE, "fleeting"))

    def look() -> None:
        for info in engine.execute(ops.ListCollections(*asked.PLACE)):
            try:
                result = asked.get(engine, info.id)
                assert len(result.ids) in {0, 70}
                if len(result.ids):
                    assert asked.found(asked.query(engine, info.id, np.eye(70)[5:6], 1)) == [["5"]]
            except NotFoundError:
                continue

    crowd.start(churn)
    crowd.start(look)
    crowd.start(look)
    crowd.finish(1.5)
    engine.close()


SLOW = "(a|aa)+$"
"""A pattern that takes some milliseconds on each document of `slow_documents`."""


def slow_documents(engine: Engine, count: int) -> str:
    collection = asked.create(engine)
    asked.add(engine, collection, [f"s{i}" for i in range(count)], np.ones((count, D)), ["a" * 18 + "!"] * count)
    return collection


def matching(collection: str, op: str, pattern: str) -> ops.Get:
    return ops.Get(collection, filter=parse_where_document({op: pattern}))


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in a folder"])
def test_a_count_does_not_wait_for_a_slow_pattern(tmp_path: Path, in_memory: bool) -> None:
    engine = Engine(None if in_memory else tmp_path / "store")
    collection = slow_documents(engine, 600)
    search = threading.Thread(target=engine.execute, args=(matching(collection, "$regex", SLOW),))
    search.start()
    time.sleep(0.1)
    for _ in range(3):
        assert engine.execute(ops.Count(collection)) == 600
    assert search.is_alive(), "the counts came before the search was over"
    search.join()
    engine.close()


def test_a_search_that_lets_others_in_sees_one_state() -> None:
    engine = Engine(None)
    collection = slow_documents(engine, 300)
    found: list[list[str]] = []
    search = threading.Thread(target=lambda: found.append(engine.execute(matching(collection, "$not_regex", SLOW)).ids))
    search.start()
    added: list[str] = []
    while search.is_alive():
        added.append(f"n{len(added)}")
        asked.add(engine, collection, added[-1:], np.ones((1, D)), ["new"])
    search.join()
    new = found[0][300:]
    assert new == added[: len(new)], "what was added first is there, and nothing between is missing"
    engine.close()


def test_closing_ends_a_search_that_has_let_others_in() -> None:
    engine = Engine(None)
    collection = slow_documents(engine, 600)
    crowd = Crowd()
    crowd.start(lambda: engine.execute(matching(collection, "$regex", SLOW)), ClosedError)
    time.sleep(0.2)
    engine.close()
    crowd.finish(0)
