"""Large replies: the same JSON in pieces, a limit before anything is sent, and no more of them unread than there is room for."""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb import ops
from chroma_nb.engine.engine import Engine
from chroma_nb.http.app import Gate
from chroma_nb.http.call import Limits, Service
from chroma_nb.http.message import Request
from chroma_nb.http.pieces import PIECE, pieces, size_of
from chroma_nb.http.server import Server
from chroma_nb.http.serving import answer
from chroma_nb.http.wire import dumper, dumps
from chroma_nb.scalars import Instant
from tests.http.conftest import COLLECTIONS, Serve, Wire, ask, request

MANY = np.random.default_rng(1).random((9_000, 40)).astype(np.float32)
VALUES: dict[str, Any] = {
    "nothing": None,
    "a number": 1.5,
    "an empty list": [],
    "an empty object": {},
    "an empty array": np.empty((0, 3), np.float32),
    "an array without columns": np.empty((4, 0), np.float32),
    "vectors": MANY,
    "vectors query by query": [MANY[i : i + 3] for i in range(0, 9_000, 3)],
    "wide vectors": np.ones((3, 120_000), np.float32),
    "distances": MANY.ravel().astype(np.float64),
    "ids": [f"id {i}" for i in range(200_000)],
    "a long text": "x" * 3_000_000,
    "a long text of escapes": '\x00\\"\n' * 500_000,
    "a long text of signs": "é😀" * 700_000,
    "long texts": ["y" * 900_000] * 5,
    "texts and gaps": ["z" * 300, None] * 4_000,
    "metadata": [{"a": i, "b": f"text {i}", "c": [1, 2], "d": None} for i in range(40_000)],
    "metadata and gaps": [{"a": "x" * 1_500_000}, None, {}, None] * 2,
    "metadata query by query": [[{"a": i}, None] for i in range(40_000)],
    "instants": [{"at": Instant(1_700_000_000_000_000_000 + i, "UTC")} for i in range(30_000)],
    "lists of lists": [[[i], [i, [i]]] for i in range(60_000)],
    "an object of many keys": {f"key {i}": "v" * 20 for i in range(50_000)},
    "a whole reply": {"ids": [["a"]] * 3_000, "embeddings": None, "documents": [["d" * 1_000]] * 3_000, "include": ["documents"]},
}


class TestPieces:
    """Put together they are what would have been written at once."""

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
    @pytest.mark.parametrize("instants_as_text", [False, True])
    def test_are_the_same_json(self, value: Any, *, instants_as_text: bool) -> None:
        dump = dumper(instants_as_text=instants_as_text)
        found = list(pieces(value, dump))
        assert b"".join(found) == dump(value)
        assert len(found) >= len(dump(value)) // (8 * PIECE)
        assert all(len(piece) >= PIECE for piece in found[:-1])

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
    def test_are_about_as_long_as_was_reckoned(self, value: Any) -> None:
        assert len(dumps(value)) / 6 - 100 <= size_of(value) <= 6 * len(dumps(value)) + 100

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_of_any_value(self, value: Any) -> None:
        assert b"".join(pieces(value, orjson.dumps)) == orjson.dumps(value)

    def test_of_a_shared_text_are_never_all_there(self) -> None:
        text = "x" * PIECE
        following = pieces([[text]] * 100_000, orjson.dumps)  # 100 GB
        assert [len(next(following)) < 3 * PIECE for _ in range(20)] == [True] * 20


class Store:
    """A collection in memory that answers without a socket, and tells what it was asked."""

    def __init__(self) -> None:
        self.engine = Engine(None)
        self.asked: list[ops.Op[Any]] = []
        made = self.post(COLLECTIONS, {"name": "docs"})
        self.path = f"{COLLECTIONS}/{orjson.loads(made.content())['id']}"
        record = {"ids": ["a"], "embeddings": [[0.5] * 500], "documents": ["d" * 10_000], "metadatas": [{"m": "v" * 10_000}]}
        assert self.post(f"{self.path}/add", {**record, "uris": ["u" * 10_000]}).status == 201
        self.asked.clear()

    def execute(self, op: ops.Op[Any]) -> Any:
        self.asked.append(op)
        return self.engine.execute(op)

    def post(self, path: str, body: Any, **limits: Any) -> Any:
        service = Service(self.execute, limits=Limits(**limits))
        return answer(service, Request("POST", path, {}, {"content-type": "application/json"}, orjson.dumps(body)))


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.engine.close()


