"""What backends answer: columns, not rows, and no pandas.

The facades turn these into data frames (`chroma_nb.frames`) or into Chroma's dicts (`to_dict`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chroma_nb import html
from chroma_nb.brief import inert
from chroma_nb.configuration import Configuration
from chroma_nb.scalars import Instant, Metadata, Scalar, Value

Field: TypeAlias = Literal["documents", "embeddings", "metadatas", "distances", "uris", "data"]
Include: TypeAlias = frozenset[str]
_NO_TICK = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as the store knows it.

    Parameters
    ----------
    version, vectors_version
        Sequence numbers of the last change, and of the last change that touched an embedding.
    """

    id: str
    name: str
    tenant: str
    database: str
    metadata: Metadata | None
    configuration: Configuration
    dimension: int | None
    count: int
    version: int
    vectors_version: int


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """A database of a tenant."""

    id: str
    name: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: how many records are new, how many changed, which ids were left alone."""

    added: int
    updated: int
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GetResult:
    """Records as columns of equal length n; columns that were not asked for are None.

    Parameters
    ----------
    ids
        n texts, in collection order unless said otherwise.
    embeddings
        (n, d) float32.
    """

    ids: list[str]
    embeddings: NDArray[np.float32] | None = None
    documents: list[str | None] | None = None
    metadatas: list[dict[str, Value] | None] | None = None
    uris: list[str | None] | None = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.ids)

    def slice(self, start: int, stop: int) -> GetResult:
        """Return records `start` to `stop` (exclusive)."""
        part = slice(start, stop)
        return GetResult(
            self.ids[part],
            None if self.embeddings is None else self.embeddings[part],
            None if self.documents is None else self.documents[part],
            None if self.metadatas is None else self.metadatas[part],
            None if self.uris is None else self.uris[part],
        )

    def taken(self, places: NDArray[np.integer[Any]]) -> GetResult:
        """Return the records at `places`, in that order and as often; texts and metadata are shared, not copied."""
        chosen = places.tolist()
        return GetResult(
            [self.ids[i] for i in chosen],
            None if self.embeddings is None else self.embeddings[places],
            None if self.documents is None else [self.documents[i] for i in chosen],
            None if self.metadatas is None else [self.metadatas[i] for i in chosen],
            None if self.uris is None else [self.uris[i] for i in chosen],
        )

    def to_dict(self, include: Sequence[str]) -> dict[str, Any]:
        """Return Chroma's dict: a key per column, None where not asked for, ``included`` echoing `include`."""
        return {
            "ids": self.ids,
            "embeddings": None if self.embeddings is None else wide(self.embeddings),
            "documents": self.documents,
            "uris": self.uris,
            "included": list(include),
            "data": None,
            "metadatas": None if self.metadatas is None else [plain_metadata(metadata) for metadata in self.metadatas],
        }


@dataclass(frozen=True, eq=False)
class QueryResult:
    """Hits of q queries, one after the other, nearest first.

    Parameters
    ----------
    hits
        All records found, query after query.
    lengths
        q numbers: how many of them belong to each query.
    distances
        float64 per hit, in the collection's space; None when not asked for.
    """

    hits: GetResult
    lengths: list[int]
    distances: NDArray[np.float64] | None = None

    def to_dict(self, include: Sequence[str]) -> dict[str, Any]:
        """Return Chroma's dict: in every column one list per query."""
        bounds = np.concatenate([[0], np.cumsum(self.lengths)]).tolist()
        parts = [self.hits.slice(start, stop).to_dict(include) for start, stop in itertools.pairwise(bounds)]
        result: dict[str, Any] = {"ids": [part["ids"] for part in parts]}
        for column, value in (("embeddings", self.hits.embeddings), ("documents", self.hits.documents), ("uris", self.hits.uris)):
            result[column] = None if value is None else [part[column] for part in parts]
        result |= {"included": list(include), "data": None}
        result["metadatas"] = None if self.hits.metadatas is None else [part["metadatas"] for part in parts]
        distances = None if self.distances is None else self.distances.tolist()
        result["distances"] = None if distances is None else [distances[start:stop] for start, stop in itertools.pairwise(bounds)]
        return result


