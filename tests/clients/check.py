"""What an official Python client must see of our server; runs inside that client's own environment, under any of its releases.

``python check.py OPEN_URL GUARDED_URL TOKEN TENANT sync|async`` prints one JSON line per check. Both addresses lead to the same
store; the second asks for a token. A check is written once for all releases, and as if every verb returned; how releases differ
stands in `HISTORY`, and `Awaited` makes coroutines return. Only the standard library, numpy and the client under test may be
imported here, and the last two only inside functions.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import json
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Generation:
    """What a release does in its own way; the defaults are those of 0.4.24. The fields of errors hold names of classes."""

    arrays: bool = False  # embeddings come as numpy arrays
    listed: str = "collection"
    lacking_matches: bool = False  # $ne and $nin return records without the key
    empty_filters: bool = True  # where={} is no filter
    databases: bool = False  # can list and delete databases
    configuration: bool = False
    removals: bool = False  # None in an update removes a key
    regex: bool = False
    packed: bool = False  # sends vectors as base64
    arrays_in_metadata: bool = False
    forks: bool = False
    headers: bool = True  # sends the headers it is given
    async_headers: bool = False  # ... when it is asynchronous, too
    settings: dict[str, str] = field(  # how a token is given by settings, which asynchronous clients overlook
        default_factory=lambda: {
            "provider": "chromadb.auth.token.TokenAuthClientProvider",
            "header": "chroma_client_auth_token_transport_header",
            "Authorization": "AUTHORIZATION",
            "X-Chroma-Token": "X_CHROMA_TOKEN",
        }
    )
    deleted: Any = None  # what delete(ids=two of them) returns
    exists: str = "Exception"
    missing: str = "InvalidCollectionException"
    bad_name: str = "Exception"
    bad_regex: str = "ValueError"
    dimension: str = "InvalidDimensionException"
    empty_metadata: str = "Exception"
    missing_tenant: str = "ValueError"
    duplicate_tenant: str = "Exception"


_TOKEN_SETTINGS = {
    "provider": "chromadb.auth.token_authn.TokenAuthClientProvider",
    "header": "chroma_auth_token_transport_header",
    "Authorization": "Authorization",
    "X-Chroma-Token": "X-Chroma-Token",
}

_FIRST_V2_ERRORS = {
    "bad_name": "InvalidArgumentError",
    "empty_metadata": "InvalidArgumentError",
    "missing_tenant": "NotFoundError",
}

HISTORY: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((0, 5, 1), {"settings": _TOKEN_SETTINGS}),
    ((0, 5, 11), {"arrays": True}),
    ((0, 5, 16), {"lacking_matches": True, "async_headers": True, **_FIRST_V2_ERRORS}),
    ((0, 5, 17), {"empty_filters": False}),
    ((0, 6), {"listed": "name", "exists": "UniqueConstraintError", "duplicate_tenant": "UniqueConstraintError", "databases": True}),
    (
        (1, 0),
        {
            "listed": "collection",
            "configuration": True,
            "removals": True,
            "regex": True,
            "packed": True,
            "missing": "NotFoundError",
            "dimension": "InvalidArgumentError",
            "bad_regex": "InvalidArgumentError",
        },
    ),
    ((1, 5), {"arrays_in_metadata": True, "forks": True, "deleted": {"deleted": 2}}),
)
"""Release -> what changed with it."""


def generation_of(version: str, *, awaits: bool) -> Generation:
    """Put together what holds for a release and a kind of client."""
    release = tuple(int(part) for part in version.split("."))
    made = Generation()
    for since, changes in HISTORY:
        if release >= since:
            made = replace(made, **changes)
    return replace(made, settings={}, headers=made.async_headers) if awaits else made


class Awaited:
    """An asynchronous client, or a collection of one, whose verbs return.

    Every client has a loop of its own: on one loop, clients share a connection, and with it the headers of the first.
    """

    def __init__(self, made: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._made = made
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._made, name)
        return (lambda *args, **options: self._finished(value(*args, **options))) if inspect.ismethod(value) else value

    def _finished(self, result: Any) -> Any:
        if inspect.isawaitable(result):
            result = self._loop.run_until_complete(_awaiting(result))
        if isinstance(result, (list, tuple)) and result and _is_ours(result[0]):
            return [Awaited(each, self._loop) for each in result]
        return Awaited(result, self._loop) if _is_ours(result) else result

    def at_once(self, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        """Make calls at the same time."""

        async def gathered() -> list[Any]:
            return await asyncio.gather(*(getattr(self._made, verb)(**options) for verb, options in calls))

        return self._loop.run_until_complete(gathered())


def _is_ours(value: Any) -> bool:
    return type(value).__name__ in {"AsyncClient", "AsyncCollection"}


async def _awaiting(result: Any) -> Any:
    return await result


def at_once(collection: Any, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Make calls of a collection at the same time."""
    if isinstance(collection, Awaited):
        return collection.at_once(calls)
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda call: getattr(collection, call[0])(**call[1]), calls))


