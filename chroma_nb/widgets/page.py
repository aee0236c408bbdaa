"""What the explorer shows: the widgets, how they stand together, and what each of them says.

State lives in the explorer, which calls ``show_*`` after it changed; nothing here decides what the state becomes. What the widgets hear is
in `events`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import ipywidgets
import numpy as np

from chroma_nb import html
from chroma_nb.errors import ChromaError
from chroma_nb.viz.placing import place_of_query
from chroma_nb.widgets import coloring
from chroma_nb.widgets.detail import DetailWidget
from chroma_nb.widgets.events import FIT, PLACE, Events
from chroma_nb.widgets.map import MapWidget
from chroma_nb.widgets.map_parts import Control
from chroma_nb.widgets.mapmaking import Clusters, Wish
from chroma_nb.widgets.points import Points, Rows
from chroma_nb.widgets.recorddetail import RecordReader
from chroma_nb.widgets.recordsource import RecordSource, columns_of
from chroma_nb.widgets.selection import SelectionWidget
from chroma_nb.widgets.sources import FrameSource
from chroma_nb.widgets.table import TableWidget
from chroma_nb.widgets.tabs import TabsWidget

if TYPE_CHECKING:
    import pandas as pd

    from chroma_nb.viz.trust import Trust
    from chroma_nb.widgets.explorer import Explorer

View = Literal["all", "matches", "selection", "hits"]

_VIEWS: dict[View, str] = {"all": "All", "matches": "Filter", "selection": "Selection", "hits": "Hits"}
"""What the table may show."""

_PANELS = ("record", "filter", "selection")
"""What stands beside the map, one at a time."""


class Page:
    """The explorer's widgets.

    Parameters
    ----------
    explorer
        Whose state is shown, and whose verbs are called.
    where, where_document, n_results
        What the query builder begins with.
    labels
        Whether clusters are named on the map.
    images
        As for `images.image_of`: where a record's picture is.
    height
        Of the map, pixels.
    """

    def __init__(
        self,
        explorer: Explorer,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        *,
        n_results: int,
        labels: bool,
        images: Any,
        height: int,
    ) -> None:
        self._explorer = explorer
        self.reader = RecordReader(explorer.collection, images)
        self._labels = labels
        self._clusters: Clusters | None = None
        self._matches: Rows | None = None
        self._found: Rows | None = None
        self._finding = ""
        self._filter: tuple[Any, Any] = (None, None)
        self._hits_label: tuple[str, str | None] = ("", None)
        self._view: View = "all"
        self._progress = ""
        self._words = ""
        self.map = MapWidget(height=height)
        self.table = TableWidget(page_size=10, height=330)
        self.detail = DetailWidget()
        self.panel = SelectionWidget()
        self.builder = explorer.collection.builder(where, where_document, n_results=n_results, results=False)
        self.tabs = TabsWidget([(name, name.capitalize(), None) for name in _PANELS], _PANELS[0], "panels of the explorer")
        self.views = TabsWidget([("all", "All", 0)], "all", "records in the table")
        self._panels = ipywidgets.VBox([self.tabs, self.detail, self.builder.front, self.panel])
        self.root = _arranged(self.map, self._panels, self.views, self.table)
        self.show_panel(_PANELS[0])
        self.map.set_controls(self._controls())
        self.table.set_actions([("like", "More like this")])
        self.detail.set_actions([("like", "More like this"), ("neighbours", "Select neighbours")])
        self._events = Events(explorer, self)

    def _controls(self) -> list[Control]:
        fields = [str(key) for key in self._explorer.description.fields.index]
        wish = self._explorer.wish
        sizes = [(coloring.NONE, "equal"), *((key, key) for key in self._numeric())]
        return [
            Control("ask", "Ask", "text", value=self._words, placeholder="Ask in words…", group="ask"),
            Control("find", "Find", "text", placeholder="Find a text…", group="ask"),
            Control("color", "Colour", "select", coloring.choices(fields), self._explorer.color_choice, group="look"),
            Control("size", "Size", "select", sizes, self._explorer.size_choice, group="look"),
            Control("layout", "Layout", "select", [("umap", "UMAP"), ("pca", "PCA")], wish.method, group="layout"),
            Control("dimensions", "", "select", [("2", "2-D"), ("3", "3-D")], str(wish.n_components), group="layout"),
            Control("labels", "Labels", "toggle", value=self._labels, group="layout"),
        ]

    def _numeric(self) -> list[str]:
        return [column.label for column in columns_of(self._explorer.description.fields) if column.kind == "number"]

    def open(self, name: str) -> None:
        """Show a record, with its nearest neighbours in the collection's space lit up on the map."""
        record = self.reader.read(name)
        if record is None:
            self.detail.set_record(None)
            return
        near = self._explorer.neighbors(name)
        self.detail.set_record(self.reader.full(record, near, self._explorer.hits))
        self._show_lines(name, near, name)

    def show_panel(self, name: str) -> None:
        """Show one of the panels beside the map."""
        for panel, widget in zip(_PANELS, self._panels.children[1:], strict=True):
            widget.layout.display = None if panel == name else "none"
        self.tabs.show(chosen=name)

    def show_points(self, points: Points, *, animate: bool) -> None:
        """Show other places."""
        self._clusters = None
        self.map.set_points(points.places, animate=animate, approximate=points.approximate if points.approximate.any() else None)
        self.panel.show(total=len(points))

    def show_layout(self, wish: Wish, *, final: bool) -> None:
        """Say which layout is shown."""
        points = self._explorer.points
        method = wish.method.upper() if final else "PCA, until UMAP is ready"
        estimated = int(points.approximate.sum())
        placed = f" · {estimated:,} placed among their neighbours" if estimated else ""
        self._progress = f"{len(points):,} records · {method}{placed}"
        self.map.set_status(self._progress)
        if estimated:
            self.map.set_stale(f"{estimated:,} records are placed among their neighbours, without a layout of their own.", FIT)
        else:
            self.map.set_stale(None)

    def show_progress(self, text: str, fraction: float | None) -> None:
        """Say what is being done."""
        self.map.set_status(f"{self._progress} · {text}" if text and self._progress else text or self._progress, fraction)

    def show_failure(self, error: Exception) -> None:
        """Say what went wrong with a layout."""
        self.map.set_status(str(error) if isinstance(error, ChromaError) else f"{type(error).__name__}: {error}")

    def show_trust(self, trust: Trust) -> None:
        """Say how far the map is to be trusted."""
        if not trust.k:
            return
        self._progress += f" · keeps {trust.recall:.0%} of {trust.k} nearest neighbours"
        self.map.set_status(self._progress, detail=str(trust))

    def show_clusters(self, clusters: Clusters) -> None:
        """Name clusters on the map."""
        self._clusters = clusters
        self.show_labels(wanted=self._labels)

    def show_labels(self, *, wanted: bool) -> None:
        """Name clusters on the map, or not."""
        self._labels = wanted
        found = self._clusters
        if found is None or not self._labels:
            self.map.set_labels([])
            return
        sizes = np.bincount(found.codes[found.codes >= 0], minlength=len(found.labels))
        order = np.argsort(-sizes, kind="stable")
        self.map.set_labels([(found.labels[code], tuple(found.anchors[code].tolist())) for code in order])

    def show_colors(self, values: pd.Series[Any] | None, title: str) -> None:
        """Colour the points by values, or all the same."""
        from chroma_nb.viz.color import coloring as chosen

        self.map.set_coloring(None if values is None else chosen(values), title)

    def show_choice(self, control: str, value: str) -> None:
        """Let a control say what was chosen from Python."""
        self.map.set_control(control, value)

    def show_fields(self) -> None:
        """Offer the fields that the collection has now."""
        self.map.set_controls(self._controls())
        self.builder.refresh()
        self.panel.show(keys=[str(key) for key in self._explorer.description.fields.index])

    def show_names(self, named: Mapping[str, Sequence[str]]) -> None:
        """List the selections that were kept."""
        self.panel.show(names=[(name, len(ids)) for name, ids in named.items()])

    def show_selection(self, rows: Rows, ids: Sequence[str]) -> None:
        """Mark the selected records everywhere."""
        self.map.set_selection(rows)
        self.panel.show(count=len(rows))
        self.table.set_selection(ids)
        self._show_views()
        if self._view == "selection":
            self.show_view("selection")

    def show_matches(self) -> None:
        """Let the records that match the filter, and hold the text that is looked for, stand out."""
        asked = self.builder.where, self.builder.where_document
        filtered = asked != (None, None)
        try:
            self._matches = self._explorer.points.matching(*asked) if filtered else None
            self._found = self._explorer.points.matching(None, {"$contains": self._finding}) if self._finding else None
        except ChromaError as error:
            self.map.set_status(str(error))
            return
        self._show_highlight()
        if filtered and asked != self._filter:
            self._view = "matches"
        self._filter = asked
        self.show_table()

    def find(self, text: str) -> None:
        """Let the records that hold a text stand out; an empty one looks for none."""
        self._finding = text
        self.show_matches()

    def _show_highlight(self) -> None:
        both = [rows for rows in (self._matches, self._found) if rows is not None]
        self.map.set_highlight(None if not both else both[0] if len(both) == 1 else np.intersect1d(both[0], both[1]))

    def show_hits(self, label: str, like: str | None, words: str) -> None:
        """Light up what a question found."""
        self._hits_label = label, like
        self._show_words(words)
        self.show_hits_again()
        self._show_views()
        self.show_view("hits")

    def show_hits_again(self) -> None:
        """Draw the hits at the places that the records have now."""
        hits = self._explorer.hits
        label, like = self._hits_label
        self._show_lines(like, hits, label)

    def _show_lines(self, center: str | None, found: pd.DataFrame, label: str) -> None:
        """Draw lines to the records found: from the record they are near to, or from where a question belongs."""
        points = self._explorer.points
        located = points.located(found["id"])
        known = located >= 0
        rows, distances = located[known], found["distance"].to_numpy(dtype=np.float64)[known].tolist()
        at = points.rows_of([center]) if center is not None else np.array([], dtype=np.intp)
        if len(at):
            self.map.set_query(points.places[at[0]].tolist(), rows, distances, label=label, approximate=False)
        elif len(rows):
            self.map.set_query(place_of_query(points.places[rows], distances).tolist(), rows, distances, label=label)
        else:
            self.map.set_query(None)

    def show_no_hits(self) -> None:
        """Put lines and hits away."""
        self.map.set_query(None)
        self._show_words("")
        self._show_views()

    def _show_words(self, words: str) -> None:
        self._words = words
        self.map.set_control("ask", words)

    def show_table(self) -> None:
        """Fill the table anew."""
        self._show_views()
        self.show_view(self._view)

    def _show_views(self) -> None:
        """Offer the table's views that there are now; one that is gone gives way to all records."""
        explorer = self._explorer
        sizes: dict[View, int | None] = {
            "all": len(explorer.points),
            "matches": None if self._matches is None else len(self._matches),
            "selection": len(explorer.selected_rows) or None,
            "hits": None if explorer.hits is None else len(explorer.hits),
        }
        offered = [(view, _VIEWS[view], size) for view, size in sizes.items() if size is not None]
        if sizes[self._view] is None:
            self.show_view("all")
        self.views.show(offered, self._view)

    def show_view(self, name: str) -> None:
        """Show some of the records in the table: one of `_VIEWS`."""
        explorer, view = self._explorer, cast("View", name)
        self._view = view
        self.views.show(chosen=view)
        if view == "hits":
            self.table.set_source(FrameSource(explorer.hits))
            return
        rows = {"all": None, "matches": self._matches, "selection": explorer.selected_rows}[view]
        self.table.set_source(RecordSource(explorer.collection, explorer.points, rows, columns_of(explorer.description.fields)))

    def show_news(self) -> None:
        """Say that the collection has changed since the map was made, if it has."""
        explorer = self._explorer
        if explorer.is_stale():
            self.map.set_stale("The collection has changed since this map was made.", PLACE)

    def close(self) -> None:
        """Take the widgets off the page."""
        self._events.close()
        for widget in (self.map, self.table, self.detail, self.panel, self.builder.front, self.tabs, self.views, self._panels, self.root):
            widget.close()

    def bundle(self, **kwargs: Any) -> Any:
        """Return what a cell shows: the widgets, and a picture with a table where there are none."""
        data = dict(self.root._repr_mimebundle_(**kwargs))
        return {**data, "text/plain": repr(self._explorer), "text/html": self.static_html()}

    def static_html(self) -> str:
        """Return map and table as HTML without scripts."""
        explorer = self._explorer
        source = RecordSource(explorer.collection, explorer.points, None, columns_of(explorer.description.fields))
        picture = html.picture(self.map.static_png(), f"map of {explorer.collection.name}") if len(explorer.points) else "no records yet"
        rows = TableWidget(source).static_table()
        subtitle = f"{len(explorer.points):,} records, {len(explorer.selected_ids):,} selected"
        return str(html.card(f"Explorer of {explorer.collection.name}", subtitle, picture, rows))


def _arranged(drawn: MapWidget, panels: Any, views: TabsWidget, table: TableWidget) -> Any:
    """Map and panels side by side, one below the other where it is narrow; the table below."""
    layout = ipywidgets.Layout
    drawn.layout = layout(flex="3 1 480px", min_width="0")
    panels.layout = layout(flex="1 1 300px", min_width="0", max_height=f"{drawn.height + 90}px", overflow="auto")
    above = ipywidgets.Box([drawn, panels], layout=_flowing())
    return ipywidgets.VBox([above, views, table], layout=layout(width="100%"))


def _flowing() -> Any:
    return ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items="stretch", grid_gap="4px 12px", width="100%")


def side_by_side(left: Explorer, right: Explorer, **kwargs: Any) -> Any:
    """Return two explorers' maps beside each other, as a cell shows them."""
    root = ipywidgets.Box([left.page.map, right.page.map], layout=_flowing())
    data = dict(root._repr_mimebundle_(**kwargs))
    return {**data, "text/html": left.page.static_html() + right.page.static_html()}