class TestLimit:
    """What would be too large is refused before anything of it is sent."""

    QUERIES = 700

    @pytest.mark.parametrize("include", ["documents", "metadatas", "uris", "embeddings"])
    def test_of_a_reply(self, store: Store, include: str) -> None:
        body = {"query_embeddings": [[0.5] * 500] * self.QUERIES, "n_results": 1, "include": [include]}
        assert store.post(f"{store.path}/query", body, reply=10 << 20).status == 200 or include == "embeddings"
        store.asked.clear()
        refused = store.post(f"{store.path}/query", body, reply=1 << 20)
        assert refused.status == 413
        message = orjson.loads(refused.content())["message"]
        assert "1 at most" in message
        assert "n_results" in message
        assert "include" in message
        # Embeddings are copied for each hit, so their size is reckoned before the engine reads them.
        assert any(isinstance(op, ops.Query) for op in store.asked) == (include != "embeddings")

    def test_does_not_count_results_that_there_are_not(self, store: Store) -> None:
        body = {"query_embeddings": [[0.5] * 500], "n_results": 1_000_000, "include": ["embeddings"]}
        assert store.post(f"{store.path}/query", body, reply=1 << 20).status == 200

    def test_is_larger_than_an_export(self) -> None:
        assert size_of([np.empty((100_000, 1024), np.float32)]) + 100_000 * 4_000 < Limits().reply

    def test_a_record_that_is_found_often_is_held_once(self, store: Store) -> None:
        found = store.engine.execute(
            ops.Query(store.path.rpartition("/")[2], np.ones((50, 500), np.float32), 1, include=frozenset({"documents"}))
        )
        assert len({id(document) for document in found.hits.documents or ()}) == 1


def collection(server: Server, count: int, size: int) -> str:
    """Make a collection of `count` documents of `size` letters and return its path."""
    found = ask(server, request("POST", COLLECTIONS, b'{"name":"docs","get_or_create":true}')).json()["id"]
    path = f"{COLLECTIONS}/{found}"
    body = {"ids": [f"{i}" for i in range(count)], "embeddings": [[1.0]] * count, "documents": ["word " * (size // 5)] * count}
    assert ask(server, request("POST", f"{path}/add", json.dumps(body).encode())).status == 201
    return path


class TestSending:
    """Over real connections."""

    def test_in_every_form_it_is_the_same(self, serve: Serve) -> None:
        server = serve(Gate(compress=True))
        path = collection(server, 120, 100_000)
        plain = ask(server, request("POST", f"{path}/get", b"{}"))
        assert plain.headers["transfer-encoding"] == "chunked"
        assert len(plain.json()["documents"]) == 120
        packed = ask(server, request("POST", f"{path}/get", b"{}", "Accept-Encoding: gzip"))
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        with Wire(server) as wire:  # HTTP/1.0 has no chunks: the end of the connection is the end of the reply
            wire.send(request("POST", f"{path}/get", b"{}").replace(b"HTTP/1.1", b"HTTP/1.0"))
            received = bytearray()
            while got := wire.socket.recv(1 << 20):
                received += got
            assert received.partition(b"\r\n\r\n")[2] == plain.body
        small = ask(server, request("POST", f"{path}/get", b'{"limit": 3}'))
        assert int(small.headers["content-length"]) == len(small.body) > 300_000

    def test_several_over_one_connection(self, server: Server) -> None:
        path = collection(server, 80, 100_000)
        with Wire(server) as wire:
            wire.send(request("POST", f"{path}/get", b"{}") * 3)
            lengths = {len(answer.body) for answer in (wire.read() for _ in range(3)) if answer is not None}
            assert len(lengths) == 1
            assert lengths.pop() > 8_000_000

    def test_failure_on_the_way_is_no_end(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        server = serve()
        path = collection(server, 120, 100_000)

        def failing(*_: object) -> Iterator[bytes]:
            yield b"x" * (5 << 20)
            raise ZeroDivisionError

        monkeypatch.setattr("chroma_nb.http.serving.pieces", failing)
        with Wire(server) as wire:
            wire.send(request("POST", f"{path}/get", b"{}"))
            received = bytearray()
            with contextlib.suppress(ConnectionResetError):
                while got := wire.socket.recv(1 << 20):
                    received += got
            assert not received.endswith(b"0\r\n\r\n")
        monkeypatch.undo()
        assert ask(server, request("POST", f"{path}/get", b"{}")).status == 200


class TestUnread:
    """Clients that do not read give way, and those that do get everything."""

    def test_make_room(self, serve: Serve) -> None:
        server = serve(Gate(unread=16 << 20))
        path = collection(server, 1, 10_000_000)
        get = request("POST", f"{path}/get", b"{}")
        with contextlib.ExitStack() as stack:
            sluggards = [stack.enter_context(Wire(server)) for _ in range(24)]
            for wire in sluggards:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                wire.send(get)
            readable, _, _ = select.select([sluggards[0].socket], [], [], 60)
            assert readable
            with Wire(server, timeout=60) as reader:
                reader.send(get)
                answer = reader.read()
                assert answer is not None
                assert len(answer.body) > 10_000_000
            assert ask(server, request("GET", "/api/v2/heartbeat")).status == 200
            # Those that were let go are reset, or end before the end.
            lost = 0
            for wire in sluggards:
                received = bytearray()
                with contextlib.suppress(ConnectionResetError):
                    while not received.endswith(b"0\r\n\r\n") and (got := wire.socket.recv(1 << 20)):
                        received += got
                lost += not received.endswith(b"0\r\n\r\n")
            assert lost >= 12

    def test_of_one_alone_takes_its_time(self, serve: Serve) -> None:
        server = serve(Gate(unread=1 << 20))
        path = collection(server, 1, 10_000_000)
        with Wire(server) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            wire.send(request("POST", f"{path}/get", b"{}"))
            end = time.monotonic() + 4
            while time.monotonic() < end:  # longer than somebody who stands still would be given
                wire._rest += wire.socket.recv(100_000)
                time.sleep(0.2)
            answer = wire.read()
            assert answer is not None
            assert len(answer.body) > 10_000_000
