"""The bodies that all facades share: what a verb does, before anyone decides what its result looks like.

`CollectionSteps` and `ClientSteps` are generators of operations (see `chroma_nb.client.verb`); `chroma_nb.client.collection`
returns data frames from them, `chroma_nb.chromadb` Chroma's dicts.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np

from chroma_nb import dialect, embedding, frames, ops
from chroma_nb.client import arguments
from chroma_nb.client.verb import Callback, Steps, ask
from chroma_nb.configuration import changed_configuration, parse_configuration, plain_description
from chroma_nb.dialect import Dialect
from chroma_nb.errors import (
    AuthorizationError,
    BulkUpsertError,
    ClosedError,
    EmbeddingFunctionConflictError,
    InvalidArgumentError,
    InvalidTypeError,
    NotFoundError,
)
from chroma_nb.names import collection_name, scope_name
from chroma_nb.progress import Bar
from chroma_nb.records import Records, Vectors, collection_metadata, parse_texts, parse_vectors
from chroma_nb.results import CollectionInfo, GetResult, QueryResult, Written
from chroma_nb.scalars import check_text, plain_text
from chroma_nb.uncopied import Uncopied

_log = logging.getLogger("chroma_nb")
_BAR_FROM = 200
"""Texts from which embedding shows its progress."""
_WRITING_BAR_FROM = 10_000
"""Records from which writing does: fewer take less than a blink."""
_NOTHING_TO_PLACE = "embeddings or documents: give one of them; a record without either has no place in the space"


class _Unset:
    """Stands for "not given" where None has a meaning of its own."""

    def __repr__(self) -> str:
        return "<the default>"


UNSET: Any = _Unset()


class CollectionSteps(Uncopied):
    """What the collections of all facades do.

    Parameters
    ----------
    client
        The client it came from: backend, tenant, database.
    info
        The collection as last seen.
    function
        Its embedding function, None for none.
    """

    dialect: ClassVar[Dialect] = dialect.GUIDE
    _execute: Any
    _instead = "pass its name on, and get it again from a client made there: client.get_collection(name)"

    def __init__(self, client: ClientSteps, info: CollectionInfo, function: Any) -> None:
        self._client = client
        self._execute = client._execute
        self._info = info
        self._function = function

    def _attributes(self) -> dict[str, Any]:
        return {"collection": self._info.name, "space": self._info.configuration.space}

    def _parsed(self, ids: Any, fields: dict[str, Any], *, removals: bool = False) -> Records:
        return arguments.parse_records(ids, fields, removals=removals)

    def _embedded(self, records: Records, *, required: bool, show: bool | None = None, bar: Bar | None = None) -> Steps[Records]:
        """Give records the embeddings of their documents where they came without."""
        if records.embeddings is not None or (records.documents is None and not required):
            return records
        if required:
            self._check_embeddable(records)
        assert records.documents is not None  # noqa: S101 - there is something to embed
        missing = [i for i, document in enumerate(records.documents) if document is None]
        texts = [document for document in records.documents if document is not None]
        if not texts:
            return records
        vectors = yield from self._vectors(texts, query=False, show=show, bar=bar)
        given = np.array([document is not None for document in records.documents]) if missing else None
        return replace(records, embeddings=vectors, embedded=given)

    def _check_embeddable(self, records: Records) -> None:
        """Refuse records that are to be embedded and cannot be, before any work."""
        if records.documents is None:
            raise InvalidArgumentError(_NOTHING_TO_PLACE)
        if None in records.documents:
            missing = records.documents.index(None)
            raise InvalidArgumentError(
                f"documents[{missing}]: is None, so there is nothing to embed; give embeddings, or a text for every record"
            )
        self._check_has_function()

    def _check_has_function(self) -> None:
        if self._function is None:
            raise InvalidArgumentError(
                f"collection {self._info.name!r} has no embedding function here, so texts cannot be embedded;"
                f" {embedding.required(self._info.configuration.embedding_function)}"
            )

    def _vectors(self, texts: list[str], *, query: bool, show: bool | None = None, bar: Bar | None = None) -> Steps[Vectors]:
        """Embed texts, moving `bar` on, or a bar of their own when there are many."""
        self._check_has_function()
        shown = bar or Bar(len(texts), "embedding", "texts", show=show if len(texts) >= _BAR_FROM or show else False)

        def work() -> Vectors:
            return embedding.embed(self._function, texts, query=query, progress=shown.advance)

        try:
            return (yield from ask(ops.Local(work)))
        finally:
            if bar is None:
                shown.close()

    def _add(self, records: Records, *, show: bool | None) -> Steps[Written]:
        if not len(records):
            return Written(0, 0)
        records = yield from self._embedded(records, required=True, show=show)
        with self._writing_bar(records, show=show) as bar:
            written = yield from ask(ops.Add(self._info.id, records, bar.advance))
        if written.ignored:
            _log.warning("add: %s", _left_alone(written.ignored, "exist already and were left as they are; upsert changes them"))
        return written

    def _upsert(self, records: Records, *, show: bool | None) -> Steps[Written]:
        if not len(records):
            return Written(0, 0)
        records = yield from self._embedded(records, required=True, show=show)
        with self._writing_bar(records, show=show) as bar:
            return (yield from ask(ops.Upsert(self._info.id, records, bar.advance)))

    @staticmethod
    def _writing_bar(records: Records, *, show: bool | None) -> Bar:
        return Bar(len(records), "writing", "records", show=show if len(records) >= _WRITING_BAR_FROM or show else False)

    def _update(self, records: Records, *, show: bool | None) -> Steps[Written]:
        if not len(records):
            return Written(0, 0)
        records = yield from self._embedded(records, required=False, show=show)
        written = yield from ask(ops.Update(self._info.id, records))
        if written.ignored:
            _log.error("update: %s", _left_alone(written.ignored, "do not exist and were ignored; upsert adds them"))
        return written

    def _bulk_upsert(
        self,
        records: Records,
        *,
        max_batch_size: object,
        on_batch_processed: Callable[[list[str]], Any] | None,
        show: bool | None,
        resume_from: object,
    ) -> Steps[None]:
        size = min(arguments.whole_number(max_batch_size, "max_batch_size", 1), (yield from ask(ops.MaxBatchSize())))
        start = arguments.whole_number(resume_from, "resume_from", 0)
        if on_batch_processed is not None and not callable(on_batch_processed):
            raise InvalidTypeError(f"on_batch_processed: expected a callable, got {type(on_batch_processed).__name__}")
        if len(records) and records.embeddings is None:
            self._check_embeddable(records)
        total, done = len(records), start
        embed_bar = Bar(total - start, "embedding", "texts", show=show) if records.embeddings is None else None
        write_bar = Bar(total - start, "writing", "records", show=show)
        try:
            while done < total:
                part = records.slice(done, min(done + size, total))
                ready = yield from self._embedded(part, required=True, bar=embed_bar)
                yield from ask(ops.Upsert(self._info.id, ready))
                done += len(part)
                write_bar.advance(len(part))
                if on_batch_processed is not None:
                    yield from ask(Callback(functools.partial(on_batch_processed, part.ids)))
        except Exception as error:
            raise BulkUpsertError.after(done, records.ids, error) from error
        finally:
            write_bar.close()
            if embed_bar is not None:
                embed_bar.close()

    def _delete(self, ids: object, where: object, where_document: object, limit: object) -> Steps[int]:
        if ids is None and where is None and where_document is None:
            raise InvalidArgumentError("delete: give ids, where or where_document; to remove everything delete the collection")
        most = arguments.optional_number(limit, "limit")
        if most is not None and where is None and where_document is None:
            raise InvalidArgumentError("limit: goes with where or where_document; ids say by themselves how many")
        chosen = arguments.chosen_ids(ids, self.dialect)
        return (yield from ask(ops.Delete(self._info.id, chosen, arguments.parse_filter(where, where_document, self.dialect), most)))

    def _get(self, ids: object, where: object, limit: object, offset: object, where_document: object, include: object) -> Steps[GetResult]:
        op = ops.Get(
            self._info.id,
            arguments.chosen_ids(ids, self.dialect),
            arguments.parse_filter(where, where_document, self.dialect),
            arguments.optional_number(limit, "limit"),
            arguments.optional_number(offset, "offset") or 0,
            arguments.parse_include(include, distances=False),
        )
        return (yield from ask(op))

    def _query_op(
        self,
        query_embeddings: object,
        query_texts: object,
        ids: object,
        n_results: object,
        where: object,
        where_document: object,
        include: object,
    ) -> Steps[ops.Query]:
        count = arguments.whole_number(n_results, "n_results", 1)
        chosen = arguments.chosen_ids(ids, self.dialect)
        where_both = arguments.parse_filter(where, where_document, self.dialect)
        included = arguments.parse_include(include, distances=True)
        if query_embeddings is not None:
            vectors = parse_vectors(frames.plain(query_embeddings, "embeddings"), "query_embeddings")
        elif query_texts is not None:
            vectors = yield from self._vectors(_texts(query_texts), query=True)
        else:
            raise InvalidArgumentError("query: give query_embeddings or query_texts")
        return ops.Query(self._info.id, vectors, count, chosen, where_both, included)

    def _similar(self, like: object, query: Callable[[Vectors], ops.Query]) -> Steps[QueryResult]:
        """Query by stored records; a record is not among its own results."""
        names = arguments.chosen_ids(like, self.dialect, "like") or []
        stored = yield from ask(ops.Get(self._info.id, names, include=frozenset({"embeddings"})))
        unknown = sorted(set(names) - set(stored.ids))
        if unknown:
            raise InvalidArgumentError(f"like: {_left_alone(unknown, 'are not in the collection')}")
        assert stored.embeddings is not None  # noqa: S101 - asked for
        place = {identifier: i for i, identifier in enumerate(stored.ids)}
        op = query(stored.embeddings[[place[name] for name in names]])
        found = yield from ask(replace(op, n_results=op.n_results + 1))
        return _without_selves(found, names, op.n_results)

    def _modify(self, name: object, metadata: object, configuration: Any) -> Steps[None]:
        parsed = None if metadata is None else collection_metadata(metadata)
        if parsed is not None and "hnsw:space" in parsed and parsed["hnsw:space"] != self._info.configuration.space:
            raise InvalidArgumentError(
                "metadata['hnsw:space']: the space is fixed when the collection is made; make a new one and copy the records into it"
            )
        changed = None
        if configuration is not None:
            info = yield from ask(ops.GetCollectionById(self._info.id))
            changed = changed_configuration(info.configuration, configuration)
        new_name = None if name is None else collection_name(name, self.dialect.names)
        self._info = yield from ask(ops.ModifyCollection(self._info.id, new_name, parsed, parsed is not None, changed))

    def _refreshed(self) -> Steps[CollectionInfo]:
        self._info = yield from ask(ops.GetCollectionById(self._info.id))
        return self._info


def _texts(texts: Any) -> list[str]:
    found = parse_texts(frames.plain(texts, "query_texts"), "query_texts")
    if not found:
        raise InvalidTypeError("query_texts: expected a str or a non-empty list of str, got an empty list")
    if None in found:
        raise InvalidTypeError(f"query_texts[{found.index(None)}]: expected a str, got None")
    return cast("list[str]", found)


def _left_alone(ids: Sequence[str], what: str) -> str:
    shown = ", ".join(repr(identifier[:60]) for identifier in ids[:5]) + (", ..." if len(ids) > 5 else "")
    return f"{len(ids)} of the ids {what} ({shown})"


def _without_selves(found: QueryResult, names: list[str], n_results: int) -> QueryResult:
    kept: list[int] = []
    lengths: list[int] = []
    start = 0
    for name, length in zip(names, found.lengths, strict=True):
        own = [i for i in range(start, start + length) if found.hits.ids[i] != name][:n_results]
        kept += own
        lengths.append(len(own))
        start += length
    hits = found.hits
    places = np.array(kept, dtype=np.int64)

    def chosen(column: list[Any] | None) -> Any:
        return None if column is None else [column[i] for i in kept]

    records = GetResult(
        chosen(hits.ids),
        None if hits.embeddings is None else hits.embeddings[places],
        chosen(hits.documents),
        chosen(hits.metadatas),
        chosen(hits.uris),
    )
    return QueryResult(records, lengths, None if found.distances is None else found.distances[places])


class Access(Uncopied):
    """A client's way to its backend, which ends with the client, also while others use the same backend. Its collections share it."""

    def __init__(self, backend: Callable[[ops.Op[Any]], Any], place: str) -> None:
        self.backend = backend
        self.closed = False
        self._place = place

    def execute(self, op: ops.Op[Any]) -> Any:
        """Carry an operation out.

        Raises
        ------
        ClosedError
            The client has been closed.
        """
        if self.closed:
            raise ClosedError(f"the client of {self._place} is closed; make a new one")
        return self.backend(op)


