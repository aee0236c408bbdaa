"""Collections that answer in Chroma's dicts. The bodies of the verbs are in `chroma_nb.client.steps`."""  # noqa: N999 - Chroma's name

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from chroma_nb import dialect
from chroma_nb.brief import inert_line
from chroma_nb.chromadb.api.types import DeleteResult, GetResult, Include, QueryResult, ReadLevel, Where, WhereDocument
from chroma_nb.client import arguments
from chroma_nb.client.shared import CollectionIdentity
from chroma_nb.client.verb import Steps, Sync, ask, verb
from chroma_nb.dialect import Dialect
from chroma_nb.errors import EmbeddingError, InvalidArgumentError
from chroma_nb.names import collection_name
from chroma_nb.ops import Count, ForkCollection
from chroma_nb.progress import Bar
from chroma_nb.records import Vectors

_PEEKED: Include = ["metadatas", "documents", "embeddings"]
_ECHOED = ("space", "ef_construction", "ef_search", "max_neighbors", "resize_factor", "sync_threshold")
_REMEMBERED = ("type", "name", "config")


class CollectionVerbs(CollectionIdentity):
    """The verbs of a collection; made by a client, never by hand."""

    dialect: ClassVar[Dialect] = dialect.CHROMA

    @property
    def configuration_json(self) -> dict[str, Any]:
        """Graph parameters, and the description of the embedding function, as Chroma writes them."""
        stored = self._info.configuration.to_json()
        function = stored["embedding_function"]
        return {
            "hnsw": {key: stored["hnsw"][key] for key in _ECHOED},
            "spann": None,
            "embedding_function": None if function is None else {key: function[key] for key in _REMEMBERED if key in function},
        }

    @property
    def configuration(self) -> dict[str, Any]:
        """Graph parameters, and the embedding function itself."""
        return {**self.configuration_json, "embedding_function": self._function}

    @verb
    def add(
        self, ids: Any, embeddings: Any = None, metadatas: Any = None, documents: Any = None, images: Any = None, uris: Any = None
    ) -> Steps[None]:
        """Store new records, all of them or none. Ids that exist already are left as they are.

        Parameters
        ----------
        ids : str or list of str
        embeddings : array-like (n, d), optional
            Without them the documents are embedded by the collection's embedding function.
        metadatas : dict or list of dict or None, optional
            Values are str, int, float, bool, or lists of one of these.
        documents, uris : str or list of str, optional
            Uris are stored, never opened.
        images
            Not supported.

        Raises
        ------
        InvalidArgumentError
            Anything in the arguments is wrong (a ``ValueError``). Nothing was stored.
        """
        _no_images(images, "images")
        yield from self._add(self._parsed(ids, _fields(embeddings, metadatas, documents, uris)), show=False)

    @verb
    def upsert(
        self, ids: Any, embeddings: Any = None, metadatas: Any = None, documents: Any = None, images: Any = None, uris: Any = None
    ) -> Steps[None]:
        """Store records: new ids as by `add`, known ids as by `update`."""
        _no_images(images, "images")
        yield from self._upsert(self._parsed(ids, _fields(embeddings, metadatas, documents, uris), removals=True), show=False)

    @verb
    def update(
        self, ids: Any, embeddings: Any = None, metadatas: Any = None, documents: Any = None, images: Any = None, uris: Any = None
    ) -> Steps[None]:
        """Change what is given of records that exist; unknown ids are ignored and logged.

        Metadata is merged key by key; a key with the value None is removed.
        """
        _no_images(images, "images")
        yield from self._update(self._parsed(ids, _fields(embeddings, metadatas, documents, uris), removals=True), show=False)

    @verb
    def bulk_upsert(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
        max_batch_size: int = 1024,
        on_batch_processed: Callable[[list[str]], Any] | None = None,
        print_progress: bool | None = None,  # noqa: FBT001 - Chroma's signature
    ) -> Steps[None]:
        """Upsert a large amount of data in batches, with a progress bar. Each batch is whole, the call is not.

        Parameters
        ----------
        max_batch_size : int
            Records per transaction.
        on_batch_processed : callable, optional
            Called with the ids of each batch once it is stored.
        print_progress : bool, optional
            Show a bar; by default in notebooks and terminals.
        """
        _no_images(images, "images")
        records = self._parsed(ids, _fields(embeddings, metadatas, documents, uris), removals=True)
        yield from self._bulk_upsert(
            records, max_batch_size=max_batch_size, on_batch_processed=on_batch_processed, show=print_progress, resume_from=0
        )

    @verb
    def get(
        self,
        ids: Any = None,
        where: Where | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ["metadatas", "documents"],  # noqa: B006 - Chroma's signature, never changed
    ) -> Steps[GetResult]:
        """Return records: all, or those that match, in the order they were added."""
        found = yield from self._get(ids, where, limit, offset, where_document, include)
        return cast("GetResult", found.to_dict(include))

    @verb
    def peek(self, limit: int = 10) -> Steps[GetResult]:
        """Return the first records with embeddings, documents and metadata."""
        found = yield from self._get(None, None, limit, None, None, _PEEKED)
        return cast("GetResult", found.to_dict(_PEEKED))

    @verb
    def query(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        query_images: Any = None,
        query_uris: Any = None,
        ids: Any = None,
        n_results: int = 10,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ["metadatas", "documents", "distances"],  # noqa: B006 - Chroma's signature, never changed
    ) -> Steps[QueryResult]:
        """Return the records nearest to each query, nearest first; filters apply before ranking.

        Parameters
        ----------
        query_embeddings : array-like (q, d) or (d,)
            The queries as vectors; or
        query_texts : str or list of str
            as texts, embedded by the collection's embedding function.
        query_images, query_uris
            Not supported.
        ids, where, where_document
            Only records that match take part.
        """
        _no_images(query_images, "query_images")
        if query_uris is not None:
            raise InvalidArgumentError("query_uris: nothing is loaded from uris; embed what they hold and pass query_embeddings")
        chosen = arguments.chosen_ids(ids, dialect.GUIDE)  # of all verbs this one takes an id twice in Chroma
        op = yield from self._query_op(query_embeddings, query_texts, chosen, n_results, where, where_document, include)
        found = yield from ask(op)
        return cast("QueryResult", found.to_dict(include))

    @verb
    def delete(
        self,
        ids: Any = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        limit: int | None = None,
    ) -> Steps[DeleteResult]:
        """Remove the records that match all of `ids`, `where` and `where_document`; ``deleted`` is the number removed."""
        return {"deleted": (yield from self._delete(ids, where, where_document, limit))}

    @verb
    def count(self, read_level: ReadLevel = ReadLevel.INDEX_AND_WAL) -> Steps[int]:  # noqa: ARG002 - every read is fresh here
        """Return how many records there are."""
        return (yield from ask(Count(self._info.id)))

    @verb
    def modify(self, name: str | None = None, metadata: dict[str, Any] | None = None, configuration: Any = None) -> Steps[None]:
        """Rename the collection, replace its metadata, or change search parameters: ``{"hnsw": {"ef_search": 200}}``."""
        if metadata is not None and "hnsw:space" in metadata:
            raise InvalidArgumentError("metadata['hnsw:space']: the space is fixed when the collection is made; make a new one")
        yield from self._modify(name, metadata, configuration)

    @verb
    def fork(self, new_name: str) -> Steps[Any]:
        """Copy the collection, with all records, under a new name; the two go separate ways from then on."""
        info = yield from ask(ForkCollection(self._info.id, collection_name(new_name, self.dialect.names)))
        return self._client._made(info, self._function)

    def _vectors(self, texts: list[str], *, query: bool, show: bool | None = None, bar: Bar | None = None) -> Steps[Vectors]:
        """Embed texts; what the embedding function raised comes out as it is, for code that waits for it."""
        try:
            return (yield from super()._vectors(texts, query=query, show=show, bar=bar))
        except EmbeddingError as error:
            if error.raised is not None:
                raise error.raised from None
            raise

    def __repr__(self) -> str:
        """Return the name, as Chroma does."""
        return f"Collection(name={inert_line(self._info.name)})"

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same collection in the same state."""
        return isinstance(other, CollectionVerbs) and (self.id, self.name, self.metadata, self.configuration_json) == (
            other.id,
            other.name,
            other.metadata,
            other.configuration_json,
        )

    def __hash__(self) -> int:
        """Hash by id."""
        return hash(self._info.id)


class Collection(CollectionVerbs, Sync):
    """A collection of records; made by a client: ``client.get_or_create_collection("docs")``."""


def _fields(embeddings: Any, metadatas: Any, documents: Any, uris: Any) -> dict[str, Any]:
    return {"embeddings": embeddings, "metadatas": metadatas, "documents": documents, "uris": uris}


def _no_images(images: object, place: str) -> None:
    if images is not None:
        raise InvalidArgumentError(f"{place}: images are not supported; embed them yourself and pass embeddings (and uris, to find them)")
