"""Shape and types of the frames that results become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.frames import frame_of, frame_of_query, records_of_frame
from chroma_nb.results import GetResult, QueryResult
from chroma_nb.scalars import Instant

TEXT = pd.Series(["text"]).dtype
PARIS = pd.DatetimeTZDtype("ns", "Europe/Paris")

TYPES: list[tuple[str, list[Any], Any]] = [
    ("int", [1, 2], "int64"),
    ("int with a hole", [1, None], "Int64"),
    ("float", [1.0, 2.5], "float64"),
    ("float with a hole", [None, 2.5], "float64"),
    ("bool", [True, False], "bool"),
    ("bool with a hole", [True, None], "boolean"),
    ("str", ["x", "y"], TEXT),
    ("str with a hole", [None, "y"], TEXT),
    ("naive instants", [Instant(1), Instant(2)], "datetime64[ns]"),
    ("naive instants with a hole", [Instant(1), None], "datetime64[ns]"),
    ("instants of one zone", [Instant(1, "Europe/Paris"), Instant(2, "Europe/Paris")], PARIS),
    ("instants of one zone with a hole", [None, Instant(2, "Europe/Paris")], PARIS),
    ("instants of two zones", [Instant(1, "Europe/Paris"), Instant(2, "UTC")], "object"),
    ("instants with and without zone", [Instant(1, "UTC"), Instant(2)], "object"),
    ("lists", [("a", "b"), ("c",)], "object"),
    ("int and float", [1, 1.0], "object"),
    ("bool and int", [True, 1], "object"),
    ("str and list", ["a", ("a",)], "object"),
]


def column(values: list[Any]) -> Any:
    metadatas = [None if value is None else {"key": value} for value in values]
    return frame_of(GetResult([f"id{i}" for i in range(len(values))], metadatas=metadatas), attrs={})["key"]


@pytest.mark.parametrize(("values", "dtype"), [case[1:] for case in TYPES], ids=[case[0] for case in TYPES])
def test_a_column_has_the_type_of_its_values(values: list[Any], dtype: Any) -> None:
    made = column(values)
    assert made.dtype == dtype
    assert made.isna().tolist() == [value is None for value in values]


def test_mixed_values_keep_their_own_types() -> None:
    values = [1, 1.0, True, "1", (1, 2), Instant(7, "UTC"), None]
    cells = column(values).tolist()
    assert [type(cell) for cell in cells] == [int, float, bool, str, list, pd.Timestamp, type(None)]
    assert cells[4] == [1, 2]
    assert cells[5].value == 7


def test_lists_of_one_length_stay_lists() -> None:
    assert column([(1, 2), (3, 4), None]).tolist() == [[1, 2], [3, 4], None]


def test_columns_stand_in_order_and_only_when_asked_for() -> None:
    vectors = np.arange(4, dtype=np.float32).reshape(2, 2)
    metadatas: list[Any] = [{"b": 1}, {"a": 2, "id": 3, "b": 4}]
    frame = frame_of(GetResult(["x", "y"], vectors, ["d", None], metadatas, [None, "file:///y"]), attrs={"space": "cosine"})
    assert list(frame.columns) == ["document", "embedding", "uri", "b", "a", "metadata.id"]
    assert frame.index.name == "id"
    assert frame.index.tolist() == ["x", "y"]
    assert frame["document"].isna().tolist() == [False, True]
    assert frame["embedding"].iloc[1].dtype == np.float32
    assert frame["embedding"].iloc[1].tolist() == [2, 3]
    assert frame.attrs == {"space": "cosine"}
    assert list(frame_of(GetResult(["x"], uris=[None]), attrs={}).columns) == []
    assert list(frame_of(GetResult(["x"], documents=[None]), attrs={}).columns) == ["document"]


def test_a_query_frame_is_tidy() -> None:
    hits = GetResult(["a", "b", "a"], documents=["x", "y", "x"], metadatas=[{"n": 1}, None, {"n": 1}])
    frame = frame_of_query(QueryResult(hits, [2, 0, 1], np.array([0.0, 0.5, 0.25])), attrs={"collection": "c"})
    assert list(frame.columns) == ["id", "distance", "document", "n"]
    assert list(frame.index.names) == ["query", "rank"]
    assert frame.index.tolist() == [(0, 1), (0, 2), (2, 1)]
    assert frame.loc[2, "id"].tolist() == ["a"]
    assert frame.loc[(0, 2), "distance"] == 0.5
    assert frame.attrs == {"collection": "c"}
    assert list(frame_of_query(QueryResult(hits, [3]), attrs={}).columns) == ["id", "document", "n"]


def test_one_query_of_an_answer_can_be_added() -> None:
    hits = GetResult(["a", "b", "a"], documents=["x", "y", "x"])
    frame = frame_of_query(QueryResult(hits, [2, 1], np.zeros(3)), attrs={})
    assert records_of_frame(frame.loc[0]).ids == ["a", "b"]
    assert records_of_frame(frame.loc[[1]]).documents == ["x"]


def test_empty_results_keep_their_columns() -> None:
    nothing = GetResult([], np.empty((0, 3), np.float32), [], [], [])
    frame = frame_of(nothing, attrs={"a": 1})
    assert (list(frame.columns), frame.index.name, len(frame), frame.attrs) == (["document", "embedding"], "id", 0, {"a": 1})
    assert frame.index.dtype == pd.Index(["text"]).dtype
    for lengths in ([], [0], [0, 0]):
        hits = frame_of_query(QueryResult(nothing, lengths, np.empty(0)), attrs={})
        assert list(hits.columns) == ["id", "distance", "document", "embedding"]
        assert list(hits.index.names) == ["query", "rank"]
        assert len(hits) == 0
        assert hits["distance"].dtype == np.float64
    bare = frame_of(GetResult([]), attrs={})
    assert (list(bare.columns), len(bare), bare.index.name) == ([], 0, "id")
    assert isinstance(repr(bare) + bare.to_html(), str)


def test_frames_survive_what_notebooks_do_with_them() -> None:
    metadatas: list[Any] = [{"n": 1, "l": ("a",), "t": Instant(1, "UTC")}, {"n": 2, "l": ("b",), "t": Instant(2, "UTC")}]
    frame = frame_of(GetResult(["a", "b"], np.eye(2, dtype=np.float32), ["x", "y"], metadatas), attrs={})
    picked = pd.concat([frame[frame["n"] > 1], frame[frame["n"] == 1]]).sort_index(ascending=False)
    picked["n"] += 1
    records = records_of_frame(picked)
    assert records.ids == ["b", "a"]
    assert records.metadatas == [{"n": 3, "l": ("b",), "t": Instant(2, "UTC")}, {"n": 2, "l": ("a",), "t": Instant(1, "UTC")}]
    assert records.embeddings is not None
    assert records.embeddings.tolist() == [[0, 1], [1, 0]]
    assert records_of_frame(frame.reset_index()).ids == ["a", "b"]


def test_a_frame_of_nearly_nothing_but_gaps_is_refused() -> None:
    rows: list[Any] = [{f"k{i}.{j}": j for j in range(300)} for i in range(500)]
    result = GetResult([str(i) for i in range(len(rows))], metadatas=rows)
    with pytest.raises(InvalidArgumentError, match="150,000 metadata keys"):
        frame_of(result, attrs={})
    alike = GetResult(["a", "b"], metadatas=[dict.fromkeys(map(str, range(3000)), 1)] * 2)
    assert frame_of(alike, attrs={}).shape == (2, 3000)
