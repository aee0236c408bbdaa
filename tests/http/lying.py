"""A server that tells what a real one told, but for one reply; the calls that clients make of it; and what they must not return."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from chroma_nb import chromadb
from chroma_nb.http.message import SERVER_HEADER

Key: TypeAlias = tuple[str, str, bytes]
_DROPPED = {"connection", "content-length", "date", "server", "transfer-encoding", "content-encoding"}


class Liar:
    """Forwards each request to a real server once and repeats its reply from then on, unless it is told to lie.

    Parameters
    ----------
    upstream
        Host and port of the real server.
    own
        Whether it says that it is one of ours; else it is taken for Chroma's.
    """

    def __init__(self, upstream: tuple[str, int], *, own: bool) -> None:
        self.asked: list[Key] = []
        self.told: dict[Key, tuple[int, dict[str, str], bytes]] = {}
        self.lie: tuple[Key, bytes] | None = None
        self._upstream = upstream
        self._own = own
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def answer(self) -> None:
                key = (self.command, self.path, self.rfile.read(int(self.headers.get("content-length") or 0)))
                status, headers, body = liar.reply(key, dict(self.headers.items()))
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def reply(self, key: Key, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(key)
        if key not in self.told:
            self.told[key] = self._truth(key, headers)
        status, said, body = self.told[key]
        return status, said, self.lie[1] if self.lie is not None and self.lie[0] == key else body

    def _truth(self, key: Key, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(*self._upstream, timeout=30)
        with contextlib.closing(connection):
            sent = {name: value for name, value in headers.items() if name.lower() not in ("host", "accept-encoding", "content-length")}
            connection.request(*key[:2], key[2] or None, sent)
            found = connection.getresponse()
            said = {name.lower(): value for name, value in found.getheaders() if name.lower() not in _DROPPED}
            if not self._own:
                said.pop(SERVER_HEADER, None)
            return found.status, said, found.read()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def lying(upstream: tuple[str, int], *, own: bool) -> Iterator[Liar]:
    """Run a `Liar`."""
    made = Liar(upstream, own=own)
    try:
        yield made
    finally:
        made.close()


class Given:
    """What a call is made on: a client, what makes another one, and a collection of three records."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.connect = connect
        self.client = connect()
        self.docs = self.client.get_collection("docs", embedding_function=None)


VECTORS = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
_SHARED: dict[str, Callable[[Given], Any]] = {
    "connect": lambda on: on.connect().close(),
    "heartbeat": lambda on: on.client.heartbeat(),
    "max_batch_size": lambda on: on.client.get_max_batch_size(),
    "list_collections": lambda on: [_seen(each) for each in on.client.list_collections()],
    "count_collections": lambda on: on.client.count_collections(),
    "get_collection": lambda on: _seen(on.client.get_collection("docs")),
    "get_or_create": lambda on: _seen(on.client.get_or_create_collection("docs", embedding_function=None)),
    "create": lambda on: _seen(on.client.create_collection("made", metadata={"k": 1}, embedding_function=None)),
    "modify": lambda on: on.docs.modify(metadata={"topic": "new"}),
    "count": lambda on: on.docs.count(),
    "peek": lambda on: on.docs.peek(2),
    "add": lambda on: on.docs.add(["d"], embeddings=[[2, 2]], metadatas=[{"n": 1}]),
    "upsert": lambda on: on.docs.upsert(["a", "e"], embeddings=[[2, 2], [3, 3]]),
    "update": lambda on: on.docs.update(["a", "none"], metadatas=[{"n": 7}, {"n": 8}]),
    "bulk_upsert": lambda on: on.docs.bulk_upsert(["f", "g"], embeddings=[[2, 2], [3, 3]], max_batch_size=1),
    "delete": lambda on: on.docs.delete(where={"n": 5}),
    "delete_collection": lambda on: on.client.delete_collection("made"),
}
NATIVE: dict[str, Callable[[Given], Any]] = {
    **_SHARED,
    "get": lambda on: on.docs.get(include=["documents", "metadatas", "embeddings", "uris"]),
    "get_filtered": lambda on: on.docs.get(where={"n": {"$ne": 1}}, limit=2),
    "query": lambda on: on.docs.query([[1, 0], [0, 1]], n_results=2, include=["documents", "metadatas", "embeddings", "distances"]),
    "query_ids": lambda on: on.docs.query([[1, 0]], ids=["a", "b"], n_results=2),
    "similar": lambda on: on.docs.query(like=["a", "b"], n_results=1),
    "count_where": lambda on: on.docs.count({"n": {"$gt": 1}}),
    "explain": lambda on: on.docs.explain([[1, 0]], where={"n": 1}),
    "describe": lambda on: on.docs.describe(),
    "values": lambda on: on.docs.values("s"),
    "sample": lambda on: on.docs.sample(2, seed=1),
    "columns": lambda on: on.docs.columns(["n", "s", "when"]),
    "version": lambda on: on.docs.version(),
    "scan": lambda on: list(on.docs.scan(2, include=["metadatas", "embeddings"])),
    "has_layout": lambda on: on.docs.has_layout("pca"),
    "project": lambda on: on.docs.project("pca"),
    "build_index": lambda on: on.docs.build_index(show_progress=False),
    "fork": lambda on: _seen(on.docs.fork("forked")),
}
FACADE: dict[str, Callable[[Given], Any]] = {
    **_SHARED,
    "get": lambda on: on.docs.get(include=["documents", "metadatas", "embeddings", "uris"]),
    "get_filtered": lambda on: on.docs.get(where={"n": {"$ne": 1}}, limit=2),
    "query": lambda on: on.docs.query([[1, 0], [0, 1]], n_results=2, include=["documents", "metadatas", "embeddings", "distances"]),
    "fork": lambda on: _seen(on.docs.fork("forked")),
}


