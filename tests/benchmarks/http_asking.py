"""What one round over HTTP asks of a server, through the official Python client; prints its times as JSON.

Run by `http_speed` in an interpreter that has chromadb: ``python http_asking.py URL DATA.npz``.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np

BATCH, QUERIES, K = 1000, 200, 10
SETTLED = 8.0
"""Seconds for background work to end before reading is measured; either server has them."""


def main(url: str, data: str) -> None:
    """Measure every task once; repeated calls count with their median."""
    import chromadb

    vectors = np.load(data)["vectors"]
    address = urlsplit(url)
    client = chromadb.HttpClient(host=str(address.hostname), port=int(address.port or 80))
    collection = client.create_collection(f"speed-{uuid.uuid4().hex}", metadata={"hnsw:space": "cosine"}, embedding_function=None)
    rows = len(vectors)

    def add() -> None:
        for start in range(0, rows, BATCH):
            part = range(start, min(start + BATCH, rows))
            collection.add(
                ids=[f"id{i}" for i in part],
                embeddings=vectors[start : start + BATCH],
                documents=[f"document number {i} of the benchmark, long enough to be one sentence" for i in part],
                metadatas=[{"n": i, "group": f"g{i % 10}", "score": i / 7} for i in part],
            )

    time.sleep(SETTLED)
    questions = vectors[:QUERIES] + np.float32(0.001)
    times = {"add 10,000 in batches of 1,000": _taken(add)}
    collection.query(query_embeddings=questions[:1], n_results=K)
    times["query, one vector"] = _median(lambda i: collection.query(query_embeddings=questions[i : i + 1], n_results=K), QUERIES)
    times["query, 100 vectors in one call"] = _median(lambda _: collection.query(query_embeddings=questions[:100], n_results=K), 5)
    times["get(where), all 10,000 rows"] = _median(lambda _: collection.get(where={"n": {"$gte": 0}}, limit=rows), 5)
    times["get(where), 1,000 rows"] = _median(lambda i: collection.get(where={"group": f"g{i}"}), 10)
    print(json.dumps(times))


def _taken(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _median(call: Callable[[int], Any], times: int) -> float:
    return float(np.median([_taken(lambda i=i: call(i)) for i in range(times)]))  # type: ignore[misc]


if __name__ == "__main__":
    main(*sys.argv[1:])
