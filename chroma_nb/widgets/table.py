"""A paged, sortable table: the page in a browser holds what it shows and nothing else.

Lives here: which rows travel, which are selected, who is told of clicks. What a cell looks like is in `chroma_nb.widgets.cells`, where
rows come from in `chroma_nb.widgets.sources`, drawing in ``static/table*.js``. Used by the query builder and the explorer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import traitlets

from chroma_nb import html
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.widgets import cells
from chroma_nb.widgets.channel import Answerer, Content, Mode, Talking
from chroma_nb.widgets.sources import Column, FrameSource, Sort, Source

__all__ = ["Column", "FrameSource", "Mode", "Source", "TableWidget"]

Row: TypeAlias = Sequence[object]
Call = TypeVar("Call", bound=Callable[..., object])

_LONGEST_PAGE = 500
_STATIC_ROWS = 10
_STATIC_COLUMNS = 8
_LABEL = 120


class TableWidget(Talking, front="table"):
    """A table of records. Its page asks for one page of rows at a time, in the order it was clicked to; several views do so on their own.

    Parameters
    ----------
    source
        Where rows come from; None shows that there is nothing yet.
    page_size
        Rows of a page, 1 to 500; an observable trait.
    height
        Pixels after which the rows scroll; an observable trait.

    Examples
    --------
    >>> import pandas as pd
    >>> table = TableWidget(FrameSource(pd.DataFrame({"year": [2024, 2023]}, index=["a", "b"])))
    >>> table.set_selection(["b"])
    >>> table.selection
    ['b']
    """

    page_size = traitlets.Int(20)
    height = traitlets.Int(480, min=80).tag(sync=True)

    def __init__(self, source: Source | None = None, page_size: int = 20, **traits: Any) -> None:
        self._source = source
        self._title, self._detail = "", ""
        self._actions: list[tuple[str, str]] = []
        self._selected: dict[str, None] = {}
        self._handles = _Handles()
        self._on_select: list[Callable[[list[str], Mode], object]] = []
        self._on_open: list[Callable[[str], object]] = []
        self._on_action: list[Callable[[str, str], object]] = []
        super().__init__(page_size=page_size, **traits)

    def set_source(self, source: Source | None) -> None:
        """Show other rows, from their first page, in their own order. The selection stays, since ids may be in both."""
        with self._lock:
            self._source = source
        self._tell("changed", {"fresh": True})

    def refresh(self) -> None:
        """Show what the source has now, on the pages and in the order that the views are at."""
        self._tell("changed", {"fresh": False})

    def set_title(self, text: str, detail: str = "") -> None:
        """Set what stands above the table, with a quieter `detail` beside it; without a text, the number of rows stands there."""
        with self._lock:
            self._title, self._detail = text, detail
        self._tell("titled", {"title": cells.text(text), "detail": cells.text(detail)})

    def set_actions(self, actions: Sequence[tuple[str, str]]) -> None:
        """Set the buttons of a row, as (name, label), which show while the pointer or the cursor is on it."""
        with self._lock:
            self._actions = list(actions)
        self.refresh()

    @property
    def selection(self) -> list[str]:
        """The selected ids, in the order in which they were selected, on whatever page they are."""
        with self._lock:
            return list(self._selected)

    def set_selection(self, ids: Collection[str]) -> None:
        """Mark the rows of these ids, and no others. Callbacks of `on_select` are not called: they hear of the user's doing."""
        with self._lock:
            self._selected = dict.fromkeys(ids)
        self._tell("marked")

    def on_select(self, call: Callable[[list[str], Mode], object]) -> None:
        """Call ``call(ids, mode)`` after the user changed the selection: made it `ids`, added or removed them."""
        self._on_select.append(call)

    def on_open(self, call: Callable[[str], object]) -> None:
        """Call ``call(id)`` when the user opens a row with a click or Enter."""
        self._on_open.append(call)

    def on_action(self, call: Callable[[str, str], object]) -> None:
        """Call ``call(name, id)`` when the user presses a button of a row."""
        self._on_action.append(call)

    @traitlets.validate("page_size")
    def _checked_page_size(self, proposal: Mapping[str, Any]) -> int:
        size: int = proposal["value"]
        if not 1 <= size <= _LONGEST_PAGE:
            raise InvalidArgumentError(f"page_size: expected 1 to {_LONGEST_PAGE} rows, got {size}")
        return size

    @traitlets.observe("page_size")
    def _page_size_changed(self, _: object) -> None:
        if self.comm is not None:  # not while it is being made
            self.refresh()

    def _answers(self) -> Mapping[str, Answerer]:
        return {
            "page": self._answer_page,
            "marks": self._answer_marks,
            "cell": self._answer_cell,
            "select": self._answer_select,
            "open": self._answer_open,
            "action": self._answer_action,
            "resize": self._answer_resize,
        }

    def _answer_page(self, asked: Content, _: object) -> Content:
        with self._lock:
            source, size = self._source, self.page_size
        columns = list(source.columns) if source is not None else []
        sort = self._sort(asked.get("sort"), columns)
        count = source.count() if source is not None else 0
        number = max(min(int(asked.get("page", 0)), (count - 1) // size), 0)
        rows = list(source.page(number * size, (number + 1) * size, sort)) if source is not None and count else []
        shown = _written(rows, columns)
        with self._lock:
            ids = [_id_of(row) for row in rows]
            return {
                "title": cells.text(self._title),
                "detail": cells.text(self._detail),
                "columns": [self._described(column) for column in columns],
                "sort": [self._handles.of(sort[0]), sort[1]] if sort else None,
                "count": count,
                "number": number,
                "size": size,
                "actions": [[cells.text(name), cells.text(label)] for name, label in self._actions],
                "selected": len(self._selected),
                "rows": [
                    {"key": self._handles.of(each), "marked": each in self._selected, "cells": row}
                    for each, row in zip(ids, shown, strict=True)
                ],
            }

    def _described(self, column: Column) -> dict[str, Any]:
        label = cells.cut(cells.text(column.label or column.name), _LABEL)
        return {"key": self._handles.of(column.name), "label": label, "kind": column.kind, "sortable": column.sortable}

    def _sort(self, asked: object, columns: Sequence[Column]) -> Sort:
        if not isinstance(asked, list):
            return None
        with self._lock:
            name = self._handles.text(asked[0])
        return (name, bool(asked[1])) if any(column.name == name and column.sortable for column in columns) else None

    def _answer_marks(self, asked: Content, _: object) -> Content:
        with self._lock:
            return {
                "marks": [self._handles.text(key) in self._selected for key in asked["rows"]],
                "selected": len(self._selected),
            }

    def _answer_cell(self, asked: Content, _: object) -> Content:
        """Answer with the whole text of a cell, which the page has only the beginning of."""
        with self._lock:
            source, size = self._source, self.page_size
            row_id, name = self._handles.text(asked["row"]), self._handles.text(asked["column"])
        columns = list(source.columns) if source is not None else []
        at = int(asked["page"]) * size + int(asked["place"])
        rows = source.page(at, at + 1, self._sort(asked.get("sort"), columns)) if source is not None else []
        place = next((i for i, column in enumerate(columns) if column.name == name), None)
        if place is None or not rows or _id_of(rows[0]) != row_id:
            raise InvalidArgumentError("the rows have changed since they were shown; look at the page again")
        return {"text": cells.text(rows[0][place])}

    def _answer_select(self, asked: Content, _: object) -> None:
        mode: Mode = asked["mode"]
        with self._lock:
            ids = [self._handles.text(key) for key in asked["rows"]]
            if mode == "replace":
                self._selected.clear()
            for each in ids:
                if mode == "remove":
                    self._selected.pop(each, None)
                else:
                    self._selected[each] = None
        self._tell("marked")
        for call in self._on_select:
            call(ids, mode)

    def _answer_open(self, asked: Content, _: object) -> None:
        row_id = self._known(asked)
        for call in self._on_open:
            call(row_id)

    def _answer_action(self, asked: Content, _: object) -> None:
        row_id = self._known(asked)
        for call in self._on_action:
            call(str(asked["name"]), row_id)

    def _answer_resize(self, asked: Content, _: object) -> None:
        self.page_size = int(asked["size"])

    def _known(self, asked: Content) -> str:
        with self._lock:
            return self._handles.text(asked["row"])

    def static_table(self) -> html.Html:
        """Return the first rows as a plain HTML table, for where no widget can be."""
        with self._lock:
            source = self._source
        if source is None:
            return html.Html()
        columns = list(source.columns)[:_STATIC_COLUMNS]
        rows = source.page(0, _STATIC_ROWS, None)
        if not rows:
            return html.element("div", "no rows")
        shown = [[_static_text(each) for each in row[: len(columns)]] for row in rows]
        more = source.count() - len(rows)
        table = html.table(shown, [column.label or column.name for column in columns])
        return html.join([table, html.element("div", f"{more:,} more rows") if more > 0 else ""])

    def _static_html(self) -> str:
        with self._lock:
            source, title, detail = self._source, self._title, self._detail
        if source is None:
            return ""
        try:
            return str(html.card(title or f"{source.count():,} rows", detail, self.static_table()))
        except ChromaError as error:
            return str(html.card(title or "Table", str(error)))


class _Handles:
    """Small numbers for texts, both ways: ids and names may be long, or unfit for JSON, and the page never needs to look into them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def of(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self._texts))
        if number == len(self._texts):
            self._texts.append(text)
        return number

    def text(self, number: object) -> str:
        if not isinstance(number, int) or not 0 <= number < len(self._texts):
            raise InvalidArgumentError(f"the page speaks of row or column {number!r}, which this table has not shown; reload the page")
        return self._texts[number]


def _id_of(row: Row) -> str:
    return row[0] if isinstance(row[0], str) else cells.text(row[0])


def _written(rows: Sequence[Row], columns: Sequence[Column]) -> list[list[cells.Cell]]:
    written = [[cells.cell(each) for each in row] for row in rows]
    for place, column in enumerate(columns):
        if column.kind == "distance":
            for row, share in zip(written, cells.shares([row[place] for row in rows]), strict=True):
                if share is not None:
                    shown = row[place]
                    row[place] = {**(shown if isinstance(shown, dict) else {"text": shown, "full": shown}), "share": share}
    return written


def _static_text(value: object) -> str:
    shown = cells.cell(value)
    if isinstance(shown, dict):
        return shown["text"] if "text" in shown else ", ".join(shown["list"]) + (f", {shown['more']} more" if shown["more"] else "")
    return "" if shown is None else str(shown).lower() if isinstance(shown, bool) else shown
