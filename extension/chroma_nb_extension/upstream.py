"""Connections to kernels: kept open between requests, one pool per kernel, and dropped when another server has taken its place.

The only file that opens connections, and it opens them to what a believed record names and nothing else: no redirects are
followed, no proxies of the environment used, no cookies kept. Called by `chroma_nb_extension.proxy` and the page.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chroma_nb_extension.headers import SECRET_HEADER
from chroma_nb_extension.records import Record
from chroma_nb_extension.refusal import Refused

if TYPE_CHECKING:
    import httpx

_CONNECT = 10.0
_MOST_CONNECTIONS = 256
_MOST_IDLE = 16
_IDLE = 30.0
"""Seconds a connection is kept for the next request: less than the kernel's server waits, so that it seldom closes first."""
_AHEAD = 4
_REPLAYED: Final = 1 << 18


class Body:
    """A request's body on its way through: handed over piece by piece, a few pieces ahead of who takes them.

    Up to 256 KiB are kept, so that a read whose connection turns out to be dead can be asked again.
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)
        self._kept: list[bytes] = []
        self._size = 0
        self._closed = False

    async def put(self, piece: bytes | None) -> None:
        """Hand over a piece, None for the end; waits while whoever takes them is behind."""
        if not self._closed:
            await self._waiting.put(piece)

    def close(self) -> None:
        """Take nothing any more: what comes is dropped, and whoever waits to hand over goes on."""
        self._closed = True
        while not self._waiting.empty():
            self._waiting.get_nowait()

    @property
    def can_be_replayed(self) -> bool:
        """Whether everything that was taken so far can be taken again."""
        return self._size <= _REPLAYED

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces, those that were taken before first."""
        for piece in self._kept:
            yield piece
        while (taken := await self._waiting.get()) is not None:
            self._size += len(taken)
            if self.can_be_replayed:
                self._kept.append(taken)
            else:
                self._kept.clear()
            yield taken
        await self._waiting.put(None)


@dataclass(frozen=True)
class Ask:
    """A request to a kernel.

    Parameters
    ----------
    target
        Path and query as they stand in the first line.
    length
        Of the body in bytes as the client said it; None when it did not say.
    body
        None for a request without one.
    repeatable
        Whether asking twice does no harm.
    """

    method: str
    target: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Body | None = None
    length: str | None = None
    repeatable: bool = True


class _Pool:
    """The connections to one server, closed when it has been replaced and nobody uses them any more."""

    def __init__(self, record: Record, timeout: float) -> None:
        import httpx

        limits = httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_IDLE, keepalive_expiry=_IDLE)
        host = f"[{record.host}]" if ":" in (record.host or "") else record.host
        self.nonce = record.nonce
        self.base = "http://localhost/" if record.socket else f"http://{host}:{record.port}/"
        self.timeouts = httpx.Timeout(timeout, connect=min(_CONNECT, timeout)).as_dict()
        self.transport = httpx.AsyncHTTPTransport(uds=record.socket, limits=limits, trust_env=False)
        self._users = 0
        self._dropped = False

    async def __aenter__(self) -> None:
        self._users += 1

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        await self._close_unused()

    async def drop(self) -> None:
        self._dropped = True
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self._dropped and not self._users:
            await self.transport.aclose()


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
        self._pools: dict[str, _Pool] = {}

    @contextlib.asynccontextmanager
    async def asked(self, record: Record, ask: Ask) -> AsyncIterator[httpx.Response]:
        """Send a request; give the reply once its headers are there, and close it when the block ends.

        Raises
        ------
        Refused
            The kernel cannot be reached (502), does not answer (504), or has too much to do (503).
        """
        pool = await self._pool(record)
        async with pool:
            response = await self._sent(pool, record, ask)
            try:
                yield response
            finally:
                # The block may end because the client has gone, and this must be done even so.
                await asyncio.shield(response.aclose())

    async def close(self) -> None:
        """Close all connections."""
        await self._keep_only(())

    async def _keep_only(self, kernel_ids: Iterable[str]) -> None:
        for kernel_id in self._pools.keys() - set(kernel_ids):
            await self._pools.pop(kernel_id).drop()

    async def _pool(self, record: Record) -> _Pool:
        pool = self._pools.get(record.kernel_id)
        if pool is not None and pool.nonce == record.nonce:
            return pool
        try:
            made = self._pools[record.kernel_id] = _Pool(record, self._timeout)
        except ImportError:
            raise Refused(501, "the environment of the Jupyter server lacks httpx; install it there: pip install httpx") from None
        if pool is not None:
            await pool.drop()
        await self._keep_only((record.kernel_id, *self._known()))
        return made

    async def _sent(self, pool: _Pool, record: Record, ask: Ask) -> httpx.Response:
        import httpx

        try:
            try:
                return await pool.transport.handle_async_request(_request(pool, record, ask))
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # The kernel's server may have closed a kept connection at the very moment it was used again.
                if not ask.repeatable or (ask.body is not None and not ask.body.can_be_replayed):
                    raise
                return await pool.transport.handle_async_request(_request(pool, record, ask))
        except httpx.TransportError as error:
            raise refused(error, record.kernel_id) from error


def refused(error: httpx.TransportError, kernel_id: str) -> Refused:
    """Return what to tell a client whose request met `error`."""
    import httpx

    match error:
        case httpx.PoolTimeout():
            return Refused(503, f"kernel {kernel_id} has too many requests under way; try again later")
        case httpx.TimeoutException():
            return Refused(504, f"kernel {kernel_id} gave no answer in time; it may be busy in code that lets no other thread run")
        case httpx.LocalProtocolError():
            return Refused(400, "the request is not valid HTTP")
        case httpx.ConnectError():
            return Refused(502, f"kernel {kernel_id} cannot be reached; if it does not serve any more, run serve() in it again")
        case _:
            return Refused(502, f"kernel {kernel_id} broke the connection off; if it does not serve any more, run serve() in it again")


def _request(pool: _Pool, record: Record, ask: Ask) -> httpx.Request:
    import httpx

    headers = [*ask.headers, (SECRET_HEADER, record.secret)]
    if ask.body is not None and ask.length is not None:
        headers.append(("content-length", ask.length))
    content = None if ask.body is None else ask.body.pieces()
    # The target goes out byte for byte; httpx would write a path its own way.
    return httpx.Request(
        ask.method, pool.base, headers=headers, content=content, extensions={"target": ask.target, "timeout": pool.timeouts}
    )
