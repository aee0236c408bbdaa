"""What Chroma's own server cannot be asked for, made of what it can: pages of records, looked through here.

Memory stays bounded by a page and the answer (for filters it cannot express, by the ids that match). What remains different
from our own server and from a store in this process, and why:

=====================  =============================================================================================
what                   because
=====================  =============================================================================================
instants               it knows none: they are stored as ISO 8601 text, come back as text, and have no order
key order, ``-0.0``    it keeps metadata without order (keys come sorted), and zero without sign
integers past 2**53    filters compare them as floats
keys ``""  $x  #x``    it refuses them
lists in collection    it stops answering over them, so they are refused here
metadata
list_collections       it lists in no order, and does not tell when a collection was made
list_tenants           it has no such route
distances              it computes in float32, through its graph: ties come in any order, neighbours may be missed
explain, index state   it does not tell how it searches
delete, fork           they are several requests, so that writes in between can be seen in part
scan                   it pages by position: records deleted meanwhile shift what comes after
configuration          it does not tell ``num_threads`` and ``batch_size``, nor the name of an unnamed embedding function
layouts                they stay with the client that made them, and miss changes by others that keep the count; which
                       embeddings changed since is not known
``$regex``             patterns are those of Rust's regex, not Python's
=====================  =============================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from chroma_nb import ops
from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError, NotOfferedError, ServerReplyError
from chroma_nb.filters import EVERYTHING, Filter, Kind, comparable, kind_of, matches
from chroma_nb.http import decoding
from chroma_nb.http.batches import upserted
from chroma_nb.http.session import Ask, Session, Steps, understood
from chroma_nb.records import Records
from chroma_nb.results import (
    Cells,
    CollectionInfo,
    FieldSummary,
    GetResult,
    Include,
    IndexState,
    Page,
    Plan,
    QueryResult,
    Summary,
    Table,
    plain_metadata,
)
from chroma_nb.scalars import Instant, Metadata, Value

_PAGE = 1000
_IDS_PAGE = 10_000
_REMOVED = 1000
_SAMPLES = 5
_NOTHING: Include = frozenset()
_JUDGED: Include = frozenset({"metadatas", "documents"})
_ALL: Include = frozenset({"documents", "embeddings", "metadatas", "uris"})


def not_offered(what: str) -> NotOfferedError:
    """Return the error for what Chroma's server has no route for."""
    return NotOfferedError(f"Chroma's server cannot {what}; a server of chroma_nb can")


def plain_collection_metadata(metadata: Metadata | None) -> dict[str, Any] | None:
    """Return a collection's metadata as Chroma's server can keep it.

    Raises
    ------
    InvalidArgumentError
        It has a list, over which that server drops the connection.
    """
    for key, value in (metadata or {}).items():
        if isinstance(value, tuple):
            raise InvalidArgumentError(f"metadata[{key!r}]: Chroma's server keeps no lists in the metadata of a collection; store a text")
    return plain_metadata(metadata)


def versioned(session: Session, info: CollectionInfo, count: int) -> CollectionInfo:
    """Give a collection its count, and the version that Chroma's server does not keep: of the writes made here, and the count."""
    version = (session.writes[info.id] << 32) + count
    return session.seen(replace(info, count=count, version=version, vectors_version=version))


@dataclass
class _Reader:
    """Pages through the records that match; `position` counts what the server found, which may be more.

    Parameters
    ----------
    exact
        Whether the server finds just what `where` means; else each record is judged here.
    """

    session: Session
    collection: str
    where: Filter
    include: Include
    exact: bool
    ids: list[str] | None = None
    position: int = 0
    done: bool = False
    count: int = 0
    pages: set[int] = field(default_factory=set)

    @classmethod
    def of(
        cls, session: Session, collection: str, where: Filter, include: Include, ids: list[str] | None = None, position: int = 0
    ) -> Steps[_Reader]:
        server = yield from session.server()
        return cls(session, collection, where, include, understood(where, server), ids, position)

    def page(self, limit: int) -> Steps[GetResult]:
        """Return those that match among the next `limit` records that the server finds."""
        fetched = self.include if self.exact else self.include | _JUDGED
        body = {"ids": self.ids, "limit": limit, "offset": self.position, "include": sorted(fetched)}
        found = (yield self.session.ask("records.get", self.collection, body, self.where)).read(
            decoding.get_result, fetched, limit, self.ids
        )
        self.position += len(found)
        self.done = len(found) < limit or not (yield from self._goes_on(found.ids))
        return found if self.exact else _judged(found, self.where, self.include)

    def _goes_on(self, ids: list[str]) -> Steps[bool]:
        """Tell whether a server that gave a full page can have more; one that gives pages for ever must not be asked for ever."""
        page = hash(tuple(ids))
        if page in self.pages:
            raise ServerReplyError(f"the server gives the same page of records again and again, the one that starts with {ids[0][:60]!r}")
        self.pages.add(page)
        if self.position >= self.count:
            self.count = yield from self.session.count(self.collection)
        return self.position < self.count