def _seen(collection: Any) -> Any:
    """Return a collection after a look at all that it shows."""
    assert collection.id
    for shown in (collection.name, collection.metadata, collection.tenant, collection.database, collection.configuration):
        repr(shown)
    return collection


def flaw(found: Any, truth: Any) -> str | None:
    """Return what is wrong with the shape of a result, given a right one."""
    repr(found)
    if isinstance(found, list) and found:
        return next((wrong for wrong in (flaw(each, truth[0]) for each in found) if wrong), None)
    if type(found) is not type(truth):
        return f"a {type(found).__name__} in the place of a {type(truth).__name__}"
    if isinstance(found, pd.DataFrame):
        if "embedding" in found and len({np.asarray(each).shape for each in found["embedding"]}) > 1:
            return "embeddings of several lengths"
        if "distance" not in found and found.index.has_duplicates:
            return "ids that come twice"
    if isinstance(found, dict) and "ids" in found:
        nested = bool(truth["ids"]) and isinstance(truth["ids"][0], list)
        rows = found["ids"] if nested else [found["ids"]]
        for name in ("ids", "documents", "metadatas", "embeddings", "uris", "distances"):
            column = found.get(name)
            if column is None:
                continue
            parts = column if nested else [column]
            if [len(part) for part in parts] != [len(part) for part in rows]:
                return f"{name} of another length than ids"
            for part in parts:
                wrong = _wrong(name, part)
                if wrong:
                    return wrong
    return None


def _wrong(name: str, part: Any) -> str | None:
    if name in ("embeddings", "distances"):
        return None if not len(part) or np.isfinite(np.asarray(part, dtype=np.float64)).all() else f"{name} that are not finite"
    if name == "metadatas":
        kinds = {type(value) for each in part if each is not None for value in each.values()}
        return None if kinds <= {str, int, float, bool, list} else f"metadata of {kinds}"
    kinds = set(map(type, part)) - {type(None)}
    return None if kinds <= {str} else f"{name} of {kinds}"


ERRORS = (chromadb.errors.ChromaError,)
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e39, 5e-324),
    *("", "x", "a", "\x1b[2J", "\u202e", "\0", "x" * 5000, "..", "11111111-1111-1111-1111-111111111111", "l2", "NaN"),
    *([], {}, [[]], [None], [1, "a"], {"": None}, [[1.0, 2.0]], [[1], [2, 3]], [[[1.0]]], {"ns": 1, "zone": "UTC"}),
    *({"ns": 2**63, "zone": None}, {"ns": 1.5, "zone": None}, {"ns": 1, "zone": "../../etc/passwd"}, {"ns": 1, "zone": "+99:99:99"}),
    *({"ns": -(2**62), "zone": "-23:59"}, {"indices": [1], "values": [0.5]}, {"error": "NotFoundError"}, ["a", "a"]),
)
_TOKENS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b'"\\ud800"',
    b"-",
    b"1" * 400,
    b"[" * 2000,
    b"\xff",
    b"\x00",
    b"{}}",
    b"\xef\xbb\xbf",
)


def mutated(body: bytes, random: Random) -> bytes:
    """Return another body than `body`, most often one that is still JSON."""
    if random.random() < 0.1:
        return _damaged(body, random)
    value = json.loads(body or b"null")
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = _changed(value, random)
    return json.dumps(value).encode()


def _damaged(body: bytes, random: Random) -> bytes:
    place = random.randrange(len(body) + 1)
    match random.randrange(4):
        case 0:
            return body[:place]
        case 1:
            return body[:place] + random.choice(_TOKENS) + body[place:]
        case 2:
            return body[:place] + bytes([random.randrange(256)]) + body[place + 1 :]
        case _:
            return random.choice((b"", b"null", b"<html>", random.choice(_TOKENS), body + body))


def _changed(value: Any, random: Random) -> Any:
    """Return `value` with a change somewhere in it."""
    if isinstance(value, (dict, list)) and value and random.random() < 0.85:
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        place = random.choice(places)
        made = value.copy()
        match random.randrange(8):
            case 0:
                del made[place]
            case 1 if isinstance(made, list):
                made.append(made[place])
            case 1:
                made[str(random.choice(_ODD))] = made.pop(place)
            case 2:
                made[place] = value[random.choice(places)]
            case 3:
                made[place] = _nested(value[place], random.choice((1, 2, 60, 300)))
            case _:
                made[place] = _changed(value[place], random)
        return made
    return random.choice(_ODD)


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value
