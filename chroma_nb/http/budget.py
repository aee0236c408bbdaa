"""What clients keep in the server's memory: replies they have not taken yet, bodies they have not finished sending.

Each such thing is an `Held`, with the bytes it costs and the moment its client last did its part. As long as all together stay below a
limit nobody is hurried. Beyond it those who stand still are let go, the one that has done so for longest first; those who keep taking or
sending are left alone. Must not live here: what is held. Used by `chroma_nb.http.app`, on the server's loop alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_STILL = 0.25
_GIVEN_UP = 2.0


class Held:
    """Something a client keeps here; made by `Budget.hold`."""

    def __init__(self, budget: Budget, let_go: Callable[[], None]) -> None:
        self._budget = budget
        self.let_go = let_go
        self.size = 0
        self.since = 0.0
        """When its client last took or sent something."""

    def grow(self, size: int) -> None:
        """Add bytes to what it costs."""
        self.size += size
        self._budget.change(size)

    def moved(self) -> None:
        """Note that the client has done its part."""
        self.since = self._budget.now()

    def release(self) -> None:
        """Hold it no longer."""
        self._budget.drop(self)


class Budget:
    """How much may be held at once.

    Parameters
    ----------
    most
        Bytes beyond which those who stand still are let go.
    eased
        Called when there is room again, or may be.
    """

    def __init__(self, most: int, eased: Callable[[], None] = lambda: None) -> None:
        self._most = most
        self._eased = eased
        self._held: dict[Held, None] = {}
        self._size = 0
        self._look: asyncio.TimerHandle | None = None

    @staticmethod
    def now() -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def hold(self, size: int, let_go: Callable[[], None]) -> Held:
        """Begin to hold something; `let_go` makes its client give it up."""
        held = Held(self, let_go)
        held.moved()
        self._held[held] = None
        held.grow(size)
        return held

    def change(self, size: int) -> None:
        """Count bytes that came or went."""
        self._size += size
        if self._size > self._most and self._look is None:
            self._look = asyncio.get_running_loop().call_later(_STILL, self._press)

    def drop(self, held: Held) -> None:
        """Hold something no longer."""
        if self._held.pop(held, held) is None:
            self._size -= held.size
            if self._size <= self._most:
                self._eased()

    @property
    def is_over(self) -> bool:
        """Whether more is held than may be."""
        return self._size > self._most

    @property
    def is_full(self) -> bool:
        """Whether what stands still is too much already; what is being taken or sent makes room by itself."""
        if self._size <= self._most:
            return False
        still = self.now() - _STILL
        return sum(held.size for held in self._held if held.since <= still) > self._most

    def make_room(self) -> None:
        """Let those go who have stood still for long, until the rest fits or all of them have gone."""
        before = self.now() - _GIVEN_UP
        for held in sorted(self._held, key=lambda held: held.since):
            if self._size <= self._most or held.since > before:
                return
            self.drop(held)
            held.let_go()

    def _press(self) -> None:
        self._look = None
        self.make_room()
        self.change(0)
        self._eased()
