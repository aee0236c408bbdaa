"""What a request brings is read within bounds, whoever wrote it: refused with a clear word, or read as every parser reads it."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from chroma_nb import stopping
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import BatchSizeExceededError, ChromaError, InvalidArgumentError, TimeLimitError
from chroma_nb.http import bodies
from chroma_nb.http.call import Service
from chroma_nb.http.message import Request, parse_query
from chroma_nb.http.routes import resolve
from chroma_nb.http.serving import answer
from chroma_nb.http.wire import parse_wire_vectors
from tests.http.conftest import COLLECTIONS

MIB = 1 << 20
LONG = b"".join((b'"', b"y" * 300_000, b'"'))
"""A value that makes a body a long one."""

DOUBLED = [
    b'{"limit": 1, "limit": 2%s}',
    b'{"limit": 1, "\\u006cimit": 2%s}',
    b'{"a": [1, {"b": {}, "c": [], "b": 0}]%s}',
    b'{"a": "\\"b\\":", "b": 1, "b": 1%s}',
    b'{"": 1, "": 2%s}',
    b'{"\\ud83d\\ude00": 1, "\xf0\x9f\x98\x80": 2%s}',
    b'{"a": 1%s, "a": 1}',
    b'{"x": {"k": 1%s, "k": 1}}',
]
BROKEN = [
    b'{"a": 1%s',
    b'{"a": 1%s}}',
    b'{"a": 1%s}x',
    b'{"a": 1%s]',
    b'{"a": 1%s,}',
    b'{"a": [1%s}',
    b'{"a": [,1]%s}',
    b'{"a": [1,,2]%s}',
    b'{"a": [1,]%s}',
    b'{"a"%s}',
    b'{"a": NaN%s}',
    b'{"a": -Infinity%s}',
    b'{"a": 1e999%s}',
    b'{"a": 01%s}',
    b"{\"a\": 'b'%s}",
    b'{"a": "\\ud800"%s}',
    b'{"a": "\\x41"%s}',
    b'{"a": "\xff"%s}',
    b'{"a": "\x00"%s}',
    b'{"a": "\n"%s}',
    b'{"a": 1%s}\x00',
    b'\xef\xbb\xbf{"a": 1%s}',
    b'{"a": 1%s} {"b": 2}',
    b'{"a": "\\"%s}',
    b'{"a": 1, // one\n "b": 2%s}',
]
SOUND = [
    b'{"a": -0, "b": -0.0, "c": 1e-999, "d": 18446744073709551615, "e": 18446744073709551616%s}',
    b'{"a": {"b": 1}, "b": {"b": 1}, "c": [{"b": 1}, {"b": 1}]%s}',
    b'{"a\\"": "\\\\", "a\\\\": "\\"", "a": ":,{[]}\\\\\\""%s}',
    b' \t\r\n{"\\u0000": "\\ud83d\\ude00"%s} ',
    b'{"a": 0.' + b"1" * 100_000 + b"%s}",
]
BOTH = [pytest.param(b"", id="short"), pytest.param(b', "y": ' + LONG, id="long")]


def read(body: bytes) -> Any:
    return Request("POST", "/", body=body).json()


@pytest.mark.parametrize("more", BOTH)
@pytest.mark.parametrize("body", DOUBLED)
def test_a_key_that_comes_twice_is_refused_however_it_is_written(body: bytes, more: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="comes twice in one object"):
        read(body % more)


@pytest.mark.parametrize("more", BOTH)
@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_json_is_refused(body: bytes, more: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="not valid JSON"):
        read(body % more)


@pytest.mark.parametrize("more", BOTH)
@pytest.mark.parametrize("body", SOUND)
def test_what_is_json_is_read_as_it_is_written(body: bytes, more: bytes) -> None:
    assert repr(read(body % more)) == repr(orjson.loads(body % more))


@pytest.mark.parametrize("body", [b"", b" \r\n\t" * 1000])
def test_nothing_is_an_empty_object(body: bytes) -> None:
    assert read(body) == {}


HEAVY: dict[str, Callable[[], bytes]] = {
    "spaces": lambda: b" " * (40 * MIB),
    "spaces in between": lambda: b'{"a": [1' + b" " * (40 * MIB) + b"]}",
    "one text": lambda: b'{"x": "' + b"a" * (40 * MIB) + b'"}',
    "quotes": lambda: b'{"x": "' + b'\\"' * (20 * MIB) + b'"}',
    "backslashes": lambda: b'{"x": "' + b"\\\\" * (20 * MIB) + b'"}',
    "bare quotes": lambda: b'"' * (40 * MIB),
    "texts without commas": lambda: b'"a,"' * (10 * MIB),
    "digits": lambda: b'{"x": ' + b"1" * (40 * MIB) + b"}",
    "objects": lambda: b'{"x": [' + b'{"":0},' * (16 * MIB // 7) + b"0]}",
    "objects of metadata": lambda: b'{"metadata": {"a": [' + b'{"":0},' * (16 * MIB // 7) + b"0]}}",
    "arrays": lambda: b'{"where": [' + b"[]," * (16 * MIB // 3) + b"0]}",
    "numbers": lambda: b'{"ids": [' + b"0," * (32 * MIB) + b"0]}",
    "texts": lambda: b'{"ids": [' + b'"ab",' * (16 * MIB // 5) + b'"ab"]}',
    "keys": lambda: b'{"x": {' + b",".join(b'"%x":0' % i for i in range(1_600_000)) + b"}}",
    "vectors in vectors": lambda: b'{"embeddings": [[' + (b"[" + b"[]," * 1000 + b"[]],") * 5000 + b"0]]}",
}
"""Each of them takes 40 MiB at most, and as Python objects a third of a GiB and more, or the interpreter for long."""


@pytest.mark.parametrize("name", HEAVY)
def test_a_body_that_would_become_too_large_is_refused(name: str) -> None:
    with pytest.raises(BatchSizeExceededError, match=r"MiB") as raised:
        read(HEAVY[name]())
    assert raised.value.status == 413
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("name", ["objects of metadata", "arrays", "keys", "texts", "vectors in vectors"])
def test_a_body_takes_memory_within_bounds(name: str) -> None:
    code = f"""