class Story:
    """One run: who speaks, with whom, and as which generation."""

    def __init__(self, url: str, guarded: str, token: str, tenant: str, mode: str) -> None:
        self.chromadb = importlib.import_module("chromadb")
        self.awaits = mode == "async"
        self.generation = generation_of(self.chromadb.__version__, awaits=self.awaits)
        self.url, self.guarded, self.token = url, guarded, token
        self.tenant = tenant
        self.database = "база данных ☃ 1"
        self._numbers = itertools.count()
        self.admin = self._admin()
        self.admin.create_tenant(tenant)
        self.admin.create_database(self.database, tenant)
        self.client = self.connect()
        Letters.arrays = self.generation.arrays

    def _admin(self) -> Any:
        address = urlsplit(self.url)
        return self.chromadb.AdminClient(
            self.chromadb.config.Settings(
                chroma_api_impl="chromadb.api.fastapi.FastAPI",
                chroma_server_host=address.hostname,
                chroma_server_http_port=address.port,
            )
        )

    def connect(self, url: str | None = None, **options: Any) -> Any:
        """Return a new client of the kind this run is about."""
        address = urlsplit(url or self.url)
        options = {"host": address.hostname, "port": address.port, "tenant": self.tenant, "database": self.database, **options}
        if not self.awaits:
            return self.chromadb.HttpClient(**options)
        loop = asyncio.new_event_loop()
        return Awaited(loop.run_until_complete(self.chromadb.AsyncHttpClient(**options)), loop)

    def name(self) -> str:
        """Return a name not yet used in this run."""
        return f"c-{next(self._numbers)}-{uuid.uuid4().hex[:8]}"

    def empty(self, **options: Any) -> Any:
        """Return a new collection."""
        return self.client.create_collection(self.name(), **{"embedding_function": Letters(), **options})

    def filled(self, **options: Any) -> Any:
        """Return a new collection of five records in a plane, added in an order that is not that of their ids."""
        made = self.empty(**options)
        made.add(
            ids=["e", "a", "d", "b", "c"],
            embeddings=[[5.0, 0.5], [1.0, 0.0], [0.0, 4.0], [0.0, 2.0], [3.0, 3.0]],
            metadatas=[
                {"n": 5, "t": "odd"},
                {"n": 1, "t": "odd"},
                {"n": 4.0, "t": "even"},
                {"n": 2, "t": "even", "yes": True},
                {"t": "odd"},
            ],
            documents=["five birds", "one owl", "four Owls", "two birds and an owl", "three"],
        )
        return made


class Letters:
    """An embedding function whose vectors say how many letters and words a text has."""

    arrays: ClassVar[bool] = False

    def __call__(self, input: Any) -> Any:  # noqa: A002 - clients look at the parameter's name
        import numpy as np

        vectors = [[float(len(text)), float(len(text.split()))] for text in input]
        return [np.array(each, dtype=np.float32) for each in vectors] if self.arrays else vectors

    @staticmethod
    def name() -> str:
        """Tell what a stored configuration calls it."""
        return "letters"

    def embed_query(self, input: Any) -> Any:  # noqa: A002 - as above
        """Embed what is searched for."""
        return self(input)

    def get_config(self) -> dict[str, Any]:
        """Return its parameters."""
        return {"alphabet": "ünïcode", "size": 2}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Letters:
        """Make it again."""
        del config
        return Letters()

    def default_space(self) -> str:
        """Return the distance it is made for."""
        return "l2"

    def supported_spaces(self) -> list[str]:
        """Return the distances it can be compared by."""
        return ["l2", "cosine", "ip"]

    def is_legacy(self) -> bool:
        """Tell that its parameters can be stored."""
        return False

    def validate_config_update(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Allow every change."""

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Allow every configuration."""


Check = Callable[[Story], None]
CHECKS: list[tuple[Check, str | None]] = []
"""Checks, and the field of `Generation` that must be set for each."""


def check(needs: str | None = None) -> Callable[[Check], Check]:
    """Register a check."""

    def registered(function: Check) -> Check:
        CHECKS.append((function, needs))
        return function

    return registered


def same(got: Any, wanted: Any) -> None:
    """Compare values, types of numbers included."""
    assert got == wanted, f"got {got!r}, expected {wanted!r}"
    assert _types(got) == _types(wanted), f"got {_types(got)}, expected {_types(wanted)} for {wanted!r}"


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _types(inner) for key, inner in value.items()}
    return [_types(inner) for inner in value] if isinstance(value, (list, tuple)) else type(value)


def raises(names: str, call: Callable[[], Any], words: str = "") -> Exception:
    """Assert that a call raises exactly one of these classes (``A|B``), with these words in the message."""
    try:
        result = call()
    except Exception as raised:  # noqa: BLE001 - which one it is, is what is checked
        error = raised
    else:
        message = f"expected {names}, but the call returned {result!r}"
        raise AssertionError(message)
    assert type(error).__name__ in names.split("|"), f"expected {names}, got {error!r}"
    assert words.lower() in str(error).lower(), f"expected {words!r} in {str(error)!r}"
    return error


def vectors(result: Any) -> Any:
    """Return embeddings as float32."""
    import numpy as np

    return np.asarray([np.asarray(each, dtype=np.float64) for each in result], dtype=np.float32)


@check()
def heartbeat(s: Story) -> None:
    same(type(s.client.heartbeat()), int)


@check()
def version(s: Story) -> None:
    assert s.client.get_version()[0].isdigit()


@check()
def create_returns_an_empty_collection(s: Story) -> None:
    name = s.name()
    made = s.client.create_collection(name, metadata={"a": 1, "b": 1.0, "c": True, "d": "ü"}, embedding_function=Letters())
    same(made.name, name)
    same(made.metadata, {"a": 1, "b": 1.0, "c": True, "d": "ü"})
    same(type(made.id), uuid.UUID)
    same(made.count(), 0)


@check()
def create_without_metadata(s: Story) -> None:
    same(s.empty().metadata, None)


@check()
def create_an_existing_name(s: Story) -> None:
    made = s.filled()
    raises(s.generation.exists, lambda: s.client.create_collection(made.name), "already exists")
    same(s.client.get_collection(made.name, embedding_function=Letters()).count(), 5)


@check()
def get_a_collection(s: Story) -> None:
    made = s.filled(metadata={"k": "v"})
    found = s.client.get_collection(made.name, embedding_function=Letters())
    same((found.id, found.name, found.metadata, found.count()), (made.id, made.name, {"k": "v"}, 5))


