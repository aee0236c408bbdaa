"""A process that reads damaged stores, one after the other, and says what it got from each.

A crash or a hang here ends the test, not the tests.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chroma_nb import PersistentClient, ops
from chroma_nb.client.client import Client
from chroma_nb.errors import ChromaError
from chroma_nb.filters import parse_where_document
from tests.faults import rig


class Warnings(logging.Handler):
    """Keeps the messages of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def caches(store: Path) -> dict[str, Any]:
    """Read everything, have the caches made anew, and look at them."""
    before = Warnings()
    log = logging.getLogger("chroma_nb")
    log.addHandler(before)
    with PersistentClient(store) as client:
        collection = client.get_collection("kept", embedding_function=None)
        state, wrong = rig.audit(client, str(collection.id))
        wrong += _through_graph(client, str(collection.id), state)
        wrong += rig.indexed_otherwise(client, str(collection.id))
        wrong += _through_graph(client, str(collection.id), state)
    log.removeHandler(before)
    after = Warnings()
    log.addHandler(after)
    with PersistentClient(store) as client:
        identifier = str(client.get_collection("kept", embedding_function=None).id)
        again, more = rig.audit(client, identifier)
        if rig.engine_of(client)._memory.held_graph(identifier) is None:
            client._execute(ops.Query(identifier, rig.vector("k7", 2)[None], 3))
        rebuilt = rig.engine_of(client)._memory.held_graph(identifier) is not None
    log.removeHandler(after)
    wrong += more + (["the second reading differs"] if again != state else [])
    return {"state": state, "wrong": wrong, "warnings": before.messages, "later": after.messages, "rebuilt": rebuilt}


def _through_graph(client: Client, collection: str, state: rig.State) -> list[str]:
    wrong = []
    for identifier in list(state)[:40]:
        found = client._execute(ops.Query(collection, rig.vector(identifier, state[identifier])[None], 3))
        if found.hits.ids[0] != identifier or abs(float(found.distances[0])) > 1e-6:
            wrong.append(f"the query for {identifier!r} finds {found.hits.ids}")
    return wrong


def records(store: Path) -> dict[str, Any]:
    """Ask everything that can be asked; per question the answer, or the error."""
    said: dict[str, Any] = {}
    rig.hush()
    try:
        client = PersistentClient(store)
    except Exception as error:  # noqa: BLE001 - judged by the test
        return {"open": _error(error, store)}
    try:
        identifier = str(client.get_collection("kept", embedding_function=None).id)
    except Exception as error:  # noqa: BLE001
        said["find"] = _error(error, store)
        identifier = ""
    questions: dict[str, Callable[[], Any]] = {
        "get": lambda: _rows(rig.read_all(client, identifier)),
        "ids": lambda: _rows(rig.read_all(client, identifier, ids=[f"k{i}" for i in range(120)])),
        "count": lambda: client._execute(ops.Count(identifier)),
        "filter": lambda: client._execute(ops.Count(identifier, rig.where(group=1))),
        "filtered": lambda: _rows(rig.read_all(client, identifier, filter=rig.where(group=2))),
        "documents": lambda: client._execute(ops.Get(identifier, filter=parse_where_document({"$contains": " in version 1 "}))).ids,
        "query": lambda: client._execute(ops.Query(identifier, rig.vector("k7", 2)[None], 5)).hits.ids,
    }
    for name, ask in questions.items() if identifier else ():
        try:
            said[name] = {"answer": ask()}
        except Exception as error:  # noqa: BLE001
            said[name] = _error(error, store)
    try:
        client.close()
    except Exception as error:  # noqa: BLE001
        said["close"] = _error(error, store)
    return said


def _error(error: Exception, store: Path) -> dict[str, Any]:
    return {
        "error": f"{type(error).__name__}: {error}",
        "ours": isinstance(error, ChromaError),
        "named": str(store) in str(error),
    }


def _rows(found: Any) -> list[Any]:
    embeddings = [] if found.embeddings is None else [embedding.tobytes().hex() for embedding in found.embeddings]
    return [found.ids, embeddings, found.documents, found.metadatas, found.uris]


def main(task: str, *stores: str) -> None:
    """Carry out a task on each store."""
    rig.lower_thresholds()
    if stores[0] == "nobody":
        rig.become_nobody()
        stores = stores[1:]
    for store in stores:
        rig.reply(**{"records": records, "caches": caches}[task](Path(store)), store=Path(store).name)


if __name__ == "__main__":
    main(*sys.argv[1:])
