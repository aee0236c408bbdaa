"""Which layout a map gets: the one that is kept, that one with new records placed into it, or a new one.

Bodies of the verbs in `chroma_nb.client.maps`. Must not live here: how coordinates are computed (`chroma_nb.viz`), frames, figures.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb import ops
from chroma_nb.client import arguments
from chroma_nb.client.spool import Spool, check_alike
from chroma_nb.client.steps import CollectionSteps
from chroma_nb.client.verb import Steps, ask
from chroma_nb.errors import InvalidTypeError
from chroma_nb.filters import EVERYTHING, Filter
from chroma_nb.progress import Bar
from chroma_nb.results import CollectionInfo, GetResult, Layout, QueryResult

if TYPE_CHECKING:
    from chroma_nb.viz.projection import ProjectionSpec

    Floats = NDArray[np.float32]

_EMBEDDINGS = frozenset({"embeddings"})
_PAGE = 5000
_BAR_FROM = 1000
_PLACED_AT_ONCE = 500
_MOST_PLACED = 0.5
"""New records per laid-out one, past which a map of neighbours' places would say little and a new layout is worth its time."""
_HITS = 45
"""Neighbours asked for per new record, three times what is needed: those that are new themselves have no place yet."""
_CANDIDATES = 5000
"""Laid-out records, drawn at random, among which those with only new neighbours are placed."""


@dataclass(frozen=True)
class Wanted:
    """The layout that was asked for, parsed."""

    spec: ProjectionSpec
    filter: Filter
    sample: int | None
    seed: int | None

    @property
    def key(self) -> str:
        """What the store calls it."""
        return orjson.dumps([self.spec.to_json(), repr(self.filter), self.sample, self.seed if self.sample else None]).decode()

    def version(self, info: CollectionInfo) -> int:
        """Return the version of the data that it depends on; a filter makes it depend on all of them."""
        return info.vectors_version if self.filter is EVERYTHING else info.version


@dataclass(frozen=True, eq=False)
class Kept:
    """A layout, row per record in collection order, and which of its rows are not from the fit, (n,) bool."""

    layout: Layout
    new: NDArray[np.bool_]

    @classmethod
    def whole(cls, layout: Layout) -> Kept:
        """Return a layout without new rows."""
        return cls(layout, np.zeros(len(layout.ids), np.bool_))

    @classmethod
    def beside(cls, stored: Layout, ids: list[str], changed: list[str]) -> Kept:
        """Return `stored` for the records `ids`; those that it lacks, or that `changed` since, are at NaN."""
        rows = {identifier: row for row, identifier in enumerate(stored.ids)}
        for identifier in changed:
            rows.pop(identifier, None)
        source = np.fromiter((rows.get(identifier, -1) for identifier in ids), np.intp, len(ids))
        coordinates = np.full((len(ids), stored.coordinates.shape[1]), np.nan, np.float32)
        coordinates[source >= 0] = stored.coordinates[source[source >= 0]]
        return cls(replace(stored, ids=ids, coordinates=coordinates), source < 0)

    @property
    def usable(self) -> bool:
        """Whether few enough records are new to be placed among the others."""
        new = int(self.new.sum())
        return new <= _MOST_PLACED * (len(self.new) - new)

    def completed(self, coordinates: Floats) -> Kept:
        """Return the layout with these coordinates, without the records that have none."""
        there = np.flatnonzero(np.isfinite(coordinates).all(axis=1))
        ids = [self.layout.ids[row] for row in there.tolist()]
        return Kept(replace(self.layout, ids=ids, coordinates=coordinates[there]), self.new[there])