@check()
def get_a_missing_collection(s: Story) -> None:
    raises(s.generation.missing, lambda: s.client.get_collection("not-there"), "not-there")


@check()
def get_or_create(s: Story) -> None:
    name = s.name()
    made = s.client.get_or_create_collection(name, embedding_function=Letters())
    made.add(ids=["a"], embeddings=[[1.0]])
    again = s.client.get_or_create_collection(name, embedding_function=Letters())
    same((again.id, again.count()), (made.id, 1))
    same(s.client.create_collection(name, get_or_create=True, embedding_function=Letters()).id, made.id)


@check()
def list_and_count_collections(s: Story) -> None:
    before = s.client.count_collections()
    made = [s.empty() for _ in range(3)]
    same(s.client.count_collections(), before + 3)
    listed = [each if s.generation.listed == "name" else each.name for each in s.client.list_collections()]
    assert {each.name for each in made} <= set(listed), listed
    same(len(listed), before + 3)
    pages = [s.client.list_collections(limit=2, offset=offset) for offset in range(0, before + 3, 2)]
    paged = [each if s.generation.listed == "name" else each.name for page in pages for each in page]
    same(sorted(paged), sorted(listed))
    same(list(s.client.list_collections(limit=2, offset=before + 30)), [])


@check()
def delete_a_collection(s: Story) -> None:
    made = s.filled()
    s.client.delete_collection(made.name)
    raises(s.generation.missing, lambda: s.client.get_collection(made.name))
    again = s.client.create_collection(made.name)
    assert again.id != made.id
    same(again.count(), 0)


@check()
def delete_a_missing_collection(s: Story) -> None:
    raises(s.generation.missing, lambda: s.client.delete_collection("not-there"), "not-there")


@check()
def use_a_collection_after_its_deletion(s: Story) -> None:
    made = s.filled()
    s.client.delete_collection(made.name)
    for use in (
        made.count,
        made.get,
        lambda: made.add(ids=["z"], embeddings=[[1.0, 2.0]]),
        lambda: made.query(query_embeddings=[[1.0, 2.0]]),
        lambda: made.delete(ids=["a"]),
    ):
        raises(s.generation.missing, use)


@check()
def bad_names(s: Story) -> None:
    for name in ("ab", "a b c", "-abc", "abc_", "a..b", "192.168.1.1", "ünïcode"):
        raises(s.generation.bad_name, partial(s.client.create_collection, name), "name")


@check()
def empty_collection_metadata(s: Story) -> None:
    raises(f"{s.generation.empty_metadata}|ValueError", lambda: s.client.create_collection(s.name(), metadata={}), "metadata")


@check()
def add_and_count(s: Story) -> None:
    same(s.filled().count(), 5)


@check()
def add_single_values(s: Story) -> None:
    made = s.empty()
    made.add(ids="a", embeddings=[1.0, 2.0], metadatas={"k": 1}, documents="alone")
    got = made.get(ids="a", include=["embeddings", "metadatas", "documents"])
    same((got["ids"], got["metadatas"], got["documents"]), (["a"], [{"k": 1}], ["alone"]))
    same(vectors(got["embeddings"]).tolist(), [[1.0, 2.0]])


@check()
def add_the_same_id_twice_in_one_call(s: Story) -> None:
    made = s.empty()
    raises("DuplicateIDError", lambda: made.add(ids=["a", "a"], embeddings=[[1.0], [2.0]]), "duplicates")
    same(made.count(), 0)


@check()
def add_an_id_that_is_there(s: Story) -> None:
    made = s.filled()
    made.add(ids=["a", "new"], embeddings=[[9.0, 9.0], [8.0, 8.0]], documents=["other", "new"])
    same(made.get(ids=["a"])["documents"], ["one owl"])
    same(made.count(), 6)


@check()
def add_another_dimension(s: Story) -> None:
    made = s.filled()
    raises(s.generation.dimension, lambda: made.add(ids=["z"], embeddings=[[1.0, 2.0, 3.0]]), "dimension")
    same(made.count(), 5)


@check()
def add_lists_of_unequal_lengths(s: Story) -> None:
    made = s.empty()
    raises("ValueError|IndexError", lambda: made.add(ids=["a", "b"], embeddings=[[1.0]]))
    same(made.count(), 0)


@check()
def add_documents_through_an_embedding_function(s: Story) -> None:
    made = s.empty()
    made.add(ids=["a", "b"], documents=["an owl", "a bird in the hand"])
    same(vectors(made.get(include=["embeddings"])["embeddings"]).tolist(), [[6.0, 2.0], [18.0, 5.0]])
    found = made.query(query_texts=["my dog"], n_results=1)
    same((found["ids"], found["distances"]), ([["a"]], [[0.0]]))


@check()
def get_everything_in_order(s: Story) -> None:
    got = s.filled().get()
    same(got["ids"], ["e", "a", "d", "b", "c"])
    same(got["documents"], ["five birds", "one owl", "four Owls", "two birds and an owl", "three"])
    same(got["metadatas"][2:], [{"n": 4.0, "t": "even"}, {"n": 2, "t": "even", "yes": True}, {"t": "odd"}])
    same(got["embeddings"], None)


@check()
def get_by_ids(s: Story) -> None:
    made = s.filled()
    got = made.get(ids=["c", "nobody", "e"])
    same((got["ids"], got["documents"]), (["e", "c"], ["five birds", "three"]))
    same(made.get(ids=["nobody"])["ids"], [])


@check()
def get_pages(s: Story) -> None:
    made = s.filled()
    same([made.get(limit=2, offset=offset)["ids"] for offset in (0, 2, 4, 6)], [["e", "a"], ["d", "b"], ["c"], []])
    same(made.get(where={"t": "odd"}, limit=1, offset=1)["ids"], ["a"])
    same(made.get(offset=3)["ids"], ["b", "c"])


