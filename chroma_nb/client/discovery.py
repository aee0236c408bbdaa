"""Verbs that tell what a collection holds: what users ask for before they know what to query."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb import frames, ops
from chroma_nb.client import arguments
from chroma_nb.client.reports import Description
from chroma_nb.client.steps import CollectionSteps
from chroma_nb.client.verb import Item, Steps, ask, stream, verb
from chroma_nb.records import check_key
from chroma_nb.results import Plan
from chroma_nb.scalars import Instant, sequence_of

if TYPE_CHECKING:
    import pandas as pd

_READ = ("documents", "metadatas")


class DiscoveryVerbs(CollectionSteps):
    """Description, values, columns, samples, scans and plans, in data frames."""

    @verb
    def explain(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        n_results: int = 10,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        *,
        ids: Any = None,
    ) -> Steps[Plan]:
        """Return how `query` would answer the same call, and why: exact comparison or the graph, over how many candidates.

        Without a query vector or text the plan is that of any one vector.
        """
        if query_embeddings is None and query_texts is None:
            info = yield from self._refreshed()
            query_embeddings = np.ones((1, info.dimension or 1), dtype=np.float32)
        op = yield from self._query_op(query_embeddings, query_texts, ids, n_results, where, where_document, ())
        return (yield from ask(ops.Explain(op)))

    @verb
    def describe(self) -> Steps[Description]:
        """Return what the collection holds: fields with types, coverage, ranges and samples; dimension, space, index state."""
        return Description.of((yield from ask(ops.Describe(self._info.id))))

    @verb
    def values(
        self, key: str, top: int | None = 20, where: Mapping[str, Any] | None = None, where_document: Mapping[str, Any] | None = None
    ) -> Steps[pd.Series[int]]:
        """Return the most frequent values of a metadata key and how many records have each.

        Parameters
        ----------
        top : int, optional
            So many values; None for all.

        Returns
        -------
        Series
            Counts, indexed by value (the index is called `key`), most frequent first.
        """
        key = check_key(key, "key")
        op = ops.Facets(
            self._info.id, key, arguments.optional_number(top, "top"), arguments.parse_filter(where, where_document, self.dialect)
        )
        return _counts(key, (yield from ask(op)))

    @verb
    def sample(
        self,
        n: int = 10,
        seed: int | None = None,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        include: Sequence[str] = _READ,
    ) -> Steps[pd.DataFrame]:
        """Return `n` records drawn at random without replacement, in collection order; a `seed` draws the same ones again."""
        op = ops.Sample(
            self._info.id,
            arguments.whole_number(n, "n", 0),
            arguments.optional_number(seed, "seed"),
            arguments.parse_filter(where, where_document, self.dialect),
            arguments.parse_include(include, distances=False),
        )
        return frames.frame_of((yield from ask(op)), attrs=self._attributes())

    @verb
    def columns(
        self, keys: str | Sequence[str] = (), where: Mapping[str, Any] | None = None, where_document: Mapping[str, Any] | None = None
    ) -> Steps[pd.DataFrame]:
        """Return some metadata keys of all matching records, and nothing else of them: quick where `get` would read whole records.

        Parameters
        ----------
        keys : str or sequence of str
            Metadata keys; none at all gives the ids alone.
        where, where_document
            Which records; all by default.

        Returns
        -------
        DataFrame
            Index ``id``, in collection order; a column per key, in the order of `keys`, with the values and the dtype that ``get``
            gives it. A key that none of the records has is an object column of None.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-columns", embedding_function=None)
        >>> collection.add(["a", "b"], embeddings=[[0], [1]], metadatas=[{"year": 1999, "topic": "art"}, {"year": 2024}])
        >>> collection.columns("year").squeeze().to_dict()
        {'a': 1999, 'b': 2024}
        >>> client.delete_collection("doc-columns")
        """
        op = ops.Columns(self._info.id, _keys(keys), arguments.parse_filter(where, where_document, self.dialect))
        return frames.frame_of_table((yield from ask(op)), attrs=self._attributes())

    @verb
    def version(self) -> Steps[int]:
        """Return a number that grows with every change of the records: what was worked out from them holds until it changes.

        Chroma's own server has no such number; there it follows from the number of records and the writes made by this client.
        """
        return (yield from self._refreshed()).version

    @stream
    def scan(
        self,
        batch_size: int = 1000,
        include: Sequence[str] = _READ,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
    ) -> Generator[ops.Op[Any], Any, None]:
        """Go through all matching records in data frames of `batch_size`, in memory bounded by one of them.

        Records written while the scan goes on may or may not be seen; none is seen twice.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-scan", embedding_function=None)
        >>> collection.add(["a", "b", "c"], embeddings=[[0], [1], [2]])
        >>> [len(part) for part in collection.scan(batch_size=2)]
        [2, 1]
        >>> client.delete_collection("doc-scan")
        """
        size = arguments.whole_number(batch_size, "batch_size", 1)
        chosen = arguments.parse_filter(where, where_document, self.dialect)
        included = arguments.parse_include(include, distances=False)
        cursor: int | None = None
        while True:
            page = yield from ask(ops.ScanPage(self._info.id, cursor, size, chosen, included))
            if len(page.records):
                yield Item(frames.frame_of(page.records, attrs=self._attributes()))
            cursor = page.cursor
            if cursor is None:
                return


def _keys(keys: Any) -> tuple[str, ...]:
    """Parse metadata keys; one that is named twice is one column."""
    chosen = [keys] if isinstance(keys, str) else sequence_of(keys, "keys", "a metadata key or a list of them")
    return tuple(dict.fromkeys([check_key(key, f"keys[{i}]") for i, key in enumerate(chosen)]))


def _counts(key: str, found: list[tuple[Any, int]]) -> pd.Series[int]:
    import pandas as pd

    values = [value.iso() if isinstance(value, Instant) else value for value, _ in found]
    index = pd.Index(values, name=key, dtype=object, tupleize_cols=False).infer_objects()
    return pd.Series([count for _, count in found], index=index, name="count", dtype="int64")
