"""What a map shows, as one frozen value, and how each part of it is said to a page.

A change makes a new `Drawing`; so whoever reads one sees a whole state, whatever other threads do meanwhile. Called by
:mod:`chroma_nb.widgets.map`; the page's half of every part is `take` in ``static/map.js``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz.figure import automatic_diameter, automatic_opacity
from chroma_nb.widgets.channel import Packed
from chroma_nb.widgets.map_cloud import SAMPLE, Cloud, Rows, rows_of
from chroma_nb.widgets.map_colors import Colors, plain

ALIGNED: Final = ("points", "coloring", "sizes", "selection", "highlight", "query", "labels")
"""Parts that speak of the points a page holds: when those change, all of these have to be said again."""

OTHERS: Final = ("controls", "status", "stale")

LABEL_LENGTH, SAID_LENGTH, DETAIL_LENGTH = 80, 300, 5000
"""Most characters of a label, of a message, and of what a message has behind it."""

Place = tuple[float, ...]


@dataclass(frozen=True)
class Shown:
    """What hovering over a point shows: plain text, of which the page shows the beginning."""

    title: str
    text: str = ""
    lines: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Control:
    """One element of the row above the map.

    Parameters
    ----------
    name
        What `MapWidget.on_control` is told.
    kind
        "select" (its `value` is one of the options'), "text" (told when it is submitted), "toggle" (bool) or "button" (told None).
    options
        Of a select: texts, or pairs of a value and its label.
    group
        Neighbours of the same group stand together.
    """

    name: str
    label: str
    kind: Literal["select", "text", "toggle", "button"]
    options: Sequence[str] | Sequence[tuple[Any, str]] = ()
    value: Any = None
    placeholder: str = ""
    group: str = ""

    def choices(self) -> list[tuple[Any, str]]:
        """Return the options as pairs of a value and its label."""
        return [(option, option) if isinstance(option, str) else (option[0], str(option[1])) for option in self.options]

    def said(self) -> dict[str, Any]:
        """Return the control as JSON; of a select, the number of the chosen option, since values may be anything."""
        content = {"name": self.name, "label": self.label, "kind": self.kind, "placeholder": self.placeholder, "group": self.group}
        if self.kind == "select":
            values = [value for value, _ in self.choices()]
            chosen = values.index(self.value) if self.value in values else None
            return content | {"options": [label for _, label in self.choices()], "value": chosen}
        if self.kind == "toggle":
            return content | {"value": bool(self.value)}
        return content | {"value": "" if self.value is None else str(self.value)}

    def heard(self, value: object) -> Any:
        """Return the value that a page's answer stands for."""
        if self.kind == "select":
            choices = self.choices()
            return choices[value][0] if isinstance(value, int) and 0 <= value < len(choices) else None
        return {"toggle": bool(value), "text": str(value), "button": None}[self.kind]


@dataclass(frozen=True, eq=False)
class Query:
    """A place on the map, and the points nearest to it in the order of the original space."""

    place: Place
    rows: Rows
    distances: NDArray[np.float64]
    label: str = ""
    approximate: bool = True

    @classmethod
    def of(cls, n: int, place: Sequence[float], rows: object, distances: Sequence[float], label: str, approximate: bool) -> Query:  # noqa: FBT001
        """Return a query among `n` points as a caller hands it in."""
        hits = np.asarray(rows)
        rows_of("indices", hits, n)
        return cls(spot_of("place", place), hits.astype(np.intp).reshape(-1), np.asarray(distances, np.float64), label, approximate)

    def lines_of(self, row: int) -> list[tuple[str, str]]:
        """Return what hovering over a point says of its rank."""
        ranks = np.flatnonzero(self.rows == row)
        if not len(ranks):
            return []
        rank = int(ranks[0])
        distance = [("distance", f"{self.distances[rank]:.4g}")] if rank < len(self.distances) else []
        return [("rank", f"{rank + 1} of {len(self.rows)}"), *distance]


@dataclass(frozen=True, eq=False)
class Drawing:
    """Everything a map shows.

    Attributes
    ----------
    selected : ndarray of intp
        Ascending.
    highlighted : ndarray of intp, or None
        Ascending; None if nothing is to be told from anything.
    """

    cloud: Cloud = field(default_factory=Cloud)
    colors: Colors = field(default_factory=lambda: plain(0))
    sizes: NDArray[np.float32] | None = None
    selected: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    highlighted: Rows | None = None
    query: Query | None = None
    labels: tuple[tuple[str, Place], ...] = ()
    controls: tuple[Control, ...] = ()
    status: tuple[str, float | None, str] = ("", None, "")
    stale: tuple[str, str] | None = None

    @cached_property
    def sent(self) -> Rows | None:
        """The points that a page holds, ascending; None if it holds all."""
        if not self.cloud.sampled:
            return self.cloud.placed
        wanted = np.zeros(len(self.cloud), np.bool_)
        for rows in (self.cloud.sample, _some(self.selected), _some(self.highlighted), None if self.query is None else self.query.rows):
            if rows is not None:
                wanted[rows] = True
        return np.flatnonzero(wanted)

    def part(self, name: str) -> Packed:
        """Return one of `ALIGNED` or `OTHERS` for a page."""
        said: Packed = getattr(self, f"_{name}")()
        return said

    def together(self, names: Sequence[str], **about: Any) -> Packed:
        """Return several parts in one message: their contents by name, their arrays as ``part/array``, and what is said `about` them."""
        parts = {name: self.part(name) for name in names}
        content = {"about": about, "parts": {name: part.content for name, part in parts.items()}}
        return Packed(content, {f"{name}/{array}": values for name, part in parts.items() for array, values in part.arrays.items()})

    def _kept(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self.sent is None else values[self.sent]

    def _bits(self, rows: Rows | None) -> dict[str, NDArray[np.uint8]]:
        if rows is None or not len(rows):
            return {}
        mask = np.zeros(len(self.cloud), np.bool_)
        mask[rows] = True
        return {"bits": np.packbits(self._kept(mask), bitorder="little")}

    def _points(self) -> Packed:
        cloud = self.cloud
        center, halves = cloud.frame
        content = {
            "count": len(cloud),
            "dimensions": cloud.dimensions,
            "center": center.tolist(),
            "halves": halves.tolist(),
            "diameter": automatic_diameter(len(cloud), cloud.dimensions),
            "opacity": automatic_opacity(len(cloud)),
            "sampled": cloud.sampled,
        }
        arrays: dict[str, NDArray[Any]] = {"positions": self._kept(cloud.positions)}
        if self.sent is not None:
            arrays["rows"] = self.sent
        if cloud.approximate is not None:
            arrays["approximate"] = np.packbits(self._kept(cloud.approximate), bitorder="little")
        return Packed(content, arrays)

    def _coloring(self) -> Packed:
        return Packed({"legend": self.colors.legend}, {"codes": self._kept(self.colors.codes), "palette": self.colors.palette})

    def _sizes(self) -> Packed:
        return Packed({}, {} if self.sizes is None else {"diameters": self._kept(self.sizes)})

    def _selection(self) -> Packed:
        return Packed({"count": len(self.selected)}, self._bits(self.selected))

    def _highlight(self) -> Packed:
        return Packed({"count": None if self.highlighted is None else len(self.highlighted)}, self._bits(self.highlighted))

    def _query(self) -> Packed:
        query = self.query
        if query is None:
            return Packed({"place": None})
        slots = query.rows
        if self.sent is not None:
            found = np.minimum(np.searchsorted(self.sent, query.rows), max(len(self.sent) - 1, 0))
            slots = np.where(np.isin(query.rows, self.sent), found, -1)
        content = {"place": _three(query.place), "label": query.label[:LABEL_LENGTH], "approximate": query.approximate}
        return Packed(content, {"slots": slots})

    def _labels(self) -> Packed:
        return Packed({"labels": [(text[:LABEL_LENGTH], _three(place)) for text, place in self.labels]})

    def _controls(self) -> Packed:
        return Packed({"controls": [control.said() for control in self.controls]})

    def _status(self) -> Packed:
        text, fraction, detail = self.status
        return Packed({"text": text[:SAID_LENGTH], "fraction": fraction, "detail": detail[:DETAIL_LENGTH]})

    def _stale(self) -> Packed:
        message, action = self.stale or (None, "")
        return Packed({"message": None if message is None else message[:SAID_LENGTH], "action": action})


def _some(rows: Rows | None) -> Rows | None:
    """Return at most `SAMPLE` of ascending numbers, evenly spread."""
    return rows if rows is None or len(rows) <= SAMPLE else rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(np.intp)]


def spot_of(argument: str, place: Sequence[float]) -> Place:
    """Return a place on the map as a caller hands it in.

    Raises
    ------
    InvalidArgumentError
        Not two or three finite coordinates.
    """
    spot = tuple(float(value) for value in place)
    if len(spot) not in (2, 3) or not np.isfinite(spot).all():
        raise InvalidArgumentError(f"{argument}: got the place {spot}, expected two or three finite coordinates.")
    return spot


def _three(place: Place) -> list[float]:
    return [float(value) for value in (*place, 0.0)[:3]]
