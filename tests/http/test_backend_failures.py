"""What becomes of a request when the server is away, slow, broken, full, or no Chroma server at all."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import numpy as np
import orjson
import pytest

import chroma_nb
from chroma_nb import ops
from chroma_nb.errors import (
    AuthorizationError,
    BatchSizeExceededError,
    ChromaError,
    DatabaseBusyError,
    InvalidArgumentError,
    InvalidDimensionError,
    NotFoundError,
    NotOfferedError,
    ReadOnlyError,
    ServerReplyError,
    ServerTimeoutError,
    ServerUnreachableError,
    StorageFullError,
    StoreError,
    UniqueConstraintError,
)
from chroma_nb.http.backend import AsyncHttpBackend, HttpBackend
from chroma_nb.records import Records
from tests.http.scripted import PRE_FLIGHT, reply, scripted

COLLECTION = "11111111-1111-1111-1111-111111111111"
OURS = {"x_chroma_nb": "1"}
READY = reply(200, PRE_FLIGHT, **OURS)
BEAT = reply(200, {"nanosecond heartbeat": 5})
WRITTEN = reply(200, {"added": 1, "updated": 0, "ignored": []}, **OURS)
UPSERT = ops.Upsert(COLLECTION, Records(["a"], np.ones((1, 2), dtype=np.float32)))


def executed(url: str, *wanted: ops.Op[Any], asynchronous: bool, timeout: float = 5.0) -> Any:
    """Carry operations out, one after the other, with a backend of either kind; the last reply."""

    async def awaited() -> Any:
        backend = AsyncHttpBackend(url, timeout=timeout)
        try:
            return [await backend.execute(op) for op in wanted][-1]
        finally:
            await backend.close()

    if asynchronous:
        return asyncio.run(awaited())
    backend = HttpBackend(url, timeout=timeout)
    try:
        return [backend.execute(op) for op in wanted][-1]
    finally:
        backend.close()


pytestmark = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


def test_reads_are_repeated_when_the_connection_breaks(asynchronous: bool) -> None:
    with scripted(None, None, BEAT) as server:
        assert executed(server.url, ops.Heartbeat(), asynchronous=asynchronous) == 5
        assert len(server.asked) == 3


@pytest.mark.parametrize("status", [502, 503, 504])
def test_reads_are_repeated_when_a_proxy_cannot_get_through(asynchronous: bool, status: int) -> None:
    with scripted(reply(status, "<h1>Bad gateway</h1>"), BEAT) as server:
        assert executed(server.url, ops.Heartbeat(), asynchronous=asynchronous) == 5


def test_a_read_is_given_up_at_last(asynchronous: bool) -> None:
    with scripted(None) as server:
        with pytest.raises(ServerUnreachableError, match="connection broke"):
            executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)
        assert len(server.asked) == 3


@pytest.mark.parametrize("failure", [None, reply(503, "busy"), reply(502, "<h1>")], ids=["broken", "503", "502"])
def test_a_write_is_never_sent_twice(asynchronous: bool, failure: bytes | None) -> None:
    with scripted(READY, failure, WRITTEN) as server:
        with pytest.raises(ChromaError, match=r"written|JSON"):
            executed(server.url, UPSERT, asynchronous=asynchronous)
        assert [method for method, _ in server.asked] == ["GET", "POST"]


def test_nobody_there_is_said_with_the_address(asynchronous: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    for op in (ops.Heartbeat(), UPSERT):
        with pytest.raises(ServerUnreachableError, match=rf"Could not connect to a Chroma server at {url}.*is it running") as caught:
            executed(url, op, asynchronous=asynchronous)
        assert isinstance(caught.value, ConnectionError)


def test_a_server_that_does_not_answer_is_given_up(asynchronous: bool) -> None:
    with scripted(b"") as server:
        with pytest.raises(ServerTimeoutError, match=r"longer timeout than 0\.2 s") as caught:
            executed(server.url, ops.Heartbeat(), asynchronous=asynchronous, timeout=0.2)
        assert isinstance(caught.value, TimeoutError)
        assert len(server.asked) == 1


LOGIN = "<html><title>Sign in</title><form>secret</form></html>"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(200, LOGIN), "a web page"),
        (reply(302, "", location="/hub/login?next=%2Fsecret"), "redirected to /hub/login,"),
        (reply(404, "<h1>Not found</h1>"), "is a Chroma server at this address"),
        (reply(404, {"detail": "Not Found"}), "Chroma 0.5.16 or newer"),
        (reply(500, "Internal Server Error"), "status 500"),
    ],
    ids=["login page", "redirect", "other server", "old server", "crashed"],
)
def test_what_is_no_chroma_server_is_told_so(asynchronous: bool, answer: bytes, said: str) -> None:
    with scripted(answer) as server, pytest.raises(ServerReplyError, match=said) as caught:
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)
    assert "secret" not in str(caught.value)
    assert server.url in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidArgumentError", InvalidArgumentError),
        (400, "InvalidDimension", InvalidDimensionError),
        (400, "SomethingNew", InvalidArgumentError),
        (401, "AuthError", AuthorizationError),
        (403, "AuthorizationError", AuthorizationError),
        (403, "InternalError", ReadOnlyError),
        (404, "NotFoundError", NotFoundError),
        (409, "ChromaError", UniqueConstraintError),
        (409, "UniqueConstraintError", UniqueConstraintError),
        (413, "BatchSizeExceededError", BatchSizeExceededError),
        (422, "ChromaError", InvalidArgumentError),
        (500, "InternalError", StoreError),
        (501, "ChromaError", NotOfferedError),
        (503, "InternalError", DatabaseBusyError),
        (507, "InternalError", StorageFullError),
    ],
    ids=str,
)
def test_refusals_come_out_as_the_errors_they_were(asynchronous: bool, status: int, code: str, kind: type[ChromaError]) -> None:
    answer = reply(status, {"error": code, "message": "what went wrong"}, chroma_trace_id="abc")
    with scripted(answer) as server, pytest.raises(kind, match="what went wrong") as caught:
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.trace_id == "abc"


def test_a_wrong_dimension_is_recognised_by_chromas_words(asynchronous: bool) -> None:
    message = "Collection expecting embedding with dimension of 2, got 3"
    with scripted(reply(400, {"error": "InvalidArgumentError", "message": message})) as server, pytest.raises(InvalidDimensionError):
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)


def test_a_batch_that_is_too_large_is_halved(asynchronous: bool) -> None:
    told: list[int] = []
    op = ops.Upsert(COLLECTION, Records([f"id{i}" for i in range(5)], np.ones((5, 2), dtype=np.float32)), told.append)
    refused = reply(413, "<h1>too large</h1>")
    with scripted(READY, refused, WRITTEN, refused, WRITTEN) as server:
        done = executed(server.url, op, asynchronous=asynchronous)
    assert (done.added, told) == (3, [2, 1, 2])
    sent = [orjson.loads(body)["ids"] for body in server.bodies[1:]]
    assert sent == [["id0", "id1", "id2", "id3", "id4"], ["id0", "id1"], ["id2", "id3", "id4"], ["id2"], ["id3", "id4"]]


def test_one_record_that_is_too_large_is_an_error(asynchronous: bool) -> None:
    with scripted(READY, reply(413, "too large")) as server:
        with pytest.raises(BatchSizeExceededError):
            executed(server.url, UPSERT, asynchronous=asynchronous)
        assert len(server.asked) == 2


def test_rows_are_split_as_the_server_says(asynchronous: bool) -> None:
    told: list[int] = []
    op = ops.Upsert(COLLECTION, Records([f"id{i}" for i in range(250)], np.ones((250, 2), dtype=np.float32)), told.append)
    with scripted(READY, WRITTEN) as server:
        assert executed(server.url, op, asynchronous=asynchronous).added == 3
    assert told == [100, 100, 50]


def test_connecting_checks_the_address_first(asynchronous: bool) -> None:
    async def connect(**given: Any) -> Any:
        return await chroma_nb.AsyncHttpClient(**given)

    def connected(**given: Any) -> Any:
        return asyncio.run(connect(**given)) if asynchronous else chroma_nb.HttpClient(**given)

    with pytest.raises(InvalidArgumentError, match="port apart"):
        connected(host="localhost:8000")
    with pytest.raises(InvalidArgumentError, match="timeout"):
        connected(timeout=0)
    with pytest.raises(InvalidArgumentError, match="tenant"):
        connected(tenant=5)
    missing = reply(404, {"error": "NotFoundError", "message": "no such tenant"}, **OURS)
    with scripted(READY, missing) as server, pytest.raises(NotFoundError):
        connected(host=server.url, tenant="nobody")
