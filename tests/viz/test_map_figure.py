"""Figures: what is drawn, in which colours, and what travels to the browser."""

from __future__ import annotations

import html
import json
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.viz.color import MISSING_COLOR, OTHER_COLOR, PALETTE, date_ticks
from chroma_nb.viz.figure import HOVER_TEXT_UP_TO, automatic_diameter, automatic_opacity, scatter

HOSTILE = ("<script>alert(1)</script>", "<b>bold</b>", "<a href='javascript:alert(1)'>x</a>", "\u202elive\u202c", "%{x} $a$ &lt;", "a<br>b")


def frame(n: int = 40, **columns: object) -> pd.DataFrame:
    """Return a map of n records with the given columns."""
    rng = np.random.default_rng(0)
    places = {"x": rng.normal(size=n), "y": rng.normal(size=n)}
    table: pd.DataFrame = pd.DataFrame(places | columns, index=[f"id{at}" for at in range(n)])
    return table


def names(figure: Any) -> dict[str, str]:
    """Return legend entry -> colour, in legend order."""
    traces = sorted(figure.data, key=lambda trace: trace.legendrank)
    return {html.unescape(trace.name.partition("  <")[0]): trace.marker.color for trace in traces if trace.showlegend}


def points(figure: Any) -> int:
    """Return the number of markers of all traces."""
    return sum(len(trace.x) for trace in figure.data)


def test_a_plain_map_is_one_webgl_trace_of_float32() -> None:
    data = frame()
    (trace,) = scatter(data).data
    assert (trace.type, trace.mode, trace.showlegend) == ("scattergl", "markers", False)
    assert trace.x.dtype == trace.y.dtype == np.float32
    np.testing.assert_array_equal(trace.x, data["x"].to_numpy(np.float32))


def test_a_third_coordinate_makes_a_3d_map() -> None:
    figure = scatter(frame(z=np.arange(40)))
    assert [trace.type for trace in figure.data] == ["scatter3d"]
    assert figure.data[0].z.dtype == np.float32
    assert figure.layout.scene.xaxis.visible is figure.layout.scene.zaxis.visible is False


def test_a_metadata_column_called_z_need_not_be_a_coordinate() -> None:
    data = frame(z=["a", "b"] * 20)
    figure = scatter(data, dimensions=2, color="z")
    assert [trace.type for trace in figure.data] == ["scattergl"] * 2
    with pytest.raises(InvalidArgumentError, match="expected the columns 'x', 'y', 'z'"):
        scatter(frame(), dimensions=3)


def test_background_is_transparent_and_axes_are_hidden() -> None:
    layout = scatter(frame()).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.xaxis.visible is layout.yaxis.visible is False


def test_categories_by_size_the_rest_together_and_missing_ones() -> None:
    values: list[object] = [f"c{at}" for at in range(30) for _ in range(40 - at)]
    values += [None, float("nan"), None]
    figure = scatter(frame(len(values), topic=values), color="topic")
    shown = names(figure)
    assert list(shown) == [*(f"c{at}" for at in range(20)), "other (10 values)", "n/a"]
    assert list(shown.values()) == [*PALETTE, OTHER_COLOR, MISSING_COLOR]
    assert points(figure) == len(values)
    assert "topic" in figure.layout.legend.title.text


def test_traces_hold_the_records_of_their_category() -> None:
    data = frame(topic=["a", "b"] * 20)
    for trace in scatter(data, color="topic").data:
        expected = data[data["topic"] == trace.name[0]]
        np.testing.assert_array_equal(trace.x, expected["x"].to_numpy(np.float32))
        assert all(f"<b>{record}</b>" in text for record, text in zip(expected.index, trace.hovertext, strict=True))


def test_small_groups_are_drawn_over_large_ones_and_named_ones_over_the_rest() -> None:
    figure = scatter(frame(10, topic=["a"] * 5 + ["b"] * 2 + ["c", None, None]), color="topic", max_categories=2)
    assert [trace.name.partition("  <")[0] for trace in figure.data] == ["n/a", "other (1 value)", "a", "b"]


