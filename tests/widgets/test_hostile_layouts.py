"""Maps of stored places and values at the ends of what numbers hold: they are drawn, and no library warns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb import ops

N = 40
STEPS = np.arange(N * 2, dtype=np.float32).reshape(N, 2)
MOST = np.finfo(np.float32).max
PLACES = {
    "none": np.full((N, 2), np.nan),
    "infinite": np.full((N, 2), np.inf),
    "some none": np.where(STEPS % 5 == 0, np.nan, STEPS),
    "some infinite": np.where(STEPS % 5 == 0, -np.inf, STEPS),
    "as far as can be": np.where(STEPS % 3 == 0, MOST, -MOST),
    "near and far": np.where(STEPS % 7 == 0, MOST, 1e-38),
    "hardly apart": STEPS * 1e-45,
    "all the same": np.zeros((N, 2)),
}
VALUES = {
    "large": [1e308, -1e308, 5e-324, 0.0],
    "whole": [2**63 - 1, -(2**63), 0, 1],
    "long": ["x" * 1_000_000, "w" * 500_000 + " " + "v" * 500_000, "\u202e" * 1000, "a"],
    "lists": [["z" * 100_000] * 5, ["a"], ["b"], ["c"]],
}


@pytest.fixture
def client() -> Any:
    with chroma_nb.EphemeralClient(allow_reset=True) as made:
        made.reset()
        yield made


def shows_something(figure: Any) -> bool:
    """Tell whether a figure has points, or the sentence that stands where there are none."""
    return bool(figure.data or figure.layout.annotations)


def walked(collection: Any, folder: Path, color: str, **options: Any) -> None:
    """Draw, select and export, as a page does."""
    explorer = collection.explore(color, **options)
    try:
        explorer.wait()
        assert explorer.png().startswith(b"\x89PNG")
        assert shows_something(explorer.figure())
        explorer.select(where={"n": {"$gte": 1}})
        assert len(explorer.selection)
        assert explorer.to_csv(folder / "a.csv").stat().st_size
        assert len(repr(explorer)) < 500
    finally:
        explorer.close()


@pytest.mark.parametrize("places", list(PLACES))
def test_a_stored_layout_of_any_places(client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, places: str) -> None:
    docs = client.create_collection("docs", embedding_function=None)
    ids = [f"r{i}" for i in range(N)]
    vectors = np.random.default_rng(1).normal(size=(N, 4))
    docs.add(ids, embeddings=vectors, documents=[f"word {i}" for i in range(N)], metadatas=[{"n": i} for i in range(N)])
    key = docs._wanted("umap", 2, None, None, None, 42, {}).key
    given = PLACES[places].astype(np.float32)
    client._execute(ops.PutLayout(str(docs.id), key, docs.version(), ids, given))
    assert len(docs.project()) == N
    assert shows_something(docs.plot("n"))
    walked(docs, tmp_path, "n")
    walked(docs, tmp_path, "n", coordinates=given)
    assert caplog.records == []


@pytest.mark.parametrize("kind", list(VALUES))
def test_colours_of_any_values(client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    docs = client.create_collection("docs", embedding_function=None)
    docs.add(
        ["a", "b", "c", "i" * 100_000],
        embeddings=np.eye(4),
        metadatas=[{"value": value, "n": i, "k" * 100_000: 1} for i, value in enumerate(VALUES[kind])],
    )
    walked(docs, tmp_path, "value", method="pca")
    assert shows_something(docs.plot("value", method="pca"))
    assert len(str(docs.describe())) < 20_000
    assert caplog.records == []


@pytest.mark.parametrize("keys", [2000, pytest.param(10_000, marks=pytest.mark.long)])
def test_thousands_of_keys(client: Any, tmp_path: Path, keys: int) -> None:
    docs = client.create_collection("docs", embedding_function=None)
    each = keys // 10
    rows = [{"n": i, **{f"key {j}": j if i % 3 else str(j) for j in range(i * each, (i + 1) * each)}} for i in range(10)]
    docs.add([f"r{i}" for i in range(10)], embeddings=np.eye(10), metadatas=rows)
    frame = docs.get(include=["embeddings", "metadatas"])
    assert frame.shape == (10, keys + 2)
    docs.upsert(frame)
    assert len(docs.query(np.eye(10)[:1])) == 10
    assert len(str(docs.describe())) < 20_000
    walked(docs, tmp_path, "key 5", method="pca")
