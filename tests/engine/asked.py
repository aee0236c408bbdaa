"""Operations in short form, as the engine's tests ask them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chroma_nb import ops
from chroma_nb.configuration import parse_configuration
from chroma_nb.engine.engine import Engine
from chroma_nb.filters import parse_filter
from chroma_nb.records import Records
from chroma_nb.results import GetResult, Plan, QueryResult

PLACE = ("default_tenant", "default_database")
EVERY_FIELD = frozenset({"documents", "embeddings", "metadatas", "uris"})


def create(engine: Engine, name: str = "docs", space: str = "l2") -> str:
    """Make a collection; return its id."""
    return engine.execute(ops.CreateCollection(*PLACE, name, None, parse_configuration({"hnsw:space": space}, None))).id


def records(ids: list[str], embeddings: Any) -> Records:
    """Return records of embeddings alone."""
    return Records.of(ids, embeddings, None, None)


def add(engine: Engine, collection: str, ids: list[str], embeddings: Any, documents: Any = None, metadatas: Any = None) -> None:
    engine.execute(ops.Add(collection, Records.of(ids, embeddings, documents, metadatas)))


def update(engine: Engine, collection: str, ids: list[str], embeddings: Any = None, metadatas: Any = None) -> None:
    engine.execute(ops.Update(collection, Records.of(ids, embeddings, None, metadatas, removals=True)))


def delete(engine: Engine, collection: str, ids: list[str]) -> int:
    return engine.execute(ops.Delete(collection, ids))


def get(engine: Engine, collection: str, ids: list[str] | None = None) -> GetResult:
    return engine.execute(ops.Get(collection, ids, include=EVERY_FIELD))


def query_of(collection: str, vectors: Any, n_results: int = 10, where: Any = None, ids: list[str] | None = None) -> ops.Query:
    return ops.Query(collection, np.asarray(vectors, dtype=np.float32), n_results, ids, parse_filter(where), frozenset({"distances"}))


def query(engine: Engine, collection: str, vectors: Any, n_results: int = 10, where: Any = None) -> QueryResult:
    return engine.execute(query_of(collection, vectors, n_results, where))


def explain(engine: Engine, collection: str, vectors: Any, n_results: int = 10, where: Any = None) -> Plan:
    return engine.execute(ops.Explain(query_of(collection, vectors, n_results, where)))


def found(result: QueryResult) -> list[list[str]]:
    """Return the ids per query."""
    bounds = np.concatenate([[0], np.cumsum(result.lengths)]).tolist()
    return [result.hits.ids[start:stop] for start, stop in itertools.pairwise(bounds)]
