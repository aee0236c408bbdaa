"""One query, from candidates over the plan to positions and distances."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chroma_nb import stopping
from chroma_nb.engine import documents, exact, plan, reading
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.graph import Graph
from chroma_nb.engine.memory import outside
from chroma_nb.engine.view import Mask, Positions, View
from chroma_nb.errors import InvalidDimensionError
from chroma_nb.filters import EVERYTHING, Document, Filter, split
from chroma_nb.ops import Query
from chroma_nb.records import Vectors
from chroma_nb.results import Plan

_STEP = 256
"""Queries that the graph answers between two looks at whether to go on."""
Hits = list[tuple[Positions, NDArray[np.float64]]]


def matching(connection: sqlite3.Connection, entry: Entry, view: View, ids: list[str] | None, where: Filter) -> Mask | None:
    """Return which positions are alive and match `ids` and `where`, (view.size,) bool; None for all records."""
    if ids is None and where is EVERYTHING:
        return None
    mask: Mask = view.alive.copy()
    if ids is not None:
        named = np.zeros(view.size, dtype=bool)
        named[view.positions_of_rows(reading.rows_of(connection, entry, ids))] = True
        mask &= named
    if where is EVERYTHING:
        return mask
    on_metadata, on_documents = split(where)
    for part in (on_metadata, on_documents):
        if part is not EVERYTHING:
            within = np.flatnonzero(mask)

            def document_mask(test: Document, within: Positions = within) -> Mask:
                return documents.mask(connection, entry, view, test, within)

            mask &= view.columns.mask(part, document_mask)
    return mask


@dataclass(frozen=True, eq=False)
class Search:
    """A query with its candidates and its plan, ready to run."""

    connection: sqlite3.Connection
    entry: Entry
    view: View
    graph: Graph | None
    query: Query
    mask: Mask | None
    plan: Plan

    @classmethod
    def of(cls, connection: sqlite3.Connection, entry: Entry, view: View, graph: Graph | None, query: Query) -> Search:
        """Find the candidates and choose the plan.

        Raises
        ------
        InvalidDimensionError
            The query vectors are of another length than the collection's.
        """
        dimension = entry.info.dimension
        if dimension is not None and query.vectors.shape[1] != dimension:
            raise InvalidDimensionError(
                f"Collection expecting embedding with dimension of {dimension}, got {query.vectors.shape[1]}"
                f" (collection {entry.info.name!r}); embed the query with the model the collection was made with"
            )
        mask = matching(connection, entry, view, query.ids, query.filter)
        pending, stale = outside(view, graph) if graph is not None else ((), 0)
        chosen = plan.choose(
            count=view.count,
            candidates=view.count if mask is None else int(np.count_nonzero(mask)),
            filtered=mask is not None,
            n_results=query.n_results,
            queries=len(query.vectors),
            dimension=dimension or 1,
            indexed=0 if graph is None else len(graph.labels),
            stale=stale,
            pending=len(pending),
            ef_search=entry.info.configuration.hnsw.ef_search,
        )
        return cls(connection, entry, view, graph, query, mask, chosen)

    def run(self) -> Hits:
        """Return positions and distances per query, nearest first."""
        if self.plan.method == "empty":
            return [(np.empty(0, dtype=np.int64), np.empty(0))] * len(self.query.vectors)
        matrix, squares = self.view.matrix.of(self.connection, self.entry, self.view)
        if self.plan.method == "exact" or self.graph is None:
            return self._exactly(matrix, squares, self.query.vectors)
        hits: Hits = []
        for start in range(0, len(self.query.vectors), _STEP):
            stopping.check()
            queries = self.query.vectors[start : start + _STEP]
            proposed = self.graph.search(queries, self.plan.fetch, self.plan.ef)
            hits += self._exactly(matrix, squares, queries) if proposed is None else self._through_graph(matrix, squares, queries, proposed)
        return hits

    def _exactly(self, matrix: Vectors, squares: NDArray[np.float64], queries: Vectors) -> Hits:
        mask = self.mask
        if mask is None and self.view.dead:
            mask = self.view.alive
        candidates = None if mask is None else np.flatnonzero(mask)
        return exact.nearest(
            self.entry.info.configuration.space, queries, matrix, squares, candidates, self.view.rows, self.query.n_results
        )

    def _through_graph(self, matrix: Vectors, squares: NDArray[np.float64], queries: Vectors, proposed: NDArray[np.int64]) -> Hits:
        space, k = self.entry.info.configuration.space, self.query.n_results
        beside = self._beside(matrix, squares, queries)
        wanted = min(k, self.plan.candidates)
        hits: Hits = []
        for i, query in enumerate(queries):
            positions = self.view.positions_of_labels(proposed[i])
            positions = positions[positions >= 0]
            if self.mask is not None:
                positions = positions[self.mask[positions]]
            positions = np.unique(np.concatenate([positions, beside[i]]))
            if len(positions) < wanted:
                hits += self._exactly(matrix, squares, queries[i : i + 1])
            else:
                hits.append(exact.ranked(space, query, matrix, positions, self.view.rows, k))
        return hits

    def _beside(self, matrix: Vectors, squares: NDArray[np.float64], queries: Vectors) -> list[Positions]:
        """Return, per query, the nearest of the candidates that are not in the graph."""
        assert self.graph is not None  # noqa: S101
        pending = outside(self.view, self.graph)[0]
        if self.mask is not None:
            pending = pending[self.mask[pending]]
        space = self.entry.info.configuration.space
        found = exact.nearest(space, queries, matrix, squares, pending, self.view.rows, self.query.n_results)
        return [positions for positions, _ in found]
