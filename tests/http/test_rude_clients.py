"""Clients that leave, stall, crowd in or talk nonsense: others are served, work for nobody ends, and nothing is printed in the notebook."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chroma_nb import ops, stopping
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import AbandonedError, TimeLimitError
from chroma_nb.http.app import Gate
from chroma_nb.http.call import Limits, Service
from chroma_nb.http.connection import Patience
from chroma_nb.http.lanes import LANE_OF
from chroma_nb.http.listening import listening_unix
from chroma_nb.http.routes import ROUTES
from chroma_nb.http.server import Server
from tests.http.conftest import COLLECTIONS, TOKEN, Serve, Wire, ask, request

HEARTBEAT = "/api/v2/heartbeat"
SOME = "00000000-0000-0000-0000-000000000000"
QUERY = request("POST", f"{COLLECTIONS}/{SOME}/query", b'{"query_embeddings": [[1.0]]}')
LONGEST = 60.0
"""Seconds after which a test that waits gives up; on a quiet machine each wait is over at once."""


class Endless:
    """A backend whose queries go on until they are stopped."""

    def __init__(self) -> None:
        self.engine = Engine(None)
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.errors: list[type[BaseException]] = []
        self.let_go = threading.Event()

    def execute(self, op: ops.Op[Any]) -> Any:
        if not isinstance(op, ops.Query):
            return self.engine.execute(op)
        self.begun.release()
        try:
            while not self.let_go.wait(0.01):
                stopping.check()
        except BaseException as error:
            self.errors.append(type(error))
            raise
        finally:
            self.ended.release()
        raise LookupError


@pytest.fixture
def endless() -> Iterator[Endless]:
    made = Endless()
    yield made
    made.let_go.set()
    made.engine.close()


def reset(wire: Wire) -> None:
    """Close a connection so that the other side gets an error instead of an end."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket.close()


def shut_and_close(wire: Wire) -> None:
    """Say that nothing more will come, and then close."""
    wire.socket.shutdown(socket.SHUT_WR)
    wire.socket.close()


class TestLight:
    """What is quick does not wait for what is slow."""

    LIGHT = sorted(name for name, lane in LANE_OF.items() if lane in ("instant", "light"))

    def test_are_all_that_change_nothing(self) -> None:
        assert len(self.LIGHT) == 16
        assert not any(ROUTES[name].writes for name in self.LIGHT)

    def test_are_answered_while_all_threads_are_at_work(self, serve: Serve, endless: Endless) -> None:
        server = serve(execute=endless.execute)
        found = ask(server, request("POST", COLLECTIONS, b'{"name":"docs"}')).json()["id"]
        parts = {"tenant": "default_tenant", "database": "default_database", "collection": found, "name": "docs"}
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(Wire(server)).send(QUERY)
            for _ in range(8):
                assert endless.begun.acquire(timeout=LONGEST)
            stack.enter_context(Wire(server)).send(QUERY)  # and one waits
            for name in self.LIGHT:
                for version, template in ((1, ROUTES[name].v1), (2, ROUTES[name].v2)):
                    if template is not None:
                        path = f"/api/v{version}{template.format(**parts)}"
                        query = f"?type={found}" if name == "collection.by_id" else ""
                        assert ask(server, request("GET", path + query)).status == 200, path

    def test_the_queue_has_an_end(self, serve: Serve, endless: Endless) -> None:
        server = serve(Gate(waiting=2), execute=endless.execute)
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(Wire(server)) for _ in range(20)]
            for wire in wires:
                wire.send(QUERY)
            refused = set()
            while len(refused) < 10:
                readable, _, _ = select.select([wire.socket for wire in wires if wire not in refused], [], [], LONGEST)
                assert readable
                for wire in wires:
                    if wire.socket in readable:
                        answer = wire.read()
                        assert answer is not None
                        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                        assert answer.json()["error"] == "Unavailable"
                        refused.add(wire)
            assert ask(server, request("GET", HEARTBEAT)).status == 200

    def test_places_in_the_queue_of_those_who_left_are_free(self, serve: Serve, endless: Endless) -> None:
        server = serve(Gate(waiting=5), execute=endless.execute)
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(Wire(server)).send(QUERY)
            for _ in range(8):
                assert endless.begun.acquire(timeout=LONGEST)
            for _ in range(5):
                wire = Wire(server)
                wire.send(QUERY)
                reset(wire)
            assert ask(server, request("GET", HEARTBEAT)).status == 200
            waiting = stack.enter_context(Wire(server, timeout=LONGEST))
            waiting.send(QUERY)
            assert ask(server, request("GET", HEARTBEAT)).status == 200
            endless.let_go.set()
            answer = waiting.read()
            assert answer is not None
            assert answer.status == 500  # it was its turn: that is how these queries end


