"""What a forged record would lead to: a program of this machine that nobody may be led to."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class Decoy:
    """Listens on a port and a unix socket of this machine, answers everyone, and counts."""

    def __init__(self, folder: Path) -> None:
        self.calls = 0
        self.path = str(folder / "decoy")
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(self.path)
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        self._sockets = (unix, tcp)
        unix.listen()
        for each in self._sockets:
            threading.Thread(target=self._answer, args=(each,), daemon=True).start()

    def _answer(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.calls += 1
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            connection.close()

    def close(self) -> None:
        for each in self._sockets:
            each.shutdown(socket.SHUT_RDWR)
            each.close()