class ClientSteps(Uncopied):
    """What the clients of all facades do: tenants, databases, collections.

    Parameters
    ----------
    execute
        The backend.
    release
        Gives the backend up; called once.
    place
        Where the data is, for reprs.
    """

    dialect: ClassVar[Dialect] = dialect.GUIDE
    _execute: Any
    _collection_type: ClassVar[type[CollectionSteps]]
    _instead = "make a client where it is needed: PersistentClient(folder), or HttpClient(url, headers=...)"

    def __init__(
        self,
        execute: Callable[[ops.Op[Any]], Any],
        *,
        tenant: str,
        database: str,
        place: str,
        allow_reset: bool = False,
        release: Callable[[], Any] | None = None,
    ) -> None:
        self._access = Access(execute, place)
        self._execute = self._access.execute
        self.tenant = scope_name(tenant, "tenant")
        self.database = scope_name(database, "database")
        self._place = place
        self._allow_reset = allow_reset
        self._release = release

    def _made(self, info: CollectionInfo, function: Any) -> Any:
        return self._collection_type(self, info, function)

    def _create(self, name: object, metadata: object, configuration: Any, function: Any, *, get_or_create: bool) -> Steps[Any]:
        parsed_metadata = None if metadata is None else collection_metadata(metadata)
        parsed = parse_configuration(parsed_metadata, configuration)
        made_with = embedding.DefaultEmbeddingFunction() if function is UNSET else function
        _check_function(made_with)
        if made_with is not None and (function is not UNSET or parsed.embedding_function is None):
            description = plain_description(embedding.identity(made_with), "embedding_function")
            parsed = replace(parsed, embedding_function=description)
        op = ops.CreateCollection(
            self.tenant,
            self.database,
            self._checked_name(name, new=not get_or_create),
            parsed_metadata,
            parsed,
            get_or_create=get_or_create,
        )
        if get_or_create:
            found = yield from self._found(op.name)
            if found is not None:
                return self._made(found, self._function_of(found, function))
            collection_name(name, self.dialect.names)
        info = yield from ask(op)
        return self._made(info, self._function_of(info, function))

    def _found(self, name: str) -> Steps[CollectionInfo | None]:
        try:
            return (yield from ask(ops.GetCollection(self.tenant, self.database, name)))
        except NotFoundError:
            return None

    def _checked_name(self, name: object, *, new: bool) -> str:
        if new:
            return collection_name(name, self.dialect.names)
        plain = plain_text(name, "collection name")
        check_text(plain, "collection name")
        return plain

    @staticmethod
    def _function_of(info: CollectionInfo, function: Any) -> Any:
        """Return the embedding function to use with a collection: the given one, else what it remembers, if that can be rebuilt."""
        stored = info.configuration.embedding_function
        if function is UNSET:
            return embedding.restore(stored)
        _check_function(function)
        conflict = embedding.conflict(stored, function) if function is not None else None
        if conflict is not None:
            raise EmbeddingFunctionConflictError(f"collection {info.name!r}: {conflict}")
        return function

    def _get_collection(self, name: object, function: Any) -> Steps[Any]:
        info = yield from ask(ops.GetCollection(self.tenant, self.database, self._checked_name(name, new=False)))
        return self._made(info, self._function_of(info, function))

    def _list_collections(self, limit: object, offset: object) -> Steps[list[Any]]:
        op = ops.ListCollections(
            self.tenant, self.database, arguments.optional_number(limit, "limit"), arguments.optional_number(offset, "offset") or 0
        )
        infos = yield from ask(op)
        return [self._made(info, self._function_of(info, UNSET)) for info in infos]

    def _reset(self) -> Steps[bool]:
        if not self._allow_reset:
            raise AuthorizationError(
                "Resetting is not allowed by this configuration: it deletes everything. Make the client with allow_reset=True to permit it"
            )
        yield from ask(ops.Reset())
        return True

    def _set_scope(self, tenant: str, database: str) -> Steps[None]:
        tenant, database = scope_name(tenant, "tenant"), scope_name(database, "database")
        yield from ask(ops.GetTenant(tenant))
        yield from ask(ops.GetDatabase(tenant, database))
        self.tenant, self.database = tenant, database

    def _info_now(self, collection: str) -> CollectionInfo:
        """Return a collection's present state (for reprs of synchronous objects)."""
        info: CollectionInfo = self._execute(ops.GetCollectionById(collection))
        return info

    def _close(self) -> Any:
        """Give the backend up; what doing so returns is to be awaited by asynchronous clients."""
        self._access.closed = True
        release, self._release = self._release, None
        return None if release is None else release()


def _check_function(function: Any) -> None:
    if function is not None and not callable(function):
        raise InvalidTypeError(f"embedding_function: expected a callable texts -> (n, d), or None; got {type(function).__name__}")
