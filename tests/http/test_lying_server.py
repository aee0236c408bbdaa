"""Whatever a server answers, a call ends: in a result of the right shape or in one of our errors, in bounded time and memory."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import pickle
import threading
import traceback
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb import chromadb, ops
from chroma_nb.chromadb.api.client import AsyncClient as AsyncFacade
from chroma_nb.chromadb.api.models.AsyncCollection import AsyncCollection as AsyncFacadeCollection
from chroma_nb.errors import (
    AuthorizationError,
    BatchSizeExceededError,
    BulkUpsertError,
    ChromaError,
    InvalidArgumentError,
    InvalidTypeError,
    ServerReplyError,
    ServerTimeoutError,
    ServerUnreachableError,
)
from chroma_nb.filters import parse_where
from chroma_nb.http.backend import HttpBackend
from chroma_nb.http.server import Server
from chroma_nb.records import Records
from tests.contract.backends import Awaited
from tests.http.conftest import TOKEN
from tests.http.lying import FACADE, NATIVE, VECTORS, Given, flaw, lying, mutated
from tests.http.scripted import PRE_FLIGHT, Piecewise, reply, scripted
from tests.http.test_backend_failures import executed

COLLECTION = "11111111-1111-1111-1111-111111111111"
OURS = {"x_chroma_nb": "1"}
READY = reply(200, PRE_FLIGHT, **OURS)
THEIRS = reply(200, PRE_FLIGHT)
EVERYTHING = frozenset({"documents", "embeddings", "metadatas", "uris"})
GET = ops.Get(COLLECTION, include=EVERYTHING)
QUERY = ops.Query(COLLECTION, np.ones((2, 2), np.float32), 2, include=EVERYTHING | {"distances"})
UPSERT = ops.Upsert(COLLECTION, Records(["a"], np.ones((1, 2), dtype=np.float32)))
LISTING = ops.ListCollections("default_tenant", "default_database")
INFO = {"id": COLLECTION, "name": "docs", "tenant": "default_tenant", "database": "default_database", "metadata": None, "dimension": 2}
DEEP: Any = json.loads("[" * 500 + "]" * 500)
both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


def records(**columns: Any) -> dict[str, Any]:
    """Return the reply to a get of two records, with some columns replaced; ... leaves one out."""
    good = {
        "ids": ["a", "b"],
        "documents": ["x", None],
        "embeddings": [[1, 2], [3, 4]],
        "metadatas": [{"n": 1}, None],
        "uris": [None, None],
    }
    return {name: column for name, column in {**good, **columns}.items() if column is not ...}


def hits(**columns: Any) -> dict[str, Any]:
    """Return the reply to two queries, with some columns replaced."""
    nested = {name: [column[:1], column[1:]] for name, column in records(distances=[0.1, 0.2]).items()}
    return {name: column for name, column in {**nested, **columns}.items() if column is not ...}


def summary(**parts: Any) -> dict[str, Any]:
    """Return the reply to a describe, with some parts replaced."""
    field = {"key": "n", "types": {"int": 1}, "present": 1, "distinct": None, "minimum": 1, "maximum": 1, "samples": [1]}
    return {"collection": INFO, "fields": [{**field, **parts.pop("field", {})}], "documents": 1, "index": STATE, **parts}


STATE = {"indexed": 1, "pending": 0, "building": False}
PLAN = {"method": "exact", "count": 1, "candidates": 1, "n_results": 1, "fetch": 0, "ef": 0, "pending": 0, "steps": []}
WRONG: list[tuple[ops.Op[Any], Any]] = [
    *((ops.Heartbeat(), body) for body in ([], None, 5, "x", {}, {"nanosecond heartbeat": None}, {"nanosecond heartbeat": -1}, DEEP)),
    *((ops.Heartbeat(), {"nanosecond heartbeat": value}) for value in (True, 1.5, "5", [5], {}, 2**63, 10**40)),
    *((ops.Version(), body) for body in (5, None, [], {"version": "1.5.9"}, True)),
    *((ops.GetTenant("some"), body) for body in ([], "some", {}, {"name": 5}, {"name": None})),
    *((ops.ListTenants(), body) for body in ({}, "abc", [5], [None], [["a"]])),
    *((ops.GetDatabase("ten", "dat"), body) for body in ([], {}, {"id": "0", "name": "dat"}, {"id": 0, "name": "dat", "tenant": "ten"})),
    *((ops.ListDatabases("ten"), body) for body in ({}, [5], [{}], "x", None)),
    *((ops.Count(COLLECTION), body) for body in ("x", None, [], {}, True, -1, 1.5, 2**63, 1e300)),
    *((ops.CountCollections("ten", "dat"), body) for body in ("x", None, -5, 2**64)),
    *((LISTING, body) for body in ([True], {}, "docs", [None], [[]], [{}], 5, [DEEP])),
    *((LISTING, [{**INFO, "id": value}]) for value in (None, 5, "", "..", "x", COLLECTION + "\n", "../../reset", "1" * 5000)),
    *((LISTING, [{**INFO, "name": value}]) for value in (None, 5, ["docs"], {})),
    *((LISTING, [{**INFO, "tenant": 5}]), (LISTING, [{**INFO, "database": ["x"]}])),
    *((LISTING, [{**INFO, "dimension": value}]) for value in (-1, 1.5, "2", [2], True, 65_537, 2**63)),
    *((LISTING, [{**INFO, "metadata": value}]) for value in (5, "x", [], ["a"], {"a": []}, {"a": [1, "b"]}, {"a": 2**63}, {"a": DEEP})),
    *((LISTING, [{**INFO, "configuration_json": value}]) for value in (5, "x", ["hnsw"], {"hnsw": 5}, {"hnsw": {"space": "taxi"}})),
    *((LISTING, [{**INFO, "configuration_json": {"hnsw": {"ef_search": value}}}]) for value in ("x", -1, 1.5, [], 2**63)),
    *((LISTING, [{**INFO, "configuration_json": {"embedding_function": value}}]) for value in (5, "default", [])),
    *(
        (LISTING, [{**INFO, "chroma_nb": value}])
        for value in (5, {"count": "x"}, {"version": -1}, {"vectors_version": None}, {"hnsw": [1]})
    ),
    *((ops.Get(COLLECTION, ["a", "c"]), body) for body in (records(), records(ids=["c", "d"]))),
    *((GET, body) for body in (None, 5, "x", [], {}, DEEP, {"ids": 5}, {"ids": "ab"}, {"ids": None}, {"ids": {}})),
    *((GET, records(ids=ids)) for ids in (["a"], ["a", "b", "c"], ["a", 5], ["a", None], ["a", "a"], [["a"], ["b"]], ...)),
    *((GET, records(documents=column)) for column in ([], ["x"], "xy", [1, 2], [["x"], ["y"]], {"0": "x"}, ["x", True])),
    *((GET, records(uris=column)) for column in (["x"], [1, 2], 5)),
    *((GET, records(metadatas=column)) for column in ([{}], [5, 5], ["a", "b"], [[], []], [{"a": 2**63}, None], {"a": 1}, DEEP)),
    *(
        (GET, records(metadatas=[{"a": value}, None]))
        for value in ([], [1, "b"], [[1]], [None], DEEP, [2**63], {"deep": DEEP}, {"ns": 1, "zone": DEEP})
    ),
    *(
        (GET, records(metadatas=[{"a": {"ns": ns, "zone": zone}}, None]))
        for ns, zone in ((2**63, None), (0.5, None), (0, "x\0"), (0, "/etc/passwd"))
    ),
    *((GET, records(embeddings=column)) for column in (None, ..., [], [[1, 2]], [[1, 2], [3]], [1, 2], "ab", [None, None], [[], []], DEEP)),
    *((GET, records(embeddings=[[1, value], [3, 4]])) for value in (1e39, -1e300, None, "x", [], {}, [1])),
    *(
        (QUERY, body)
        for body in (None, [], {"ids": None}, {"ids": ["a", "b"]}, {"ids": [["a"]]}, {"ids": [["a"], ["b"], ["c"]]}, {"ids": [["a"], 5]})
    ),
    *((QUERY, hits(ids=ids)) for ids in ([["a", "b", "c"], []], [["a", "a"], []], [["a"], [5]], [["a"], ["b", "c"]])),
    *(
        (QUERY, hits(distances=column))
        for column in ([[0.1], []], [0.1, 0.2], [["x"], [0.2]], [[None], [0.2]], [[True], [0]], [[0.1, 0.2], []], 5, ...)
    ),
    *((QUERY, hits(documents=column)) for column in ([["x"]], ["x", "y"], [["x"], [5]], "xy")),
    *((QUERY, hits(embeddings=column)) for column in ([[[1, 2]], [[3]]], [[1, 2], [3, 4]], [[[1, 2]], []], ...)),
    *((QUERY, hits(metadatas=column)) for column in ([[5], [None]], [{"a": 1}, None], [[{"a": 2**63}], [None]])),
    *(
        (UPSERT, body)
        for body in (None, [], {}, {"added": 1}, {"added": "1", "updated": 0, "ignored": []}, {"added": -1, "updated": 0, "ignored": []})
    ),
    *((UPSERT, {"added": 1, "updated": 0, "ignored": ignored}) for ignored in (5, None, "ab", [5], [["a"]])),
    *((ops.Delete(COLLECTION, ["a"]), body) for body in (None, [], {}, {"deleted": "x"}, {"deleted": -1}, {"deleted": True})),
    *((ops.ScanPage(COLLECTION, None, 2), records(cursor=cursor)) for cursor in ("x", -1, 1.5, True, 2**63, [])),
    *((ops.ScanPage(COLLECTION, 7, 2), records(cursor=cursor)) for cursor in (0, 7)),
    *((ops.ScanPage(COLLECTION, None, 1), records(cursor=9)), (ops.ScanPage(COLLECTION, None, 2), {"ids": [], "cursor": 9})),
    *((ops.Sample(COLLECTION, 1, 0), body) for body in (records(), {"ids": 5}, None)),
    *((ops.Describe(COLLECTION), body) for body in (None, [], {}, summary(collection={}), summary(documents="x"), summary(fields={}))),
    *((ops.Describe(COLLECTION), summary(index={**STATE, name: "x"})) for name in STATE),
    *((ops.Describe(COLLECTION), summary(field={"types": value})) for value in (None, ["int"], {"int": "x"})),
    *((ops.Describe(COLLECTION), summary(field={name: DEEP})) for name in ("key", "present", "distinct", "minimum", "maximum", "samples")),
    *(
        (ops.Facets(COLLECTION, "n", None), body)
        for body in (None, {}, [5], [[1]], [[1, 2, 3]], [[1, "x"]], [[None, 1]], [[2**63, 1]], ["ab"])
    ),
    *(
        (ops.Columns(COLLECTION, ("n",)), {"ids": ["a"], "columns": value})
        for value in (None, [], {}, {"n": 5}, {"n": []}, {"n": [2**63]}, {"m": [1]})
    ),
    *((ops.ChangedSince(COLLECTION, 1), body) for body in (5, {}, "ab", [5], ["a", "a"])),
    *((ops.Explain(QUERY), body) for body in (None, [], {}, {**PLAN, "method": "guess"}, {**PLAN, "count": "x"}, {**PLAN, "steps": "ab"})),
    *((ops.GetLayout(COLLECTION, "k", None), body) for body in (5, [], {}, {"ids": ["a"], "coordinates": [[1, 2]], "version": "x"})),
    *(
        (ops.GetLayout(COLLECTION, "k", None), {"ids": ["a"], "coordinates": value, "version": 1})
        for value in (5, [], [[1]], [[1e39, 2]], [["x", "y"]])
    ),
    *((ops.BuildIndex(COLLECTION, print), body) for body in (None, [], {"added": "x"}, {"added": -1})),
]


def test_the_table_is_not_empty() -> None:
    assert len(WRONG) > 250


@pytest.mark.parametrize(("op", "body"), WRONG, ids=lambda value: type(value).__name__ if isinstance(value, ops.Op) else "")
def test_a_reply_of_another_form_is_told_so(op: ops.Op[Any], body: Any) -> None:
    asks_first = not isinstance(op, (ops.Heartbeat, ops.Version, ops.GetTenant, ops.ListDatabases, ops.CountCollections))
    script = [READY] if asks_first else []
    with scripted(*script, reply(200, json.dumps(body), **OURS)) as server:
        with pytest.raises(ServerReplyError, match="the reply is not as") as caught:
            executed(server.url, op, asynchronous=False)
        assert server.url in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 500


def raw(head: str, body: bytes = b"") -> Piecewise:
    """Return a reply byte by byte as given, after which the connection is closed."""
    return lambda _: [head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body]


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> Piecewise:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", body + end)


BEAT = b'{"nanosecond heartbeat": 5}'
BROKEN = (ServerReplyError, ServerUnreachableError)
ODD: dict[str, tuple[bytes | Piecewise, tuple[type[ChromaError], ...]]] = {
    "no body": (raw("HTTP/1.1 200 OK\nContent-Length: 0"), (ServerReplyError,)),
    "no content": (raw("HTTP/1.1 204 No Content"), (ServerReplyError,)),
    "partial content": (raw(f"HTTP/1.1 206 Partial\nContent-Length: {len(BEAT)}", BEAT), (ServerReplyError,)),
    "not modified": (raw("HTTP/1.1 304 Not Modified"), (ServerReplyError,)),
    "switching protocols": (raw("HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: upgrade", BEAT), BROKEN),
    "too short": (raw("HTTP/1.1 200 OK\nContent-Length: 100", BEAT), BROKEN),
    "length that is none": (raw("HTTP/1.1 200 OK\nContent-Length: -5", BEAT), BROKEN),
    "two lengths": (raw("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 27", BEAT), BROKEN),
    "huge length": (raw(f"HTTP/1.1 200 OK\nContent-Length: {10**30}", BEAT), BROKEN),
    "no HTTP": (raw("SSH-2.0-OpenSSH_9.6"), BROKEN),
    "HTTP/9": (raw("HTTP/9.9 200 OK"), BROKEN),
    "status of no number": (raw("HTTP/1.1 abc OK"), BROKEN),
    "status 099": (raw("HTTP/1.1 099 OK"), BROKEN),
    "status 999": (raw("HTTP/1.1 999 OK\nContent-Length: 2", b"{}"), (ServerReplyError,)),
    "line ends in a header": (raw("HTTP/1.1 200 OK\nX: a\rSet-Cookie: b\nContent-Length: 0"), BROKEN),
    "header of no name": (raw("HTTP/1.1 200 OK\n: x\nContent-Length: 0"), BROKEN),
    "cut in the head": (lambda _: [b"HTTP/1.1 200 OK\r\nContent-Le"], BROKEN),
    "nothing at all": (lambda _: [], BROKEN),
    "cut in a chunk": (chunked(BEAT, end=b"ff\r\n{"), BROKEN),
    "cut between chunks": (chunked(BEAT, end=b""), BROKEN),
    "chunk of no length": (chunked(BEAT, end=b"zz\r\n"), BROKEN),
    "HTML": (raw("HTTP/1.1 200 OK\nContent-Type: text/html", b"<h1>Hello</h1>"), (ServerReplyError,)),
    "two values": (raw("HTTP/1.1 200 OK", BEAT + BEAT), (ServerReplyError,)),
    "NaN": (raw("HTTP/1.1 200 OK", b'{"nanosecond heartbeat": NaN}'), (ServerReplyError,)),
    "infinity": (raw("HTTP/1.1 200 OK", b'{"nanosecond heartbeat": 1e999}'), (ServerReplyError,)),
    "lone surrogate": (raw("HTTP/1.1 200 OK", b'"\\ud800"'), (ServerReplyError,)),
    "no UTF-8": (raw("HTTP/1.1 200 OK", b'"\xff\xfe"'), (ServerReplyError,)),
    "UTF-16": (raw("HTTP/1.1 200 OK", BEAT.decode().encode("utf-16")), (ServerReplyError,)),
    "nested without end": (raw("HTTP/1.1 200 OK", b"[" * 1_000_000), (ServerReplyError,)),
    "long number": (raw("HTTP/1.1 200 OK", b'{"nanosecond heartbeat": ' + b"9" * 100_000 + b"}"), (ServerReplyError,)),
    "gzip that is none": (raw("HTTP/1.1 200 OK\nContent-Encoding: gzip", BEAT), (ServerReplyError,)),
    "gzip cut short": (raw("HTTP/1.1 200 OK\nContent-Encoding: gzip", gzip.compress(BEAT)[:-9]), (ServerReplyError,)),
    "gzip damaged": (raw("HTTP/1.1 200 OK\nContent-Encoding: gzip", gzip.compress(BEAT)[:-8] + b"\0" * 8), (ServerReplyError,)),
    "gzip twice": (raw("HTTP/1.1 200 OK\nContent-Encoding: gzip, gzip", gzip.compress(gzip.compress(BEAT))), (ServerReplyError,)),
    "brotli": (raw("HTTP/1.1 200 OK\nContent-Encoding: br", b"\x0b\x02\x80{}\x03"), (ServerReplyError,)),
    "zstd": (raw("HTTP/1.1 200 OK\nContent-Encoding: zstd", b"(\xb5/\xfd"), (ServerReplyError,)),
    "unknown coding": (raw("HTTP/1.1 200 OK\nContent-Encoding: \x1b[2J", BEAT), BROKEN),
    "deflate": (raw("HTTP/1.1 200 OK\nContent-Encoding: deflate", zlib.compress(BEAT)), (ServerReplyError,)),
    **{
        f"redirect {status}": (
            raw(f"HTTP/1.1 {status} Moved\nLocation: http://evil.example/?token\nContent-Length: 0"),
            (ServerReplyError,),
        )
        for status in (300, 301, 302, 303, 305, 307, 308)
    },
    "redirect nowhere": (raw("HTTP/1.1 302 Moved\nLocation: \xff\xfe javascript:alert(1)\nContent-Length: 0"), (ServerReplyError,)),
    **{
        f"error {body[:20]!r}": (raw(f"HTTP/1.1 {status} X\nRetry-After: {'9' * 400}\nContent-Length: {len(body)}", body), (ChromaError,))
        for status, body in (
            *(
                (500, body)
                for body in (b"", b"null", b"[]", b"5", b'{"error": 5}', b'{"error": {"a": 1}}', b'{"error": null}', b"[" * 3000)
            ),
            *((400, body) for body in (b'{"error": "ChromaError"}', b'{"error": "InvalidArgumentError", "message": {"a": [1]}}')),
            *((418, body) for body in (b'{"error": "BulkUpsertError", "message": ""}', b'{"error": "KeyboardInterrupt", "message": "x"}')),
            (404, b'{"error": "NotFoundError", "message": [[[]]]}'),
            (429, b'{"error": "RateLimitError", "message": "slow down"}'),
        )
    },
}


@both
@pytest.mark.parametrize("case", ODD)
def test_odd_http_ends_in_an_error_of_ours(case: str, asynchronous: bool) -> None:
    answer, expected = ODD[case]
    with scripted(answer) as server, pytest.raises(expected) as caught:
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)
    assert str(caught.value).isprintable()


def piecewise(head: bytes, piece: bytes, count: int, pause: float = 0) -> Piecewise:
    """Return a reply that goes on for very long, but not for ever: a client that waits for its end gets there, and fails the test."""

    def pieces(ended: threading.Event) -> Iterator[bytes]:
        yield head
        for _ in range(count):
            if ended.wait(pause) if pause else ended.is_set():
                return
            yield piece

    return pieces


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LONG = 300
"""Pieces of a drip: a minute of them."""


@both
@pytest.mark.parametrize(
    "answer",
    [
        piecewise(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", LONG, 0.2),
        piecewise(HEAD, b"X-Slow: x\r\n", LONG, 0.2),
        piecewise(b"", b"HTTP/1.1 100 Continue\r\n\r\n", LONG, 0.2),
        piecewise(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", LONG, 0.2),
        piecewise(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 3000),
        piecewise(HEAD + b"Content-Length: 27\r\n\r\n", b" ", LONG, 0.2),
        piecewise(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", LONG, 0.2),
        piecewise(HEAD + b"\r\n", b" ", LONG, 0.2),
        piecewise(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BEAT)[:10], b"\0\0\0\xff\xff", LONG, 0.2),
    ],
    ids=["header", "headers", "continue", "hints", "flood of hints", "body", "chunks", "until closed", "gzip"],
)
def test_a_drip_is_given_up(asynchronous: bool, answer: Piecewise) -> None:
    with scripted(answer) as server, pytest.raises(ServerTimeoutError, match=r"longer timeout than 0\.5 s"):
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous, timeout=0.5)


MEGABYTE = b" " * (1 << 20)


@both
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (piecewise(HEAD + b"\r\n", MEGABYTE, 200), "larger than the 67,108,864 bytes"),
        (
            piecewise(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + MEGABYTE + b"\r\n", 200),
            "larger than the 67,108,864 bytes",
        ),
        (raw("HTTP/1.1 200 OK\nContent-Encoding: gzip", gzip.compress(MEGABYTE * 100)), "larger than the 67,108,864 bytes"),
        (piecewise(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BEAT)[:10], b"\0\0\0\xff\xff" * 200_000, 200), "bytes|decomp"),
        (piecewise(HEAD, b"X: y\r\n" * 10_000, 200), "connection broke"),
        (piecewise(b"HTTP/1.1 200 ", b"x" * 100_000, 200), "connection broke"),
        (piecewise(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 100_000, 200), "connection broke"),
        (piecewise(HEAD.replace(b"200", b"500") + b"\r\n", MEGABYTE, 200), "larger than the 1,048,576 bytes"),
    ],
    ids=["body", "chunks", "gzip bomb", "gzip of nothing", "headers", "status line", "chunk extension", "error"],
)
def test_a_reply_without_end_is_bounded_in_bytes(asynchronous: bool, answer: Piecewise, said: str) -> None:
    with scripted(answer) as server, pytest.raises(BROKEN, match=said):
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)


def test_a_reply_that_would_fill_the_memory_is_not_parsed() -> None:
    lists = raw("HTTP/1.1 200 OK\nContent-Encoding: gzip", gzip.compress(b"[" + b"[]," * (60 << 20) + b"[]]", 1))
    with scripted(READY, lists) as server, pytest.raises(ServerReplyError, match="bytes of memory"):
        executed(server.url, GET, asynchronous=False, timeout=60)


PAGE = reply(200, {"ids": [f"id{i}" for i in range(1000)], "documents": [None] * 1000, "metadatas": [{"n": 2}] * 1000})
GUIDE_FILTER = parse_where({"n": {"$ne": 1}})


@pytest.mark.parametrize(
    "op", [ops.Count(COLLECTION, GUIDE_FILTER), ops.Facets(COLLECTION, "n", None, GUIDE_FILTER)], ids=["count", "facets"]
)
def test_pages_that_repeat_are_noticed(op: ops.Op[Any]) -> None:
    with scripted(THEIRS, PAGE, reply(200, 2**60), PAGE) as server:
        with pytest.raises(ServerReplyError, match="again and again"):
            executed(server.url, op, asynchronous=False)
        assert len(server.asked) == 4


def test_pages_end_with_the_number_of_records() -> None:
    with scripted(THEIRS, PAGE, reply(200, 1000), PAGE) as server:
        assert executed(server.url, ops.Count(COLLECTION, GUIDE_FILTER), asynchronous=False) == 1000
        assert len(server.asked) == 3


def test_a_query_that_is_always_too_large_is_given_up() -> None:
    refused = reply(413, {"error": "BatchSizeExceededError", "message": "too many"})
    query = ops.Query(COLLECTION, np.ones((1, 2), np.float32), 100)
    with scripted(READY, refused, reply(200, 90), refused, reply(200, 80), refused, reply(200, 70)) as server:
        with pytest.raises(BatchSizeExceededError):
            executed(server.url, query, asynchronous=False)
        assert len(server.asked) == 5


def told(message: str, status: int = 400) -> bytes:
    return reply(status, {"error": "InvalidArgumentError", "message": message}, chroma_trace_id="\x9b2J" + "t" * 5000)


@both
def test_what_a_server_says_is_fit_to_be_shown(asynchronous: bool) -> None:
    with scripted(told("\x1b]0;owned\x07\x9b2J\u202e" + "long " * 10_000)) as server, pytest.raises(InvalidArgumentError) as caught:
        executed(server.url, ops.Heartbeat(), asynchronous=asynchronous)
    assert len(str(caught.value)) < 2100
    assert str(caught.value).isprintable()
    assert caught.value.trace_id is not None
    assert caught.value.trace_id.isprintable()
    assert len(caught.value.trace_id) < 2100


HEADERS = {"X-Chroma-Token": TOKEN, "Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "answer",
    [
        told(f"the token {TOKEN} is wrong"),
        told(f"Bearer {TOKEN}", 401),
        reply(302, "", location=f"http://evil.example/{TOKEN}"),
        reply(200, {"nanosecond heartbeat": TOKEN}),
        reply(200, {"ids": [TOKEN, TOKEN]}),
        reply(200, "<p>", content_encoding=TOKEN),
        b"HTTP/1.1 200 " + TOKEN.encode() + b"\r\nbad header " + TOKEN.encode() + b"\r\n\r\n",
        None,
    ],
    ids=["message", "refusal", "redirect", "value", "ids", "coding", "broken", "closed"],
)
def test_a_token_that_comes_back_is_not_shown(answer: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with scripted(answer) as server:
        backend = HttpBackend(server.url, HEADERS)
        with pytest.raises(ChromaError) as caught:
            backend.execute(ops.Heartbeat())
        backend.close()
        assert TOKEN in server.heads[0]
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(backend) + repr(caught.value.args)
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if record.name != "httpcore.http11" or answer is None)


@pytest.mark.parametrize("value", [f" {TOKEN}", f"{TOKEN} ", f"{TOKEN}\r\nX: y", f"{TOKEN}\x00", f"{TOKEN}é"], ids=repr)
def test_a_token_that_no_header_can_carry_is_not_shown(value: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        HttpBackend("http://127.0.0.1:9", {"X-Chroma-Token": value})
    assert TOKEN not in str(caught.value)


@both
def test_a_redirect_is_not_followed_and_no_cookie_kept(asynchronous: bool) -> None:
    beat = reply(200, {"nanosecond heartbeat": 5}, set_cookie="session=evil; Path=/")
    with scripted(reply(200, {})) as other, scripted(beat, beat, reply(307, "", location=f"{other.url}/api/v2/heartbeat")) as server:
        with pytest.raises(ServerReplyError, match="redirected"):
            executed(server.url, ops.Heartbeat(), ops.Heartbeat(), ops.Heartbeat(), asynchronous=asynchronous)
        assert (len(server.asked), other.asked) == (3, [])
        assert "evil" not in "".join(server.heads)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(None) as proxy, scripted(reply(200, {"nanosecond heartbeat": 5})) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert executed(server.url, ops.Heartbeat(), asynchronous=False) == 5
        assert proxy.asked == []


@both
def test_a_proxy_of_the_environment_sees_no_token_of_https(asynchronous: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    refused = raw("HTTP/1.1 403 No\nContent-Length: 0")
    with scripted(refused) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        address = chroma_nb.http.address.Address.of("https://chroma.invalid", headers=HEADERS)  # type: ignore[attr-defined]
        with pytest.raises(ServerUnreachableError, match=r"https://chroma\.invalid"):
            executed(address, ops.Heartbeat(), asynchronous=asynchronous)
        assert {method for method, _ in proxy.asked} == {"CONNECT"}
        assert TOKEN not in "".join(proxy.heads)


@pytest.mark.parametrize(
    "proxy", ["ftp://proxy:21", "http://", "nonsense://user:secret-password@host", "http://proxy:port", "http://[", "http://prøxy:3128"]
)
def test_a_proxy_that_is_none_is_told_so(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(InvalidArgumentError, match="names a proxy") as caught:
        HttpBackend("http://chroma.invalid")
    assert "secret" not in str(caught.value)


def test_a_client_is_not_written_down() -> None:
    backend = HttpBackend("http://127.0.0.1:9", HEADERS)
    with pytest.raises(InvalidTypeError, match="pickled") as caught:
        pickle.dumps(backend)
    assert TOKEN not in str(caught.value)
    with pytest.raises(AuthorizationError), scripted(told("no", 403)) as server:
        executed(server.url, ops.Heartbeat(), asynchronous=False)
    backend.close()


class AwaitedFacade(Awaited):
    """`Awaited` for Chroma's own names."""

    def _plain(self, value: Any) -> Any:
        return AwaitedFacade(self._loop, value) if isinstance(value, (AsyncFacade, AsyncFacadeCollection)) else super()._plain(value)


