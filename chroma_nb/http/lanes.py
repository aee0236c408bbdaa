"""Whose turn it is: requests are carried out in threads, and what is quick never waits for a thread that something slow has.

Each lane has threads and a queue of its own; `LANE_OF` says which route takes which. A queue has an end: who comes when it is full is
told to come again. Must not live here: what is carried out. Used by `chroma_nb.http.app`, on the server's loop alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Literal, TypeAlias, TypeVar

from chroma_nb.http.budget import GIVEN_UP, STILL, Budget, Held

R = TypeVar("R")
LaneName: TypeAlias = Literal["instant", "light", "heavy", "long"]

LANE_OF: Final[dict[str, LaneName]] = {
    # Looks at no store.
    "root": "instant",
    "heartbeat": "instant",
    "version": "instant",
    "healthcheck": "instant",
    "pre_flight_checks": "instant",
    "identity": "instant",
    # Looks into the catalogue.
    "tenant.get": "light",
    "database.list": "light",
    "database.get": "light",
    "collection.list": "light",
    "collection.count_all": "light",
    "collection.by_id": "light",
    "collection.get": "light",
    "collection.fork_count": "light",
    "records.count": "light",
    "nb.tenants": "light",
    # Takes as long as there are records, and has no time limit.
    "collection.fork": "long",
    "nb.build_index": "long",
}
"""Route -> lane; what is not here is heavy."""


_AFTER = 0.5
_HURRIED = 6.0
"""Seconds for which a queue may be kept waiting by clients that take their replies slowly; then the slowest of them are let go, too."""


class BusyError(Exception):
    """The lane's queue is full, or the turn did not come in time."""


class StoppingError(Exception):
    """The lane takes no more."""


def _give_back() -> None:
    """Return freed memory to the system where the C library keeps it: glibc does, for each thread, as much as was once needed."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Turn:
    """Somebody's place in a queue."""

    def __init__(self, weight: int, gone: Callable[[], bool]) -> None:
        self.weight = weight
        self._gone = gone
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def has_begun(self) -> bool:
        return self.begun.done() and not self.begun.cancelled() and self.begun.exception() is None

    def is_given_up(self) -> bool:
        """Tell whether nobody waits for it any more; then it is over."""
        if self.begun.done() or not self._gone():
            return self.begun.done()
        self.begun.set_exception(BusyError())
        return True


class Lane:
    """Threads, the queue for them, and the replies that came of it until their clients have taken them.

    Parameters
    ----------
    name
        What its threads are called.
    threads
        How many works are carried out at once.
    waiting
        How many may wait.
    load
        Bytes that what is carried out at one time may take together; one work alone may take more.
    unread
        Bytes of replies that may lie unread; while there are more, nothing is begun.
    """

    def __init__(self, name: str, threads: int, waiting: int, *, load: int, unread: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"chroma_nb {name}")
        self._free = threads
        self._most_waiting = waiting
        self._most_load = load
        self._load = 0
        self._queue: deque[_Turn] = deque()
        self.unread = Budget(unread, self._go_on)
        self._look: asyncio.TimerHandle | None = None
        self._shut_since = 0.0
        self._usual = 0
        self.running: set[Future[Any]] = set()

    async def carry_out(
        self, work: Callable[[], R], *, weight: int = 0, seconds: float | None = None, gone: Callable[[], bool] = lambda: False
    ) -> R:
        """Carry out `work`, which takes `weight` bytes, when it is its turn, which must come within `seconds`.

        Where many wait, those of whom `gone` says that nobody waits any more give up their places.

        Raises
        ------
        BusyError
            Too many wait already, or it has waited too long.
        StoppingError
            `close` was called.
        """
        if not self._queue and self._has_room(weight):
            self._begin(weight)
        else:
            await self._wait(_Turn(weight, gone), seconds)
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            self._end(weight)
            raise StoppingError from None
        self.running.add(future)
        future.add_done_callback(self.running.discard)
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._end(weight)

    def hold(self, size: int, let_go: Callable[[], None]) -> Held:
        """Hold a reply of about `size` bytes until its client has taken it, or is made to give it up."""
        held = self.unread.hold(size, let_go)
        self._usual = (self._usual + held.size) // 2
        self._look_soon()
        return held

    def close(self) -> None:
        """Begin nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, turn: _Turn, seconds: float | None) -> None:
        if len(self._queue) >= self._most_waiting:
            self._queue = deque(other for other in self._queue if not other.is_given_up())
            if len(self._queue) >= self._most_waiting:
                raise BusyError
        self._queue.append(turn)
        self._look_soon()
        try:
            await asyncio.wait_for(turn.begun, seconds)
        except BaseException as error:
            if turn.has_begun:
                self._end(turn.weight)
            elif turn in self._queue:
                self._queue.remove(turn)
                self._go_on()  # it may have been in the way
            if isinstance(error, asyncio.TimeoutError):
                raise BusyError from None
            raise

    def _has_room(self, weight: int) -> bool:
        return self._free > 0 and (not self._load or self._load + weight <= self._most_load) and not self._is_shut

    @property
    def _is_shut(self) -> bool:
        return self.unread.is_full(len(self.running) * self._usual)

    def _begin(self, weight: int) -> None:
        self._free -= 1
        self._load += weight

    def _end(self, weight: int) -> None:
        self._free += 1
        self._load -= weight
        self._go_on()

    def _go_on(self) -> None:
        """Begin what waits, as far as there is room."""
        while self._queue and self._has_room(self._queue[0].weight):
            turn = self._queue.popleft()
            if not turn.begun.done():
                self._begin(turn.weight)
                turn.begun.set_result(None)

    def _look_soon(self) -> None:
        if self._look is None and (self._queue or self.unread.is_over):
            self._shut_since = asyncio.get_running_loop().time()
            self._look = asyncio.get_running_loop().call_later(STILL, self._look_for_room)

    def _look_for_room(self) -> None:
        """Let clients go that do not take their replies, so that nobody waits for them, and begin what waits."""
        assert self._look is not None  # noqa: S101 - this is what it calls
        loop = asyncio.get_running_loop()
        late, self._look = loop.time() - self._look.when(), None
        if late > STILL:
            self.unread.forgive(late)
        if not self._is_shut:
            self._shut_since = loop.time()
        is_urgent = self._queue and loop.time() - self._shut_since > _HURRIED
        if self.unread.make_room(STILL if is_urgent else GIVEN_UP):
            loop.call_later(_AFTER, self._give_back)
        self._go_on()
        if self._queue or self.unread.is_over:
            self._look = loop.call_later(STILL, self._look_for_room)

    def _give_back(self) -> None:
        with contextlib.suppress(RuntimeError):  # the server stops
            self._threads.submit(_give_back)
