"""Traits of several that stand for one state: set together, and told of when all of them are.

Called by widgets whose traits people set and observe while other threads do the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import traitlets

Change: TypeAlias = "tuple[str, Any, Any]"


class Exact(traitlets.Any):
    """A trait whose values may be equal to Python and yet differ: ``{"v": 1}`` and ``{"v": True}`` are two filters."""

    def set(self, obj: Any, value: Any) -> None:
        """Set the value, and tell observers if it is another one."""
        new = self._validate(obj, value)
        old = obj._trait_values.get(self.name, self.default_value)
        obj._trait_values[self.name] = new
        if not is_same(old, new):
            obj._notify_trait(self.name, old, new)


class Together(traitlets.HasTraits):
    """Traits that an object sets several of at once; `_published` has what it set last, to tell it from what users set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._published: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def _assign(self, values: Mapping[str, Any]) -> list[Change]:
        """Set traits, read-only ones too, and return what there is to tell.

        To be called with the object's lock held. Observers are told later, with `_tell_observers`, and without the lock: they may wait
        for other threads, and who hears of one trait sees the others as they are too.
        """
        changes = []
        for name, new in values.items():
            old, self._published[name] = self._trait_values.get(name), new
            if not is_same(old, new):
                changes.append((name, old, new))
            self._trait_values[name] = new
        return changes

    def _tell_observers(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._notify_trait(*change)


def is_same(old: object, new: object) -> bool:
    """Tell whether two values of a trait are the same; arrays and frames are only the same as themselves.

    Examples
    --------
    >>> is_same({"v": 1}, {"v": 1}), is_same({"v": 1}, {"v": True})
    (True, False)
    """
    return old is new or (not hasattr(new, "shape") and not hasattr(old, "shape") and repr(old) == repr(new))
