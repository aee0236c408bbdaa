"""The HNSW graph: a cache of the vectors that answers "who is near" without looking at all of them.

The only module that knows hnswlib. A `Graph` is never changed once others can see it: growing makes a new one (a copy plus
what is missing), because hnswlib may not be searched while it is added to or resized (measured: 4 crashes of 4). It trusts
what it is given: of a file it gets arrays that were checked (`chroma_nb.engine.graph_check`), and numbers of our own.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb.configuration import HnswParameters, parameter_of
from chroma_nb.engine import graph_check
from chroma_nb.records import Vectors

_STEP = 256
"""Vectors added between two looks at the stop signal: below 200 ms of native work."""
_STATE = ("label_lookup_external", "label_lookup_internal", "element_levels", "data_level0", "link_lists")
_SEED = 100
_MARK = 2
"""Byte of what hnswlib keeps of a vector that has the mark of deleted ones."""


@lru_cache(maxsize=1)
def _hnswlib() -> tuple[Any, str]:
    """Return the library, or None and why it cannot be used."""
    try:
        import hnswlib
    except ImportError:
        return None, "hnswlib is not installed (it is built from source and needs a C++ compiler)"
    index = getattr(hnswlib, "Index", None)
    if not hasattr(index, "mark_deleted") or not hasattr(index, "__getstate__"):
        return None, "the installed module 'hnswlib' is another package under the same name (chroma-hnswlib?)"
    return hnswlib, ""


def available() -> bool:
    """Tell whether hnswlib can be used."""
    return _hnswlib()[0] is not None


@lru_cache(maxsize=1)
def usable() -> bool:
    """Tell whether hnswlib can be used; when not, warn (once per process) of what follows from that."""
    library, cause = _hnswlib()
    if library is None:
        message = f"{cause}: searches stay exact, which is right but slow on large collections. Run: pip install hnswlib"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return library is not None


@dataclass(frozen=True, eq=False)
class Graph:
    """A finished graph.

    Parameters
    ----------
    index
        hnswlib's index; searched only.
    labels
        (m,) int64, ascending: the labels in the graph, dead ones included.
    """

    index: Any
    labels: NDArray[np.int64]
    turn: threading.Lock

    def has(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each label whether it is in the graph."""
        places = np.searchsorted(self.labels, labels)
        inside = places < len(self.labels)
        return inside & (self.labels[np.where(inside, places, 0)] == labels) if len(self.labels) else np.zeros(len(labels), dtype=bool)

    def search(self, queries: Vectors, k: int, ef: int) -> NDArray[np.int64] | None:
        """Return the labels of about `k` near vectors per query, (q, k); None when the graph cannot give that many."""
        k = min(k, len(self.labels))
        with self.turn:
            if self.index.ef != ef:
                self.index.set_ef(ef)
            try:
                labels, _ = self.index.knn_query(queries, k=k, num_threads=1 if len(queries) < 16 else -1)
            except RuntimeError:
                # "Cannot return the results in a contiguous 2D array": fewer than k reachable. The caller searches exactly.
                return None
        return np.asarray(labels.astype(np.int64))


class Draft:
    """A graph in the making, seen by one thread only."""

    def __init__(self, index: Any, labels: NDArray[np.int64]) -> None:
        self._index = index
        self._labels = labels
        self._retired = np.empty(0, dtype=np.int64)

    @classmethod
    def new(cls, parameters: HnswParameters, dimension: int, capacity: int, threads: int) -> Draft:
        """Begin an empty graph, to be built by so many threads."""
        index = _hnswlib()[0].Index(space=parameters.space, dim=dimension)
        index.init_index(
            max_elements=max(capacity, 1), ef_construction=parameters.ef_construction, M=parameters.max_neighbors, random_seed=_SEED
        )
        index.set_num_threads(threads)
        return cls(index, np.empty(0, dtype=np.int64))

    @classmethod
    def copy(cls, graph: Graph, capacity: int, threads: int) -> Draft:
        """Begin with a copy of a finished graph in which no vector is retired yet."""
        with graph.turn:
            state = graph.index.__getstate__()[0]
        if state["has_deletions"]:
            # While vectors are added, none may be marked: where a walk meets marked ones only, hnswlib reads from an empty list.
            state["data_level0"].view(np.uint8).reshape(state["cur_element_count"], -1)[:, _MARK] = 0
            state["has_deletions"] = False
        index = _hnswlib()[0].Index(params=state)
        index.set_num_threads(threads)
        if capacity > index.get_max_elements():
            index.resize_index(capacity)
        return cls(index, graph.labels)

    def retire(self, labels: NDArray[np.int64]) -> None:
        """Let the search of the finished graph pass over `labels`, which no record has any more."""
        self._retired = labels

    def add(self, labels: NDArray[np.int64], vectors: Vectors, positions: NDArray[np.int64], going_on: Callable[[int], bool]) -> bool:
        """Add ``vectors[positions]`` under `labels`, all of them new; False when `going_on(number added)` said to stop."""
        for start in range(0, len(labels), _STEP):
            part = slice(start, start + _STEP)
            self._index.add_items(vectors[positions[part]], labels[part])
            if not going_on(len(labels[part])):
                return False
        self._labels = np.concatenate([self._labels, labels])
        return True

    def finished(self, ef: int) -> Graph:
        """Give the graph away; the draft must not be used after that."""
        for label in self._retired.tolist():
            self._index.mark_deleted(label)
        self._index.set_ef(ef)
        return Graph(self._index, np.sort(self._labels), threading.Lock())


def dump(graph: Graph) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Return a graph as plain numbers and texts, and arrays."""
    with graph.turn:
        state = graph.index.__getstate__()[0]
    header = {key: value for key, value in state.items() if key not in _STATE}
    return header, [state[key] for key in _STATE]


def size_of_element(parameters: HnswParameters, dimension: int) -> int:
    """Return about how many bytes a vector takes in a graph, and no fewer."""
    return 4 * (3 * parameters.max_neighbors + dimension + 32)


def load(header: Mapping[str, Any], arrays: list[NDArray[Any]], parameters: HnswParameters, dimension: int, next_label: int) -> Graph:
    """Return the graph that `dump` took apart, of a collection with these parameters and no label from `next_label` on.

    Raises
    ------
    ValueError, KeyError, TypeError
        A number of it leads anywhere but to another one of it.
    """
    if (header["space"], header["dim"]) != (parameters.space, dimension):
        raise ValueError("it is of another space or dimension")
    _, _, levels, base, upper = arrays
    neighbors: int = parameter_of("max_neighbors", header["M"], "M")  # that of the time it was made
    entry = header["enterpoint_node"]
    sound = graph_check.check(levels, base, upper, neighbors=neighbors, dimension=dimension, entry=entry, next_label=next_label)
    n = len(sound.labels)
    # hnswlib says itself how an index with such parameters is laid out.
    blank = _hnswlib()[0].Index(space=parameters.space, dim=dimension)
    blank.init_index(max_elements=1, ef_construction=parameters.ef_construction, M=neighbors, random_seed=_SEED)
    state = {
        **blank.__getstate__()[0],
        "ep_added": True,
        "max_elements": n,
        "cur_element_count": n,
        "max_level": sound.top,
        "enterpoint_node": entry,
        "has_deletions": sound.has_deletions,
        **dict(zip(_STATE, (sound.labels.astype(np.uint64), np.arange(n, dtype=np.uint32), levels, base, upper), strict=True)),
    }
    return Graph(_hnswlib()[0].Index(params=state), np.sort(sound.labels), threading.Lock())
