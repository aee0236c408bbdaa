"""One connection to a kernel's server, and what passes over it: a request, its reply, and the next request.

HTTP/1.1 over tornado's streams, which are here anyway and cost a fraction of what a client library takes per request. A reply is taken
piece by piece as its reader asks for it, so nothing piles up. Which connections there are is decided in `chroma_nb_extension.upstream`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from chroma_nb_extension.replies import LARGEST_HEAD, BrokenError, Head, Headers, check_trailer, head_of

_AHEAD = 4
_REPLAYED: Final = 1 << 18
_PIECE = 1 << 16
_LINE = 1 << 10
_MOST_TRAILERS = 32
_AT_A_STRETCH = 32
"""Reads that found something waiting, after which others have a turn."""
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?\r\n")
_BREAKS = re.compile(r"[\r\n\0]")


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
    headers: Headers
    pieces: AsyncIterator[bytes]


class Stream(IOStream):
    """A stream to a kernel that can still be read when the kernel takes nothing more, and that counts what comes.

    Tornado's own closes as soon as it cannot write, and what the kernel has said before it hung up is lost.
    """

    unheard = False
    """Whether something that was written did not arrive."""
    arrived = 0
    """Bytes that have come so far, read by somebody or not."""

    def write_to_fd(self, data: memoryview) -> int:
        """Write, or drop what the other side does not take; whoever reads learns how it ends."""
        try:
            return super().write_to_fd(data)
        except (BrokenPipeError, ConnectionResetError):
            self.unheard = True
            return len(data)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read, and count."""
        size = super().read_from_fd(buf)
        self.arrived += size or 0
        return size

    @property
    def waiting(self) -> bool:
        """Whether more has come, or the end."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True


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
        self._taken = 0
        self._stretch = 0
        self._ended = True

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self._stream.closed()

    @property
    def reusable(self) -> bool:
        """Whether the last exchange has ended, both ways, and another may follow.

        A kernel that has said more than it was asked for is not asked again: the rest would be taken for the next reply.
        """
        return self._ended and not self.closed and self._stream.arrived == self._taken and not self._stream.waiting

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
        pieces = _framed(ask)
        # The head goes out with the first piece: a small request is one packet.
        first = ask.head(*headers) + await anext(pieces, b"")
        if not self.reusable:
            raise BrokenError("the kernel closed the connection, or spoke before it was asked")
        self._ended = False
        with _breaking():
            # Looked for from the beginning: a kernel may reply before it has taken the whole body, and close.
            reply = asyncio.ensure_future(self._stream.read_until(b"\r\n\r\n", LARGEST_HEAD))
            whole = await self._send(first, pieces, reply)
            head = head_of(await self._read(reply), ask.method)
        keep = whole and not self._stream.unheard and not head.closes
        return Reply(head.status, head.headers, self._body(head, keep=keep))

    async def _send(self, first: bytes, rest: AsyncIterator[bytes], reply: asyncio.Future[bytes]) -> bool:
        """Send a request unless the reply comes first; return whether all of it went out."""
        try:
            gone = await self._gone(first, reply)
            async for piece in rest:
                # Whoever has replied already does not need the rest.
                await asyncio.sleep(0)
                if reply.done() or not gone:
                    return False
                gone = await self._gone(piece, reply)
        except StreamClosedError:
            return False
        return gone

    async def _gone(self, piece: bytes, reply: asyncio.Future[bytes]) -> bool:
        """Send a piece; return whether it went out before the reply came."""
        written = self._stream.write(piece)
        waited: set[asyncio.Future[Any]] = {written, reply}
        if not written.done():
            await asyncio.wait(waited, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
        if written.done():
            written.result()
        elif not reply.done():
            self.close()
            raise SilentError
        return written.done()

    async def _body(self, head: Head, *, keep: bool) -> AsyncIterator[bytes]:
        pieces = self._chunks() if head.chunked else self._until_closed() if head.length is None else self._exactly(head.length)
        with _breaking():
            async for piece in pieces:
                yield piece
        self._ended = keep

    async def _exactly(self, left: int) -> AsyncIterator[bytes]:
        while left:
            piece = await self._read(self._stream.read_bytes(min(left, _PIECE), partial=True))
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
        for _ in range(_MOST_TRAILERS):
            line = await self._line()
            if line == b"\r\n":
                return
            check_trailer(line.removesuffix(b"\r\n"))
        raise BrokenError("a reply whose trailers do not end")

    async def _until_closed(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield await self._read(self._stream.read_bytes(_PIECE, partial=True))
        except StreamClosedError as closed:
            if closed.real_error is not None:
                raise  # a connection that broke is no end

    async def _line(self) -> bytes:
        return await self._read(self._stream.read_until(b"\r\n", _LINE))

    async def _read(self, awaited: Awaitable[bytes]) -> bytes:
        future = asyncio.ensure_future(awaited)
        if future.done():
            # A kernel that is always ahead of its reader would keep the loop from everything else.
            self._stretch += 1
            if self._stretch % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        else:
            await asyncio.wait({future}, timeout=self._timeout)
        if not future.done():
            self.close()
            raise SilentError
        self._taken += len(future.result())
        return future.result()


async def _framed(ask: Ask) -> AsyncIterator[bytes]:
    """Iterate over a request's body as it goes over the connection."""
    if ask.body is None:
        return
    async for piece in ask.body.pieces():
        if piece:  # an empty chunk would be the end
            yield b"%x\r\n%s\r\n" % (len(piece), piece) if ask.length is None else piece
    if ask.length is None:
        yield b"0\r\n\r\n"


@contextlib.contextmanager
def _breaking() -> Iterator[None]:
    try:
        yield
    except (StreamClosedError, UnsatisfiableReadError) as error:
        raise BrokenError(str(error)) from error