@check()
def get_includes_what_is_asked_for(s: Story) -> None:
    import numpy as np

    made = s.filled()
    fields = ["documents", "metadatas", "embeddings", "uris"]
    for count in range(len(fields) + 1):
        for include in itertools.combinations(fields, count):
            got = made.get(ids=["a"], include=list(include))
            same(got["ids"], ["a"])
            shown = {name for name in fields if got.get(name) is not None}
            same(shown, set(include))
            if "embeddings" in include:
                assert isinstance(got["embeddings"], np.ndarray) == s.generation.arrays, type(got["embeddings"])
                same(vectors(got["embeddings"]).tolist(), [[1.0, 0.0]])


@check()
def missing_parts_are_none(s: Story) -> None:
    made = s.empty()
    made.add(ids=["a", "b"], embeddings=[[1.0], [2.0]])
    got = made.get(include=["documents", "metadatas"])
    same((got["documents"], got["metadatas"]), ([None, None], [None, None]))


WHERE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"n": 5}, "e"),
    ({"n": {"$eq": 2}}, "b"),
    ({"t": "odd"}, "eac"),
    ({"yes": True}, "b"),
    ({"n": {"$gt": 2}}, "ed"),
    ({"n": {"$gte": 2}}, "edb"),
    ({"n": {"$lt": 4}}, "ab"),
    ({"n": {"$lte": 4}}, "adb"),
    ({"n": {"$gt": 1.5}}, "edb"),
    ({"n": {"$in": [1, 5, 77]}}, "ea"),
    ({"t": {"$in": ["even"]}}, "db"),
    ({"t": {"$ne": "odd"}}, "db"),
    ({"t": {"$nin": ["even", "other"]}}, "eac"),
    ({"$and": [{"t": "odd"}, {"n": {"$gt": 1}}]}, "e"),
    ({"$or": [{"n": 1}, {"yes": True}]}, "ab"),
    ({"$and": [{"$or": [{"n": 1}, {"n": 5}]}, {"$or": [{"t": "even"}, {"n": {"$lt": 3}}]}]}, "a"),
    ({"nokey": 1}, ""),
)


@check()
def get_where(s: Story) -> None:
    made = s.filled()
    for where, wanted in WHERE:
        same((where, made.get(where=where)["ids"]), (where, list(wanted)))


@check()
def query_where(s: Story) -> None:
    made = s.filled()
    for where, wanted in WHERE:
        same((where, sorted(made.query(query_embeddings=[[0.0, 0.0]], where=where)["ids"][0])), (where, sorted(wanted)))


@check()
def records_that_lack_the_key(s: Story) -> None:
    made = s.filled()
    same(made.get(where={"n": {"$ne": 1}})["ids"], ["e", "d", "b", "c"] if s.generation.lacking_matches else ["e", "d", "b"])
    same(made.get(where={"n": {"$nin": [1, 2]}})["ids"], ["e", "d", "c"] if s.generation.lacking_matches else ["e", "d"])


@check()
def ints_floats_and_bools_in_filters(s: Story) -> None:
    made = s.empty()
    made.add(ids=["int", "float", "text", "bool"], embeddings=[[1.0]] * 4, metadatas=[{"v": 1}, {"v": 1.0}, {"v": "1"}, {"v": True}])
    same(made.get(where={"v": 1})["ids"], ["int", "float"])
    same(made.get(where={"v": "1"})["ids"], ["text"])
    same(made.get(where={"v": True})["ids"], ["bool"])


WHERE_DOCUMENT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"$contains": "owl"}, "ab"),
    ({"$contains": "Owl"}, "d"),
    ({"$contains": "%"}, ""),
    ({"$not_contains": "owl"}, "edc"),
    ({"$and": [{"$contains": "birds"}, {"$contains": "owl"}]}, "b"),
    ({"$or": [{"$contains": "three"}, {"$contains": "Owls"}]}, "dc"),
)


@check()
def get_where_document(s: Story) -> None:
    made = s.filled()
    for where, wanted in WHERE_DOCUMENT:
        same((where, made.get(where_document=where)["ids"]), (where, list(wanted)))
    same(made.get(where={"t": "odd"}, where_document={"$contains": "birds"})["ids"], ["e"])


@check()
def query_where_document(s: Story) -> None:
    made = s.filled()
    for where, wanted in WHERE_DOCUMENT:
        same((where, sorted(made.query(query_embeddings=[[0.0, 0.0]], where_document=where)["ids"][0])), (where, sorted(wanted)))
    found = made.query(query_embeddings=[[0.0, 0.0]], where={"t": "even"}, where_document={"$contains": "owl"})
    same(found["ids"], [["b"]])


@check(needs="regex")
def where_document_by_regular_expression(s: Story) -> None:
    made = s.filled()
    same(made.get(where_document={"$regex": "^t"})["ids"], ["b", "c"])
    same(made.get(where_document={"$regex": "(?i)OWL"})["ids"], ["a", "d", "b"])
    same(made.get(where_document={"$not_regex": "bird"})["ids"], ["a", "d", "c"])
    raises(s.generation.bad_regex, lambda: made.get(where_document={"$regex": "("}))


@check()
def bad_filters(s: Story) -> None:
    made = s.filled()
    bad: list[dict[str, Any]] = [{"n": {"$foo": 1}}, {"n": 1, "t": "odd"}, {"n": {"$gt": "a"}}, {"$and": [{"n": 1}]}, {"n": {"$in": []}}]
    for where in bad:
        raises("ValueError", partial(made.get, where=where))
        raises("ValueError", partial(made.query, query_embeddings=[[1.0, 0.0]], where=where))
        raises("ValueError", partial(made.delete, where=where))
    raises("ValueError", lambda: made.get(where_document={"$foo": "a"}))
    same(made.count(), 5)