def _judged(found: GetResult, where: Filter, include: Include) -> GetResult:
    assert found.metadatas is not None  # noqa: S101 - fetched
    assert found.documents is not None  # noqa: S101 - fetched
    pairs = zip(found.metadatas, found.documents, strict=True)
    return _chosen(found, [i for i, (metadata, document) in enumerate(pairs) if matches(where, metadata, document)], include)


def _chosen(found: GetResult, places: Sequence[int], include: Include) -> GetResult:
    def column(name: str) -> Any:
        values = getattr(found, name)
        return [values[i] for i in places] if name in include else None

    return GetResult(
        [found.ids[i] for i in places],
        found.embeddings[list(places)] if "embeddings" in include and found.embeddings is not None else None,
        column("documents"),
        column("metadatas"),
        column("uris"),
    )


def named(session: Session, collection: str, ids: list[str] | None, where: Filter) -> Steps[list[str]]:
    """Return the ids of the records that match, in collection order."""
    reader = yield from _Reader.of(session, collection, where, _NOTHING, ids)
    found: list[str] = []
    while not reader.done:
        found += (yield from reader.page(_IDS_PAGE if reader.exact else _PAGE)).ids
    return found


def counted(session: Session, op: ops.Count) -> Steps[int]:
    """Count the records that match."""
    reader = yield from _Reader.of(session, op.collection, op.filter, _NOTHING)
    count = 0
    while not reader.done:
        count += len((yield from reader.page(_IDS_PAGE if reader.exact else _PAGE)))
    return count


def got(session: Session, op: ops.Get) -> Steps[GetResult]:
    """Get the records that match a filter that the server does not understand as it is meant."""
    reader = yield from _Reader.of(session, op.collection, op.filter, op.include, op.ids)
    parts: list[GetResult] = []
    skipping, left = op.offset, op.limit
    while not reader.done and left != 0:
        page = yield from reader.page(_PAGE)
        part = page.slice(skipping, len(page) if left is None else skipping + left)
        skipping = max(skipping - len(page), 0)
        left = None if left is None else left - len(part)
        parts.append(part)
    return decoding.joined(parts, op.include)


def scanned(session: Session, op: ops.ScanPage) -> Steps[Page]:
    """Return a page; its cursor is the position after it among what the server finds."""
    reader = yield from _Reader.of(session, op.collection, op.filter, op.include, position=op.cursor or 0)
    parts: list[GetResult] = []
    left = op.limit
    while left and not reader.done:
        parts.append((yield from reader.page(min(left, _PAGE))))
        left -= len(parts[-1])
    return Page(decoding.joined(parts, op.include), None if reader.done else reader.position)


def columned(session: Session, op: ops.Columns) -> Steps[Table]:
    """Read metadata keys of the records that match, with whatever else their metadata holds."""
    reader = yield from _Reader.of(session, op.collection, op.filter, frozenset({"metadatas"}) if op.keys else _NOTHING)
    ids: list[str] = []
    values: dict[str, list[Value | None]] = {key: [] for key in op.keys}
    while not reader.done:
        page = yield from reader.page(_IDS_PAGE if reader.exact and not op.keys else _PAGE)
        ids += page.ids
        for key, column in values.items():
            column += [(metadata or {}).get(key) for metadata in page.metadatas or ()]
    return Table(ids, {key: Cells.of(column) for key, column in values.items()})


def sampled(session: Session, op: ops.Sample) -> Steps[GetResult]:
    """Draw records as the engine does: the same seed draws the same ones."""
    ids = yield from named(session, op.collection, None, op.filter)
    drawn = np.sort(np.random.default_rng(op.seed).choice(len(ids), size=min(op.n, len(ids)), replace=False)).tolist()
    wanted = [ids[place] for place in drawn]
    if not wanted:
        return decoding.joined([], op.include)
    answer = yield session.ask("records.get", op.collection, {"ids": wanted, "include": sorted(op.include)})
    return answer.read(decoding.get_result, op.include, len(wanted), wanted)


def deleted(session: Session, op: ops.Delete) -> Steps[int]:
    """Delete by id what matches, in several requests if it is much."""
    ids = (yield from named(session, op.collection, op.ids, op.filter))[: op.limit]
    for start in range(0, len(ids), _REMOVED):
        yield session.ask("records.delete", op.collection, {"ids": ids[start : start + _REMOVED]})
    session.writes[op.collection] += 1
    return len(ids)


def copied(session: Session, source: str, target: str) -> Steps[None]:
    """Copy all records of one collection into another."""
    reader = yield from _Reader.of(session, source, EVERYTHING, _ALL)
    while not reader.done:
        page = yield from reader.page(_PAGE)
        if len(page):
            records = Records(page.ids, page.embeddings, page.documents, page.metadatas, page.uris)
            yield from upserted(session, ops.Upsert(target, records))


