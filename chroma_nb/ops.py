"""The operations: everything a backend can be asked, as frozen values.

An operation is parsed before it is made; a backend is anything with ``execute(op) -> reply``. The type of the reply is the
operation's type parameter. HTTP writes operations down, widgets edit them, the drivers in `chroma_nb.client.verb` pass them on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from chroma_nb.configuration import Configuration
from chroma_nb.filters import EVERYTHING, Filter
from chroma_nb.records import Records, Vectors
from chroma_nb.results import CollectionInfo, DatabaseInfo, GetResult, Include, Layout, Page, Plan, QueryResult, Summary, Table, Written
from chroma_nb.scalars import Metadata, Value

R = TypeVar("R")


@dataclass(frozen=True)
class Op(Generic[R]):
    """An operation whose reply is an `R`."""


@dataclass(frozen=True)
class Local(Op[R]):
    """Work of the caller's own process (embedding texts, fitting a layout): drivers run it, backends never see it."""

    work: Callable[[], R]


@dataclass(frozen=True)
class Heartbeat(Op[int]):
    """Nanoseconds since the epoch by the backend's clock."""


@dataclass(frozen=True)
class Version(Op[str]):
    """Version of the backend."""


@dataclass(frozen=True)
class MaxBatchSize(Op[int]):
    """Rows one write may carry."""


@dataclass(frozen=True)
class Reset(Op[None]):
    """Remove everything; refused unless the backend allows it."""


@dataclass(frozen=True)
class CreateTenant(Op[None]):
    """Make a tenant."""

    name: str


@dataclass(frozen=True)
class GetTenant(Op[str]):
    """Return the name of a tenant that exists."""

    name: str


@dataclass(frozen=True)
class ListTenants(Op[list[str]]):
    """Names of all tenants, in order of creation."""


@dataclass(frozen=True)
class CreateDatabase(Op[None]):
    """Make a database in a tenant."""

    tenant: str
    name: str


@dataclass(frozen=True)
class GetDatabase(Op[DatabaseInfo]):
    """Look a database up."""

    tenant: str
    name: str


@dataclass(frozen=True)
class ListDatabases(Op[list[DatabaseInfo]]):
    """Databases of a tenant, in order of creation."""

    tenant: str
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class DeleteDatabase(Op[None]):
    """Remove a database with all its collections."""

    tenant: str
    name: str


@dataclass(frozen=True)
class CreateCollection(Op[CollectionInfo]):
    """Make a collection; with `get_or_create` return the one that exists, unchanged."""

    tenant: str
    database: str
    name: str
    metadata: Metadata | None = None
    configuration: Configuration = field(default_factory=Configuration)
    get_or_create: bool = False


@dataclass(frozen=True)
class GetCollection(Op[CollectionInfo]):
    """Look a collection up by name."""

    tenant: str
    database: str
    name: str


@dataclass(frozen=True)
class GetCollectionById(Op[CollectionInfo]):
    """Look a collection up by id."""

    collection: str


@dataclass(frozen=True)
class ListCollections(Op[list[CollectionInfo]]):
    """Collections of a database, in order of creation."""

    tenant: str
    database: str
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class CountCollections(Op[int]):
    """Number of collections of a database."""

    tenant: str
    database: str


@dataclass(frozen=True)
class ModifyCollection(Op[CollectionInfo]):
    """Rename, replace the metadata (when `set_metadata`), replace the configuration."""

    collection: str
    name: str | None = None
    metadata: Metadata | None = None
    set_metadata: bool = False
    configuration: Configuration | None = None


@dataclass(frozen=True)
class ForkCollection(Op[CollectionInfo]):
    """Copy a collection under a new name."""

    collection: str
    name: str


@dataclass(frozen=True)
class DeleteCollection(Op[None]):
    """Remove a collection and its records."""

    tenant: str
    database: str
    name: str


@dataclass(frozen=True)
class Add(Op[Written]):
    """Store records whose ids are new; known ids are left alone and reported as ignored. `records.embeddings` is set.

    `progress` is told how many records were written since it was last called.
    """

    collection: str
    records: Records
    progress: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Upsert(Op[Written]):
    """Store new ids, update known ones. `records.embeddings` is set; `progress` as for `Add`."""

    collection: str
    records: Records
    progress: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Update(Op[Written]):
    """Change what is given of known ids; unknown ids are reported as ignored."""

    collection: str
    records: Records


@dataclass(frozen=True)
class Delete(Op[int]):
    """Remove the records that match `ids` and `filter` (at most `limit`, in collection order); the number removed."""

    collection: str
    ids: list[str] | None = None
    filter: Filter = EVERYTHING
    limit: int | None = None


@dataclass(frozen=True)
class Count(Op[int]):
    """Number of records that match."""

    collection: str
    filter: Filter = EVERYTHING


@dataclass(frozen=True)
class Get(Op[GetResult]):
    """Records that match `ids` and `filter`, in collection order."""

    collection: str
    ids: list[str] | None = None
    filter: Filter = EVERYTHING
    limit: int | None = None
    offset: int = 0
    include: Include = frozenset({"documents", "metadatas"})


@dataclass(frozen=True)
class Query(Op[QueryResult]):
    """The `n_results` nearest of the matching records to each of the (q, d) `vectors`."""

    collection: str
    vectors: Vectors
    n_results: int = 10
    ids: list[str] | None = None
    filter: Filter = EVERYTHING
    include: Include = frozenset({"documents", "metadatas", "distances"})


@dataclass(frozen=True)
class Explain(Op[Plan]):
    """How `query` would be answered."""

    query: Query


@dataclass(frozen=True)
class ScanPage(Op[Page]):
    """Up to `limit` matching records after `cursor`."""

    collection: str
    cursor: int | None = None
    limit: int = 1000
    filter: Filter = EVERYTHING
    include: Include = frozenset({"documents", "metadatas"})


@dataclass(frozen=True)
class Sample(Op[GetResult]):
    """`n` matching records drawn without replacement; the same `seed` and data give the same ones."""

    collection: str
    n: int
    seed: int | None = None
    filter: Filter = EVERYTHING
    include: Include = frozenset({"documents", "metadatas"})


@dataclass(frozen=True)
class Describe(Op[Summary]):
    """What the collection holds."""

    collection: str


@dataclass(frozen=True)
class Facets(Op[list[tuple[Value, int]]]):
    """The most frequent values of a metadata key with their counts, most frequent first."""

    collection: str
    key: str
    top: int | None = None
    filter: Filter = EVERYTHING


@dataclass(frozen=True)
class Columns(Op[Table]):
    """Ids of the matching records, in collection order, with the values of some metadata keys."""

    collection: str
    keys: tuple[str, ...] = ()
    filter: Filter = EVERYTHING


@dataclass(frozen=True)
class ChangedSince(Op[list[str] | None]):
    """Ids of the records whose embedding was stored after data version `version`, be they new or not; None when nobody knows any more."""

    collection: str
    version: int


@dataclass(frozen=True)
class GetLayout(Op[Layout | None]):
    """The stored projection called `key`, if it was made from data version `version`; None for `version` takes the last one stored."""

    collection: str
    key: str
    version: int | None = None


@dataclass(frozen=True)
class PutLayout(Op[None]):
    """Store a projection made from data version `version` in place of the one called `key`; how many are kept is bounded."""

    collection: str
    key: str
    version: int
    ids: list[str]
    coordinates: NDArray[np.float32]


@dataclass(frozen=True)
class BuildIndex(Op[None]):
    """Bring the HNSW graph up to date now and save it; `progress` is told how many vectors were added."""

    collection: str
    progress: Callable[[int], Any] | None = None