import resource
from chroma_nb.errors import BatchSizeExceededError
from tests.http.test_hostile_bodies import HEAVY, read
body = HEAVY[{name!r}]()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read(body)
except BatchSizeExceededError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) < 200


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"[" * 2000, "depth|too early|valid"),
        (b'{"a":' * 1200 + b"1" + b"}" * 1200, "depth"),
        (b"[" * 300_000, "nested deeper than 1,000"),
        (b'{"a":' * 300_000 + b"1" + b"}" * 300_000, "nested deeper than 1,000"),
        (b"[1," * 200_000, "nested deeper than 1,000"),
        (b"[" + LONG + b"]" * 300_000, "closed that was not opened|not valid"),
        (LONG + b"," + LONG, "outside of everything"),
        (b'{"embeddings": [[' + b"0," * 500_000 + b"0]]}", "more than 65,536 dimensions"),
        (b'{"embeddings": [[0,0],' + LONG + b"]}", r"embeddings.*base64|dimensions"),
        (b'{"embeddings": [' + b"[0,0]," * 100_000 + b"[0]]}", "inconsistent dimensions"),
        (b'{"embeddings": [' + b"[0,0]," * 100_000 + b"5]}", "list of vectors"),
        (
            b'{"embeddings": [' + b"[0,0]," * 100_000 + b"[1e300,0]]}",
            r"embeddings\[[0-9]+:\]\[[0-9]+\]\[0\]: .*1e\+300.* is not a finite float32",
        ),
    ],
)
def test_a_hostile_shape_is_refused(body: bytes, fault: str) -> None:
    with pytest.raises(InvalidArgumentError, match=fault) as raised:
        read(body)
    assert len(str(raised.value)) < 300


