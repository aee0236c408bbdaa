"""What Chroma keeps under ``chromadb.utils``: embedding functions and batches."""

from __future__ import annotations

from chroma_nb.chromadb.utils import batch_utils, embedding_functions

__all__ = ["batch_utils", "embedding_functions"]
