"""A server that answers as a test says, byte by byte: for what no real server does when asked to."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

PRE_FLIGHT = {"max_batch_size": 100, "supports_base64_encoding": True}


def reply(status: int, body: Any, **headers: str) -> bytes:
    """Return a whole HTTP reply; a text as it is, anything else as JSON."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fields = {"content-type": "text/html" if isinstance(body, str) else "application/json", "content-length": str(len(content)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} whatever\r\n{head}\r\n".encode() + content


Piecewise = Callable[[threading.Event], Iterable[bytes]]
"""Makes a reply piece by piece, until the client goes away or the event says that the server does; the connection is closed after it."""


class Scripted:
    """Gives one reply per request, in order, the last one for ever; None closes the connection instead, "" never answers."""

    def __init__(self, script: list[bytes | Piecewise | None]) -> None:
        self.asked: list[tuple[str, str]] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                line = stream.readline().decode()
                if not line:
                    return
                size, head = 0, ""
                while (field := stream.readline().decode().strip()) != "":
                    head += f"{field}\n"
                    if field.lower().startswith("content-length:"):
                        size = int(field.partition(":")[2])
                self.heads.append(head)
                self.bodies.append(stream.read(size))
                self.asked.append((line.split()[0], line.split()[1]))
                answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                if answer is None:
                    return
                if not answer:
                    self._ended.wait(30)
                    return
                if not isinstance(answer, bytes):
                    with contextlib.suppress(OSError):
                        for piece in answer(self._ended):
                            connection.sendall(piece)
                    return
                connection.sendall(answer)

    def close(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)


@contextlib.contextmanager
def scripted(*script: bytes | Piecewise | None) -> Iterator[Scripted]:
    """Run a server of the given replies."""
    made = Scripted(list(script))
    try:
        yield made
    finally:
        made.close()
