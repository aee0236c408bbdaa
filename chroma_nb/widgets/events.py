"""What the explorer's widgets hear, and which of its verbs each event means.

Must not live here: what is shown (`page`), what the state becomes (`explorer`). What may take long is done by a thread, one thing after the
other, so that the page goes on answering meanwhile: a first question loads a model, which takes seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.widgets import cells
from chroma_nb.widgets.map_parts import Shown

if TYPE_CHECKING:
    from chroma_nb.widgets.explorer import Explorer, FileKind
    from chroma_nb.widgets.page import Page
    from chroma_nb.widgets.points import Rows
    from chroma_nb.widgets.table import Mode

_LOG = logging.getLogger("chroma_nb.widgets")
_TOLD = 8
"""Metadata values that a tooltip has room for."""
FIT, PLACE = "Fit again", "Place them"
"""What can be done about records that are not on the map."""


class Events:
    """Listens to the widgets of a page.

    Parameters
    ----------
    explorer
        Whose verbs are called.
    page
        Whose widgets are listened to.
    """

    def __init__(self, explorer: Explorer, page: Page) -> None:
        self._explorer = explorer
        self._page = page
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="chroma_nb explorer")
        page.map.on_select(self._selected)
        page.map.on_click(self._clicked)
        page.map.on_hover(self._hovered)
        page.map.on_control(lambda name, value: self._later("asking" if name == "ask" else "", self._controlled, name, value))
        page.map.on_action(lambda action: self._later("", lambda: explorer.refresh(fit_again=action == FIT)))
        page.table.on_select(lambda ids, mode: explorer.select(ids, mode=mode))
        page.table.on_open(self._open)
        page.table.on_action(self._acted_on)
        page.detail.on_open(self._open)
        page.detail.on_action(self._acted_on)
        page.detail.on_filter(self._filter_by)
        page.panel.on_act(self._act)
        page.builder.observe(lambda _: page.show_matches(), ["where", "where_document"])
        page.builder.on_run(self._ran)
        page.views.on_choose(page.show_view)
        page.tabs.on_choose(page.show_panel)

    def close(self) -> None:
        """Begin nothing more."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def wait(self) -> None:
        """Wait until what was heard has been done."""
        self._worker.submit(lambda: None).result()

    def _act(self, what: str, *given: str) -> str:
        """Do what the selection's panel asks for, and say in a sentence what was done."""
        explorer = self._explorer
        match what, given:
            case "clear", ():
                explorer.clear()
                return "Nothing is selected."
            case "undo", ():
                explorer.undo()
                return f"{len(explorer.selected_ids):,} records are selected again."
            case "keep", (name,):
                explorer.keep(name)
                return f"Kept: explorer.select(name={name!r}) selects it again."
            case "restore", (name,):
                explorer.select(name=name)
                return f"{len(explorer.selected_ids):,} records are selected."
            case "tag", (key, value):
                return f"Wrote {key} = {value!r} to {explorer.tag(key, value):,} records."
            case "save", (kind,):
                return f"Wrote {explorer.save(cast('FileKind', kind))}."
        raise InvalidArgumentError(f"the panel asks for {what[:60]!r}, which nobody here knows; reload the page")

    def _later(self, doing: str, work: Callable[..., Any], *given: Any) -> None:
        def done() -> None:
            if doing:
                self._page.show_progress(doing, None)
            try:
                work(*given)
            except ChromaError as error:
                self._page.show_failure(error)
            except Exception as error:  # noqa: BLE001 - there is nobody above a thread
                _LOG.exception("explorer: %s", work)
                self._page.show_failure(error)
            else:
                if doing:
                    self._page.show_progress("", None)

        self._worker.submit(done)

    def _selected(self, rows: Rows, mode: Mode) -> None:
        self._explorer.select_rows(rows, mode)
        if len(self._explorer.selected_rows):
            self._page.show_panel("selection")
            self._page.show_view("selection")
        self._page.show_news()

    def _clicked(self, row: int | None, modifiers: set[str]) -> None:
        if row is None:
            return
        mode: Mode = "remove" if "alt" in modifiers else "add" if "shift" in modifiers else "replace"
        self._explorer.select_rows(np.array([row], dtype=np.intp), mode)
        if mode == "replace":
            self._open(self._explorer.points.ids[row])

    def _hovered(self, row: int) -> Shown:
        name = self._explorer.points.ids[row]
        read = self._page.reader.read(name)
        if read is None:
            return Shown(name, "this record has been deleted")
        return Shown(name, read.document or "", [(key, cells.text(value)) for key, value in list(read.metadata.items())[:_TOLD]])

    def _open(self, name: str) -> None:
        self._page.show_panel("record")
        self._page.detail.set_loading()
        self._later("", self._page.open, name)

    def _controlled(self, name: str, value: Any) -> None:
        explorer = self._explorer
        match name:
            case "ask" if value.strip():
                explorer.ask(value)
            case "ask":
                explorer.forget()
            case "find":
                self._page.find(value)
            case "color":
                explorer.color = value
            case "size":
                explorer.size = value
            case "labels":
                self._page.show_labels(wanted=bool(value))
            case "layout":
                explorer.lay_out(value)
            case "dimensions":
                explorer.lay_out(n_components=int(value))
        self._page.show_news()

    def _acted_on(self, action: str, name: str) -> None:
        if action == "like":
            self._later("asking", lambda: self._explorer.ask(like=name))
        elif action == "neighbours":
            self._later("", lambda: self._explorer.select(self._explorer.neighbors(name)["id"].tolist()))

    def _filter_by(self, key: str, value: Any) -> None:
        clause = {key: {"$eq": value}}
        before = self._explorer.where
        self._explorer.where = clause if before is None else {"$and": [before, clause]}
        self._page.show_panel("filter")

    def _ran(self, builder: Any) -> None:
        explorer = self._explorer
        if builder.frame is not None and "distance" in builder.frame.columns:
            explorer.take_hits(builder.frame, asked=builder.nearest)
        else:
            filtered = explorer.where is not None or explorer.where_document is not None
            self._page.show_view("matches" if filtered else "all")