def test_an_ordered_categorical_keeps_its_order() -> None:
    grades = pd.Categorical(["high"] * 5 + ["low"] * 3 + ["mid"] * 2, ["low", "mid", "high", "never"], ordered=True)
    assert list(names(scatter(frame(10, grade=grades), color="grade"))) == ["low", "mid", "high"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, True, True], ["True", "False"]),
        (pd.array([True, None, True, False], dtype="boolean"), ["True", "False", "n/a"]),
        ([["a", "b"], ["a", "b"], ["c"], None], ["['a', 'b']", "['c']", "n/a"]),
        (["", "", "x", "x"], ["(empty)", "x"]),
        ([None, None, None, None], ["n/a"]),
        ([1, "one", 1, "one"], ["1", "one"]),
    ],
)
def test_what_is_not_a_number_or_a_date_is_a_category(values: Any, expected: list[str]) -> None:
    assert list(names(scatter(frame(4, value=values), color="value"))) == expected


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4],
        [1.5, float("nan"), 3.0, float("inf")],
        pd.array([1, None, 3, 4], dtype="Int64"),
        pd.array([1.5, None, 3.5, 4.5], dtype="Float64"),
        pd.Series([1, None, 3.5, 4], dtype=object).tolist(),
        np.array([1, 2, 3, 4], "f4"),
    ],
)
def test_numbers_get_a_colour_bar_and_missing_ones_a_grey_trace(values: Any) -> None:
    figure = scatter(frame(4, value=values), color="value")
    *missing, scale = figure.data
    finite = [float(value) for value in values if value is not None and value is not pd.NA and np.isfinite(value)]
    assert list(scale.marker.color) == finite
    assert (scale.marker.cmin, scale.marker.cmax, scale.marker.showscale) == (min(finite), max(finite), True)
    assert "value" in scale.marker.colorbar.title.text
    assert [trace.marker.color for trace in missing] == [MISSING_COLOR] * (len(finite) < 4)
    assert points(figure) == 4


def test_a_colour_range_of_the_callers_choice() -> None:
    marker = scatter(frame(value=range(40)), color="value", color_range=(10, 20)).data[0].marker
    assert (marker.cmin, marker.cmax) == (10, 20)


def test_numbers_that_float32_cannot_tell_apart_stay_float64() -> None:
    values = 1e12 + np.arange(40.0)
    np.testing.assert_array_equal(scatter(frame(value=values), color="value").data[0].marker.color, values)


@pytest.mark.parametrize("timezone", [None, "Europe/Vienna"])
def test_dates_get_a_colour_bar_with_dates_on_it(timezone: str | None) -> None:
    moments = pd.Series(pd.date_range("2020-03-01", periods=40, freq="30D", tz=timezone))
    moments = moments.where(moments.index != 3)
    missing, scale = scatter(frame(when=moments.to_numpy() if timezone is None else list(moments)), color="when").data
    assert len(missing.x) == 1
    assert list(scale.marker.colorbar.ticktext) == ["2021", "2022", "2023"]
    assert scale.marker.color[0] == moments[0].timestamp() * 1000


@pytest.mark.parametrize("span", [0, 5, 900, 7e4, 4e6, 2e7, 1e8, 9e8, 1e10, 1e11, 1e12, 5e12])
def test_date_ticks_are_few_distinct_and_inside(span: float) -> None:
    low = 1.6e12
    at, texts = date_ticks(low, low + span)
    assert 1 <= len(at) <= 7
    assert len(set(texts)) == len(texts)
    assert all(low <= place <= low + span for place in at)


def test_values_by_id_by_position_and_as_an_array() -> None:
    data = frame(4)
    by_id = pd.Series([3, 2, 1, 0], index=["id3", "id2", "id1", "id0"], name="rank")
    for values in (by_id, pd.Series([0, 1, 2, 3]), np.arange(4), [0, 1, 2, 3]):
        assert list(scatter(data, color=values).data[0].marker.color) == [0, 1, 2, 3]
    assert "rank" in scatter(data, color=by_id).data[0].marker.colorbar.title.text


def test_sizes_from_a_column_grow_with_it_and_shrink_with_the_number_of_records() -> None:
    data = frame(4, weight=[0.0, 1.0, 4.0, None])
    sizes = scatter(data, size="weight").data[0].marker.size
    assert sizes[0] == sizes[3] < sizes[1] < sizes[2]
    assert scatter(data, size=7).data[0].marker.size == 7
    assert automatic_diameter(10) > automatic_diameter(10_000) > automatic_diameter(10**7) > 1
    assert automatic_opacity(10) > automatic_opacity(10_000) > automatic_opacity(10**7) > 0.2
    assert automatic_diameter(1000, 3) < automatic_diameter(1000, 2)


def test_hover_has_id_snippet_and_chosen_columns() -> None:
    data = frame(1, document=["word " * 100], year=[2020], price=[1.25], note=[None])
    text = scatter(data, hover=["year", "price", "note"]).data[0].hovertext[0]
    assert text.startswith("<b>id0</b><br>word word")
    assert text.endswith("…<br>year: 2020<br>price: 1.25<br>note: n/a")
    assert len(text) < 250
    assert "year" not in scatter(data).data[0].hovertext[0]
    assert scatter(data, color="year").data[0].hovertext[0].endswith("year: 2020")


