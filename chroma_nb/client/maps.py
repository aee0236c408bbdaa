"""Verbs that lay a collection's embeddings out in two or three dimensions and draw them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from chroma_nb import frames, ops
from chroma_nb.client import arguments
from chroma_nb.client.steps import CollectionSteps
from chroma_nb.client.verb import Steps, ask, verb
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.filters import EVERYTHING
from chroma_nb.progress import Bar
from chroma_nb.results import GetResult, Layout

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_LAYOUT_PAGE = 5000
_LAYOUT_BAR_FROM = 1000


class MapVerbs(CollectionSteps):
    """Projections, kept in the store, and figures of them."""

    @verb
    def project(
        self,
        /,
        method: str = "umap",
        n_components: int = 2,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        *,
        sample: int | None = None,
        seed: int | None = 42,
        show_progress: bool | None = None,
        **options: Any,
    ) -> Steps[pd.DataFrame]:
        """Lay the embeddings out in two or three dimensions. The layout is kept in the store and reused until the data changes.

        Parameters
        ----------
        method : {"umap", "pca"}
            PCA takes an instant; UMAP keeps neighbours together and takes longer.
        n_components : {2, 3}
        where, where_document
            Lay out the matching records only.
        sample : int, optional
            Lay out so many records, drawn by `seed`.
        seed : int or None
            Makes UMAP reproducible; None lets it use all processors.
        show_progress : bool, optional
            By default a bar in notebooks and terminals, from 1,000 records on.
        **options
            Of the method: for UMAP ``n_neighbors``, ``min_dist``, ``metric``, ``n_epochs``.

        Returns
        -------
        DataFrame
            Index ``id``; columns ``x``, ``y`` (and ``z``), float32, without unit.
        """
        layout = yield from self._layout(method, n_components, where, where_document, sample, seed, show=show_progress, options=options)
        return _layout_frame(layout, self._attributes())

    @verb
    def plot(
        self,
        /,
        color: Any = None,
        *,
        method: str = "umap",
        n_components: int = 2,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        sample: int | None = None,
        seed: int | None = 42,
        show_progress: bool | None = None,
        options: Mapping[str, Any] | None = None,
        **style: Any,
    ) -> Steps[go.Figure]:
        """Draw the collection's map as a Plotly figure (WebGL).

        Parameters
        ----------
        color : str or array-like, optional
            A metadata key, ``"document"``, or one value per record: numbers and datetimes get a colour bar, others a legend.
        method, n_components, where, where_document, sample, seed, show_progress
            As for `project`; `options` are those of the method.
        **style
            Further arguments of `chroma_nb.viz.scatter`: ``size``, ``hover``, ``title``, ``height``, ``width``, ``opacity`` ...
        """
        if options is not None and not isinstance(options, Mapping):
            raise InvalidTypeError(f"options: expected a dict such as {{'n_neighbors': 30}}, got {type(options).__name__}")
        _check_style(style)
        layout = yield from self._layout(
            method, n_components, where, where_document, sample, seed, show=show_progress, options=dict(options or {})
        )
        chosen = arguments.parse_filter(where, where_document, self.dialect)
        records = yield from ask(ops.Get(self._info.id, ids=layout.ids if sample and layout.ids else None, filter=chosen))
        places = _layout_frame(layout, self._attributes())
        cells = frames.frame_of(records, attrs={}).rename(columns={name: f"{name} (metadata)" for name in places.columns})
        frame = places.join(cells)

        def drawn() -> go.Figure:
            from chroma_nb import viz

            return viz.scatter(
                frame, dimensions=layout.coordinates.shape[1], color=color, **{"title": f"{self._info.name} · {method.upper()}", **style}
            )

        return (yield from ask(ops.Local(drawn)))

    def _layout(
        self,
        method: str,
        n_components: int,
        where: Any,
        where_document: Any,
        sample: int | None,
        seed: int | None,
        *,
        show: bool | None,
        options: Mapping[str, Any],
    ) -> Steps[Layout]:
        from chroma_nb.viz.projection import ProjectionSpec, project

        extra = {"seed": seed, **options} if method == "umap" else dict(options)
        spec = ProjectionSpec.of(method, n_components, self._info.configuration.space, **extra)
        chosen = arguments.parse_filter(where, where_document, self.dialect)
        most = arguments.optional_number(sample, "sample", 1)
        info = yield from self._refreshed()
        whole = chosen is EVERYTHING
        version = info.vectors_version if whole else info.version
        key = orjson.dumps([spec.to_json(), repr(chosen), most, seed if most else None]).decode()
        if spec.reproducible:
            kept = yield from ask(ops.GetLayout(self._info.id, key, version))
            if kept is not None:
                return kept
        records = yield from self._embeddings(chosen, most, seed)
        size = len(records)

        def work() -> Any:
            with Bar(100, f"{method} of {size:,} records", "%", show=show if size >= _LAYOUT_BAR_FROM or show else False) as bar:
                done = 0

                def progress(share: float) -> None:
                    nonlocal done
                    bar.advance(int(share * 100) - done)
                    done = int(share * 100)

                assert records.embeddings is not None  # noqa: S101 - asked for
                return project(records.embeddings, spec, progress)

        layout = Layout(records.ids, (yield from ask(ops.Local(work))), version)
        yield from ask(ops.PutLayout(self._info.id, key, version, layout.ids, layout.coordinates))
        return layout

    def _embeddings(self, chosen: Any, most: int | None, seed: int | None) -> Steps[GetResult]:
        include = frozenset({"embeddings"})
        if most is not None:
            return (yield from ask(ops.Sample(self._info.id, most, seed, chosen, include)))
        parts: list[GetResult] = []
        cursor: int | None = None
        while True:
            page = yield from ask(ops.ScanPage(self._info.id, cursor, _LAYOUT_PAGE, chosen, include))
            parts.append(page.records)
            cursor = page.cursor
            if cursor is None:
                break
        vectors = [part.embeddings for part in parts if part.embeddings is not None and len(part)]
        return GetResult(
            [identifier for part in parts for identifier in part.ids],
            np.concatenate(vectors) if vectors else np.empty((0, 1), dtype=np.float32),
        )


def _check_style(style: Mapping[str, Any]) -> None:
    """Refuse unknown arguments of `scatter` before a layout is computed for them."""
    from chroma_nb import viz

    known = [name for name in inspect.signature(viz.scatter).parameters if name not in {"frame", "dimensions", "color"}]
    for name in style:
        if name not in known:
            raise InvalidArgumentError(f"{name}: unknown argument of plot; expected any of {', '.join(known)}.{did_you_mean(name, known)}")


def _layout_frame(layout: Layout, attributes: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    columns = ["x", "y", "z"][: layout.coordinates.shape[1]]
    frame: pd.DataFrame = pd.DataFrame(layout.coordinates, columns=columns, index=pd.Index(layout.ids, name="id", dtype=object))
    frame.attrs.update(attributes)
    return frame
