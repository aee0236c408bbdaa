"""Rows and filters, one from the other; values as they stand in inputs; filters written down and read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import CHROMA, EVERYTHING, GUIDE, OPERATORS, And, Compare, Filter, Or, Rules, parse_filter, parse_where, to_dict
from chroma_nb.scalars import INT_MIN, Instant, scalar_of
from chroma_nb.widgets.keys import operators
from chroma_nb.widgets.literals import filter_in, imports_for, value_in, written
from chroma_nb.widgets.operands import Operand
from chroma_nb.widgets.request import dicts_of
from chroma_nb.widgets.rows import BETWEEN, Group, Raw, Row, from_json, read, rows_of, to_json
from tests.filters.strategies import INSTANTS, SCALARS, filters
from tests.widgets.hostile import PAYLOADS


def through_the_page(root: Group) -> Group:
    return from_json(json.loads(json.dumps(to_json(root))))


@pytest.mark.parametrize("rules", [GUIDE, CHROMA])
@given(data=st.data())
def test_every_filter_can_be_shown_as_rows_and_read_back(rules: Rules, data: st.DataObject) -> None:
    given_filter = data.draw(filters(rules))
    assume(rules.lone or given_filter is not EVERYTHING)
    filter_ = parse_filter(*to_dict(given_filter), rules)
    reading = read(through_the_page(rows_of(filter_)), rules)
    assert reading.filter == filter_
    assert not reading.problems
    assert not reading.unfinished


def nested(depth: int) -> dict[str, Any]:
    clause: dict[str, Any] = {"v": depth}
    for level in range(depth):
        clause = {"$or" if level % 2 else "$and": [clause, {f"k{level}": {"$gte": level}}]}
    return clause


@pytest.mark.parametrize("depth", [5, 200])
def test_deep_groups_stay_what_they_are(depth: int) -> None:
    filter_ = parse_where(nested(depth))
    assert read(through_the_page(rows_of(filter_)), GUIDE).filter == filter_


def test_a_range_is_one_row_and_stays_two_comparisons() -> None:
    filter_ = parse_where({"$and": [{"n": {"$gte": 1}}, {"n": {"$lte": 9}}, {"t": "x"}]})
    root = rows_of(filter_)
    assert [(part.key, part.op) for part in root.parts if isinstance(part, Row)] == [("n", BETWEEN), ("t", "$eq")]
    assert read(root, GUIDE).filter == filter_


def test_a_range_between_alternatives_keeps_its_ends_together() -> None:
    filter_ = parse_where({"$or": [{"$and": [{"n": {"$gte": 1}}, {"n": {"$lte": 9}}]}, {"t": "x"}]})
    reading = read(through_the_page(rows_of(filter_)), GUIDE)
    assert reading.filter == filter_
    assert isinstance(reading.filter, Or)


@pytest.mark.parametrize(("ends", "op"), [(("1", None), "$gte"), ((None, "1"), "$lte")])
def test_a_range_may_be_open(ends: tuple[str | None, str | None], op: str) -> None:
    operands = tuple(None if end is None else Operand("number", end) for end in ends)
    assert read(Group("g", "$and", (Row("r", "n", BETWEEN, operands),)), GUIDE).filter == Compare("n", op, 1)


def test_many_values_become_text_that_can_be_edited() -> None:
    filter_ = parse_where({"n": {"$in": list(range(500))}})
    (raw,) = rows_of(filter_).parts
    assert isinstance(raw, Raw)
    assert read(Group("g", "$and", (raw,)), GUIDE).filter == filter_


def test_rows_that_wait_for_something_say_nothing() -> None:
    rows = (Row("a", None, "$eq"), Row("b", "n", "$gte"), Row("c", "n", BETWEEN, (None, None)), Row("d", "t", "$in"), Raw("e", " "))
    reading = read(Group("g", "$and", (*rows, Row("f", "t", "$eq", (Operand("str", "x"),)), Group("h", "$or"))), GUIDE)
    assert reading.filter == Compare("t", "$eq", "x")
    assert reading.unfinished == {"a", "b", "c", "d", "e"}


def test_each_wrong_row_has_a_message_of_its_own_and_the_rest_is_read() -> None:
    rows = (
        Row("a", "n", "$gte", (Operand("str", "many"),)),
        Row("b", "#document", "$regex", (Operand("str", "(("),)),
        Row("c", "n", "$eq", (Operand("number", "1"),)),
        Row("d", "n", "$eq", (Operand("number", "12 or so"),)),
        Row("e", "when", "$gte", (Operand("datetime", "yesterday"),)),
        Row("f", "n", "$in", (Operand("number", "1"), Operand("str", "x"))),
        Row("g", "$and", "$eq", (Operand("number", "1"),)),
        Row("h", "n", "$exists", (Operand("number", "1"),)),
        Raw("i", "{'n': open('x')}"),
    )
    reading = read(Group("top", "$and", rows), GUIDE)
    assert set(reading.problems) == set("abdefghi")
    assert "compares numbers" in reading.problems["a"]
    assert "not a regular expression" in reading.problems["b"]
    assert "'12 or so' is not a number" in reading.problems["d"]
    assert "write it as 2024-12-31" in reading.problems["e"]
    assert "of one kind" in reading.problems["f"]
    assert "names and calculations are not read" in reading.problems["i"]
    assert reading.filter == Compare("n", "$eq", 1)


@given(
    key=st.text(),
    op=st.sampled_from([*OPERATORS, BETWEEN, "$x"]),
    kind=st.sampled_from(["str", "number", "bool", "datetime"]),
    text=st.text(),
)
def test_whatever_is_typed_ends_in_a_filter_or_in_a_message(key: str, op: str, kind: Any, text: str) -> None:
    reading = read(Group("g", "$and", (Row("r", key, op, (Operand(kind, text), None)),)), GUIDE)
    assert (reading.filter is not EVERYTHING) + len(reading.problems) + len(reading.unfinished) == 1


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        {"id": "a"},
        {"id": 1, "junction": "$and", "parts": []},
        {"id": "a", "junction": "$not", "parts": []},
        {"id": "a", "junction": "$and", "parts": {}},
        {"id": "a", "key": "k", "op": "$eq", "operands": []},
        {"id": "a", "junction": "$and", "parts": [{"id": "a", "junction": "$and", "parts": []}]},
        {"id": "a", "junction": "$and", "parts": [{"id": "b", "key": 1, "op": "$eq", "operands": []}]},
        {"id": "a", "junction": "$and", "parts": [{"id": "b", "key": "k", "op": "$eq", "operands": ["x"]}]},
        {"id": "a", "junction": "$and", "parts": [{"id": "b", "key": "k", "op": "$eq", "operands": [{"kind": "code", "text": "x"}]}]},
        {
            "id": "a",
            "junction": "$and",
            "parts": [{"id": "b", "key": "k", "op": "$eq", "operands": [{"kind": "datetime", "text": "", "zone": "/etc"}]}],
        },
    ],
)
def test_a_page_that_sends_nonsense_is_told_so(sent: object) -> None:
    with pytest.raises(InvalidArgumentError):
        from_json(sent)


def test_a_page_cannot_send_groups_without_end() -> None:
    sent: dict[str, Any] = {"id": "0", "junction": "$and", "parts": []}
    for level in range(1, 400):
        sent = {"id": str(level), "junction": "$and", "parts": [sent]}
    with pytest.raises(InvalidArgumentError, match="nested deeper"):
        from_json(sent)


@given(SCALARS)
def test_a_value_survives_its_input(value: Any) -> None:
    again = Operand.from_json(json.loads(json.dumps(Operand.of(value).to_json()))).scalar()
    assert (type(again), again) == (type(value), value)


@given(INSTANTS)
def test_a_moment_means_the_same_after_its_text_was_edited_back(value: Instant) -> None:
    assume(value.ns > INT_MIN + 10**9)  # the whole second before the first moment is outside of what can be counted
    shown = Operand.of(value)
    edited = Operand("datetime", shown.text, shown.zone).scalar()
    assert edited == value


def test_an_edited_date_is_a_clock_on_the_wall_of_its_zone() -> None:
    paris = Operand("datetime", "2024-07-14T12:00", "Europe/Paris").scalar()
    assert paris == scalar_of(pd.Timestamp("2024-07-14T12:00", tz="Europe/Paris"), "")
    assert Operand("datetime", "2024-07-14").scalar() == scalar_of(np.datetime64("2024-07-14"), "")
    assert Operand("datetime", "2024-07-14T12:00:00.123456789Z", "Europe/Paris").scalar() == Instant(1720958400123456789, "Europe/Paris")


@pytest.mark.parametrize("text", ["1e999", "nan", "9" * 30, "-9223372036854775809", "0x10", "1_0 0", ""])
def test_what_is_no_number_of_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Operand("number", text).scalar()


@pytest.mark.parametrize("text", ["2024-13-01", "1500-01-01", "2024-02-30T00:00", "24-1-1", "2024-01-01T25:00"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Operand("datetime", text).scalar()


@given(filters())
def test_a_filter_written_as_python_is_read_as_the_same(given_filter: Filter) -> None:
    filter_ = parse_filter(*to_dict(given_filter))
    where, where_document = dicts_of(filter_)
    source = f"where = {written(where)}\nwhere_document = {written(where_document)}"
    again = filter_in("\n".join([*imports_for(source), source]), GUIDE)
    assert dicts_of(again) == (where, where_document)


@given(filters())
def test_a_written_filter_runs_and_is_the_same(given_filter: Filter) -> None:
    where, _ = to_dict(given_filter)
    source = written(where)
    names: dict[str, Any] = {}
    exec("\n".join([*imports_for(source), f"where = {source}"]), names)
    assert parse_where(names["where"]) == parse_where(where)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_hostile_text_cannot_leave_its_literal(payload: str) -> None:
    where = {"$or": [{payload or "k": {"$eq": payload}}, {"t": {"$in": [payload, "x"]}}]}
    source = written(where)
    assert value_in(source) == where
    assert all(character.isprintable() or character == "\n" for character in source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"year": {"$gte": 2000}}', {"year": {"$gte": 2000}}),
        ("{'year': {'$gte': 2000}}", {"year": {"$gte": 2000}}),
        ('  {"open": true} ', {"open": True}),
        ("{'open': True}", {"open": True}),
        ('{"t": "\\ud83d\\ude00"}', {"t": "😀"}),
        (
            "import pandas as pd\nwhere = {'d': {'$gte': pd.Timestamp('2024-01-01', tz='UTC')}}",
            {"d": {"$gte": pd.Timestamp("2024-01-01", tz="UTC")}},
        ),
        ("{'d': {'$gte': datetime.datetime(2024, 1, 1)}}", {"d": {"$gte": pd.Timestamp("2024-01-01")}}),
        ('{"d": {"$gte": {"ns": 5, "zone": null}}}', {"d": {"$gte": Instant(5, None)}}),
        ("None", None),
    ],
)
def test_a_pasted_filter_is_read(text: str, expected: Any) -> None:
    assert filter_in(text, GUIDE) == parse_where(expected)


def test_a_pasted_filter_on_documents_is_read() -> None:
    assert filter_in("{'$contains': 'owl'}", GUIDE) == parse_filter(None, {"$contains": "owl"})
    assert filter_in("{'$or': [{'$contains': 'owl'}, {'$regex': 'x'}]}", GUIDE) == parse_filter(
        None, {"$or": [{"$contains": "owl"}, {"$regex": "x"}]}
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "year >= 2000",
        "__import__('os').system('true')",
        "{'a': open('/etc/passwd')}",
        "{'a': [x for x in (1, 2)]}",
        "where = {}; other = 1",
        "{'a': Timestamp()}",
        "{'a': Instant('1', 'UTC')}",
        "{'a': datetime.datetime(2024, 1, 1, tzinfo=zone)}",
        "(" * 300 + ")" * 300,
        "{'a': " * 300 + "1" + "}" * 300,
        "{'a': 1, 'b': 2}",
        "[1, 2]",
        "{'a': '\ud800'}",
        "\x00",
        "def f(): pass",
    ],
)
def test_what_is_no_filter_is_refused_with_a_message(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        filter_in(text, GUIDE)


def test_the_page_gets_the_engines_table_and_no_other() -> None:
    shown = {row["token"]: row for row in operators()}
    tests = {token: row for token, row in OPERATORS.items() if row.operand != "filters"}
    assert set(shown) == {*tests, BETWEEN}
    for token, row in tests.items():
        assert shown[token]["sentence"] == row.sentence
        assert shown[token]["operand"] == row.operand


def test_a_conjunction_of_one_says_no_more_than_its_part() -> None:
    inner = Group("h", "$or", (Row("r", "n", "$eq", (Operand("number", "1"),)),))
    assert read(Group("g", "$and", (inner, Group("i"))), GUIDE).filter == Compare("n", "$eq", 1)
    assert isinstance(read(Group("g", "$and", (inner, Row("s", "t", "$eq", (Operand("str", ""),)))), GUIDE).filter, And)