@check()
def empty_filters(s: Story) -> None:
    made = s.filled()
    if s.generation.empty_filters:
        same(made.get(where={}, where_document={})["ids"], ["e", "a", "d", "b", "c"])
        same(len(made.query(query_embeddings=[[1.0, 0.0]], where={}, where_document={})["ids"][0]), 5)
    else:
        raises("ValueError", lambda: made.get(where={}))


def distances_agree(s: Story, space: str, options: dict[str, Any]) -> None:
    """Compare the distances of a query with their formulas."""
    import numpy as np

    points = np.random.default_rng(7).normal(size=(40, 6)).astype(np.float32)
    made = s.empty(**options)
    made.add(ids=[f"p{i}" for i in range(40)], embeddings=points.tolist())
    found = made.query(query_embeddings=points[:3].tolist(), n_results=40, include=["distances"])
    for row in range(3):
        each, one = points.astype(np.float64), points[row].astype(np.float64)
        wanted = {
            "l2": ((each - one) ** 2).sum(axis=1),
            "ip": 1 - each @ one,
            "cosine": 1 - each @ one / np.linalg.norm(each, axis=1) / np.linalg.norm(one),
        }[space]
        order = np.argsort(wanted)
        same(found["ids"][row], [f"p{i}" for i in order])
        np.testing.assert_allclose(found["distances"][row], wanted[order], rtol=1e-4, atol=1e-5)
        same(type(found["distances"][row][0]), float)


@check()
def distances_l2(s: Story) -> None:
    distances_agree(s, "l2", {})


@check()
def distances_cosine(s: Story) -> None:
    distances_agree(s, "cosine", {"metadata": {"hnsw:space": "cosine"}})


@check()
def distances_ip(s: Story) -> None:
    distances_agree(s, "ip", {"metadata": {"hnsw:space": "ip", "hnsw:M": 8, "hnsw:construction_ef": 50, "hnsw:search_ef": 20}})


@check()
def query_several_vectors(s: Story) -> None:
    found = s.filled().query(query_embeddings=[[1.0, 0.0], [0.0, 4.0]], n_results=2)
    same(found["ids"], [["a", "b"], ["d", "b"]])
    same(found["distances"], [[0.0, 5.0], [0.0, 4.0]])
    same(found["documents"], [["one owl", "two birds and an owl"], ["four Owls", "two birds and an owl"]])
    same(found["metadatas"][1][0], {"n": 4.0, "t": "even"})


@check()
def query_one_bare_vector(s: Story) -> None:
    same(s.filled().query(query_embeddings=[1.0, 0.0], n_results=1)["ids"], [["a"]])


@check()
def query_for_more_than_there_is(s: Story) -> None:
    same(len(s.filled().query(query_embeddings=[[1.0, 0.0]], n_results=100)["ids"][0]), 5)


@check()
def query_without_a_match(s: Story) -> None:
    found = s.filled().query(query_embeddings=[[1.0, 0.0], [2.0, 0.0]], where={"nokey": 1})
    same([found[key] for key in ("ids", "distances", "documents", "metadatas")], [[[], []]] * 4)


@check()
def query_an_empty_collection(s: Story) -> None:
    found = s.empty().query(query_embeddings=[[1.0, 0.0]], n_results=3)
    same([found[key] for key in ("ids", "distances", "documents", "metadatas")], [[[]]] * 4)
    same(s.empty().get()["ids"], [])


@check()
def query_includes_what_is_asked_for(s: Story) -> None:
    made = s.filled()
    fields = ["documents", "metadatas", "embeddings", "distances", "uris"]
    for count in range(len(fields) + 1):
        for include in itertools.combinations(fields, count):
            found = made.query(query_embeddings=[[1.0, 0.0]], n_results=2, include=list(include))
            same(found["ids"], [["a", "b"]])
            same({name for name in fields if found.get(name) is not None}, set(include))
            if "embeddings" in include:
                same(vectors(found["embeddings"][0]).tolist(), [[1.0, 0.0], [0.0, 2.0]])


@check()
def query_another_dimension(s: Story) -> None:
    made = s.filled()
    raises(s.generation.dimension, lambda: made.query(query_embeddings=[[1.0, 2.0, 3.0]]), "dimension")


@check()
def query_nothing(s: Story) -> None:
    made = s.filled()
    raises("ValueError", lambda: made.query(n_results=2))
    raises("ValueError|TypeError", lambda: made.query(query_embeddings=[[1.0, 0.0]], n_results=-1))


@check(needs="configuration")
def query_among_ids(s: Story) -> None:
    made = s.filled()
    same(made.query(query_embeddings=[[1.0, 0.0]], ids=["d", "e"], n_results=5)["ids"], [["e", "d"]])
    same(made.query(query_embeddings=[[1.0, 0.0]], ids=["d", "e"], where={"t": "even"})["ids"], [["d"]])


@check()
def update_changes_what_is_given(s: Story) -> None:
    made = s.filled()
    made.update(ids=["a", "b"], metadatas=[{"n": 10, "new": "x"}, {"yes": False}])
    made.update(ids=["d"], documents=["changed"], embeddings=[[7.0, 7.0]])
    got = made.get(ids=["a", "d", "b"], include=["metadatas", "documents", "embeddings"])
    same(got["metadatas"], [{"n": 10, "t": "odd", "new": "x"}, {"n": 4.0, "t": "even"}, {"n": 2, "t": "even", "yes": False}])
    same(got["documents"], ["one owl", "changed", "two birds and an owl"])
    same(vectors(got["embeddings"]).tolist(), [[1.0, 0.0], [7.0, 7.0], [0.0, 2.0]])
    same(made.get(where={"n": 10})["ids"], ["a"])
    same(made.get(where_document={"$contains": "Owls"})["ids"], [])