def test_real_bodies_are_taken() -> None:
    metadata = {f"key{i}": i / 7 for i in range(5)} | {f"more{i}": f"text {i}" for i in range(5)}
    for rows in (41_666, 100_000):
        body = orjson.dumps({"ids": [f"id{i}" for i in range(rows)], "embeddings": [[0.5, 1.5]] * rows, "metadatas": [metadata] * rows})
        got = read(body)
        assert got["metadatas"][-1] == metadata
        vectors, missing = parse_wire_vectors(got["embeddings"], "embeddings")
        assert missing is None
        assert vectors is not None
        assert vectors.shape == (rows, 2)


def test_reading_ends_with_its_time_limit() -> None:
    with stopping.limited(0.0), pytest.raises(TimeLimitError):
        read(b"[" + b"0," * 500_000 + b"0]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("doubled")
    return dict(pairs)


def _expected(body: bytes) -> str:
    """Return what other parsers agree on; "refused" where they do not."""
    try:
        value = orjson.loads(body)
        json.loads(body, object_pairs_hook=_object)
    except ValueError:
        return "refused"
    return repr(value)


def _got(body: bytes) -> str:
    try:
        return repr(bodies.read(body))
    except InvalidArgumentError:
        return "refused"


KEYS = ["a", "b", "", "é", '\\"', "x\\\\", "\\u0061", 'k,":{}[]', "\U0001f600"]
LEAVES = ["1", "-0", "1.5e3", "true", "null", '""', '"\\\\"', '"\\""', '"a,b:c{[]}"', '"\\\\\\""', '"\\u00e9\\\\"', "18446744073709551616"]


def _written(chance: random.Random, depth: int = 0) -> str:
    space = chance.choice(["", "", "", " ", "\n"])
    kind = chance.random() if depth < 6 else 1.0
    if kind < 0.25:
        return f"[{space}{f'{space},'.join(_written(chance, depth + 1) for _ in range(chance.randrange(5)))}]"
    if kind < 0.6 or not depth:
        keys = [f'"{chance.choice(KEYS)}{chance.randrange(9)}"' for _ in range(chance.randrange(5))]
        return f"{{{','.join(f'{key}{space}:{_written(chance, depth + 1)}' for key in keys)}{space}}}"
    return chance.choice([*LEAVES, f'"{"x" * chance.randrange(40)}"', f'"{chr(92) * 2 * chance.randrange(5)}"'])


def test_a_body_read_in_pieces_is_the_same_wherever_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, seen = random.Random(7), {"refused": 0, "read": 0}
    for _ in range(2_000):
        body = bytearray(_written(chance).encode())
        for _ in range(chance.choice([0, 0, 1, 2])):
            place = chance.randrange(len(body))
            body[place : place + chance.randrange(2)] = bytes([chance.choice(b'",:[]{}\\ 0a|')])[: chance.randrange(2)]
        expected = _expected(bytes(body))
        seen["refused" if expected == "refused" else "read"] += 1
        for block in (1, chance.randrange(2, 40), 1 << 18):
            monkeypatch.setattr(bodies, "_BLOCK", block)
            assert _got(bytes(body)) == expected, (block, bytes(body))
    assert min(seen.values()) > 500


@pytest.mark.parametrize("block", [8, 9, 10, 11, 13, 17, 40, 200])
@pytest.mark.parametrize("holes", [False, True])
def test_vectors_read_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch, block: int, holes: bool) -> None:
    rows = np.random.default_rng(block).normal(size=(40, 3)).astype(np.float32)
    numbers: list[Any] = rows.astype(float).tolist()
    packed: list[Any] = [base64.b64encode(row.tobytes()).decode() for row in rows]
    mixed: list[Any] = [number if i % 2 else text for i, (number, text) in enumerate(zip(numbers, packed, strict=True))]
    for given in (numbers, packed, mixed):
        listed = [None if holes and i % 3 == 0 else vector for i, vector in enumerate(given)]
        expected = parse_wire_vectors(listed, "embeddings")
        monkeypatch.setattr(bodies, "_BLOCK", block)
        got = read(json.dumps({"n": 1, "embeddings": listed, "ids": ["a"]}).encode())
        assert got.keys() == {"n", "embeddings", "ids"}
        for one, other in zip(parse_wire_vectors(got["embeddings"], "embeddings"), expected, strict=True):
            np.testing.assert_array_equal(one, other)  # type: ignore[arg-type]


