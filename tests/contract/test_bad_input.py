"""Bad input anywhere: one clear error that names the argument, and a store that is as it was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chroma_nb
from chroma_nb.errors import ChromaError, DuplicateIDError, InvalidArgumentError, InvalidDimensionError, InvalidTypeError
from tests.contract.backends import Backend, everything

Call = Callable[[Any], Any]
E = [[1, 2]]
SURROGATE = "a\ud800b"
NAN, INF = float("nan"), float("inf")
HUGE = 10**30


def deep(levels: int) -> dict[str, Any]:
    nested: dict[str, Any] = {"year": 1}
    for _ in range(levels):
        nested = {"$and": [nested, {"year": 1}]}
    return nested


WRITES: list[tuple[str, Call]] = [
    ("ids", lambda docs: docs.add(None, embeddings=E)),
    ("ids", lambda docs: docs.add([], embeddings=[])),
    ("ids", lambda docs: docs.add(5, embeddings=E)),
    ("ids", lambda docs: docs.add({"x": 1}, embeddings=E)),
    ("ids", lambda docs: docs.add("", embeddings=E)),
    (r"ids\[1\]", lambda docs: docs.add(["x", ""], embeddings=E * 2)),
    (r"ids\[0\]", lambda docs: docs.add([None], embeddings=E)),
    (r"ids\[1\]", lambda docs: docs.add(["x", 5], embeddings=E * 2)),
    (r"ids\[0\]", lambda docs: docs.add([b"x"], embeddings=E)),
    (r"ids\[0\]", lambda docs: docs.add(np.array([["x"]]), embeddings=E)),
    (r"ids\[0\]", lambda docs: docs.add([SURROGATE], embeddings=E)),
    ("ids.*duplicates of: x", lambda docs: docs.add(["x", "y", "x"], embeddings=E * 3)),
    ("ids.*duplicates of: a", lambda docs: docs.upsert(["a", "a"], embeddings=E * 2)),
    ("ids.*duplicates of: a", lambda docs: docs.update(["a", "a"], embeddings=E * 2)),
    ("embeddings: 1", lambda docs: docs.add(["x", "y"], embeddings=E)),
    ("documents: 3", lambda docs: docs.add(["x", "y"], embeddings=E * 2, documents=["t"] * 3)),
    ("metadatas: 1", lambda docs: docs.upsert(["x", "y"], embeddings=E * 2, metadatas={"v": 1})),
    ("uris: 2", lambda docs: docs.update("a", uris=["u", "v"])),
    ("embeddings or documents", lambda docs: docs.add(["x"])),
    ("embeddings or documents", lambda docs: docs.upsert(["x"], metadatas=[{"v": 1}])),
    ("embedding function", lambda docs: docs.add(["x"], documents=["text"])),
    ("embedding function", lambda docs: docs.update(["a"], documents=["text"])),
    ("dimension of 2, got 3", lambda docs: docs.add(["x"], embeddings=[[1, 2, 3]])),
    ("dimension of 2, got 1", lambda docs: docs.upsert(["x"], embeddings=[[1]])),
    ("dimension of 2, got 3", lambda docs: docs.update(["a"], embeddings=[[1, 2, 3]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[[]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings="abc")),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=5)),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[["1", "2"]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[[True, False]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[[None, 1]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[[1j, 1]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[object()])),
    ("embeddings", lambda docs: docs.add(["x", "y"], embeddings=[[1, 2], [1, 2, 3]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=np.zeros((1, 2, 2)))),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=[[10**400, 1]])),
    ("embeddings", lambda docs: docs.add(["x"], embeddings=np.array([["2020", "2021"]], dtype="datetime64[D]"))),
    ("embeddings.*65536", lambda docs: docs.add(["x"], embeddings=np.zeros((1, 65_537)))),
    (r"embeddings\[1\]\[0\].*nan", lambda docs: docs.add(["x", "y"], embeddings=[[1, 2], [NAN, 2]])),
    (r"embeddings\[0\]\[1\].*inf", lambda docs: docs.upsert(["x"], embeddings=[[1, -INF]])),
    (r"embeddings\[0\]\[0\]", lambda docs: docs.update(["a"], embeddings=[[1e300, 0]])),
    ("documents", lambda docs: docs.add(["x"], embeddings=E, documents=5)),
    (r"documents\[0\]", lambda docs: docs.add(["x"], embeddings=E, documents=[5])),
    (r"documents\[0\]", lambda docs: docs.add(["x"], embeddings=E, documents=[b"text"])),
    (r"documents\[0\].*surrogate", lambda docs: docs.add(["x"], embeddings=E, documents=[SURROGATE])),
    (r"uris\[0\]", lambda docs: docs.add(["x"], embeddings=E, uris=[Path("a")])),
    (r"uris\[0\].*surrogate", lambda docs: docs.add(["x"], embeddings=E, uris=[SURROGATE])),
    ("metadatas", lambda docs: docs.add(["x"], embeddings=E, metadatas="v")),
    (r"metadatas\[0\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[5])),
    (r"metadatas\[0\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{}])),
    (r"metadatas\[0\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{5: 1}])),
    (r"metadatas\[0\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"": 1}])),
    (r"metadatas\[0\].*operator", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"$and": 1}])),
    (r"metadatas\[0\].*'#document'", lambda docs: docs.update(["a"], metadatas=[{"#document": 1}])),
    (r"metadatas\[0\].*reserved", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"chroma:document": "x"}])),
    (r"metadatas\[0\].*surrogate", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{SURROGATE: 1}])),
    (r"metadatas\[0\]\['v'\].*surrogate", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": SURROGATE}])),
    (r"metadatas\[0\]\['v'\].*64 bits", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": 2**63}])),
    (r"metadatas\[0\]\['v'\].*64 bits", lambda docs: docs.update(["a"], metadatas=[{"v": -(2**63) - 1}])),
    (r"metadatas\[0\]\['v'\].*finite", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": INF}])),
    (r"metadatas\[0\]\['v'\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": {"a": 1}}])),
    (r"metadatas\[0\]\['v'\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": object()}])),
    (r"metadatas\[0\]\['v'\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": b"x"}])),
    (r"metadatas\[0\]\['v'\].*empty", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": []}])),
    (r"metadatas\[0\]\['v'\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": [1, "a"]}])),
    (r"metadatas\[0\]\['v'\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": [[1]]}])),
    (r"metadatas\[0\]\['v'\]", lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"v": pd.Timedelta(1)}])),
    ("frame|embedding", lambda docs: docs.add(pd.DataFrame({"v": [1]}, index=["x"]))),
    ("embeddings", lambda docs: docs.add(pd.DataFrame({"v": [1]}, index=["x"]), embeddings=E)),
    ("v.*x", lambda docs: docs.add(pd.DataFrame({"embedding": E, "v": [1 + 2j]}, index=["x"]))),
    ("max_batch_size", lambda docs: docs.bulk_upsert(["x"], embeddings=E, max_batch_size=0)),
    ("max_batch_size", lambda docs: docs.bulk_upsert(["x"], embeddings=E, max_batch_size="many")),
    ("resume_from", lambda docs: docs.bulk_upsert(["x"], embeddings=E, resume_from=-1)),
    ("on_batch_processed", lambda docs: docs.bulk_upsert(["x"], embeddings=E, on_batch_processed=5)),
    ("embedding function", lambda docs: docs.bulk_upsert(["x"], documents=["t"])),
    ("ids.*duplicates", lambda docs: docs.bulk_upsert(["x", "x"], embeddings=E * 2, max_batch_size=1)),
    ("delete.*ids, where or where_document", lambda docs: docs.delete()),
    ("ids", lambda docs: docs.delete([])),
    ("ids", lambda docs: docs.delete(5)),
    ("where", lambda docs: docs.delete(where={"year": {"$bad": 1}})),
    ("limit", lambda docs: docs.delete(where={"year": 1999}, limit=-1)),
    ("limit", lambda docs: docs.delete(["a"], limit=1)),
    ("limit", lambda docs: docs.delete(where={"year": 1999}, limit=1.5)),
    ("limit", lambda docs: docs.delete(where={"year": 1999}, limit=HUGE)),
]
FILTERS: list[tuple[str, Any]] = [
    ("where", [1]),
    ("where", "year"),
    ("where", {5: 1}),
    (r"where\['year'\]", {"year": None}),
    (r"where\['year'\]", {"year": NAN}),
    (r"where\['year'\]", {"year": 2**63}),
    (r"where\['year'\]", {"year": object()}),
    (r"where\['year'\]", {"year": [1, 2]}),
    ("where", {"year": {"$gtt": 1}}),
    ("where", {"year": {}}),
    ("where", {"year": {"$gt": "text"}}),
    ("where", {"year": {"$gt": True}}),
    ("where", {"year": {"$in": []}}),
    ("where", {"year": {"$in": 5}}),
    ("where", {"year": {"$in": [1, "a"]}}),
    ("where", {"year": {"$eq": [1]}}),
    ("where", {"$and": []}),
    ("where", {"$and": {"year": 1}}),
    ("where", {"$or": [5]}),
    ("where", {"$not": [{"year": 1}]}),
    ("where", deep(1000)),
    ("where.*surrogate", {SURROGATE: 1}),
    ("where.*surrogate", {"year": SURROGATE}),
]
DOCUMENT_FILTERS: list[tuple[str, Any]] = [
    ("where_document", "text"),
    ("where_document", {"$contains": 5}),
    ("where_document", {"$contains": ""}),
    ("where_document", {"$has": "x"}),
    ("where_document", {"text": "x"}),
    ("where_document", {"$and": []}),
    (r"where_document.*regular expression", {"$regex": "("}),
    (r"where_document.*surrogate", {"$contains": SURROGATE}),
]
READS: list[tuple[str, Call]] = [
    ("ids", lambda docs: docs.get([])),
    ("ids", lambda docs: docs.get("")),
    ("ids", lambda docs: docs.get(5)),
    (r"ids\[0\]", lambda docs: docs.get([SURROGATE])),
    ("limit", lambda docs: docs.get(limit=-1)),
    ("limit", lambda docs: docs.get(limit="3")),
    ("limit", lambda docs: docs.get(limit=True)),
    ("limit", lambda docs: docs.get(limit=HUGE)),
    ("offset", lambda docs: docs.get(offset=-1)),
    ("offset", lambda docs: docs.get(offset=HUGE)),
    ("limit", lambda docs: docs.peek(-1)),
    ("include.*'documents'", lambda docs: docs.get(include=["document"])),
    ("include", lambda docs: docs.get(include="documents")),
    ("include", lambda docs: docs.get(include=None)),
    ("include", lambda docs: docs.get(include=[5])),
    ("include.*distances", lambda docs: docs.get(include=["distances"])),
    ("include.*data", lambda docs: docs.query(E, include=["data"])),
    ("query_embeddings or query_texts", lambda docs: docs.query()),
    ("query_embeddings", lambda docs: docs.query([])),
    ("query_embeddings", lambda docs: docs.query("text")),
    (r"query_embeddings\[0\]\[0\]", lambda docs: docs.query([[NAN, 0]])),
    ("dimension of 2, got 3", lambda docs: docs.query([[1, 2, 3]])),
    ("query_texts|embedding function", lambda docs: docs.query(query_texts=["x"])),
    ("query_texts", lambda docs: docs.query(query_texts=[])),
    (r"query_texts\[0\]", lambda docs: docs.query(query_texts=[5])),
    ("query_texts", lambda docs: docs.query(query_texts=5)),
    ("n_results", lambda docs: docs.query(E, n_results=0)),
    ("n_results", lambda docs: docs.query(E, n_results=-3)),
    ("n_results", lambda docs: docs.query(E, n_results=2.0)),
    ("n_results", lambda docs: docs.query(E, n_results=None)),
    ("n_results", lambda docs: docs.query(E, n_results=True)),
    ("ids", lambda docs: docs.query(E, ids=[])),
    ("like", lambda docs: docs.query(like=[])),
    ("like", lambda docs: docs.query(like=5)),
    ("like", lambda docs: docs.query(like="nobody")),
    ("like", lambda docs: docs.query(E, like="a")),
    ("n_results", lambda docs: docs.explain(n_results="x")),
    ("n", lambda docs: docs.sample(-1)),
    ("seed", lambda docs: docs.sample(seed="x")),
    ("key", lambda docs: docs.values(5)),
    ("key", lambda docs: docs.values("")),
    ("top", lambda docs: docs.values("year", top=-1)),
    ("batch_size", lambda docs: list(docs.scan(batch_size=0))),
    ("batch_size", lambda docs: list(docs.scan(batch_size=HUGE))),
    ("method.*'umap'", lambda docs: docs.project("umapp")),
    ("n_components", lambda docs: docs.project("pca", 5)),
    ("sample", lambda docs: docs.project("pca", sample=0)),
    ("colour", lambda docs: docs.project("pca", colour=1)),
    ("n_neighbors", lambda docs: docs.project(n_neighbors="x")),
    ("seed", lambda docs: docs.project(seed="x")),
    ("color", lambda docs: docs.plot("nothing", method="pca")),
    ("options", lambda docs: docs.plot(method="pca", options=5)),
    ("titel.*'title'", lambda docs: docs.plot(method="pca", titel="x")),
]
COLLECTIONS: list[tuple[str, Call]] = [
    ("collection name", lambda docs: docs.modify(name="No")),
    ("collection name", lambda docs: docs.modify(name=5)),
    ("metadata", lambda docs: docs.modify(metadata=5)),
    ("metadata", lambda docs: docs.modify(metadata={})),
    ("configuration", lambda docs: docs.modify(configuration=[1])),
    ("max_neighbours", lambda docs: docs.modify(configuration={"hnsw": {"max_neighbours": 5}})),
    ("ef_construction", lambda docs: docs.modify(configuration={"hnsw": {"ef_construction": 5}})),
    ("collection name", lambda docs: docs.fork("x")),
    ("collection name", lambda docs: docs.fork(None)),
    ("docs", lambda docs: docs.fork("docs")),
]
CATALOGUE: list[tuple[str, Call]] = [
    ("metadata", lambda client: client.create_collection("new", 5, None)),
    ("metadata", lambda client: client.create_collection("new", {}, None)),
    (r"metadata\['v'\]", lambda client: client.create_collection("new", {"v": object()}, None)),
    ("hnsw:space.*'cosine'", lambda client: client.create_collection("new", {"hnsw:space": "cosin"}, None)),
    ("hnsw:spac.*'hnsw:space'", lambda client: client.create_collection("new", {"hnsw:spac": "l2"}, None)),
    ("hnsw:M", lambda client: client.create_collection("new", {"hnsw:M": "many"}, None)),
    ("hnsw:space", lambda client: client.create_collection("new", {"hnsw:space": ["l2"]}, None)),
    ("configuration", lambda client: client.create_collection("new", None, None, configuration=5)),
    ("configuration", lambda client: client.create_collection("new", None, None, configuration={"hsnw": {}})),
    ("configuration", lambda client: client.create_collection("new", None, None, configuration={"hnsw": 5})),
    ("ef_search", lambda client: client.create_collection("new", None, None, configuration={"hnsw": {"ef_search": 0}})),
    ("hnsw.*spann", lambda client: client.create_collection("new", None, None, configuration={"hnsw": {}, "spann": {}})),
    (
        "embedding_function",
        lambda client: client.create_collection("new", None, None, configuration={"embedding_function": {"a": object()}}),
    ),
    ("embedding_function", lambda client: client.create_collection("new", None, None, configuration={"embedding_function": 5})),
    ("embedding_function", lambda client: client.create_collection("new", None, "minilm")),
    ("embedding_function", lambda client: client.get_collection("docs", 5)),
    ("collection name", lambda client: client.create_collection("no spaces please", None, None)),
    ("collection name", lambda client: client.create_collection(SURROGATE, None, None)),
    ("collection name", lambda client: client.get_or_create_collection(SURROGATE, None, None)),
    ("collection name", lambda client: client.get_collection(SURROGATE)),
    ("collection name", lambda client: client.get_collection(None)),
    ("collection name", lambda client: client.delete_collection(["docs"])),
    ("collection name", lambda client: client.delete_collection(SURROGATE)),
    ("docs", lambda client: client.create_collection("docs", None, None)),
    ("limit", lambda client: client.list_collections(limit=-1)),
    ("offset", lambda client: client.list_collections(offset="x")),
    ("limit", lambda client: client.list_collections(limit=HUGE)),
    ("tenant", lambda client: client.set_tenant(5)),
    ("tenant", lambda client: client.set_tenant("a/b")),
    ("database", lambda client: client.set_database(SURROGATE)),
    ("database", lambda client: client.set_tenant("default_tenant", ["x"])),
]


def check(call: Callable[[], Any], named: str) -> None:
    with pytest.raises(ChromaError, match=f"(?s){named}") as caught:
        call()
    assert isinstance(caught.value, (ValueError, TypeError))
    assert 10 < len(str(caught.value)) < 600
    assert type(caught.value).__module__ == "chroma_nb.errors"


@pytest.mark.parametrize("table", [WRITES, READS, COLLECTIONS, CATALOGUE], ids=["writes", "reads", "collections", "catalogue"])
def test_bad_calls_change_nothing(client: Any, docs: Any, table: list[tuple[str, Call]]) -> None:
    asked = client if table is CATALOGUE else docs
    before = everything(client)
    for i, (named, call) in enumerate(table):
        try:
            check(lambda call=call: call(asked), named)  # type: ignore[misc]
        except (Exception, pytest.fail.Exception) as error:
            raise AssertionError(f"call {i}, about {named!r}") from error
        assert everything(client) == before, f"call {i}, about {named!r}"
    docs.add("after", embeddings=E)
    assert docs.query(E, n_results=1)["id"].tolist() == ["after"]


@pytest.mark.parametrize(("named", "where"), FILTERS)
def test_a_bad_filter_is_refused_by_every_verb(client: Any, docs: Any, named: str, where: Any) -> None:
    before = everything(client)
    for call in (
        lambda: docs.get(where=where),
        lambda: docs.count(where=where),
        lambda: docs.delete(where=where),
        lambda: docs.query(E, where=where),
        lambda: docs.explain(where=where),
        lambda: docs.sample(where=where),
        lambda: docs.values("year", where=where),
        lambda: list(docs.scan(where=where)),
        lambda: docs.project("pca", where=where),
        lambda: docs.plot(method="pca", where=where),
    ):
        check(call, named)
    assert everything(client) == before


@pytest.mark.parametrize(("named", "where_document"), DOCUMENT_FILTERS)
def test_a_bad_document_filter_is_refused_by_every_verb(client: Any, docs: Any, named: str, where_document: Any) -> None:
    before = everything(client)
    for call in (docs.get, docs.count, docs.delete, docs.sample, docs.explain, lambda **given: docs.query(E, **given)):
        check(lambda call=call: call(where_document=where_document), named)  # type: ignore[misc]
    assert everything(client) == before


@pytest.mark.parametrize("name", [5, None, ["x"], "ab", "a/b", "a\0b", SURROGATE, "x" * 513], ids=ascii)
def test_bad_names_of_tenants_and_databases(backend: Backend, name: Any) -> None:
    admin = backend.admin()
    before = admin.list_tenants(), admin.list_databases()
    for call in (
        lambda: admin.create_tenant(name),
        lambda: admin.get_tenant(name),
        lambda: backend.client(tenant=name),
    ):
        check(call, "tenant")
    for call in (
        lambda: admin.create_database(name),
        lambda: admin.get_database(name),
        lambda: admin.delete_database(name),
        lambda: backend.client(database=name),
    ):
        check(call, "database")
    for verb in (admin.create_database, admin.get_database, admin.delete_database):
        check(lambda verb=verb: verb("some_name", name), "tenant")  # type: ignore[misc]
    check(lambda: admin.list_databases(tenant=name), "tenant")
    check(lambda: admin.list_databases(limit=-1), "limit")
    assert (admin.list_tenants(), admin.list_databases()) == before


@pytest.mark.parametrize("path", [5, b"x", "", "a\0b", ["x"], "~nobody-of-this-name/x"], ids=repr)
def test_bad_paths(path: Any) -> None:
    check(lambda: chroma_nb.PersistentClient(path), "path")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    check(lambda: chroma_nb.PersistentClient(tmp_path / "file"), "path.*is a file")
    check(lambda: chroma_nb.PersistentClient(tmp_path / "file" / "below"), "path")
    assert (tmp_path / "file").read_text() == "kept"


def test_the_kind_of_error_says_what_is_wrong(docs: Any) -> None:
    calls: dict[type[ChromaError], Callable[[], Any]] = {
        InvalidTypeError: lambda: docs.get(limit="x"),
        DuplicateIDError: lambda: docs.add(["x", "x"], embeddings=E * 2),
        InvalidDimensionError: lambda: docs.add(["x"], embeddings=[[1]]),
        InvalidArgumentError: lambda: docs.add(["x"], embeddings=[[NAN, 1]]),
    }
    for kind, call in calls.items():
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind


def test_a_poisoned_record_spoils_nothing_that_comes_after(client: Any, docs: Any) -> None:
    """Too many keys for others' stores, a large document and a large id are ordinary here; what is refused is refused before."""
    docs.add("keys", embeddings=E, metadatas={f"key {i}": i for i in range(10_000)})
    docs.add("large", embeddings=E, documents="x" * 5_000_000)
    with pytest.raises(InvalidArgumentError):
        docs.add("bad", embeddings=[[1, 2, 3]])
    docs.add("fine", embeddings=E)
    assert docs.count() == 6
    assert docs.get(where={"key 9999": 9999}, include=[]).index.tolist() == ["keys"]
    assert docs.get(where_document={"$contains": "xxxxx"}, include=[]).index.tolist() == ["large"]
    assert len(docs.describe().fields) == 10_002
