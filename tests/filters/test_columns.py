"""Columns grow, shrink, are kept and counted without a value changing or an older reader noticing."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.engine.columns import Columns
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.filters import comparable, kind_of, parse_where
from chroma_nb.scalars import Instant
from tests.filters.strategies import METADATAS, VALUES

BATCHES = st.lists(st.lists(METADATAS, max_size=5), max_size=5)


def content(columns: Columns) -> list[dict[str, str]]:
    """Return every record's metadata, values with their exact types."""
    everywhere = np.arange(columns.count)
    records: list[dict[str, str]] = [{} for _ in range(columns.count)]
    for key in columns:
        for record, value in zip(records, columns.values_at(key, everywhere), strict=True):
            if value is not None:
                record[key] = exact(value)
    return records


def exact(value: Any) -> str:
    # Inside a list -0.0 and 0.0 are one value to the columns, as they are to every filter.
    return repr([element + 0.0 if isinstance(element, float) else element for element in value] if isinstance(value, tuple) else value)


def expected(metadatas: list[Any]) -> list[dict[str, str]]:
    return [{key: exact(value) for key, value in (metadata or {}).items()} for metadata in metadatas]


@given(BATCHES)
def test_growing_in_batches_keeps_every_value_and_every_older_view(batches: list[list[Any]]) -> None:
    columns = Columns()
    metadatas: list[Any] = []
    views = [(columns, list(metadatas))]
    for batch in batches:
        columns = columns.extended(batch)
        metadatas = [*metadatas, *batch]
        views.append((columns, metadatas))
    for view, given_then in views:
        assert view.count == len(given_then)
        assert content(view) == expected(given_then)
    assert content(Columns().extended(metadatas)) == content(columns)


@given(st.lists(METADATAS, max_size=5), st.lists(METADATAS, min_size=1, max_size=5), st.lists(METADATAS, min_size=1, max_size=5))
def test_two_futures_of_one_past_do_not_meet(past: list[Any], one: list[Any], other: list[Any]) -> None:
    start = Columns().extended(past)
    first, second = start.extended(one), start.extended(other)
    assert content(first) == expected([*past, *one])
    assert content(second) == expected([*past, *other])
    assert content(start) == expected(past)


def test_a_reader_of_an_older_view_sees_the_same_while_another_thread_grows_it() -> None:
    columns = Columns().extended([{"n": i, "t": f"w{i % 7}", "tags": (f"w{i % 7}", str(i))} for i in range(500)])
    tests = [parse_where(where) for where in ({"n": {"$gte": 250}}, {"t": "w3"}, {"tags": {"$contains": "w3"}}, {"t": {"$ne": "w3"}})]
    before = [columns.mask(each).tolist() for each in tests]
    stop = threading.Event()
    changed: list[object] = []

    def read() -> None:
        while not stop.is_set():
            changed.extend(each for each, mask in zip(tests, before, strict=True) if columns.mask(each).tolist() != mask)

    reader = threading.Thread(target=read)
    reader.start()
    grown = columns
    for i in range(300):
        grown = grown.extended([{"n": i, "t": f"new{i}", "tags": ("w3", f"new{i}")}, {"other": i}])
    stop.set()
    reader.join()
    assert changed == []
    assert grown.mask(tests[2]).sum() == sum(before[2]) + 300


@given(st.lists(METADATAS, max_size=8), st.data())
def test_taking_positions_gives_those_records_in_that_order(metadatas: list[Any], data: st.DataObject) -> None:
    columns = Columns().extended(metadatas)
    positions = data.draw(st.lists(st.integers(0, len(metadatas) - 1), max_size=10)) if metadatas else []
    taken = columns.take(positions)
    assert taken.count == len(positions)
    assert content(taken) == expected([metadatas[i] for i in positions])
    assert content(taken.extended(metadatas)) == expected([metadatas[i] for i in positions] + metadatas)


def test_taking_forgets_keys_and_texts_that_no_record_has() -> None:
    columns = Columns().extended([{"a": "gone", "b": 1}, {"a": "kept"}]).take([1])
    assert list(columns) == ["a"]
    _, arrays = columns.dump()
    assert all(b"gone" not in array.tobytes() for array in arrays)


@given(st.lists(METADATAS, max_size=8), st.lists(METADATAS, max_size=3))
def test_what_was_dumped_loads_as_the_same_and_grows_on(metadatas: list[Any], more: list[Any]) -> None:
    header, arrays = Columns().extended(metadatas).dump()
    header = json.loads(json.dumps(header))
    assert all(array.dtype != object for array in arrays)
    for array in arrays:
        array.setflags(write=False)
    loaded = Columns.load(header, arrays)
    assert loaded.count == len(metadatas)
    assert content(loaded) == expected(metadatas)
    again = Columns.load(header, arrays).extended(more)
    assert content(again) == expected([*metadatas, *more])
    assert content(loaded) == expected(metadatas)


