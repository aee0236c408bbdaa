"""What is selected in an explorer: ways of saying which records, adding and removing, going back, keeping under a name.

Must not live here: how a lasso becomes rows (`map_cloud`), what is done with the records. The first half of `explorer.Explorer`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.uncopied import Uncopied
from chroma_nb.widgets.page import Page
from chroma_nb.widgets.points import Points, Rows
from chroma_nb.widgets.table import Mode

if TYPE_CHECKING:
    import pandas as pd

_REMEMBERED = 20
"""Selections that one can go back to."""


class Selecting(Uncopied, traitlets.HasTraits):
    """The selection of an explorer, which brings the collection, the points and the page.

    Attributes
    ----------
    selected_ids : tuple of str
        Ids of the selected records, in map order. Setting it selects.
    """

    _instead = "show the same explorer again, or make a new one with collection.explore(...)"

    selected_ids = traitlets.Tuple()

    _collection: Any
    _points: Points
    _page: Page

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._selected: Rows = np.array([], dtype=np.intp)
        self._shown_ids: tuple[str, ...] = ()
        self._earlier: list[tuple[str, ...]] = []
        self._named: dict[str, tuple[str, ...]] = {}

    @property
    def selection(self) -> pd.DataFrame:
        """The selected records as `get` returns them, in map order; read from the collection now."""
        ids = list(self.selected_ids)
        if not ids:
            nothing: pd.DataFrame = self._collection.get(limit=0)
            return nothing
        frame: pd.DataFrame = self._collection.get(ids=ids)
        ordered: pd.DataFrame = frame.loc[[name for name in ids if name in frame.index]]
        return ordered

    @property
    def selections(self) -> dict[str, tuple[str, ...]]:
        """Selections kept under a name: name -> ids. See `keep`."""
        return dict(self._named)

    def select(
        self,
        ids: Any = None,
        *,
        mask: Any = None,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        name: str | None = None,
        mode: Mode = "replace",
    ) -> None:
        """Select records, by one of several ways of saying which.

        Parameters
        ----------
        ids : str, sequence of str, or data frame
            Ids, or a frame of records such as `query` returns.
        mask : array-like of bool
            One per record of the map, in the order of ``explorer.coordinates``; or a boolean Series by id.
        where, where_document
            A filter, as for `get`.
        name : str
            Of a selection that was kept.
        mode : {"replace", "add", "remove"}
            What happens to the records that are selected already.

        Raises
        ------
        InvalidArgumentError
            An id is not on the map, or none or several ways were used at once.
        """
        if name is not None:
            ids = self._kept(name)
        self.select_rows(self._points.chosen(ids, mask, where, where_document), mode)

    def clear(self) -> None:
        """Select nothing."""
        self.select_rows(np.array([], dtype=np.intp), "replace")

    def undo(self) -> None:
        """Go back to the selection before the last change."""
        with self._lock:
            before = self._earlier.pop() if self._earlier else None
        if before is not None:
            self._show_selected(np.sort(self._points.rows_of(before)))

    def keep(self, name: str) -> None:
        """Keep the selection under a name, for ``select(name=...)``, as long as the explorer lives; see `tag` for longer."""
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgumentError("name: expected a text, which is what the selection is found by again")
        with self._lock:
            self._named = {**self._named, name: tuple(self.selected_ids)}
        self._page.show_names(self._named)

    def _kept(self, name: str) -> list[str]:
        if name not in self._named:
            known = ", ".join(map(repr, self._named)) or "none yet; keep(name) makes one"
            raise InvalidArgumentError(f"name: there is no selection {name[:60]!r}; kept are: {known}")
        return [each for each in self._named[name] if each in self._points.ids]

    @traitlets.validate("selected_ids")
    def _in_map_order(self, proposal: Any) -> tuple[str, ...]:
        given: object = proposal["value"]
        if given is self._shown_ids:
            return self._shown_ids
        return tuple(self._points.ids_of(np.unique(self._points.chosen(given))))

    @traitlets.observe("selected_ids")
    def _ids_were_set(self, change: Any) -> None:
        if change["new"] is not self._shown_ids:
            self._remember(change["old"])
            self._show_selected(self._points.rows_of(change["new"]))

    @property
    def selected_rows(self) -> Rows:
        """The rows of the selected records on the map, ascending."""
        return self._selected

    def select_rows(self, rows: Rows, mode: Mode) -> None:
        """Select records by their rows on the map, as `select` does by other ways."""
        if mode not in ("replace", "add", "remove"):
            raise InvalidArgumentError(f"mode: expected 'replace', 'add' or 'remove', got {mode!r}")
        with self._lock:
            before = self._selected
            chosen = np.unique(rows) if mode == "replace" else np.union1d(before, rows) if mode == "add" else np.setdiff1d(before, rows)
            self._remember(tuple(self.selected_ids))
        self._show_selected(chosen)

    def _remember(self, ids: tuple[str, ...]) -> None:
        with self._lock:
            self._earlier = [*self._earlier, ids][-_REMEMBERED:]

    def _show_selected(self, rows: Rows) -> None:
        with self._lock:
            self._selected = rows
            self._shown_ids = tuple(self._points.ids_of(rows))
            # Before the trait, whose observers may look at the page's state; under the lock, so that the page ends at the last of two.
            self._page.show_selection(rows, self._shown_ids)
        self.selected_ids = self._shown_ids
