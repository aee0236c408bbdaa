"""From a collection to a map, step by step: a quick layout at once, a better one when it is ready, then clusters and how far to trust it.

Each step works through the collection's verbs in a thread of its own and says what it made; it draws nothing. Used by the explorer.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import ChromaError
from chroma_nb.viz.projection import METRIC_OF_SPACE, ProjectionSpec
from chroma_nb.widgets.points import Points

if TYPE_CHECKING:
    import pandas as pd

    from chroma_nb.viz.trust import Trust

_LOG = logging.getLogger("chroma_nb.widgets")
_TRUSTED_ON = 20_000
"""Records in which neighbours are counted for the trust figure."""
_READ_PER_CLUSTER = 60
_NOISE = -1


@dataclass(frozen=True)
class Wish:
    """What the map should be: everything that a layout depends on."""

    method: str = "umap"
    n_components: int = 2
    seed: int | None = 42
    options: Mapping[str, Any] = field(default_factory=dict)
    fit_again: bool = False
    """Fit a new layout even where new records could be placed into the old one."""

    def __post_init__(self) -> None:
        """Check everything, so that a mistake is told where it was made and not by a thread."""
        ProjectionSpec.of(self.method, self.n_components, seed=self.seed, **self.options)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of records that lie close together on the map.

    Parameters
    ----------
    codes
        (n,) int32, one per row; -1 for records between the groups.
    labels
        A text per group.
    anchors
        (groups, 2 or 3) float32: where on the map a label belongs.
    """

    codes: NDArray[np.int32]
    labels: list[str]
    anchors: NDArray[np.float32]

    def moved(self, places: NDArray[np.float32]) -> Clusters:
        """Return the same groups of points at other places."""
        from chroma_nb.viz.clusters import anchors

        return replace(self, anchors=anchors(places, self.codes))


class Listener(Protocol):
    """What is told about the steps. Calls come from threads of the map maker, one after the other, and none of a map that was given up."""

    def laid_out(self, points: Points, wish: Wish, *, final: bool) -> None:
        """Take places, of a quick layout or of the one that was wished for."""

    def clustered(self, clusters: Clusters) -> None:
        """Take the groups of the last points."""

    def judged(self, trust: Trust) -> None:
        """Take how well the last points keep neighbours."""

    def progressed(self, text: str, fraction: float | None) -> None:
        """Take what is being done, and the share of it that is done."""

    def failed(self, error: Exception) -> None:
        """Take what went wrong; the last points stay."""


class _CancelledError(Exception):
    """A newer wish came, or the explorer was closed."""


