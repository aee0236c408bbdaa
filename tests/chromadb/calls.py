"""Calls in Chroma's Python API, and what came of them as JSON: the same body runs on Chroma itself and on `chroma_nb.chromadb`.

This file imports neither. As a program, in an interpreter that has Chroma, it prints what Chroma answers; `test_calls`
hands it our package and compares. What is recorded is what existing code can see: values, shapes, types, and by which
``except`` clauses an error is caught; not the texts of messages.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import math
import sys
import tempfile
import uuid
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


class Scene:
    """One scenario: the module under test, a client of an empty store, and the record of its calls."""

    def __init__(self, chromadb: Any, client: Any) -> None:
        self.chromadb = chromadb
        self.client = client
        self.record: dict[str, Any] = {}

    def __call__(self, label: str, call: Callable[[], Any]) -> None:
        """Make a call and write down what came of it."""
        assert label not in self.record, label
        try:
            self.record[label] = written(call())
        except Exception as error:  # noqa: BLE001 - the class is what is recorded
            self.record[label] = {"error": type(error).__name__, "caught": caught_by(error, self.chromadb.errors)}

    def collection(self, name: str = "docs", **options: Any) -> Any:
        """Make a collection without an embedding function."""
        return self.client.create_collection(name, **{"embedding_function": None, **options})


def caught_by(error: Exception, errors: Any) -> list[str]:
    """Return the names of all ``except`` clauses that would catch an error."""
    known = {name for name, kind in vars(errors).items() if isinstance(kind, type) and isinstance(error, kind)}
    return sorted(known | {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins" and kind is not object})


def written(value: Any) -> Any:
    """Return a value as JSON data that still shows its type."""
    if isinstance(value, np.ndarray):
        return {"array": str(value.dtype), "shape": list(value.shape), "values": value.tolist()}
    if isinstance(value, uuid.UUID):
        return "<uuid>"
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(item) for item in value]
    if hasattr(value, "get_max_batch_size"):
        return "<client>"
    if hasattr(value, "peek"):
        return {"collection": value.name, "metadata": written(value.metadata)}
    return value


class Lengths:
    """An embedding function with a name: length of the text, and one."""

    space = "l2"

    def __call__(self, input: list[str]) -> list[Any]:  # noqa: A002 - Chroma's name
        return [np.array([len(text), 1.0], dtype=np.float32) for text in input]

    def embed_query(self, input: list[str]) -> list[Any]:  # noqa: A002 - Chroma's name
        return self(input)

    @staticmethod
    def name() -> str:
        return "lengths"

    def default_space(self) -> str:
        return self.space

    def supported_spaces(self) -> list[str]:
        return ["l2", "ip", "cosine"]

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(_: dict[str, Any]) -> Lengths:
        return Lengths()

    def is_legacy(self) -> bool:
        return False

    def validate_config_update(self, old: Any, new: Any) -> None:
        """Allow every change."""


class Dots(Lengths):
    """Another embedding function, made for inner products."""

    space = "ip"

    @staticmethod
    def name() -> str:
        return "dots"


class Nameless:
    """An embedding function without a name."""

    def __call__(self, input: list[str]) -> list[Any]:  # noqa: A002 - Chroma's name
        return [[float(len(text)), 1.0] for text in input]

    def embed_query(self, input: list[str]) -> list[Any]:  # noqa: A002 - Chroma's name
        return self(input)


class OldParameter:
    """An embedding function from before Chroma 0.4.16."""

    def __call__(self, texts: list[str]) -> list[Any]:
        return [[1.0, 1.0] for _ in texts]


class Broken(Nameless):
    """An embedding function whose service is down."""

    def __call__(self, input: list[str]) -> list[Any]:  # noqa: A002 - Chroma's name
        raise ConnectionRefusedError(len(input))


METHODS = {
    "client": (
        *("count_collections", "create_collection", "delete_collection", "get_collection", "get_collection_by_id"),
        *("get_max_batch_size", "get_or_create_collection", "get_settings", "get_version", "heartbeat", "list_collections"),
        *("reset", "set_database", "set_tenant", "close", "clear_system_cache", "get_user_identity"),
    ),
    "collection": ("add", "count", "delete", "fork", "get", "modify", "peek", "query", "update", "upsert"),
    "admin": ("create_database", "create_tenant", "delete_database", "get_database", "get_tenant", "list_databases"),
}


def signatures(scene: Scene) -> None:
    objects = {"client": scene.client, "collection": scene.collection(), "admin": scene.chromadb.AdminClient(resettable(scene.chromadb))}
    for what, names in METHODS.items():
        for name in names:
            scene(f"{what}.{name}", functools.partial(parameters, getattr(objects[what], name)))
    for name in ("EphemeralClient", "PersistentClient", "Client", "AdminClient", "configure", "get_settings"):
        scene(name, functools.partial(parameters, getattr(scene.chromadb, name)))


def parameters(call: Any) -> list[Any]:
    """Return names and plain default values, in order; a default that is an object counts as None."""
    found = inspect.signature(call).parameters.values()
    plain = (str, int, bool, list)
    return [
        [p.name, p.kind.name.startswith("VAR"), p.default is not p.empty, p.default if isinstance(p.default, plain) else None]
        for p in found
    ]


def resettable(chromadb: Any) -> Any:
    return chromadb.config.Settings(allow_reset=True)


def clients(scene: Scene) -> None:
    chromadb, client = scene.chromadb, scene.client
    scene("heartbeat", lambda: client.heartbeat() > 10**18)
    scene("version", client.get_version)
    scene("module version", lambda: chromadb.__version__)
    scene("tenant", lambda: [client.tenant, client.database])
    scene("two share the data", lambda: (scene.collection("shared"), chromadb.EphemeralClient(resettable(chromadb)).count_collections()))
    scene("other settings", chromadb.EphemeralClient)
    scene("Client without settings", chromadb.Client)
    scene("Client with settings", lambda: chromadb.Client(resettable(chromadb)).count_collections())
    scene("unknown setting", lambda: chromadb.config.Settings(no_such_key=1).allow_reset)
    scene("no such tenant", lambda: chromadb.EphemeralClient(resettable(chromadb), tenant="nowhere"))
    scene("no such database", lambda: chromadb.EphemeralClient(resettable(chromadb), database="nowhere"))
    scene("set_tenant", lambda: client.set_tenant("nowhere"))
    scene("set_database", lambda: client.set_database("nowhere"))
    scene("settings", lambda: client.get_settings().allow_reset)
    scene("identity", lambda: [client.get_user_identity().tenant, client.get_user_identity().databases])
    scene("max batch size", lambda: client.get_max_batch_size() > 1000)
    scene("reset", client.reset)
    scene("after reset", client.count_collections)


def stores(scene: Scene) -> None:
    chromadb = scene.chromadb
    with tempfile.TemporaryDirectory() as folder:
        client = chromadb.PersistentClient(folder)
        scene("reset", client.reset)
        made = client.create_collection("kept", embedding_function=None)
        made.add(ids=["a"], embeddings=[[1, 2]], documents=["text"])
        scene("second client", lambda: chromadb.PersistentClient(folder).get_collection("kept", embedding_function=None).count())
        scene("other settings", lambda: chromadb.PersistentClient(folder, resettable(chromadb)))
        client.close()
    with tempfile.TemporaryDirectory() as folder:
        settings = chromadb.config.Settings(is_persistent=True, persist_directory=folder, allow_reset=True)
        client = chromadb.Client(settings)
        client.create_collection("kept", embedding_function=None)
        scene("Client that persists", lambda: chromadb.PersistentClient(folder, resettable(chromadb)).count_collections())
        scene("with reset", client.reset)
        client.close()


def tenants(scene: Scene) -> None:
    chromadb, client = scene.chromadb, scene.client
    admin = chromadb.AdminClient(resettable(chromadb))
    scene("create tenant", lambda: admin.create_tenant("acme"))
    scene("create tenant again", lambda: admin.create_tenant("acme"))
    scene("get tenant", lambda: admin.get_tenant("acme"))
    scene("get missing tenant", lambda: admin.get_tenant("nowhere"))
    scene("create database", lambda: admin.create_database("sales", "acme"))
    scene("create database again", lambda: admin.create_database("sales", "acme"))
    scene("get database", lambda: admin.get_database("sales", "acme"))
    scene("get missing database", lambda: admin.get_database("nowhere", "acme"))
    scene("list databases", lambda: admin.list_databases(tenant="acme"))
    scene("list limit 0", lambda: admin.list_databases(limit=0, tenant="acme"))
    scene("switch", lambda: client.set_tenant("acme", "sales"))
    scene("a collection there", lambda: (scene.collection("there"), client.list_collections()))
    scene("its place", lambda: [client.get_collection("there").tenant, client.get_collection("there").database])
    scene("not in the default one", lambda: chromadb.EphemeralClient(resettable(chromadb)).list_collections())
    scene("delete database", lambda: admin.delete_database("sales", "acme"))
    scene("delete missing database", lambda: admin.delete_database("sales", "acme"))


NAMES = (
    "abc",
    "0ab",
    "ABC",
    "a.b",
    "a" * 512,
    "ab",
    "_abc",
    "abc_",
    "-abc",
    "a b c",
    "a/b",
    "a$b",
    "abç",
    "a..b",
    "192.168.1.1",
    "",
    "a" * 513,
)


def names(scene: Scene) -> None:
    for name in NAMES:
        scene(name[:20] + (f"~{len(name)}" if len(name) > 20 else ""), lambda name=name: scene.collection(name))
    scene("not a str", lambda: scene.client.create_collection(7))


def collections(scene: Scene) -> None:
    client = scene.client
    made = scene.collection("docs", metadata={"topic": "owls", "n": 1, "x": 1.5, "b": True})
    scene("made", lambda: made)
    scene("id", lambda: made.id)
    scene("place", lambda: [made.tenant, made.database])
    scene("repr", lambda: repr(made))
    scene("metadata none", lambda: scene.collection("plain").metadata)
    scene("create again", lambda: scene.collection("docs"))
    scene("get_or_create ignores metadata", lambda: client.get_or_create_collection("docs", metadata={"a": 1}, embedding_function=None))
    scene("create with get_or_create", lambda: client.create_collection("docs", get_or_create=True, embedding_function=None).id == made.id)
    scene("get", lambda: client.get_collection("docs").id == made.id)
    scene("get by id", lambda: client.get_collection_by_id(made.id).name)
    scene("get by unknown id", lambda: client.get_collection_by_id(uuid.uuid4()))
    scene("get by bad id", lambda: client.get_collection_by_id("x"))
    scene("get missing", lambda: client.get_collection("nowhere"))
    scene("delete missing", lambda: client.delete_collection("nowhere"))
    scene("list", lambda: sorted(found.name for found in client.list_collections()))
    scene("list part", lambda: len(client.list_collections(limit=1, offset=1)))
    scene("list past the end", lambda: client.list_collections(limit=5, offset=9))
    scene("count", client.count_collections)
    scene("metadata empty", lambda: scene.collection("m01", metadata={}))
    scene("metadata dict value", lambda: scene.collection("m02", metadata={"a": {}}))
    scene("metadata no dict", lambda: scene.collection("m03", metadata=["a"]))
    scene("unknown space", lambda: scene.collection("m04", metadata={"hnsw:space": "l1"}))
    scene("unknown hnsw key", lambda: scene.collection("m05", metadata={"hnsw:foo": 1}))
    scene("data loader and schema left out", lambda: client.create_collection("m06", None, None, None, None, None, False).name)
    scene("delete", lambda: client.delete_collection("docs"))
    for label, call in {
        "add": lambda: made.add(ids="a", embeddings=[1, 2]),
        "upsert": lambda: made.upsert(ids="a", embeddings=[1, 2]),
        "update": lambda: made.update(ids="a", embeddings=[1, 2]),
        "get": made.get,
        "peek": made.peek,
        "query": lambda: made.query(query_embeddings=[1, 2]),
        "count": made.count,
        "delete": lambda: made.delete(ids="a"),
        "modify": lambda: made.modify(name="other"),
    }.items():
        scene(f"{label} after deletion", call)
    scene("made again is another", lambda: scene.collection("docs").id != made.id)


def modified(scene: Scene) -> None:
    made = scene.collection("docs", metadata={"a": 1, "b": 2})
    scene.collection("taken")
    scene("metadata is replaced", lambda: (made.modify(metadata={"c": 3}), made))
    scene("for others too", lambda: scene.client.get_collection("docs"))
    scene("name", lambda: (made.modify(name="renamed"), made))
    scene("old name", lambda: scene.client.get_collection("docs"))
    scene("metadata stays", lambda: scene.client.get_collection("renamed"))
    scene("taken name", lambda: made.modify(name="taken"))
    scene("bad name", lambda: made.modify(name="x"))
    scene("space", lambda: made.modify(metadata={"hnsw:space": "l2"}))
    scene("empty metadata", lambda: made.modify(metadata={}))
    scene("nothing", made.modify)
    scene("ef_search", lambda: (made.modify(configuration={"hnsw": {"ef_search": 33}}), made.configuration_json))
    scene("ef_search for others", lambda: scene.client.get_collection("renamed").configuration_json)
    scene("unknown parameter", lambda: made.modify(configuration={"hnsw": {"foo": 1}}))
    scene("both at once", lambda: (made.modify(name="both", metadata={"z": 1}), scene.client.get_collection("both")))


def configurations(scene: Scene) -> None:
    create = scene.client.create_collection
    scene("default", lambda: create("c01").configuration_json)
    scene("none", lambda: scene.collection("c02").configuration_json)
    scene("cosine by metadata", lambda: scene.collection("c03", metadata={"hnsw:space": "cosine"}).configuration_json)
    legacy = {"hnsw:M": 8, "hnsw:construction_ef": 50, "hnsw:search_ef": 20, "hnsw:sync_threshold": 200, "hnsw:resize_factor": 1.5}
    scene("others by metadata", lambda: scene.collection("c04", metadata=legacy).configuration_json)
    scene("kept in metadata", lambda: scene.client.get_collection("c04").metadata)
    hnsw = {"space": "ip", "ef_construction": 60, "ef_search": 30, "max_neighbors": 12, "num_threads": 2, "batch_size": 50}
    scene("configuration", lambda: scene.collection("c05", configuration={"hnsw": hnsw}).configuration_json)
    scene("spann", lambda: scene.collection("c06", configuration={"spann": {"space": "cosine"}}).configuration_json["hnsw"]["space"])
    scene("both", lambda: scene.collection("c07", configuration={"hnsw": {}, "spann": {}}))
    scene("bad value", lambda: scene.collection("c08", configuration={"hnsw": {"ef_search": -1}}))
    scene("unknown parameter", lambda: scene.collection("c09", configuration={"hnsw": {"foo": 1}}))
    scene("object", lambda: type(create("c10", embedding_function=Lengths()).configuration["embedding_function"]).__name__)


def functions(scene: Scene) -> None:
    client = scene.client
    own = {"embedding_function": Dots()}
    named = client.create_collection("named", embedding_function=Lengths())
    scene("stored", lambda: named.configuration_json["embedding_function"]["type"])
    scene("add documents", lambda: (named.add(ids=["a", "b"], documents=["x", "xxx"]), named.get(include=["embeddings", "documents"])))
    scene("query texts", lambda: named.query(query_texts="xx", n_results=2))
    scene("query text list", lambda: named.query(query_texts=["x", "xxx"], n_results=1)["ids"])
    scene("update re-embeds", lambda: (named.update(ids="a", documents="xxxxx"), named.get(ids="a", include=["embeddings"])))
    scene("update metadata keeps", lambda: (named.update(ids="a", metadatas={"k": 1}), named.get("a", include=["embeddings", "documents"])))
    scene("upsert re-embeds", lambda: (named.upsert(ids="b", documents="xx"), named.get(ids="b", include=["embeddings", "documents"])))
    scene("given embeddings win", lambda: (named.upsert(ids="b", documents="x", embeddings=[7, 7]), named.get("b", include=["embeddings"])))
    scene("both query forms", lambda: named.query(query_texts=["xxxxx"], query_embeddings=[[7, 7]], n_results=1)["ids"])
    scene("get with another", lambda: client.get_collection("named", embedding_function=Dots()))
    scene("get_or_create with another", lambda: client.get_or_create_collection("named", embedding_function=Dots()))
    scene("two functions", lambda: client.create_collection("two", embedding_function=Lengths(), configuration=dict(own)))
    scene("get with the same", lambda: client.get_collection("named", embedding_function=Lengths()).query(query_texts="xx")["ids"])
    scene("no name", lambda: client.create_collection("nameless", embedding_function=Nameless()).configuration_json["embedding_function"])
    scene("old parameter", lambda: client.create_collection("old", embedding_function=OldParameter()))
    scene("old parameter on get", lambda: client.get_collection("named", embedding_function=OldParameter()))
    scene("a lambda", lambda: client.create_collection("lambda", embedding_function=lambda input: [[1.0]]))  # noqa: A006, ARG005
    scene("a class", lambda: client.create_collection("class", embedding_function=Nameless))
    scene("its space", lambda: client.create_collection("space", embedding_function=Dots()).configuration_json["hnsw"]["space"])
    given = {"embedding_function": Dots(), "metadata": {"hnsw:space": "cosine"}}
    scene("metadata's space wins", lambda: client.create_collection("given", **given).configuration_json["hnsw"]["space"])
    scene("in the configuration", lambda: client.create_collection("own", configuration=dict(own)).configuration_json["hnsw"]["space"])
    broken = client.create_collection("broken", embedding_function=Broken())
    scene("its own error", lambda: broken.add(ids="a", documents="x"))
    scene("nothing stored", broken.count)
    scene("none and documents", lambda: scene.collection("bare").add(ids="a", documents=[None]))

    class Subclass(scene.chromadb.EmbeddingFunction):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            """Take nothing."""

        def __call__(self, input: list[str]) -> list[Any]:  # noqa: A002 - Chroma's name
            return [np.array([len(text), 2.0], dtype=np.float32) for text in input]

    made = client.create_collection("subclass", embedding_function=Subclass())
    scene("a subclass", lambda: (made.add(ids="a", documents="xx"), made.query(query_texts="xx")))


def filled(scene: Scene, name: str = "docs") -> Any:
    made = scene.collection(name)
    made.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 0.1], [2, 3], [3, 4]],
        metadatas=[{"k": 1, "f": 1.0, "s": "x", "t": True}, None, {"k": 2}],
        documents=["first", None, "third"],
        uris=["file:a", None, None],
    )
    return made


def shapes(scene: Scene) -> None:
    made, empty = filled(scene), scene.collection("empty")
    everything = ["embeddings", "documents", "metadatas", "uris"]
    with_distances = [*everything, "distances"]
    scene("get", made.get)
    scene("get all", lambda: made.get(ids=["a", "c"], include=everything))
    scene("get ids only", lambda: made.get(include=[]))
    scene("get none", lambda: made.get(ids=["nowhere"], include=everything))
    scene("get empty", lambda: empty.get(include=everything))
    scene("types", lambda: {key: type(value).__name__ for key, value in made.get(ids="a")["metadatas"][0].items()})
    scene("peek", lambda: made.peek(2))
    scene("peek empty", empty.peek)
    scene("query", lambda: made.query(query_embeddings=[[1, 1]]))
    scene("query all", lambda: made.query(query_embeddings=[[1, 1], [3, 3]], n_results=2, include=with_distances)["embeddings"])
    scene("query keys", lambda: sorted(made.query(query_embeddings=[[1, 1]])))
    scene("query ids only", lambda: made.query(query_embeddings=[[1, 1]], include=[]))
    scene("query one vector", lambda: made.query(query_embeddings=[1, 1], n_results=1)["ids"])
    scene("query array", lambda: made.query(query_embeddings=np.array([[1, 1], [2, 2]]), n_results=1)["ids"])
    scene("query no match", lambda: made.query(query_embeddings=[[1, 1]], where={"k": 9}, include=with_distances))
    scene("query empty", lambda: empty.query(query_embeddings=[[1, 1, 1], [1, 1, 1]], include=with_distances))
    scene("query documents only", lambda: made.query(query_embeddings=[[1, 1]], include=["documents"]))
    scene("distances are floats", lambda: type(made.query(query_embeddings=[1, 1])["distances"][0][0]).__name__)
    scene("count", made.count)
    scene("a single record", lambda: (empty.add("x", [1.0, 2.0], {"k": 1}, "text"), empty.get(include=everything)))
    scene("a flat array", lambda: (empty.add("y", np.array([1.0, 2.0])), empty.get("y", include=["embeddings"])))
    scene("a list of arrays", lambda: (empty.add(["z"], [np.array([1, 2], dtype=np.float32)]), empty.get("z", include=["embeddings"])))
    scene("float32 rounding", lambda: (empty.add("r", [0.1, 1 / 3]), empty.get("r", include=["embeddings"])))
    scene("ids as tuple", lambda: made.get(ids=("a",)))


def includes(scene: Scene) -> None:
    made = filled(scene)
    scene("order is echoed", lambda: made.get(include=["documents", "metadatas"])["included"])
    scene("get distances", lambda: made.get(include=["distances"]))
    scene("get unknown", lambda: made.get(include=["vectors"]))
    scene("get data", lambda: made.get(include=["data"]))
    scene("query unknown", lambda: made.query(query_embeddings=[1, 1], include=["vectors"]))
    scene("a str", lambda: made.get(include="documents"))
    scene("none", lambda: made.get(include=None))


BAD_EMBEDDINGS: dict[str, Any] = {
    "empty": [],
    "empty vector": [[]],
    "text": [["x"]],
    "bool": [[True]],
    "none": [None],
    "a number": 1.0,
    "a str": "x",
    "nan": [[math.nan, 1.0]],
    "inf": [[math.inf, 1.0]],
    "ragged": [[1, 2], [1]],
}

BAD_METADATA: dict[str, Any] = {
    "empty": {},
    "key not a str": {1: "x"},
    "reserved key": {"chroma:document": "x"},
    "empty key": {"": 1},
    "dict": {"a": {}},
    "set": {"a": {1}},
    "empty list": {"a": []},
    "mixed list": {"a": [1, "x"]},
    "nested list": {"a": [[1]]},
    "not a dict": "x",
    "a list": ["x"],
}


def refused(scene: Scene) -> None:
    made = filled(scene)
    for label, bad in BAD_EMBEDDINGS.items():
        ids = ["p", "q"][: len(bad) if isinstance(bad, list) and bad else 1]
        scene(f"embeddings: {label}", lambda ids=ids, bad=bad: made.add(ids=ids, embeddings=bad))
    for label, bad in BAD_METADATA.items():
        scene(f"metadatas: {label}", lambda bad=bad: made.add(ids=["p"], embeddings=[[1, 2]], metadatas=[bad]))
    for label, bad in {"empty": [], "number": [1], "mixed": ["p", 1], "none": None, "twice": ["p", "p"], "empty id": [""]}.items():
        vectors = [[1, 2]] * (len(bad) if bad else 1)
        scene(f"ids: {label}", lambda bad=bad, vectors=vectors: made.add(ids=bad, embeddings=vectors))
        scene(f"get ids: {label}", lambda bad=bad: made.get(ids=bad)["ids"])
        scene(f"delete ids: {label}", lambda bad=bad: made.delete(ids=bad))
    scene("update twice", lambda: made.update(ids=["a", "a"], documents=["x", "y"]))
    scene("upsert twice", lambda: made.upsert(ids=["a", "a"], embeddings=[[1, 2], [1, 2]]))
    scene("unequal", lambda: made.add(ids=["p", "q"], embeddings=[[1, 2]]))
    scene("unequal documents", lambda: made.add(ids=["p"], embeddings=[[1, 2]], documents=["x", "y"]))
    scene("unequal metadatas", lambda: made.update(ids=["a"], metadatas=[{"k": 1}, {"k": 2}]))
    scene("documents: number", lambda: made.add(ids=["p"], embeddings=[[1, 2]], documents=[1]))
    scene("metadata only", lambda: made.add(ids=["p"], metadatas=[{"k": 1}]))
    scene("upsert metadata only", lambda: made.upsert(ids=["a"], metadatas=[{"k": 1}]))
    scene("uris only", lambda: made.add(ids=["p"], uris=["file:p"]))
    scene("dimension", lambda: made.add(ids=["p"], embeddings=[[1, 2, 3]]))
    scene("dimension update", lambda: made.update(ids=["a"], embeddings=[[1, 2, 3]]))
    scene("dimension upsert", lambda: made.upsert(ids=["p"], embeddings=[[1, 2, 3]]))
    scene("dimension query", lambda: made.query(query_embeddings=[1, 2, 3]))
    scene("query nothing", made.query)
    scene("n_results 0", lambda: made.query(query_embeddings=[1, 2], n_results=0))
    scene("n_results negative", lambda: made.query(query_embeddings=[1, 2], n_results=-1))
    scene("n_results text", lambda: made.query(query_embeddings=[1, 2], n_results="2"))
    scene("n_results float", lambda: made.query(query_embeddings=[1, 2], n_results=2.0))
    scene("limit negative", lambda: made.get(limit=-1))
    scene("offset negative", lambda: made.get(offset=-1))
    scene("delete nothing", made.delete)
    scene("delete limit alone", lambda: made.delete(ids=["a"], limit=1))
    scene("delete limit negative", lambda: made.delete(where={"k": 1}, limit=-1))
    scene("still the same", lambda: made.get(include=["documents", "metadatas", "embeddings"]))


def writes(scene: Scene) -> None:
    made = filled(scene)
    everything = ["embeddings", "documents", "metadatas"]
    scene("add returns", lambda: made.add(ids=["d"], embeddings=[[9, 9]]))
    scene("add known", lambda: made.add(ids=["a", "e"], embeddings=[[5, 5], [6, 6]], documents=["other", "new"]))
    scene("the first stays", lambda: made.get(ids=["a", "e"], include=everything))
    scene("update unknown", lambda: made.update(ids=["nowhere", "c"], documents=["x", "y"], embeddings=[[1, 1], [3, 4]]))
    scene("the known one changed", lambda: made.get(ids=["nowhere", "c"]))
    scene("metadata is merged", lambda: (made.update("a", metadatas={"k": "one", "new": 2}), made.get("a")["metadatas"]))
    scene("filters see the new type", lambda: [made.get(where={"k": 1})["ids"], made.get(where={"k": "one"})["ids"]])
    scene("None removes a key", lambda: (made.update("a", metadatas={"new": None}), made.get("a")["metadatas"]))
    scene("None changes nothing", lambda: (made.update("a", metadatas=[None], embeddings=[[1, 1]]), made.get("a")["metadatas"]))
    scene("the last key goes", lambda: (made.update("c", metadatas={"k": None}), made.get("c")["metadatas"]))
    scene("document None", lambda: (made.update("a", documents=[None], embeddings=[[1, 1]]), made.get("a")["documents"]))
    scene(
        "upsert", lambda: made.upsert(ids=["b", "f"], embeddings=[[2, 2], [7, 7]], metadatas=[{"u": 1}, {"u": 2}], documents=["bb", "ff"])
    )
    scene("upserted", lambda: made.get(ids=["b", "f"], include=everything))
    scene("upsert merges", lambda: (made.upsert("f", [7, 7], {"v": 3}), made.get("f")["metadatas"]))
    scene("upsert keeps the document", lambda: made.get("f")["documents"])
    scene("upsert removes a key", lambda: (made.upsert("f", [7, 7], {"v": None}), made.get("f")["metadatas"]))
    scene("order", lambda: made.get(include=[])["ids"])
    scene("ids don't set the order", lambda: made.get(ids=["f", "a", "nowhere", "c"], include=[])["ids"])
    scene("empty document", lambda: (made.add("g", [1, 1], documents=""), made.get("g")["documents"]))
    scene("unicode", lambda: (made.add("ü", [1, 1], {"ключ": "☃"}, "ünïcode ☃"), made.get("ü")))
    scene("big ints", lambda: (made.add("i", [1, 1], {"lo": -(2**63), "hi": 2**63 - 1}), made.get("i")["metadatas"]))
    scene("lists", lambda: (made.add("l", [1, 1], {"t": ["x", "y"], "n": [1, 2]}), made.get("l")["metadatas"]))
    scene("more than a batch", lambda: (made.add([f"m{i}" for i in range(6000)], np.ones((6000, 2))), made.count()))


def edges(scene: Scene) -> None:
    made = scene.collection()
    n = iter(range(100))

    def stored(metadata: Any, **fields: Any) -> Any:
        name = f"e{next(n)}"
        made.add(ids=[name], embeddings=[[1, 2]], metadatas=[metadata], **fields)
        return made.get(ids=[name])["metadatas"]

    scene("uri and no metadata", lambda: stored(None, uris=["file:x"]))
    scene("None value", lambda: stored({"a": None, "b": 1}))
    scene("only a None value", lambda: stored({"a": None}))
    scene("nan", lambda: stored({"a": math.nan, "b": 1}))
    scene("infinity", lambda: stored({"a": math.inf, "b": 1}))
    scene("int beyond 64 bits", lambda: stored({"a": 2**63}))
    scene("key with a dollar", lambda: stored({"$a": 1}))
    scene("key with a hash", lambda: stored({"#a": 1}))
    scene("chroma key", lambda: stored({"chroma:x": 1, "b": 1}))
    scene("numpy int", lambda: stored({"a": np.int64(1)}))
    scene("numpy float", lambda: stored({"a": np.float32(0.5)}))
    scene("tuple value", lambda: stored({"a": ("x", "y")}))
    scene("list of bools", lambda: stored({"a": [True, False]}))
    scene("int and float list", lambda: stored({"a": [1, 2.0]}))
    scene("empty text", lambda: stored({"a": ""}))
    scene("negative zero", lambda: stored({"a": -0.0}))
    scene("tuple of ids", lambda: made.add(ids=("t",), embeddings=[[1, 2]]))
    scene("tuple of vectors", lambda: made.add(ids=["t1"], embeddings=([1, 2],)))
    scene("tuple of documents", lambda: made.add(ids=["t2"], embeddings=[[1, 2]], documents=("x",)))
    scene("ints", lambda: (made.add(ids=["t3"], embeddings=[[1, 2]]), made.get("t3", include=["embeddings"])))
    scene("float64 array", lambda: (made.add(["t4"], np.array([[0.1, 0.2]])), made.get("t4", include=["embeddings"])))
    scene("int array", lambda: (made.add(["t5"], np.array([[1, 2]])), made.get("t5", include=["embeddings"])))
    scene("include with uris", lambda: made.get("e0", include=["uris"]))
    scene("update uri", lambda: (made.update("e0", uris="file:y"), made.get("e0", include=["uris"])))


def deletions(scene: Scene) -> None:
    def fresh(name: str) -> Any:
        made = scene.collection(name)
        ids = ["a", "b", "c", "d"]
        made.add(ids=ids, embeddings=[[i, i] for i in range(4)], metadatas=[{"k": i % 2} for i in range(4)], documents=["x", "y", "x", "y"])
        return made

    calls: dict[str, dict[str, Any]] = {
        "ids": {"ids": ["a", "c"]},
        "one id": {"ids": "b"},
        "unknown id": {"ids": ["a", "nowhere"]},
        "where": {"where": {"k": 1}},
        "where document": {"where_document": {"$contains": "x"}},
        "all three": {"ids": ["a", "b", "c"], "where": {"k": 0}, "where_document": {"$contains": "x"}},
        "no match": {"where": {"k": 9}},
        "limit": {"where": {"k": 0}, "limit": 1},
        "limit 0": {"where": {"k": 0}, "limit": 0},
        "limit beyond": {"where": {"k": 0}, "limit": 9},
    }
    for number, (label, arguments) in enumerate(calls.items()):
        made = fresh(f"del{number}")
        scene(label, lambda made=made, arguments=arguments: made.delete(**arguments))
        scene(f"{label}: left", lambda made=made: made.get(include=[])["ids"])
    made = fresh("again")
    made.delete(ids=["a", "b", "c", "d"])
    scene("the dimension stays", lambda: made.add(ids="a", embeddings=[1, 2, 3]))
    scene("an id comes back last", lambda: (made.add(["x", "a"], [[1, 1], [2, 2]]), made.get(include=[])["ids"]))
    made = fresh("last")
    made.delete("a")
    made.add("a", [1, 1])
    scene("added again goes last", lambda: made.get(include=[])["ids"])


def pages(scene: Scene) -> None:
    made = scene.collection()
    made.add(ids=list("hgfedcba"), embeddings=[[i, 1] for i in range(8)], metadatas=[{"k": i % 2} for i in range(8)])
    for limit, offset in ((3, None), (None, 5), (3, 6), (0, 0), (3, 99), (100, 0), (1, 1)):
        scene(f"limit {limit} offset {offset}", lambda limit=limit, offset=offset: made.get(limit=limit, offset=offset, include=[])["ids"])
    scene("with where", lambda: made.get(where={"k": 1}, limit=2, offset=1, include=[])["ids"])
    scene("peek", lambda: made.peek(3)["ids"])
    scene("peek 0", lambda: made.peek(0)["ids"])


def distances(scene: Scene) -> None:
    vectors = np.random.default_rng(7).normal(size=(40, 5)).astype(np.float32)
    queries = np.random.default_rng(8).normal(size=(3, 5)).astype(np.float32)
    for space in ("l2", "ip", "cosine"):
        made = scene.collection(f"in-{space}", metadata={"hnsw:space": space})
        made.add(ids=[str(i) for i in range(40)], embeddings=vectors)
        scene(space, lambda made=made: made.query(query_embeddings=queries, n_results=5))
        scene(f"{space}: more than there are", lambda made=made: made.query(query_embeddings=queries, n_results=99, include=["distances"]))
    zero = scene.collection("zero", metadata={"hnsw:space": "cosine"})
    zero.add(ids=["a"], embeddings=[[0, 0]])
    scene("zero vector", lambda: zero.query(query_embeddings=[[1, 1]])["distances"])
    scene("vectors are kept raw", lambda: (zero.add("b", [3, 4]), zero.get("b", include=["embeddings"])))
    made = filled(scene)
    scene("ids", lambda: made.query(query_embeddings=[1, 1], ids=["c", "b"], include=[])["ids"])
    scene("ids twice", lambda: made.query(query_embeddings=[1, 1], ids=["c", "c"], include=[])["ids"])
    scene("unknown ids", lambda: made.query(query_embeddings=[1, 1], ids=["c", "nowhere"], include=[])["ids"])
    scene("ids and where", lambda: made.query(query_embeddings=[1, 1], ids=["a", "b"], where={"k": 1}, include=[])["ids"])
    scene("filters come first", lambda: made.query(query_embeddings=[1, 0.1], n_results=1, where={"k": 2}, include=[])["ids"])


WHERES: tuple[Any, ...] = (
    *({"v": 1}, {"v": {"$eq": 1}}, {"v": 1.0}, {"v": "1"}, {"v": True}, {"v": {"$ne": 1}}, {"v": {"$ne": "1"}}, {"v": {"$ne": True}}),
    *({"zzz": {"$ne": 1}}, {"zzz": {"$nin": [1]}}, {"v": {"$gt": 1}}, {"v": {"$gte": 1}}, {"v": {"$lt": 2}}, {"v": {"$lte": 2.5}}),
    *({"v": {"$gt": False}}, {"v": {"$gt": "a"}}, {"v": {"$in": [1, 2]}}, {"v": {"$in": [1.0, 2.5]}}, {"v": {"$in": ["1", "two"]}}),
    *({"v": {"$in": [True]}}, {"v": {"$nin": [1]}}, {"$and": [{"v": {"$ne": 1}}, {"o": {"$ne": 2}}]}, {"$and": [{"v": 1}]}),
    *({"$or": [{"v": 1}, {"$and": [{"v": "two"}, {"o": "x"}]}]}, {"v": 1, "o": 1}, {"v": {"$gt": 1, "$lt": 3}}, {}, {"v": {"$in": []}}),
    *({"v": {"$in": [1, "x"]}}, {"v": None}, {"v": {"$eq": None}}, {"v": {"$foo": 1}}, {"$and": []}, {"$or": [{}]}, {"$nor": [{"v": 1}]}),
    *({"#document": {"$contains": "World"}}, [], "v", {"v": {}}, {"v": [1]}, {1: 1}, {"v": {"$in": 1}}, {"$and": {"v": 1}}),
    *({"t": {"$contains": "x"}}, {"t": {"$not_contains": "x"}}, {"n": {"$contains": 1}}, {"t": "x"}, {"t": {"$in": ["x"]}}),
    *({"t": {"$ne": "x"}}, {"t": {"$eq": ["x"]}}, {"n": {"$contains": "1"}}, {"n": {"$contains": 1.0}}, {"t": {"$contains": ""}}),
)

WHERE_DOCUMENTS: tuple[Any, ...] = (
    *({"$contains": "hello"}, {"$contains": "Hello"}, {"$contains": "o"}, {"$contains": "b_c"}, {"$contains": "1\nl"}, {"$contains": "%"}),
    *(
        {"$contains": "☃"},
        {"$contains": "ï"},
        {"$not_contains": "hello"},
        {"$regex": "h.*o w"},
        {"$regex": "^hello"},
        {"$regex": "(?i)HELLO"},
    ),
    *({"$regex": r"dot\.star"}, {"$not_regex": "hello"}, {"$regex": "("}, {"$contains": ""}, {"$contains": 1}, {}, {"$foo": "x"}, "hello"),
    *({"$and": [{"$contains": "o"}, {"$not_contains": "World"}]}, {"$or": [{"$contains": "%"}, {"$contains": "snow"}]}),
    *({"$and": [{"$contains": "o"}]}, {"$and": []}, {"$contains": "a", "$not_contains": "b"}, {"$contains": None}),
    {"$and": [{"$not_contains": "hello"}, {"$not_contains": "World"}]},
)


def filters(scene: Scene) -> None:
    made = scene.collection()
    metadatas = [{"v": 1}, {"v": 1.0}, {"v": "1"}, {"v": True}, {"o": 2}, None, {"v": 2.5, "o": 1}, {"v": "two", "o": "x"}]
    metadatas += [{"t": ["x", "y"]}, {"t": ["z"]}, {"t": "x"}, {"n": [1, 2]}]
    documents = ["Hello World", "hello world", "a%b_c", "", None, "line1\nline2", "ünïcode ☃ snow", "dot.star*", None, "x", "y", "z"]
    made.add(ids=list("abcdefghijkl"), embeddings=[[i, 1] for i in range(12)], metadatas=metadatas, documents=documents)
    for where in WHERES:
        scene(f"get {where!r}", lambda where=where: made.get(where=where, include=[])["ids"])
        scene(f"query {where!r}", lambda where=where: made.query(query_embeddings=[0, 1], n_results=20, where=where, include=[])["ids"])
    for where in WHERE_DOCUMENTS:
        scene(f"get document {where!r}", lambda where=where: made.get(where_document=where, include=[])["ids"])
    both = {"where": {"v": {"$ne": 1}}, "where_document": {"$contains": "o"}}
    scene("both", lambda: made.get(**both, include=[])["ids"])
    scene("both and ids", lambda: made.get(ids=["g", "h", "a"], **both, include=[])["ids"])


SCENARIOS: dict[str, Callable[[Scene], None]] = {
    scenario.__name__: scenario
    for scenario in (
        *(signatures, clients, stores, tenants, names, collections, modified, configurations, functions, shapes, includes, refused),
        *(writes, edges, deletions, pages, distances, filters),
    )
}


def play(name: str, chromadb: Any) -> dict[str, Any]:
    """Run one scenario on an empty store; return its record."""
    client = chromadb.EphemeralClient(resettable(chromadb))
    client.reset()
    scene = Scene(chromadb, client)
    SCENARIOS[name](scene)
    client.close()
    record: dict[str, Any] = json.loads(json.dumps(scene.record))
    return record


def main() -> None:
    """Print what the installed Chroma answers."""
    chromadb = importlib.import_module("chromadb")
    warnings.simplefilter("ignore")
    json.dump({"chroma": chromadb.__version__, **{name: play(name, chromadb) for name in SCENARIOS}}, sys.stdout)


if __name__ == "__main__":
    main()
