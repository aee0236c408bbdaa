"""What the fault tests share: records that can be made anew from their names, lowered thresholds, and an audit of a store.

Runs in the test process and in the children alike; nothing here asserts, it returns what is wrong in words.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from chroma_nb import ops
from chroma_nb.client.client import Client
from chroma_nb.engine import caches, database, engine, indexer, memory, plan, vectors, view, writing
from chroma_nb.filters import parse_where
from chroma_nb.results import GetResult
from chroma_nb.scalars import Scalar

ROOT = Path(__file__).resolve().parents[2]
DIMENSION = 16
GROUPS = 5
NOBODY = 65_534
EVERY_FIELD = frozenset({"documents", "metadatas", "embeddings", "uris"})

State = dict[str, int]
"""What a collection should hold: id -> version of the record."""


def lower_thresholds() -> None:
    """Make graphs, saved caches, checkpoints and pieces happen all the time, as on a store a thousand times as large."""
    set_exact(False)
    for module, names in (
        (indexer, {"_PENDING": 20, "_PAUSE": 0.004, "_LONGEST_PAUSE": 0.02}),
        (memory, {"_WORTH_SAVING": 30}),
        (caches, {"_JOURNAL_KEPT": 5}),
        (view, {"_LEAST_DEAD": 10}),
        (database, {"_LARGEST_WAL": 300_000}),
        (writing, {"_STEP": 7}),
        (vectors, {"_PIECE": DIMENSION * 4 * 6}),
    ):
        for name, value in names.items():
            if not hasattr(module, name):
                raise AttributeError(f"{module.__name__} has no {name} any more")
            setattr(module, name, value)


def set_exact(exact: bool) -> None:
    """Let searches compare every candidate, or use a graph from 40 records on."""
    for module in (plan, engine, indexer):
        module.SMALL = 1_000_000 if exact else 40  # type: ignore[attr-defined]


def vector(identifier: str, version: int, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Return the embedding that a version of a record has, (dimension,) float32."""
    return np.random.default_rng(crc32(f"{identifier}:{version}".encode())).standard_normal(dimension).astype(np.float32)


def fields(identifier: str, version: int, dimension: int = DIMENSION) -> dict[str, Any]:
    """Return all columns that a version of a record has."""
    return {
        "embeddings": vector(identifier, version, dimension),
        "documents": f"{identifier} in version {version} " + "wörd " * (crc32(identifier.encode()) % 40),
        "metadatas": {"version": version, "group": crc32(identifier.encode()) % GROUPS, "owner": identifier[0], "share": version / 3},
        "uris": f"file:///{identifier}",
    }


def columns(state: Mapping[str, int], dimension: int = DIMENSION) -> dict[str, Any]:
    """Return the arguments of a write of these records."""
    rows = [fields(identifier, version, dimension) for identifier, version in state.items()]
    made: dict[str, Any] = {name: [row[name] for row in rows] for name in ("documents", "metadatas", "uris")}
    return {"ids": list(state), "embeddings": np.stack([row["embeddings"] for row in rows]), **made}


def read_all(client: Client, collection: str, **narrowed: Any) -> GetResult:
    """Return records with every field."""
    found: GetResult = client._execute(ops.Get(collection, include=EVERY_FIELD, **narrowed))
    return found


def state_of(found: GetResult) -> State:
    """Return id -> version as stored."""
    assert found.metadatas is not None
    return {identifier: _version(metadata) for identifier, metadata in zip(found.ids, found.metadatas, strict=True)}


def _version(metadata: Mapping[str, Any] | None) -> int:
    return -1 if metadata is None else int(metadata["version"])


def differing(found: GetResult, dimension: int = DIMENSION) -> list[str]:
    """Return the records that are not, bit for bit, what was sent."""
    assert found.metadatas is not None
    assert found.documents is not None
    assert found.uris is not None
    assert found.embeddings is not None or not found.ids
    wrong = []
    for i, identifier in enumerate(found.ids):
        expected = fields(identifier, _version(found.metadatas[i]), dimension)
        assert found.embeddings is not None
        same = (
            found.embeddings[i].tobytes() == expected["embeddings"].tobytes()
            and found.documents[i] == expected["documents"]
            and found.metadatas[i] == expected["metadatas"]
            and found.uris[i] == expected["uris"]
        )
        if not same:
            wrong.append(f"record {identifier!r} is not what was sent")
    return wrong


def where(**equal: Scalar) -> Any:
    """Return the filter that these metadata values are equal."""
    return parse_where({key: {"$eq": value} for key, value in equal.items()})


def audit(client: Client, collection: str) -> tuple[State, list[str]]:
    """Return what a collection holds, and everything about it that does not fit together."""
    execute = client._execute
    found = read_all(client, collection)
    state, wrong = state_of(found), differing(found)
    if execute(ops.Count(collection)) != len(found):
        wrong.append(f"count says {execute(ops.Count(collection))}, get returns {len(found)} records")
    for group in range(GROUPS):
        expected = [identifier for identifier in found.ids if crc32(identifier.encode()) % GROUPS == group]
        if execute(ops.Get(collection, filter=where(group=group))).ids != expected:
            wrong.append(f"the filter on group {group} finds other records than get returned")
    if found.ids:
        wrong += _self_queries(client, collection, found)
    return state, wrong + accounting(client)


def _self_queries(client: Client, collection: str, found: GetResult) -> list[str]:
    chosen = np.random.default_rng(len(found)).choice(len(found), min(len(found), 20), replace=False)
    assert found.embeddings is not None
    set_exact(True)
    try:
        hits = client._execute(ops.Query(collection, found.embeddings[chosen], 1)).hits
    finally:
        set_exact(False)
    expected = [found.ids[i] for i in chosen]
    return [f"the query for {a!r} finds {b!r} first" for a, b in zip(expected, hits.ids, strict=True) if a != b]


