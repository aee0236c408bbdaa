"""The live map: points by WebGL, a lasso that selects exactly, a query with its hits on it.

Lives here: the widget, which knows arrays and nothing of collections. The explorer gives it points and colours and hears from it what was
selected, clicked and asked. The page's half is ``static/map.js`` and its neighbours; plotly has no part in it, because it costs megabytes
per widget, keeps modifier keys to itself and animates no WebGL.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import traitlets

from chroma_nb import html
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz.color import Coloring
from chroma_nb.widgets import map_picture
from chroma_nb.widgets.channel import Answerer, Content, Mode, Packed, Talking
from chroma_nb.widgets.map_cloud import Cloud, Rows, View, numbers_of, rows_of
from chroma_nb.widgets.map_colors import painted, plain
from chroma_nb.widgets.map_parts import ALIGNED, OTHERS, Control, Drawing, Query, Shown, spot_of

__all__ = ["Control", "MapWidget", "Mode", "Shown"]

_LOG = logging.getLogger("chroma_nb.widgets")

TEXT_LENGTH: Final = 300
LINES: Final = 12


class MapWidget(Talking, front="map"):
    """A map of points in two or three dimensions.

    What is set is drawn at once in every view. Setters may be called from any thread; callbacks are called from the thread that hears the
    page, outside of locks, and what they raise is logged and shown in the status line.

    Parameters
    ----------
    height
        Of the map without its rows of controls, pixels; the viewer may drag it.

    Examples
    --------
    >>> widget = MapWidget()
    >>> widget.set_points(np.array([[0, 0], [1, 1], [2, 0]], np.float32))
    >>> widget.set_selection(np.array([0, 2]))
    >>> widget.selected.tolist()
    [0, 2]
    """

    height = traitlets.Int(560).tag(sync=True)
    density = traitlets.Bool(False).tag(sync=True)  # noqa: FBT003

    def __init__(self, **traits: Any) -> None:
        self._drawing = Drawing()
        self._serial = 0
        self._news: dict[str, int] = {}
        self._watched = False
        self._calls: dict[str, list[Callable[..., Any]]] = {}
        super().__init__(**traits)

    @property
    def selected(self) -> Rows:
        """The numbers of the selected points, ascending."""
        return self._drawing.selected

    def set_points(self, positions: object, *, animate: bool = True, approximate: object = None) -> None:
        """Show points; where there are as many as before, they glide to their new places.

        Colours, sizes, selection and highlight stay if the number of points does. Query and labels go in any case: their places were in
        the old layout.

        Parameters
        ----------
        positions : array_like, shape (n, 2) or (n, 3), float32
            Points whose coordinates are not finite are not shown and not selected.
        approximate : array_like of bool, shape (n,), optional
            Points that were placed without being laid out; they are drawn hollow.

        Raises
        ------
        InvalidArgumentError
            The shapes are others.
        """
        cloud = Cloud.of(positions, approximate)
        with self._lock:
            old = self._drawing
            if len(cloud) == len(old.cloud):
                fresh = replace(old, cloud=cloud, query=None, labels=())
            else:
                fresh = Drawing(cloud, plain(len(cloud)), controls=old.controls, status=old.status, stale=old.stale)
            self._drawing = fresh
            self._say(ALIGNED, ALIGNED, animate=animate)

    def prepare(self) -> None:
        """Make now what the first lasso would wait for, in whatever thread this is."""
        self._drawing.cloud.prepare()

    def set_coloring(self, coloring: Coloring | None, title: str = "") -> None:
        """Colour the points by groups or by a scale, and show the legend under `title`; None gives all the same colour."""
        self._change("coloring", lambda n: {"colors": plain(n) if coloring is None else painted(coloring, n, title)})

    def set_sizes(self, diameters: object) -> None:
        """Draw each point with a diameter of its own, (n,) pixels at the first zoom; None gives all the one that suits their number."""
        self._change("sizes", lambda n: {"sizes": None if diameters is None else numbers_of("diameters", diameters, n)})

    def set_selection(self, indices: object) -> None:
        """Mark these points as selected and dim the others; an empty selection dims none."""
        self._change("selection", lambda n: {"selected": rows_of("indices", indices, n)})

    def set_highlight(self, indices: object) -> None:
        """Dim the points that are not among these, such as those a filter leaves out; None dims none."""
        self._change("highlight", lambda n: {"highlighted": None if indices is None else rows_of("indices", indices, n)})

    def set_query(
        self,
        place: Sequence[float] | None,
        indices: object = (),
        distances: Sequence[float] = (),
        *,
        label: str = "",
        approximate: bool = True,
    ) -> None:
        """Show a query at its place, joined to its hits by lines, and their ranks.

        Parameters
        ----------
        place : sequence of float, or None
            Two or three coordinates; None removes the query.
        indices : array_like of int
            The hits, nearest first.
        distances : sequence of float
            In the original space, for the hits; shown when one hovers over them.
        label
            What stands beside the place.
        approximate
            Whether the place is only near where a layout would have put it, which is said.
        """
        self._change("query", lambda n: {"query": None if place is None else Query.of(n, place, indices, distances, label, approximate)})

    def set_labels(self, labels: Sequence[tuple[str, Sequence[float]]]) -> None:
        """Write texts at places of the map, the most important first: where there is no room, the later ones give way."""
        written = tuple((text, spot_of("labels", place)) for text, place in labels)
        self._change("labels", lambda _: {"labels": written})

    def set_controls(self, controls: Sequence[Control]) -> None:
        """Fill the row above the map."""
        self._change("controls", lambda _: {"controls": tuple(controls)})

    def set_control(self, name: str, value: Any) -> None:
        """Give one of the controls another value, without a call of `on_control`."""
        with self._lock:
            controls = self._drawing.controls
            if name not in [control.name for control in controls]:
                raise InvalidArgumentError(
                    f"control: no {name!r}; there are {', '.join(repr(control.name) for control in controls) or 'none'}."
                )
            self.set_controls([replace(control, value=value) if control.name == name else control for control in controls])

    def set_status(self, text: str, fraction: float | None = None, *, detail: str = "") -> None:
        """Write the line under the map, with a bar while `fraction` is a number from 0 to 1; `detail` opens on demand."""
        share = None if fraction is None else float(np.clip(fraction, 0, 1))
        self._change("status", lambda _: {"status": (text, share, detail)})

    def set_stale(self, message: str | None, action: str = "") -> None:
        """Show a message over the map with a button `action`, which calls `on_action(action)`; None removes it."""
        self._change("stale", lambda _: {"stale": None if message is None else (message, action)})

    def static_png(self) -> bytes:
        """Return a picture (PNG, 900 x 600) of the map with its colours and selection, for where no widget runs.

        Raises
        ------
        MissingExtraError
            Pillow is not installed.
        """
        return map_picture.thumbnail(self._drawing)

    def on_select(self, call: Callable[[Rows, Mode], Any]) -> None:
        """Call with the exact points of a lasso, a box or a legend's entry. Without a callback, the map selects them itself."""
        self._calls.setdefault("select", []).append(call)

    def on_click(self, call: Callable[[int | None, set[str]], Any]) -> None:
        """Call with the point clicked on, None beside all, and the modifier keys held: "shift", "alt", "ctrl", "meta"."""
        self._calls.setdefault("click", []).append(call)

    def on_hover(self, call: Callable[[int], Shown]) -> None:
        """Call with the point under the pointer; what the last such callback returns is shown beside it."""
        self._calls.setdefault("hover", []).append(call)

    def on_control(self, call: Callable[[str, Any], Any]) -> None:
        """Call with a control's name and its new value."""
        self._calls.setdefault("control", []).append(call)

    def on_action(self, call: Callable[[str], Any]) -> None:
        """Call with the action of the message that `set_stale` shows."""
        self._calls.setdefault("action", []).append(call)

    def _change(self, name: str, changes: Callable[[int], Mapping[str, Any]]) -> None:
        """Replace the part `name` by what `changes` makes of the number of points, which stays while it does."""
        with self._lock:
            self._drawing = replace(self._drawing, **changes(len(self._drawing.cloud)))
            moved = self._drawing.cloud.sampled and name in ("selection", "highlight", "query")
            self._say(ALIGNED if moved else (name,), (name,))

    def _say(self, names: Sequence[str], news: Sequence[str], *, animate: bool = False) -> None:
        """Tell the pages these parts, of which `news` have changed and the others are only said in terms of other points."""
        if self._watched:
            self._serial += 1
            self._news.update(dict.fromkeys(news, self._serial))
            self._tell("parts", self._drawing.together(names, serial=self._serial, news=news, animate=animate))

    def _answers(self) -> Mapping[str, Answerer]:
        return {
            "state": self._state,
            "picture": self._picture,
            "region": self._region,
            "group": self._group,
            "hover": self._hover,
            "click": self._click,
            "control": self._control,
            "action": lambda content, _: self._call("action", str(content["name"])),
        }

    def _state(self, *_: object) -> Packed:
        with self._lock:
            self._watched = True
            self._serial += 1
            everything = (*ALIGNED, *OTHERS)
            return self._drawing.together(everything, serial=self._serial, news=everything, animate=False)

    def _picture(self, content: Content, _: object) -> Packed:
        left, bottom, right, top = (float(value) for value in content["box"])
        size = (int(content["width"]), int(content["height"]))
        file = map_picture.seen(self._drawing, _view(content), (left, bottom, right, top), size, density=bool(content["density"]))
        return Packed({"box": content["box"]}, {"file": np.frombuffer(file, np.uint8)})

    def _region(self, content: Content, _: object) -> Content:
        polygon = np.array(content["polygon"], np.float64).reshape(-1, 2)
        rows = self._known(content, "points").cloud.within(polygon, _view(content))
        self._select(rows, _mode(content))
        return {"count": len(rows)}

    def _group(self, content: Content, _: object) -> None:
        self._select(self._known(content, "coloring").colors.groups[int(content["code"])], _mode(content))

    def _known(self, content: Content, part: str) -> Drawing:
        """Return what is drawn, unless the page asks without having heard of its `part`: it would mean other points."""
        with self._lock:
            if content.get("heard", {}).get(part, self._serial) < self._news.get(part, 0):
                raise InvalidArgumentError("The map has changed meanwhile; look at it again and repeat what you did.")
            return self._drawing

    def _select(self, rows: Rows, mode: Mode) -> None:
        if self._calls.get("select"):
            self._call("select", rows, mode)
        elif mode == "replace":
            self.set_selection(rows)
        else:
            self.set_selection((np.union1d if mode == "add" else np.setdiff1d)(self.selected, rows))

    def _hover(self, content: Content, _: object) -> Content:
        drawing = self._known(content, "points")
        row = _pointed(drawing.cloud, content)
        if row is None:
            return {"row": None}
        shown: Shown | None = self._call("hover", row)
        place = [*drawing.cloud.positions[row].tolist(), 0.0][:3]
        lines = [] if drawing.query is None else drawing.query.lines_of(row)
        if shown is None:
            return {"row": row, "place": place, "title": "", "text": "", "lines": lines}
        told = [(name[:TEXT_LENGTH], value[:TEXT_LENGTH]) for name, value in shown.lines][:LINES]
        text = shown.text if len(shown.text) <= TEXT_LENGTH else shown.text[:TEXT_LENGTH] + "…"
        return {"row": row, "place": place, "title": shown.title[:TEXT_LENGTH], "text": text, "lines": [*lines, *told]}

    def _click(self, content: Content, _: object) -> None:
        self._call("click", _pointed(self._known(content, "points").cloud, content), {str(name) for name in content["modifiers"]})

    def _control(self, content: Content, _: object) -> None:
        with self._lock:
            control = next(control for control in self._drawing.controls if control.name == content["name"])
            value = control.heard(content["value"])
            if control.kind != "button":
                self.set_control(control.name, value)
        self._call("control", control.name, value)

    def _call(self, name: str, *given: Any) -> Any:
        """Call everyone who asked for it, and return what the last one did."""
        answer = None
        for call in list(self._calls.get(name, ())):
            try:
                answer = call(*given)
            except Exception as error:  # noqa: BLE001 - whatever it raises, the page goes on, and there is no cell to show it in
                _LOG.exception("map: on_%s", name)
                self.set_status(f"{type(error).__name__}: {error}")
        return answer

    def _static_html(self) -> str:
        return str(html.picture(self.static_png(), "map")) if len(self._drawing.cloud) else ""


def _pointed(cloud: Cloud, content: Content) -> int | None:
    """Return the point that a page names by its number, or by a place that it is near to."""
    if content.get("row") is not None:
        return int(content["row"]) if 0 <= int(content["row"]) < len(cloud) else None
    if content.get("at") is None:
        return None
    (x, y), (across, up) = content["at"], content["radius"]
    return cloud.nearest((float(x), float(y)), _view(content), (float(across), float(up)))


def _view(content: Content) -> View:
    matrix = content.get("matrix")
    return View(None if matrix is None else np.array(matrix, np.float64).reshape(4, 4))


def _mode(content: Content) -> Mode:
    mode: Mode = content["mode"]
    if mode not in ("replace", "add", "remove"):
        raise InvalidArgumentError(f"mode: got {mode!r}, expected 'replace', 'add' or 'remove'.")
    return mode
