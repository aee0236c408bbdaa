"""Collections that answer in pandas data frames.

Each verb is a signature, its documentation and a few lines: the bodies are in `chroma_nb.client.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chroma_nb import frames, html, ops
from chroma_nb.client import arguments
from chroma_nb.client.discovery import DiscoveryVerbs
from chroma_nb.client.exploring import ExploringVerbs
from chroma_nb.client.maps import MapVerbs
from chroma_nb.client.shared import CollectionIdentity
from chroma_nb.client.verb import Async, Steps, Sync, ask, verb
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.names import collection_name
from chroma_nb.progress import Bar
from chroma_nb.results import CollectionInfo
from chroma_nb.spaces import FORMULAS, Space

if TYPE_CHECKING:
    import pandas as pd

_READ = ("documents", "metadatas")
_ASKED = ("documents", "metadatas", "distances")
_LAYOUT_PAGE = 5000
_LAYOUT_BAR_FROM = 1000


class CollectionVerbs(CollectionIdentity, DiscoveryVerbs, MapVerbs):
    """The verbs of a collection; made by a client, never by hand."""

    @property
    def space(self) -> Space:
        """The space distances are measured in: ``"l2"`` (squared), ``"ip"`` or ``"cosine"``."""
        return self._info.configuration.space

    @property
    def configuration(self) -> dict[str, Any]:
        """Space, HNSW parameters and the description of the embedding function."""
        return self._info.configuration.to_json()

    @verb
    def add(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        uris: Any = None,
        *,
        show_progress: bool | None = None,
    ) -> Steps[None]:
        """Store new records, all of them or, on any error, none. Ids that exist already are left as they are (and logged).

        Parameters
        ----------
        ids : str, sequence of str, or a data frame
            A pandas (or polars, Arrow) frame brings everything: its index, or column ``id``, are the ids; ``document``,
            ``embedding`` and ``uri`` are columns of ours, all others are metadata. A Series of documents is fine too.
        embeddings : array-like (n, d), optional
            Stored as float32. Without them the documents are embedded by the collection's embedding function.
        metadatas : sequence of dict, or data frame, optional
            Values are str, int, float, bool, datetimes, or lists of one of the first four. An absent value (None, NaN,
            NaT) means that the record does not have the key.
        documents : sequence of str, optional
        uris : sequence of str, optional
            Where the original is; stored, never opened.
        show_progress : bool, optional
            Show a bar while embedding; by default in notebooks and terminals, for 200 texts and more.

        Raises
        ------
        InvalidArgumentError
            Anything in the arguments is wrong; the message says where. Nothing was stored.
        InvalidDimensionError
            The embeddings are of another length than the collection's.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-add", embedding_function=None)
        >>> collection.add(["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"year": 1999}, {"year": 2024}])
        >>> collection.get(where={"year": {"$gt": 2000}}).index.tolist()
        ['b']
        >>> client.delete_collection("doc-add")
        """
        yield from self._add(self._parsed(ids, _fields(embeddings, metadatas, documents, uris)), show=show_progress)

    @verb
    def upsert(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        uris: Any = None,
        *,
        show_progress: bool | None = None,
    ) -> Steps[None]:
        """Store records: new ids as by `add`, known ids as by `update`. One transaction.

        Parameters are those of `add`.
        """
        yield from self._upsert(self._parsed(ids, _fields(embeddings, metadatas, documents, uris), removals=True), show=show_progress)

    @verb
    def update(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        uris: Any = None,
        *,
        show_progress: bool | None = None,
    ) -> Steps[None]:
        """Change what is given of records that exist; unknown ids are ignored and logged. One transaction.

        Metadata is merged key by key; in a dict, a key with the value None is removed. A document without an embedding is
        embedded anew. An absent metadata cell of a data frame removes the key: afterwards `get` returns what the frame says.
        Parameters are those of `add`.
        """
        yield from self._update(self._parsed(ids, _fields(embeddings, metadatas, documents, uris), removals=True), show=show_progress)

    @verb
    def bulk_upsert(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        uris: Any = None,
        *,
        max_batch_size: int = 1024,
        on_batch_processed: Callable[[list[str]], Any] | None = None,
        print_progress: bool | None = None,
        resume_from: int = 0,
    ) -> Steps[None]:
        """Upsert a large amount of data in batches, with a progress bar. Each batch is whole, the call is not.

        Parameters
        ----------
        ids, embeddings, metadatas, documents, uris
            As for `add`; all of it is checked before the first batch is written.
        max_batch_size : int
            Records per transaction.
        on_batch_processed : callable, optional
            Called with the ids of each batch once it is stored; with an async client it may be a coroutine function.
        print_progress : bool, optional
            Show bars, for embedding and for writing; by default in notebooks and terminals.
        resume_from : int
            Skip so many records: what a `BulkUpsertError` of an earlier call told as ``committed``.

        Raises
        ------
        BulkUpsertError
            A batch failed; ``committed`` is how many records are stored, ``__cause__`` why it stopped.
        """
        records = self._parsed(ids, _fields(embeddings, metadatas, documents, uris), removals=True)
        yield from self._bulk_upsert(
            records, max_batch_size=max_batch_size, on_batch_processed=on_batch_processed, show=print_progress, resume_from=resume_from
        )

    @verb
    def delete(
        self,
        ids: Any = None,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> Steps[int]:
        """Remove the records that match all of `ids`, `where` and `where_document`; the number removed.

        Parameters
        ----------
        limit : int, optional
            Remove no more than so many of the matching records, the oldest first.

        Raises
        ------
        InvalidArgumentError
            None of the three is given.
        """
        return (yield from self._delete(ids, where, where_document, limit))

    @verb
    def get(
        self,
        ids: Any = None,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: Mapping[str, Any] | None = None,
        include: Sequence[str] = _READ,
    ) -> Steps[pd.DataFrame]:
        """Return records: all, or those that match, in the order they were added.

        Parameters
        ----------
        ids : str or sequence of str, optional
            Unknown ids are left out.
        where : dict, optional
            Filter on metadata, ``{"year": {"$gte": 2000}}``. Operators: ``$eq $ne $gt $gte $lt $lte $in $nin``,
            ``$contains $not_contains`` on lists, ``$and $or``. A record without the key matches none of them.
        where_document : dict, optional
            Filter on documents: ``$contains $not_contains`` (literal, case-sensitive), ``$regex $not_regex``, ``$and $or``.
        include : sequence of str
            Any of ``"documents"``, ``"metadatas"``, ``"embeddings"``, ``"uris"``.

        Returns
        -------
        DataFrame
            Index ``id``; columns ``document``, ``embedding`` ((d,) float32 each) and ``uri`` as asked for, then one typed
            column per metadata key. What `get` returned can be given to `add`, `upsert` and `update` as it is.
        """
        found = yield from self._get(ids, where, limit, offset, where_document, include)
        return frames.frame_of(found, attrs=self._attributes())

    @verb
    def peek(self, limit: int = 10, include: Sequence[str] = _READ) -> Steps[pd.DataFrame]:
        """Return the first records, as `get` does."""
        found = yield from self._get(None, None, limit, None, None, include)
        return frames.frame_of(found, attrs=self._attributes())

    @verb
    def query(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        n_results: int = 10,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        include: Sequence[str] = _ASKED,
        *,
        like: Any = None,
        ids: Any = None,
    ) -> Steps[pd.DataFrame]:
        """Return the records nearest to each query, nearest first.

        Parameters
        ----------
        query_embeddings : array-like (q, d) or (d,)
            The queries as vectors; or
        query_texts : str or sequence of str
            as texts, embedded by the collection's embedding function; or
        like : str or sequence of str
            as ids of records, "more like these": one query per id, which is not among its own results.
        n_results : int
            At most so many per query: filters apply before ranking, and fewer come back only when fewer records match.
        where, where_document, ids
            Only records that match take part (see `get`).
        include : sequence of str
            Any of ``"documents"``, ``"metadatas"``, ``"distances"``, ``"embeddings"``, ``"uris"``.

        Returns
        -------
        DataFrame
            Index levels ``query`` (from 0) and ``rank`` (from 1); columns ``id``, ``distance``, ``document``, then one typed
            column per metadata key. Distances are in the collection's space: squared L2, ``1 - a.b`` or ``1 - cos(a, b)``.

        Raises
        ------
        InvalidDimensionError
            The queries are of another length than the collection's vectors.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-query", embedding_function=None)
        >>> collection.add(["a", "b", "c"], embeddings=[[0, 0], [1, 0], [3, 0]])
        >>> collection.query([[0.9, 0]], n_results=2)["id"].tolist()
        ['b', 'a']
        >>> collection.query(like="a", n_results=1)["id"].tolist()
        ['b']
        >>> client.delete_collection("doc-query")
        """
        if like is None:
            op = yield from self._query_op(query_embeddings, query_texts, ids, n_results, where, where_document, include)
            found = yield from ask(op)
        else:
            if query_embeddings is not None or query_texts is not None:
                raise InvalidArgumentError("like: give like, query_texts or query_embeddings, one of them")
            count = arguments.whole_number(n_results, "n_results", 1)
            chosen, included = arguments.chosen_ids(ids, self.dialect), arguments.parse_include(include, distances=True)
            where_both = arguments.parse_filter(where, where_document, self.dialect)
            found = yield from self._similar(like, lambda vectors: ops.Query(self._info.id, vectors, count, chosen, where_both, included))
        return frames.frame_of_query(found, attrs=self._attributes())

    @verb
    def count(self, where: Mapping[str, Any] | None = None, where_document: Mapping[str, Any] | None = None) -> Steps[int]:
        """Return how many records there are, or match."""
        return (yield from ask(ops.Count(self._info.id, arguments.parse_filter(where, where_document, self.dialect))))

    @verb
    def modify(
        self, name: str | None = None, metadata: Mapping[str, Any] | None = None, configuration: Mapping[str, Any] | None = None
    ) -> Steps[None]:
        """Rename the collection, replace its metadata, or change search parameters.

        Parameters
        ----------
        configuration : dict, optional
            ``{"hnsw": {"ef_search": 200}}``; also ``max_neighbors``, ``num_threads``, ``resize_factor``, ``batch_size`` and
            ``sync_threshold``. It holds from the next call on. The space cannot be changed.
        """
        yield from self._modify(name, metadata, configuration)

    @verb
    def fork(self, new_name: str) -> Steps[Any]:
        """Copy the collection, with all records, under a new name; the two go separate ways from then on."""
        info = yield from ask(ops.ForkCollection(self._info.id, collection_name(new_name, self.dialect.names)))
        return self._client._made(info, self._function)

    @verb
    def build_index(self, *, show_progress: bool | None = None) -> Steps[None]:
        """Bring the HNSW graph up to date now and save it, instead of leaving that to the background.

        Searches are right without it; large collections are quicker with it.
        """
        info = yield from self._refreshed()
        with Bar(info.count, "indexing", "vectors", show=show_progress) as bar:
            yield from ask(ops.BuildIndex(self._info.id, bar.advance))

    def __repr__(self) -> str:
        """Return name, space and place; never asks the backend."""
        return f"Collection(name={self._info.name!r}, space={self.space!r})"

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same collection of the same client."""
        return isinstance(other, CollectionVerbs) and other._info.id == self._info.id and other._client is self._client

    def __hash__(self) -> int:
        """Hash by id."""
        return hash(self._info.id)


def _fields(embeddings: Any, metadatas: Any, documents: Any, uris: Any) -> dict[str, Any]:
    return {"embeddings": embeddings, "metadatas": metadatas, "documents": documents, "uris": uris}


class Collection(CollectionVerbs, ExploringVerbs, Sync):
    """A collection of records that answers in data frames.

    Made by a client: ``client.get_or_create_collection("docs")``.
    """

    def _repr_html_(self) -> str:
        try:
            info: CollectionInfo = self._client._info_now(self._info.id)
        except ChromaError as error:  # deleted, or its client closed: still worth showing
            return str(html.card(f"Collection {self._info.name}", str(error)))
        rows = [
            ["records", f"{info.count:,}"],
            ["dimension", "-" if info.dimension is None else str(info.dimension)],
            ["space", f"{info.configuration.space}: {FORMULAS[info.configuration.space]}"],
            ["embedding function", _function_name(info)],
        ]
        rows += [[f"metadata: {key}", str(value)] for key, value in list((info.metadata or {}).items())[:10]]
        return str(html.card(f"Collection {info.name}", f"{info.tenant} / {info.database}", html.table(rows)))


def _function_name(info: CollectionInfo) -> str:
    stored = info.configuration.embedding_function or {}
    return str(stored.get("name") or stored.get("callable") or "none")


class AsyncCollection(CollectionVerbs, Async):
    """`Collection` whose verbs are awaited; ``scan`` is an async iterator."""
