"""Values of any size and shape, shown within bounds: in messages about filters and in the sentence that describes one.

Must not live here: sentences themselves. Called by the parser, for its errors, and by `chroma_nb.filters.wording`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from typing import Final

WIDTH: Final = 60
"""Characters that one value may take."""


class _Brief(reprlib.Repr):
    """A repr whose cost is bounded, also for values that contain themselves or share their parts."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxtuple, self.maxstring, self.maxother = 2, 3, 3, 3, WIDTH, WIDTH

    def repr_instance(self, x: object, level: int) -> str:
        return "..." if isinstance(x, Collection) else super().repr_instance(x, level)


_BRIEF: Final = _Brief()


def short(value: object) -> str:
    """Return the repr of `value`, cut short."""
    return _BRIEF.repr(value)


def quoted(text: str) -> str:
    """Return the repr of `text`, cut short; of a subclass of str too it is the text that is shown."""
    return _BRIEF.repr(str.__str__(text))


def shown(value: object) -> str:
    """Return the type of `value` and its repr, cut short, or the type alone when the repr fails."""
    if value is None:
        return "None"
    try:
        return f"{type(value).__name__} {_BRIEF.repr(value)}"
    except Exception:  # noqa: BLE001 - a foreign repr may do anything; the message must still come
        return type(value).__name__
