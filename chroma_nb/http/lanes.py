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

from chroma_nb.http.budget import Budget

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


class BusyError(Exception):
    """The lane's queue is full, or the turn did not come in time."""


class StoppingError(Exception):
    """The lane takes no more."""


def _give_back() -> None:
    """Return freed memory to the system where the C library keeps it: glibc does, for each thread, as much as was once needed."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


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
    unread
        Bytes of replies that may lie unread; while there are more, nothing is begun.
    """

    def __init__(self, name: str, threads: int, waiting: int, unread: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"chroma_nb {name}")
        self._free = threads
        self._most_waiting = waiting
        self._queue: deque[asyncio.Future[None]] = deque()
        self.unread = Budget(unread, self._begin, self._give_back_soon)
        self.running: set[Future[Any]] = set()

    async def carry_out(self, work: Callable[[], R], *, seconds: float | None = None) -> R:
        """Carry out `work` when it is its turn, which must come within `seconds`.

        Raises
        ------
        BusyError
            Too many wait already, or it has waited too long.
        StoppingError
            `close` was called.
        """
        await self._turn(seconds)
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            self._pass_on()
            raise StoppingError from None
        self.running.add(future)
        future.add_done_callback(self.running.discard)
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._pass_on()

    def close(self) -> None:
        """Begin nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, seconds: float | None) -> None:
        if self._free and not self._queue and not self.unread.is_full:
            self._free -= 1
            return
        if len(self._queue) >= self._most_waiting:
            raise BusyError
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await asyncio.wait_for(turn, seconds)
        except BaseException as error:
            if turn.cancelled():
                self._queue.remove(turn)
            else:
                self._pass_on()
            if isinstance(error, asyncio.TimeoutError):
                raise BusyError from None
            raise

    def _begin(self) -> None:
        """Begin what waits, as far as there are threads and there is room."""
        while self._queue and self._free and not self.unread.is_full:
            self._free -= 1
            self._queue.popleft().set_result(None)

    def _give_back_soon(self) -> None:
        asyncio.get_running_loop().call_later(_AFTER, self._submit_giving_back)

    def _submit_giving_back(self) -> None:
        with contextlib.suppress(RuntimeError):  # the server stops
            self._threads.submit(_give_back)

    def _pass_on(self) -> None:
        self._free += 1
        self._begin()
