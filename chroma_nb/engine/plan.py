"""The choice between comparing every candidate and asking the graph: numbers in, plan out, nothing else.

The crossovers were measured on clustered unit vectors of 128 and 384 dimensions, 10,000 to 1,000,000 records:

* Up to about 8,000 records an exact scan takes less than half a millisecond, so no graph is built below that.
* Gathering the rows of a selective filter costs 0.06 to 0.14 us per row and dimension block, walking the graph 2.1 us per
  neighbour fetched; they meet where rows = sqrt(70 * n_results * records * 384 / dimension).
* Past that, fetching twice as many neighbours as the share of matching records demands finds 95 to 99 of 100 true ones;
  whatever the graph leaves short is searched exactly.
"""

from __future__ import annotations

import math

from chroma_nb.results import Plan

SMALL = 8_000
_BATCH = 16
_BATCH_SHARE = 0.3


def choose(
    *,
    count: int,
    candidates: int,
    filtered: bool,
    n_results: int,
    queries: int,
    dimension: int,
    indexed: int,
    stale: int,
    pending: int,
    ef_search: int,
) -> Plan:
    """Return how to answer a query.

    Parameters
    ----------
    count, candidates
        Records in the collection, and those that may be in the answer.
    indexed, stale, pending
        Vectors in the graph (0 for no graph), how many of them no record has any more, and records whose vector is not in it.
    """

    def plan(method: str, why: str, fetch: int = 0, ef: int = 0) -> Plan:
        steps = [f"{candidates:,} of {count:,} records match the filters" if filtered else f"all {count:,} records compete", why]
        if method == "hnsw" and pending:
            steps.append(f"{pending:,} vectors not yet in the graph are compared exactly beside it")
        if method == "hnsw":
            steps.append("should the graph come back short, every candidate is compared")
        return Plan(method, count, candidates, n_results, fetch, ef, pending if method == "hnsw" else 0, tuple(steps))  # type: ignore[arg-type]

    if not candidates:
        return plan("empty", "nothing to search")
    if candidates <= n_results:
        return plan("exact", f"no more candidates than the {n_results:,} results asked for: all are measured")
    if count <= SMALL:
        return plan("exact", f"at most {SMALL:,} records: comparing them all is quicker than a graph")
    if not indexed:
        return plan("exact", "no HNSW graph yet: every candidate is compared while it is built")
    crossover = int(math.sqrt(70 * n_results * count * 384 / dimension))
    if filtered and candidates <= crossover:
        return plan(
            "exact", f"selective filter: comparing {candidates:,} candidates is quicker than walking the graph (up to {crossover:,} here)"
        )
    if filtered and queries >= _BATCH and candidates < _BATCH_SHARE * count:
        return plan(
            "exact", f"{queries} queries at once: one matrix product over {candidates:,} candidates is quicker than {queries} walks"
        )
    fetch = math.ceil(2 * n_results * (count + stale) / candidates) + 8 if filtered or stale else n_results
    if fetch > indexed // 4:
        return plan("exact", f"{fetch:,} neighbours would have to be fetched from a graph of {indexed:,}: comparing all is quicker")
    ef = max(ef_search, fetch)
    return plan("hnsw", f"the graph of {indexed:,} vectors proposes {fetch:,} neighbours (ef {ef:,})", fetch, ef)
