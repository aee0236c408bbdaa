"""A process that makes the stores which the fuzzer changes, with the real engine.

few: three collections, one of them empty, with values of every type and no caches. saved: saved columns, and a journal of what came
after them. indexed: a graph, columns and a layout, with updated and deleted rows. large: the same under the thresholds of every day.
first_format: as the first version wrote it. strange: whatever may be stored though few do, so that no check refuses it.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from chroma_nb import AdminClient, PersistentClient
from chroma_nb.client.collection import Collection
from chroma_nb.embedding import HashingEmbeddingFunction
from tests.faults import rig

NAMES = ("few", "saved", "indexed", "first_format", "strange", "large")
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
    sizes = {"few": (8, 5), "saved": (80, 40), "indexed": (130, 45), "first_format": (40, 8), "large": (2200, 45)}[name]
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


STRANGE_TEXTS = ("", "\x1b[2J", "a\0b", "\u202e", " ", "\ufeff", "\n", "é" * 300, "x" * 5000, "\U0010ffff")
STRANGE_VALUES: tuple[Any, ...] = (
    *STRANGE_TEXTS,
    2**63 - 1,
    -(2**63),
    1e308,
    -0.0,
    5e-324,
    True,
    [""],
    [2**63 - 1, -1],
    [1e308, 5e-324],
    [True, False],
    ["x"] * 1000,
    datetime(1700, 1, 1),  # noqa: DTZ001
    datetime(2262, 4, 11, 23, 47, 16, 854775),  # noqa: DTZ001
    datetime(2024, 1, 1, tzinfo=ZoneInfo("America/New_York")),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=-20))),
)
STRANGE_NUMBERS = (0.0, -0.0, 3e38, -3e38, 1e-40, 1.0, 2**-149, 16777217.0)


def make_strange(folder: Path) -> None:
    """Make a store of extremes."""
    with AdminClient(folder) as admin:
        admin.create_tenant("tenant two")
        admin.create_database("database two", "tenant two")
    with PersistentClient(folder, tenant="tenant two", database="database two") as client:
        client.create_collection("first", embedding_function=None).add(**arguments(range(5)))
    with PersistentClient(folder) as client:
        first = client.create_collection("first", {f"key {i}": value for i, value in enumerate(STRANGE_VALUES)}, embedding_function=None)
        for i, value in enumerate(STRANGE_VALUES):
            identifier = STRANGE_TEXTS[i] if 0 < i < len(STRANGE_TEXTS) else f"strange {i}"
            vector = [[STRANGE_NUMBERS[(i * j) % len(STRANGE_NUMBERS)] for j in range(DIMENSION)]]
            document = STRANGE_TEXTS[i % len(STRANGE_TEXTS)]
            first.add([identifier], vector, [{"a": value, "id": 1, "document": value, "\0": value, f"only {i}": value}], [document])
        first.add(["wide"], [[1.0] * DIMENSION], [{f"k{i}": i for i in range(200)}], ["long " * 20_000])
        second = client.create_collection("second", embedding_function=HashingEmbeddingFunction(DIMENSION))
        second.add(["only text"], documents=["a text"])
        client.create_collection(
            "empty", {"hnsw:M": 512, "hnsw:construction_ef": 10_000, "hnsw:search_ef": 100_000}, embedding_function=None
        )


def main(folder: str) -> None:
    """Make all of them in a folder."""
    make(Path(folder, "large"), "large")
    rig.lower_thresholds()
    make_strange(Path(folder, "strange"))
    for name in NAMES:
        if name not in {"large", "strange"}:
            make(Path(folder, name), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
