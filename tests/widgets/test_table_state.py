"""The table without a browser: rows, orders, selection, and what travels to a page."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, NotFoundError
from chroma_nb.scalars import Instant
from chroma_nb.widgets import cells
from chroma_nb.widgets.table import Column, FrameSource, TableWidget
from tests.widgets.asking import Answers
from tests.widgets.hostile import PAYLOADS

N = 60


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda widget: Answers(widget, monkeypatch)


def every_type() -> pd.DataFrame:
    """Sixty rows with gaps and ties, a column for each type that a frame of records can have."""
    numbers = [(7 * i) % 13 for i in range(N)]
    gaps = [None if i % 5 == 0 else value for i, value in enumerate(numbers)]
    moments = pd.to_datetime(["2024-01-01"] * N) + pd.to_timedelta(numbers, unit="h")
    columns: dict[str, Any] = {
        "document": [f"text {value}" for value in numbers],
        "int": numbers,
        "gappy": pd.array(gaps, "Int64"),
        "float": [np.nan if value is None else value / 3 for value in gaps],
        "bool": [value > 6 for value in numbers],
        "boolean": pd.array([None if value is None else value > 6 for value in gaps], "boolean"),
        "text": ["" if value == 0 else chr(97 + value) for value in numbers],
        "holes": [None if value is None else chr(97 + value) for value in gaps],
        "category": pd.Categorical([chr(122 - value) for value in numbers], ordered=False),
        "naive": moments,
        "zoned": moments.tz_localize("Europe/Paris"),
        "elapsed": pd.to_timedelta(numbers, unit="min"),
        "date": pd.Series([dt.date(2024, 1, 1 + value) for value in numbers], dtype=object).to_list(),
        "list": [[value, value + 1] for value in numbers],
        "big": [2**60 + value for value in numbers],
        "distance": np.array(numbers) / 7,
        "uint8": np.array(numbers, np.uint8),
        "float32": np.array(numbers, np.float32) / 3,
    }
    return pd.DataFrame(columns, index=pd.Index([f"id{i}" for i in range(N)], name="id"))


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("name", [*every_type().columns, "id"])
def test_the_order_is_that_of_pandas(name: str, ascending: bool) -> None:
    frame = every_type()
    expected = frame.reset_index().sort_values(name, ascending=ascending, kind="stable", na_position="last")["id"].tolist()
    source = FrameSource(frame)
    pages = [source.page(start, start + 7, (name, ascending)) for start in range(0, N, 7)]
    assert [row[0] for page in pages for row in page] == expected


def test_kinds_follow_the_values_and_the_id_comes_first() -> None:
    frame = every_type().assign(embedding=[np.zeros(3, np.float32)] * N, uri="u", when=[Instant(i, "UTC") for i in range(N)])
    source = FrameSource(frame)
    kinds = {column.name: column.kind for column in source.columns}
    assert [column.name for column in source.columns][:4] == ["id", "distance", "document", "uri"]
    assert source.columns[-1].name == "embedding"
    assert not source.columns[-1].sortable
    assert kinds == {
        **dict.fromkeys(["int", "gappy", "float", "big", "uint8", "float32"], "number"),
        **dict.fromkeys(["bool", "boolean"], "bool"),
        **dict.fromkeys(["document", "uri", "text", "holes", "category", "elapsed"], "text"),
        **dict.fromkeys(["naive", "zoned", "date", "when"], "date"),
        **dict.fromkeys(["list", "embedding"], "list"),
        "id": "id",
        "distance": "distance",
    }


@given(
    st.lists(
        st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.lists(st.integers(), max_size=2)),
        max_size=12,
    )
)
def test_a_column_of_mixed_values_has_an_order_with_what_is_missing_last(values: list[Any]) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    for ascending in (True, False):
        page = FrameSource(frame).page(0, len(values), ("x", ascending))
        assert sorted(row[0] for row in page) == sorted(str(i) for i in range(len(values)))
        missing = [cells.cell(row[1]) is None for row in page]
        assert missing == sorted(missing)


def test_frames_of_several_queries_and_odd_frames_are_tables_too() -> None:
    collection = chroma_nb.EphemeralClient().create_collection("shelf")
    collection.add(ids=["a", "b", "c"], embeddings=[[0.0], [1.0], [2.0]], documents=["x", "y", "z"])
    one = FrameSource(collection.query(query_embeddings=[[0.0]], n_results=2))
    assert [column.name for column in one.columns] == ["id", "distance", "document"]
    two = FrameSource(collection.query(query_embeddings=[[0.0], [2.0]], n_results=2))
    assert [column.name for column in two.columns] == ["id", "query", "rank", "distance", "document"]
    assert [row[:3] for row in two.page(0, 9, None)] == [["a", 0, 1], ["b", 0, 2], ["c", 1, 1], ["b", 1, 2]]

    twice = FrameSource(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    assert [column.name for column in twice.columns] == ["id", "x", "x (2)"]
    assert twice.page(0, 1, ("x (2)", True)) == [["0", 1, 2]]
    levels = FrameSource(pd.DataFrame({5: [1]}, index=pd.MultiIndex.from_tuples([("p", 3)])))
    assert (levels.columns[1].name, levels.page(0, 1, None)) == ("5", [["p / 3", 1]])
    nothing = FrameSource(pd.DataFrame())
    assert (nothing.count(), nothing.page(0, 5, ("id", True))) == (0, [])


def test_a_source_of_frames_says_what_it_takes() -> None:
    with pytest.raises(InvalidTypeError, match="expected a pandas DataFrame, got list"):
        FrameSource([1])  # type: ignore[arg-type]
    polars = pytest.importorskip("polars")
    with pytest.raises(InvalidTypeError, match="to_pandas"):
        FrameSource(polars.DataFrame({"a": [1]}))


def test_later_changes_of_the_frame_are_not_seen() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=["a", "b"])
    source = FrameSource(frame)
    frame.loc["a", "x"] = 9
    del frame["x"]
    assert source.page(0, 2, None) == [["a", 1], ["b", 2]]


class Million:
    """A million rows that exist only when asked for."""

    columns = (Column("id", "id"), Column("n", "number", "The number"), Column("even", "bool", sortable=False))

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, Any]] = []

    def count(self) -> int:
        return 1_000_000

    def page(self, start: int, stop: int, sort: Any) -> list[list[object]]:
        self.asked.append((start, stop, sort))
        rows = range(start, min(stop, self.count()))
        numbers = rows if sort is None or sort[1] else [self.count() - 1 - row for row in rows]
        return [[f"row{n}", n, n % 2 == 0] for n in numbers]


def test_only_the_page_that_is_looked_at_is_asked_for_and_sent(asking: Any) -> None:
    source = Million()
    page = asking(TableWidget(source, page_size=25))
    answer = page.ask("page", page=12_345)
    assert source.asked == [(308_625, 308_650, None)]
    assert (answer["count"], answer["number"], len(answer["rows"]), answer["size"]) == (1_000_000, 12_345, 25, 25)
    assert answer["rows"][0]["cells"] == ["row308625", "308625", False]
    assert len(json.dumps(answer)) < 4_000

    by_number = [answer["columns"][1]["key"], False]
    answer = page.ask("page", page=10**9, sort=by_number)
    assert (answer["number"], answer["sort"]) == (39_999, by_number)
    assert answer["rows"][-1]["cells"][0] == "row0"
    assert page.ask("page", page=0, sort=[answer["columns"][2]["key"], True])["sort"] is None, "the source cannot sort by it"
    assert page.ask("page", page=-5)["number"] == 0


def test_every_type_travels_as_plain_json_and_short(asking: Any) -> None:
    frame = every_type().assign(
        hostile=[PAYLOADS[i % len(PAYLOADS)] for i in range(N)],
        odd=[
            [b"\x00\xff", Decimal("1.5"), complex(1, 2), {"a": np.int64(1)}, float("inf"), "\ud83d", {1}, object][i % 8] for i in range(N)
        ],
    )
    answer = asking(TableWidget(FrameSource(frame), page_size=N)).ask("page", page=0)
    for row in answer["rows"]:
        assert all(len(json.dumps(cell)) < 6 * cells.LIMIT + 10 for cell in row["cells"])


def test_distances_lie_between_the_least_and_the_greatest_of_the_page(asking: Any) -> None:
    frame = pd.DataFrame({"distance": [0.5, 0.75, np.nan, 1.0]}, index=list("abcd"))
    rows = asking(TableWidget(FrameSource(frame))).ask("page", page=0)["rows"]
    assert [row["cells"][1] and row["cells"][1]["share"] for row in rows] == [0.0, 0.5, None, 1.0]


def test_the_selection_is_a_list_of_ids_that_both_sides_change(asking: Any) -> None:
    frame = pd.DataFrame({"x": range(5)}, index=list("abcde"))
    table = TableWidget(FrameSource(frame))
    page = asking(table)
    heard: list[Any] = []
    table.on_select(lambda ids, mode: heard.append((ids, mode, table.selection)))
    keys = [row["key"] for row in page.ask("page", page=0)["rows"]]
    page.ask("select", rows=keys[1:3], mode="replace")
    page.ask("select", rows=keys[4:], mode="add")
    page.ask("select", rows=keys[1:2], mode="remove")
    assert heard == [(["b", "c"], "replace", ["b", "c"]), (["e"], "add", ["b", "c", "e"]), (["b"], "remove", ["c", "e"])]
    assert page.ask("marks", rows=keys) == {"marks": [False, False, True, False, True], "selected": 2}

    table.set_selection(["a", "not on any page"])
    assert table.selection == ["a", "not on any page"]
    assert len(heard) == 3, "what Python selects is no news to Python"
    assert page.ask("page", page=0)["selected"] == 2
    table.set_source(FrameSource(frame.iloc[::-1]))
    assert [row["marked"] for row in page.ask("page", page=0)["rows"]] == [False, False, False, False, True]


def test_opening_and_buttons_reach_every_callback_with_the_id(asking: Any) -> None:
    long = "i" * 100_000
    table = TableWidget(FrameSource(pd.DataFrame({"x": [1]}, index=[long])))
    table.set_actions([("like", "More like this")])
    page = asking(table)
    heard: list[Any] = []
    for _ in range(2):
        table.on_open(heard.append)
    table.on_action(lambda name, each: heard.append((name, each)))
    answer = page.ask("page", page=0)
    assert answer["actions"] == [["like", "More like this"]]
    assert len(json.dumps(answer)) < 2_000
    page.ask("open", row=answer["rows"][0]["key"])
    page.ask("action", name="like", row=answer["rows"][0]["key"])
    assert heard == [long, long, ("like", long)]


def test_a_cell_is_copied_whole_unless_the_rows_have_changed(asking: Any) -> None:
    frame = pd.DataFrame({"document": ["short", "w" * 5000], "n": [2, 1]}, index=["a", "b"])
    table = TableWidget(FrameSource(frame), page_size=1)
    page = asking(table)
    answer = page.ask("page", page=1)
    where = {"row": answer["rows"][0]["key"], "column": answer["columns"][1]["key"], "page": 1, "place": 0}
    assert len(answer["rows"][0]["cells"][1]) == cells.LIMIT
    assert page.ask("cell", **where)["text"] == "w" * 5000
    table.set_source(FrameSource(frame.iloc[::-1]))
    with pytest.raises(AssertionError, match="the rows have changed"):
        page.ask("cell", **where)


def test_views_are_told_of_changes(asking: Any) -> None:
    table = TableWidget()
    page = asking(table)
    empty = page.ask("page", page=0)
    assert (empty["columns"], empty["rows"], empty["count"]) == ([], [], 0)
    table.set_title("5 of 9", "nearest")
    table.set_source(FrameSource(pd.DataFrame({"x": [1]}, index=["a"])))
    table.page_size = 50
    table.refresh()
    table.set_selection(["a"])
    assert page.told == ["titled", "changed", "changed", "changed", "marked"]
    answer = page.ask("page", page=0)
    assert (answer["title"], answer["detail"], answer["size"]) == ("5 of 9", "nearest", 50)
    page.ask("resize", size=10)
    assert table.page_size == 10
    for wrong in (0, 501):
        with pytest.raises(InvalidArgumentError, match="page_size: expected 1 to 500 rows"):
            table.page_size = wrong


class Broken(Million):
    """A source whose store has gone."""

    def page(self, *_: object) -> list[list[object]]:
        raise NotFoundError("collection 'c' is gone; make it again")


def test_what_a_source_raises_is_said_where_the_rows_would_be(asking: Any) -> None:
    table = TableWidget(Broken())
    with pytest.raises(AssertionError, match=r"^collection 'c' is gone; make it again$"):
        asking(table).ask("page", page=0)
    assert "collection &#x27;c&#x27; is gone" in table._repr_mimebundle_()[0]["text/html"]


def test_where_no_widget_can_be_the_first_rows_are_shown_as_text() -> None:
    frame = pd.DataFrame({"document": ["<script>1</script>"] * 30, "ok": [True] * 30, "tags": [["p", "q"]] * 30}, index=map(str, range(30)))
    table = TableWidget(FrameSource(frame))
    table.set_title("<b>30</b> rows", "all of them")
    shown = table._repr_mimebundle_()[0]["text/html"]
    assert shown.count("&lt;script&gt;1&lt;/script&gt;") == 10
    assert "<script" not in shown
    assert "&lt;b&gt;30&lt;/b&gt; rows" in shown
    assert "20 more rows" in shown
    assert "p, q" in shown
    assert "text/html" not in TableWidget()._repr_mimebundle_()[0]
