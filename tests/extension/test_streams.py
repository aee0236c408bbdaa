"""What passes between client and kernel: every byte, in both directions, in pieces; and what happens when one side goes away."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.extension.conftest import BASE
from tests.extension.rig import Jupyter, Kernel
from tests.extension.upstream import LOOSE, PIECE

LARGE = 100 << 20
SOME = 40 << 20
"""By how much the Jupyter server's memory may grow while `LARGE` passes through it."""
READ = "/tenants/t/databases/d/collections/c/query"


def pieces(size: int) -> Iterator[bytes]:
    while size:
        piece = PIECE[:size]
        yield piece
        size -= len(piece)


def digest(size: int) -> str:
    found = hashlib.sha256()
    for piece in pieces(size):
        found.update(piece)
    return found.hexdigest()


@pytest.fixture
def peak(jupyter: Jupyter) -> Callable[[], int]:
    """Return a function that tells by how many bytes the server's memory has grown at most since now."""
    process = Path(f"/proc/{jupyter.process.pid}")
    if sys.platform != "linux":
        pytest.skip("memory is measured through /proc")

    def memory(line: str) -> int:
        (found,) = (each for each in (process / "status").read_text().splitlines() if each.startswith(line))
        return int(found.split()[1]) << 10

    (process / "clear_refs").write_text("5")
    before = memory("VmRSS")
    return lambda: memory("VmHWM") - before


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_a_large_body_passes_in_pieces(jupyter: Jupyter, api: str, peak: Callable[[], int], known: bool) -> None:
    headers = {"Content-Length": str(LARGE)} if known else {}
    said = jupyter.ask("POST", f"{api}/count", content=pieces(LARGE), headers=headers).raise_for_status().json()
    assert said == {"size": LARGE, "sha256": digest(LARGE)}
    assert peak() < SOME


@pytest.mark.parametrize("query", ["", "&chunked=1"])
def test_a_large_reply_passes_in_pieces(jupyter: Jupyter, api: str, peak: Callable[[], int], query: str) -> None:
    url = f"{jupyter.url}{api}/big?size={LARGE}{query}"
    found, first = hashlib.sha256(), b""
    with httpx.stream("GET", url, headers={**jupyter.headers, "Accept-Encoding": "gzip"}, trust_env=False, timeout=90) as response:
        assert "content-encoding" not in response.headers
        for piece in response.iter_raw():
            if not first:
                first = piece
                time.sleep(0.5)  # while the client reads nothing, nothing piles up
            found.update(piece)
    assert found.hexdigest() == digest(LARGE)
    assert peak() < SOME


def test_a_kernels_headers_pass_as_far_as_they_may(jupyter: Jupyter, api: str) -> None:
    response = jupyter.ask("GET", f"{api}/loose")
    assert {name: response.headers[name] for name in ("content-type", "x-chroma-nb", "chroma-trace-id")} == {
        "content-type": "application/json",
        "x-chroma-nb": "0.1.0",
        "chroma-trace-id": "abc",
    }
    for name in list(LOOSE)[:-3]:
        assert LOOSE[name] not in response.headers.get_list(name), name
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_clients_headers_pass_as_far_as_they_may(jupyter: Jupyter, api: str) -> None:
    sent = {
        "X-Chroma-NB-Rules": "guide",
        "X-Chroma-Token": "mine",
        "X-Forwarded-For": "1.2.3.4",
        "Proxy-Authorization": "x",
        "User-Agent": "me",
    }
    said = jupyter.ask(
        "POST", f"{api}/x", json={}, headers={**sent, "Connection": "keep-alive, X-Hop", "X-Hop": "1", "Cookie": "a=b"}
    ).json()
    received = dict(said["headers"])
    secret = received.pop("x-chroma-token")
    assert secret not in ("mine", jupyter.token)
    assert received == {
        "host": "localhost",
        "x-chroma-nb-rules": "guide",
        "user-agent": "me",
        "content-type": "application/json",
        "content-length": "2",
        "accept": "*/*",
        "accept-encoding": received["accept-encoding"],
    }


@pytest.mark.parametrize("query", ["", "?chunked=1"])
def test_a_reply_that_breaks_off_is_not_taken_for_a_whole(jupyter: Jupyter, api: str, query: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        jupyter.ask("GET", f"{api}/cut{query}")


def targets(kernel: Kernel, mark: str) -> list[str]:
    """Return what a kernel was asked whose target has a mark."""
    seen: list[str] = json.loads(kernel.run("import json; print(json.dumps([each['target'] for each in upstream.seen]))"))
    return [target for target in seen if mark in target]


def test_a_read_is_asked_again_when_its_connection_breaks(jupyter: Jupyter, kernel: Kernel, api: str) -> None:
    assert jupyter.ask("GET", f"{api}/drop?once=get").status_code == 200
    body = b"x" * 150_000
    said = jupyter.ask("POST", f"{api}{READ}?do=drop&once=post", content=body).raise_for_status().json()
    assert said["sha256"] == hashlib.sha256(body).hexdigest()
    assert len(targets(kernel, "once=get")) == len(targets(kernel, "once=post")) == 2


def test_a_write_is_not(jupyter: Jupyter, kernel: Kernel, api: str) -> None:
    response = jupyter.ask("POST", f"{api}/drop?once=write", json={})
    assert response.status_code == 502
    assert response.json()["error"] == "InternalError"
    assert len(targets(kernel, "once=write")) == 1


def test_a_kernel_may_refuse_before_it_has_read_all(jupyter: Jupyter, api: str) -> None:
    response = jupyter.ask("POST", f"{api}/early", content=b"x" * (8 << 20))
    assert response.status_code == 413
    assert response.json()["message"] == "too large"


def test_a_client_that_leaves_is_not_waited_for(jupyter: Jupyter, kernel: Kernel, api: str) -> None:
    with httpx.stream("GET", f"{jupyter.url}{api}/slow?seconds=60", headers=jupyter.headers, trust_env=False) as response:
        next(response.iter_raw())
    deadline = time.monotonic() + 30
    while kernel.run("print(upstream.gone)").strip() == "0":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_that_leaves_while_it_sends_ends_its_request(jupyter: Jupyter, kernel: Kernel, api: str) -> None:
    parts = urlsplit(jupyter.url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        first = f"POST {BASE}{api}/count?left HTTP/1.1\r\nHost: localhost\r\n"
        connection.sendall(f"{first}Authorization: token {jupyter.token}\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 500_000)
        while not targets(kernel, "left"):
            time.sleep(0.05)
    assert jupyter.ask("GET", f"{api}/x").status_code == 200
