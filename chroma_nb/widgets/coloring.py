"""What a map is coloured by: a metadata key, the clusters, the distance to the question; and how large its markers are.

Turns a name that the user chose into values, one per point, and leaves it to `chroma_nb.viz.color` what they look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.viz.color import numbers
from chroma_nb.viz.figure import automatic_diameter
from chroma_nb.widgets.mapmaking import Clusters
from chroma_nb.widgets.points import Points

if TYPE_CHECKING:
    import pandas as pd

NONE: Final = "(nothing)"
CLUSTER: Final = "(cluster)"
DISTANCE: Final = "(distance)"
"""Choices beside the metadata keys; the brackets keep them apart from keys of the same name."""

_SMALLEST, _LARGEST = 0.6, 2.2
"""Diameters of the extremes, as shares of the one that suits the number of points."""


def choices(fields: Sequence[str]) -> list[tuple[str, str]]:
    """Return value and label of everything a map can be coloured by."""
    special = [(NONE, "nothing"), (CLUSTER, "cluster"), (DISTANCE, "distance to the question")]
    return special + [(field, field) for field in fields]


def checked(name: Any, fields: Sequence[str]) -> str:
    """Return what `name` stands for: one of the fields, ``"cluster"``, ``"distance"``, or None for nothing.

    Raises
    ------
    InvalidArgumentError
        There is no such field.
    """
    if name is None:
        return NONE
    if not isinstance(name, str):
        raise InvalidTypeError(f"color: expected the name of a metadata key, 'cluster' or 'distance', got {type(name).__name__}")
    if name in fields or name in {NONE, CLUSTER, DISTANCE}:
        return name
    if f"({name})" in {CLUSTER, DISTANCE}:
        return f"({name})"
    known = [*fields, "cluster", "distance"]
    listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    raise InvalidArgumentError(f"color: no record has the key {name[:60]!r}; expected one of {listed}.{did_you_mean(name, known)}")


def said(choice: str) -> str | None:
    """Return a choice as users write it: the inverse of `checked`."""
    return {NONE: None, CLUSTER: "cluster", DISTANCE: "distance"}.get(choice, choice)


def values_of(name: str, points: Points, clusters: Clusters | None, distances: NDArray[np.float64] | None) -> pd.Series[Any] | None:
    """Return what `name` stands for as values by id, one per point; None where nothing tells them apart (yet)."""
    import pandas as pd

    if name == NONE:
        return None
    if name == CLUSTER:
        return None if clusters is None else cluster_names(points, clusters)
    if name == DISTANCE:
        return None if distances is None else pd.Series(distances, index=points.ids, name="distance")
    return points.column(name)


def cluster_names(points: Points, clusters: Clusters) -> pd.Series[Any]:
    """Return the label of every point's cluster by id, missing for points between clusters."""
    import pandas as pd

    # The codes of a categorical, -1 for missing, are those of the clusters.
    labels: Any = pd.Categorical.from_codes(clusters.codes.tolist(), dtype=pd.CategoricalDtype(clusters.labels))
    names: pd.Series[Any] = pd.Series(labels, index=points.ids, name="cluster")
    return names


def diameters(name: str, points: Points) -> NDArray[np.float32] | None:
    """Return diameters in pixels by a numeric key: areas grow with the value, between its extremes; None for no key.

    Raises
    ------
    InvalidArgumentError
        The key does not hold numbers.
    """
    if name == NONE:
        return None
    values = numbers(points.column(name))
    if values is None:
        raise InvalidArgumentError(f"size: {name[:60]!r} does not hold numbers; choose a key that does, or nothing")
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return None
    share = np.sqrt((values - known.min()) / (known.max() - known.min()))
    usual = automatic_diameter(len(points), points.places.shape[1])
    return (usual * np.where(np.isfinite(share), _SMALLEST + share * (_LARGEST - _SMALLEST), _SMALLEST)).astype(np.float32)
