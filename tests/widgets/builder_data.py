"""A collection for the query builder's tests: every kind of value, few of each, so that filters find something."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from chroma_nb.embedding import HashingEmbeddingFunction
from tests.widgets.hostile import PAYLOADS

if TYPE_CHECKING:
    from chroma_nb.client.client import Client

SENTENCES = ["owls hunt at night", "the law of large numbers", "paintings of rivers", "a study of bones"]
SIZE = 240


def papers(client: Client, name: str = "papers", size: int = SIZE) -> Any:
    """Make a collection with text, number, bool, datetime, list and mixed fields, some of them not in every record."""
    chance = random.Random(5)
    start = pd.Timestamp("2015-03-01 08:30", tz="Europe/Paris")
    rows = [
        {
            "id": f"p{i}",
            "document": f"{SENTENCES[i % 4]} {i}",
            "topic": chance.choice(["art", "law", "music", "économie"]),
            "year": 1950 + i % 75,
            "score": round(chance.random() * 5, 3),
            "open": bool(i % 3),
            "published": start + pd.Timedelta(days=i),
            "seen": pd.Timestamp("2020-01-01") + pd.Timedelta(hours=i),
            "tags": chance.sample(["a", "b", "c"], 2),
            "rare": "x" if i % 10 == 0 else None,
        }
        for i in range(size)
    ]
    collection = client.create_collection(name, embedding_function=HashingEmbeddingFunction(16))
    collection.add(pd.DataFrame(rows).set_index("id"))
    return collection


def hostile(client: Client, name: str = "hostile") -> Any:
    """Make a collection whose ids, documents, keys and values are the payloads."""
    texts = [text for text in PAYLOADS if text]
    collection = client.create_collection(name, embedding_function=None)
    collection.add(
        [f"{i} {text}" for i, text in enumerate(texts)],
        embeddings=np.eye(len(texts), 8, dtype=np.float32) + 0.5,
        documents=texts,
        metadatas=[{as_key(text): text, "text": text} for text in texts],
    )
    return collection


def as_key(text: str) -> str:
    """Return a payload as a metadata key; a key may not look like an operator."""
    return "x" + text if text.startswith(("#", "$", "chroma:")) else text
