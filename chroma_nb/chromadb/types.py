"""The names that Chroma also offers under ``chromadb.types``; they live in `chroma_nb.chromadb.api.types`."""

from __future__ import annotations

from chroma_nb.chromadb.api.types import (
    LiteralValue,
    LogicalOperator,
    Metadata,
    OperatorExpression,
    UpdateMetadata,
    Where,
    WhereDocument,
    WhereDocumentOperator,
    WhereOperator,
)

__all__ = [
    "LiteralValue",
    "LogicalOperator",
    "Metadata",
    "OperatorExpression",
    "UpdateMetadata",
    "Where",
    "WhereDocument",
    "WhereDocumentOperator",
    "WhereOperator",
]
