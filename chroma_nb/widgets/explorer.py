"""The explorer: a collection as a map, a table, a filter and a question box that follow each other, and the notebook's variables with them.

Lives here: the state (points, colours, filter, hits) and what changes it. Must not live here: the selection (`selecting`), what the page
shows and hears (`page`, `events`), arithmetic (`chroma_nb.viz`), making layouts (`mapmaking`), files (`exporting`). Made by
``collection.explore()``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import traitlets

from chroma_nb.brief import shown
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.records import check_key
from chroma_nb.widgets import coloring, exporting
from chroma_nb.widgets.mapmaking import Clusters, MapMaker, Wish
from chroma_nb.widgets.page import Page
from chroma_nb.widgets.points import Points, ids_in
from chroma_nb.widgets.question import whole
from chroma_nb.widgets.selecting import Selecting

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from chroma_nb.viz.trust import Trust
    from chroma_nb.widgets.compare import Comparison

FileKind = Literal["csv", "parquet", "html", "png"]

_FIRST_PLACES = 10.0
"""Seconds to wait for the first places, so that the cell shows a map at once."""
_COLOURED_BY_DISTANCE = 50_000
_WRITTEN_AT_ONCE = 5_000
_NEIGHBORS = 10
_SHOWN = ("documents", "metadatas", "distances")


class Explorer(Selecting):
    """A collection to look at, to ask and to select from; made by ``collection.explore()``, shown as the last expression of a cell.

    What the page does can be done from Python and the other way round, and what changes can be observed:
    ``explorer.observe(call, "selected_ids")``.

    Attributes
    ----------
    selected_ids : tuple of str
        Ids of the selected records, in map order. Setting it selects.
    hits : DataFrame or None
        What the last question found, as `query` returns it.
    """

    hits = traitlets.Any(None, read_only=True)

    def __init__(
        self,
        collection: Any,
        *,
        color: str | None = None,
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
    ) -> None:
        super().__init__()
        self._collection = collection
        if options is not None and not isinstance(options, Mapping):
            raise InvalidTypeError(f"options: expected a dict such as {{'n_neighbors': 30}}, got {shown(options)}")
        self._wish = Wish(method, n_components, seed, dict(options or {}))
        self._points = Points.none(collection, n_components)
        self._clusters: Clusters | None = None
        self._trust: Trust | None = None
        self._asked: Callable[..., pd.DataFrame] | None = None
        self._version = collection.version()
        self.description = collection.describe()
        self._color = coloring.checked(color, self._keys)
        self._size = coloring.NONE if size is None else coloring.checked(size, self._keys)
        self._page = Page(self, where, where_document, n_results=n_results, labels=labels, images=images, height=whole(height, "height"))
        self._maker = MapMaker(collection, self)
        given = None if coordinates is None else Points.given(collection, coordinates)
        self._maker.make(self._wish, given=given, seconds=_FIRST_PLACES)

    @property
    def collection(self) -> Any:
        """The collection that is explored."""
        return self._collection

    @property
    def points(self) -> Points:
        """The records on the map, in map order."""
        return self._points

    @property
    def page(self) -> Page:
        """The widgets: ``map``, ``table``, ``detail``, ``builder``, ``panel``."""
        return self._page

    @property
    def wish(self) -> Wish:
        """The layout that was asked for last."""
        return self._wish

    @property
    def _keys(self) -> list[str]:
        return [str(key) for key in self.description.fields.index]

    # What is asked

    @property
    def where(self) -> dict[str, Any] | None:
        """The filter on metadata: matching records stand out on the map, and questions look among them only. Setting it filters."""
        found: dict[str, Any] | None = self._page.builder.where
        return found

    @where.setter
    def where(self, where: Mapping[str, Any] | None) -> None:
        self._page.builder.where = where

    @property
    def where_document(self) -> dict[str, Any] | None:
        """The filter on documents, like `where`."""
        found: dict[str, Any] | None = self._page.builder.where_document
        return found

    @where_document.setter
    def where_document(self, where_document: Mapping[str, Any] | None) -> None:
        self._page.builder.where_document = where_document

    def ask(self, text: str | None = None, *, embedding: Any = None, like: Any = None, n_results: int | None = None) -> pd.DataFrame:
        """Ask a question: its hits light up on the map, with ranks, distances and lines to the question's place.

        Parameters
        ----------
        text : str
            A question in words.
        embedding : array-like (d,)
            The question as a vector.
        like : str
            Id of a record: more like this one.
        n_results : int, optional
            By default as many as the query builder says.

        Returns
        -------
        DataFrame
            As `query` returns it; also in ``explorer.hits``. Hits are ranked in the collection's space, not by the map.
        """
        if (text is not None) + (embedding is not None) + (like is not None) != 1:
            raise InvalidArgumentError("ask: give one of text, embedding and like")
        asked = {"query_texts": text, "query_embeddings": embedding, "like": like}

        def found(count: int, include: tuple[str, ...]) -> pd.DataFrame:
            frame: pd.DataFrame = self._collection.query(
                n_results=count, where=self.where, where_document=self.where_document, include=include, **asked
            )
            return frame

        frame = found(n_results or self._page.builder.n_results, _SHOWN)
        self.take_hits(frame, text or (f"like {like}" if like is not None else "the given vector"), like, found, words=text or "")
        return frame

    def take_hits(
        self,
        frame: pd.DataFrame,
        label: str = "the query",
        like: Any = None,
        asked: Callable[..., pd.DataFrame] | None = None,
        *,
        words: str = "",
    ) -> None:
        """Show the answer to a query that was made elsewhere, such as in the query builder.

        Parameters
        ----------
        frame
            As `query` returns it, of one query.
        label
            What stands at the question's place.
        like
            Id of the record that the hits are near to, if it is one.
        asked
            Asks the same for more results.
        words
            The question, for the box where questions are typed.
        """
        with self._lock:
            self._asked = asked
        self.set_trait("hits", frame)
        self._page.show_hits(label, like if isinstance(like, str) else None, words)
        if self._color == coloring.DISTANCE:
            self._recolor()

    def neighbors(self, name: str, n_results: int = _NEIGHBORS) -> pd.DataFrame:
        """Return the nearest records to a record in the collection's space, as `query` returns them; the filter does not count."""
        frame: pd.DataFrame = self._collection.query(like=name, n_results=n_results, include=_SHOWN)
        return frame

    def forget(self) -> None:
        """Put the last question away."""
        with self._lock:
            self._asked = None
        self.set_trait("hits", None)
        self._page.show_no_hits()
        if self._color == coloring.DISTANCE:
            self._recolor()

    def tag(self, key: str, value: Any, ids: Any = None) -> int:
        """Write a value to the metadata of the selected records; return how many there are.

        Parameters
        ----------
        key, value
            One metadata key and its new value; None removes the key.
        ids : str, sequence of str, or data frame, optional
            Other records than the selected ones.
        """
        key = check_key(key, "key")
        names = list(self.selected_ids) if ids is None else ids_in(ids)
        for start in range(0, len(names), _WRITTEN_AT_ONCE):
            part = names[start : start + _WRITTEN_AT_ONCE]
            self._collection.update(part, metadatas=[{key: value}] * len(part))
        self._reread()
        return len(names)

    # What the map looks like

    @property
    def color(self) -> str | None:
        """What colours mean: a metadata key, ``"cluster"``, ``"distance"`` (to the last question), or None. Setting it colours."""
        return coloring.said(self._color)

    @color.setter
    def color(self, name: str | None) -> None:
        self._color = coloring.checked(name, self._keys)
        self._page.show_choice("color", self._color)
        self._recolor()

    @property
    def size(self) -> str | None:
        """The numeric metadata key that diameters mean, or None. Setting it resizes."""
        return coloring.said(self._size)

    @size.setter
    def size(self, name: str | None) -> None:
        chosen = coloring.checked(name, self._keys)
        diameters = coloring.diameters(chosen, self._points)
        self._size = chosen
        self._page.show_choice("size", chosen)
        self._page.map.set_sizes(diameters)

    @property
    def color_choice(self) -> str:
        """What the colour control is at: see `coloring`."""
        return self._color

    @property
    def size_choice(self) -> str:
        """What the size control is at: see `coloring`."""
        return self._size

    def color_values(self) -> pd.Series[Any] | None:
        """Return what the points are coloured by, one value per point by id; None for one colour."""
        with self._lock:
            name, points, clusters = self._color, self._points, self._clusters
        return coloring.values_of(name, points, clusters, self._distances())

    @property
    def coordinates(self) -> pd.DataFrame:
        """Places on the map: index ``id``; columns ``x``, ``y`` (and ``z``), and ``approximate`` for those estimated from neighbours."""
        return self._points.frame()

    @property
    def clusters(self) -> pd.Series[Any] | None:
        """The label of each record's cluster on the map, missing between clusters; None until they are found."""
        return None if self._clusters is None else coloring.cluster_names(self._points, self._clusters)

    @property
    def trust(self) -> Trust | None:
        """How well the map keeps neighbours of the original space; None until that is known."""
        return self._trust

    def lay_out(self, method: str | None = None, n_components: int | None = None, *, seed: int | None = 42, **options: Any) -> None:
        """Make another layout, as `project` does: at once by PCA, in the background by UMAP. `wait` waits for it.

        Parameters
        ----------
        method : {"umap", "pca"}, optional
            By default the present one.
        n_components : {2, 3}, optional
            By default the present one.
        seed, **options
            As for `project`.
        """
        self._wish = Wish(method or self._wish.method, n_components or self._wish.n_components, seed, options)
        self._page.show_choice("layout", self._wish.method)
        self._page.show_choice("dimensions", str(self._wish.n_components))
        self._maker.make(self._wish)

    def refresh(self, *, fit_again: bool = False) -> None:
        """Take in what changed in the collection. New records are placed among their neighbours; `fit_again` makes a new layout."""
        self.description = self._collection.describe()
        self._reread()
        wish = Wish(self._wish.method, self._wish.n_components, self._wish.seed, self._wish.options, fit_again)
        self._maker.make(wish, seconds=_FIRST_PLACES)

    def orient_like(self, other: Explorer) -> None:
        """Turn and scale this map so that the records it shares with another one lie as closely as possible where they lie there."""
        from chroma_nb.viz.placing import aligned

        points, target = self._points, other.points
        if points.places.shape[1] != target.places.shape[1]:
            raise InvalidArgumentError("compare: one map is flat and the other is not; give both the same n_components")
        shared = points.ids.intersection(target.ids, sort=False)
        places = aligned(points.places, target.places, (points.ids.get_indexer(shared), target.ids.get_indexer(shared)))
        clusters, trust = self._clusters, self._trust
        self.laid_out(points.moved(places), self._wish, final=True)
        if clusters is not None:
            self.clustered(clusters.moved(places))
        if trust is not None:
            self.judged(trust)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the map is finished, with its clusters and its trust figure; tell whether it is."""
        return self._maker.wait(seconds)

    def close(self) -> None:
        """End the work in the background and take the widgets off the page."""
        self._maker.cancel()
        self._page.close()

    def is_stale(self) -> bool:
        """Tell whether the collection has changed since the explorer last read it."""
        return bool(self._collection.version() != self._version)

    def _reread(self) -> None:
        self._version = self._collection.version()
        self._points.forget_columns()
        self.description = self._collection.describe()
        self._page.show_fields()
        self._page.show_matches()
        self._recolor()
        self._page.show_table()

    def _recolor(self) -> None:
        self._page.show_colors(self.color_values(), self.color or "")

    def _distances(self) -> Any:
        """Distances of the nearest records to the last question, by row, NaN for farther ones."""
        asked, points = self._asked, self._points
        if asked is None or self._color != coloring.DISTANCE:
            return None
        frame = asked(min(max(len(points), 1), _COLOURED_BY_DISTANCE), ("distances",))
        found = points.located(frame["id"])
        known = found >= 0
        distances = np.full(len(points), np.nan)
        # A record that several questions found has the distance to the nearest of them.
        np.fmin.at(distances, found[known], frame["distance"].to_numpy()[known])
        return distances

    # What the map maker says

    def laid_out(self, points: Points, wish: Wish, *, final: bool) -> None:
        """Take places; called by the map maker."""
        with self._lock:
            selected, hits = self.selected_ids, self.hits
            same = points.ids.equals(self._points.ids) and points.places.shape == self._points.places.shape
            self._points, self._clusters, self._trust = points, None, None
        self._page.show_points(points, animate=same)
        self._page.map.set_sizes(coloring.diameters(self._size, points))
        self._recolor()
        self._show_selected(np.sort(points.rows_of(selected)))
        self._page.show_matches()
        if hits is not None:
            self._page.show_hits_again()
        self._page.show_layout(wish, final=final)
        self._page.map.prepare()

    def clustered(self, clusters: Clusters) -> None:
        """Take clusters; called by the map maker."""
        self._clusters = clusters
        self._page.show_clusters(clusters)
        if self._color == coloring.CLUSTER:
            self._recolor()

    def judged(self, trust: Trust) -> None:
        """Take the trust figure; called by the map maker."""
        self._trust = trust
        self._page.show_trust(trust)

    def progressed(self, text: str, fraction: float | None) -> None:
        """Take what is being done; called by the map maker."""
        self._page.show_progress(text, fraction)

    def failed(self, error: Exception) -> None:
        """Take what went wrong; called by the map maker."""
        self._page.show_failure(error)

    # What leaves the notebook

    def figure(self) -> go.Figure:
        """Return the map as it is coloured now as a Plotly figure."""
        return exporting.figure(self)

    def to_html(self, path: str | Path) -> Path:
        """Write the map to one HTML file that needs nothing else, no network either; return the path."""
        return exporting.to_html(self, path)

    def png(self) -> bytes:
        """Return a picture of the whole map as it is coloured now, with the selection, as PNG."""
        return self._page.map.static_png()

    def to_png(self, path: str | Path) -> Path:
        """Write the map, selection and all, as an image; return the path."""
        return exporting.to_png(self, path)

    def to_csv(self, path: str | Path, *, formulas: bool = False) -> Path:
        """Write the selected records (all, if none are selected) as CSV; return the path.

        Parameters
        ----------
        formulas
            Write every text as it is. By default one that a spreadsheet would run as a formula (it begins with ``= + - @``, a tab or a line
            break) gets an apostrophe in front, also in ids and in the names of columns; numbers stay numbers.
        """
        return exporting.to_csv(self, path, formulas=formulas)

    def to_parquet(self, path: str | Path) -> Path:
        """Write the selected records (all, if none are selected) as Parquet; return the path."""
        return exporting.to_parquet(self, path)

    def save(self, kind: FileKind) -> Path:
        """Write the selection, or the map, to a file named after the collection in the current folder; return the path."""
        return exporting.saved(self, kind)

    def compare(self, other: Any, **options: Any) -> Comparison:
        """Return this map beside another one, with one selection; `other` is a collection of the same ids, or an explorer.

        Parameters
        ----------
        **options
            Arguments of ``explore`` for the other collection.
        """
        from chroma_nb.widgets.compare import Comparison

        return Comparison(self, other if isinstance(other, Explorer) else Explorer(other, **options))

    def __repr__(self) -> str:
        return f"Explorer({self._collection.name!r}, {len(self._points):,} records, {len(self.selected_ids):,} selected)"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self._page.bundle(**kwargs)
