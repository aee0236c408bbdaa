"""Whether the arrays of a saved graph hang together, before hnswlib gets them: it follows every number in them unchecked.

hnswlib keeps 32-bit words. Per vector, in ``data_level0``: the number of links in the low 16 bits and a mark for deleted ones above them,
room for 2M links, the vector, and the label (64 bits). Per vector and level above 0, in ``link_lists``: the number of links, and room for
M of them. A link is the place of another vector. Must not live here: hnswlib itself, files. Called by `chroma_nb.engine.graph` only.

What holds afterwards is that no walk leaves the arrays and that every walk ends. Whether the links lead to what is near is not
known, and need not be: what the graph proposes is measured on the vectors of the records (`chroma_nb.engine.search`), so a graph that
lies makes an answer miss near ones, and never gives a wrong distance or a record that does not match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_HIGHEST_LEVEL: Final = 64
"""hnswlib draws levels from an exponential distribution; with M = 2, the least, above 53 none can be."""
_COUNT: Final = 0xFFFF


@dataclass(frozen=True, eq=False)
class Sound:
    """What was found out on the way.

    Parameters
    ----------
    labels
        (n,) int64, of each vector in the order of their places.
    has_deletions
        Whether any vector is marked as deleted.
    top
        Level of the entry point.
    """

    labels: NDArray[np.int64]
    has_deletions: bool
    top: int


def check(
    levels: NDArray[Any], base: NDArray[Any], upper: NDArray[Any], *, neighbors: int, dimension: int, entry: object, next_label: int
) -> Sound:
    """Check the arrays of a graph against each other.

    Parameters
    ----------
    levels, base, upper
        ``element_levels``, ``data_level0`` and ``link_lists``.
    neighbors, dimension
        M and the length of the vectors, both within the limits of a configuration.
    entry
        The place where every walk begins.
    next_label
        Above all labels.

    Raises
    ------
    ValueError
        A number leads out of the arrays.
    """
    words = _table(base, 1 + 2 * neighbors + dimension + 2)
    n = len(words)
    _require(levels.dtype == np.int32 and len(levels) == n > 0, "its numbers of vectors differ")
    counts, links = words[:, 0], words[:, 1 : 1 + 2 * neighbors]
    # Also the links beyond the count: hnswlib fetches what they lead to ahead of time, and its own are never out of range.
    _require(int((counts & _COUNT).max()) <= 2 * neighbors and int(counts.max()) <= _COUNT | 1 << 16, "it counts too many links")
    _require(int(links.max()) < n, "a link leads nowhere")
    _require(int(levels.min()) >= 0 and int(levels.max()) <= _HIGHEST_LEVEL, "a level is out of range")
    _check_upper(levels, _table(upper, 1 + neighbors), neighbors)
    _require(type(entry) is int and 0 <= entry < n, "its entry point is out of range")
    labels = np.ascontiguousarray(words[:, -2:]).view(np.uint64)[:, 0]
    _require(int(labels.max()) < next_label, "a label was never given")
    ordered = np.sort(labels)
    _require(bool((ordered[1:] > ordered[:-1]).all()), "it has a label twice")
    return Sound(labels.astype(np.int64), int(counts.max()) > _COUNT, int(levels[entry]))  # type: ignore[call-overload]


def _check_upper(levels: NDArray[np.int32], lists: NDArray[np.uint32], neighbors: int) -> None:
    _require(len(lists) == int(levels.sum(dtype=np.int64)), "its number of lists is not that of its levels")
    if not len(lists):
        return
    counts, links = lists[:, 0], lists[:, 1:]
    _require(int(counts.max()) <= neighbors, "it counts too many links above level 0")
    _require(int(links.max()) < len(levels), "a link above level 0 leads nowhere")
    level = np.arange(1, len(lists) + 1) - np.repeat(np.cumsum(levels) - levels, levels)
    used = np.arange(neighbors) < counts[:, None]
    _require(not (used & (levels[links] < level[:, None])).any(), "a link leads to a vector that has no such level")


def _table(data: NDArray[Any], width: int) -> NDArray[np.uint32]:
    _require(data.nbytes % (4 * width) == 0, "its size is not that of whole vectors")
    return data.view(np.uint8).view(np.uint32).reshape(-1, width)


def _require(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion that is never switched off
    if not condition:
        raise ValueError(otherwise)