def test_a_dump_survives_files_and_memory_maps(tmp_path: Path) -> None:
    metadatas: list[Any] = [{"a": "é☃", "n": 1}, {"a": 1.0, "l": ("x", "y")}, None, {"a": Instant(7, "Europe/Paris"), "l": (True,)}]
    header, arrays = Columns().extended(metadatas).dump()
    for i, array in enumerate(arrays):
        np.save(tmp_path / f"{i}.npy", array, allow_pickle=False)
    mapped = [np.load(tmp_path / f"{i}.npy", mmap_mode="r", allow_pickle=False) for i in range(len(arrays))]
    assert content(Columns.load(header, mapped).extended([{"a": "é☃"}])) == expected([*metadatas, {"a": "é☃"}])


def test_a_dump_that_does_not_fit_its_header_is_refused() -> None:
    header, arrays = Columns().extended([{"a": 1}, {"a": 2}]).dump()
    with pytest.raises(DatabaseCorruptedError, match="format"):
        Columns.load({**header, "format": 99}, arrays)
    with pytest.raises(DatabaseCorruptedError, match="arrays"):
        Columns.load(header, arrays[:-1])
    with pytest.raises(DatabaseCorruptedError, match="'a'"):
        Columns.load(header, [array[:1] for array in arrays])


def same(value: Any) -> object:
    """Return what values have in common that a filter holds equal."""
    return (kind_of(value), kind_of(value[0]), type(value[0]), value) if isinstance(value, tuple) else (kind_of(value), comparable(value))


COLUMN = st.lists(st.none() | VALUES, max_size=15)


@given(COLUMN, st.none() | st.integers(0, 5), st.data())
def test_facets_count_like_a_counter_and_name_the_most_frequent_first(values: list[Any], top: int | None, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), bool)
    columns = Columns().extended([None if value is None else {"k": value} for value in values])
    facets = columns.facets("k", mask, top)
    counted = Counter(same(value) for value, chosen in zip(values, mask, strict=True) if chosen and value is not None)
    assert len(facets) == min(len(counted), len(counted) if top is None else top)
    assert all(counted[same(value)] == count for value, count in facets)
    assert len({same(value) for value, _ in facets}) == len(facets)
    assert [count for _, count in facets] == sorted(counted.values(), reverse=True)[: len(facets)]
    assert facets == columns.facets("k", mask)[: len(facets)]
    assert columns.facets("k", np.ones(len(values), bool), top) == columns.facets("k", top=top)


@given(COLUMN)
def test_a_facet_counts_what_the_filter_on_its_value_matches(values: list[Any]) -> None:
    columns = Columns().extended([None if value is None else {"k": value} for value in values])
    for value, count in columns.facets("k"):
        if not isinstance(value, tuple):
            assert columns.mask(parse_where({"k": value})).sum() == count


def test_equally_frequent_facets_come_in_the_order_of_their_values() -> None:
    values: list[Any] = ["b", 2.5, True, "a", 2, ("z",), Instant(1, None), False, 1, 1.0, ("y",), "a", "b"]
    columns = Columns().extended([{"k": value} for value in values])
    assert columns.facets("k") == [
        (1, 2),
        ("a", 2),
        ("b", 2),
        (False, 1),
        (True, 1),
        (2, 1),
        (2.5, 1),
        (Instant(1, None), 1),
        (("y",), 1),
        (("z",), 1),
    ]
    assert columns.facets("k", top=4)[3] == (False, 1)
    assert columns.facets("k", top=4)[3][0] is False
    assert columns.facets("absent") == []
    assert columns.facets("k", np.zeros(len(values), bool)) == []


@given(COLUMN, st.data())
def test_a_summary_agrees_with_a_look_at_every_value(values: list[Any], data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), bool)
    columns = Columns().extended([None if value is None else {"k": value} for value in values])
    summary = columns.summary("k", mask)
    held = [value for value, chosen in zip(values, mask, strict=True) if chosen and value is not None]
    names = {"Instant": "datetime", "tuple": "list"}
    assert summary.key == "k"
    assert summary.present == len(held)
    assert summary.types == Counter(names.get(type(value).__name__, type(value).__name__) for value in held)
    named = [value for value in held if isinstance(value, (str, bool, tuple))]
    assert summary.distinct == (len({same(value) for value in named}) if named else None)
    ranges = ([v for v in held if kind_of(v) == kind] for kind in ("number", "naive datetime", "zoned datetime"))
    ranged = next((kind for kind in ranges if kind), None)
    if ranged is None:
        assert (summary.minimum, summary.maximum) == (None, None)
    else:
        assert same(summary.minimum) == min(map(same, ranged))  # type: ignore[type-var]
        assert same(summary.maximum) == max(map(same, ranged))  # type: ignore[type-var]
    distinct = list(dict.fromkeys(map(same, held)))
    assert [same(sample) for sample in summary.samples] == distinct[:5]


def test_a_key_that_no_record_has_has_an_empty_summary() -> None:
    summary = Columns().extended([{"a": 1}]).summary("b")
    assert (summary.present, summary.types, summary.distinct, summary.minimum, summary.samples) == (0, {}, None, None, ())


def test_very_many_keys_cost_memory_for_their_values_only() -> None:
    columns = Columns().extended([{f"key {i}": i} for i in range(20_000)])
    _, arrays = columns.dump()
    assert sum(array.nbytes for array in arrays) < 20_000 * 64
    assert columns.mask(parse_where({"key 777": 777})).nonzero()[0].tolist() == [777]
