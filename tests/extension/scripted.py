"""What stands in for a kernel's server that means harm: in the test's own process, it says whatever bytes a test has thought up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

Answer = Callable[[socket.socket, bytes], None]


class Scripted:
    """Listens on a unix socket; each request, as far as its empty line, is handed to `answer` with its connection."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self.path = str(folder / "s")
        self.answer = answer
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def saying(cls, folder: Path, said: bytes) -> Scripted:
        """Make one that says the same to everybody."""
        return cls(folder, lambda connection, _: connection.sendall(said))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        heard = b""
        with contextlib.suppress(OSError):
            while piece := connection.recv(1 << 16):
                heard += piece
                while b"\r\n\r\n" in heard:
                    head, _, heard = heard.partition(b"\r\n\r\n")
                    self.answer(connection, head)
        connection.close()

    def close(self) -> None:
        """Listen no more, and hang up."""
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
