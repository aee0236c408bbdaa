"""The graph finds what comparing everything finds, nearly always; and filters never cost results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chroma_nb import ops, spaces
from chroma_nb.engine.engine import Engine
from tests.engine import asked

N, D, Q, K = 20_000, 64, 12, 10
ENOUGH = 0.95


def clustered(seed: int, n: int) -> tuple[Any, Any]:
    """Return (n, D) float32 vectors in 200 clusters, and the cluster of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((200, D)) * 2
    members = rng.integers(0, len(centres), n)
    return (centres[members] + rng.standard_normal((n, D))).astype(np.float32), members


class Indexed:
    """A collection with its graph, and the truth about it."""

    def __init__(self, engine: Engine, space: str) -> None:
        self.engine, self.space = engine, space
        self.vectors, self.clusters = clustered(1, N)
        self.queries, _ = clustered(2, Q)
        self.shares = np.random.default_rng(3).integers(0, 1000, N)
        far = self._distances().mean(axis=0)
        self.far = np.argsort(np.argsort(-far))  # 0 is the record farthest from all queries
        self.collection = asked.create(engine, space=space)
        asked.add(
            engine,
            self.collection,
            [str(i) for i in range(N)],
            self.vectors,
            metadatas=[
                {"share": share, "cluster": cluster, "far": far}
                for share, cluster, far in zip(self.shares.tolist(), self.clusters.tolist(), self.far.tolist(), strict=True)
            ],
        )
        engine.execute(ops.BuildIndex(self.collection))

    def _distances(self) -> Any:
        return np.array([spaces.distances(self.space, query, self.vectors) for query in self.queries])  # type: ignore[arg-type]

    def truth(self, mask: Any) -> list[list[str]]:
        distances = np.where(mask, self._distances(), np.inf)
        return [[str(i) for i in np.argsort(row, kind="stable")[: min(K, int(mask.sum()))]] for row in distances]


@pytest.fixture(scope="module", params=["l2", "cosine", "ip"])
def indexed(request: pytest.FixtureRequest) -> Iterator[Indexed]:
    engine = Engine(None)
    yield Indexed(engine, request.param)
    engine.close()


def recall(found: list[list[str]], truth: list[list[str]]) -> float:
    hits = sum(len(set(ours) & set(true)) for ours, true in zip(found, truth, strict=True))
    return hits / max(1, sum(map(len, truth)))


def test_the_graph_finds_the_nearest(indexed: Indexed) -> None:
    assert asked.explain(indexed.engine, indexed.collection, indexed.queries).method == "hnsw"
    found = asked.found(asked.query(indexed.engine, indexed.collection, indexed.queries))
    assert recall(found, indexed.truth(np.ones(N, dtype=bool))) >= ENOUGH


def test_nearly_every_record_finds_itself(indexed: Indexed) -> None:
    chosen = np.random.default_rng(5).choice(N, 200, replace=False)
    if indexed.space == "ip":
        pytest.skip("under the inner product a record need not be its own nearest neighbour")
    found = asked.found(asked.query(indexed.engine, indexed.collection, indexed.vectors[chosen], 1))
    assert np.mean([ids == [str(i)] for ids, i in zip(found, chosen, strict=True)]) >= 0.99


@pytest.mark.parametrize("share", [500, 100, 10, 1], ids=["50%", "10%", "1%", "0.1%"])
@pytest.mark.parametrize("against", [False, True], ids=["random", "anti-correlated"])
def test_filters_cost_neither_results_nor_recall(indexed: Indexed, share: int, against: bool) -> None:
    if against:
        where: dict[str, Any] = {"far": {"$lt": N * share // 1000}}
        mask = indexed.far < N * share // 1000
    else:
        where = {"share": {"$lt": share}}
        mask = indexed.shares < share
    truth = indexed.truth(mask)
    plan = asked.explain(indexed.engine, indexed.collection, indexed.queries, where=where)
    found = asked.found(asked.query(indexed.engine, indexed.collection, indexed.queries, where=where))
    assert [len(ids) for ids in found] == [min(K, int(mask.sum()))] * Q
    matching = {str(i) for i in np.flatnonzero(mask)}
    assert all(set(ids) <= matching for ids in found)
    if plan.method == "exact":
        assert found == truth
    else:
        assert recall(found, truth) >= ENOUGH
    assert plan.method == ("hnsw" if share == 500 else "exact")


def test_distances_are_those_of_the_formula(indexed: Indexed) -> None:
    result = asked.query(indexed.engine, indexed.collection, indexed.queries[:1])
    expected = spaces.distances(indexed.space, indexed.queries[0], indexed.vectors[[int(i) for i in result.hits.ids]])  # type: ignore[arg-type]
    assert result.distances is not None
    np.testing.assert_allclose(result.distances, expected, rtol=1e-12)


def test_more_results_than_the_graph_gives_are_found_all_the_same(indexed: Indexed) -> None:
    result = asked.query(indexed.engine, indexed.collection, indexed.queries[:2], 15_000)
    assert result.lengths == [15_000, 15_000]
    assert len(set(asked.found(result)[0])) == 15_000


def test_what_changed_since_the_graph_was_made_is_found_at_once(indexed: Indexed) -> None:
    engine, collection = indexed.engine, indexed.collection
    asked.add(engine, collection, ["new"], indexed.queries[:1] * 1.0)
    best = asked.found(asked.query(engine, collection, indexed.queries[:1]))[0]
    assert asked.explain(engine, collection, indexed.queries).method == "hnsw"
    assert "new" in best or indexed.space == "ip"
    gone = [each for each in best if each != "new"][:3]
    asked.delete(engine, collection, [*gone, "new"])
    after = asked.found(asked.query(engine, collection, indexed.queries[:1]))[0]
    assert not set(after) & {*gone, "new"}
    assert len(after) == K
    places = [int(each) for each in gone]
    asked.add(
        engine,
        collection,
        gone,
        indexed.vectors[places],
        metadatas=[{"share": int(indexed.shares[i]), "far": int(indexed.far[i])} for i in places],
    )
    again = asked.found(asked.query(engine, collection, indexed.queries[:1]))[0]
    assert set(gone) <= set(again)
