"""A process that audits a store, then writes to it at random until it is killed.

Its log says what it is about to do before each call, and that the call returned after it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

from chroma_nb import PersistentClient, ops
from tests.faults import rig

IDS = 160
KINDS = {"add": 0.2, "upsert": 0.25, "update": 0.2, "delete": 0.15, "bulk_upsert": 0.1, "build_index": 0.1}
"""Call -> how often."""


class Writer:
    """The random stream of operations."""

    def __init__(self, collection: Any, log: int, seed: int, largest: int, state: rig.State) -> None:
        self._collection = collection
        self._log = log
        self._random = np.random.default_rng(seed)
        self._largest = largest
        self._state = state
        self._version = max(state.values(), default=0)

    def _note(self, **line: object) -> None:
        os.write(self._log, (json.dumps(line) + "\n").encode())

    def run(self) -> None:
        """Write until the end of the process."""
        while True:
            kind = self._random.choice(list(KINDS), p=list(KINDS.values()))
            getattr(self, f"_{kind}")()

    def _chosen(self, most: int) -> rig.State:
        """Return ids of which some are known, each in a version nobody has yet."""
        numbers = self._random.choice(IDS, size=int(self._random.integers(1, most + 1)), replace=False)
        self._version += 1
        return {f"{'ab'[number % 2]}{number}": self._version for number in numbers.tolist()}

    def _write(self, kind: str, changes: rig.State, applied: rig.State) -> None:
        self._note(begun=kind, changes=applied)
        getattr(self._collection, kind)(**rig.columns(changes))
        self._note(done=kind)
        self._state.update(applied)

    def _add(self) -> None:
        changes = self._chosen(self._largest)
        self._write("add", changes, {key: version for key, version in changes.items() if key not in self._state})

    def _upsert(self) -> None:
        changes = self._chosen(self._largest)
        self._write("upsert", changes, changes)

    def _update(self) -> None:
        changes = self._chosen(self._largest)
        self._write("update", changes, {key: version for key, version in changes.items() if key in self._state})

    def _delete(self) -> None:
        if len(self._state) < 50:
            return
        chosen = [key for key in self._chosen(self._largest) if key in self._state]
        if not chosen:
            return
        self._note(begun="delete", changes=dict.fromkeys(chosen))
        self._collection.delete(ids=chosen)
        self._note(done="delete")
        for key in chosen:
            del self._state[key]

    def _bulk_upsert(self) -> None:
        changes = self._chosen(IDS)
        size = max(1, self._largest // 2)
        self._note(begun="bulk_upsert", changes=changes, size=size)

        def stored(ids: list[str]) -> None:
            self._note(stored=len(ids))

        self._collection.bulk_upsert(**rig.columns(changes), max_batch_size=size, on_batch_processed=stored)
        self._note(done="bulk_upsert")
        self._state.update(changes)

    def _build_index(self) -> None:
        self._collection.build_index()


def main(folder: str, log: str, seed: str, largest: str) -> None:
    """Audit, say what was found, write until killed."""
    rig.lower_thresholds()
    client = PersistentClient(folder)
    collection = client.get_or_create_collection("kept", embedding_function=None)
    identifier = str(collection.id)
    state, wrong = rig.audit(client, identifier)
    wrong += rig.indexed_otherwise(client, identifier)
    caches = [row[0] for row in rows(client, "SELECT kind FROM cache")]
    rig.reply(state=state, wrong=wrong, caches=caches, sequence=client._execute(ops.GetCollectionById(identifier)).version)
    if sys.stdin.readline():
        Writer(collection, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), int(seed), int(largest), state).run()
    client.close()


def rows(client: Any, statement: str) -> list[Any]:
    """Return what a statement finds."""
    with rig.engine_of(client)._database.read() as connection:
        return connection.execute(statement).fetchall()


if __name__ == "__main__":
    main(*sys.argv[1:])
