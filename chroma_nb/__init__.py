"""chroma_nb: keep, query and see embedding collections in a notebook.

>>> import chroma_nb
>>> client = chroma_nb.EphemeralClient()
>>> collection = client.get_or_create_collection("doc-first", embedding_function=None)
>>> collection.add(["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"year": 1999}, {"year": 2024}])
>>> collection.query([[0.9, 0.1]], n_results=1)["id"].tolist()
['a']
>>> client.delete_collection("doc-first")

Verbs return pandas data frames; ``from chroma_nb import chromadb`` is the same with Chroma's own dicts. Importing this
package loads nothing heavy: pandas, hnswlib, plotly, umap and models come in when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chroma_nb import errors
from chroma_nb._version import __version__

if TYPE_CHECKING:
    from chroma_nb.client.client import AsyncClient, Client
    from chroma_nb.client.collection import AsyncCollection, Collection
    from chroma_nb.embedding import DefaultEmbeddingFunction, HashingEmbeddingFunction, SentenceTransformerEmbeddingFunction
    from chroma_nb.factories import AdminClient, EphemeralClient, PersistentClient

_HOMES = {
    "AdminClient": "chroma_nb.factories",
    "EphemeralClient": "chroma_nb.factories",
    "PersistentClient": "chroma_nb.factories",
    "AsyncClient": "chroma_nb.client.client",
    "Client": "chroma_nb.client.client",
    "AsyncCollection": "chroma_nb.client.collection",
    "Collection": "chroma_nb.client.collection",
    "DefaultEmbeddingFunction": "chroma_nb.embedding",
    "HashingEmbeddingFunction": "chroma_nb.embedding",
    "SentenceTransformerEmbeddingFunction": "chroma_nb.embedding",
}

__all__ = [
    "AdminClient",
    "AsyncClient",
    "AsyncCollection",
    "Client",
    "Collection",
    "DefaultEmbeddingFunction",
    "EphemeralClient",
    "HashingEmbeddingFunction",
    "PersistentClient",
    "SentenceTransformerEmbeddingFunction",
    "__version__",
    "errors",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'chroma_nb' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
