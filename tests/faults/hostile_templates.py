"""A process that makes the stores which the fuzzer changes, with the real engine.

few: three collections, one of them empty, with values of every type and no caches. saved: saved columns, and a journal of what came
after them. indexed: a graph, columns and a layout, with updated and deleted rows. large: the same under the thresholds of every day.
first_format: as the first version wrote it.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from chroma_nb import PersistentClient
from chroma_nb.client.collection import Collection
from tests.faults import rig

NAMES = ("few", "saved", "indexed", "first_format", "large")
DIMENSION = 8
COLLECTIONS = ("first", "second", "empty")


def arguments(numbers: range) -> dict[str, Any]:
    """Return the columns of some records; a record follows from its number."""
    return {
        "ids": [f"r{i}" if i % 3 else f"é{i}" for i in numbers],
        "embeddings": np.stack([np.random.default_rng(i).standard_normal(DIMENSION) for i in numbers]).astype(np.float32),
        "documents": [None if i % 5 == 0 else f"document {i} says wörd {i % 4}" for i in numbers],
        "metadatas": [metadata(i) for i in numbers],
        "uris": [f"file:///{i}" if i % 4 else None for i in numbers],
    }


def metadata(number: int) -> dict[str, Any] | None:
    """Return values of every type, and of several types under one key."""
    if number % 7 == 0:
        return None
    moment = datetime(2024, 1, 1 + number % 28)  # noqa: DTZ001 - one without a zone is meant
    return {
        "n": number,
        "share": number / 3,
        "group": f"g{number % 4}",
        "flag": number % 2 == 0,
        "mixed": ("text", number, 0.5)[number % 3],
        "tags": ["a", f"t{number % 3}"],
        "day": moment,
        "at": moment.replace(tzinfo=timezone.utc),
    }


def _fill(collection: Collection, count: int) -> None:
    for start in range(0, count, 3000):
        collection.add(**arguments(range(start, min(start + 3000, count))))


def _wear(collection: Collection, count: int) -> None:
    """Update some records and delete some, so that rows and labels part."""
    collection.upsert(**arguments(range(count - count // 8, count)))
    collection.update(ids=["r1", "r2"], metadatas=[{"n": -1}, {"group": None}])
    collection.delete(ids=[f"r{i}" for i in range(5, max(count // 10, 8)) if i % 3])


def make(folder: Path, name: str) -> None:
    """Make one store."""
    sizes = {"few": (8, 5), "saved": (150, 60), "indexed": (240, 60), "first_format": (60, 8), "large": (3000, 300)}[name]
    with PersistentClient(folder) as client:
        collections = [
            client.create_collection(each, {"hnsw:space": space, "hnsw:num_threads": 1}, embedding_function=None)
            for each, space in zip(COLLECTIONS, ("l2", "cosine", "ip"), strict=True)
        ]
        for collection, size in zip(collections, sizes, strict=False):
            _fill(collection, size)
            if name != "few":
                _wear(collection, size)
            if name in {"indexed", "large"}:
                collection.build_index()
                collection.project("pca", show_progress=False)
            collection.count(where={"n": 1})
    if name != "few":
        with PersistentClient(folder) as client:
            for each in COLLECTIONS[:2]:
                client.get_collection(each, embedding_function=None).add(**arguments(range(100_000, 100_003)))
    if name == "first_format":
        connection = sqlite3.connect(folder / "chroma_nb.sqlite3")
        connection.execute("ALTER TABLE change DROP COLUMN label")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
        connection.close()


def main(folder: str) -> None:
    """Make all of them in a folder."""
    make(Path(folder, "large"), "large")
    rig.lower_thresholds()
    for name in NAMES:
        if name != "large":
            make(Path(folder, name), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
