"""The guard of conftest.py really keeps the tests on this machine."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest


def test_another_host_cannot_be_reached(attempts_to_leave: list[str]) -> None:
    with socket.socket() as client, pytest.raises(Exception, match="tests stay on this machine"):
        client.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(Exception, match="tests stay on this machine"):
        client.sendto(b"x", ("192.0.2.1", 53))
    with pytest.raises(Exception, match="tests stay on this machine"):
        socket.create_connection(("chroma.example", 443))
    assert len(attempts_to_leave) == 3
    attempts_to_leave.clear()


def test_a_swallowed_attempt_is_remembered(attempts_to_leave: list[str]) -> None:
    def careless() -> None:
        with contextlib.suppress(Exception):
            socket.getaddrinfo("chroma.example", 443)

    thread = threading.Thread(target=careless)
    thread.start()
    thread.join()
    assert attempts_to_leave == ["socket.getaddrinfo to 'chroma.example'"]
    attempts_to_leave.clear()


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(("localhost", server.getsockname()[1])) as client:
        served, _ = server.accept()
        with served:
            client.sendall(b"x")
            assert served.recv(1) == b"x"
