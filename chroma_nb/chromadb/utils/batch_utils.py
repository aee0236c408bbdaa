"""Chroma's way of cutting data into batches. Its own verbs have no limit here; code that cuts by itself finds the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chroma_nb.chromadb.api.client import Client

__all__ = ["create_batches"]


def create_batches(
    api: Client,
    ids: Sequence[str],
    embeddings: Sequence[Any] | None = None,
    metadatas: Sequence[Any] | None = None,
    documents: Sequence[Any] | None = None,
) -> list[tuple[Sequence[str], Sequence[Any] | None, Sequence[Any] | None, Sequence[Any] | None]]:
    """Return ids, embeddings, metadatas and documents cut alike into batches of at most ``api.get_max_batch_size()``.

    Examples
    --------
    >>> from chroma_nb import chromadb
    >>> [len(batch[0]) for batch in create_batches(chromadb.EphemeralClient(), ["a", "b"], documents=["x", "y"])]
    [2]
    """
    size = api.get_max_batch_size()
    columns = (ids, embeddings, metadatas, documents)

    def part(start: int) -> Any:
        return tuple(None if column is None else column[start : start + size] for column in columns)

    return [part(start) for start in range(0, len(ids), size)]
