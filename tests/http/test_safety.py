"""Connections that are slow, silent, broken or too many; and a server that starts and stops."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from chroma_nb.engine.engine import Engine
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.app import Gate
from chroma_nb.http.call import Service
from chroma_nb.http.connection import Patience
from chroma_nb.http.server import Server, start
from tests.http.conftest import COLLECTIONS, TOKEN, Serve, Wire, ask, request

HEARTBEAT = "/api/v2/heartbeat"
QUICK = Patience(head=0.3, idle=1.0, reader=0.5)


class TestSlowClients:
    """None of them keeps a connection for good, and meanwhile others are served."""

    def test_silent(self, serve: Serve) -> None:
        with Wire(serve(patience=QUICK)) as wire:
            assert wire.read() is None

    def test_head_drop_by_drop(self, serve: Serve) -> None:
        server = serve(patience=QUICK)
        with Wire(server) as wire:
            wire.send(f"GET {HEARTBEAT} HTTP/1.1\r\n".encode())
            with contextlib.suppress(OSError):
                for _ in range(100):
                    wire.send(b"X: y\r\n")
                    time.sleep(0.02)
                pytest.fail("the connection was never closed")
            assert ask(server, request("GET", HEARTBEAT)).status == 200

    def test_half_a_head(self, serve: Serve) -> None:
        with Wire(serve(patience=QUICK)) as wire:
            wire.send(f"GET {HEARTBEAT} HT".encode())
            answer = wire.read()
            assert answer is not None
            assert answer.status == 408
            assert wire.is_closed()

    def test_half_a_head_after_a_request(self, serve: Serve) -> None:
        with Wire(serve(patience=QUICK)) as wire:
            for part, status in ((b"", 200), (b"GET ", 408)):
                wire.send(part or request("GET", HEARTBEAT))
                answer = wire.read()
                assert answer is not None
                assert answer.status == status

    def test_idle_after_a_request(self, serve: Serve) -> None:
        with Wire(serve(patience=QUICK)) as wire:
            wire.send(request("GET", HEARTBEAT))
            assert wire.read() is not None
            assert wire.read() is None

    @pytest.mark.parametrize("headers", ["Content-Length: 100", "Transfer-Encoding: chunked"])
    def test_body_that_does_not_come(self, serve: Serve, headers: str) -> None:
        server = serve(Gate(seconds=0.3))
        with Wire(server) as wire:
            wire.send(request("POST", COLLECTIONS, b"", headers))
            answer = wire.read()
            assert answer is not None
            assert answer.status == 408
            assert answer.headers["connection"] == "close"
            assert wire.is_closed()

    def test_body_drop_by_drop(self, serve: Serve) -> None:
        server = serve(Gate(seconds=0.3))
        with Wire(server) as wire:
            wire.send(request("POST", COLLECTIONS, b"", "Content-Length: 100000"))
            with contextlib.suppress(OSError):
                for _ in range(500):
                    wire.send(b" ")
                    time.sleep(0.02)
                pytest.fail("the connection was never closed")

    def test_body_that_nobody_wants(self, serve: Serve) -> None:
        with Wire(serve(Gate(token=TOKEN))) as wire:
            wire.send(request("POST", COLLECTIONS, b"", "Content-Length: 100"))
            answer = wire.read()
            assert answer is not None
            assert answer.status == 401
            assert wire.is_closed()

    def test_reader_that_never_reads(self, serve: Serve) -> None:
        server = serve(patience=QUICK)
        with httpx.Client(base_url=server.url) as client:
            path = f"{COLLECTIONS}/{client.post(COLLECTIONS, json={'name': 'docs'}).json()['id']}"
            count = 300
            body = {"ids": [f"{i}" for i in range(count)], "embeddings": [[1.0]] * count, "documents": ["x" * 100_000] * count}
            client.post(f"{path}/add", json=body)
        with Wire(server) as wire:
            wire.send(request("POST", f"{path}/get", b"{}"))
            time.sleep(3)
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while got := wire.socket.recv(1 << 20):
                    received += len(got)
            assert received < 30_000_000  # the rest was given up

    def test_too_many(self, serve: Serve) -> None:
        server = serve(patience=Patience(connections=20))
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(Wire(server)) for _ in range(60)]
            assert ask(server, request("GET", HEARTBEAT)).status == 200
            assert held[0].is_closed()  # the oldest made room

    def test_too_many_that_are_busy(self, serve: Serve) -> None:
        server = serve(Gate(seconds=20), Patience(connections=3))
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                wire = stack.enter_context(Wire(server))
                wire.send(request("POST", COLLECTIONS, b"", "Content-Length: 9", "Expect: 100-continue"))
                assert wire.socket.recv(100).startswith(b"HTTP/1.1 100")
            answer = stack.enter_context(Wire(server)).read()
            assert answer is not None
            assert answer.status == 503
            assert "3 connections" in answer.json()["message"]


class TestBrokenRequests:
    """Whatever comes, there is an answer or an end."""

    @pytest.mark.parametrize(
        "data",
        [
            b"\r\n\r\n\x00\x01\x02\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50,
            b"GET / HTTP/x.y\r\nHost: localhost\r\n\r\n",
            b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n : y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"GET " + b"/x" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
        ids=range(13),
    )
    def test_that_are_no_http(self, server: Server, data: bytes) -> None:
        with Wire(server) as wire:
            wire.send(data)
            answer = wire.read()
        assert answer is None or 400 <= answer.status < 502
        assert answer is None or answer.json()["message"]
        assert ask(server, request("GET", HEARTBEAT)).status == 200

    def test_length_and_chunks_together_are_read_as_chunks(self, server: Server) -> None:
        with Wire(server) as wire:
            body = b"f\r\n" + b'{"name":"docs"}' + b"\r\n0\r\n\r\n"
            wire.send(request("POST", COLLECTIONS, body, "Content-Length: 3", "Transfer-Encoding: chunked"))
            answer = wire.read()
            assert answer is not None
            assert answer.status in (200, 400)

    def test_broken_chunk(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(request("POST", COLLECTIONS, b"zz\r\n", "Transfer-Encoding: chunked"))
            answer = wire.read()
            assert answer is not None
            assert answer.status == 400
            assert wire.is_closed()

    def test_one_after_the_other_without_waiting(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(request("GET", HEARTBEAT) * 20 + request("POST", COLLECTIONS, b'{"name":"docs"}') + request("GET", "/x"))
            statuses = [answer.status for answer in (wire.read() for _ in range(22)) if answer is not None]
            assert statuses == [200] * 21 + [404]

    def test_garbage_behind_a_request(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(request("GET", HEARTBEAT) + b"\x00\x01\r\n\r\n")
            first, second = wire.read(), wire.read()
            assert first is not None
            assert first.status == 200
            assert second is not None
            assert second.status == 400

    def test_http_1_0(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(f"GET {HEARTBEAT} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = wire.read()
            assert answer is not None
            assert answer.status == 200
            assert wire.is_closed()

    def test_closed_for_writing(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(request("GET", "/api/v2/tenants/default_tenant"))
            wire.socket.shutdown(socket.SHUT_WR)
            answer = wire.read()
            assert answer is not None
            assert answer.status == 200
            assert wire.is_closed()

    def test_upgrade(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(request("GET", HEARTBEAT, b"", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"))
            answer = wire.read()
            assert answer is not None
            assert answer.status == 200


class TestStopping:
    """A server ends quickly, wholly, and only its own process ends it."""

    def test_with_open_connections(self, serve: Serve) -> None:
        server = serve()
        with contextlib.ExitStack() as stack:
            idle, silent, half = (stack.enter_context(Wire(server)) for _ in range(3))
            idle.send(request("GET", HEARTBEAT))
            assert idle.read() is not None
            half.send(request("POST", COLLECTIONS, b"", "Content-Length: 100"))
            server.stop()
            assert not server.running
            assert all(wire.is_closed() for wire in (idle, silent, half))
        server.stop()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((server.host, server.port), timeout=5)

    def test_while_a_request_is_at_work(self, serve: Serve) -> None:
        at_work, let_go, engine = threading.Event(), threading.Event(), Engine(None)

        def slow(op: object) -> object:
            at_work.set()
            let_go.wait(30)
            return engine.execute(op)  # type: ignore[arg-type]

        server = serve(patience=Patience(stop=0.2), execute=slow)
        with Wire(server) as wire:
            wire.send(request("GET", HEARTBEAT))
            assert at_work.wait(20)
            server.stop()
            assert not server.running
            let_go.set()
            assert wire.is_closed()
        engine.close()

    def test_lets_what_is_quick_end(self, serve: Serve) -> None:
        at_work, engine = threading.Event(), Engine(None)

        def slow(op: object) -> object:
            at_work.set()
            time.sleep(0.3)
            return engine.execute(op)  # type: ignore[arg-type]

        server = serve(execute=slow)
        with Wire(server) as wire:
            wire.send(request("GET", HEARTBEAT))
            assert at_work.wait(20)
            server.stop()
            answer = wire.read()
            assert answer is not None
            assert answer.status == 200
        engine.close()

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files where the system lists them")
    def test_fifty_times_leaves_nothing_behind(self) -> None:
        engine = Engine(None)

        def once() -> None:
            with start(Service(engine.execute), token=None) as server, Wire(server) as wire:
                wire.send(request("GET", HEARTBEAT))
                assert wire.read() is not None

        def counts() -> tuple[int, int]:
            return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

        once()
        before = settled(counts)
        for _ in range(50):
            once()
        assert settled(counts) <= before
        engine.close()

    def test_port_in_use(self, server: Server) -> None:
        with pytest.raises(InvalidArgumentError, match=f"{server.port}: another program does; choose another port"):
            start(Service(lambda _: None), token=None, port=server.port)

    @pytest.mark.parametrize(("host", "port"), [("", 0), ("127.0.0.1", -1), ("127.0.0.1", 65_536), ("256.0.0.1", 0), ("x" * 300, 0)])
    def test_no_such_place(self, host: str, port: int) -> None:
        with pytest.raises(InvalidArgumentError, match=r"host|port|listen"):
            start(Service(lambda _: None), token=None, host=host, port=port)

    def test_binds_loopback_unless_told_otherwise(self, server: Server) -> None:
        assert server.host == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.port}"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_forked_child_owns_nothing(self) -> None:
        assert run(FORKED).stdout.split() == ["child:", "False", "parent:", "200", "port", "free"]

    def test_process_that_ends_stops_its_server(self) -> None:
        done = run(ENDING)
        assert done.stdout.strip() == "end"
        assert not done.stderr


def settled(counts: object) -> tuple[int, int]:
    """Return what `counts` says once it no longer falls; threads need a moment to end."""
    last = counts()  # type: ignore[operator]
    for _ in range(50):
        time.sleep(0.05)
        now = counts()  # type: ignore[operator]
        if now == last:
            break
        last = now
    return last  # type: ignore[no-any-return]


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)


FORKED = """
import os, sys, urllib.request, warnings
warnings.simplefilter("ignore")
from chroma_nb.engine.engine import Engine
from chroma_nb.http.call import Service
from chroma_nb.http.server import start
engine = Engine(None)
server = start(Service(engine.execute), token=None)
ready, go = os.pipe(), os.pipe()
child = os.fork()
if not child:
    server.stop()
    print("child:", server.running, flush=True)
    os.write(ready[1], b"x")
    os.read(go[0], 1)  # outlives the server, and must not keep its port
    os._exit(0)
