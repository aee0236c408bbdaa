"""What stands in for a kernel's server where a test has to see every byte: runs in a real kernel, does what its path says.

In a cell: ``from tests.extension.upstream import Upstream; upstream = Upstream()``. It listens on a unix socket (or, with
``tcp=True``, on a port of this machine), writes the kernel's record as the contract between kernel and extension asks, and remembers
what it was asked in ``upstream.seen``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import secrets
import socket
import socketserver
import tempfile
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SECRET = "5ecret-of-the-record-" + "x" * 20
PIECE = bytes(range(256)) * 256


def content_of_record(kernel_id: str, /, **changes: Any) -> dict[str, Any]:
    """Return a record as a kernel writes it, with `changes`."""
    return {
        "schema": 1,
        "kernel_id": kernel_id,
        "pid": os.getpid(),
        "nonce": secrets.token_hex(16),
        "started": datetime.now(timezone.utc).isoformat(),
        "socket": None,
        "host": "127.0.0.1",
        "port": 9,
        "secret": SECRET,
        "place": ":memory:",
        "read_only": False,
        "version": "0.1.0",
        "machine": platform.node(),
        **changes,
    }


def write_record(runtime: Path, content: dict[str, Any] | bytes, name: str = "", mode: int = 0o600) -> Path:
    """Write a record into Jupyter's runtime folder, as a kernel does; return its path."""
    folder = runtime / "chroma_nb"
    folder.mkdir(mode=0o700, exist_ok=True)
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path = folder / (name or f"kernel-{json.loads(data)['kernel_id']}.json")
    passing = folder / secrets.token_hex(8)
    with open(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123
        file.write(data)
    passing.chmod(mode)
    passing.replace(path)
    return path


class Upstream:
    """A server in a thread of the kernel."""

    def __init__(self, *, tcp: bool = False, **changes: Any) -> None:
        from ipykernel.connect import get_connection_file

        connection = Path(get_connection_file())
        self.seen: list[dict[str, Any]] = []
        self.connections: list[socket.socket] = []
        self.gone = 0
        """Replies that the other side did not wait for."""
        if tcp:
            self._server: socketserver.TCPServer = _Tcp(("127.0.0.1", 0), _Handler)
            address = {"host": "127.0.0.1", "port": self._server.server_address[1]}
        else:
            self.socket = Path(tempfile.mkdtemp(prefix="cnb-")) / "s"
            self._server = _Unix(str(self.socket), _Handler)
            address = {"socket": str(self.socket), "host": None, "port": None}
        self._server.upstream = self  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        content = content_of_record(connection.stem.removeprefix("kernel-"), **{**address, **changes})
        self.record = write_record(connection.parent, content)

    def stop(self) -> None:
        """Listen no more and close all connections; the record stays, as after a kill."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """Answers by the last name of the path, or by what stands after ``do=`` in the query."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = False

    def setup(self) -> None:
        super().setup()
        self.server.upstream.connections.append(self.connection)  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        """Say nothing: what a thread prints would land in a cell."""

    def answer(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        action = getattr(self, f"_{query.get('do') or parts.path.rstrip('/').rpartition('/')[2]}", self._echo)
        with contextlib.suppress(ConnectionError):
            action(query)
            return
        self.server.upstream.gone += 1  # type: ignore[attr-defined]
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _noted(self, body: bytes | None = None) -> dict[str, Any]:
        note = {
            "method": self.command,
            "target": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "sha256": None if body is None else hashlib.sha256(body).hexdigest(),
            "size": None if body is None else len(body),
        }
        self.server.upstream.seen.append(note)  # type: ignore[attr-defined]
        return note

    def _echo(self, _: dict[str, str]) -> None:
        """Say what was received."""
        self._reply(json.dumps(self._noted(b"".join(self._pieces()))).encode())

    def _count(self, _: dict[str, str]) -> None:
        """Take a body of any size, piece by piece, and say how large it was."""
        digest, size = hashlib.sha256(), 0
        self._noted()
        for piece in self._pieces():
            digest.update(piece)
            size += len(piece)
        self._reply(json.dumps({"size": size, "sha256": digest.hexdigest()}).encode())

    def _big(self, query: dict[str, str]) -> None:
        """Send so many bytes, with a length or in chunks."""
        self._noted()
        size, chunked = int(query["size"]), "chunked" in query
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size))))
        self.end_headers()
        while size:
            piece = PIECE[:size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            size -= len(piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _status(self, query: dict[str, str]) -> None:
        """Reply with a status."""
        self._noted()
        self.send_response(int(query["code"]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _loose(self, _: dict[str, str]) -> None:
        """Reply with headers that must not reach a client."""
        self._noted()
        self.send_response(200)
        for name, value in LOOSE.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def _slow(self, query: dict[str, str]) -> None:
        """Reply after a while, in spaces until then, so that a client who leaves is noticed."""
        self._noted()
        if "silent" in query:
            time.sleep(float(query["seconds"]))
            self._reply(b"{}")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(int(float(query["seconds"]) * 50)):
            self.wfile.write(b"1\r\n \r\n")
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self, query: dict[str, str]) -> None:
        """Break off within the reply."""
        self._noted()
        self.send_response(200)
        self.send_header(*(("Transfer-Encoding", "chunked") if "chunked" in query else ("Content-Length", "100")))
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n" if "chunked" in query else b"hello")
        self.close_connection = True

    def _drop(self, query: dict[str, str]) -> None:
        """Close the connection instead of replying; with ``once``, only the first time."""
        note = self._noted(b"".join(self._pieces()))
        if "once" in query and sum(each["target"] == self.path for each in self.server.upstream.seen) > 1:  # type: ignore[attr-defined]
            self._reply(json.dumps(note).encode())
            return
        self.close_connection = True

    def _early(self, _: dict[str, str]) -> None:
        """Refuse before the body is read, and close."""
        self._noted()
        self.close_connection = True
        self._reply(b'{"error": "BatchSizeExceededError", "message": "too large"}', 413)

    def _reply(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pieces(self) -> Any:
        left = int(self.headers.get("Content-Length", "0"))
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            if not piece:
                return
            left -= len(piece)
            yield piece
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(re.split(rb"[;\r]", self.rfile.readline())[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()


LOOSE = {
    "Set-Cookie": "_xsrf=stolen; Path=/",
    "Server": "upstream/1.0",
    "Content-Security-Policy": "default-src *",
    "Content-Security-Policy-Report-Only": "default-src *",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Credentials": "true",
    "Clear-Site-Data": '"*"',
    "Service-Worker-Allowed": "/",
    "Location": "http://elsewhere.example/",
    "Refresh": "0; url=http://elsewhere.example/",
    "X-Frame-Options": "ALLOWALL",
    "Connection": "X-Chroma-Hop",
    "X-Chroma-Hop": "1",
    "Keep-Alive": "timeout=5",
    "Content-Type": "application/json",
    "X-Chroma-NB": "0.1.0",
    "Chroma-Trace-Id": "abc",
}
"""What a kernel's server may say that its client must not hear; the last three may pass."""