def test_no_hover_on_request() -> None:
    (trace,) = scatter(frame(document=["secret"] * 40), hover=False).data
    assert (trace.hoverinfo, trace.hovertext) == ("skip", None)


@pytest.mark.parametrize("color", [None, "topic", "value", "when"])
def test_big_maps_carry_no_texts(color: str | None) -> None:
    n = HOVER_TEXT_UP_TO + 1
    columns = {"topic": ["needle"] * n, "value": np.arange(n), "when": pd.date_range("2020", periods=n, freq="h")}
    figure = scatter(frame(n, document=["haystack"] * n, **columns), color=color, hover=["topic", "document"])
    sent = figure.to_json()
    assert "haystack" not in sent
    assert "id17" not in sent
    assert sent.count("needle") == (color == "topic")
    assert len(sent) < n * 25
    assert points(figure) == n


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_never_obeyed(text: str) -> None:
    data = frame(4, **{text: [text, text, "z", None]}, document=[text] * 4).rename(index={"id0": text})
    figures = [
        scatter(data, color=text, title=text),
        scatter(data, color=np.arange(4), hover=[text]),
        scatter(data, color=pd.Series([1, 2, 3, 4], name=text)),
    ]
    for figure in figures:
        for found in strings(json.loads(figure.to_json())["data"]) + strings(figure.layout.to_plotly_json()):
            bare = found.replace("%{marker.color:.6~g}<extra></extra>", "")
            for tag in ("<b>", "</b>", "<br>", "<span style='font-size:10px'>", "</span>"):
                bare = bare.replace(tag, "")
            assert not set(bare) & set("<>%$\u202e\u202c"), found


def strings(node: object) -> list[str]:
    """Return all texts inside a JSON value."""
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else []
    return [text for child in children for text in strings(child)]


def test_records_without_a_place_are_left_out_with_their_colours() -> None:
    data = frame(4, topic=["a", "b", "c", "d"])
    data.loc["id1", "x"] = np.nan
    data.loc["id2", "y"] = np.inf
    figure = scatter(data, color="topic", size=[1, 2, 3, 4])
    assert list(names(figure)) == ["a", "d"]
    assert points(figure) == 2


@pytest.mark.parametrize("data", [frame(0), frame(0, topic=[]), frame(2).assign(x=np.nan)])
def test_an_empty_map_says_so(data: pd.DataFrame) -> None:
    figure = scatter(data, color="topic" if "topic" in data else None, size=[1] * len(data))
    assert len(figure.data) == 0
    assert figure.layout.annotations[0].text == "No records to show"


def test_an_unknown_column_is_named_with_the_ones_there_are() -> None:
    data = frame(topic=["a"] * 40)
    for argument in ("color", "size", "hover"):
        with pytest.raises(InvalidArgumentError, match=rf"{argument}: no column 'topci'; there are .*'topic'.* Did you mean 'topic'"):
            scatter(data, **cast("Any", {argument: "topci"}))


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"color": [1, 2]}, InvalidArgumentError, "2 values for 40 records"),
        ({"color": np.zeros((40, 2))}, InvalidTypeError, "one value per record"),
        ({"size": "topic"}, InvalidTypeError, "expected numbers"),
        ({"size": -1}, InvalidArgumentError, "pixels"),
        ({"hover": 5}, InvalidTypeError, "hover"),
        ({"hover": [5]}, InvalidTypeError, "name of a column"),
        ({"legend": "left"}, InvalidArgumentError, "'right', 'bottom' or False"),
        ({"max_categories": 50}, InvalidArgumentError, "1 to 20"),
        ({"opacity": 2}, InvalidArgumentError, "0.01 to 1"),
        ({"color_range": (2, 1)}, InvalidArgumentError, "smaller first"),
        ({"height": "tall"}, InvalidArgumentError, "pixels"),
    ],
)
def test_wrong_looks_are_named(options: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        scatter(frame(topic=["a"] * 40), **options)


def test_what_is_no_map_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'x', 'y', got 'x'"):
        scatter(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(InvalidTypeError, match="DataFrame"):
        scatter({"x": [1], "y": [1]})  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="'y' has dtype"):
        scatter(pd.DataFrame({"x": [1.0], "y": ["a"]}))
    with pytest.raises(InvalidArgumentError, match="several columns"):
        scatter(pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], columns=["x", "y", "t", "t"]), color="t")


def test_legend_places() -> None:
    data = frame(topic=["a", "b"] * 20, value=range(40))
    assert scatter(data, color="topic", legend="bottom").layout.legend.orientation == "h"
    assert scatter(data, color="value", legend="bottom").data[0].marker.colorbar.orientation == "h"
    assert not any(trace.showlegend for trace in scatter(data, color="topic", legend=False).data)
    assert scatter(data, color="value", legend=False).data[0].marker.showscale is False