def _check(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise _CancelledError


class MapMaker:
    """Makes one map after the other; a new wish ends the work on the last one.

    Parameters
    ----------
    collection
        Any synchronous collection.
    listener
        Who is told.
    """

    def __init__(self, collection: Any, listener: Listener) -> None:
        self._collection = collection
        self._listener = listener
        self._turn = threading.Lock()
        self._telling = threading.Lock()
        self._teller: int | None = None
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()

    def make(self, wish: Wish, *, given: Points | None = None, seconds: float = 0.0) -> None:
        """Begin, and wait at most `seconds` for the first places.

        Parameters
        ----------
        given
            Places that need not be made any more.
        """
        with self._turn:
            self.cancel()
            self._cancelled, shown = threading.Event(), threading.Event()
            work = (wish, given, self._cancelled, shown)
            self._thread = threading.Thread(target=self._work, args=work, name="chroma_nb map", daemon=True)
            self._thread.start()
        if not self._is_telling():
            shown.wait(seconds)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the map is finished, unless the listener asks while it is told something; tell whether it is finished."""
        thread = self._thread
        if thread is not None and not self._is_telling():
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def cancel(self) -> None:
        """End the work under way at its next step."""
        self._cancelled.set()

    def _is_telling(self) -> bool:
        """Tell whether this is the thread that speaks with the listener: all maps wait for it."""
        return self._teller == threading.get_ident()

    def _tell(self, cancelled: threading.Event, call: Callable[..., None], *said: Any, **more: Any) -> None:
        with self._telling:
            _check(cancelled)
            self._teller = threading.get_ident()
            try:
                call(*said, **more)
            finally:
                self._teller = None

    def _work(self, wish: Wish, given: Points | None, cancelled: threading.Event, shown: threading.Event) -> None:
        try:
            self._steps(wish, given, cancelled, shown)
        except _CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - there is nobody above a thread
            if not isinstance(error, ChromaError):
                _LOG.exception("the map could not be made")
            with contextlib.suppress(_CancelledError):
                self._tell(cancelled, self._listener.failed, error)
        finally:
            shown.set()

    def _steps(self, wish: Wish, given: Points | None, cancelled: threading.Event, shown: threading.Event) -> None:
        listener, tell = self._listener, functools.partial(self._tell, cancelled)
        if given is None and wish.method != "pca" and not self._is_kept(wish):
            first = self._laid_out(replace(wish, method="pca", options={}), cancelled, "principal components")
            tell(listener.laid_out, first, wish, final=False)
            shown.set()
        points = self._laid_out(wish, cancelled, wish.method.upper()) if given is None else given
        tell(listener.laid_out, points, wish, final=True)
        shown.set()
        if len(points):
            tell(listener.progressed, "finding clusters", None)
            tell(listener.clustered, clusters_of(self._collection, points))
            tell(listener.progressed, "comparing neighbours", None)
            tell(listener.judged, trust_of(self._collection, points, seed=wish.seed))
        tell(listener.progressed, "", None)

    def _is_kept(self, wish: Wish) -> bool:
        return not wish.fit_again and self._collection.has_layout(wish.method, wish.n_components, seed=wish.seed, **wish.options)

    def _laid_out(self, wish: Wish, cancelled: threading.Event, what: str) -> Points:
        last = -1.0

        def progress(share: float) -> None:
            nonlocal last
            _check(cancelled)
            if share - last >= 0.01:
                last = share
                self._tell(cancelled, self._listener.progressed, f"laying out by {what}", share)

        places: pd.DataFrame = self._collection.project(
            wish.method,
            wish.n_components,
            seed=wish.seed,
            place_new=not wish.fit_again,
            on_progress=progress,
            show_progress=False,
            **wish.options,
        )
        return Points(self._collection, places)


def clusters_of(collection: Any, points: Points) -> Clusters:
    """Group the points by where they lie, and name each group by the words that set its documents apart."""
    from chroma_nb.viz.clusters import anchors, clusters
    from chroma_nb.viz.naming import cluster_labels

    codes = clusters(points.places)
    draw = np.random.default_rng(0)
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max(initial=_NOISE)) + 1)]
    read = [draw.choice(rows, _READ_PER_CLUSTER, replace=False) if len(rows) > _READ_PER_CLUSTER else rows for rows in members]
    rows = np.concatenate([*read, np.array([], dtype=np.intp)])
    labels = cluster_labels(codes[rows], _documents(collection, points.ids_of(rows)))
    return Clusters(codes, labels, anchors(points.places, codes))


def _documents(collection: Any, ids: list[str]) -> list[str | None]:
    if not ids:
        return []
    frame = collection.get(ids=ids, include=["documents"]).reindex(ids)
    texts = frame["document"].tolist() if "document" in frame.columns else [None] * len(ids)
    return [text if isinstance(text, str) else None for text in texts]


def trust_of(collection: Any, points: Points, *, seed: int | None) -> Trust:
    """Compare neighbours on the map with neighbours in the original space, among a sample of the records."""
    from chroma_nb.viz.trust import trust

    rows = np.arange(len(points))
    if len(points) > _TRUSTED_ON:
        rows = np.random.default_rng(seed or 0).choice(len(points), _TRUSTED_ON, replace=False)
    sample = collection.get(ids=points.ids_of(rows), include=["embeddings"])
    # Records that are gone meanwhile are left out.
    places = points.places[points.rows_of(sample.index)]
    vectors = np.stack(sample["embedding"].to_numpy()) if len(sample) else np.empty((0, 1), np.float32)
    return trust(vectors, places, metric=METRIC_OF_SPACE[collection.space], seed=seed or 0)