@check()
def update_a_missing_id(s: Story) -> None:
    made = s.filled()
    made.update(ids=["nobody", "a"], documents=["x", "y"], embeddings=[[1.0, 1.0], [2.0, 2.0]])
    same((made.count(), made.get(ids=["a", "nobody"])["documents"]), (5, ["y"]))


@check()
def update_vectors_moves_records(s: Story) -> None:
    made = s.filled()
    made.update(ids=["c"], embeddings=[[1.0, 0.1]])
    same(made.query(query_embeddings=[[1.0, 0.1]], n_results=2)["ids"], [["c", "a"]])


@check()
def update_another_dimension(s: Story) -> None:
    made = s.filled()
    raises(s.generation.dimension, lambda: made.update(ids=["a"], embeddings=[[1.0]]), "dimension")


@check(needs="removals")
def update_removes_keys(s: Story) -> None:
    made = s.filled()
    made.update(ids=["a"], metadatas=[{"n": None}])
    same(made.get(ids=["a"])["metadatas"], [{"t": "odd"}])
    made.update(ids=["a"], metadatas=[{"t": None}])
    same(made.get(ids=["a"])["metadatas"], [None])


@check()
def upsert(s: Story) -> None:
    made = s.filled()
    made.upsert(ids=["a", "new"], embeddings=[[9.0, 9.0], [8.0, 8.0]], metadatas=[{"n": 11}, {"n": 12}], documents=["x", "y"])
    got = made.get(ids=["a", "new"])
    same((got["ids"], got["documents"], got["metadatas"]), (["a", "new"], ["x", "y"], [{"n": 11, "t": "odd"}, {"n": 12}]))
    same(made.count(), 6)
    raises("DuplicateIDError", lambda: made.upsert(ids=["q", "q"], embeddings=[[1.0, 1.0], [2.0, 2.0]]))
    raises(s.generation.dimension, lambda: made.upsert(ids=["q"], embeddings=[[1.0]]), "dimension")
    same(made.count(), 6)


@check()
def delete_by_ids(s: Story) -> None:
    made = s.filled()
    same(made.delete(ids=["a", "c"]), s.generation.deleted)
    same(made.get()["ids"], ["e", "d", "b"])
    made.delete(ids=["nobody"])
    same(made.count(), 3)


@check()
def delete_where(s: Story) -> None:
    made = s.filled()
    made.delete(where={"t": "even"})
    same(made.get()["ids"], ["e", "a", "c"])
    made.delete(where_document={"$contains": "birds"})
    same(made.get()["ids"], ["a", "c"])
    made.delete(ids=["a", "c"], where={"n": 1})
    same(made.get()["ids"], ["c"])


@check()
def delete_needs_a_choice(s: Story) -> None:
    made = s.filled()
    raises("ValueError|Exception|InvalidArgumentError", made.delete)
    same(made.count(), 5)


@check()
def delete_and_add_again(s: Story) -> None:
    made = s.filled()
    made.delete(ids=["e"])
    made.add(ids=["e"], embeddings=[[1.0, 1.0]])
    got = made.get()
    same((got["ids"][-1], got["documents"][-1], got["metadatas"][-1]), ("e", None, None))


@check()
def peek(s: Story) -> None:
    made = s.filled()
    got = made.peek(limit=2)
    same((got["ids"], got["documents"]), (["e", "a"], ["five birds", "one owl"]))
    same(vectors(got["embeddings"]).tolist(), [[5.0, 0.5], [1.0, 0.0]])
    same(len(made.peek()["ids"]), 5)


@check()
def modify_name_and_metadata(s: Story) -> None:
    made = s.filled(metadata={"old": 1})
    before, after = made.name, s.name()
    made.modify(name=after)
    made.modify(metadata={"new": 2.0})
    same((made.name, made.metadata), (after, {"new": 2.0}))
    found = s.client.get_collection(after, embedding_function=Letters())
    same((found.id, found.metadata, found.count()), (made.id, {"new": 2.0}, 5))
    raises(s.generation.missing, lambda: s.client.get_collection(before))


@check()
def modify_to_a_taken_name(s: Story) -> None:
    one, two = s.empty(), s.filled()
    raises(s.generation.exists, lambda: two.modify(name=one.name), "already exists")
    same(s.client.get_collection(two.name, embedding_function=Letters()).count(), 5)


@check(needs="configuration")
def configuration_is_kept(s: Story) -> None:
    made = s.empty(configuration={"hnsw": {"space": "cosine", "ef_construction": 77, "max_neighbors": 8, "ef_search": 55}})
    found = s.client.get_collection(made.name, embedding_function=Letters())
    for each in (made, found):
        shown = each.configuration_json["hnsw"]
        same([shown[key] for key in ("space", "ef_construction", "max_neighbors", "ef_search")], ["cosine", 77, 8, 55])
        same(each.configuration_json["embedding_function"]["name"], "letters")
        same(each.configuration_json["embedding_function"]["config"], {"alphabet": "ünïcode", "size": 2})
    found.add(ids=["a"], embeddings=[[2.0, 0.0]])
    same(found.query(query_embeddings=[[9.0, 0.0]])["distances"], [[0.0]])


@check(needs="configuration")
def modify_configuration(s: Story) -> None:
    made = s.filled()
    made.modify(configuration={"hnsw": {"ef_search": 222, "num_threads": 2}})
    found = s.client.get_collection(made.name, embedding_function=Letters())
    same((found.configuration_json["hnsw"]["ef_search"], found.configuration_json["hnsw"]["space"]), (222, "l2"))
    same(found.configuration_json["embedding_function"]["name"], "letters")