class TestWork:
    """It ends when it has taken too long, and when nobody waits for it."""

    def test_has_a_time_limit(self, serve: Serve, endless: Endless) -> None:
        server = serve(execute=endless.execute, limits=Limits(seconds=0.2))
        with Wire(server) as wire:
            for _ in range(2):  # the connection stays sound
                wire.send(QUERY)
                answer = wire.read()
                assert answer is not None
                assert answer.status == 504
                assert answer.json()["error"] == "TimeLimit"
                assert "0.2 s" in answer.json()["message"]
        assert endless.errors == [TimeLimitError] * 2

    LEAVING: tuple[tuple[str, Callable[[Wire], None]], ...] = (
        ("close", lambda wire: wire.socket.close()),
        ("reset", reset),
        ("both ends shut", lambda wire: wire.socket.shutdown(socket.SHUT_RDWR)),
        ("shut for writing, then closed", shut_and_close),
    )

    @pytest.mark.parametrize(("way", "leave"), LEAVING, ids=[way for way, _ in LEAVING])
    def test_ends_when_its_client_leaves(self, serve: Serve, endless: Endless, way: str, leave: Callable[[Wire], None]) -> None:
        server = serve(execute=endless.execute)
        with Wire(server) as wire:
            wire.send(request("POST", f"{COLLECTIONS}/{SOME}/query", json.dumps({"query_embeddings": [[1.0]] * 20_000}).encode()))
            assert endless.begun.acquire(timeout=LONGEST), way
            leave(wire)
            assert endless.ended.acquire(timeout=LONGEST), way
        assert endless.errors == [AbandonedError]

    def test_goes_on_for_a_client_that_has_only_stopped_to_talk(self, serve: Serve, endless: Endless) -> None:
        server = serve(execute=endless.execute, limits=Limits(seconds=4))
        with Wire(server) as wire:
            wire.send(QUERY)
            assert endless.begun.acquire(timeout=LONGEST)
            wire.socket.shutdown(socket.SHUT_WR)
            answer = wire.read()
            assert answer is not None
            assert answer.status == 504
        assert endless.errors == [TimeLimitError]

    def test_of_a_server_that_stops_is_finished(self, serve: Serve, endless: Endless) -> None:
        server = serve(execute=endless.execute, patience=Patience(stop=0.1), limits=Limits(seconds=None))
        with Wire(server) as wire:
            wire.send(QUERY)
            assert endless.begun.acquire(timeout=LONGEST)
            server.stop()
            assert wire.is_closed()
            assert not endless.ended.acquire(timeout=0.2)
            endless.let_go.set()
            assert endless.ended.acquire(timeout=LONGEST)
        assert endless.errors == []


def still_open(sockets: list[socket.socket]) -> int:
    """Count connections that the server has not closed, once it closes no more."""
    left = {each.fileno(): each for each in sockets}
    poll = select.poll()
    for number in left:
        poll.register(number, select.POLLIN)
    while found := poll.poll(1000):
        for number, _ in found:
            poll.unregister(number)
            del left[number]
    return len(left)


