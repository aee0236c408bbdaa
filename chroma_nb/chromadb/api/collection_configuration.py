"""The types of ``configuration`` arguments under the module name Chroma gives them."""

from __future__ import annotations

from chroma_nb.chromadb.api.types import (
    CollectionConfiguration,
    CreateCollectionConfiguration,
    CreateHNSWConfiguration,
    HNSWConfiguration,
    UpdateCollectionConfiguration,
    UpdateHNSWConfiguration,
)

__all__ = [
    "CollectionConfiguration",
    "CreateCollectionConfiguration",
    "CreateHNSWConfiguration",
    "HNSWConfiguration",
    "UpdateCollectionConfiguration",
    "UpdateHNSWConfiguration",
]