@check(needs="configuration")
def an_embedding_function_of_another_name(s: Story) -> None:
    class Other(Letters):
        @staticmethod
        def name() -> str:
            return "other"

    made = s.empty()
    raises("ValueError", lambda: s.client.get_collection(made.name, embedding_function=Other()), "embedding function")


VALUES: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "beyond doubles": 2**53 + 1,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "whole float": 1.0,
    "float": 0.1,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "yes": True,
    "no": False,
    "empty": "",
    "ключ ☃": "日本語 🦉 \u0000 \" ' \\ \n <b>&amp;",
}


@check()
def metadata_comes_back_exactly(s: Story) -> None:
    made = s.empty()
    made.add(ids=["a"], embeddings=[[1.0]], metadatas=[VALUES])
    same(made.get()["metadatas"], [VALUES])
    same(made.query(query_embeddings=[[1.0]])["metadatas"], [[VALUES]])
    for key, value in VALUES.items():
        same((key, made.get(where={key: value})["ids"]), (key, ["a"]))


@check()
def unicode_ids_and_documents(s: Story) -> None:
    made = s.empty()
    ids = ["日本", "a/b?c=d&e#f%20", "🦉", " ", "x" * 500, '"\\\n']
    documents = ["ünïcode ☃", "", "🦉" * 100, "line\nbreak\ttab", "<script>alert(1)</script>", "\u202eright to left"]
    made.add(ids=ids, embeddings=[[float(i)] for i in range(6)], documents=documents)
    got = made.get()
    same((got["ids"], got["documents"]), (ids, documents))
    same([made.get(ids=[each])["documents"] for each in ids], [[each] for each in documents])
    same(made.get(where_document={"$contains": "☃"})["ids"], ["日本"])
    made.delete(ids=["a/b?c=d&e#f%20"])
    same(made.count(), 5)


@check()
def uris(s: Story) -> None:
    made = s.empty()
    made.add(ids=["a", "b"], embeddings=[[1.0], [2.0]], uris=["file:///ü.png", "x"])
    same(made.get(include=["uris"])["uris"], ["file:///ü.png", "x"])


@check()
def vectors_come_back_to_the_last_bit(s: Story) -> None:
    import numpy as np

    sent = np.random.default_rng(3).normal(size=(50, 33)).astype(np.float32)
    sent[0, :4] = [1e-45, 3.4028235e38, -0.0, 1 / 3]
    made = s.empty()
    made.add(ids=[str(i) for i in range(50)], embeddings=sent.tolist())
    got = vectors(made.get(include=["embeddings"])["embeddings"])
    assert got.tobytes() == sent.tobytes(), np.argwhere(got != sent)[:5]


@check(needs="arrays")
def numpy_vectors(s: Story) -> None:
    import numpy as np

    made = s.empty()
    made.add(ids=["a", "b"], embeddings=[np.array([0.1, 0.2], dtype=np.float32), np.array([0.3, 0.4], dtype=np.float32)])
    got = vectors(made.get(include=["embeddings"])["embeddings"])
    same(got.tolist(), np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32).tolist())
    same(made.query(query_embeddings=[np.array([0.3, 0.4], dtype=np.float32)], n_results=1)["ids"], [["b"]])


@check(needs="packed")
def the_server_takes_base64(s: Story) -> None:
    server = Awaited(s.client._server, s.client._loop) if isinstance(s.client, Awaited) else s.client._server
    same(server.supports_base64_encoding(), True)


@check()
def five_thousand_rows(s: Story) -> None:
    made = s.empty()
    ids = [f"r{i}" for i in range(5_000)]
    made.add(
        ids=ids,
        embeddings=[[float(i), 1.0, -1.0, 0.5] for i in range(5_000)],
        metadatas=[{"i": i, "even": i % 2 == 0} for i in range(5_000)],
        documents=[f"document {i}" for i in range(5_000)],
    )
    same(made.count(), 5_000)
    got = made.get(include=["metadatas", "documents", "embeddings"])
    same((got["ids"], got["metadatas"][4_321], got["documents"][-1]), (ids, {"i": 4_321, "even": False}, "document 4999"))
    same(vectors(got["embeddings"])[:, 0].tolist(), [float(i) for i in range(5_000)])
    same(made.get(where={"even": True}, limit=3, offset=10)["ids"], ["r20", "r22", "r24"])
    same(made.query(query_embeddings=[[1234.0, 1.0, -1.0, 0.5]], n_results=1)["ids"], [["r1234"]])


@check()
def calls_at_the_same_time(s: Story) -> None:
    made = s.filled()
    at_once(made, [("add", {"ids": [f"t{i}"], "embeddings": [[float(i), 1.0]]}) for i in range(40)])
    same(made.count(), 45)
    got = at_once(made, [("get", {"ids": [f"t{i}"]}) for i in range(40)])
    same([each["ids"] for each in got], [[f"t{i}"] for i in range(40)])


@check(needs="arrays_in_metadata")
def arrays_in_metadata(s: Story) -> None:
    made = s.empty()
    made.add(ids=["a", "b"], embeddings=[[1.0], [2.0]], metadatas=[{"t": ["x", "y"], "n": [1, 2]}, {"t": ["z"], "f": [0.5, 1.0]}])
    same(made.get()["metadatas"], [{"t": ["x", "y"], "n": [1, 2]}, {"t": ["z"], "f": [0.5, 1.0]}])
    same(made.get(where={"t": {"$contains": "x"}})["ids"], ["a"])
    same(made.get(where={"t": {"$not_contains": "x"}})["ids"], ["b"])


