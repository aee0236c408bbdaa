"""Servers over stores in memory, and a bare connection to them."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typing_extensions import Self

from chroma_nb.engine.engine import Engine
from chroma_nb.http.app import Gate
from chroma_nb.http.call import Service
from chroma_nb.http.connection import Patience
from chroma_nb.http.server import Server

TOKEN = "T0ken-that-nobody-may-ever-see"
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


@dataclass(frozen=True)
class Answer:
    """A reply as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A bare connection: sends bytes as they are, reads replies."""

    def __init__(self, server: Server, timeout: float = 20) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=timeout)
        self._rest = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Answer | None:
        """Read one reply; None when the server closed the connection without one."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                assert not self._rest, self._rest
                return None
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        if status == 100:  # says no more than that the server is still there
            return self.read()
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"".join(self._chunks()))
        return Answer(status, headers, self._take(int(headers.get("content-length", "0"))))

    def _chunks(self) -> Iterator[bytes]:
        while True:
            while b"\r\n" not in self._rest:
                assert self._more(), "the reply ended in the middle of a chunk"
            size, _, self._rest = self._rest.partition(b"\r\n")
            chunk = self._take(int(size, 16) + 2)
            assert chunk.endswith(b"\r\n"), "the reply ended in the middle of a chunk"
            if len(chunk) == 2:
                return
            yield chunk[:-2]

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size and self._more():
            pass
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def is_closed(self) -> bool:
        """Wait until the server closes the connection."""
        return not self._more()

    def _more(self) -> bool:
        try:
            got = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self._rest += got
        return bool(got)


def request(method: str, path: str, body: bytes = b"", *headers: str, host: str | None = "127.0.0.1") -> bytes:
    """Write a request."""
    lines = [f"{method} {path} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *headers]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(server: Server, data: bytes) -> Answer:
    """Send a request over a connection of its own and read the reply."""
    with Wire(server) as wire:
        wire.send(data)
        answer = wire.read()
    assert answer is not None, "the connection was closed without a reply"
    return answer


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers over an empty store in memory, and stop them."""
    with contextlib.ExitStack() as stack:

        def made(gate: Gate | None = None, patience: Patience | None = None, *, host: str = "127.0.0.1", **options: Any) -> Server:
            engine = Engine(None, allow_reset=True)
            stack.callback(engine.close)
            execute = options.pop("execute", engine.execute)
            return stack.enter_context(Server(Service(execute, **options), gate or Gate(), host, patience=patience))

        yield made


@pytest.fixture
def server(serve: Serve) -> Server:
    """Return a server that lets everyone in."""
    return serve()


@pytest.fixture
def guarded(serve: Serve) -> Server:
    """Return a server that asks for the token."""
    return serve(Gate(token=TOKEN))