class LayoutSteps(CollectionSteps):
    """Finding, completing and making layouts."""

    def _wanted(
        self, method: str, n_components: int, where: Any, where_document: Any, sample: object, seed: int | None, options: Mapping[str, Any]
    ) -> Wanted:
        from chroma_nb.viz.projection import ProjectionSpec

        extra = {"seed": seed, **options} if isinstance(method, str) and method == "umap" else dict(options)
        spec = ProjectionSpec.of(method, n_components, self._info.configuration.space, **extra)
        chosen = arguments.parse_filter(where, where_document, self.dialect)
        return Wanted(spec, chosen, arguments.optional_number(sample, "sample", 1), arguments.optional_number(seed, "seed"))

    def _kept(self, wanted: Wanted, *, place_new: bool) -> Steps[Kept | None]:
        """Return the stored layout if it will do: one of these very data, or, with `place_new`, of most of them."""
        if not (place_new or wanted.spec.reproducible):
            return None
        version = wanted.version((yield from self._refreshed()))
        stored = yield from ask(ops.GetLayout(self._info.id, wanted.key, None if place_new else version))
        if stored is None or stored.version == version:
            return None if stored is None else Kept.whole(stored)
        if wanted.sample is not None:
            return None
        # In this order, a record that changes in between counts as changed.
        ids = (yield from ask(ops.Columns(self._info.id, filter=wanted.filter))).ids
        changed = yield from ask(ops.ChangedSince(self._info.id, stored.version))
        kept = None if changed is None else Kept.beside(stored, ids, changed)
        return kept if kept is not None and kept.usable else None

    def _laid_out(
        self, wanted: Wanted, *, place_new: bool = False, show: bool | None, on_progress: Callable[[float], Any] | None = None
    ) -> Steps[Kept]:
        """Return the layout; a new one is stored."""
        if on_progress is not None and not callable(on_progress):
            raise InvalidTypeError(f"on_progress: expected a callable that takes the share done, got {type(on_progress).__name__}")
        kept = yield from self._kept(wanted, place_new=place_new)
        if kept is not None:
            return (yield from self._placed(wanted, kept)) if kept.new.any() else kept
        from chroma_nb.viz.many import MANY

        info = yield from self._refreshed()
        count = yield from ask(ops.Count(self._info.id, wanted.filter))
        size = count if wanted.sample is None else min(count, wanted.sample)
        with Spool(size, on_disk=size > MANY) as spool:
            ids = yield from self._read(wanted, spool, size)
            coordinates = yield from ask(ops.Local(functools.partial(_fitted, spool, wanted.spec, on_progress, show=show)))
        layout = Layout(ids, coordinates, wanted.version(info))
        yield from ask(ops.PutLayout(self._info.id, wanted.key, layout.version, ids, coordinates))
        return Kept.whole(layout)

    def _read(self, wanted: Wanted, spool: Spool, size: int) -> Steps[list[str]]:
        """Read the embeddings of `size` records, or of as many as are left of them, and return their ids."""
        if wanted.sample is not None:
            records = yield from ask(ops.Sample(self._info.id, size, wanted.seed, wanted.filter, _EMBEDDINGS))
            spool.add(_vectors_of(records))
            return records.ids
        ids: list[str] = []
        cursor: int | None = None
        while len(ids) < size:
            page = yield from ask(ops.ScanPage(self._info.id, cursor, min(_PAGE, size - len(ids)), wanted.filter, _EMBEDDINGS))
            ids += page.records.ids
            if len(page.records):
                spool.add(_vectors_of(page.records))
            cursor = page.cursor
            if cursor is None:
                break
        return ids

    def _placed(self, wanted: Wanted, kept: Kept) -> Steps[Kept]:
        """Place the new records among their neighbours; one that is deleted meanwhile is left out."""
        ids, known = kept.layout.ids, kept.layout.coordinates
        rows = {identifier: row for row, identifier in enumerate(ids)}
        coordinates = known.copy()
        candidates: GetResult | None = None
        new = [ids[row] for row in np.flatnonzero(kept.new).tolist()]
        for start in range(0, len(new), _PLACED_AT_ONCE):
            records = yield from ask(ops.Get(self._info.id, new[start : start + _PLACED_AT_ONCE], include=_EMBEDDINGS))
            if not len(records):
                continue
            vectors = _vectors_of(records)
            hits = yield from ask(ops.Query(self._info.id, vectors, _HITS, filter=wanted.filter, include=frozenset({"distances"})))
            places = yield from ask(ops.Local(functools.partial(_among_hits, hits, rows, known)))
            lost = np.flatnonzero(np.isnan(places[:, 0]))
            if len(lost):
                if candidates is None:
                    candidates = yield from ask(ops.Sample(self._info.id, _CANDIDATES, 0, wanted.filter, _EMBEDDINGS))
                work = functools.partial(_among, candidates, rows, known, vectors[lost], wanted.spec)
                places[lost] = yield from ask(ops.Local(work))
            coordinates[[rows[identifier] for identifier in records.ids]] = places
        return kept.completed(coordinates)


def _vectors_of(records: GetResult) -> Floats:
    assert records.embeddings is not None  # noqa: S101 - asked for
    return records.embeddings


def _fitted(spool: Spool, spec: ProjectionSpec, on_progress: Callable[[float], Any] | None, *, show: bool | None) -> Floats:
    from chroma_nb.viz.many import lay_out_many
    from chroma_nb.viz.projection import project

    size = len(spool)
    with Bar(100, f"{spec.method} of {size:,} records", "%", show=show if size >= _BAR_FROM or show else False) as bar:
        done = 0

        def progress(share: float) -> None:
            nonlocal done
            bar.advance(int(share * 100) - done)
            done = int(share * 100)
            if on_progress is not None:
                on_progress(share)

        if spool.on_disk:
            return lay_out_many(spool.chunks, size, spec, progress=progress).coordinates
        return project(spool.whole(), spec, progress)


def _among_hits(result: QueryResult, rows: Mapping[str, int], known: Floats) -> Floats:
    """Return the places of queries among those of their hits that have one; NaN where none has."""
    from chroma_nb.viz.placing import NEIGHBORS, placed_among

    lengths = np.array(result.lengths)
    queries = np.repeat(np.arange(len(lengths)), lengths)
    ranks = np.arange(len(queries)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    neighbors = np.full((len(lengths), _HITS), -1, np.intp)
    distances = np.full(neighbors.shape, np.nan)
    neighbors[queries, ranks] = [rows.get(identifier, -1) for identifier in result.hits.ids]
    distances[queries, ranks] = result.distances
    there = (neighbors >= 0) & np.isfinite(known[neighbors]).all(axis=2)
    neighbors[np.cumsum(there, axis=1) > NEIGHBORS] = -1
    return placed_among(neighbors, distances, known)


def _among(candidates: GetResult, rows: Mapping[str, int], known: Floats, vectors: Floats, spec: ProjectionSpec) -> Floats:
    """Return the places of `vectors` among those of the candidates that have one."""
    from chroma_nb.viz.placing import placed
    from chroma_nb.viz.projection import METRIC_OF_SPACE

    check_alike(vectors, _vectors_of(candidates))
    there = [i for i, identifier in enumerate(candidates.ids) if identifier in rows]
    places = known[[rows[candidates.ids[i]] for i in there]]
    return placed(_vectors_of(candidates)[there], places, vectors, metric=spec.metric or METRIC_OF_SPACE[spec.space])
