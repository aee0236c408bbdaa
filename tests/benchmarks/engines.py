"""The two engines behind one face, each as a user would call it; only `chroma_nb` is asked for data frames.

Imported by `worker` in an interpreter that has the engine concerned; nothing here measures.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.data import K, Rows, Where

NAME = "bench"


class Engine(Protocol):
    """What is measured. Every answer is what the engine's own user gets; `ids` reads it, outside the clock."""

    def add(self, rows: Rows) -> None:
        """Store new records in one call, or in as many as the engine allows."""

    def upsert(self, rows: Rows) -> None:
        """Overwrite records."""

    def delete(self, ids: list[str]) -> None:
        """Remove records."""

    def query(self, vectors: NDArray[np.float32], where: Where = None, where_document: Where = None) -> Any:
        """Return the `K` nearest of each query with documents, metadata and distances."""

    def get(self, ids: list[str] | None = None, where: Where = None, where_document: Where = None) -> Any:
        """Return records with documents and metadata."""

    def count(self, where: Where) -> int:
        """Return how many records match."""

    def ids(self, answer: Any) -> list[list[str]]:
        """Return the ids of an answer, query by query."""

    def settle(self) -> None:
        """Wait until background work is done."""

    def close(self) -> None:
        """Give the store up."""


class ChromaNb:
    """The package of this repository."""

    def __init__(self, folder: Path) -> None:
        import pandas as pd

        import chroma_nb

        self._pandas = pd
        self._client = chroma_nb.PersistentClient(folder)
        self._collection = self._client.create_collection(NAME, embedding_function=None, configuration={"hnsw": {"space": "cosine"}})

    def frame(self, rows: Rows) -> Any:
        """Return records as the data frame a user would have."""
        frame = self._pandas.DataFrame(rows.metadatas, index=self._pandas.Index(rows.ids, name="id"))
        return frame.assign(document=rows.documents, embedding=list(rows.vectors))

    def add(self, rows: Rows) -> None:
        """Store new records in one call."""
        self._collection.add(rows.ids, rows.vectors, rows.metadatas, rows.documents)

    def add_frame(self, frame: Any) -> None:
        """Store the records of a data frame."""
        self._collection.add(frame)

    def upsert(self, rows: Rows) -> None:
        """Overwrite records."""
        self._collection.upsert(rows.ids, rows.vectors, rows.metadatas, rows.documents)

    def delete(self, ids: list[str]) -> None:
        """Remove records."""
        self._collection.delete(ids)

    def query(self, vectors: NDArray[np.float32], where: Where = None, where_document: Where = None) -> Any:
        """Return a data frame."""
        return self._collection.query(vectors, n_results=K, where=where, where_document=where_document)

    def get(self, ids: list[str] | None = None, where: Where = None, where_document: Where = None) -> Any:
        """Return a data frame."""
        return self._collection.get(ids, where, where_document=where_document)

    def count(self, where: Where) -> int:
        """Return how many records match."""
        number: int = self._collection.count(where)
        return number

    def ids(self, answer: Any) -> list[list[str]]:
        """Return the ids of a query's frame or of a get's."""
        if "rank" not in answer.index.names:
            return [answer.index.tolist()]
        return [group.tolist() for _, group in answer["id"].groupby(level="query")]

    def settle(self) -> None:
        """Wait for the graph, which is made in the background."""
        while self._collection.describe().index.building:
            time.sleep(0.02)

    def close(self) -> None:
        """Close the client."""
        self._client.close()


class Chroma:
    """The package chromadb, which answers in dicts."""

    def __init__(self, folder: Path) -> None:
        import chromadb  # type: ignore[import-not-found, unused-ignore]

        self._client = chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
        self._collection = self._client.create_collection(NAME, embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
        self._batch = self._client.get_max_batch_size()

    def add(self, rows: Rows) -> None:
        """Store new records, as many in a call as chromadb takes."""
        for start in range(0, len(rows.ids), self._batch):
            part = rows.part(start, start + self._batch)
            self._collection.add(part.ids, part.vectors, part.metadatas, part.documents)

    def upsert(self, rows: Rows) -> None:
        """Overwrite records."""
        self._collection.upsert(rows.ids, rows.vectors, rows.metadatas, rows.documents)

    def delete(self, ids: list[str]) -> None:
        """Remove records."""
        self._collection.delete(ids)

    def query(self, vectors: NDArray[np.float32], where: Where = None, where_document: Where = None) -> Any:
        """Return chromadb's dict."""
        return self._collection.query(vectors, n_results=K, where=where, where_document=where_document)

    def get(self, ids: list[str] | None = None, where: Where = None, where_document: Where = None) -> Any:
        """Return chromadb's dict."""
        return self._collection.get(ids, where, where_document=where_document)

    def count(self, where: Where) -> int:
        """Return how many records match, the way chromadb's users have to count them."""
        return len(self._collection.get(where=where, include=[])["ids"])

    def ids(self, answer: Any) -> list[list[str]]:
        """Return the ids of a query's dict or of a get's."""
        found: Any = answer["ids"]
        return [found] if not found or isinstance(found[0], str) else list(found)

    def settle(self) -> None:
        """Return at once: chromadb works in the foreground."""

    def close(self) -> None:
        """Close the client."""
        self._client.close()


ENGINES: dict[str, type[ChromaNb | Chroma]] = {"chroma_nb": ChromaNb, "chromadb": Chroma}

FIRST_ANSWER = {
    "chroma_nb": (
        "import json, sys; import chroma_nb\n"
        "collection = chroma_nb.PersistentClient(sys.argv[1]).get_collection('bench', embedding_function=None)\n"
        "found = collection.query([json.loads(sys.argv[2])], n_results=10)\n"
        "print(found['id'].iloc[0], flush=True)"
    ),
    "chromadb": (
        "import json, sys; import chromadb\n"
        "client = chromadb.PersistentClient(sys.argv[1], chromadb.Settings(anonymized_telemetry=False))\n"
        "collection = client.get_collection('bench', embedding_function=None)\n"
        "found = collection.query([json.loads(sys.argv[2])], n_results=10)\n"
        "print(found['ids'][0][0], flush=True)"
    ),
}
"""What a fresh process runs: imports, the store, one query."""
