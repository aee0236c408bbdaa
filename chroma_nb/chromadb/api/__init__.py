"""The classes of clients under the names that Chroma gives their interfaces, for annotations."""

from __future__ import annotations

from chroma_nb.chromadb.api.client import AdminClient as AdminAPI
from chroma_nb.chromadb.api.client import AsyncClient as AsyncClientAPI
from chroma_nb.chromadb.api.client import Client as ClientAPI
from chroma_nb.chromadb.api.types import CreateCollectionConfiguration, UpdateCollectionConfiguration

__all__ = ["AdminAPI", "AsyncClientAPI", "ClientAPI", "CreateCollectionConfiguration", "UpdateCollectionConfiguration"]
