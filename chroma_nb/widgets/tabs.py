"""A row of tabs: which of several things is shown. What is shown below it is the owner's business. Used by the explorer's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chroma_nb.widgets.channel import Answerer, Content, Talking


class TabsWidget(Talking, front="tabs"):
    """Tabs, one of which is chosen.

    Parameters
    ----------
    tabs
        Name, label, and a number that stands beside it (None for none).
    chosen
        The name of one of them.
    label
        What the row is for, said to those who do not see it.
    """

    def __init__(self, tabs: Sequence[tuple[str, str, int | None]], chosen: str, label: str, **traits: Any) -> None:
        self._tabs = list(tabs)
        self._chosen = chosen
        self._label = label
        self._on_choose: list[Callable[[str], object]] = []
        super().__init__(**traits)

    @property
    def chosen(self) -> str:
        """The name of the tab that is chosen."""
        return self._chosen

    def show(self, tabs: Sequence[tuple[str, str, int | None]] | None = None, chosen: str | None = None) -> None:
        """Show other tabs, or choose another one, without a call of `on_choose`."""
        with self._lock:
            self._tabs = self._tabs if tabs is None else list(tabs)
            self._chosen = self._chosen if chosen is None else chosen
        self._tell("state", self._state())

    def on_choose(self, call: Callable[[str], object]) -> None:
        """Call with the name of a tab that the user chose."""
        self._on_choose.append(call)

    def _state(self, *_: object) -> Content:
        with self._lock:
            return {"tabs": [list(tab) for tab in self._tabs], "chosen": self._chosen, "label": self._label}

    def _answers(self) -> Mapping[str, Answerer]:
        return {"state": self._state, "choose": self._answer_choose}

    def _answer_choose(self, asked: Content, _: object) -> None:
        with self._lock:
            self._chosen = next(name for name, _, _ in self._tabs if name == asked["name"])
        self._tell("state", self._state())
        for call in self._on_choose:
            call(self._chosen)
