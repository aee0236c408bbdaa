"""Much at once: large bodies, many clients, slow ones, and those that go away.

The Jupyter server stays small, and everyone else is served.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import chroma_nb
from tests.end_to_end.conftest import RECORDS
from tests.end_to_end.notebook import DATABASE, Notebook, eventually
from tests.extension.rig import Jupyter

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at through /proc")
LARGE, DOCUMENT = 100 << 20, 1 << 20
SOME = 40 << 20
"""By how much the Jupyter server's memory may grow while `LARGE` passes through it."""
CLIENTS, ROUNDS = 50, 4
PATIENCE = 120.0


def process(jupyter: Jupyter) -> Path:
    return Path("/proc") / str(jupyter.process.pid)


def memory(jupyter: Jupyter, line: str) -> int:
    """Return a figure of the Jupyter server's memory in bytes."""
    (found,) = (each for each in (process(jupyter) / "status").read_text().splitlines() if each.startswith(line))
    return int(found.split()[1]) << 10


def sockets(jupyter: Jupyter) -> int:
    """Return how many connections the Jupyter server has open."""
    found = 0
    for each in (process(jupyter) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(each.readlink()).startswith("socket:")
    return found


def texts() -> Iterator[str]:
    """Give the documents of a large collection; no two are alike."""
    for number in range(LARGE // DOCUMENT):
        yield hashlib.sha256(str(number).encode()).hexdigest() * (DOCUMENT // 64)


@pytest.fixture(scope="module")
def large(served: Notebook) -> str:
    """Return the path, below a kernel's address, of an empty collection."""
    made = served.ask("POST", f"{DATABASE}/collections", json={"name": "large"}).raise_for_status().json()
    return f"{DATABASE}/collections/{made['id']}"


@LINUX
@pytest.mark.slow
def test_large_bodies_pass_in_bounded_memory(jupyter: Jupyter, served: Notebook, large: str) -> None:
    documents = list(texts())
    ids = [f"d{number:03d}" for number in range(len(documents))]
    body = json.dumps({"ids": ids, "embeddings": [[1.0, 2.0]] * len(ids), "documents": documents}).encode()
    assert len(body) > LARGE
    (process(jupyter) / "clear_refs").write_text("5")
    before = memory(jupyter, "VmRSS")
    served.ask("POST", f"{large}/add", content=body, headers={"Content-Type": "application/json"}, timeout=PATIENCE).raise_for_status()
    got = served.ask("POST", f"{large}/get", json={"include": ["documents"]}, timeout=PATIENCE).raise_for_status()
    assert len(got.content) > LARGE
    found = got.json()
    assert dict(zip(found["ids"], found["documents"], strict=True)) == dict(zip(ids, documents, strict=True))
    assert memory(jupyter, "VmHWM") - before < SOME


def test_fifty_clients_at_once_get_what_is_theirs(jupyter: Jupyter, served: Notebook) -> None:
    served.run("client.create_collection('crowded', embedding_function=None)")
    url = served.value("server.url")
    ready = threading.Barrier(CLIENTS)

    def work(number: int) -> list[list[str]]:
        with chroma_nb.HttpClient(url, headers=jupyter.headers, timeout=PATIENCE) as client:
            docs = client.get_collection("crowded")
            ready.wait(PATIENCE)
            found = []
            for turn in range(ROUNDS):
                vector = [float(number), float(turn), 1.0]
                docs.add([f"{number}-{turn}"], embeddings=[vector], metadatas=[{"who": number}])
                found.append(docs.query([vector], n_results=1)["id"].tolist())
                assert len(docs.get(where={"who": number})) == turn + 1
            return found

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(work, range(CLIENTS)))
    assert answers == [[[f"{number}-{turn}"] for turn in range(ROUNDS)] for number in range(CLIENTS)]
    assert served.count("crowded") == CLIENTS * ROUNDS


def opened(jupyter: Jupyter) -> socket.socket:
    parts = urlsplit(jupyter.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


def head(served: Notebook, method: str, path: str, *lines: str) -> bytes:
    """Return the first part of a request, as a client sends it who writes it by hand."""
    target = f"{urlsplit(served.jupyter.url).path}{served.by_id}/{path}"
    given = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: token {served.jupyter.token}", *lines]
    return "\r\n".join([*given, "", ""]).encode()


def test_a_client_that_sends_slowly_holds_nobody_up(jupyter: Jupyter, served: Notebook) -> None:
    docs = served.ask("GET", f"{DATABASE}/collections/docs").json()["id"]
    body = json.dumps({"query_embeddings": [[7, 0, 1]], "n_results": 1, "include": []}).encode()
    with opened(jupyter) as slow:
        path = f"{DATABASE}/collections/{docs}/query"
        slow.sendall(head(served, "POST", path, "Content-Type: application/json", f"Content-Length: {len(body)}"))
        for start in range(len(body)):
            slow.sendall(body[start : start + 1])
            if start % 8 == 0:
                assert served.count("docs") == RECORDS
        assert b" 200 " in slow.makefile("rb").readline()


@pytest.fixture
def bulky(served: Notebook) -> Iterator[str]:
    """Return the path of a reply that fills every buffer between kernel and client: some 40 MB."""
    rows = 200
    code = f"bulky = client.create_collection('bulky', embedding_function=None); bulky.add([f'b{{i}}' for i in range({rows})], "
    served.run(f"{code}embeddings=[[1, 2]] * {rows}, documents=['x' * 200_000] * {rows})")
    found = served.ask("GET", f"{DATABASE}/collections/bulky").json()
    yield f"{DATABASE}/collections/{found['id']}/get"
    served.run("client.delete_collection('bulky')")


def asking(served: Notebook, path: str) -> bytes:
    """Return a whole request for all documents of a collection."""
    body = b'{"include": ["documents"]}'
    return head(served, "POST", path, "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close") + body


def test_a_client_that_reads_slowly_holds_nobody_up(jupyter: Jupyter, served: Notebook, bulky: str) -> None:
    with opened(jupyter) as slow:
        slow.sendall(asking(served, bulky))
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        for _ in range(20):
            assert served.count("docs") == RECORDS
            slow.recv(4096)
        rest = sum(map(len, iter(lambda: slow.recv(1 << 20), b"")))
    assert rest > 39_000_000


@LINUX
def test_clients_that_go_away_leave_nothing_open(jupyter: Jupyter, served: Notebook, bulky: str) -> None:
    served.count("docs")
    before = sockets(jupyter)
    for _ in range(10):
        with opened(jupyter) as leaving:
            leaving.sendall(asking(served, bulky))
            assert leaving.recv(4096).startswith(b"HTTP/1.1 200")
        with opened(jupyter) as leaving:
            leaving.sendall(head(served, "POST", bulky, "Content-Type: application/json", "Content-Length: 1000000") + b"{" * 1000)
    assert served.count("docs") == RECORDS
    # What is kept for later requests is a connection or two, not one for each client that left.
    eventually(lambda: sockets(jupyter) <= before + 2)
