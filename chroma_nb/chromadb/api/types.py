"""The names Chroma's users write in annotations: what verbs take and return. No behaviour but `EmbeddingFunction`'s default methods."""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from chroma_nb.embedding import DefaultEmbeddingFunction
from chroma_nb.spaces import Space

__all__ = [
    "ID",
    "URI",
    "CollectionConfiguration",
    "CollectionMetadata",
    "CreateCollectionConfiguration",
    "CreateHNSWConfiguration",
    "DefaultEmbeddingFunction",
    "DeleteResult",
    "Document",
    "Documents",
    "Embeddable",
    "Embedding",
    "EmbeddingFunction",
    "Embeddings",
    "GetResult",
    "HNSWConfiguration",
    "IDs",
    "Include",
    "LiteralValue",
    "LogicalOperator",
    "Metadata",
    "Metadatas",
    "OneOrMany",
    "OperatorExpression",
    "PyEmbedding",
    "PyEmbeddings",
    "QueryResult",
    "ReadLevel",
    "Space",
    "URIs",
    "UpdateCollectionConfiguration",
    "UpdateCollectionMetadata",
    "UpdateHNSWConfiguration",
    "UpdateMetadata",
    "Where",
    "WhereDocument",
    "WhereDocumentOperator",
    "WhereOperator",
]

T = TypeVar("T")
D_contra = TypeVar("D_contra", contravariant=True)

OneOrMany: TypeAlias = T | list[T]
ID: TypeAlias = str
IDs: TypeAlias = list[ID]
URI: TypeAlias = str
URIs: TypeAlias = list[URI]
Document: TypeAlias = str
Documents: TypeAlias = list[Document]
Embeddable: TypeAlias = Documents
PyEmbedding: TypeAlias = Sequence[float] | Sequence[int]
PyEmbeddings: TypeAlias = list[PyEmbedding]
Embedding: TypeAlias = NDArray[np.int32 | np.float32]
Embeddings: TypeAlias = list[Embedding]

LiteralValue: TypeAlias = str | int | float | bool
Metadata: TypeAlias = Mapping[str, LiteralValue | list[LiteralValue] | None]
UpdateMetadata: TypeAlias = Metadata
Metadatas: TypeAlias = list[Metadata]
CollectionMetadata: TypeAlias = dict[str, Any]
UpdateCollectionMetadata: TypeAlias = UpdateMetadata

Include: TypeAlias = list[Literal["documents", "embeddings", "metadatas", "distances", "uris", "data"]]

LogicalOperator: TypeAlias = Literal["$and", "$or"]
WhereOperator: TypeAlias = Literal["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]
OperatorExpression: TypeAlias = dict[str, LiteralValue | list[LiteralValue]]
Where: TypeAlias = dict[str, Any]
WhereDocumentOperator: TypeAlias = Literal["$contains", "$not_contains", "$regex", "$not_regex", "$and", "$or"]
WhereDocument: TypeAlias = dict[str, Any]


class GetResult(TypedDict):
    """What `get` and `peek` return: columns of equal length n; those that were not asked for are None.

    ``embeddings`` is (n, d) float64 (the stored float32 values), or of shape (0,) when there are no records.
    """

    ids: IDs
    embeddings: NDArray[np.float64] | None
    documents: list[Document | None] | None
    uris: list[URI | None] | None
    data: None
    metadatas: list[dict[str, Any] | None] | None
    included: Include


class QueryResult(TypedDict):
    """What `query` returns: in every column one list (of embeddings one array) per query, nearest record first."""

    ids: list[IDs]
    embeddings: list[NDArray[np.float64]] | None
    documents: list[list[Document | None]] | None
    uris: list[list[URI | None]] | None
    data: None
    metadatas: list[list[dict[str, Any] | None]] | None
    distances: list[list[float]] | None
    included: Include


class DeleteResult(TypedDict):
    """What `delete` returns: how many records are gone."""

    deleted: int


class HNSWConfiguration(TypedDict, total=False):
    """Parameters of the graph, as `chroma_nb.configuration.HnswParameters` documents them."""

    space: Space
    ef_construction: int
    max_neighbors: int
    ef_search: int
    num_threads: int
    batch_size: int
    sync_threshold: int
    resize_factor: float


CreateHNSWConfiguration: TypeAlias = HNSWConfiguration


class UpdateHNSWConfiguration(TypedDict, total=False):
    """Parameters of the graph that `modify` may change."""

    ef_search: int
    max_neighbors: int
    num_threads: int
    batch_size: int
    sync_threshold: int
    resize_factor: float


class CollectionConfiguration(TypedDict, total=False):
    """A collection's configuration; ``embedding_function`` is the function itself."""

    hnsw: HNSWConfiguration | None
    spann: dict[str, Any] | None
    embedding_function: Any


CreateCollectionConfiguration: TypeAlias = CollectionConfiguration


class UpdateCollectionConfiguration(TypedDict, total=False):
    """What `modify` takes as configuration."""

    hnsw: UpdateHNSWConfiguration | None


class ReadLevel(str, enum.Enum):
    """How fresh a count has to be. Here every read sees everything that was committed before it, whichever is asked for."""

    INDEX_AND_WAL = "index_and_wal"
    INDEX_ONLY = "index_only"
    INDEX_AND_BOUNDED_WAL = "index_and_bounded_wal"


class EmbeddingFunction(abc.ABC, Generic[D_contra]):
    """Base class for embedding functions of one's own; an object with the same ``__call__`` will do without it.

    A class that also has ``name()`` and ``get_config()`` is recognised when its collection is fetched with another one.

    Examples
    --------
    >>> class Lengths(EmbeddingFunction[Documents]):
    ...     def __call__(self, input: Documents) -> Embeddings:
    ...         return [np.array([len(text), 1], dtype=np.float32) for text in input]
    >>> Lengths().embed_query(["abc"])[0].tolist()
    [3.0, 1.0]
    """

    @abc.abstractmethod
    def __call__(self, input: D_contra) -> Any:  # noqa: A002 - Chroma's name
        """Return one vector per text."""

    def embed_query(self, input: D_contra) -> Any:  # noqa: A002 - Chroma's name
        """Return one vector per query; override it for models that embed questions differently from documents."""
        return self(input)
