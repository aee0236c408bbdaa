"""What Chroma's server lacks, made of what it has, gives what a store in this process gives.

Here our own server is taken for Chroma's, which everybody can run; the contract runs on Chroma's own where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb import ops
from chroma_nb.client.client import Client
from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError, NotFoundError, NotOfferedError, UniqueConstraintError
from chroma_nb.filters import CHROMA, EVERYTHING, GUIDE, And, Filter, parse_filter, parse_where
from chroma_nb.http import emulation
from chroma_nb.http.backend import HttpBackend
from chroma_nb.http.session import Server
from chroma_nb.records import Records

COUNT = 157
EVERY_FIELD = frozenset({"documents", "embeddings", "metadatas", "uris"})


@pytest.fixture(params=[True, False], ids=["base64", "lists"])
def backend(request: pytest.FixtureRequest, local: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpBackend]:
    """Return a backend that takes our server for Chroma's, with pages and batches small enough to be cut."""
    for name, value in (("_PAGE", 20), ("_IDS_PAGE", 30), ("_REMOVED", 7)):
        monkeypatch.setattr(emulation, name, value)
    with chroma_nb.serve(local, token=None) as server:
        made = HttpBackend(server.url)
        made._session._server = Server(own=False, rows=50, packed=request.param)
        yield made
        made.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Client]:
    with chroma_nb.PersistentClient(tmp_path / "store") as made:
        yield made


def rows(count: int) -> Records:
    generator = np.random.default_rng(7)
    metadatas: list[Any] = [
        {
            **({} if i % 3 == 0 else {"a": i % 5}),
            **({} if i % 4 == 0 else {"b": ["x", "y", 1, 1.0, True, 2.5][i % 6]}),
            "t": ("p", "q") if i % 2 else ("r",),
        }
        if i % 10
        else None
        for i in range(count)
    ]
    documents = [None if i % 7 == 0 else f"document {i} {'owl' if i % 3 else 'art'}" for i in range(count)]
    vectors = generator.normal(size=(count, 3)).astype(np.float32)
    return Records([f"id{i}" for i in range(count)], vectors, documents, metadatas, [f"u{i}" for i in range(count)])


@pytest.fixture
def docs(local: Client, backend: HttpBackend) -> str:
    made = local.create_collection("docs", {"kept": 1}, None)
    collection = str(made.id)
    assert backend.execute(ops.Add(collection, rows(COUNT))).added == COUNT
    return collection


FILTERS: list[Filter] = [
    EVERYTHING,
    parse_where({"a": 1}),
    parse_where({"a": {"$ne": 1}}),
    parse_where({"a": {"$ne": 1}}, CHROMA),
    parse_where({"$or": [{"a": {"$nin": [1, 2]}}, {"b": {"$ne": "x"}}]}),
    parse_where({"b": {"$in": [1, 2.5]}}),
    parse_where({"b": {"$nin": [1, 2.5]}}, CHROMA),
    parse_where({"t": {"$not_contains": "p"}}),
    parse_filter({"a": {"$gte": 2}}, {"$not_contains": "owl"}),
    parse_filter({"a": {"$gte": 2}}, {"$contains": "owl"}),
    And((parse_where({"a": {"$ne": 1}}, GUIDE), parse_where({"b": {"$ne": 1}}, CHROMA))),
    parse_where({"a": 99}),
]


