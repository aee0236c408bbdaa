"""One record in full: its text, metadata, picture and neighbours.

Lives here: what of a record travels when. Long texts and pictures go to a page when it asks for them. Where a picture comes from is in
`chroma_nb.widgets.images`, what a value looks like in `chroma_nb.widgets.cells`, drawing in ``static/detail*.js``. Used by the explorer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import traitlets

from chroma_nb import html
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.scalars import is_absent
from chroma_nb.widgets import cells, images
from chroma_nb.widgets.channel import Answerer, Content, Packed, Talking

_DOCUMENT = 2000
_VALUE = 1000
_SNIPPET = 160
_STATIC_DOCUMENT = 600


@dataclass(frozen=True)
class Neighbour:
    """A record near another.

    Parameters
    ----------
    rank
        From 1, the nearest.
    snippet
        The beginning of its document.
    """

    id: str
    rank: int
    distance: float
    snippet: str = ""


@dataclass(frozen=True)
class Record:
    """What the panel shows of a record.

    Parameters
    ----------
    distance, rank
        To the query it was found by, if any.
    image, image_type
        Bytes of a picture, as `images.image_of` returns them.
    note
        What else is to be said of it, such as why there is no picture.
    """

    id: str
    document: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    uri: str | None = None
    distance: float | None = None
    rank: int | None = None
    neighbours: Sequence[Neighbour] = ()
    image: bytes | None = field(default=None, repr=False)
    image_type: str | None = None
    note: str = ""


class DetailWidget(Talking, front="detail"):
    """A panel for one record at a time.

    Parameters
    ----------
    height
        Pixels after which the panel scrolls, 0 for as high as what it shows; an observable trait.

    Examples
    --------
    >>> panel = DetailWidget()
    >>> panel.set_record(Record("a", "some text", {"year": 2024}))
    >>> panel.record.id
    'a'
    """

    height = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._record: Record | None = None
        self._version = 0
        self._loading = False
        self._actions: list[tuple[str, str]] = []
        self._on_open: list[Callable[[str], object]] = []
        self._on_action: list[Callable[[str, str], object]] = []
        self._on_filter: list[Callable[[str, Any], object]] = []
        super().__init__(**traits)

    @property
    def record(self) -> Record | None:
        """The record that is shown."""
        return self._record

    def set_record(self, record: Record | None) -> None:
        """Show `record`, or that there is none.

        Raises
        ------
        InvalidArgumentError
            Its image is no PNG, JPEG, GIF, WebP or AVIF.
        """
        if record is not None and record.image is not None and images.type_of(record.image) is None:
            raise InvalidArgumentError(f"record {record.id[:60]!r}: its image is no PNG, JPEG, GIF, WebP or AVIF; convert it to one")
        with self._lock:
            self._record, self._loading = record, False
            self._version += 1
        self._tell("changed")

    def set_loading(self) -> None:
        """Show that another record is under way, until `set_record`."""
        with self._lock:
            self._loading = True
        self._tell("changed")

    def set_actions(self, actions: Sequence[tuple[str, str]]) -> None:
        """Set the buttons of the panel, as (name, label)."""
        with self._lock:
            self._actions = list(actions)
        self._tell("changed")

    def on_open(self, call: Callable[[str], object]) -> None:
        """Call ``call(id)`` when the user clicks a neighbour."""
        self._on_open.append(call)

    def on_action(self, call: Callable[[str, str], object]) -> None:
        """Call ``call(name, id)`` when the user presses a button."""
        self._on_action.append(call)

    def on_filter(self, call: Callable[[str, Any], object]) -> None:
        """Call ``call(key, value)`` when the user clicks a metadata value, to see the records that have it."""
        self._on_filter.append(call)

    def _answers(self) -> Mapping[str, Answerer]:
        return {
            "state": self._answer_state,
            "text": self._answer_text,
            "image": self._answer_image,
            "open": self._answer_open,
            "action": self._answer_action,
            "filter": self._answer_filter,
        }

    def _answer_state(self, *_: object) -> Content:
        with self._lock:
            record = self._record
            return {
                "version": self._version,
                "loading": self._loading,
                "actions": [[cells.text(name), cells.text(label)] for name, label in self._actions],
                "filters": bool(self._on_filter),
                "record": None if record is None else _written(record),
            }

    def _answer_text(self, asked: Content, _: object) -> Content:
        """Answer with the whole of what the page has the beginning of: the id, the document, the uri or a metadata value."""
        record, what = self._asked(asked), asked["what"]
        value = record.metadata[_key(record, asked)] if what == "value" else {"id": record.id, "uri": record.uri}.get(what, record.document)
        return {"text": cells.text(value)}

    def _answer_image(self, asked: Content, _: object) -> Packed:
        image = self._asked(asked).image or b""
        return Packed({"type": images.type_of(image)}, {"image": np.frombuffer(image, np.uint8)})

    def _answer_open(self, asked: Content, _: object) -> None:
        neighbour = self._asked(asked).neighbours[asked["place"]]
        for call in self._on_open:
            call(neighbour.id)

    def _answer_action(self, asked: Content, _: object) -> None:
        record = self._asked(asked)
        for call in self._on_action:
            call(str(asked["name"]), record.id)

    def _answer_filter(self, asked: Content, _: object) -> None:
        record = self._asked(asked)
        key = _key(record, asked)
        for call in self._on_filter:
            call(key, record.metadata[key])

    def _asked(self, asked: Content) -> Record:
        """Return the record that a question is about, which must still be the one that is shown."""
        with self._lock:
            if self._record is None or asked["version"] != self._version:
                raise InvalidArgumentError("another record is shown by now; try again")
            return self._record

    def _static_html(self) -> str:
        record = self._record
        if record is None:
            return ""
        document = html.element(
            "div", html.esc(record.document or "", _STATIC_DOCUMENT), style="white-space:pre-wrap;margin:4px 0", dir="auto"
        )
        rows = [(key, cells.text(value)) for key, value in record.metadata.items() if not is_absent(value)]
        return str(html.card(record.id, _place(record), document, html.table(rows) if rows else ""))


def _key(record: Record, asked: Content) -> str:
    return list(record.metadata)[asked["place"]]


def _place(record: Record) -> str:
    parts = [
        "" if record.rank is None else f"rank {record.rank}",
        "" if record.distance is None else f"distance {cells.number(record.distance)}",
    ]
    return ", ".join(filter(None, parts))


def _written(record: Record) -> dict[str, Any]:
    document = None if record.document is None else cells.text(record.document)
    shares = cells.shares([neighbour.distance for neighbour in record.neighbours])
    return {
        "id": cells.cut(cells.text(record.id), _VALUE),
        "place": _place(record),
        "document": document and document[:_DOCUMENT],
        "length": len(document or ""),
        "uri": None if record.uri is None else cells.cut(cells.text(record.uri), _VALUE),
        "metadata": [[cells.cut(cells.text(key), _VALUE), cells.cell(value, _VALUE)] for key, value in record.metadata.items()],
        "neighbours": [
            {
                "id": cells.cut(cells.text(each.id), _SNIPPET),
                "rank": each.rank,
                "distance": cells.number(each.distance),
                "share": share,
                "snippet": cells.cut(cells.text(each.snippet), _SNIPPET),
            }
            for each, share in zip(record.neighbours, shares, strict=True)
        ],
        "image": record.image is not None,
        "note": cells.text(record.note),
    }
