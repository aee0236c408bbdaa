"""One connection to a kernel's server, and what passes over it: a request, its reply, and the next request.

HTTP/1.1 over tornado's streams, which are here anyway and cost a fraction of what a client library takes per request. A reply is taken
piece by piece as its reader asks for it, so nothing piles up. Which connections there are is decided in `chroma_nb_extension.upstream`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tornado.httputil import HTTPHeaders, HTTPInputError
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

_AHEAD = 4
_REPLAYED: Final = 1 << 18
_PIECE = 1 << 16
_HEAD = 1 << 16
_STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9]{2})(?: ([^\r\n]*))?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n]*)?\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_BREAKS = re.compile(r"[\r\n\0]")

T = TypeVar("T")


class BrokenError(Exception):
    """The connection broke, or what came over it was no HTTP."""


class SilentError(Exception):
    """The kernel gave no sign of life in time."""


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

    def head(self, *more: tuple[str, str]) -> bytes:
        """Return everything before the body.

        Raises
        ------
        ValueError
            A header would end the line it stands in.
        """
        headers = [("Host", "localhost"), *self.headers, *more]
        if self.body is None:
            headers += [] if self.method in ("GET", "HEAD") else [("Content-Length", "0")]
        else:
            headers.append(("Transfer-Encoding", "chunked") if self.length is None else ("Content-Length", self.length))
        lines = [f"{name}: {value}" for name, value in headers]
        if any(map(_BREAKS.search, lines)):
            raise ValueError("a header with a line end")
        return b"%s %s HTTP/1.1\r\n%s\r\n\r\n" % (self.method.encode("ascii"), self.target, "\r\n".join(lines).encode("latin-1"))


@dataclass(frozen=True)
class Reply:
    """A kernel's reply.

    Parameters
    ----------
    pieces
        Its body; raises `BrokenError` when it ends too early, `SilentError` when it does not go on.
    """

    status: int
    reason: str
    headers: HTTPHeaders
    pieces: AsyncIterator[bytes]


class Stream(IOStream):
    """A stream to a kernel that can still be read when the kernel takes nothing more.

    Tornado's own closes as soon as it cannot write, and what the kernel has said before it hung up is lost.
    """

    unheard = False
    """Whether something that was written did not arrive."""

    def write_to_fd(self, data: memoryview) -> int:
        """Write, or drop what the other side does not take; whoever reads learns how it ends."""
        try:
            return super().write_to_fd(data)
        except (BrokenPipeError, ConnectionResetError):
            self.unheard = True
            return len(data)


class Connection:
    """A connection that carries one exchange at a time.

    Parameters
    ----------
    timeout
        Seconds without a sign of life after which the kernel is given up.
    """

    def __init__(self, stream: Stream, timeout: float) -> None:
        self._stream = stream
        # Whoever wants to be called is told at once, and so `closed` is true as soon as the kernel has closed an idle connection.
        stream.set_close_callback(lambda: None)
        self._timeout = timeout
        self.reusable = True
        """Whether the last exchange has ended, both ways, and another may follow."""

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self._stream.closed()

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    async def ask(self, ask: Ask, *headers: tuple[str, str]) -> Reply:
        """Send a request; return the reply once its headers are there.

        Raises
        ------
        BrokenError, SilentError
            There is none.
        """
        self.reusable = False
        sent = ask.head(*headers)
        with _breaking():
            # Looked for from the beginning: a kernel may reply before it has taken the whole body, and close.
            head = asyncio.ensure_future(self._stream.read_until(b"\r\n\r\n", _HEAD))
            try:
                whole = await self._send(ask, sent, head)
            except StreamClosedError:
                whole = False
            status, reason, given = _parsed(await self._in_time(head))
        keep = whole and not self._stream.unheard and "close" not in given.get("Connection", "").lower()
        return Reply(status, reason, given, self._body(ask.method, status, given, keep=keep))

    async def _send(self, ask: Ask, head: bytes, reply: asyncio.Future[bytes]) -> bool:
        """Send a request unless the reply comes first; return whether all of it went out."""
        waiting = head  # goes out with the first piece: a small request is one packet
        if ask.body is not None:
            async for piece in ask.body.pieces():
                # Whoever has replied already does not need the rest.
                await asyncio.sleep(0)
                if reply.done():
                    return False
                framed = b"%x\r\n%s\r\n" % (len(piece), piece) if ask.length is None else piece
                await self._in_time(self._stream.write(waiting + framed))
                waiting = b""
            if ask.length is None:
                waiting += b"0\r\n\r\n"
        if waiting:
            await self._in_time(self._stream.write(waiting))
        return True

    async def _body(self, method: str, status: int, headers: HTTPHeaders, *, keep: bool) -> AsyncIterator[bytes]:
        if method == "HEAD" or status in (204, 304):
            pieces = self._exactly(0)
        elif "Transfer-Encoding" in headers:
            pieces = self._chunks()
        elif "Content-Length" in headers:
            pieces = self._exactly(_length(headers["Content-Length"]))
        else:
            keep, pieces = False, self._until_closed()
        with _breaking():
            async for piece in pieces:
                yield piece
        self.reusable = keep

    async def _exactly(self, left: int) -> AsyncIterator[bytes]:
        while left:
            piece = await self._in_time(self._stream.read_bytes(min(left, _PIECE), partial=True))
            left -= len(piece)
            yield piece

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            size = _SIZE.fullmatch(await self._line())
            if size is None:
                raise BrokenError("a chunk without its size")
            left = int(size[1], 16)
            if not left:
                break
            async for piece in self._exactly(left):
                yield piece
            if await self._line() != b"\r\n":
                raise BrokenError("a chunk of another size than it said")
        while await self._line() != b"\r\n":
            pass

    async def _until_closed(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield await self._in_time(self._stream.read_bytes(_PIECE, partial=True))
        except StreamClosedError:
            return

    async def _line(self) -> bytes:
        return await self._in_time(self._stream.read_until(b"\r\n", _HEAD))

    async def _in_time(self, awaited: Awaitable[T]) -> T:
        future = asyncio.ensure_future(awaited)
        if not future.done():
            await asyncio.wait({future}, timeout=self._timeout)
        if not future.done():
            self.close()
            raise SilentError
        return future.result()


@contextlib.contextmanager
def _breaking() -> Iterator[None]:
    try:
        yield
    except (StreamClosedError, UnsatisfiableReadError) as error:
        raise BrokenError(str(error)) from error


def _length(given: str) -> int:
    if not _LENGTH.fullmatch(given):
        raise BrokenError("a length that is none")
    return int(given)


def _parsed(head: bytes) -> tuple[int, str, HTTPHeaders]:
    first, _, rest = head.decode("latin-1").partition("\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise BrokenError("no reply of HTTP/1.1")
    try:
        headers = HTTPHeaders.parse(rest)
    except (HTTPInputError, ValueError) as error:
        raise BrokenError(str(error)) from error
    if "Transfer-Encoding" in headers and "Content-Length" in headers:
        raise BrokenError("a reply that says twice how long it is")
    return int(status[1]), status[2] or "", headers
