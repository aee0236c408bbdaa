"""What the extension makes of what comes over a connection: of replies in any pieces, of such as are none, and of silence."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb_extension.exchange import Ask, Body, BrokenError, Connection, SilentError, Stream

T = TypeVar("T")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Peer:
    """The kernel's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def asked(self) -> bytes:
        """Return the first part of a request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, *pieces: bytes) -> None:
        """Send something, each piece by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)


@asynccontextmanager
async def joined(timeout: float = 30.0) -> AsyncIterator[tuple[Connection, Peer]]:
    """Make a connection; give both of its ends."""
    ours, theirs = socket.socketpair()
    connection = Connection(Stream(ours), timeout)
    peer = Peer(*await asyncio.open_connection(sock=theirs))
    yield connection, peer
    connection.close()
    peer.writer.close()


async def heard(connection: Connection, peer: Peer, *said: bytes, ask: Ask | None = None, close: bool = False) -> bytes:
    """Ask, let the other end say something, and return the body of what was understood."""

    async def answer() -> None:
        await peer.asked()
        await peer.say(*said)
        if close:
            peer.writer.close()

    answering = asyncio.create_task(answer())
    try:
        reply = await connection.ask(ask or Ask("GET", b"/x"))
        return b"".join([piece async for piece in reply.pieces])
    finally:
        await answering


def run(story: Callable[[Connection, Peer], Awaitable[T]], timeout: float = 30.0) -> T:
    """Let something happen on a new connection."""

    async def told() -> T:
        async with joined(timeout) as (connection, peer):
            return await story(connection, peer)

    return asyncio.run(told())


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%X;note=x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\nTrailer: x\r\n\r\n"


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({place % (len(whole) + 1) for place in places} | {0, len(whole)})
    return [whole[start:end] for start, end in itertools.pairwise(marks)]


@given(pieces=st.lists(st.binary(max_size=300), max_size=6), places=st.lists(st.integers(0, 5000), max_size=8), known=st.booleans())
def test_a_reply_is_the_same_in_whatever_pieces_it_comes(pieces: list[bytes], places: list[int], known: bool) -> None:
    body = b"".join(pieces)
    framed = b"Content-Length: %d\r\n\r\n%s" % (len(body), body) if known else b"Transfer-Encoding: chunked\r\n\r\n" + chunked(pieces)

    async def twice(connection: Connection, peer: Peer) -> None:
        for _ in range(2):
            assert connection.reusable
            assert await heard(connection, peer, *cut(HEAD + framed, places)) == body

    run(twice)


def test_a_reply_without_a_length_ends_with_its_connection() -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        assert await heard(connection, peer, HEAD + b"\r\nall", b" of it", close=True) == b"all of it"
        assert not connection.reusable

    run(story)


def test_a_kernel_that_will_close_is_not_asked_again() -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        assert await heard(connection, peer, HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok") == b"ok"
        assert not connection.reusable

    run(story)


@pytest.mark.parametrize("said", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"])
def test_a_reply_that_has_no_body_ends_at_once(said: bytes) -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        assert await heard(connection, peer, said) == b""
        assert connection.reusable

    run(story)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 99 Odd\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        HEAD + b"Content-Length: 5\r\n\r\nok",
        HEAD + b"Content-Length: -1\r\n\r\nok",
        HEAD + b"Content-Length: 1_0\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"no header at all\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        HEAD + b"Long: " + b"x" * (1 << 17) + b"\r\n\r\n",
    ],
    ids=lambda said: repr(said[-40:]),
)
def test_what_is_no_whole_reply_is_not_taken_for_one(said: bytes) -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        with pytest.raises(BrokenError):
            await heard(connection, peer, said, close=True)
        assert not connection.reusable

    run(story)


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"Content-Length: 5\r\n\r\nok"])
def test_silence_has_an_end(said: bytes) -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        with pytest.raises(SilentError):
            await heard(connection, peer, said)
        assert connection.closed

    run(story, timeout=0.1)


def test_an_idle_connection_that_the_kernel_closes_is_known_to_be_closed() -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        assert await heard(connection, peer, HEAD + b"Content-Length: 2\r\n\r\nok") == b"ok"
        peer.writer.close()
        while not connection.closed:  # noqa: ASYNC110 - tornado notices, and tells nobody else
            await asyncio.sleep(0.01)
        with pytest.raises(BrokenError):
            await connection.ask(Ask("GET", b"/x"))

    run(story)


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_what_a_kernel_says_that_takes_no_more_is_heard(known: bool) -> None:
    async def story(connection: Connection, peer: Peer) -> None:
        peer.writer.get_extra_info("socket").shutdown(socket.SHUT_RD)
        body = Body()
        for piece in (b"a", b"b", None):
            await body.put(piece)
        asking = asyncio.create_task(connection.ask(Ask("POST", b"/x", body=body, length="2" if known else None)))
        await asyncio.sleep(0)
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n", b"no")
        reply = await asking
        assert (reply.status, [piece async for piece in reply.pieces]) == (413, [b"no"])
        assert not connection.reusable

    run(story)


def test_a_request_goes_out_as_it_should() -> None:
    async def story(connection: Connection, peer: Peer) -> list[bytes]:
        seen = []
        for length in ("6", None):
            body = Body()
            for piece in (b"abc", b"def", None):
                await body.put(piece)
            ask = Ask("DELETE", b"/a%20b?c", [("accept", "x/y")], body, length)
            said = HEAD + b"Content-Length: 0\r\n\r\n"
            head = asyncio.create_task(peer.asked())
            asking = asyncio.create_task(connection.ask(ask, ("secret", "s")))
            end = b"def" if length else b"0\r\n\r\n"
            seen.append(await head + await peer.reader.readuntil(end))
            await peer.say(said)
            assert [piece async for piece in (await asking).pieces] == []
            assert connection.reusable
        return seen

    first = b"DELETE /a%20b?c HTTP/1.1\r\nHost: localhost\r\naccept: x/y\r\nsecret: s\r\n"
    assert run(story) == [
        first + b"Content-Length: 6\r\n\r\nabcdef",
        first + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    ]


@pytest.mark.parametrize("value", ["a\r\nHost: evil", "a\nb", "a\0b"])
def test_a_header_stays_within_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        Ask("GET", b"/", [("user-agent", value)]).head()