class TestCrowd:
    """The limit of connections holds however they come, and there is room for who has something to ask."""

    SENT = (b"", b"GET /api", b"POST / HTTP/1.1\r\nHost: localhost\r\n")

    @pytest.mark.parametrize("begun", SENT, ids=["silent", "half a line", "half a head"])
    @pytest.mark.parametrize("unix", [False, True], ids=["port", "unix socket"])
    def test_in_a_burst(self, begun: bytes, *, unix: bool) -> None:
        engine, listener = Engine(None), listening_unix("chroma_nb-test-") if unix else None
        if unix and listener is None:
            pytest.skip("needs unix sockets")
        with Server(Service(engine.execute), Gate(token=TOKEN, hosts=("*",)), patience=Patience(connections=40), unix=listener) as server:

            def connect() -> socket.socket:
                if listener is None:
                    return socket.create_connection((server.host, server.port), timeout=LONGEST)
                made = socket.socket(socket.AF_UNIX)  # waits in connect, unlike one with a time limit
                made.connect(str(listener.path))
                made.settimeout(LONGEST)
                return made

            with contextlib.ExitStack() as stack:
                crowd = [stack.enter_context(connect()) for _ in range(400)]
                for each in crowd:
                    with contextlib.suppress(OSError):
                        each.sendall(begun)
                with connect() as client:
                    client.sendall(request("GET", HEARTBEAT))
                    assert client.recv(100).startswith(b"HTTP/1.1 200")
                    assert still_open(crowd) <= 40
        engine.close()

    def test_of_senders_that_do_not_go_on_gives_way(self, serve: Serve) -> None:
        server = serve(patience=Patience(connections=10))
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                wire = stack.enter_context(Wire(server))
                wire.send(request("POST", COLLECTIONS, b"", "Content-Length: 9", "Expect: 100-continue"))
                assert wire.socket.recv(100).startswith(b"HTTP/1.1 100")
            end = time.monotonic() + LONGEST
            while (answer := ask(server, request("GET", HEARTBEAT))).status == 503:
                assert time.monotonic() < end
                time.sleep(0.2)
            assert answer.status == 200

    def test_of_bodies_that_do_not_come_gives_way(self, serve: Serve) -> None:
        server = serve(Gate(body=1 << 20))
        body = b'{"name": "docs"}'.ljust(1 << 20)
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(Wire(server)).send(request("POST", COLLECTIONS, body[:-1], f"Content-Length: {len(body)}"))
            end = time.monotonic() + LONGEST
            while (answer := ask(server, request("POST", COLLECTIONS, body))).status == 503:
                assert answer.headers["retry-after"] == "1"
                assert time.monotonic() < end
                time.sleep(0.2)
            assert answer.status == 200


NOTEBOOK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
import chroma_nb
client = chroma_nb.EphemeralClient()
collection = client.create_collection("docs", embedding_function=None)
collection.add(ids=["a"], embeddings=[[1, 2]], documents=["x" * 30_000_000])
collection.add(ids=[str(i) for i in range(300)], embeddings=[[1, 2]] * 300, documents=["a" * 24 + "!"] * 300)
server = chroma_nb.serve(client, token=None, time_limit=20)
print(server.url, collection.id, flush=True)
taken = []
for line in sys.stdin:
    if line == "take\\n":
        try:
            while True:
                taken.append(open("/dev/null"))
        except OSError:
            pass
    else:
        while taken:
            taken.pop().close()
    print("done", flush=True)