JUNK = {
    "a long text": LONG,
    "digits": b"1" * 300,
    "numbers": b"[" + b"1," * 100_000 + b"2]",
    "lists": b"[" + b"[1]," * 50_000 + b"[2]]",
    "objects": b"[" + b'{"a":1},' * 30_000 + b'{"a":2}]',
    "nothings": b"[" + b"null," * 50_000 + b"null]",
    "depth": b'{"a":' * 900 + b"1" + b"}" * 900,
    "depth of lists": b"[" * 900 + b"]" * 900,
    "ragged": b"[" + b",".join(b"[" + b"1," * (i % 300) + b"1]" for i in range(1500)) + b"]",
    "packed": b'["' + b"A" * 400_000 + b'"]',
    "a zone": b'{"ns":1,"zone":"' + b"+1:" * 100_000 + b'"}',
    "an object": b"{" + b",".join(b'"key%d":%d' % (i, i) for i in range(20_000)) + b"}",
}
FIELDS = {
    "": ("name", "metadata", "configuration", "schema", "get_or_create"),
    "/add": ("ids", "embeddings", "documents", "metadatas", "uris"),
    "/update": ("ids", "embeddings", "documents", "metadatas", "uris"),
    "/get": ("ids", "where", "where_document", "include", "limit", "offset"),
    "/query": ("query_embeddings", "n_results", "ids", "where", "where_document", "include"),
    "/delete": ("where", "where_document", "limit"),
    "/fork": ("new_name",),
}
RIGHT = {"name": b'"other"', "embeddings": b"[[1]]", "query_embeddings": b"[[1]]", "ids": b'["a"]'}


@pytest.mark.parametrize("name", JUNK)
def test_junk_in_any_field_of_any_route_gets_a_short_answer(name: str) -> None:
    engine = Engine(None)
    service = Service(engine.execute)
    collection = json.loads(answer(service, Request("POST", COLLECTIONS, body=b'{"name": "docs"}')).body)["id"]
    for tail, fields in FIELDS.items():
        path = f"{COLLECTIONS}/{collection}{tail}" if tail else COLLECTIONS
        assert not isinstance(resolve("POST", path), set)
        for field in fields:
            given = {key: value for key, value in RIGHT.items() if key in fields and key != field} | {field: JUNK[name]}
            body = b"{" + b",".join(b'"%s":%s' % (key.encode(), value) for key, value in given.items()) + b"}"
            reply = answer(service, Request("POST", path, body=body))
            assert reply.status < 500, (tail, field)
            assert reply.status < 400 or len(reply.body) < 2_000, (tail, field)
    engine.close()


@pytest.mark.parametrize(
    ("query", "fault"),
    [(b"a=1&a=2", "'a' comes twice"), (b"a=1&%61=2", "'a' comes twice"), (b"&".join(b"%d=" % i for i in range(200)), "100")],
)
def test_a_query_string_that_others_read_differently_is_refused(query: bytes, fault: str) -> None:
    with pytest.raises(ChromaError, match=fault):
        parse_query(query)


@pytest.mark.parametrize("path", ["/api/v2" + "/x" * 50_000, "/api/v2/tenants/" + "%41" * 20_000, "/api/v2/tenants/" + "a" * 50_000])
def test_a_path_longer_than_any_is_not_found(path: str) -> None:
    assert resolve("GET", path) == set()
