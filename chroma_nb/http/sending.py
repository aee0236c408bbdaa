"""A reply on its way out: compressed if need be, piece by piece, no faster than its client takes it.

What follows a reply's beginning is written in threads of its own, one piece ahead of what is being sent, so that neither the loop nor what
is at work waits for it. Must not live here: what is replied. Called by `chroma_nb.http.app`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from typing import Any, Final

from chroma_nb.http.budget import Held
from chroma_nb.http.message import Reply

_CHUNK: Final = 1 << 16
_TURN: Final = 1 << 20
_COMPRESSED_FROM: Final = 1 << 12
_GZIP: Final = 31


class LeftError(Exception):
    """The client went away before it had all of the reply."""


def compressed(reply: Reply) -> Reply:
    """Return a reply as gzip, unless it is small."""
    if len(reply.body) < _COMPRESSED_FROM:
        return reply
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    headers = {**reply.headers, "content-encoding": "gzip", "vary": "Accept-Encoding"}
    body = packer.compress(reply.body)
    if reply.rest is None:
        return Reply(reply.status, body + packer.flush(), headers)
    return replace(reply, body=body, headers=headers, rest=_packed(packer, reply.rest))


def _packed(packer: Any, rest: Iterator[bytes]) -> Iterator[bytes]:
    for piece in rest:
        yield packer.compress(piece)
    yield packer.flush()


async def sent(
    send: Any, reply: Reply, extra: Mapping[str, str], held: Held, has_left: Callable[[], bool], writers: ThreadPoolExecutor
) -> None:
    """Send a reply.

    Parameters
    ----------
    send
        ASGI's.
    extra
        More headers.
    held
        Where the client's progress is noted.
    has_left
        Tells whether nobody is there any more.
    writers
        Write what follows its beginning.

    Raises
    ------
    LeftError
        The client went away.
    """
    if has_left():
        raise LeftError
    headers = {"date": formatdate(usegmt=True), **reply.headers, **extra}
    if reply.status != 204 and reply.rest is None:
        headers["content-length"] = str(len(reply.body))
    listed = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

    async def write(piece: bytes) -> None:
        content = memoryview(piece)
        for start in range(0, len(content), _CHUNK):
            if has_left():  # writing on would make asyncio complain
                raise LeftError
            await send({"type": "http.response.body", "body": content[start : start + _CHUNK], "more_body": True})
            held.moved()
            if start and start % _TURN == 0:
                await asyncio.sleep(0)

    await send({"type": "http.response.start", "status": reply.status, "headers": listed})
    following = None if reply.rest is None else _next(reply.rest, writers)
    try:
        await write(reply.body)
        while following is not None:
            held.wait()
            piece = await following
            held.moved()
            following = None if piece is None or reply.rest is None else _next(reply.rest, writers)
            await write(piece or b"")
    finally:
        if following is not None:
            following.cancel()
    if has_left():
        raise LeftError
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _next(rest: Iterator[bytes], writers: ThreadPoolExecutor) -> asyncio.Future[bytes | None]:
    return asyncio.wrap_future(writers.submit(next, rest, None))