def fuzzed(server: Server, *, own: bool, facade: bool, asynchronous: bool, lies: int, seed: int) -> None:
    """Tell lies to a client, one per call."""
    with chroma_nb.HttpClient(f"http://127.0.0.1:{server.port}") as client:
        docs = client.create_collection("docs", {"topic": "old"}, embedding_function=None)
        rows: list[Any] = [{"n": 1, "s": "p", "when": dt.datetime(2024, 1, 1)}, {"n": 2, "s": "q", "l": [1, 2]}, None]  # noqa: DTZ001
        docs.add(["a", "b", "c"], embeddings=VECTORS, documents=["x", "y", None], metadatas=rows)
    module: Any = chromadb if facade else chroma_nb
    calls: dict[str, Callable[[Given], Any]] = FACADE if facade else NATIVE
    loop, random = asyncio.new_event_loop(), Random(seed)
    with lying(("127.0.0.1", server.port), own=own) as liar:

        def connect() -> Any:
            if asynchronous:
                return AwaitedFacade(loop, loop.run_until_complete(module.AsyncHttpClient(liar.url)))
            return module.HttpClient(liar.url)

        given, truths, asked = Given(connect), {}, {}
        for name, call in calls.items():
            liar.asked.clear()
            truths[name] = call(given)
            asked[name] = list(liar.asked)
        assert {name for name in calls if not asked[name]} <= {"max_batch_size"}
        names = [name for name in calls if asked[name]]
        for i in range(lies):
            name = random.choice(names)
            key = random.choice(asked[name])
            body = mutated(liar.told[key][2], random)
            liar.lie = key, body
            case = f"lie {i} of seed {seed}: {name}, {key[:2]} answered with {body[:500]!r}"
            try:
                assert flaw(calls[name](given), truths[name]) is None, case
            except ChromaError as error:
                cause = error.__cause__ if isinstance(error, BulkUpsertError) else error
                assert cause is not None, case
                assert cause.__cause__ is None or isinstance(cause.__cause__, ChromaError), case
            except Exception as error:
                raise AssertionError(case) from error
            liar.lie = None
            if not key[1].endswith(("/get", "/query", "/count", "/delete", "/add", "/upsert", "/update", "/nb.scan")):
                given.client.close()  # what it was told of collections it may have kept
                given = Given(connect)
        given.client.close()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


variants = [
    pytest.param(
        own,
        facade,
        asynchronous,
        id=f"{'ours' if own else 'chroma'}-{'facade' if facade else 'native'}-{'async' if asynchronous else 'sync'}",
    )
    for own in (True, False)
    for facade in (False, True)
    for asynchronous in (False, True)
]


@pytest.mark.parametrize(("own", "facade", "asynchronous"), variants)
def test_random_lies(server: Server, own: bool, facade: bool, asynchronous: bool) -> None:
    fuzzed(server, own=own, facade=facade, asynchronous=asynchronous, lies=350, seed=1)


@pytest.mark.long
@pytest.mark.parametrize(("own", "facade", "asynchronous"), variants)
def test_very_many_random_lies(server: Server, own: bool, facade: bool, asynchronous: bool) -> None:
    fuzzed(server, own=own, facade=facade, asynchronous=asynchronous, lies=7500, seed=Random().randrange(2**32))