def same(one: Any, other: Any) -> None:
    """Compare two replies, arrays and all."""
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one.reshape(other.shape), other)
    elif hasattr(one, "__dataclass_fields__"):
        for name in one.__dataclass_fields__:
            same(getattr(one, name), getattr(other, name))
    elif isinstance(one, dict):
        assert list(one) == list(other)
        same(list(one.values()), list(other.values()))
    elif isinstance(one, list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            same(first, second)
    else:
        assert one == other


@pytest.mark.parametrize("where", FILTERS, ids=repr)
def test_reading(local: Client, backend: HttpBackend, docs: str, where: Filter) -> None:
    ids = ["id3", "id100", "nobody", "id4", "id7"]
    vectors = np.array([[1, 0, 0], [0, 1, 1]], dtype=np.float32)
    asked: list[ops.Op[Any]] = [
        ops.Count(docs, where),
        ops.Get(docs, filter=where, include=EVERY_FIELD),
        ops.Get(docs, filter=where, limit=25, offset=13),
        ops.Get(docs, filter=where, limit=0),
        ops.Get(docs, ids, where, include=frozenset({"embeddings"})),
        ops.Sample(docs, 11, 5, where),
        ops.Sample(docs, 500, 5, where, EVERY_FIELD),
        ops.Facets(docs, "a", None, where),
        ops.Facets(docs, "b", 2, where),
        ops.Facets(docs, "t", None, where),
        ops.Facets(docs, "nothing", None, where),
        ops.Columns(docs, (), where),
        ops.Columns(docs, ("t", "b", "a", "nothing"), where),
        ops.Query(docs, vectors, 7, None, where, EVERY_FIELD | {"distances"}),
        ops.Query(docs, vectors, 1000, ids, where),
        ops.Query(docs, vectors, 3, ["nobody"], where, frozenset()),
    ]
    for op in asked:
        same(backend.execute(op), local._execute(op))


@pytest.mark.parametrize("where", FILTERS, ids=repr)
@pytest.mark.parametrize("size", [1, 19, 20, 21, COUNT, 1000])
def test_scanning(local: Client, backend: HttpBackend, docs: str, where: Filter, size: int) -> None:
    expected = local._execute(ops.Get(docs, filter=where, include=frozenset())).ids
    found: list[str] = []
    cursor: int | None = None
    while True:
        page = backend.execute(ops.ScanPage(docs, cursor, size, where, frozenset()))
        assert len(page.records) == size or page.cursor is None
        found += page.records.ids
        cursor = page.cursor
        if cursor is None:
            break
    assert found == expected


@pytest.mark.parametrize("where", FILTERS, ids=repr)
@pytest.mark.parametrize("limit", [None, 3])
def test_deleting(local: Client, backend: HttpBackend, docs: str, where: Filter, limit: int | None) -> None:
    expected = local._execute(ops.Get(docs, filter=where, include=frozenset())).ids
    gone = expected[:limit]
    assert backend.execute(ops.Delete(docs, filter=where, limit=limit)) == len(gone)
    left = local._execute(ops.Get(docs, include=frozenset())).ids
    assert left == [each for each in rows(COUNT).ids if each not in set(gone)]
    assert backend.execute(ops.Delete(docs, ["nobody"])) == 0


def test_describing(local: Client, backend: HttpBackend, docs: str) -> None:
    ours, theirs = local._execute(ops.Describe(docs)), backend.execute(ops.Describe(docs))
    assert (theirs.info.count, theirs.info.dimension, theirs.documents) == (COUNT, 3, ours.documents)
    same(sorted(theirs.fields, key=lambda each: each.key), sorted(ours.fields, key=lambda each: each.key))


def test_writes_tell_what_they_did(backend: HttpBackend, docs: str) -> None:
    records = Records(["id1", "new", "id5"], np.ones((3, 3), dtype=np.float32), metadatas=[{"z": 1}, {"z": 2}, None])
    added = backend.execute(ops.Add(docs, records))
    assert (added.added, added.ignored) == (1, ("id1", "id5"))
    upserted = backend.execute(ops.Upsert(docs, replace(records, ids=["id1", "newer", "id5"])))
    assert (upserted.added, upserted.updated) == (1, 2)
    partly = Records(["id2", "zz", "id3"], np.ones((1, 3), dtype=np.float32), ["one", None, None], embedded=np.array([True, False, False]))
    updated = backend.execute(ops.Update(docs, partly))
    assert (updated.updated, updated.ignored) == (2, ("zz",))
    found = backend.execute(ops.Get(docs, ["id2", "id3"], include=EVERY_FIELD))
    assert found.embeddings is not None
    assert found.embeddings[0].tolist() == [1, 1, 1]
    assert found.embeddings[1].tolist() == rows(COUNT).embeddings[3].tolist()  # type: ignore[index]


def test_a_fork_is_a_copy(local: Client, backend: HttpBackend, docs: str) -> None:
    made = backend.execute(ops.ForkCollection(docs, "copy"))
    assert (made.name, made.count, made.metadata) == ("copy", COUNT, {"kept": 1})
    same(local._execute(ops.Get(made.id, include=EVERY_FIELD)), local._execute(ops.Get(docs, include=EVERY_FIELD)))
    with pytest.raises(UniqueConstraintError, match="docs"):
        backend.execute(ops.ForkCollection(docs, "docs"))


def test_the_catalogue(backend: HttpBackend, docs: str) -> None:
    backend.execute(ops.ForkCollection(docs, "other"))
    with pytest.raises(UniqueConstraintError, match="other"):
        backend.execute(ops.ModifyCollection(docs, "other"))
    renamed = backend.execute(ops.ModifyCollection(docs, "renamed", {"new": 2}, set_metadata=True))
    assert (renamed.name, renamed.metadata, renamed.count) == ("renamed", {"new": 2}, COUNT)
    assert backend.execute(ops.ModifyCollection(docs, "renamed")).name == "renamed"
    listed = backend.execute(ops.ListCollections("default_tenant", "default_database"))
    assert [(each.name, each.count) for each in listed] == [("renamed", COUNT), ("other", COUNT)]
    missing = (ops.GetDatabase("nobody", "nowhere"), ops.CreateDatabase("nobody", "some"), ops.ListCollections("default_tenant", "nowhere"))
    for op in missing:
        with pytest.raises(NotFoundError):
            backend.execute(op)
    with pytest.raises(NotOfferedError, match="list tenants"):
        backend.execute(ops.ListTenants())
    with pytest.raises(InvalidArgumentError, match="lists"):
        backend.execute(ops.ModifyCollection(docs, metadata={"a": ("x",)}, set_metadata=True))


def test_plans_say_that_the_server_decides(backend: HttpBackend, docs: str) -> None:
    vector = np.ones((1, 3), dtype=np.float32)
    plan = backend.execute(ops.Explain(ops.Query(docs, vector, 5, filter=parse_where({"a": 1}))))
    assert (plan.count, plan.n_results) == (COUNT, 5)
    assert plan.candidates == backend.execute(ops.Count(docs, parse_where({"a": 1})))
    assert "server decides" in str(plan)
    assert backend.execute(ops.Explain(ops.Query(docs, vector, 5, ["nobody"]))).method == "empty"
    for op in (ops.Explain(ops.Query(docs, vector[:, :2], 5)), ops.Query(docs, vector[:, :2], 5, ["nobody"])):
        with pytest.raises(InvalidDimensionError, match="dimension of 3, got 2"):
            backend.execute(op)  # type: ignore[arg-type]


def test_layouts_stay_here_until_the_data_changes(backend: HttpBackend, docs: str) -> None:
    points = np.ones((2, 2), dtype=np.float32)
    info = backend.execute(ops.GetCollectionById(docs))
    backend.execute(ops.PutLayout(docs, "pca", info.version, ["id0", "id1"], points))
    again = backend.execute(ops.GetCollectionById(docs))
    kept = backend.execute(ops.GetLayout(docs, "pca", again.version))
    assert kept is not None
    assert kept.ids == ["id0", "id1"]
    backend.execute(ops.Update(docs, Records(["id0"], np.ones((1, 3), dtype=np.float32))))
    changed = backend.execute(ops.GetCollectionById(docs))
    assert backend.execute(ops.GetLayout(docs, "pca", changed.version)) is None
    last = backend.execute(ops.GetLayout(docs, "pca"))
    assert last is not None
    assert last.version == info.version
    assert backend.execute(ops.ChangedSince(docs, info.version)) is None
    for number in range(40):
        backend.execute(ops.PutLayout(docs, f"layout {number}", 1, ["id0", "id1"], points))
    assert backend.execute(ops.GetLayout(docs, "layout 0", 1)) is None
    assert backend.execute(ops.GetLayout(docs, "layout 39", 1)) is not None
