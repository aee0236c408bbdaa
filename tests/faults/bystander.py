"""A process without the right to write: it opens a store as an ordinary user, reads, and tries to write."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from chroma_nb import PersistentClient, ops
from chroma_nb.errors import ReadOnlyError
from tests.faults import rig


def main(folder: str, turns: str = "1", name: str = "kept") -> None:
    """Say what was read and which writes were refused, once per line of input."""
    rig.lower_thresholds()
    rig.hush()
    rig.become_nobody()
    try:
        client = PersistentClient(folder)
    except ReadOnlyError as error:
        rig.reply(refused=str(error))
        return
    collection: Any = client.get_collection(name, embedding_function=None)
    identifier = str(collection.id)
    for turn in range(int(turns)):
        if turn:
            sys.stdin.readline()
        found = rig.read_all(client, identifier)
        wrong = rig.differing(found)
        state = rig.state_of(found)
        key = found.ids[-1]
        for _ in range(2):  # with and without what the first answer brought into memory
            hits = client._execute(ops.Query(identifier, rig.vector(key, state[key])[None], 3)).hits.ids
            if hits[0] != key:
                wrong.append(f"the query for {key!r} finds {hits}")
        expected = [name for name, metadata in zip(found.ids, found.metadatas or [], strict=True) if (metadata or {})["group"] == 1]
        if client._execute(ops.Get(identifier, filter=rig.where(group=1))).ids != expected:
            wrong.append("the filter finds other records")
        rig.reply(state=state, wrong=wrong + _refusals(client, collection))
    client.close()


def _refusals(client: Any, collection: Any) -> list[str]:
    new = rig.columns({"new": 1})
    calls: dict[str, Callable[[], object]] = {
        "add": lambda: collection.add(**new),
        "upsert": lambda: collection.upsert(**new),
        "update": lambda: collection.update(**new),
        "delete": lambda: collection.delete(ids=["k50"]),
        "create_collection": lambda: client.create_collection("new", embedding_function=None),
        "delete_collection": lambda: client.delete_collection(name),
        "modify": lambda: collection.modify(name="other-name"),
    }
    wrong = []
    for name, call in calls.items():
        try:
            call()
        except ReadOnlyError:
            continue
        except Exception as error:  # noqa: BLE001 - judged by the test
            wrong.append(f"{name}: {type(error).__name__}: {error}")
        else:
            wrong.append(f"{name} was not refused")
    return wrong


if __name__ == "__main__":
    main(*sys.argv[1:])
