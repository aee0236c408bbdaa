"""Verbs that lay a collection's embeddings out in two or three dimensions and draw them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chroma_nb import frames, ops
from chroma_nb.brief import inert_line
from chroma_nb.client.layouts import LayoutSteps
from chroma_nb.client.verb import Steps, ask, verb
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.results import Layout

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


class MapVerbs(LayoutSteps):
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
        place_new: bool = False,
        on_progress: Callable[[float], Any] | None = None,
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
        place_new : bool
            Go on with the layout that is kept although the data has changed since: its records stay where they are, new and
            re-embedded ones go where their nearest neighbours are. That takes moments, where a new layout takes minutes and moves
            everything. With more than half as many new records as old ones, with `sample`, and where the server cannot tell what
            changed (Chroma's), there is a new layout all the same.
        on_progress : callable, optional
            Takes the share of the fit that is done, ascending from 0 to 1, in the thread that fits. What it raises ends the call.
        show_progress : bool, optional
            By default a bar in notebooks and terminals, from 1,000 records on.
        **options
            Of the method: for UMAP ``n_neighbors``, ``min_dist``, ``metric``, ``n_epochs``.

        Returns
        -------
        DataFrame
            Index ``id``; columns ``x``, ``y`` (and ``z``), float32, without unit. With `place_new` also ``approximate``, bool: the
            place was estimated from neighbours.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> collection = client.get_or_create_collection("doc-project", embedding_function=None)
        >>> collection.add(["a", "b", "c"], embeddings=[[0, 0], [4, 0], [0, 3]])
        >>> before = collection.project("pca", place_new=True)
        >>> collection.add("d", embeddings=[4, 0])
        >>> after = collection.project("pca", place_new=True)
        >>> after["approximate"].tolist(), bool((after.loc["d", ["x", "y"]] == before.loc["b", ["x", "y"]]).all())
        ([False, False, False, True], True)
        >>> client.delete_collection("doc-project")
        """
        wanted = self._wanted(method, n_components, where, where_document, sample, seed, options)
        kept = yield from self._laid_out(wanted, place_new=place_new, show=show_progress, on_progress=on_progress)
        frame = _frame_of(kept.layout, self._attributes())
        return frame.assign(approximate=kept.new) if place_new else frame

    @verb
    def has_layout(
        self,
        /,
        method: str = "umap",
        n_components: int = 2,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        *,
        sample: int | None = None,
        seed: int | None = 42,
        place_new: bool = True,
        **options: Any,
    ) -> Steps[bool]:
        """Tell whether `project`, called with the same arguments, would answer without fitting a layout."""
        wanted = self._wanted(method, n_components, where, where_document, sample, seed, options)
        return (yield from self._kept(wanted, place_new=place_new)) is not None

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
        wanted = self._wanted(method, n_components, where, where_document, sample, seed, dict(options or {}))
        layout = (yield from self._laid_out(wanted, show=show_progress)).layout
        records = yield from ask(ops.Get(self._info.id, ids=layout.ids if sample and layout.ids else None, filter=wanted.filter))
        places = _frame_of(layout, self._attributes())
        cells = frames.frame_of(records, attrs={}).rename(columns={name: f"{name} (metadata)" for name in places.columns})
        frame = places.join(cells)

        def drawn() -> go.Figure:
            from chroma_nb import viz

            return viz.scatter(
                frame, dimensions=layout.coordinates.shape[1], color=color, **{"title": f"{self._info.name} · {method.upper()}", **style}
            )

        return (yield from ask(ops.Local(drawn)))


def _check_style(style: Mapping[str, Any]) -> None:
    """Refuse unknown arguments of `scatter` before a layout is computed for them."""
    from chroma_nb import viz

    known = [name for name in inspect.signature(viz.scatter).parameters if name not in {"frame", "dimensions", "color"}]
    for name in style:
        if name not in known:
            raise InvalidArgumentError(
                f"{inert_line(name)}: unknown argument of plot; expected any of {', '.join(known)}.{did_you_mean(name, known)}"
            )


def _frame_of(layout: Layout, attributes: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    columns = ["x", "y", "z"][: layout.coordinates.shape[1]]
    frame: pd.DataFrame = pd.DataFrame(layout.coordinates, columns=columns, index=pd.Index(layout.ids, name="id", dtype=object))
    frame.attrs.update(attributes)
    return frame