@check(needs="forks")
def fork(s: Story) -> None:
    made = s.filled()
    forked = made.fork(s.name())
    forked.delete(ids=["a"])
    same((made.count(), forked.count()), (5, 4))
    status = made.get_indexing_status()
    same((status.total_ops, status.num_indexed_ops + status.num_unindexed_ops), (5, 5))


@check(needs="forks")
def delete_at_most(s: Story) -> None:
    made = s.filled()
    same(made.delete(where={"t": "odd"}, limit=2), {"deleted": 2})
    same(made.get()["ids"], ["d", "b", "c"])


@check(needs="configuration")
def errors_carry_a_trace_id(s: Story) -> None:
    error = raises("NotFoundError", lambda: s.client.get_collection("not-there"))
    assert getattr(error, "trace_id", None), "no trace_id"


@check()
def more_rows_than_one_call_may_carry(s: Story) -> None:
    most = s.client.max_batch_size if hasattr(s.client, "max_batch_size") else s.client.get_max_batch_size()
    assert most >= 5_000, most
    made = s.empty()
    count = most + 1
    raises(
        "ValueError|InvalidArgumentError|InternalError",
        lambda: made.add(ids=[str(i) for i in range(count)], embeddings=[[1.0]] * count),
        "batch size",
    )
    same(made.count(), 0)


@check()
def reset_is_refused(s: Story) -> None:
    before = s.client.count_collections()
    raises("AuthorizationError", s.client.reset, "disabled")
    same(s.client.count_collections(), before)


@check()
def tenants_and_databases_are_apart(s: Story) -> None:
    made = s.empty()
    other = f"other база {uuid.uuid4().hex[:6]}"
    s.admin.create_database(other, s.tenant)
    same(s.admin.get_database(other, s.tenant)["name"], other)
    same(s.admin.get_tenant(s.tenant)["name"], s.tenant)
    elsewhere = s.connect(database=other)
    same(elsewhere.count_collections(), 0)
    raises(s.generation.missing, lambda: elsewhere.get_collection(made.name))
    twin = elsewhere.create_collection(made.name)
    assert twin.id != made.id
    elsewhere.set_database(s.database)
    same(elsewhere.get_collection(made.name, embedding_function=Letters()).id, made.id)
    elsewhere.set_tenant(s.tenant, other)
    same(elsewhere.count_collections(), 1)


@check()
def tenants_and_databases_that_are_not_there(s: Story) -> None:
    raises(s.generation.missing_tenant, lambda: s.connect(tenant="no such tenant", database="default_database"))
    raises(s.generation.missing_tenant, lambda: s.connect(database="no such database"))
    raises(s.generation.duplicate_tenant, lambda: s.admin.create_tenant(s.tenant), "already exists")
    raises(s.generation.duplicate_tenant, lambda: s.admin.create_database(s.database, s.tenant), "already exists")


@check(needs="databases")
def databases_can_be_listed_and_deleted(s: Story) -> None:
    name = f"short-lived-{uuid.uuid4().hex[:6]}"
    s.admin.create_database(name, s.tenant)
    assert {name, s.database} <= {each["name"] for each in s.admin.list_databases(tenant=s.tenant)}
    s.admin.delete_database(name, s.tenant)
    assert name not in {each["name"] for each in s.admin.list_databases(tenant=s.tenant)}
    raises("NotFoundError", lambda: s.admin.get_database(name, s.tenant), name)


@check()
def the_default_tenant_is_there(s: Story) -> None:
    client = s.connect(tenant="default_tenant", database="default_database")
    made = client.create_collection(s.name(), embedding_function=Letters())
    made.add(ids=["a"], embeddings=[[1.0]])
    same(client.get_collection(made.name, embedding_function=Letters()).count(), 1)
    client.delete_collection(made.name)


def _by_settings(s: Story, header: str, token: str) -> Any:
    words = s.generation.settings
    settings = s.chromadb.config.Settings(
        **{
            "chroma_client_auth_provider": words["provider"],
            "chroma_client_auth_credentials": token,
            words["header"]: words[header],
        }
    )
    return s.connect(s.guarded, settings=settings)


@check(needs="settings")
def token_by_settings(s: Story) -> None:
    for header in ("Authorization", "X-Chroma-Token"):
        made = _by_settings(s, header, s.token).create_collection(s.name(), embedding_function=Letters())
        same(s.client.get_collection(made.name, embedding_function=Letters()).id, made.id)
        raises("AuthorizationError", partial(_by_settings, s, header, "wrong"))


@check(needs="headers")
def token_by_headers(s: Story) -> None:
    for headers in ({"Authorization": f"Bearer {s.token}"}, {"X-Chroma-Token": s.token}):
        client = s.connect(s.guarded, headers=headers)
        made = client.create_collection(s.name(), embedding_function=Letters())
        made.add(ids=["a"], embeddings=[[1.0]])
        same(s.client.get_collection(made.name, embedding_function=Letters()).count(), 1)
    raises("AuthorizationError", lambda: s.connect(s.guarded, headers={"X-Chroma-Token": s.token + "x"}))


@check()
def no_token(s: Story) -> None:
    raises("AuthorizationError", lambda: s.connect(s.guarded))


def results(story: Story) -> Iterator[dict[str, Any]]:
    """Run every check that this release can be asked for."""
    for function, needs in CHECKS:
        if needs and not getattr(story.generation, needs):
            continue
        name = function.__name__
        try:
            function(story)
        except Exception:  # noqa: BLE001 - a check may fail in any way, and the next one runs all the same
            yield {"name": name, "ok": False, "detail": traceback.format_exc(limit=-4)}
        else:
            yield {"name": name, "ok": True, "detail": ""}


def main(url: str, guarded: str, token: str, tenant: str, mode: str) -> None:
    """Print one line per check."""
    for result in results(Story(url, guarded, token, tenant, mode)):
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:6])
