"""What a kernel sends is understood as h11 understands it or refused, and exhausts and confuses nothing on its way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import h11
import pytest

from chroma_nb_extension.exchange import Ask, Connection, Stream
from chroma_nb_extension.replies import BrokenError
from tests.extension.odd_replies import Odd, families, mutated

FAMILIES = families()
TURNS = 100
"""Turns of the loop that a reader gets for what has been sent; more than it needs for any of these replies."""
# A reader that is too strict would agree with everything: what must be taken, by kind.
TAKEN = {
    "first lines": 20,
    "lines of the head": 10,
    "bytes in a name": 70,
    "bytes in a value": 200,
    "lengths": 10,
    "codings": 8,
    "sizes of chunks": 8,
    "trailers": 10,
    "without a body": 60,
    "more than asked for": 40,
    "cut off": 2,
    "bombs": 8,
}


@dataclass(frozen=True)
class Understood:
    """What a reader made of a reply; `whole` says that another may follow on the same connection."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool


def theirs(method: str, said: bytes) -> Understood | None:
    """Return what h11 makes of a reply after which the connection is closed; None when it refuses it."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(said)
    reader.receive_data(b"")
    head, body = None, bytearray()
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
    assert head is not None
    headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers if name != b"transfer-encoding"]
    return Understood(head.status_code, headers, bytes(body), reader.their_state is h11.DONE and not reader.trailing_data[0])


async def ours(method: str, pieces: Iterable[bytes]) -> Understood | None:
    """Return what the extension makes of the same."""
    here, there = socket.socketpair()
    there.setblocking(False)
    loop = asyncio.get_running_loop()
    connection = Connection(Stream(here), 30.0)
    reading = asyncio.create_task(_read(connection, method))
    with there:
        await loop.sock_recv(there, 4096)
        with contextlib.suppress(OSError):  # it may have heard enough
            for piece in pieces:
                await loop.sock_sendall(there, piece)
                await asyncio.sleep(0)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        whole = reading.done() and connection.reusable
        there.close()
        try:
            return replace(await reading, whole=whole)
        except BrokenError:
            assert not whole
            return None
        finally:
            connection.close()


async def _read(connection: Connection, method: str) -> Understood:
    try:
        reply = await connection.ask(Ask(method, b"/"))
        body = b"".join([piece async for piece in reply.pieces])
    except BrokenError:
        connection.close()
        raise
    return Understood(reply.status, [each for each in reply.headers if each[0] != "transfer-encoding"], body, whole=False)


def compared(odds: Iterable[Odd], seed: int) -> tuple[int, int]:
    """Hold both readers against each other; return how many replies there were, and how many ours took."""
    chance = random.Random(seed)
    seen = taken = 0

    async def everything() -> None:
        nonlocal seen, taken
        for method, said in odds:
            expected = theirs(method, said)
            found, in_pieces = [await ours(method, pieces) for pieces in ([said], _split(said, chance))]
            assert found == in_pieces, (method, said[:300])
            if found is not None:
                assert expected is not None, (method, said[:300], found)
                assert found in (expected, replace(expected, whole=False)), (method, said[:300], expected)
            seen, taken = seen + 1, taken + (found is not None)

    asyncio.run(everything())
    return seen, taken


def _split(said: bytes, chance: random.Random) -> Iterator[bytes]:
    marks = sorted({0, len(said), *(chance.randrange(len(said) + 1) for _ in range(chance.randint(1, 6)))})
    return (said[start:end] for start, end in itertools.pairwise(marks))


@pytest.mark.parametrize("family", FAMILIES)
def test_is_understood_as_h11_understands_it_or_refused(family: str) -> None:
    seen, taken = compared(FAMILIES[family], 0)
    assert seen == len(FAMILIES[family])
    assert taken >= TAKEN.get(family, 0)


def test_there_are_enough() -> None:
    assert sum(map(len, FAMILIES.values())) > 1_500


@pytest.mark.parametrize("number", [300, pytest.param(30_000, marks=pytest.mark.long)])
def test_what_chance_makes_of_them_too(number: int) -> None:
    seen, taken = compared(mutated(number, number), number)
    assert seen == number
    assert taken > number // 10
