"""Embedding functions under Chroma's names and with Chroma's parameters; the work is done in `chroma_nb.embedding`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from chroma_nb import embedding
from chroma_nb.chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
from chroma_nb.embedding import DefaultEmbeddingFunction
from chroma_nb.errors import InvalidArgumentError

__all__ = [
    "DefaultEmbeddingFunction",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "ONNXMiniLM_L6_V2",
    "SentenceTransformerEmbeddingFunction",
    "Space",
    "register_embedding_function",
]

F = TypeVar("F")


class SentenceTransformerEmbeddingFunction(embedding.SentenceTransformerEmbeddingFunction):
    """Embed with a sentence-transformers model, loaded at the first call.

    Parameters
    ----------
    model_name
        A folder, or a name on the model hub; all-MiniLM-L6-v2 comes with the extra "embed".
    device
        "cpu", "cuda", "mps", ...
    normalize_embeddings
        Scale the vectors to length 1.
    **kwargs
        None are supported: the model is loaded the safe way, without code of its own.

    Examples
    --------
    >>> SentenceTransformerEmbeddingFunction(model_name="all-MiniLM-L6-v2").get_config()["normalize_embeddings"]
    False
    """

    def __init__(
        self,
        model_name: str = "all-MiniLM-L6-v2",
        device: str = "cpu",
        normalize_embeddings: bool = False,  # noqa: FBT001, FBT002 - Chroma's signature
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise InvalidArgumentError(
                f"{min(kwargs)}: not a parameter here; load the model yourself with sentence_transformers and pass an object whose"
                " __call__(self, input) returns its encode(input)"
            )
        super().__init__(model_name, device, normalize=normalize_embeddings)
        self.model_name = model_name
        self.normalize_embeddings = normalize_embeddings

    def get_config(self) -> dict[str, Any]:
        """Return what is stored with a collection."""
        return {**super().get_config(), "kwargs": {}}


class ONNXMiniLM_L6_V2(DefaultEmbeddingFunction):  # noqa: N801 - Chroma's name
    """The default model. Chroma runs it by ONNX, this package by PyTorch: the vectors are the same but for rounding."""

    def __init__(self, preferred_providers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.preferred_providers = preferred_providers


def register_embedding_function(ef_class: type[F]) -> type[F]:
    """Return the class as it is: stored data never makes this package call code, so there is nothing to register.

    Pass an instance as ``embedding_function`` whenever the collection is fetched.
    """
    return ef_class
