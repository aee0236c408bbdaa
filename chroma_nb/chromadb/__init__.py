"""Chroma's own Python API on chroma_nb's store: existing code runs after changing one line.

>>> from chroma_nb import chromadb
>>> client = chromadb.EphemeralClient()
>>> collection = client.get_or_create_collection("doc-facade", embedding_function=None)
>>> collection.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["first", "second"])
>>> collection.query(query_embeddings=[[0.9, 0.1]], n_results=1)["documents"]
[['first']]
>>> client.delete_collection("doc-facade")

Signatures, result dicts, filters and error names are those of Chroma 1.5.9, and so is ``__version__``, since code asks it
which API it talks to (`chroma_nb.__version__` is ours). Nothing is computed here: every verb's body is shared with the data
frame API. Not offered: images and data loaders, schemas and hybrid search.
"""

from __future__ import annotations

from chroma_nb.chromadb import config, errors
from chroma_nb.chromadb.api import AdminAPI, AsyncClientAPI, ClientAPI
from chroma_nb.chromadb.api.models.Collection import Collection
from chroma_nb.chromadb.api.types import (
    URI,
    CollectionMetadata,
    Documents,
    EmbeddingFunction,
    Embeddings,
    GetResult,
    IDs,
    Include,
    Metadata,
    Metadatas,
    QueryResult,
    ReadLevel,
    UpdateCollectionMetadata,
    UpdateMetadata,
    URIs,
    Where,
    WhereDocument,
)
from chroma_nb.chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from chroma_nb.chromadb.factories import (
    AdminClient,
    AsyncHttpClient,
    Client,
    EphemeralClient,
    HttpClient,
    PersistentClient,
    configure,
    get_settings,
)
from chroma_nb.chromadb.utils import batch_utils, embedding_functions
from chroma_nb.chromadb.version import CHROMA_VERSION

__version__ = CHROMA_VERSION

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "URI",
    "AdminAPI",
    "AdminClient",
    "AsyncClientAPI",
    "AsyncHttpClient",
    "Client",
    "ClientAPI",
    "Collection",
    "CollectionMetadata",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "GetResult",
    "HttpClient",
    "IDs",
    "Include",
    "Metadata",
    "Metadatas",
    "PersistentClient",
    "QueryResult",
    "ReadLevel",
    "Settings",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
    "Where",
    "WhereDocument",
    "__version__",
    "batch_utils",
    "config",
    "configure",
    "embedding_functions",
    "errors",
    "get_settings",
]
