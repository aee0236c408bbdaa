"""The two flavours the guide's code is run in, and what a test needs to look at either one's answers alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

import chroma_nb
from chroma_nb import chromadb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Native:
    """``import chroma_nb as chromadb``: the guide's code, answered in data frames."""

    name = "native"
    module: Any = chroma_nb

    @staticmethod
    def persistent(path: Path, *, allow_reset: bool = False) -> Any:
        return chroma_nb.PersistentClient(path=path, allow_reset=allow_reset)

    @staticmethod
    def ephemeral() -> Any:
        return chroma_nb.EphemeralClient()

    @staticmethod
    def ids(found: Any) -> list[str]:
        return list(found.index)

    @staticmethod
    def hits(found: Any) -> list[list[str]]:
        return [found.loc[query, "id"].tolist() for query in found.index.unique("query")]

    @staticmethod
    def distances(found: Any) -> list[list[float]]:
        return [found.loc[query, "distance"].tolist() for query in found.index.unique("query")]

    @staticmethod
    def documents(found: Any) -> list[Any]:
        return [value if isinstance(value, str) else None for value in found["document"]]

    @staticmethod
    def values(found: Any, key: str) -> list[Any]:
        import pandas as pd

        return [None if pd.isna(value) else value for value in found[key]]

    @staticmethod
    def embeddings(found: Any) -> list[list[float]]:
        return [list(map(float, vector)) for vector in found["embedding"]]

    @staticmethod
    def parts(found: Any) -> set[str]:
        names = {"document": "documents", "distance": "distances", "embedding": "embeddings", "uri": "uris"}
        return {names.get(column, "metadatas") for column in found.columns if column != "id"}


class Facade:
    """``from chroma_nb import chromadb``: the guide's code, answered in Chroma's dicts."""

    name = "chromadb"
    module: Any = chromadb

    @staticmethod
    def persistent(path: Path, *, allow_reset: bool = False) -> Any:
        return chromadb.PersistentClient(path=path, settings=chromadb.Settings(allow_reset=allow_reset))

    @staticmethod
    def ephemeral() -> Any:
        return chromadb.EphemeralClient()

    @staticmethod
    def ids(found: Any) -> list[str]:
        return list(found["ids"])

    @staticmethod
    def hits(found: Any) -> list[list[str]]:
        return list(found["ids"])

    @staticmethod
    def distances(found: Any) -> list[list[float]]:
        return list(found["distances"])

    @staticmethod
    def documents(found: Any) -> list[Any]:
        return list(found["documents"])

    @staticmethod
    def values(found: Any, key: str) -> list[Any]:
        return [(metadata or {}).get(key) for metadata in found["metadatas"]]

    @staticmethod
    def embeddings(found: Any) -> list[list[float]]:
        vectors: list[list[float]] = found["embeddings"].tolist()
        return vectors

    @staticmethod
    def parts(found: Any) -> set[str]:
        return {part for part in ("documents", "metadatas", "distances", "embeddings", "uris") if found.get(part) is not None}


@pytest.fixture(params=[Native, Facade], ids=lambda flavour: flavour.name)
def flavour(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(flavour: Any, tmp_path: Path) -> Iterator[Any]:
    with flavour.persistent(tmp_path / "store", allow_reset=True) as made:
        yield made


class WordCounts:
    """An embedding function of one's own: counts of a few words."""

    WORDS = ("doc1", "doc2", "doc3", "lorem", "zarathustra")

    def __call__(self, input: Sequence[str]) -> list[list[float]]:  # noqa: A002 - Chroma's name
        return [[float(text.count(word)) for word in self.WORDS] for text in input]

    @staticmethod
    def name() -> str:
        return "word-counts"

    @staticmethod
    def get_config() -> dict[str, Any]:
        return {}


@pytest.fixture
def emb_fn() -> WordCounts:
    return WordCounts()