server.stop()
"""


class Notebook:
    """A process that serves as a notebook does, without logging; what it prints is kept."""

    def __init__(self, folder: Path) -> None:
        self._printed = folder / "stderr"
        with self._printed.open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-c", NOTEBOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, text=True
            )
        assert self._process.stdout is not None
        url, found = self._process.stdout.readline().split()
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.path = f"{COLLECTIONS}/{found}"

    def printed(self) -> str:
        return self._printed.read_text()

    def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(LONGEST) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    made = Notebook(tmp_path_factory.mktemp("notebook"))
    yield made
    made.close()
    assert made.printed() == ""


LARGE, SLOW = b'{"ids": ["a"]}', json.dumps({"where_document": {"$regex": "(a|aa)+$"}}).encode()


def wired(notebook: Notebook) -> Wire:
    return Wire(notebook)  # type: ignore[arg-type] # it has a host and a port


def sends(data: bytes, leave: Callable[[Wire], None] = reset, *, read: int = 0, times: int = 3) -> Callable[[Notebook], None]:
    """Return an act: send, perhaps read a little, and leave."""

    def act(notebook: Notebook) -> None:
        for _ in range(times):
            wire = wired(notebook)
            with contextlib.suppress(OSError):
                wire.send(data.replace(b"PATH", notebook.path.encode()))
                if read:
                    wire.socket.recv(read)
            leave(wire)

    return act


def end(wire: Wire) -> None:
    wire.socket.close()


def half(wire: Wire) -> None:
    with contextlib.suppress(OSError):
        wire.socket.shutdown(socket.SHUT_WR)
        while wire.socket.recv(1 << 16):
            pass
    wire.socket.close()


GET_LARGE, GET_SLOW = request("POST", "PATH/get", LARGE), request("POST", "PATH/get", SLOW)
CHUNKED = "Transfer-Encoding: chunked"
RUDE: dict[str, Callable[[Notebook], None]] = {
    "says nothing and resets": sends(b""),
    "says nothing and closes": sends(b"", end),
    "half a line, then a reset": sends(b"GET /ap"),
    "half a head, then an end": sends(b"GET / HTTP/1.1\r\nHost: x", end),
    "half a head, then half closed": sends(b"GET / HTTP/1.1\r\nHost: x", half),
    "half a body, then a reset": sends(request("POST", "PATH/get", b"{", "Content-Length: 50")),
    "half a body, then an end": sends(request("POST", "PATH/get", b"{", "Content-Length: 50"), end),
    "half a body, then half closed": sends(request("POST", "PATH/get", b"{", "Content-Length: 50"), half),
    "half a chunk, then a reset": sends(request("POST", "PATH/get", b"ff\r\n{", CHUNKED)),
    "a broken chunk": sends(request("POST", "PATH/get", b"zz\r\n", CHUNKED), read=100),
    "a chunk that is longer than it says": sends(request("POST", "PATH/get", b"2\r\n{}{}\r\n0\r\n\r\n", CHUNKED), read=100),
    "chunks of one byte": sends(request("POST", "PATH/get", b"1\r\n \r\n" * 100_000, CHUNKED), half),
    "endless extensions of chunks": sends(request("POST", "PATH/get", b"1;" + b"x" * 300_000, CHUNKED), half),
    "endless trailers": sends(request("POST", "PATH/get", b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 50_000, CHUNKED), half),
    "expects a permission and leaves": sends(request("POST", "PATH/get", b"", "Content-Length: 9", "Expect: 100-continue"), read=20),
    "expects something else": sends(request("POST", "PATH/get", b"{}", "Expect: cookies"), read=20),
    "leaves before a large reply": sends(GET_LARGE, times=5),
    "closes before a large reply": sends(GET_LARGE, end, times=5),
    "leaves at the head of a large reply": sends(GET_LARGE, read=1, times=5),
    "leaves in the middle of a large reply": sends(GET_LARGE, read=1_000_000, times=8),
    "closes in the middle of a large reply": sends(GET_LARGE, end, read=1_000_000, times=8),
    "leaves in the middle of a compressed reply": sends(request("POST", "PATH/get", LARGE, "Accept-Encoding: gzip"), read=1000),
    "leaves slow work": sends(GET_SLOW, times=9),
    "closes on slow work": sends(GET_SLOW, end, times=9),
    "fifty requests at once, then a reset": sends(request("GET", HEARTBEAT) * 50),
    "fifty requests at once, then an end": sends(request("GET", HEARTBEAT) * 50, end),
    "twenty large ones at once, then a reset": sends(GET_LARGE * 20, read=1000),
    "a request and nonsense": sends(request("GET", HEARTBEAT) + b"\x00\x01\r\n\r\n", half),
    "nonsense behind a request at work": sends(GET_LARGE + b"\x00\x01\r\n\r\n", read=1000),
    "a greeting of TLS": sends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50, half),
    "HTTP/1.0 and no host": sends(b"GET / HTTP/1.0\r\n\r\n", half),
    "HTTP/1.0 for a large reply, then a reset": sends(GET_LARGE.replace(b"HTTP/1.1", b"HTTP/1.0"), read=1000),
    "HTTP/0.9": sends(b"GET /\r\n", half),
    "HTTP/2": sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", half),
    "an upgrade to websockets": sends(request("GET", HEARTBEAT, b"", "Connection: Upgrade", "Upgrade: websocket"), read=1000),
    "an upgrade to HTTP/2": sends(request("GET", HEARTBEAT, b"", "Connection: Upgrade", "Upgrade: h2c"), read=1000),
    "CONNECT, then other bytes": sends(b"CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n\x16\x03\x01", half),
    "TRACE": sends(request("TRACE", HEARTBEAT), half),
    "HEAD of what has none": sends(request("HEAD", "PATH/get"), half),
    "an absolute target": sends(request("GET", f"http://localhost{HEARTBEAT}"), half),
    "a target of an asterisk": sends(request("OPTIONS", "*"), half),
    "ten thousand headers": sends(request("GET", HEARTBEAT, b"", *["X: y"] * 10_000), half),
    "a hundred and one headers": sends(request("GET", HEARTBEAT, b"", *["X: y"] * 101), half),
    "a header of a million": sends(request("GET", HEARTBEAT, b"", "X: " + "y" * 1_000_000), half),
    "a method of sixty thousand": sends(request("G" * 60_000, HEARTBEAT), half),
    "ten thousand fields in the query string": sends(request("GET", f"{COLLECTIONS}?{'a&' * 10_000}"), half),
    "a body to a heartbeat": sends(request("GET", HEARTBEAT, b"x" * 1_000_000), half),
    "a large body that nobody wants": sends(request("POST", "/nowhere", b"x" * 5_000_000, "Content-Type: text/plain"), half),
}


@pytest.mark.skipif(os.name != "posix", reason="counts open files, and resets connections, as POSIX does")
class TestNotebook:
    """Whatever clients do, a notebook's server goes on, and its cells stay clean."""

    def test_there_are_many_kinds(self) -> None:
        assert len(RUDE) == 48

    @pytest.mark.parametrize("act", RUDE.values(), ids=RUDE.keys())
    def test_is_not_disturbed(self, notebook: Notebook, act: Callable[[Notebook], None]) -> None:
        act(notebook)
        for path, body in ((HEARTBEAT, b""), (f"{notebook.path}/get", b'{"ids": ["7"]}')):
            asking = http.client.HTTPConnection(notebook.host, notebook.port, timeout=LONGEST)
            with contextlib.closing(asking):
                asking.request("POST" if body else "GET", path, body or None)
                assert asking.getresponse().status == 200
        assert notebook.printed() == ""

    def test_has_no_files_left(self, notebook: Notebook) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(wired(notebook))
            with wired(notebook) as wire:
                wire.send(request("GET", HEARTBEAT))
                assert wire.read() is not None
            notebook.tell("take")
            with wired(notebook) as wire:  # one of those that say nothing makes room
                wire.socket.settimeout(LONGEST)
                wire.send(request("GET", HEARTBEAT))
                answer = wire.read()
                assert answer is not None
                assert answer.status == 200
            notebook.tell("give")
        assert notebook.printed() == ""

    def test_stops_in_the_middle_of_it_all(self, tmp_path: Path) -> None:
        made = Notebook(tmp_path)
        with contextlib.ExitStack() as stack:
            for data in (GET_LARGE, GET_SLOW, b"", b"GET /", request("POST", made.path, b"", "Content-Length: 9"), GET_LARGE * 3):
                wire = stack.enter_context(wired(made))
                wire.send(data.replace(b"PATH", made.path.encode()))
            made.close()
        assert made.printed() == ""
