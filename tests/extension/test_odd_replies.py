"""What a kernel sends is understood as h11 understands it or refused, and exhausts and confuses nothing on its way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import h11
import pytest

from chroma_nb_extension import upstream as upstream_module
from chroma_nb_extension.exchange import Ask, Body, Connection, Stream
from chroma_nb_extension.records import Record
from chroma_nb_extension.replies import BrokenError
from chroma_nb_extension.upstream import Upstreams
from tests.extension.odd_replies import Odd, families, mutated
from tests.extension.rig import Jupyter, Kernel
from tests.extension.scripted import Answer, Scripted
from tests.extension.upstream import LOOSE, content_of_record, write_record

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


def reply(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def record(path: str) -> Record:
    fields = content_of_record("a-a-a-a-a", socket=path, host=None, port=None, nonce="0" * 8)
    return Record(**{name: fields.get(name) for name in Record.__dataclass_fields__})


async def asked(upstreams: Upstreams, path: str, ask: Ask | None = None) -> tuple[int, bytes]:
    async with upstreams.asked(record(path), ask or Ask("GET", b"/")) as found:
        return found.status, b"".join([piece async for piece in found.pieces])


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cnb-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("more", [reply(b"evil"), b"HTTP/1.1 200 OK\r\n\r\nevil", b"\r\n", b"x"], ids=repr)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "while it is idle"])
def test_what_was_not_asked_for_is_nobodys_answer(short: Path, more: bytes, late: bool) -> None:
    said = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(reply(b"true") + (b"" if late else more))
        if late:
            said.wait()
            connection.sendall(more)

    upstream = Scripted(short, answer)

    async def story() -> None:
        upstreams = Upstreams(30.0, lambda: ["a-a-a-a-a"])
        for number in range(1, 4):
            assert await asked(upstreams, upstream.path) == (200, b"true")
            assert upstream.connections == number
            said.set()
            await asyncio.sleep(0.05)
        upstreams.close()

    asyncio.run(story())
    upstream.close()


def test_a_kernel_that_is_always_ahead_leaves_others_their_turn() -> None:
    async def story() -> int:
        here, there = socket.socketpair()
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        with there:
            connection = Connection(Stream(here), 30.0)
            asking = asyncio.create_task(connection.ask(Ask("GET", b"/")))
            await asyncio.get_running_loop().run_in_executor(None, there.recv, 4096)
            there.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n")
            found = await asking
            ticking = asyncio.create_task(others())
            size = len(b"".join([piece async for piece in found.pieces]))
            ticking.cancel()
            connection.close()
        assert size == 5_000
        return turns

    assert asyncio.run(story()) > 100


def test_an_answer_before_the_end_of_the_request_is_heard(short: Path) -> None:
    # It takes nothing more, and does not hang up either.
    upstream = Scripted(short, lambda connection, _: (connection.sendall(reply(b"no", "Connection: close")), threading.Event().wait(60))[0])

    async def story() -> None:
        upstreams = Upstreams(30.0, lambda: ["a-a-a-a-a"])
        body = Body()

        async def sending() -> None:
            for _ in range(200):
                await body.put(b"x" * (1 << 16))
            await body.put(None)

        sender = asyncio.create_task(sending())
        assert await asked(upstreams, upstream.path, Ask("POST", b"/", body=body, repeatable=False)) == (200, b"no")
        body.close()
        await sender
        upstreams.close()

    asyncio.run(story())
    upstream.close()


@pytest.mark.parametrize("limit", ["_MOST_CONNECTIONS", "_MOST_IN_ALL"])
def test_there_are_only_so_many_at_a_time(short: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(upstream_module, limit, 3)
    upstream = Scripted(short, lambda *_: None)  # never answers

    async def story() -> None:
        upstreams = Upstreams(30.0, lambda: ["a-a-a-a-a"])
        asking = [asyncio.create_task(asked(upstreams, upstream.path)) for _ in range(8)]
        await _until(lambda: upstream.connections >= 3)
        await asyncio.sleep(0.1)
        assert upstream.connections == 3
        for each in asking[:2]:
            each.cancel()
        await _until(lambda: upstream.connections == 5)  # two others have taken their places
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        upstreams.close()

    asyncio.run(story())
    upstream.close()


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


POLICY = {"ServerApp": {"tornado_settings": {"headers": {"Content-Security-Policy": "frame-ancestors *; sandbox allow-scripts"}}}}


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jupyter, Kernel]]:
    """Start a server with a policy of its own, and little patience; and a kernel whose records the tests write."""
    with Jupyter.started(tmp_path_factory.mktemp("loose"), config={"ChromaNB": {"timeout": 2.0}, **POLICY}) as jupyter:
        yield jupyter, jupyter.kernel("odd.ipynb")
    assert "Uncaught exception" not in jupyter.log


@pytest.fixture
def serving(loose: tuple[Jupyter, Kernel], short: Path) -> Iterator[Callable[[Answer | bytes], Scripted]]:
    """Return a function that makes the kernel serve what is said."""
    jupyter, kernel = loose
    made: list[Scripted] = []

    def serve(answer: Answer | bytes) -> Scripted:
        for each in made:
            each.close()
            Path(each.path).unlink()
        made[:] = [Scripted.saying(short, answer) if isinstance(answer, bytes) else Scripted(short, answer)]
        write_record(jupyter.runtime, content_of_record(kernel.id, socket=made[0].path, host=None, port=None))
        return made[0]

    yield serve
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("kind", "passed"),
    [
        ("application/json", True),
        ("application/json;charset=UTF-8", True),
        ("text/html; charset=utf-8", True),
        ("text/plain", True),
        *(
            (kind, False)
            for kind in ("text/html; charset=utf-7", "text/html;charset=x-user-defined", "text/javascript", "application/javascript")
        ),
        *(
            (kind, False)
            for kind in ("image/svg+xml", "application/xhtml+xml", "text/xml", "multipart/x-mixed-replace; boundary=x", "text/css")
        ),
        *(
            (kind, False)
            for kind in (
                "application/pdf",
                "application/wasm",
                "text/html, text/plain",
                "*/*",
                "text/html\xa0",
                "x",
                "",
                "application/json+html",
            )
        ),
    ],
)
def test_a_reply_never_acts_in_jupyters_name(
    loose: tuple[Jupyter, Kernel], serving: Callable[[Answer | bytes], Scripted], kind: str, passed: bool
) -> None:
    jupyter, kernel = loose
    more = [f"{name}: {value}" for name, value in LOOSE.items() if name not in ("Content-Type", "Connection")]
    more += [
        "Strict-Transport-Security: max-age=1",
        "Cache-Control: public, max-age=31536000",
        "ETag: x",
        "Link: </x>; rel=preload",
        "SourceMap: /x",
    ]
    serving(reply(b"<script>alert(1)</script>", f"Content-Type: {kind}", *more))
    found = jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/api/v2")
    assert found.status_code == 200
    assert found.headers["content-type"] == (kind if passed else "application/octet-stream")
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["cache-control"] == "no-store"
    assert found.headers.get_list("content-security-policy") == [
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
    ]
    ours = {"server", "date", "content-length", "content-type", "content-security-policy", "x-content-type-options", "cache-control"}
    passing = {"x-chroma-nb", "chroma-trace-id", "x-chroma-hop", "access-control-allow-origin", "set-cookie"}
    assert set(found.headers) - ours <= passing
    assert found.headers.get("access-control-allow-origin", "") == ""  # Jupyter's own, for no origin
    assert "stolen" not in found.headers.get("set-cookie", "")


@pytest.mark.parametrize("code", [204, 205, 300, 301, 302, 304, 307, 401, 407, 421, 426, 499, 599])
def test_a_status_stays_a_status(loose: tuple[Jupyter, Kernel], serving: Callable[[Answer | bytes], Scripted], code: int) -> None:
    jupyter, kernel = loose
    serving(b"HTTP/1.1 %d <b>\x7f\r\n" % code + b"Location: http://127.0.0.1:1/\r\nWWW-Authenticate: Basic\r\nUpgrade: h2c\r\n\r\n")
    assert jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/api/v2").status_code == 502  # for the reason, in which no such sign may be
    length = "" if code in (204, 304) else "Content-Length: 0\r\n"
    serving(f"HTTP/1.1 {code} X\r\n{length}Location: http://127.0.0.1:1/\r\nWWW-Authenticate: Basic\r\nUpgrade: h2c\r\n\r\n".encode())
    for _ in range(2):
        found = jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/api/v2", follow_redirects=True)
        assert found.status_code == (502 if code == 401 else code)
        assert not {"location", "www-authenticate", "upgrade"} & set(found.headers)


def test_a_client_that_does_not_read_is_let_go(loose: tuple[Jupyter, Kernel], serving: Callable[[Answer | bytes], Scripted]) -> None:
    jupyter, kernel = loose
    let_go = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        try:
            while True:
                connection.sendall(b"x" * (1 << 16))
        except OSError:
            let_go.set()

    serving(answer)
    parts = urlsplit(jupyter.url)
    with socket.create_connection((parts.hostname, parts.port)) as client:
        client.sendall(
            f"GET /chroma-nb/k/{kernel.id}/api/v2 HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: token {jupyter.token}\r\n\r\n".encode()
        )
        assert let_go.wait(60)


ANSWERS = {
    "no JSON": b"{",
    "nothing": b"",
    "a number": b"7",
    "an endless number": b"1e999",
    "a text": b'"default"',
    "an object": b'{"name": "x"}',
    "names that are none": b'[{"name": 7}, {"name": null}]',
    "half a character": b'["\\ud800"]',
    "a long name": b'["' + b"x" * 5_000 + b'"]',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "many lists": b"[" + b"[]," * 2_000_000 + b"[]]",
    "many names": b"[" + b'"x",' * 400_000 + b'"x"]',
    "too much": b'"' + b"x" * (9 << 20) + b'"',
    "other text": '["ü"]'.encode("utf-16"),
    "an error": b'{"error": "x", "message": {"a": ["<script>alert(1)</script>"]}}',
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_page_that_asks_gets_over_any_answer(
    loose: tuple[Jupyter, Kernel], serving: Callable[[Answer | bytes], Scripted], kind: str
) -> None:
    jupyter, kernel = loose
    serving(reply(ANSWERS[kind]))
    page = jupyter.ask("GET", "chroma-nb/ui")
    assert page.status_code == 200
    assert len(page.content) < 1 << 20
    for query in ("name=x", "name=x&text=y", "name=%3Cscript%3E&tenant=%00&database=%ff"):
        table = jupyter.ask("GET", f"chroma-nb/ui/collection?kernel={kernel.id}&{query}")
        assert table.status_code in (400, 502, 504)
        assert "<script>alert" not in table.text


def test_a_page_of_hostile_records_has_an_end(loose: tuple[Jupyter, Kernel], serving: Callable[[Answer | bytes], Scripted]) -> None:
    jupyter, kernel = loose
    nested = json.loads("[" * 300 + "]" * 300)
    described = {
        "id": "i",
        "name": "n",
        "tenant": "t",
        "database": "d",
        "dimension": 1,
        "metadata": {f"k{n}": nested for n in range(1_000)},
    }
    metadata = {"<b>" * 2_000 + str(n): "\u202e" * 30_000 if n < 3 else n for n in range(200)}
    rows = {"ids": ["i" * 100_000] * 26, "documents": ["<script>" * 5_000] * 26, "metadatas": [metadata, *[{"a": nested}] * 25]}

    def answer(connection: socket.socket, head: bytes) -> None:
        asked = head.split(b" ")[1]
        said = rows if asked.endswith(b"/get") else 26 if asked.endswith(b"/count") else described
        connection.sendall(reply(json.dumps(said).encode()))

    serving(answer)
    found = jupyter.ask("GET", f"chroma-nb/ui/collection?kernel={kernel.id}&name=n&tenant=t&database=d")
    assert found.status_code == 200
    assert len(found.content) < 10 << 20
    assert "<script>" * 2 not in found.text
    assert "<b><b>" not in found.text
    assert "\u202e" not in found.text
