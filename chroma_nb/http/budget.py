"""What clients keep in the server's memory: replies they have not taken yet, bodies they have not finished sending.

Each such thing is a `Held`, with the bytes it costs and the moment its client last did its part. As long as all together stay below a
limit nobody is hurried. Beyond it those who stand still are let go, the one that has done so for longest first; those who keep taking or
sending are left alone. Must not live here: what is held. Used on the server's loop alone, by `chroma_nb.http.app` and
`chroma_nb.http.lanes`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

_STILL = 0.25
_GIVEN_UP = 2.0


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
        Bytes beyond which those who stand still are let go.
    eased
        Called when there is room again, or may be.
    relieved
        Called after clients were let go.
    """

    def __init__(self, most: int, eased: Callable[[], None] = lambda: None, relieved: Callable[[], None] = lambda: None) -> None:
        self._most = most
        self._eased = eased
        self._relieved = relieved
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
        self._held[held] = None
        held.grow(size)
        return held

    def change(self, size: int) -> None:
        """Count bytes that came or went."""
        self._size += size
        if self.is_over and self._look is None:
            self._look = asyncio.get_running_loop().call_later(_STILL, self._press)

    def drop(self, held: Held) -> None:
        """Hold something no longer."""
        if self._held.pop(held, held) is None:
            self._size -= held.size
            if not self.is_over:
                self._eased()

    @property
    def is_over(self) -> bool:
        """Whether more is held than may be."""
        return self._size > self._most

    @property
    def is_full(self) -> bool:
        """Whether what stands still, or may yet turn out to, is too much; what is being taken or sent makes room by itself."""
        if not self.is_over:
            return False
        still = self.now() - _STILL
        return sum(held.size for held in self._held if held.since <= still or held.begun > still) > self._most

    def make_room(self) -> None:
        """Let those go who have stood still for long, until the rest fits or all of them have gone."""
        before = self.now() - _GIVEN_UP
        gone = []
        for held in sorted(self._held, key=lambda held: held.since):
            if not self.is_over or held.since > before:
                break
            self.drop(held)
            gone.append(held)
        for held in gone:
            held.let_go()
        if gone:
            self._relieved()

    def _press(self) -> None:
        assert self._look is not None  # noqa: S101 - this is what it calls
        late = self.now() - self._look.when()
        self._look = None
        if late > _STILL:  # the kernel computed and let no other thread run: nobody could do a part
            for held in self._held:
                held.since += late
        self.make_room()
        self.change(0)
        self._eased()