def check_dimension(session: Session, query: ops.Query) -> Steps[int]:
    """Return the number of records, after refusing query vectors of another length than theirs."""
    found = (yield Ask("collection.by_id", session.parts(query.collection))).read(decoding.collection_info)
    dimension = query.vectors.shape[1]
    if found.dimension is not None and dimension != found.dimension:
        raise InvalidDimensionError(f"Collection expecting embedding with dimension of {found.dimension}, got {dimension}")
    return (yield from session.count(query.collection))


def nothing_found(query: ops.Query) -> QueryResult:
    """Return the answer to queries without candidates."""
    distances = np.empty(0) if "distances" in query.include else None
    return QueryResult(decoding.joined([], query.include), [0] * len(query.vectors), distances)


def queries_joined(parts: list[QueryResult], include: Include) -> QueryResult:
    """Return the answers to parts of a query as one."""
    distances = [part.distances for part in parts if part.distances is not None]
    return QueryResult(
        decoding.joined([part.hits for part in parts], include),
        [length for part in parts for length in part.lengths],
        np.concatenate(distances) if distances else None,
    )


def explained(session: Session, query: ops.Query) -> Steps[Plan]:
    """Return all that can be known of how a server other than ours searches: among how many."""
    count = yield from check_dimension(session, query)
    candidates = count
    if query.ids is not None or query.filter is not EVERYTHING:
        candidates = len((yield from named(session, query.collection, query.ids, query.filter)))
    steps = (f"{candidates:,} of {count:,} records match the filters", "the server decides how to search; Chroma's API does not tell")
    return Plan("hnsw" if candidates else "empty", count, candidates, query.n_results, 0, 0, 0, steps if candidates else steps[:1])


_RANK: Final[dict[Kind, int]] = {"bool": 0, "number": 1, "str": 2, "naive datetime": 3, "zoned datetime": 4, "list": 5}


def _order(value: Value) -> tuple[Any, ...]:
    """Return the sort key of values of any kind; equal for values that a filter holds equal."""
    if isinstance(value, tuple):
        return _RANK["list"], _RANK[kind_of(value[0])], type(value[0]).__name__, value
    return _RANK[kind_of(value)], comparable(value)


def facets(session: Session, op: ops.Facets) -> Steps[list[tuple[Value, int]]]:
    """Count the values of a key."""
    reader = yield from _Reader.of(session, op.collection, op.filter, frozenset({"metadatas"}))
    counts: Counter[tuple[Any, ...]] = Counter()
    first: dict[tuple[Any, ...], Value] = {}
    while not reader.done:
        page = yield from reader.page(_PAGE)
        for metadata in page.metadatas or ():
            if metadata is not None and op.key in metadata:
                order = _order(metadata[op.key])
                counts[order] += 1
                first.setdefault(order, metadata[op.key])
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(first[order], count) for order, count in ranked][: op.top]


_TYPES: Final = ("str", "int", "float", "bool", "datetime", "list")


@dataclass
class _Field:
    """What was seen of one metadata key."""

    types: Counter[str] = field(default_factory=Counter)
    named: set[tuple[Any, ...]] = field(default_factory=set)
    numbers: list[int | float] = field(default_factory=list)
    samples: dict[tuple[Any, ...], Value] = field(default_factory=dict)

    def see(self, value: Value) -> None:
        kind = "datetime" if isinstance(value, Instant) else "list" if isinstance(value, tuple) else type(value).__name__
        self.types[kind] += 1
        if kind in ("str", "bool", "list"):
            self.named.add(_order(value))
        elif isinstance(value, (int, float)):
            both = [*self.numbers, value]
            self.numbers = [min(both), max(both)]
        if len(self.samples) < _SAMPLES:
            self.samples.setdefault(_order(value), value)

    def summary(self, key: str) -> FieldSummary:
        low, high = self.numbers or (None, None)
        types = {name: self.types[name] for name in _TYPES if self.types[name]}
        return FieldSummary(key, types, self.types.total(), len(self.named) or None, low, high, tuple(self.samples.values()))


def described(session: Session, info: CollectionInfo) -> Steps[Summary]:
    """Look through all records of a collection."""
    reader = yield from _Reader.of(session, info.id, EVERYTHING, _JUDGED)
    seen: dict[str, _Field] = {}
    documents = 0
    while not reader.done:
        page = yield from reader.page(_PAGE)
        documents += sum(document is not None for document in page.documents or ())
        for metadata in page.metadatas or ():
            for key, value in (metadata or {}).items():
                seen.setdefault(key, _Field()).see(value)
    fields = tuple(each.summary(key) for key, each in seen.items())
    return Summary(info, fields, documents, IndexState(indexed=info.count, pending=0, building=False))
