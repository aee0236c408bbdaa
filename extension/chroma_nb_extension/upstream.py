"""Connections to kernels: kept open between requests, one pool per kernel, and dropped when another server has taken its place.

The only file that opens connections, and it opens them to what a believed record names and nothing else. Called by
`chroma_nb_extension.proxy` and the page; what passes over a connection is in `chroma_nb_extension.exchange`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from tornado.iostream import StreamClosedError

from chroma_nb_extension.exchange import Ask, Connection, Reply, SilentError, Stream
from chroma_nb_extension.headers import SECRET_HEADER
from chroma_nb_extension.listeners import answers_for, is_somebody_elses
from chroma_nb_extension.records import Record
from chroma_nb_extension.refusal import Refused
from chroma_nb_extension.replies import BrokenError

_CONNECT = 10.0
_AGAIN = 0.02
_MOST_CONNECTIONS = 256
"""To one kernel at a time."""
_MOST_IN_ALL = 512
"""To all kernels together. Each holds at most some 200 KiB that have not passed on yet."""
_MOST_IDLE = 16
_IDLE = 30.0
"""Seconds a connection is kept for the next request: less than the kernel's server waits, so that it seldom closes first."""


class UnreachableError(Exception):
    """Nobody listens where a record says, or somebody else."""


class _Pool:
    """The connections to one server."""

    def __init__(self, record: Record, timeout: float, everybodys: asyncio.Semaphore) -> None:
        self._record = record
        self._timeout = timeout
        self._turns = (asyncio.Semaphore(_MOST_CONNECTIONS), everybodys)
        self._idle: list[tuple[Connection, float]] = []
        self._dropped = False
        self.nonce = record.nonce

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Give a connection for one exchange; it is kept for the next one if it can be."""
        async with self._turn():
            made = self._kept() or Connection(await self._opened(), self._timeout)
            try:
                yield made
            finally:
                # The block may end because the client has gone; then the kernel must learn that, too.
                if made.reusable and not self._dropped and len(self._idle) < _MOST_IDLE:
                    self._idle.append((made, time.monotonic()))
                else:
                    made.close()

    def drop(self) -> None:
        """Close what is idle, and what is in use when that ends."""
        self._dropped = True
        while self._idle:
            self._idle.pop()[0].close()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as held:
            for turns in self._turns:
                try:
                    await asyncio.wait_for(turns.acquire(), self._timeout) if turns.locked() else await turns.acquire()
                except asyncio.TimeoutError:
                    raise Refused(503, f"kernel {self._record.kernel_id} has too many requests under way; try again later") from None
                held.callback(turns.release)
            yield

    def _kept(self) -> Connection | None:
        """Return the connection that was used last, and close those that have been waiting for too long."""
        oldest = time.monotonic() - _IDLE
        while self._idle and (self._idle[0][1] < oldest or self._idle[0][0].closed):
            self._idle.pop(0)[0].close()
        while self._idle:
            found, _ = self._idle.pop()
            if found.reusable:
                return found
            found.close()
        return None

    async def _opened(self) -> Stream:
        until = time.monotonic() + min(_CONNECT, self._timeout)
        while True:
            try:
                return await self._stream(until - time.monotonic())
            except BlockingIOError:
                # As many wait at the socket as may; unlike a port, it does not let others queue up behind them.
                if time.monotonic() > until:
                    raise SilentError from None
                await asyncio.sleep(_AGAIN)
            except (OSError, StreamClosedError) as error:
                raise UnreachableError from error

    async def _stream(self, seconds: float) -> Stream:
        record = self._record
        if record.socket is not None:
            made = socket.socket(socket.AF_UNIX)
            made.setblocking(False)  # noqa: FBT003 - that is its only way
            try:
                made.connect(record.socket)
                known = answers_for(record.pid, made)
            except BaseException:
                made.close()
                raise
            if known:
                return Stream(made)
            made.close()
            raise UnreachableError
        if is_somebody_elses(record.pid, None, record.port):
            raise UnreachableError
        family = socket.AF_INET6 if ":" in str(record.host) else socket.AF_INET
        stream = Stream(socket.socket(family))
        stream.set_nodelay(True)
        try:
            await asyncio.wait_for(_connected(stream, (record.host, record.port)), seconds)
        except BaseException as error:
            stream.close()
            if isinstance(error, asyncio.TimeoutError):
                raise SilentError from None
            raise
        return stream


async def _connected(stream: Stream, address: Any) -> None:
    await stream.connect(address)


class Upstreams:
    """The pools of all kernels.

    Parameters
    ----------
    timeout
        Seconds without a sign of life after which a kernel is given up.
    known
        Tells the ids of the kernels that there are; connections to others are closed when a new one is made.
    """

    def __init__(self, timeout: float, known: Callable[[], Iterable[str]]) -> None:
        self._timeout = timeout
        self._known = known
        self._turns = asyncio.Semaphore(_MOST_IN_ALL)
        self._pools: dict[str, _Pool] = {}

    @contextlib.asynccontextmanager
    async def asked(self, record: Record, ask: Ask) -> AsyncIterator[Reply]:
        """Send a request; give the reply once its headers are there, and let go of it when the block ends.

        Raises
        ------
        Refused
            The kernel cannot be reached (502), does not answer (504), or has too much to do (503).
        """
        pool = self._pool(record)
        async with contextlib.AsyncExitStack() as held:
            try:
                reply = await _replied(pool, record, ask, held)
            except (BrokenError, SilentError, UnreachableError) as error:
                raise refused(error, record.kernel_id) from error
            except ValueError:
                raise Refused(400, "the request has a header that is not valid HTTP") from None
            yield reply

    def close(self) -> None:
        """Close all connections."""
        self._keep_only(())

    def _keep_only(self, kernel_ids: Iterable[str]) -> None:
        for kernel_id in self._pools.keys() - set(kernel_ids):
            self._pools.pop(kernel_id).drop()

    def _pool(self, record: Record) -> _Pool:
        pool = self._pools.get(record.kernel_id)
        if pool is not None and pool.nonce == record.nonce:
            return pool
        made = self._pools[record.kernel_id] = _Pool(record, self._timeout, self._turns)
        if pool is not None:
            pool.drop()
        self._keep_only((record.kernel_id, *self._known()))
        return made


async def _replied(pool: _Pool, record: Record, ask: Ask, held: contextlib.AsyncExitStack) -> Reply:
    secret = (SECRET_HEADER, record.secret)
    try:
        async with contextlib.AsyncExitStack() as trying:
            connection = await trying.enter_async_context(pool.connection())
            reply = await connection.ask(ask, secret)
            held.push_async_exit(trying.pop_all())
            return reply
    except BrokenError:
        # The kernel's server may have closed a kept connection at the very moment it was used again.
        if not ask.repeatable or (ask.body is not None and not ask.body.can_be_replayed):
            raise
    connection = await held.enter_async_context(pool.connection())
    return await connection.ask(ask, secret)


def refused(error: Exception, kernel_id: str) -> Refused:
    """Return what to tell a client whose request met `error`."""
    match error:
        case SilentError():
            return Refused(504, f"kernel {kernel_id} gave no answer in time; it may be busy in code that lets no other thread run")
        case UnreachableError():
            return Refused(502, f"kernel {kernel_id} cannot be reached; if it does not serve any more, run serve() in it again")
        case _:
            return Refused(502, f"kernel {kernel_id} broke the connection off; if it does not serve any more, run serve() in it again")
