"""A process that shares a store with others: it writes, reads and checks at the word of the test.

Commands come as lines of JSON; each gets one line back.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from chroma_nb import PersistentClient, ops
from chroma_nb.client.client import Client
from chroma_nb.errors import ChromaError
from tests.faults import rig


class Peer:
    """One of the processes.

    Parameters
    ----------
    owner
        First letter of the ids it writes.
    """

    def __init__(self, client: Client, owner: str, seed: int) -> None:
        self._client = client
        self._owner = owner
        self._collection: Any = client.get_or_create_collection("shared", embedding_function=None)
        self._id = str(self._collection.id)
        self._random = np.random.default_rng(seed)
        self._state: rig.State = {}
        self._used = 0
        self._version = 0

    def write(self, calls: int) -> dict[str, object]:
        """Make so many random calls; return what of its own there is then."""
        longest = 0.0
        for _ in range(calls):
            begun = time.monotonic()
            self._call()
            longest = max(longest, time.monotonic() - begun)
        return {"state": self._state, "longest": longest}

    def _call(self) -> None:
        self._version += 1
        known = list(self._state)
        kind = self._random.choice(["add", "upsert", "delete", "bulk", "index"], p=[0.35, 0.3, 0.2, 0.1, 0.05])
        if kind == "index":
            self._collection.build_index()
        elif kind == "delete" and len(known) > 10:
            gone = [str(key) for key in self._random.choice(known, size=int(self._random.integers(1, 9)), replace=False)]
            self._collection.delete(ids=gone)
            for identifier in gone:
                del self._state[identifier]
        else:
            count = int(self._random.integers(1, 25))
            changes = {f"{self._owner}{self._used + i}": self._version for i in range(count)}
            self._used += count
            if kind != "add" and known:
                changes |= {str(key): self._version for key in self._random.choice(known, size=min(len(known), 5), replace=False)}
            if kind == "bulk":
                self._collection.bulk_upsert(**rig.columns(changes), max_batch_size=7)
            else:
                self._collection.upsert(**rig.columns(changes))
            self._state |= changes

    def read(self, seconds: float) -> dict[str, object]:
        """Read while others write; return everything that does not fit together."""
        end = time.monotonic() + seconds
        wrong: list[str] = []
        calls = 0
        while time.monotonic() < end:
            calls += 1
            found = rig.read_all(self._client, self._id)
            wrong += rig.differing(found)
            if found.ids and found.embeddings is not None:
                i = int(self._random.integers(len(found)))
                hits = self._client._execute(ops.Query(self._id, found.embeddings[i : i + 1], 3, include=rig.EVERY_FIELD)).hits
                wrong += rig.differing(hits)
        return {"wrong": wrong, "calls": calls}

    def check(self, expected: rig.State) -> dict[str, object]:
        """Compare the very next answers of each kind with what all have written."""
        execute = self._client._execute
        way = int(self._random.integers(4))  # another kind of call is the first one each time
        wrong: list[str] = []
        questions = [self._count, self._get, self._filtered, self._query]
        for ask in questions[way:] + questions[:way]:
            wrong += ask(execute, expected)
        return {"wrong": wrong}

    def _count(self, execute: Callable[[ops.Op[Any]], Any], expected: rig.State) -> list[str]:
        count = execute(ops.Count(self._id))
        return [] if count == len(expected) else [f"count {count}, expected {len(expected)}"]

    def _get(self, _: Callable[[ops.Op[Any]], Any], expected: rig.State) -> list[str]:
        found = rig.read_all(self._client, self._id, ids=sorted(expected) or ["none"])
        return rig.differing(found) + ([] if rig.state_of(found) == expected else ["get(ids) is stale"])

    def _filtered(self, execute: Any, expected: rig.State) -> list[str]:
        wrong = []
        for owner in "ab":
            own = {key for key in expected if key[0] == owner}
            found = set(execute(ops.Get(self._id, filter=rig.where(owner=owner))).ids)
            if found != own or execute(ops.Count(self._id, rig.where(owner=owner))) != len(own):
                wrong.append(f"the filter on {owner!r} is stale: {sorted(found ^ own)[:5]}")
        return wrong

    def _query(self, execute: Any, expected: rig.State) -> list[str]:
        chosen = sorted(expected, key=lambda key: -expected[key])[:15]
        if not chosen:
            return []
        found = execute(ops.Query(self._id, np.stack([rig.vector(key, expected[key]) for key in chosen]), 5))
        firsts = found.hits.ids[::5] if len(expected) >= 5 else chosen
        ghosts = set(found.hits.ids) - set(expected)
        return [f"query: {a!r} is not its own neighbour" for a, b in zip(chosen, firsts, strict=True) if a != b] + (
            [f"query returns the deleted {sorted(ghosts)[:5]}"] if ghosts else []
        )

    def audit(self) -> dict[str, object]:
        """Look at everything."""
        state, wrong = rig.audit(self._client, self._id)
        return {"state": state, "wrong": wrong + rig.indexed_otherwise(self._client, self._id)}


def main(folder: str, owner: str, seed: str) -> None:
    """Obey until the pipe is closed."""
    rig.lower_thresholds()
    with PersistentClient(folder) as client:
        peer = Peer(client, owner, int(seed))
        for line in sys.stdin:
            command = json.loads(line)
            try:
                rig.reply(**getattr(peer, command.pop("do"))(**command))
            except ChromaError as error:
                rig.reply(wrong=[f"{owner}: {type(error).__name__}: {error}"], state={})


if __name__ == "__main__":
    main(*sys.argv[1:])
