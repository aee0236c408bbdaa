"""Verbs that show a collection in a notebook as something to click on. The widgets are imported when they are first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from chroma_nb import embedding, ops
from chroma_nb.client.steps import CollectionSteps
from chroma_nb.client.verb import Sync, drive
from chroma_nb.optional import need

if TYPE_CHECKING:
    from chroma_nb.records import Vectors
    from chroma_nb.results import Summary
    from chroma_nb.widgets.answering import Source
    from chroma_nb.widgets.builder import QueryBuilder
    from chroma_nb.widgets.explorer import Explorer
    from chroma_nb.widgets.request import Connection

_ASKED = ("documents", "metadatas", "distances")


class ExploringVerbs(CollectionSteps, Sync):
    """What can be shown of a synchronous collection."""

    def builder(
        self,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        query: Any = None,
        like: Any = None,
        n_results: int = 10,
        include: Sequence[str] = _ASKED,
        *,
        limit: int | None = 10_000,
        results: bool = True,
    ) -> QueryBuilder:
        """Return a query builder: rows of field, operator and value to click together, a live count, results in a table.

        Parameters
        ----------
        where, where_document
            The filter to begin with.
        query : str, sequence of str, or array-like (d,) or (q, d), optional
            Texts or vectors to compare records with; or
        like : str or sequence of str, optional
            ids of records, "more like these".
        n_results : int
            Results per query.
        include : sequence of str
            Columns of the results.
        limit : int, optional
            Records that a question without a query returns at most; None for all.
        results : bool
            Show a table of the results below.

        Returns
        -------
        QueryBuilder
            Shows itself in a cell. Its traits ``where``, ``where_document``, ``frame`` (the results), ``count`` and others can be read,
            observed and, but for the results, set; ``run()`` asks, ``code("chromadb")`` writes the question as a program.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-builder", embedding_function=None)
        >>> collection.add(["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"year": 1999}, {"year": 2024}])
        >>> builder = collection.builder({"year": {"$gt": 2000}})
        >>> builder.run().index.tolist()
        ['b']
        >>> client.delete_collection("doc-builder")
        """
        need("anywidget", "the query builder")
        need("ipywidgets", "the query builder")
        from chroma_nb.widgets.builder import QueryBuilder

        return QueryBuilder(
            self._widget_source(),
            results=results,
            where=where,
            where_document=where_document,
            query=query,
            like=like,
            n_results=n_results,
            limit=limit,
            include=include,
        )

    def explore(
        self,
        color: str | None = None,
        *,
        size: str | None = None,
        method: str = "umap",
        n_components: int = 2,
        coordinates: Any = None,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        n_results: int = 10,
        labels: bool = True,
        images: Any = None,
        seed: int | None = 42,
        options: Mapping[str, Any] | None = None,
        height: int = 560,
    ) -> Explorer:
        """Return an explorer: a map, a question box, a filter and a table that follow each other, and a selection that is a variable.

        The map is there at once, by principal components; UMAP refines it in the background and is kept in the store for the next
        time. ``explorer.wait()`` waits for it.

        Parameters
        ----------
        color : str, optional
            A metadata key, ``"cluster"``, or ``"distance"`` (to the question).
        size : str, optional
            A metadata key with numbers, which the markers' areas show.
        method : {"umap", "pca"}
            The layout, as for `project`.
        n_components : {2, 3}
            A flat map, or one to turn.
        coordinates : DataFrame or array-like (n, 2 or 3), optional
            A layout of your own: columns ``x``, ``y`` (and ``z``) by id, or rows in collection order.
        where, where_document
            The filter to begin with: matching records stand out, and questions look among them only.
        n_results : int
            Hits of a question.
        labels : bool
            Name clusters on the map by the words that set their documents apart.
        images : str or callable, optional
            Where a record's picture is: a metadata key (a path, a data URI or base64), or a function of the record; by default its uri.
            Nothing is fetched from other machines.
        seed : int or None
            Makes UMAP reproducible; None lets it use all processors.
        options : dict, optional
            Of the method: ``{"n_neighbors": 30}``.
        height : int
            Of the map, pixels.

        Returns
        -------
        Explorer
            Shows itself in a cell. ``selection`` is a DataFrame of what is selected, ``hits`` of what the last question found; ``ask``,
            ``select``, ``tag``, ``refresh``, ``to_html`` and others do from Python what the page does.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-explore", embedding_function=None)
        >>> collection.add(["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]], metadatas=[{"year": y} for y in (1999, 2024, 2025)])
        >>> explorer = collection.explore("year", method="pca")
        >>> explorer.select(where={"year": {"$gt": 2000}})
        >>> explorer.selection["year"].to_dict()
        {'b': 2024, 'c': 2025}
        >>> explorer.close()
        >>> client.delete_collection("doc-explore")
        """
        need("anywidget", "the explorer")
        need("ipywidgets", "the explorer")
        from chroma_nb.widgets.explorer import Explorer

        return Explorer(
            self,
            color=color,
            size=size,
            method=method,
            n_components=n_components,
            coordinates=coordinates,
            where=where,
            where_document=where_document,
            n_results=n_results,
            labels=labels,
            images=images,
            seed=seed,
            options=options,
            height=height,
        )

    def _widget_source(self) -> Source:
        from chroma_nb.widgets.answering import Source

        def summary() -> Summary:
            found: Summary = self._execute(ops.Describe(self._info.id))
            return found

        def embed(texts: list[str]) -> Vectors:
            return drive(self._vectors(texts, query=True), self._execute)

        return Source(self, self.dialect.filters, summary, embed, self._connection)

    def _connection(self) -> Connection:
        """Say where the collection is, for code that opens it elsewhere."""
        from chroma_nb.http.backend import HttpBackend
        from chroma_nb.widgets.request import Connection

        info, client = self._info, self._client
        backend = getattr(client._access.backend, "__self__", None)
        folder = getattr(backend, "folder", self)  # a backend without the attribute is no store in this process
        kind: Literal["memory", "folder", "server", "other"] = "other"
        place = client._place
        headers: tuple[str, ...] = ()
        if isinstance(backend, HttpBackend):
            kind, headers = "server", tuple(backend._address.headers)
        elif folder is None:
            kind = "memory"
        elif folder is not self:
            kind, place = "folder", str(folder)
        embeds = embedding.restore(info.configuration.embedding_function) is not None
        return Connection(kind, place, info.name, info.id, info.tenant, info.database, headers, embeds=embeds)
