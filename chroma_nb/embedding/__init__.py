"""Embedding functions: what one is, the ones we ship, and what a collection remembers of its own.

Importing this package imports numpy and nothing heavier; models are loaded when a function is first called.
"""

from __future__ import annotations

from chroma_nb.embedding.hashing import HashingEmbeddingFunction
from chroma_nb.embedding.protocol import EmbeddingFunction, Embeddings, describe, embed
from chroma_nb.embedding.sentence_transformer import DefaultEmbeddingFunction, SentenceTransformerEmbeddingFunction, available
from chroma_nb.embedding.stored import conflict, identity, required, restore

__all__ = [
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "Embeddings",
    "HashingEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "available",
    "conflict",
    "describe",
    "embed",
    "identity",
    "required",
    "restore",
]