def wide(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return embeddings as Chroma's dicts carry them: float64, and an empty flat array when there are none."""
    return embeddings.astype(np.float64) if len(embeddings) else np.array([])


def plain_metadata(metadata: Mapping[str, Value] | None) -> dict[str, Any] | None:
    """Return metadata in the types every Chroma client knows: arrays as lists, instants as ISO 8601 text."""
    if metadata is None:
        return None
    return {key: _plain(value) if isinstance(value, (tuple, Instant)) else value for key, value in metadata.items()}


def _plain(value: tuple[Scalar, ...] | Instant) -> object:
    return value.iso() if isinstance(value, Instant) else list(value)


@dataclass(frozen=True, eq=False)
class Page:
    """One page of a scan and where the next one starts; `cursor` is None after the last."""

    records: GetResult
    cursor: int | None


@dataclass(frozen=True, eq=False)
class Cells:
    """One metadata key of n records.

    Parameters
    ----------
    kind
        What all values are: ``int``, ``float``, ``bool``, ``str``, or `Instant` of one time zone; None for anything else (kinds that
        differ, lists, no value at all).
    values
        (n,) int64, float64, bool or datetime64[ns]; a list for texts and for kind None, in which records without the key have None.
    missing
        (n,) bool: the records without the key, whose place in an array says nothing. None for a list, and when there are none.
    zone
        Time zone of instants, whose array counts from 1970 in UTC; None for those without a zone.
    """

    kind: type | None
    values: NDArray[Any] | list[Value | None]
    missing: NDArray[np.bool_] | None = None
    zone: str | None = None

    @classmethod
    def of(cls, values: Sequence[Value | None]) -> Cells:
        """Return the cells of `values`, None where a record lacks the key.

        Examples
        --------
        >>> cells = Cells.of([1, None, 3])
        >>> cells.values, cells.missing, cells.tolist()
        (array([1, 0, 3]), array([False,  True, False]), [1, None, 3])
        """
        kinds = set(map(type, values))
        missing = np.array([value is None for value in values], np.bool_) if NoneType in kinds else None
        kinds.discard(NoneType)
        kind = kinds.pop() if len(kinds) == 1 else None
        given: Sequence[Any] = values
        if kind is float:
            return cls(kind, np.array(given, np.float64), missing)
        if kind is int or kind is bool:
            whole = given if missing is None else [value or 0 for value in given]
            return cls(kind, np.array(whole, np.int64 if kind is int else np.bool_), missing)
        if kind is Instant:
            zones = {instant.zone for instant in given if instant is not None}
            if len(zones) == 1:
                ticks = [_NO_TICK if instant is None else instant.ns for instant in given]
                return cls(kind, np.array(ticks, np.int64).view("datetime64[ns]"), missing, zones.pop())
        return cls(str if kind is str else None, list(values))

    def tolist(self) -> list[Value | None]:
        """Return the values one by one, None where a record lacks the key."""
        if isinstance(self.values, list):
            return self.values
        values: list[Any] = (self.values.view(np.int64) if self.kind is Instant else self.values).tolist()
        if self.kind is Instant:
            values = [Instant(ns, self.zone) for ns in values]
        for i in () if self.missing is None else np.flatnonzero(self.missing).tolist():
            values[i] = None
        return values


@dataclass(frozen=True, eq=False)
class Table:
    """Records by their ids, in collection order, and the `Cells` of the metadata keys that were asked for, each of that length."""

    ids: list[str]
    columns: dict[str, Cells]


@dataclass(frozen=True, eq=False)
class Layout:
    """Stored coordinates of a projection: row i of `coordinates` (n, 2 or 3) float32 belongs to `ids[i]`, as of data version `version`."""

    ids: list[str]
    coordinates: NDArray[np.float32]
    version: int


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """One metadata key as the data knows it.

    Parameters
    ----------
    types
        Kind of value (``str``, ``int``, ``float``, ``bool``, ``datetime``, ``list``) -> number of records.
    present
        Records that have the key.
    distinct
        Number of distinct texts, bools or lists; None for numbers and datetimes.
    minimum, maximum
        Range of numbers or datetimes; None when there are none.
    samples
        A few values.
    """

    key: str
    types: dict[str, int]
    present: int
    distinct: int | None
    minimum: int | float | Instant | None
    maximum: int | float | Instant | None
    samples: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IndexState:
    """What is known of the HNSW graph: vectors in it, vectors not yet in it, and whether it is being built now."""

    indexed: int
    pending: int
    building: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What a collection holds: the answer of ``Collection.describe``."""

    info: CollectionInfo
    fields: tuple[FieldSummary, ...]
    documents: int
    index: IndexState


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """How a query is answered, and why.

    Parameters
    ----------
    method
        ``"exact"`` (every candidate is compared), ``"hnsw"`` (the graph proposes, candidates are compared) or ``"empty"``.
    candidates
        Records that match the filters.
    fetch, ef
        Neighbours taken from the graph per query, and the breadth of its search; 0 for the other methods.
    pending
        Vectors not in the graph, compared exactly beside it.
    steps
        The plan in words, one step per entry.
    """

    method: Literal["exact", "hnsw", "empty"]
    count: int
    candidates: int
    n_results: int
    fetch: int
    ef: int
    pending: int
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the plan in words."""
        return inert("\n".join([f"{self.method} search for {self.n_results:,} results", *(f"- {step}" for step in self.steps)]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(html.card(f"{self.method} search", f"{self.n_results:,} results", html.table([[step] for step in self.steps])))
