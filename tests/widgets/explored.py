"""A small collection with a known shape, for whatever explores one: six groups far apart, each with words of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import chroma_nb

TOPICS = {
    "cats": "cats and dogs",
    "bread": "bread and wine",
    "stars": "stars and planets",
    "rain": "rain and snow",
    "trains": "trains and rails",
}
DIMENSION = 12


def records(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Return `n` records with embeddings, a document and metadata of every kind that maps are coloured by."""
    draw = np.random.default_rng(seed)
    names = list(TOPICS)
    centers = draw.normal(size=(len(names), DIMENSION)) * 6
    group = draw.integers(0, len(names), n)
    frame = pd.DataFrame(
        {
            "document": [f"{TOPICS[names[code]]} number {i}" for i, code in enumerate(group)],
            "embedding": list((centers[group] + draw.normal(size=(n, DIMENSION))).astype(np.float32)),
            "topic": [names[code] for code in group],
            "year": draw.integers(1990, 2024, n),
            "score": draw.random(n).round(3),
            "good": draw.random(n) < 0.5,
        },
        index=[f"r{i}" for i in range(n)],
    )
    frame["rare"] = [float(i) if i % 3 == 0 else None for i in range(n)]
    return frame


def by_words(texts: list[str]) -> np.ndarray[Any, Any]:
    """Embed a text where the records of its topic are."""
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(len(TOPICS), DIMENSION)) * 6
    found = [next((i for i, topic in enumerate(TOPICS) if topic in text), 0) for text in texts]
    return centers[found].astype(np.float32)


def filled(client: Any, name: str = "explored", n: int = 600) -> Any:
    """Return a collection with `records`, made anew."""
    if name in [collection.name for collection in client.list_collections()]:
        client.delete_collection(name)
    collection = client.create_collection(name, {"hnsw:space": "l2"}, embedding_function=by_words)
    collection.add(records().iloc[:n])
    return collection


def emptied() -> Any:
    """Return a client of the store in memory, without what other tests left there."""
    client = chroma_nb.EphemeralClient(allow_reset=True)
    client.reset()
    return client
