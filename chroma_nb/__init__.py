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
    from chroma_nb.factories import AdminClient, AsyncHttpClient, EphemeralClient, HttpClient, PersistentClient, serve

__all__ = [
    "AdminClient",
    "AsyncClient",
    "AsyncCollection",
    "AsyncHttpClient",
    "Client",
    "Collection",
    "DefaultEmbeddingFunction",
    "EphemeralClient",
    "HashingEmbeddingFunction",
    "HttpClient",
    "PersistentClient",
    "SentenceTransformerEmbeddingFunction",
    "__version__",
    "chromadb",
    "errors",
    "serve",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for."""
    if name == "chromadb":
        # Not "from chroma_nb import chromadb": that would ask this function again.
        import chroma_nb.chromadb as facade

        return facade
    if name not in __all__:
        raise AttributeError(f"module 'chroma_nb' has no attribute {name!r}")
    if name.endswith("EmbeddingFunction"):
        from chroma_nb import embedding

        return getattr(embedding, name)
    if name in {"AdminClient", "AsyncHttpClient", "EphemeralClient", "HttpClient", "PersistentClient", "serve"}:
        from chroma_nb import factories

        return getattr(factories, name)
    if name.endswith("Collection"):
        from chroma_nb.client import collection

        return getattr(collection, name)
    from chroma_nb.client import client

    return getattr(client, name)


def load_ipython_extension(ipython: Any) -> None:
    """Add ``%chroma`` to a notebook: what ``%load_ext chroma_nb`` does."""
    from chroma_nb.notebook.magics import register

    register(ipython)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
