"""The choice between comparing all and asking the graph, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from chroma_nb.engine.plan import SMALL, choose

LARGE: dict[str, Any] = {
    "count": 100_000,
    "candidates": 100_000,
    "filtered": False,
    "n_results": 10,
    "queries": 1,
    "dimension": 384,
    "indexed": 100_000,
    "stale": 0,
    "pending": 0,
    "ef_search": 100,
}


@pytest.mark.parametrize(
    ("given", "method", "why"),
    [
        ({}, "hnsw", "proposes 10 neighbours"),
        ({"candidates": 0, "filtered": True}, "empty", "nothing"),
        ({"count": 0, "candidates": 0, "indexed": 0}, "empty", "nothing"),
        ({"candidates": 10, "filtered": True}, "exact", "no more candidates"),
        ({"n_results": 100_000}, "exact", "no more candidates"),
        ({"count": SMALL, "candidates": SMALL, "indexed": SMALL}, "exact", "at most"),
        ({"count": SMALL + 1, "candidates": SMALL + 1, "indexed": SMALL + 1}, "hnsw", ""),
        ({"indexed": 0, "pending": 100_000}, "exact", "no HNSW graph"),
        ({"candidates": 1000, "filtered": True}, "exact", "selective"),
        ({"candidates": 50_000, "filtered": True}, "hnsw", "proposes 48 neighbours"),
        ({"candidates": 20_000, "filtered": True, "queries": 16}, "exact", "queries at once"),
        ({"candidates": 50_000, "filtered": True, "queries": 16}, "hnsw", ""),
        ({"n_results": 30_000}, "exact", "would have to be fetched"),
        ({"stale": 20_000, "indexed": 120_000}, "hnsw", "proposes 32 neighbours"),
        ({"pending": 500}, "hnsw", "500 vectors not yet"),
        ({"n_results": 300}, "hnsw", "ef 300"),
        ({"ef_search": 700}, "hnsw", "ef 700"),
    ],
    ids=str,
)
def test_choice(given: dict[str, Any], method: str, why: str) -> None:
    numbers = {**LARGE, **given}
    plan = choose(**numbers)
    assert plan.method == method
    assert why in " ".join(plan.steps)
    assert (plan.count, plan.candidates, plan.n_results) == (numbers["count"], numbers["candidates"], numbers["n_results"])
    assert (plan.fetch > 0, plan.ef > 0) == (method == "hnsw",) * 2
    assert plan.ef >= plan.fetch
    assert f"{numbers['candidates']:,}" in plan.steps[0]


def test_higher_dimensions_compare_fewer_candidates() -> None:
    def largest(dimension: int) -> int:
        numbers = {**LARGE, "dimension": dimension, "filtered": True}
        return max(each for each in range(100, 100_000, 100) if choose(**{**numbers, "candidates": each}).method == "exact")

    assert largest(64) > largest(384) > largest(1536)
