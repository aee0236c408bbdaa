"""The map without a page: what it keeps, what it says, what it answers."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.viz.color import MISSING_COLOR, PALETTE, SCALE, Coloring, Group, coloring
from chroma_nb.viz.raster import rgb
from chroma_nb.widgets import map_cloud
from chroma_nb.widgets.map import MapWidget
from chroma_nb.widgets.map_cloud import Cloud, View
from chroma_nb.widgets.map_colors import painted
from chroma_nb.widgets.map_parts import Control, Drawing, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIANGLE = np.array([[0, 0], [4, 0], [0, 4], [4, 4]], np.float32)


def shown(n: int = 4) -> MapWidget:
    widget = MapWidget()
    widget.set_points(np.resize(TRIANGLE, (n, 2)))
    return widget


def answer(widget: MapWidget, kind: str, **content: Any) -> Any:
    """Return what a page is answered."""
    return widget._answers()[kind](content, [])


def parts(widget: MapWidget) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    packed = answer(widget, "state")
    return packed.content["parts"], packed.arrays


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda widget: widget.set_points([1, 2, 3]), "positions: got shape"),
        (lambda widget: widget.set_points(np.zeros((3, 4))), "positions: got shape"),
        (lambda widget: widget.set_points([["a", "b"]]), "positions: expected a table"),
        (lambda widget: widget.set_points(TRIANGLE, approximate=[1, 0, 1, 0]), "approximate: got int64"),
        (lambda widget: widget.set_points(TRIANGLE, approximate=[True]), "approximate: got bool"),
        (lambda widget: widget.set_selection([4]), "but the points are 0 to 3"),
        (lambda widget: widget.set_selection([-1]), "but the points are 0 to 3"),
        (lambda widget: widget.set_selection([0.5]), "indices: got float64"),
        (lambda widget: widget.set_highlight([[0]]), "indices: got int64 of shape"),
        (lambda widget: widget.set_sizes([1.0]), "diameters: got float64"),
        (lambda widget: widget.set_query((1.0,)), "place: got the place"),
        (lambda widget: widget.set_query((float("nan"), 0.0)), "place: got the place"),
        (lambda widget: widget.set_query((0.0, 0.0), [9]), "indices: got numbers"),
        (lambda widget: widget.set_labels([("a", (1.0, 2.0, 3.0, 4.0))]), "labels: got the place"),
        (lambda widget: widget.set_coloring(Coloring((), np.zeros(3))), "coloring: got 3 values for 4 points"),
        (lambda widget: widget.set_coloring(Coloring((Group("a", np.array([7]), "#ffffff"),))), "a group holds points beyond"),
        (lambda widget: widget.set_control("x", 1), "control: no 'x'"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(call: Any, message: str) -> None:
    widget = shown()
    before = widget._drawing
    with pytest.raises(ChromaError) as error:
        call(widget)
    assert message in str(error.value)
    assert widget._drawing is before


def test_points_of_the_same_number_keep_colours_and_selection() -> None:
    widget = shown()
    widget.set_coloring(coloring(pd.Series(["a", "b", "a", None])), "kind")
    widget.set_selection([3, 1, 1])
    widget.set_highlight([0])
    widget.set_query((1.0, 1.0), [2], [0.5])
    widget.set_labels([("here", (0.0, 0.0))])
    widget.set_points(TRIANGLE[::-1])
    drawing = widget._drawing
    assert widget.selected.tolist() == [1, 3]
    assert drawing.colors.legend["title"] == "kind"
    assert (drawing.query, drawing.labels) == (None, ())
    widget.set_points(TRIANGLE[:3])
    assert widget.selected.tolist() == []
    assert widget._drawing.highlighted is None
    assert widget._drawing.colors.legend == {}


def test_what_a_caller_changes_afterwards_does_not_reach_the_map() -> None:
    widget = MapWidget()
    given_points = TRIANGLE.copy()
    widget.set_points(given_points)
    given_points[:] = 9
    assert widget._drawing.cloud.positions.tolist() == TRIANGLE.tolist()


def test_nothing_is_sent_before_a_page_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    widget = MapWidget()
    told: list[Any] = []
    monkeypatch.setattr(widget, "_tell", lambda kind, packed: told.append((kind, packed.content["about"])))
    widget.set_points(TRIANGLE)
    widget.set_status("working")
    assert told == []
    serial = answer(widget, "state").content["about"]["serial"]
    widget.set_selection([1])
    widget.set_points(TRIANGLE, animate=True)
    assert told[0][1]["news"] == ("selection",)
    assert [about["serial"] for _, about in told] == [serial + 1, serial + 2]
    assert told[1][1]["animate"] is True


def test_points_without_a_place_are_not_sent_and_not_found() -> None:
    widget = MapWidget()
    points = TRIANGLE.copy()
    points[1] = np.nan
    widget.set_points(points)
    widget.set_selection([1, 2])
    widget.set_query((0.0, 0.0), [3, 1, 2])
    content, sent = parts(widget)
    assert sent["points/rows"].tolist() == [0, 2, 3]
    assert sent["points/positions"].tolist() == [[0, 0], [0, 4], [4, 4]]
    assert np.unpackbits(sent["selection/bits"], bitorder="little")[:3].tolist() == [0, 1, 0]
    assert content["selection"]["count"] == 2
    assert sent["query/slots"].tolist() == [2, -1, 1]
    assert content["points"]["halves"] == [2.0, 2.0, 0.0]
    answer(widget, "region", polygon=[-9, -9, 9, -9, 9, 9, -9, 9], matrix=None, mode="replace")
    assert widget.selected.tolist() == [0, 2, 3]


def test_regions_add_and_remove() -> None:
    widget = shown()
    left = [-1, -1, 1, -1, 1, 9, -1, 9]
    low = [-1, -1, 9, -1, 9, 1, -1, 1]
    assert answer(widget, "region", polygon=left, matrix=None, mode="replace") == {"count": 2}
    assert widget.selected.tolist() == [0, 2]
    answer(widget, "region", polygon=low, matrix=None, mode="add")
    assert widget.selected.tolist() == [0, 1, 2]
    answer(widget, "region", polygon=left, matrix=None, mode="remove")
    assert widget.selected.tolist() == [1]
    answer(widget, "region", polygon=[], matrix=None, mode="replace")
    assert widget.selected.tolist() == []
    with pytest.raises(InvalidArgumentError, match="mode"):
        answer(widget, "region", polygon=low, matrix=None, mode="toggle")
    with pytest.raises(InvalidArgumentError, match="has become 2-D"):
        answer(widget, "region", polygon=low, matrix=np.eye(4).ravel().tolist(), mode="add")


def test_a_group_of_the_legend_is_selected_by_who_listens() -> None:
    widget = shown()
    widget.set_coloring(coloring(pd.Series(["a", "b", "b", None])))
    heard: list[Any] = []
    widget.on_select(lambda rows, mode: heard.append((rows.tolist(), mode)))
    entries = parts(widget)[0]["coloring"]["legend"]["entries"]
    assert [(entry["name"], entry["count"], entry["role"]) for entry in entries] == [
        ("b", 2, "category"),
        ("a", 1, "category"),
        ("n/a", 1, "missing"),
    ]
    for entry in entries:
        answer(widget, "group", code=entry["code"], mode="add")
    assert heard == [([1, 2], "add"), ([0], "add"), ([3], "add")]
    assert widget.selected.tolist() == []


def test_a_callback_that_fails_is_shown_and_the_next_is_called(caplog: pytest.LogCaptureFixture) -> None:
    widget = shown()
    heard: list[int] = []
    widget.on_click(lambda *_: {}["absent"])
    widget.on_click(lambda row, _: heard.append(row))
    answer(widget, "click", row=2, modifiers=[])
    assert heard == [2]
    assert widget._drawing.status[0] == "KeyError: 'absent'"
    assert "on_click" in caplog.text


def test_what_a_page_asks_of_points_or_colours_that_are_no_more_is_refused() -> None:
    widget = shown()
    selected: list[Any] = []
    widget.on_select(lambda rows, _: selected.append(rows.tolist()))
    serial = answer(widget, "state").content["about"]["serial"]
    heard = {"points": serial, "coloring": serial}
    region = {"polygon": [-1, -1, 1, -1, 1, 9, -1, 9], "matrix": None, "mode": "replace"}
    widget.set_selection([1])
    answer(widget, "region", **region, heard=heard)
    assert selected == [[0, 2]]
    widget.set_coloring(Coloring((Group("a", np.array([3]), "#ffffff"),)))
    answer(widget, "region", **region, heard=heard)
    with pytest.raises(InvalidArgumentError, match="changed meanwhile"):
        answer(widget, "group", code=0, mode="replace", heard=heard)
    widget.set_points(TRIANGLE[::-1])
    for kind, content in {"region": region, "click": {"row": 0, "modifiers": []}, "hover": {"row": 0}}.items():
        with pytest.raises(InvalidArgumentError, match="changed meanwhile"):
            answer(widget, kind, **content, heard=heard)
    assert selected == [[0, 2], [0, 2]]
    heard = dict.fromkeys(heard, answer(widget, "state").content["about"]["serial"])
    answer(widget, "region", **region, heard=heard)
    assert selected[-1] == [1, 3]


def test_hovering_tells_rank_and_distance_first() -> None:
    widget = shown()
    widget.set_query((0.0, 0.0), [2, 0], [0.25, 1.5])
    assert answer(widget, "hover", row=0)["lines"] == [("rank", "2 of 2"), ("distance", "1.5")]
    widget.on_hover(lambda row: Shown(f"r{row}", "x" * 1000, [("long", "y" * 1000)] * 50))
    known = answer(widget, "hover", row=2)
    assert (known["title"], len(known["text"]), known["place"]) == ("r2", 301, [0.0, 4.0, 0.0])
    assert known["lines"][:2] == [("rank", "1 of 2"), ("distance", "0.25")]
    assert [len(value) for _, value in known["lines"][2:]] == [300] * 12
    assert answer(widget, "hover", row=7) == {"row": None}
    assert answer(widget, "hover", at=[3.9, 0.1], radius=[0.5, 0.5])["row"] == 1
    assert answer(widget, "hover", at=[2.0, 2.0], radius=[0.5, 0.5]) == {"row": None}


def test_controls_say_numbers_and_hear_values() -> None:
    widget = MapWidget()
    heard: list[Any] = []
    widget.on_control(lambda name, value: heard.append((name, value)))
    widget.set_controls(
        [
            Control("color", "Colour", "select", [(None, "nothing"), (("a", 1), "pair")], ("a", 1)),
            Control("plain", "Plain", "select", ["x", "y"], "z"),
            Control("ask", "Ask", "text"),
            Control("deep", "3-D", "toggle", value=False),
            Control("go", "Go", "button"),
        ]
    )
    said = {each["name"]: each for each in parts(widget)[0]["controls"]["controls"]}
    assert [said[name]["value"] for name in ("color", "plain", "ask", "deep")] == [1, None, "", False]
    assert said["color"]["options"] == ["nothing", "pair"]
    for name, value in (("color", 0), ("color", 99), ("ask", "why?"), ("deep", True), ("go", None)):
        answer(widget, "control", name=name, value=value)
    assert heard == [("color", None), ("color", None), ("ask", "why?"), ("deep", True), ("go", None)]
    assert [control.value for control in widget._drawing.controls] == [None, "z", "why?", True, None]
    widget.set_control("deep", value=False)
    assert widget._drawing.controls[3].value is False
    assert len(heard) == 5


def test_colours_are_those_of_the_figure() -> None:
    colors = painted(coloring(pd.Series(["a", "b", "b", None])), 4, "kind")
    assert colors.palette[colors.codes].tolist() == rgb([PALETTE[1], PALETTE[0], PALETTE[0], MISSING_COLOR]).tolist()
    colors = painted(coloring(pd.Series([0.0, 10.0, None, 5.0])), 4, "size")
    assert colors.palette[colors.codes][[0, 1, 2]].tolist() == rgb([SCALE[0], SCALE[-1], MISSING_COLOR]).tolist()
    assert colors.legend["ticks"] == [(0.0, "0"), (0.25, "2.5"), (0.5, "5"), (0.75, "7.5"), (1.0, "10")]
    assert [entry["name"] for entry in colors.legend["entries"]] == ["n/a"]
    dates = painted(coloring(pd.Series(pd.to_datetime(["2020-01-01", "2022-01-01"]))), 2, "day")
    assert dates.legend["ticks"][0][1].endswith("2020")
    assert dates.legend["ticks"][0][0] == 0.0


@given(arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(allow_nan=True, allow_infinity=False)))
def test_every_number_has_a_colour_in_order(values: np.ndarray[Any, Any]) -> None:
    colors = painted(Coloring((), values), len(values), "n") if not np.isnan(values).all() else None
    if colors is None:
        return
    known = ~np.isnan(values)
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(colors.codes[known][order].astype(int)) >= 0).all()
    assert (colors.codes[~known] == len(colors.palette) - 1).all()
    assert (colors.codes[known] < len(colors.palette) - 1).all()
    assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in colors.legend["ticks"])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_nearest_is_the_nearest_in_pixels(dimensions: int) -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(500, dimensions)).astype(np.float32)
    cloud = Cloud.of(points)
    matrix = np.eye(4) + 0.1 * rng.normal(size=(4, 4))
    matrix[3] = [0.02, 0.01, -0.03, 1]
    view = View(matrix if dimensions == 3 else None)
    seen = cloud.seen(view).astype(float)
    radius = (0.2, 0.1) if dimensions == 3 else (0.1, 0.1)
    for x, y in rng.normal(size=(60, 2)):
        gaps = np.hypot((seen[:, 0] - x) / radius[0], (seen[:, 1] - y) / radius[1])
        wanted = int(gaps.argmin()) if gaps.min() <= 1 else None
        assert cloud.nearest((x, y), view, radius) == wanted


def test_a_large_map_sends_a_sample_and_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_cloud, "MOST_SENT", 1000)
    monkeypatch.setattr(map_cloud, "SAMPLE", 200)
    points = np.random.default_rng(1).normal(size=(5000, 2)).astype(np.float32)
    widget = MapWidget()
    widget.set_points(points)
    widget.set_coloring(coloring(pd.Series(np.arange(5000) % 3).astype(str)))
    _, sent = parts(widget)
    assert len(sent["points/rows"]) == 200
    absent = np.setdiff1d(np.arange(5000), sent["points/rows"])
    widget.set_selection(absent[:50])
    widget.set_query((0.0, 0.0), absent[100:103][::-1])
    content, sent = parts(widget)
    rows = sent["points/rows"]
    assert content["points"]["count"] == 5000
    assert content["selection"]["count"] == 50
    assert set(absent[:50]) <= set(rows)
    assert rows[sent["query/slots"]].tolist() == absent[100:103][::-1].tolist()
    assert (sent["points/positions"] == points[rows]).all()
    assert (sent["coloring/codes"] == widget._drawing.colors.codes[rows]).all()
    chosen = np.unpackbits(sent["selection/bits"], bitorder="little")[: len(rows)].astype(bool)
    assert rows[chosen].tolist() == absent[:50].tolist()


def test_a_thumbnail_shows_colours_and_dims_what_is_not_selected() -> None:
    widget = shown()
    widget.set_coloring(coloring(pd.Series(["a", "b", "b", "b"])))
    image = Image.open(io.BytesIO(widget.static_png()))
    assert image.size == (900, 600)
    faintest = np.asarray(image.convert("RGBA"))[..., 3]
    widget.set_selection([0])
    dimmed = np.asarray(Image.open(io.BytesIO(widget.static_png())).convert("RGBA"))[..., 3]
    assert int(dimmed.sum()) < int(faintest.sum())
    deep = MapWidget()
    deep.set_points(np.random.default_rng(0).normal(size=(50, 3)))
    assert np.asarray(Image.open(io.BytesIO(deep.static_png())).convert("RGBA"))[..., 3].any()


def test_a_map_stands_in_a_cell_as_a_picture_where_nothing_runs() -> None:
    assert MapWidget()._static_html() == ""
    assert shown()._static_html().startswith('<img src="data:image/png;base64,')


def test_many_threads_may_set_and_ask_at_once() -> None:
    widget = MapWidget()
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(40):
                n = int(rng.integers(1, 50))
                widget.set_points(rng.normal(size=(n, 2)))
                count = len(widget._drawing.cloud)
                try:
                    widget.set_coloring(coloring(pd.Series(rng.normal(size=count))))
                    widget.set_selection(np.arange(count))
                except InvalidArgumentError:
                    pass  # another thread has set other points meanwhile
                _, sent = parts(widget)
                assert len(sent["points/positions"]) == len(sent["coloring/codes"])
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_empty_map_says_so() -> None:
    content, sent = parts(MapWidget())
    assert content["points"]["count"] == 0
    assert sent["points/positions"].shape == (0, 2)
    assert Drawing().sent is None