def accounting(client: Client) -> list[str]:
    """Return what the tables of a store contradict each other in."""
    held = engine_of(client)._database
    with held.read() as connection:
        wrong = [f"integrity_check: {line}" for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
        for number, count, seq, floor, next_row, next_label in connection.execute(
            "SELECT number, count, seq, floor, next_row, next_label FROM collection"
        ).fetchall():
            wrong += _accounted(connection, number, count, seq, floor, next_row, next_label)
    return wrong


def _accounted(connection: sqlite3.Connection, number: int, count: int, seq: int, floor: int, next_row: int, next_label: int) -> list[str]:
    base, top = number << 40, (number << 40) | ((1 << 40) - 1)
    between = (base, top)
    wrong = []
    records = connection.execute("SELECT key, label FROM record WHERE key BETWEEN ? AND ?", between).fetchall()
    chunks = connection.execute("SELECT key, size, live FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key", between).fetchall()
    stored = [key for (key,) in connection.execute("SELECT key FROM vectors WHERE key BETWEEN ? AND ? ORDER BY key", between)]
    journal = [key - base for (key,) in connection.execute("SELECT key FROM change WHERE key BETWEEN ? AND ? ORDER BY key", between)]
    labels = [label for _, label in records]
    if len(records) != count:
        wrong.append(f"collection {number}: count {count}, {len(records)} records")
    if any(key - base >= next_row for key, _ in records) or any(label >= next_label for label in labels):
        wrong.append(f"collection {number}: a row or label beyond the next one")
    if len(set(labels)) != len(labels):
        wrong.append(f"collection {number}: a label belongs to two records")
    if stored != [key for key, _, _ in chunks]:
        wrong.append(f"collection {number}: chunk and vectors list different pieces")
    ordered = np.sort(np.array(labels, dtype=np.int64))
    for key, size, live in chunks:
        owned = int(np.diff(np.searchsorted(ordered, [key - base, key - base + size]))[0])
        if owned != live or not owned:
            wrong.append(f"collection {number}: piece {key - base} says {live} live vectors, {owned} have a record")
    if sum(live for _, _, live in chunks) != len(records):
        wrong.append(f"collection {number}: a record's vector is in no piece")
    if journal != list(range(floor + 1, seq + 1)):
        wrong.append(f"collection {number}: journal {journal[:1]}..{journal[-1:]} does not reach from {floor} to {seq}")
    return wrong


def indexed_otherwise(client: Client, collection: str) -> list[str]:
    """Build the graph now; return how its labels differ from those of the records."""
    client._execute(ops.BuildIndex(collection))
    held = engine_of(client)
    with held._database.read() as connection:
        labels = [
            label
            for (label,) in connection.execute(
                "SELECT label FROM record WHERE collection = (SELECT number FROM collection WHERE id = ?) ORDER BY label", (collection,)
            )
        ]
    graph = held._memory.held_graph(collection)
    if graph is None:
        return ["there is no graph after build_index"] if labels else []
    return [] if graph.labels.tolist() == labels else [f"the graph has {len(graph.labels)} labels, the records have {len(labels)} others"]


def engine_of(client: Client) -> engine.Engine:
    """Return the engine behind a client."""
    held = client._access.backend.__self__
    assert isinstance(held, engine.Engine)
    return held


def become_nobody() -> None:
    """Give up root for good; what is imported later must be imported before."""
    import hnswlib  # noqa: F401

    import chroma_nb.client.collection  # noqa: F401

    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def is_root() -> bool:
    """Tell whether this process may become another user."""
    return hasattr(os, "getuid") and os.getuid() == 0


def give_to_nobody(folder: Path) -> None:
    """Make another user the owner of a folder and all in it."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)


def hush() -> None:
    """Let stderr show crashes only: what is logged on the way is expected."""
    logging.getLogger("chroma_nb").addHandler(logging.NullHandler())


def reply(**said: object) -> None:
    """Say something to the test that started this process: one line of JSON."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def environment() -> dict[str, str]:
    """Return the environment of a child: the package of this checkout, and no more threads than the machine has to spare."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}


class Child:
    """A process that runs a module of this folder and answers in lines of JSON.

    Parameters
    ----------
    module
        Its name in this folder.
    arguments
        Its command line.
    **options
        Of `subprocess.Popen`.
    """

    def __init__(self, module: str, *arguments: object, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.faults.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment(),
            text=True,
            **options,
        )

    def said(self) -> dict[str, Any] | None:
        """Wait for the next line; None when the process ended without one."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def speaks(self, within: float) -> bool:
        """Wait until there is a line to be read, or the process has ended; False when neither came within so many seconds."""
        return bool(select.select([self.process.stdout], [], [], within)[0])

    def tell(self, **message: object) -> None:
        """Send a line of JSON."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what it says until it ends."""
        while (said := self.said()) is not None:
            yield said

    def kill(self) -> None:
        """End it as the kernel does."""
        self.process.kill()
        self.finish()

    def finish(self, timeout: float = 60) -> tuple[int, str]:
        """Wait for its end; return its exit status and what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=timeout)
        return self.process.returncode, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self.process.wait()


def kill_later(process: subprocess.Popen[str], seconds: float) -> None:
    """Kill a process from now on in so many seconds, to the millisecond."""
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)


def shown(problems: Sequence[str]) -> str:
    """Return problems as the text of a failed assertion."""
    return "\n".join(problems[:20])
