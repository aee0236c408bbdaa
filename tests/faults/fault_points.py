"""A process in which the n-th statement or file operation inside a call fails, for n = 1, 2, 3 ... until none is left to fail."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chroma_nb import EphemeralClient, PersistentClient, ops
from chroma_nb.client.client import Client
from chroma_nb.engine import indexer
from chroma_nb.errors import BulkUpsertError, ChromaError
from tests.faults import rig

Picture = list[tuple[str, object, rig.State, list[str]]]
"""What a store holds, as its users see it: per collection its name, metadata, records and whatever is wrong with them."""

INITIAL: rig.State = {f"a{i}": 1 for i in range(45)}


class Faults:
    """Decides which operation fails.

    Parameters
    ----------
    when
        ``"before"``: it fails undone; ``"after"``: it is done and says it failed; ``"from then on"``: it and all later ones
        fail, undone, until the faults are lifted.
    """

    def __init__(self, when: str) -> None:
        self.when = when
        self.countdown = 0
        self.struck = 0
        self.armed = False

    def arm(self, n: int) -> None:
        """Let the n-th operation from now on fail."""
        self.countdown, self.struck, self.armed = n, 0, True

    def lift(self) -> None:
        """Let everything work again."""
        self.armed = False

    def due(self) -> bool:
        """Tell whether the operation that begins now fails."""
        if not self.armed:
            return False
        self.countdown -= 1
        due = self.countdown == 0 or (self.countdown < 0 and self.when == "from then on")
        self.struck += due
        return due

    def around(self, work: Callable[[], Any], error: Exception) -> Any:
        """Do the work, unless it is its turn to fail."""
        if not self.due():
            return work()
        if self.when == "after":
            work()
        raise error


def break_sqlite(faults: Faults, message: str) -> None:
    """Let statements of new connections fail when it is their turn."""
    connect = sqlite3.connect

    def failing(*args: Any, factory: type[sqlite3.Connection] = sqlite3.Connection, **options: Any) -> sqlite3.Connection:
        class Failing(factory):  # type: ignore[valid-type, misc]
            def execute(self, *given: Any) -> Any:
                return faults.around(lambda: super(Failing, self).execute(*given), sqlite3.OperationalError(message))

            def executemany(self, *given: Any) -> Any:
                return faults.around(lambda: super(Failing, self).executemany(*given), sqlite3.OperationalError(message))

        return connect(*args, factory=Failing, **options)

    sqlite3.connect = failing  # type: ignore[assignment]


def break_files(faults: Faults) -> None:
    """Let operations on files fail when it is their turn."""

    def broken(work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: faults.around(lambda: work(*args, **options), OSError(errno.EIO, "Input/output error"))

    for holder, name in ((os, "fsync"), (os, "open"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir")):
        setattr(holder, name, broken(getattr(holder, name)))


def calls() -> dict[str, Callable[[Client, Any], object]]:
    """Return the calls in which something fails, by name."""
    mixed = {f"a{i}": 2 for i in range(35, 60)}
    return {
        "add": lambda _, kept: kept.add(**rig.columns({f"b{i}": 2 for i in range(20)})),
        "upsert": lambda _, kept: kept.upsert(**rig.columns(mixed)),
        "update": lambda _, kept: kept.update(**rig.columns(mixed)),
        "delete": lambda _, kept: kept.delete(ids=[f"a{i}" for i in range(0, 40, 2)]),
        "delete_where": lambda _, kept: kept.delete(where={"group": 1}),
        "bulk_upsert": lambda _, kept: kept.bulk_upsert(**rig.columns(mixed), max_batch_size=10),
        "create_collection": lambda client, _: client.create_collection("new", metadata={"a": 1}, embedding_function=None),
        "modify": lambda _, kept: kept.modify(name="renamed", metadata={"b": 2}),
        "fork": lambda _, kept: kept.fork("forked"),
        "delete_collection": lambda client, _: client.delete_collection("kept"),
        "build_index": lambda _, kept: kept.build_index(),
        "reset": lambda client, _: client.reset(),
    }


def picture(client: Client) -> Picture:
    """Return what users see of a store."""
    found: Picture = []
    for collection in client.list_collections():
        state, wrong = rig.audit(client, str(collection.id))
        found.append((collection.name, collection.metadata, state, wrong))
    return sorted(found, key=lambda one: one[0])


def opened(folder: Path | None) -> Client:
    """Open the store, or make the one in memory."""
    client = EphemeralClient(allow_reset=True) if folder is None else PersistentClient(folder, allow_reset=True)
    if not client.count_collections():
        client.create_collection("kept", embedding_function=None).add(**rig.columns(INITIAL))
    return client


def sweep(call: Callable[[Client, Any], object], faults: Faults, store: Path | None, work: Path) -> tuple[int, int, list[str]]:
    """Let every operation of a call fail once; return how many there were, how often the call had happened, what was wrong."""

    def fresh(name: str) -> Client:
        return opened(None if store is None else Path(shutil.copytree(store, work / name)))

    with fresh("whole") as client:
        before = picture(client)
        call(client, client.get_collection("kept", embedding_function=None))
        after = picture(client)
    wrong: list[str] = []
    happened = 0
    for n in itertools.count(1):
        with fresh(str(n)) as client:
            kept = client.get_collection("kept", embedding_function=None)
            error = _struck(call, client, kept, faults, n)
            seen, problems = _judged(client, error, before, after)
            wrong += [f"operation {n}: {line}" for line in problems]
            happened += seen == after != before
        if store is not None:
            with PersistentClient(work / str(n)) as again:
                if picture(again) != seen:
                    wrong.append(f"operation {n}: another process would see something else")
            shutil.rmtree(work / str(n))
        if not faults.struck:
            return n - 1, happened, wrong
    raise AssertionError


def _struck(call: Callable[[Client, Any], object], client: Client, kept: Any, faults: Faults, n: int) -> Exception | None:
    faults.arm(n)
    try:
        call(client, kept)
    except Exception as error:  # noqa: BLE001 - judged by the caller
        return error
    finally:
        faults.lift()
    return None


def _judged(client: Client, error: Exception | None, before: Picture, after: Picture) -> tuple[Picture, list[str]]:
    wrong = []
    if error is not None and not isinstance(error, ChromaError):
        wrong.append(f"foreign exception {type(error).__name__}: {error}")
    try:
        seen = picture(client)
    except Exception as broken:  # noqa: BLE001
        return [], [*wrong, f"the client cannot be read afterwards: {type(broken).__name__}: {broken}"]
    wrong += [problem for one in seen for problem in one[3]]
    if isinstance(error, BulkUpsertError):
        if not _steps(before, after, seen, error.committed):
            wrong.append("not a whole number of batches, or fewer than reported")
    elif seen not in (before, after) or (error is None and seen != after):
        wrong.append("neither before nor after")
    try:
        client.get_or_create_collection("later", embedding_function=None).add(**rig.columns({"z1": 1}))
        found = client._execute(ops.Query(str(client.get_collection("later", embedding_function=None).id), rig.vector("z1", 1)[None], 1))
        if found.hits.ids != ["z1"]:
            wrong.append("the next record written is not found")
        client.delete_collection("later")
    except Exception as broken:  # noqa: BLE001
        wrong.append(f"the client cannot write afterwards: {type(broken).__name__}: {broken}")
    return seen, wrong


def _steps(before: Picture, after: Picture, seen: Picture, committed: int) -> bool:
    changed = [key for key, version in after[0][2].items() if before[0][2].get(key) != version]
    done = [key for key in changed if seen[0][2].get(key) == after[0][2][key]]
    return len(seen) == 1 and done == changed[: len(done)] and len(done) >= committed and (len(done) % 10 == 0 or done == changed)


def main(name: str, kind: str, when: str, where: str) -> None:
    """Sweep one call; say what was found."""
    rig.lower_thresholds()
    rig.hush()
    indexer._PAUSE = indexer._LONGEST_PAUSE = 600  # the background works never: it would use up operations at random
    faults = Faults(when)
    if kind == "files":
        break_files(faults)
    else:
        break_sqlite(faults, kind)
    # In memory where that is possible: hundreds of stores are made here, and no power is cut.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        store = None if where == "memory" else Path(folder) / "store"
        if store is not None:
            opened(store).close()
        operations, happened, wrong = sweep(calls()[name], faults, store, Path(folder))
    rig.reply(operations=operations, happened=happened, wrong=wrong)


if __name__ == "__main__":
    main(*sys.argv[1:])
