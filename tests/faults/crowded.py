"""A process that fills a disk: its own limit on file sizes, or a small file system, until writing fails; then space is made."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

from chroma_nb import PersistentClient, ops
from chroma_nb.errors import ChromaError, StorageFullError, StoreError
from tests.faults import rig

DIMENSION = 64
LIMIT = 3 << 20


def main(kind: str, folder: str) -> None:
    """Write until it fails, check what is left, make space, write again; say what was wrong."""
    rig.lower_thresholds()
    rig.hush()
    store = Path(folder) / "store"
    filler = Path(folder) / "filler"
    client = PersistentClient(store)
    collection: Any = client.create_collection("kept", embedding_function=None)
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
    else:
        filler.write_bytes(b"x" * (2 << 20))
    state: rig.State = {}
    wrong: list[str] = []
    failures = [_fill(collection, state, wrong) for _ in range(3)]
    wrong += _reads(client, str(collection.id), state)
    try:
        collection.build_index()  # saves caches: on a full disk that is a warning
    except ChromaError as error:
        wrong.append(f"build_index on a full disk: {error}")
    wrong += _reads(client, str(collection.id), state)
    left = [path.name for path in (store / "caches").glob("*.tmp")]
    if left:
        wrong.append(f"half-written files stay in the way: {left}")
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        filler.unlink()
    more = {f"a{len(state) + i}": 9 for i in range(20)}
    collection.add(**rig.columns(more, DIMENSION))
    state |= more
    wrong += _reads(client, str(collection.id), state)
    client.close()
    with PersistentClient(store) as again:
        wrong += _reads(again, str(collection.id), state)
    rig.reply(wrong=wrong, failures=failures, records=len(state))


def _fill(collection: Any, state: rig.State, wrong: list[str]) -> dict[str, Any]:
    """Write until it fails; return how."""
    while True:
        new = {f"a{len(state) + i}": 1 for i in range(40)}
        begun = time.monotonic()
        try:
            collection.add(**rig.columns(new, DIMENSION))
        except StoreError as error:
            return {"full": isinstance(error, StorageFullError), "message": str(error), "seconds": time.monotonic() - begun}
        except Exception as error:  # noqa: BLE001 - judged by the test
            wrong.append(f"foreign exception {type(error).__name__}: {error}")
            return {"full": False, "message": str(error), "seconds": 0}
        state |= new
        if len(state) > 100_000:
            wrong.append("the disk never got full")
            return {"full": False, "message": "", "seconds": 0}


def _reads(client: Any, collection: str, state: rig.State) -> list[str]:
    found = rig.read_all(client, collection)
    wrong = rig.differing(found, DIMENSION) + rig.accounting(client)
    if rig.state_of(found) != state:
        wrong.append(f"{len(found)} records are there, {len(state)} were acknowledged")
    identifier = next(iter(state))
    hits = client._execute(ops.Query(collection, rig.vector(identifier, state[identifier], DIMENSION)[None], 1)).hits.ids
    if hits != [identifier]:
        wrong.append(f"the query for {identifier!r} finds {hits}")
    return wrong


if __name__ == "__main__":
    main(*sys.argv[1:])
