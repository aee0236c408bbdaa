"""Forked and spawned processes beside their parent, on the same store."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import chroma_nb
from chroma_nb import ops
from chroma_nb.engine import database
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import StoreError
from tests.engine import asked

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def in_fork(work: Callable[[], None]) -> int:
    """Run `work` in a forked child; return its exit code."""
    with warnings.catch_warnings():
        # Newer Pythons warn of forking beside threads, which is the point of these tests.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - it must not go on as a second test run
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_fork
def test_a_forked_child_reads_and_writes_and_the_parent_goes_on(tmp_path: Path) -> None:
    with chroma_nb.PersistentClient(tmp_path / "store") as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(["parent"], embeddings=[[1, 0]], metadatas=[{"by": "parent"}])
        assert docs.query([[1, 0]])["id"].tolist() == ["parent"]

        def work() -> None:
            assert docs.query([[1, 0]], n_results=1)["id"].tolist() == ["parent"]
            docs.add(["child"], embeddings=[[0, 1]], metadatas=[{"by": "child"}])
            assert docs.query([[0, 1]], n_results=1)["id"].tolist() == ["child"]
            client.close()

        for round_ in range(3):
            assert in_fork(work) == 0
            assert docs.query([[0, 1]], n_results=1)["id"].tolist() == ["child"]
            assert docs.get(where={"by": "child"}).index.tolist() == ["child"]
            docs.delete(["child"])
            docs.add([f"round {round_}"], embeddings=[[5, 5]])
        docs.delete([f"round {round_}" for round_ in range(3)])
        assert docs.get().index.tolist() == ["parent"]


@needs_fork
def test_forking_while_other_threads_write_harms_neither_side(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "store")
    collection = asked.create(engine)
    stopping = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stopping.is_set():
            identifier = f"p{len(written)}"
            asked.add(engine, collection, [identifier], np.full((1, 4), len(written)))
            written.append(identifier)

    threads = [threading.Thread(target=write)]
    for thread in threads:
        thread.start()

    def work() -> None:
        before = engine.execute(ops.Count(collection))
        asked.add(engine, collection, [f"c{os.getpid()}"], np.zeros((1, 4)))
        assert engine.execute(ops.Count(collection)) > before

    try:
        codes = [in_fork(work) for _ in range(8)]
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)
    assert codes == [0] * 8
    ids = asked.get(engine, collection).ids
    assert [each for each in ids if each.startswith("p")] == written
    assert len(ids) == len(written) + 8
    engine.close()


@needs_fork
def test_what_a_child_wrote_outlives_the_parents_closing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "store")
    collection = asked.create(engine)
    asked.add(engine, collection, ["parent"], [[1]])
    ready, go = os.pipe(), os.pipe()

    def work() -> None:
        assert asked.get(engine, collection).ids == ["parent"]
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        asked.add(engine, collection, ["child"], [[2]])
        assert asked.get(engine, collection).ids == ["parent", "child"]

    def close_then_let_it_write() -> None:
        os.read(ready[0], 1)
        engine.close()
        os.write(go[1], b"x")

    closer = threading.Thread(target=close_then_let_it_write)
    closer.start()
    assert in_fork(work) == 0
    closer.join(60)
    again = Engine(tmp_path / "store")
    assert asked.get(again, collection).ids == ["parent", "child"]
    again.close()
    for end in (*ready, *go):
        os.close(end)


@needs_fork
@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in a folder"])
def test_a_child_forked_in_the_middle_of_anothers_call_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool) -> None:
    monkeypatch.setattr(database, "_FORK_PATIENCE", 0.05)
    engine = Engine(None if in_memory else tmp_path / "store")
    collection = asked.create(engine)
    inside, done = threading.Event(), threading.Event()

    def use() -> None:
        with engine._database.read():
            inside.set()
            done.wait(60)

    def work() -> None:
        for call in (lambda: asked.get(engine, collection), lambda: asked.add(engine, collection, ["x"], [[1]])):
            with pytest.raises(StoreError, match=r"another thread was using the store.*spawn"):
                call()
        engine.close()

    user = threading.Thread(target=use)
    user.start()
    assert inside.wait(60)
    assert in_fork(work) == 0
    done.set()
    user.join(60)
    asked.add(engine, collection, ["a"], [[1]])
    assert in_fork(lambda: asked.update(engine, collection, ["a"], [[2]])) == 0
    engine.close()


@needs_fork
def test_a_child_of_a_store_in_memory_has_its_own_copy() -> None:
    with chroma_nb.EphemeralClient() as client:
        docs = client.get_or_create_collection("forked", embedding_function=None)
        docs.upsert(["a"], embeddings=[[1]])

        def work() -> None:
            assert docs.get().index.tolist() == ["a"]
            docs.add(["b"], embeddings=[[2]])
            assert docs.count() == 2

        assert in_fork(work) == 0
        assert docs.count() == 1
        client.delete_collection("forked")


_SPAWNED = """
import multiprocessing, sys
import chroma_nb

def work(folder, number):
    with chroma_nb.PersistentClient(folder) as client:
        client.get_collection("docs").add([f"s{number}"], embeddings=[[number, 1]])

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    folder = sys.argv[1]
    with chroma_nb.PersistentClient(folder) as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(["parent"], embeddings=[[0, 0]])
        children = [multiprocessing.Process(target=work, args=(folder, number)) for number in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
        assert sorted(docs.get().index) == ["parent", "s0", "s1"], docs.get()
        assert docs.query([[1, 1]], n_results=1)["id"].tolist() == ["s1"]
"""


def test_spawned_workers_write_beside_an_open_parent(tmp_path: Path) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(_SPAWNED)
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.returncode == 0, child.stderr
    assert "spawn" in multiprocessing.get_all_start_methods()
