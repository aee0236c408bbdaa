"""What the explorer shows and hears: the widgets, how they stand together, and which of the explorer's verbs each event means.

State lives in the explorer, which calls ``show_*`` after it changed; nothing here decides what the state becomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import ipywidgets
import numpy as np

from chroma_nb import html
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.viz.placing import place_of_query
from chroma_nb.widgets import cells, coloring
from chroma_nb.widgets.detail import DetailWidget
from chroma_nb.widgets.map import MapWidget
from chroma_nb.widgets.map_parts import Control, Shown
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
    from chroma_nb.widgets.explorer import Explorer, FileKind

Mode = Literal["replace", "add", "remove"]
View = Literal["all", "matches", "selection", "hits"]

_VIEWS: dict[View, str] = {"all": "All", "matches": "Filter", "selection": "Selection", "hits": "Hits"}
"""What the table may show."""

_PLACE_NEW, _FIT = "Place them", "Fit again"
_TOLD = 8
"""Metadata values that a tooltip has room for."""
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
        self._reader = RecordReader(explorer.collection, images)
        self._labels = labels
        self._clusters: Clusters | None = None
        self._matches: Rows | None = None
        self._found: Rows | None = None
        self._view: View = "all"
        self._progress = ""
        self.map = MapWidget(height=height)
        self.table = TableWidget(page_size=10, height=330)
        self.detail = DetailWidget()
        self.panel = SelectionWidget(self._act)
        self.builder = explorer.collection.builder(where, where_document, n_results=n_results, results=False)
        self._tabs = TabsWidget([(name, name.capitalize(), None) for name in _PANELS], _PANELS[0], "panels of the explorer")
        self._views = TabsWidget([("all", "All", 0)], "all", "records in the table")
        self._panels = ipywidgets.VBox([self._tabs, self.detail, self.builder.front, self.panel])
        self.root = _arranged(self.map, self._panels, self._views, self.table)
        self._show_panel(_PANELS[0])
        self.map.set_controls(self._controls())
        self.table.set_actions([("like", "More like this")])
        self.detail.set_actions([("like", "More like this"), ("neighbours", "Select neighbours")])
        self._listen()

    def _listen(self) -> None:
        explorer = self._explorer
        self.map.on_select(self._selected)
        self.map.on_click(self._clicked)
        self.map.on_hover(self._hovered)
        self.map.on_control(self._controlled)
        self.map.on_action(lambda action: explorer.refresh(fit_again=action == _FIT))
        self.table.on_select(lambda ids, mode: explorer.select(ids, mode=mode))
        self.table.on_open(self.open)
        self.table.on_action(self._acted_on)
        self.detail.on_open(self.open)
        self.detail.on_action(self._acted_on)
        self.detail.on_filter(self._filter_by)
        self.builder.observe(lambda _: self.show_matches(), ["where", "where_document"])
        self.builder.on_run(self._ran)
        self._views.on_choose(lambda view: self._show_view(cast("View", view)))
        self._tabs.on_choose(self._show_panel)

    def _controls(self) -> list[Control]:
        fields = [str(key) for key in self._explorer.description.fields.index]
        wish = self._explorer.wish
        sizes = [(coloring.NONE, "equal"), *((key, key) for key in self._numeric())]
        return [
            Control("ask", "Ask", "text", placeholder="Ask in words…", group="ask"),
            Control("find", "Find", "text", placeholder="Find a text…", group="ask"),
            Control("color", "Colour", "select", coloring.choices(fields), self._explorer.color_choice, group="look"),
            Control("size", "Size", "select", sizes, self._explorer.size_choice, group="look"),
            Control("layout", "Layout", "select", [("umap", "UMAP"), ("pca", "PCA")], wish.method, group="layout"),
            Control("dimensions", "", "select", [("2", "2-D"), ("3", "3-D")], str(wish.n_components), group="layout"),
            Control("labels", "Labels", "toggle", value=self._labels, group="layout"),
        ]

    def _numeric(self) -> list[str]:
        return [column.label for column in columns_of(self._explorer.description.fields) if column.kind == "number"]

    # What the page hears

    def _selected(self, rows: Rows, mode: Any) -> None:
        self._explorer.select_rows(rows, mode)
        if len(self._explorer.selected_rows):
            self._show_panel("selection")
            self._show_view("selection")
        self._look_for_news()

    def _clicked(self, row: int | None, modifiers: set[str]) -> None:
        if row is None:
            return
        chosen = np.array([row], dtype=np.intp)
        mode: Mode = "remove" if "alt" in modifiers else "add" if "shift" in modifiers else "replace"
        self._explorer.select_rows(chosen, mode)
        if mode == "replace":
            self.open(self._explorer.points.ids[row])

    def _hovered(self, row: int) -> Shown:
        read = self._reader.read(self._explorer.points.ids[row])
        if read is None:
            return Shown(self._explorer.points.ids[row], "this record has been deleted")
        return Shown(read.id, read.document or "", [(key, cells.text(value)) for key, value in list(read.metadata.items())[:_TOLD]])

    def _controlled(self, name: str, value: Any) -> None:
        explorer = self._explorer
        if name == "ask":
            if value.strip():
                explorer.ask(value)
            else:
                explorer.forget()
        elif name == "find":
            self._found = explorer.points.matching(None, {"$contains": value}) if value else None
            self._show_highlight()
        elif name == "color":
            explorer.color = value
        elif name == "size":
            explorer.size = value
        elif name == "labels":
            self._labels = bool(value)
            self._show_labels()
        elif name == "layout":
            explorer.lay_out(value)
        elif name == "dimensions":
            explorer.lay_out(n_components=int(value))
        self._look_for_news()

    def _acted_on(self, action: str, name: str) -> None:
        if action == "like":
            self._explorer.ask(like=name)
        elif action == "neighbours":
            self._explorer.select(self._explorer.neighbors(name)["id"].tolist())

    def _filter_by(self, key: str, value: Any) -> None:
        clause = {key: {"$eq": value}}
        before = self.builder.where
        self.builder.where = clause if before is None else {"$and": [before, clause]}
        self._show_panel("filter")

    def _ran(self, builder: Any) -> None:
        frame = builder.frame
        if frame is not None and "distance" in frame.columns:
            self._explorer.take_hits(frame)
        else:
            self._show_view("matches")

    def _act(self, what: str, *given: str) -> str:
        explorer = self._explorer
        if what == "clear":
            explorer.clear()
            return "Nothing is selected."
        if what == "undo":
            explorer.undo()
            return f"{len(explorer.selected_ids):,} records are selected again."
        if what == "keep":
            explorer.keep(given[0])
            return f"Kept as {given[0]!r}: explorer.select(name={given[0]!r}) selects it again."
        if what == "restore":
            explorer.select(name=given[0])
            return f"{len(explorer.selected_ids):,} records are selected."
        if what == "tag":
            if not given[0]:
                raise InvalidArgumentError("key: is empty; say under which metadata key the value is to be written")
            count = explorer.tag(given[0], given[1])
            return f"Wrote {given[0]} = {given[1]!r} to {count:,} records."
        return f"Wrote {explorer.save(cast('FileKind', given[0]))}."

    def open(self, name: str) -> None:
        """Show a record, with its nearest neighbours in the collection's space lit up on the map."""
        self._show_panel("record")
        self.detail.set_loading()
        record = self._reader.read(name)
        if record is None:
            self.detail.set_record(None)
            return
        near = self._explorer.neighbors(name)
        self.detail.set_record(self._reader.full(record, near, self._explorer.hits))
        self._show_lines(name, near, name)

    # What the page shows

    def _show_panel(self, name: str) -> None:
        for panel, widget in zip(_PANELS, self._panels.children[1:], strict=True):
            widget.layout.display = None if panel == name else "none"
        self._tabs.show(chosen=name)

    def show_points(self, points: Points, *, animate: bool) -> None:
        """Show other places."""
        self._clusters = None
        self._found = None
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
        self.map.set_stale(None)

    def show_progress(self, text: str, fraction: float | None) -> None:
        """Say what is being done."""
        self.map.set_status(f"{self._progress} · {text}" if text and self._progress else text or self._progress, fraction)

    def show_failure(self, error: Exception) -> None:
        """Say what went wrong with a layout."""
        self.map.set_status(str(error) if isinstance(error, ChromaError) else f"{type(error).__name__}: {error}")

    def show_trust(self, trust: Trust) -> None:
        """Say how far the map is to be trusted."""
        self._progress += f" · keeps {trust.recall:.0%} of {trust.k} nearest neighbours"
        self.map.set_status(self._progress, detail=str(trust))

    def show_clusters(self, clusters: Clusters) -> None:
        """Name clusters on the map."""
        self._clusters = clusters
        self._show_labels()

    def _show_labels(self) -> None:
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
            self._show_view("selection")

    def show_matches(self) -> None:
        """Let the records that match the filter stand out."""
        where, where_document = self.builder.where, self.builder.where_document
        filtered = where is not None or where_document is not None
        try:
            self._matches = self._explorer.points.matching(where, where_document) if filtered else None
        except ChromaError as error:
            self.map.set_status(str(error))
            return
        self._show_highlight()
        if filtered:
            self._view = "matches"
        self.show_table()

    def _show_highlight(self) -> None:
        both = [rows for rows in (self._matches, self._found) if rows is not None]
        self.map.set_highlight(None if not both else both[0] if len(both) == 1 else np.intersect1d(both[0], both[1]))

    def show_hits(self, label: str, like: str | None) -> None:
        """Light up what a question found."""
        self._hits_label = label, like
        self.show_hits_again()
        self._show_views()
        self._show_view("hits")

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
        self._show_views()

    def show_table(self) -> None:
        """Fill the table anew."""
        self._show_views()
        self._show_view(self._view)

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
            self._show_view("all")
        self._views.show(offered, self._view)

    def _show_view(self, view: View) -> None:
        explorer = self._explorer
        self._view = view
        self._views.show(chosen=view)
        if view == "hits":
            self.table.set_source(FrameSource(explorer.hits))
            return
        rows = {"all": None, "matches": self._matches, "selection": explorer.selected_rows}[view]
        self.table.set_source(RecordSource(explorer.collection, explorer.points, rows, columns_of(explorer.description.fields)))

    def _look_for_news(self) -> None:
        explorer = self._explorer
        if explorer.is_stale():
            self.map.set_stale("The collection has changed since this map was made.", _PLACE_NEW)

    def close(self) -> None:
        """Take the widgets off the page."""
        for widget in (self.map, self.table, self.detail, self.panel, self.builder.front, self._tabs, self._views, self._panels, self.root):
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
