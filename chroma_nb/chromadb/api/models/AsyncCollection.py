"""The collection of asynchronous clients, under the name Chroma gives it."""  # noqa: N999 - Chroma's name

from __future__ import annotations

from chroma_nb.chromadb.api.models.Collection import CollectionVerbs
from chroma_nb.client.verb import Async


class AsyncCollection(CollectionVerbs, Async):
    """`Collection` whose verbs are awaited."""
