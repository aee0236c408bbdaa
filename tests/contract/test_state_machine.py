"""Any sequence of calls, by two clients in two engines of one store, leaves what a plain dict would hold.

Thresholds are lowered, so that graphs, compaction, saved caches and trimmed journals happen on a handful of records.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chroma_nb import ops, spaces
from chroma_nb.client.client import Client
from chroma_nb.engine import caches, indexer, memory, plan, view
from chroma_nb.engine import engine as engines
from chroma_nb.filters import Filter, matches, parse_where, parse_where_document
from chroma_nb.results import Plan
from chroma_nb.scalars import Instant, Value
from tests.contract.backends import DEFAULTS, EVERY_FIELD
from tests.engine.contents import difference

THOROUGH = settings.get_current_profile_name() == "thorough"
NAMES = ["one", "two"]
IDS = st.sampled_from([*(f"id{i}" for i in range(28)), "%", "a\0b", "\u202ex"])
VECTORS = st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.5, 3.0, 1e-20, 1e5, 0.1]), min_size=3, max_size=3).map(
    lambda each: np.array(each, dtype=np.float32)
)
VALUES = st.sampled_from([0, 1, 1.0, 2.5, -0.0, True, False, "x", "", 2**53 + 1, ("x", "y"), (1, 2), Instant(5, None), Instant(5, "UTC")])
KEYS = st.sampled_from(["a", "b", "Ω"])
METADATAS = st.none() | st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)
CHANGES = st.none() | st.dictionaries(KEYS, st.none() | VALUES, min_size=1, max_size=3)
DOCUMENTS = st.none() | st.sampled_from(["", "x", "owl", "OWL at night", "a%b"])
WHERES = st.sampled_from(
    [
        None,
        {"a": 1},
        {"a": {"$gte": 1}},
        {"b": {"$ne": "x"}},
        {"b": {"$in": ["x", ""]}},
        {"a": {"$contains": "x"}},
        {"$or": [{"a": True}, {"b": {"$lt": 2}}]},
        {"$and": [{"a": {"$nin": [1, 2.5]}}, {"#document": {"$contains": "x"}}]},
    ]
)
WHERE_DOCUMENTS = st.sampled_from([None, None, {"$contains": "owl"}, {"$not_contains": "x"}, {"$regex": "(?i)owl"}])
ROW = st.tuples(IDS, VECTORS, METADATAS, DOCUMENTS)
ROWS = st.lists(ROW, min_size=1, max_size=12, unique_by=lambda row: row[0])
MANY_ROWS = st.lists(ROW, min_size=8, max_size=20, unique_by=lambda row: row[0])
WHICH = st.integers(0, 1)


@dataclass
class Record:
    embedding: Any
    document: str | None = None
    metadata: dict[str, Value] | None = None

    def changed(self, metadata: dict[str, Value | None] | None, document: str | None) -> None:
        merged = {**(self.metadata or {}), **(metadata or {})}
        self.metadata = {key: value for key, value in merged.items() if value is not None} or None
        self.document = self.document if document is None else document

    def exactly(self) -> tuple[Any, ...]:
        return self.embedding.tobytes(), self.document, repr(self.metadata)


@dataclass
class Model:
    """A collection as a dict."""

    space: spaces.Space
    records: dict[str, Record] = field(default_factory=dict)

    def matching(self, where: Any, where_document: Any, ids: list[str] | None = None) -> list[str]:
        tests: list[Filter] = [parse_where(where), parse_where_document(where_document)]
        return [
            identifier
            for identifier, record in self.records.items()
            if (ids is None or identifier in ids) and all(matches(test, record.metadata, record.document) for test in tests)
        ]


def lowered(patches: pytest.MonkeyPatch) -> None:
    for module in (plan, engines, indexer):
        patches.setattr(module, "SMALL", 4)
    for module, name, value in [
        (indexer, "_PENDING", 2),
        (indexer, "_PENDING_SHARE", 0.0),
        (indexer, "_PAUSE", 3600.0),  # it works when the rule `maintain` says so, and at no other time
        (view, "_LEAST_DEAD", 2),
        (view, "_BATCH", 3),
        (caches, "_JOURNAL_KEPT", 2),
        (memory, "_WORTH_SAVING", 1),
        (memory, "_SHARE_WORTH_SAVING", 1000),
    ]:
        assert hasattr(module, name)
        patches.setattr(module, name, value)
    choose = plan.choose

    def eager(**numbers: Any) -> Plan:
        """Take the graph wherever there is one, and ask it for all it has: then the answer must be the exact one."""
        chosen, indexed = choose(**numbers), numbers["indexed"]
        if chosen.method == "empty" or not indexed or numbers["queries"] == 3:
            return chosen
        return replace(chosen, method="hnsw", fetch=indexed - numbers["stale"], ef=10 * indexed, pending=numbers["pending"])

    patches.setattr(plan, "choose", eager)


class Store(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        lowered(self.patches)
        self.folder = Path(tempfile.mkdtemp(prefix="machine"))
        self.engines = [engines.Engine(self.folder), engines.Engine(self.folder)]
        self.clients = [self._client(engine) for engine in self.engines]
        self.model: dict[str, Model] = {}

    def _client(self, engine: engines.Engine) -> Client:
        return Client(engine.execute, place=engine.place, tenant=DEFAULTS["tenant"], database=DEFAULTS["database"])

    def teardown(self) -> None:
        for engine in self.engines:
            engine.close()
        shutil.rmtree(self.folder)
        self.patches.undo()

    def _collection(self, which: int, name: str) -> Any:
        return self.clients[which].get_collection(name)

    @initialize(space=st.sampled_from(spaces.SPACES), rows=MANY_ROWS)
    def begin(self, space: spaces.Space, rows: Any) -> None:
        self.create(0, "one", space)
        self.add(0, self.model["one"], rows)

    @rule(which=WHICH, name=st.sampled_from(NAMES), space=st.sampled_from(spaces.SPACES))
    def create(self, which: int, name: str, space: spaces.Space) -> None:
        made = self.clients[which].get_or_create_collection(name, {"hnsw:space": space}, None)
        model = self.model.setdefault(name, Model(space))
        assert made.space == model.space

    def name_of(self, model: Model) -> str:
        return next(name for name, each in self.model.items() if each is model)

    @property
    def drawn(self) -> list[Model]:
        return list(self.model.values())

    @precondition(lambda self: self.model)
    @rule(which=WHICH, data=st.data(), rows=ROWS, verb=st.sampled_from(["add", "upsert", "update", "bulk_upsert"]))
    def write(self, which: int, data: st.DataObject, rows: Any, verb: str) -> None:
        model = data.draw(st.sampled_from(self.drawn))
        if verb == "add":
            self.add(which, model, rows)
            return
        changes: list[Any] = [data.draw(CHANGES) for _ in rows]
        collection = self._collection(which, self.name_of(model))
        given: dict[str, Any] = {"metadatas": changes}
        embedded = verb != "update" or data.draw(st.booleans())
        if embedded:
            given |= {"embeddings": np.array([row[1] for row in rows]), "documents": [row[3] for row in rows]}
        if verb == "bulk_upsert":
            given |= {"max_batch_size": 3, "print_progress": False}
        getattr(collection, verb)([row[0] for row in rows], **given)
        for (identifier, embedding, _, document), change in zip(rows, changes, strict=True):
            record = model.records.get(identifier)
            if record is None and verb == "update":
                continue
            record = model.records.setdefault(identifier, Record(embedding))
            record.changed(change, document if embedded else None)
            if embedded:
                record.embedding = embedding

    def add(self, which: int, model: Model, rows: Any) -> None:
        ids, embeddings, metadatas, documents = zip(*rows, strict=True)
        self._collection(which, self.name_of(model)).add(
            list(ids), embeddings=np.array(embeddings), metadatas=list(metadatas), documents=list(documents)
        )
        for identifier, embedding, metadata, document in rows:
            model.records.setdefault(identifier, Record(embedding, document, metadata))

    @precondition(lambda self: self.model)
    @rule(
        which=WHICH,
        data=st.data(),
        ids=st.none() | st.lists(IDS, min_size=1, max_size=8),
        where=WHERES,
        where_document=WHERE_DOCUMENTS,
        limit=st.none() | st.integers(0, 3),
    )
    def delete(self, which: int, data: st.DataObject, ids: Any, where: Any, where_document: Any, limit: int | None) -> None:
        if ids is None and where is None and where_document is None:
            ids = ["id0"]
        if where is None and where_document is None:
            limit = None
        model = data.draw(st.sampled_from(self.drawn))
        gone = model.matching(where, where_document, ids)[:limit]
        removed = self._collection(which, self.name_of(model)).delete(ids, where, where_document, limit)
        for identifier in gone:
            del model.records[identifier]
        assert removed == len(gone)

    @precondition(lambda self: self.model)
    @rule(
        which=WHICH,
        data=st.data(),
        where=WHERES,
        where_document=WHERE_DOCUMENTS,
        limit=st.none() | st.integers(0, 9),
        offset=st.integers(0, 5),
    )
    def get(self, which: int, data: st.DataObject, where: Any, where_document: Any, limit: int | None, offset: int) -> None:
        model = data.draw(st.sampled_from(self.drawn))
        collection = self._collection(which, self.name_of(model))
        expected = model.matching(where, where_document)
        assert collection.count(where, where_document) == len(expected)
        found = collection.get(where=where, where_document=where_document, limit=limit, offset=offset, include=[])
        assert found.index.tolist() == expected[offset:][:limit]
        parts = list(collection.scan(3, [], where, where_document))
        assert [identifier for part in parts for identifier in part.index] == expected

    @precondition(lambda self: self.model)
    @rule(
        which=WHICH,
        data=st.data(),
        queries=st.lists(VECTORS, min_size=1, max_size=3),
        n_results=st.sampled_from([1, 2, 3, 10, 100]),
        where=st.sampled_from([None, None]) | WHERES,
        where_document=WHERE_DOCUMENTS,
        ids=st.sampled_from([None, None]) | st.none() | st.lists(IDS, min_size=1, max_size=8),
        indexed=st.booleans(),
    )
    def query(
        self,
        which: int,
        data: st.DataObject,
        queries: Any,
        n_results: int,
        where: Any,
        where_document: Any,
        ids: list[str] | None,
        indexed: bool,
    ) -> None:
        model = data.draw(st.sampled_from(self.drawn))
        collection = self._collection(which, self.name_of(model))
        if indexed:
            collection.build_index(show_progress=False)
        asked = {"n_results": n_results, "where": where, "where_document": where_document, "ids": ids}
        answer = collection.query(np.array(queries), include=["distances"], **asked)
        if not model.records:
            assert answer.empty
            return
        method = collection.explain(np.array(queries), **asked).method
        among = model.matching(where, where_document, ids)
        for i, query in enumerate(queries):
            found = answer.loc[i] if i in answer.index.get_level_values(0) else answer.iloc[:0]
            self._check(model, query, among, found["id"].tolist(), found["distance"].to_numpy(), n_results, exact=method != "hnsw")

    def _check(self, model: Model, query: Any, among: list[str], ids: list[str], distances: Any, n_results: int, *, exact: bool) -> None:
        assert len(ids) == len(set(ids)) == min(n_results, len(among))
        if not among:
            return
        vectors = np.array([model.records[identifier].embedding for identifier in among])
        all_distances = oracle(model.space, query, vectors)
        order = np.argsort(all_distances, kind="stable")[:n_results]
        own = dict(zip(among, all_distances.tolist(), strict=True))
        np.testing.assert_allclose(distances, [own[identifier] for identifier in ids], rtol=1e-9, atol=1e-12)
        # The graph proposes by float32 distances, which cannot tell nearly equal ones apart.
        np.testing.assert_allclose(distances, all_distances[order], rtol=1e-9 if exact else 1e-6, atol=1e-12 if exact else 1e-6)
        assert (np.diff(distances) >= 0).all()
        if exact and len(set(np.round(all_distances, 9).tolist())) == len(all_distances):
            assert ids == [among[i] for i in order]

    @precondition(lambda self: self.model)
    @rule(which=WHICH, data=st.data(), force=st.booleans())
    def maintain(self, which: int, data: st.DataObject, force: bool) -> None:
        collection = self._collection(which, self.name_of(data.draw(st.sampled_from(self.drawn))))
        if force:
            collection.build_index(show_progress=False)
        else:
            self.engines[which]._indexer.maintain(str(collection.id), lambda _: True)

    @precondition(lambda self: self.model)
    @rule(which=WHICH, data=st.data(), name=st.sampled_from(NAMES))
    def rename(self, which: int, data: st.DataObject, name: str) -> None:
        model = data.draw(st.sampled_from(self.drawn))
        if name in self.model:
            return
        old = self.name_of(model)
        self._collection(which, old).modify(name=name, metadata={"was": old})
        self.model[name] = self.model.pop(old)

    @precondition(lambda self: self.model)
    @rule(which=WHICH, data=st.data(), name=st.sampled_from(NAMES))
    def fork(self, which: int, data: st.DataObject, name: str) -> None:
        model = data.draw(st.sampled_from(self.drawn))
        if name in self.model:
            return
        self._collection(which, self.name_of(model)).fork(name)
        copied = {identifier: Record(each.embedding, each.document, each.metadata) for identifier, each in model.records.items()}
        self.model[name] = Model(model.space, copied)

    @precondition(lambda self: len(self.model) > 1)
    @rule(which=WHICH, data=st.data())
    def drop(self, which: int, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.clients[which].delete_collection(name)
        del self.model[name]

    @rule(which=WHICH)
    def reopen(self, which: int) -> None:
        self.engines[which].close()
        self.engines[which] = engines.Engine(self.folder)
        self.clients[which] = self._client(self.engines[which])

    @invariant()
    def both_clients_agree_with_the_model(self) -> None:
        for engine, client in zip(self.engines, self.clients, strict=True):
            assert sorted(each.name for each in client.list_collections()) == sorted(self.model)
            for name, model in self.model.items():
                collection = client.get_collection(name)
                assert collection.count() == len(model.records)
                found = engine.execute(ops.Get(str(collection.id), include=EVERY_FIELD))
                assert found.embeddings is not None
                assert found.documents is not None
                assert found.metadatas is not None
                rows = zip([each.tobytes() for each in found.embeddings], found.documents, map(repr, found.metadatas), strict=True)
                assert dict(zip(found.ids, rows, strict=True)) == {key: each.exactly() for key, each in model.records.items()}
                assert found.ids == list(model.records)

    @invariant()
    def views_agree_with_the_store(self) -> None:
        for engine, client in zip(self.engines, self.clients, strict=True):
            for name in self.model:
                assert difference(engine, str(client.get_collection(name).id)) is None


def oracle(space: spaces.Space, query: Any, vectors: Any) -> Any:
    """Return the distances by the formula, in plain float64 loops of numpy."""
    a, b = query.astype(np.float64), vectors.astype(np.float64)
    if space == "l2":
        return np.sum((a - b) ** 2, axis=1)
    product = np.sum(a * b, axis=1)
    if space == "ip":
        return 1 - product
    lengths = np.sqrt(np.sum(a * a)) * np.sqrt(np.sum(b * b, axis=1))
    return 1 - np.clip(np.divide(product, lengths, out=np.zeros(len(b)), where=lengths > 0), -1, 1)


TestStore: Callable[..., Any] = Store.TestCase
Store.TestCase.settings = settings(max_examples=400 if THOROUGH else 25, stateful_step_count=60 if THOROUGH else 25, deadline=None)
