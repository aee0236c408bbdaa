"""What clients keep in the server's memory: replies they have not taken yet, bodies they have not finished sending.

Each such thing is a `Held`, with the bytes it costs and the moment its client last did its part. As long as all together stay below a
limit nobody is hurried. Beyond it those who stand still are let go, the one that has done so for longest first; those who keep taking or
sending are left alone. Must not live here: what is held, and when it is looked after. Used on the server's loop alone, by
`chroma_nb.http.app` and `chroma_nb.http.lanes`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

STILL: Final = 0.25
"""Seconds after which somebody counts as standing still."""
GIVEN_UP: Final = 2.0
"""Seconds after which somebody who stands still is let go for others."""
_MOVING = 8


class Held:
    """Something a client keeps here; made by `Budget.hold`."""

    def __init__(self, budget: Budget, let_go: Callable[[], None]) -> None:
        self._budget = budget
        self.let_go = let_go
        self.size = 0
        self.begun = self.since = budget.now()
        """When it was begun, and when its client last took or sent something; infinite while the server has to do its part."""

    def grow(self, size: int) -> None:
        """Add bytes to what it costs."""
        self.size += size
        self._budget.change(size)

    def moved(self) -> None:
        """Note that the client has done its part, and is to do the next."""
        self.since = self._budget.now()

    def wait(self) -> None:
        """Note that the client waits for the server."""
        self.since = math.inf

    def release(self) -> None:
        """Hold it no longer."""
        self._budget.drop(self)


class Budget:
    """How much may be held at once.

    Parameters
    ----------
    most
        Bytes; of one thing no more than half of them count, so that a large one alone is in nobody's way.
    eased
        Called when there is room again.
    """

    def __init__(self, most: int, eased: Callable[[], None] = lambda: None) -> None:
        self._most = most
        self._eased = eased
        self._held: dict[Held, None] = {}
        self._size = 0

    @staticmethod
    def now() -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def hold(self, size: int, let_go: Callable[[], None]) -> Held:
        """Begin to hold something; `let_go` makes its client give it up."""
        held = Held(self, let_go)
        self._held[held] = None
        held.grow(min(size, self._most // 2))
        return held

    def change(self, size: int) -> None:
        """Count bytes that came or went."""
        self._size += size

    def drop(self, held: Held) -> None:
        """Hold something no longer."""
        if self._held.pop(held, held) is None:
            self._size -= held.size
            self._eased()

    @property
    def is_over(self) -> bool:
        """Whether more is held than may be."""
        return self._size > self._most

    def is_full(self, coming: int = 0) -> bool:
        """Tell whether what stands still, or may yet turn out to, is too much; what moves makes room by itself, up to a point.

        Parameters
        ----------
        coming
            Bytes that are expected besides; they count as soon as anybody stands still.
        """
        if self._size + coming <= self._most:
            return False
        still = self.now() - STILL
        standing = sum(held.size for held in self._held if held.since <= still)
        young = sum(held.size for held in self._held if held.begun > still)
        return standing + young + (coming if standing else 0) > self._most or self._size > _MOVING * self._most

    def make_room(self, patience: float = GIVEN_UP) -> bool:
        """Let those go who have stood still for so many seconds, until the rest fits; tell whether there were any."""
        before = self.now() - patience
        gone = []
        for held in sorted(self._held, key=lambda held: held.since):
            if not self.is_over or held.since > before:
                break
            del self._held[held]
            self._size -= held.size
            gone.append(held)
        for held in gone:
            held.let_go()
        return bool(gone)

    def forgive(self, seconds: float) -> None:
        """Take it that nobody could do anything for so long: the process computed, and let no other thread run."""
        for held in self._held:
            held.since += seconds
