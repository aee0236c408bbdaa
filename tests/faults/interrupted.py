"""A process that works in its main thread until it is interrupted, then says what the interrupt left behind; again and again."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb import PersistentClient, ops
from chroma_nb.engine import indexer
from tests.faults import rig

DIMENSION = 64
BATCH = 50


class Slow:
    """An embedding function that takes its time, as models do."""

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        time.sleep(0.03)
        named = [text.rsplit("@", 1) for text in texts]
        return np.stack([rig.vector(identifier, int(version), DIMENSION) for identifier, version in named])


class Worker:
    """Calls that can be interrupted, and what they may leave behind."""

    def __init__(self, folder: str, seed: int) -> None:
        self._client = PersistentClient(folder)
        self._collection: Any = self._client.create_collection("kept", embedding_function=Slow())
        self._id = str(self._collection.id)
        # numpy's choice swallows what a handler raises in it; Python's does not.
        self._chance = random.Random(seed)
        self._vectors = np.random.default_rng(seed)
        self._state: rig.State = {}
        self._version = 0
        self._begun = "nothing"
        self._allowed: list[rig.State] = [{}]

    def work(self) -> None:
        """Make one call after the other, for ever."""
        while True:
            kind = self._chance.choice(["add", "embed", "update", "bulk", "bulk_embed", "query", "delete", "index", "filter"])
            self._version += 1
            self._begun = kind
            getattr(self, f"_{kind}")()
            self._state = self._allowed[-1]
            self._allowed = [self._state]

    def _ids(self, count: int) -> rig.State:
        return {f"a{i}": self._version for i in self._chance.sample(range(1500), count)}

    def _add(self) -> None:
        changes = {f"a{self._version}x{i}": self._version for i in range(400)}
        self._allowed = [self._state, self._state | changes]
        self._collection.add(**rig.columns(changes, DIMENSION))

    def _embed(self) -> None:
        changes = self._ids(20)
        self._allowed = [self._state, self._state | changes]
        metadatas = rig.columns(changes, DIMENSION)["metadatas"]
        self._collection.upsert(list(changes), documents=[f"{key}@{self._version}" for key in changes], metadatas=metadatas)

    def _update(self) -> None:
        changes = self._ids(300)
        self._allowed = [self._state, self._state | {key: version for key, version in changes.items() if key in self._state}]
        self._collection.update(**rig.columns(changes, DIMENSION))

    def _bulk(self) -> None:
        changes = self._ids(400)
        self._steps(changes)
        self._collection.bulk_upsert(**rig.columns(changes, DIMENSION), max_batch_size=BATCH)

    def _bulk_embed(self) -> None:
        changes = self._ids(150)
        self._steps(changes)
        given = rig.columns(changes, DIMENSION)
        documents = [f"{key}@{self._version}" for key in changes]
        self._collection.bulk_upsert(list(changes), documents=documents, metadatas=given["metadatas"], max_batch_size=BATCH)

    def _steps(self, changes: rig.State) -> None:
        items = list(changes.items())
        self._allowed = [self._state | dict(items[:end]) for end in range(0, len(items) + BATCH, BATCH)]

    def _query(self) -> None:
        self._client._execute(ops.Query(self._id, self._vectors.standard_normal((40, DIMENSION)).astype(np.float32), 10))

    def _delete(self) -> None:
        gone = [key for key in self._state if "x" in key][:300] or list(self._state)[:20]
        if not gone:
            return
        self._allowed = [self._state, {key: version for key, version in self._state.items() if key not in set(gone)}]
        self._collection.delete(ids=gone)

    def _index(self) -> None:
        self._collection.build_index()

    def _filter(self) -> None:
        self._client._execute(ops.Get(self._id, filter=rig.where(group=1), include=rig.EVERY_FIELD))

    def verify(self) -> dict[str, Any]:
        """Say what is wrong after an interrupt."""
        wrong = []
        found = rig.read_all(self._client, self._id)
        state = rig.state_of(found)
        if state not in self._allowed:
            sizes = [len(one) for one in self._allowed]
            wrong.append(f"after {self._begun}: neither before nor after: {len(state)} records, allowed {sizes}")
        assert found.embeddings is not None or not found.ids
        for identifier, embedding in zip(found.ids, found.embeddings if found.embeddings is not None else [], strict=True):
            if embedding.tobytes() != rig.vector(identifier, state[identifier], DIMENSION).tobytes():
                wrong.append(f"the vector of {identifier!r} is not what was sent")
        self._version += 1
        new = {f"z{self._version}": self._version}
        self._collection.add(**rig.columns(new, DIMENSION))
        hits = self._client._execute(ops.Query(self._id, rig.vector(*next(iter(new.items())), DIMENSION)[None], 1)).hits.ids
        if hits != list(new):
            wrong.append(f"after {self._begun}: the next record written is not found")
        wrong += rig.accounting(self._client) + self._held()
        self._state = state | new
        self._allowed = [self._state]
        return {"wrong": wrong, "during": self._begun}

    def _held(self) -> list[str]:
        """Return which locks nobody could hold but the interrupted call."""
        engine = rig.engine_of(self._client)
        locks = {"write": engine._database._writer, "view": engine._memory._catching_up}
        view = engine._memory.held_view(self._id)
        if view is not None:
            locks["matrix"] = view.matrix._turn
        wrong = []
        for name, lock in locks.items():
            if lock.acquire(timeout=10):
                lock.release()
            else:
                wrong.append(f"after {self._begun}: the {name} lock is held")
        if signal.getsignal(signal.SIGINT) is not interrupt:
            wrong.append(f"after {self._begun}: SIGINT is not handled as before")
        return wrong


def interrupt(number: int, frame: object) -> None:
    """Raise KeyboardInterrupt, as Python's own handler."""
    raise KeyboardInterrupt


def main(folder: str, seed: str) -> None:
    """Work and be interrupted until told to stop."""
    rig.lower_thresholds()
    rig.hush()
    indexer._PAUSE = 0.05
    worker = Worker(folder, int(seed))
    quiet = {signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, quiet)
    signal.signal(signal.SIGINT, interrupt)
    while sys.stdin.readline():
        raised = 0.0
        try:
            rig.reply(ready=True)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, quiet)
            worker.work()
        except KeyboardInterrupt:
            raised = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, quiet)
        rig.reply(raised=raised, threads=threading.active_count(), **worker.verify())


if __name__ == "__main__":
    main(*sys.argv[1:])
