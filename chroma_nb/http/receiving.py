"""A request's body on its way in: read once, never beyond its limit, never longer than allowed.

Must not live here: what the body means, and whether it is wanted at all. Called by `chroma_nb.http.app`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from chroma_nb.http.budget import Budget, Held

_SLOWEST: Final = 1 << 17
_STEP: Final = 1 << 16
_DRAINED = 5.0
_STALL = 0.3


class GoneError(Exception):
    """The client went away before its request was complete."""


class BodyTooLargeError(Exception):
    """The body has more bytes than it may have."""


class BodyTooSlowError(Exception):
    """The body took too long to arrive."""


class NoRoomError(Exception):
    """Too many bodies arrive at one time."""


class Body:
    """A request's body.

    Parameters
    ----------
    receive
        ASGI's.
    headers
        By lower-case name.
    most, seconds
        Bytes it may have; time it may take to arrive, besides one second for every 128 KiB.
    held
        What it costs until the request is answered; `budget` is where that counts.
    """

    def __init__(self, receive: Any, headers: Mapping[str, str], most: int, seconds: float, held: Held, budget: Budget) -> None:
        self._receive = receive
        self._headers = headers
        self._most = most
        self._seconds = seconds
        self._held = held
        self._budget = budget
        self._start = asyncio.get_running_loop().time()
        self.is_complete = "content-length" not in headers and "transfer-encoding" not in headers

    async def read(self) -> bytes:
        """Return all of it.

        Raises
        ------
        GoneError, BodyTooLargeError, BodyTooSlowError, NoRoomError
            It will not be had.
        """
        parts: list[bytes] = []
        while not self.is_complete:
            parts.append(await self._part())
            if self._budget.is_over:
                self._budget.make_room()
                if self._budget.is_over:
                    raise NoRoomError
        self._held.wait()
        return b"".join(parts)

    async def _part(self) -> bytes:
        said = self._headers.get("content-length", "0")
        if len(said) > 18 or int(said) > self._most:
            raise BodyTooLargeError
        late = self._start + self._seconds + self._held.size / _SLOWEST - asyncio.get_running_loop().time()
        try:
            part = await self._next(late)
        except asyncio.TimeoutError:
            raise BodyTooSlowError from None
        if self._held.size + len(part) > self._most:
            raise BodyTooLargeError
        if (self._held.size + len(part)) // _STEP > self._held.size // _STEP:
            self._held.moved()
        self._held.grow(len(part))
        return part

    async def _next(self, seconds: float) -> bytes:
        message = await _within(self._receive, seconds)
        if message["type"] != "http.request":
            raise GoneError
        self.is_complete = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    async def drain(self) -> None:
        """Read on for a while: a client that is still sending looks for the reply only afterwards."""
        if "expect" in self._headers:
            return
        end = asyncio.get_running_loop().time() + _DRAINED
        while not self.is_complete and asyncio.get_running_loop().time() < end:
            try:
                await self._next(_STALL)
            except (asyncio.TimeoutError, GoneError):
                return


async def _within(receive: Any, seconds: float) -> Any:
    """Await ``receive()``, at most `seconds`; without the extra task that `asyncio.wait_for` makes of it."""
    task, late = asyncio.current_task(), False
    if task is None:
        return await receive()

    def interrupt() -> None:
        nonlocal late
        late = True
        task.cancel()

    handle = asyncio.get_running_loop().call_later(max(seconds, 0), interrupt)
    try:
        return await receive()
    except asyncio.CancelledError:
        if not late:
            raise
        if hasattr(task, "uncancel"):  # from Python 3.11 on
            task.uncancel()
        raise asyncio.TimeoutError from None
    finally:
        handle.cancel()
