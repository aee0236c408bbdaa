"""The panel beside the map that says what is selected, and what can be done with it: keep it, tag it, write it to a file.

Knows numbers and names, not records; the explorer listens to it. The page's half is ``static/selection.js``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chroma_nb.widgets.channel import Answerer, Content, Talking

_NAME = 200


class SelectionWidget(Talking, front="selection"):
    """What is selected, as a panel."""

    def __init__(self, **traits: Any) -> None:
        self._act: Callable[..., str] = lambda *_: ""
        self._count, self._total = 0, 0
        self._names: list[tuple[str, int]] = []
        self._keys: list[str] = []
        super().__init__(**traits)

    def on_act(self, call: Callable[..., str]) -> None:
        """Call with what the user asks for and its arguments, and show the sentence that it returns.

        These are ``"clear"``, ``"undo"``, ``"keep"`` (name), ``"restore"`` (name), ``"tag"`` (key, value) and ``"save"`` (kind of file).
        """
        self._act = call

    def show(
        self,
        *,
        count: int | None = None,
        total: int | None = None,
        names: Sequence[tuple[str, int]] | None = None,
        keys: Sequence[str] | None = None,
    ) -> None:
        """Show other numbers, kept selections (name, records) or metadata keys; what is not given stays."""
        with self._lock:
            self._count = self._count if count is None else count
            self._total = self._total if total is None else total
            self._names = self._names if names is None else list(names)
            self._keys = self._keys if keys is None else list(keys)
        self._tell("state", self._state())

    def _state(self, *_: object) -> Content:
        with self._lock:
            names = [[name[:_NAME], count] for name, count in self._names]
            return {"count": self._count, "total": self._total, "names": names, "keys": self._keys}

    def _answers(self) -> Mapping[str, Answerer]:
        return {"state": self._state, "act": self._answer_act}

    def _answer_act(self, asked: Content, _: object) -> Content:
        given = asked.get("given", [])
        if asked["what"] == "restore":
            # By number: a name may be longer than what the page shows of it.
            with self._lock:
                given = [self._names[int(given[0])][0]]
        return {"said": self._act(str(asked["what"]), *given)}