os.read(ready[0], 1)
print("parent:", urllib.request.urlopen(server.url + "/api/v2/heartbeat").status, flush=True)
server.stop()
again = start(Service(engine.execute), token=None, port=server.port)
print("port free", flush=True)
again.stop()
os.write(go[1], b"x")
os.waitpid(child, 0)
"""

ENDING = """
import urllib.request
from chroma_nb.engine.engine import Engine
from chroma_nb.http.call import Service
from chroma_nb.http.server import start
server = start(Service(Engine(None).execute), token="")
urllib.request.urlopen(server.url + "/api/v2/heartbeat").read()
print("end")
"""


class TestSecrets:
    """The token is where it is asked for, and nowhere else."""

    def test_are_shown_only_on_demand(self, guarded: Server) -> None:
        shown = [repr(guarded), str(guarded), guarded._repr_html_(), guarded.python(), guarded.js(), guarded.curl(), guarded.url]
        shown += [repr(guarded.__dict__), repr(Gate(token=TOKEN))]
        found = [text for text in shown if TOKEN in text]
        assert found == [repr(guarded.__dict__)]  # the object itself has to know it
        assert all(TOKEN in text for text in (guarded.python(show_token=True), guarded.js(show_token=True), guarded.curl(show_token=True)))

    def test_are_in_no_log_and_no_reply(self, guarded: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        secret = f"X-Chroma-Token: {TOKEN}"
        asked = [
            request("GET", "/api/v2/tenants/nobody", b"", secret),
            request("POST", COLLECTIONS, b"{", secret),
            request("POST", COLLECTIONS, b"{}", secret, "Content-Type: text/plain"),
            request("GET", HEARTBEAT, b"", secret, host="evil.example"),
            request("GET", HEARTBEAT, b"", secret, "Origin: http://evil.example"),
            request("BREW", HEARTBEAT, b"", secret),
            request("GET", "/openapi.json", b"", secret),
            request("GET", "/docs", b"", secret),
            request("GET", "/a b", b"", secret),
            request("GET", HEARTBEAT, b"", f"X-Chroma-Token: {TOKEN}", "Broken Header"),
        ]
        with caplog.at_level(logging.DEBUG):
            answers = [ask(guarded, data) for data in asked]
        output = capfd.readouterr()
        assert not any(TOKEN in text for text in (caplog.text, output.out, output.err))
        assert not any(TOKEN.encode() in answer.body or TOKEN in str(answer.headers) for answer in answers)

    def test_noise_of_clients_stays_out_of_the_notebook(self, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
        for data in (b"\x00\r\n\r\n", request("GET", HEARTBEAT, b"", "Connection: Upgrade", "Upgrade: websocket")):
            with Wire(server) as wire:
                wire.send(data)
                wire.read()
        assert capfd.readouterr().err == ""


def test_a_server_wakes_nobody_while_it_is_idle(server: Server) -> None:
    """The loop sleeps in one system call instead of looking around several times a second."""
    if not Path("/proc/self/task").exists():
        pytest.skip("counts switches where the system lists them")
    thread = next(thread for thread in threading.enumerate() if thread is server._thread)

    def switches() -> int:
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        return int(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[0])

    ask(server, request("GET", HEARTBEAT))
    time.sleep(0.3)
    before = switches()
    time.sleep(1.5)
    assert switches() - before <= 2
