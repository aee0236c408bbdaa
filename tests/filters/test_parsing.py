"""What is accepted, what is refused, and that a refusal says where, what and how to do it right."""

from __future__ import annotations

import datetime as dt
import enum
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.filters import (
    CHROMA,
    EVERYTHING,
    GUIDE,
    MAX_CLAUSES,
    MAX_DEPTH,
    MAX_VALUES,
    ON_METADATA,
    OPERATORS,
    And,
    Compare,
    Contains,
    Document,
    Member,
    Or,
    Rules,
    both,
    checked_pattern,
    describe,
    matches,
    parse_filter,
    parse_where,
    parse_where_document,
    split,
    to_dict,
)
from chroma_nb.scalars import Instant
from tests.filters.strategies import filters

GT, LT = {"a": {"$gt": 1}}, {"a": {"$lt": 3}}


class Level(enum.IntEnum):
    LOW = 1


ACCEPTED = [
    (None, EVERYTHING),
    ({"a": 1}, Compare("a", "$eq", 1)),
    ({"a": True}, Compare("a", "$eq", True)),
    ({"a": {"$ne": "x"}}, Compare("a", "$ne", "x")),
    ({"": ""}, Compare("", "$eq", "")),
    ({"a": {"$in": [1, 2.5]}}, Member("a", "$in", (1, 2.5))),
    ({"a": {"$nin": ("x",)}}, Member("a", "$nin", ("x",))),
    ({"a": {"$contains": ""}}, Contains("a", "$contains", "")),
    ({"#document": {"$regex": "^x"}}, Document("$regex", "^x")),
    ({"$and": [GT, LT]}, And((Compare("a", "$gt", 1), Compare("a", "$lt", 3)))),
    ({"$or": (GT, {"$and": [GT, LT]})}, Or((Compare("a", "$gt", 1), And((Compare("a", "$gt", 1), Compare("a", "$lt", 3)))))),
    ({"a": np.float32(0.5)}, Compare("a", "$eq", 0.5)),
    ({"a": np.int8(3)}, Compare("a", "$eq", 3)),
    ({"a": {"$gt": dt.datetime(1970, 1, 1, 0, 0, 1)}}, Compare("a", "$gt", Instant(10**9, None))),  # noqa: DTZ001 - naive on purpose
    ({"a": {"$lt": pd.Timestamp(5, tz="UTC")}}, Compare("a", "$lt", Instant(5, "UTC"))),
    ({"a": {"$in": np.array([1, 2])}}, Member("a", "$in", (1, 2))),
    ({"a": {"$in": pd.Series(["x", "y"])}}, Member("a", "$in", ("x", "y"))),
    ({"a": {"$in": pd.to_datetime(["1970-01-01"])}}, Member("a", "$in", (Instant(0, None),))),
    ({"a": {"$in": range(2)}}, Member("a", "$in", (0, 1))),
    ({"a": {"$in": {"x"}}}, Member("a", "$in", ("x",))),
    ({"a": Level.LOW}, Compare("a", "$eq", 1)),
    ({"a": 2**63 - 1}, Compare("a", "$eq", 2**63 - 1)),
]


@pytest.mark.parametrize(("where", "expected"), ACCEPTED)
def test_a_filter_is_parsed_into_exactly_this_tree(where: object, expected: object) -> None:
    assert parse_where(where) == expected
    assert repr(parse_where(where)) == repr(expected)


REFUSED: list[tuple[Any, str, list[str]]] = [
    ([GT], "where:", ["expected a dict", "got list"]),
    ("a", "where:", ["expected a dict", "got str 'a'"]),
    ({1: 2}, "where:", ["keys are str", "got int 1"]),
    ({"a": 1, "b": 2}, "where:", ["2 keys", "{'$and': [{'a': ...}, {'b': ...}]}"]),
    ({"a": {"$gt": 1, "$lt": 3}}, "where['a']:", ["{'$and': [{'a': {'$gt': ...}}, {'a': {'$lt': ...}}]}"]),
    ({"$and": [{"x": 1}, {"year": {"$gtt": 1}}]}, "where['$and'][1]['year']:", ["unknown operator '$gtt'", "$eq", "Did you mean '$gt'?"]),
    ({"a": {}}, "where['a']:", ["expected an operator", "got an empty dict"]),
    ({"a": {"b": 1}}, "where['a']:", ["unknown operator 'b'", *ON_METADATA]),
    ({"a": {"$regex": "x"}}, "where['a']:", ["$regex does not apply here", "where_document", "{'#document': {'$regex': ...}}"]),
    ({"a": {"$and": [1]}}, "where['a']:", ["$and goes outside", "{'$and': [{'a': ...}, {'a': ...}]}"]),
    ({"$contains": "x"}, "where:", ["$contains needs a metadata key", "where_document"]),
    ({"$regex": "x"}, "where:", ["$regex tests documents", "where_document"]),
    ({"$eq": 1}, "where:", ["$eq needs a metadata key in front: {key: {'$eq': ...}}"]),
    ({"$adn": [GT, LT]}, "where:", ["unknown operator '$adn'", "Did you mean '$and'?"]),
    ({"$and": []}, "where['$and']:", ["got 0", "leave it out"]),
    ({"$or": GT}, "where['$or']:", ["expected a list of filters, got dict"]),
    ({"$or": [{}]}, "where['$or'][0]:", ["got an empty dict"]),
    ({"$or": [None, GT]}, "where['$or'][0]:", ["expected a dict", "got None"]),
    ({"a": None}, "where['a']:", ["got None", "leave the clause out"]),
    ({"a": float("nan")}, "where['a']:", ["nan"]),
    ({"a": pd.NaT}, "where['a']:", ["NaT"]),
    ({"a": {"$gt": float("inf")}}, "where['a']['$gt']:", ["inf is not a finite number"]),
    ({"a": 2**63}, "where['a']:", ["does not fit 64 bits"]),
    ({"a": -(2**63) - 1}, "where['a']:", ["does not fit 64 bits"]),
    ({"a": 10**5000}, "where['a']:", ["does not fit 64 bits"]),
    ({"a": [1, 2]}, "where['a']:", ["got list [1, 2]", "use $in"]),
    ({"a": {"$ne": [1, 2]}}, "where['a']['$ne']:", ["use $nin"]),
    ({"a": {"$eq": {"b": 1}}}, "where['a']['$eq']:", ["expected one value, got dict"]),
    ({"a": {"$contains": ["x"]}}, "where['a']['$contains']:", ["expected one value, got list"]),
    ({"a": b"x"}, "where['a']:", ["decode it to str"]),
    ({"a": "\ud800"}, "where['a']:", ["lone surrogate"]),
    ({"\ud800": 1}, "where['\\ud800']:", ["lone surrogate"]),
    ({"a": {"$gt": "2020-01-01"}}, "where['a']['$gt']:", ["compares numbers, or datetimes", "got str '2020-01-01'", "pass a datetime"]),
    ({"a": {"$lte": True}}, "where['a']['$lte']:", ["got bool True"]),
    ({"a": {"$contains": Instant(0, None)}}, "where['a']['$contains']:", ["element of a list"]),
    ({"a": {"$in": []}}, "where['a']['$in']:", ["empty", "at least one value"]),
    ({"a": {"$in": "xy"}}, "where['a']['$in']:", ["expected a list of values, got str 'xy'"]),
    ({"a": {"$in": {"x": 1}}}, "where['a']['$in']:", ["expected a list of values, got dict"]),
    ({"a": {"$in": np.array(3)}}, "where['a']['$in']:", ["expected a list of values"]),
    ({"a": {"$in": np.eye(2)}}, "where['a']['$in']:", ["expected a list of values"]),
    ({"a": {"$in": [1, "x"]}}, "where['a']['$in']:", ["int 1 and str 'x'", "{'$or': [{'a': {'$in': [...]}}"]),
    ({"a": {"$nin": [1.5, True]}}, "where['a']['$nin']:", ["float 1.5 and bool True", "{'$and': [{'a': {'$nin': [...]}}"]),
    ({"a": {"$in": [Instant(0, None), Instant(0, "UTC")]}}, "where['a']['$in']:", ["of one kind"]),
    ({"a": {"$in": [1, None]}}, "where['a']['$in'][1]:", ["got None"]),
    ({"a": {"$in": [1.0, float("inf")]}}, "where['a']['$in'][1]:", ["not a finite number"]),
    ({"a": {"$in": [1, 2**63]}}, "where['a']['$in'][1]:", ["64 bits"]),
    ({"a": {"$in": ["x", "\ud800"]}}, "where['a']['$in'][1]:", ["lone surrogate"]),
    ({"a": {"$in": [[1]]}}, "where['a']['$in'][0]:", ["expected one value, got list [1]"]),
    ({"#document": "x"}, "where['#document']:", ["{'$contains': 'word'}", "got str 'x'"]),
    ({"#document": {"$eq": "x"}}, "where['#document']:", ["$eq does not apply", "$contains, $not_contains, $regex, $not_regex"]),
]


@pytest.mark.parametrize("rules", [GUIDE, CHROMA])
@pytest.mark.parametrize(("where", "place", "parts"), REFUSED)
def test_a_refusal_names_place_fault_and_cure(where: object, place: str, parts: list[str], rules: Rules) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_where(where, rules if where != {"$or": [{}]} else GUIDE)
    message = str(raised.value)
    assert message.startswith(place + " ")
    for part in parts:
        assert part in message
    assert len(message) < 500


REFUSED_DOCUMENTS: list[tuple[Any, str, list[str]]] = [
    ("word", "where_document:", ["{'$contains': 'word'}", "got str 'word'"]),
    ({"a": 1}, "where_document:", ["unknown operator 'a'", "go into where"]),
    ({"$gt": 1}, "where_document:", ["$gt does not apply here", "go into where"]),
    ({"$contain": "x"}, "where_document:", ["Did you mean '$contains'?"]),
    ({"$contains": "x", "$not_contains": "y"}, "where_document:", ["{'$and': [{'$contains': ...}, {'$not_contains': ...}]}"]),
    ({"$contains": ""}, "where_document['$contains']:", ["empty", "leave the clause out"]),
    ({"$contains": 1}, "where_document['$contains']:", ["a str, got int 1"]),
    ({"$contains": ["x"]}, "where_document['$contains']:", ["a str, got list"]),
    ({"$contains": None}, "where_document['$contains']:", ["a str, got None"]),
    ({"$contains": "\udc00"}, "where_document['$contains']:", ["lone surrogate"]),
    ({"$regex": "a(b"}, "where_document['$regex']:", ["position 1", "re.escape"]),
    ({"$not_regex": "*"}, "where_document['$not_regex']:", ["position 0"]),
    ({"$regex": "(" * 5000}, "where_document['$regex']:", ["too deep or too large"]),
    ({"$regex": "a{99999999999999999999}"}, "where_document['$regex']:", ["too deep or too large"]),
    ({"$and": [{"$contains": "x"}, {"$contains": ""}]}, "where_document['$and'][1]['$contains']:", ["empty"]),
]


@pytest.mark.parametrize(("where_document", "place", "parts"), REFUSED_DOCUMENTS)
def test_a_refused_document_filter_names_place_fault_and_cure(where_document: object, place: str, parts: list[str]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_where_document(where_document)
    message = str(raised.value)
    assert message.startswith(place + " ")
    for part in parts:
        assert part in message
    assert len(message) < 500


@pytest.mark.parametrize("pattern", ["[[a]", "[ --]", "[a&&b]", "[a||b]", "[a~~b]"])
def test_a_pattern_that_python_has_doubts_about_is_taken_without_a_warning(pattern: str) -> None:
    re.purge()
    with pytest.warns(FutureWarning):
        re.compile(pattern)
    re.purge()
    checked_pattern.cache_clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        parsed = parse_where_document({"$regex": pattern})
        checked_pattern.cache_clear()
        re.purge()
        assert matches(parsed, None, "an a")
    assert warned == []


def test_a_wrong_type_is_also_a_type_error() -> None:
    with pytest.raises(InvalidTypeError):
        parse_where([GT])
    with pytest.raises(TypeError):
        parse_where_document({"$contains": 1})


def test_the_caller_chooses_the_name_that_messages_use() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^filter\['a'\]\['\$in'\]: "):
        parse_where({"a": {"$in": []}}, place="filter")


@pytest.mark.parametrize("parse", [parse_where, parse_where_document])
def test_the_usage_guide_takes_an_empty_dict_for_everything_and_chroma_refuses_it(parse: Any) -> None:
    assert parse({}, GUIDE) == EVERYTHING
    with pytest.raises(InvalidArgumentError, match="leave where"):
        parse({}, CHROMA)
    assert parse(None, CHROMA) == EVERYTHING


@pytest.mark.parametrize("op", ["$and", "$or"])
def test_the_usage_guide_takes_a_lone_clause_for_itself_and_chroma_refuses_it(op: str) -> None:
    assert parse_where({op: [GT]}, GUIDE) == parse_where(GT)
    with pytest.raises(InvalidArgumentError, match=f"write that filter without {re.escape(op)}"):
        parse_where({op: [GT]}, CHROMA)


def test_only_negative_tests_carry_the_missing_key_rule() -> None:
    for token, row in OPERATORS.items():
        operand = [1] if row.operand == "values" else 1
        if token in ON_METADATA:
            assert parse_where({"a": {token: operand}}, GUIDE).missing is False  # type: ignore[union-attr]
            assert parse_where({"a": {token: operand}}, CHROMA).missing is (row.negates is not None)  # type: ignore[union-attr]


def test_a_filter_parsed_before_is_taken_as_it_is() -> None:
    parsed = parse_where({"a": {"$ne": 1}}, CHROMA)
    assert parse_where(parsed, GUIDE) is parsed


def test_true_and_one_are_different_filters_and_no_cache_may_confuse_them() -> None:
    filters_of = [parse_where({"a": 1}), parse_where({"a": True}), parse_where({"a": {"$in": [1]}}), parse_where({"a": {"$in": [True]}})]
    assert len(set(filters_of)) == len(filters_of)
    assert parse_where({"a": 1}) == parse_where({"a": {"$eq": 1}})


def _nested(levels: int, wrap: Any) -> Any:
    node: Any = {"a": 1}
    for _ in range(levels):
        node = wrap(node)
    return node


def _cyclic() -> dict[str, Any]:
    node: dict[str, Any] = {}
    node["$or"] = [node, node]
    return node


def _cyclic_value() -> dict[str, Any]:
    node: dict[str, Any] = {}
    node["a"] = {"$eq": node}
    return node


HOSTILE: dict[str, Callable[[], object]] = {
    "deep": lambda: _nested(100_000, lambda node: {"$and": [node, {"a": 1}]}),
    "deep operand": lambda: _nested(100_000, lambda node: {"a": node}),
    "deep list": lambda: {"a": {"$in": [_nested(100_000, lambda node: [node])]}},
    "one too deep": lambda: _nested(MAX_DEPTH + 1, lambda node: {"$or": [node, {"a": 1}]}),
    "contains itself": _cyclic,
    "value contains itself": _cyclic_value,
    "shares its parts": lambda: _nested(100, lambda node: {"$and": [node, node]}),
    "operand shares its parts": lambda: {"a": {"$eq": _nested(100, lambda node: [node, node])}},
    "too many values": lambda: {"a": {"$in": range(MAX_VALUES + 1)}},
    "values that are shared": lambda: {"$and": [{"a": {"$in": list(range(MAX_VALUES // 3))}}] * 4},
    "too many clauses": lambda: {"$or": [{"a": i} for i in range(MAX_CLAUSES)]},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("parse", [parse_where, parse_where_document])
def test_a_hostile_shape_is_refused_in_bounded_words(name: str, parse: Any) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse(HOSTILE[name]())
    assert len(str(raised.value)) < 500 + MAX_DEPTH * len("['$and'][0]")


def test_the_deepest_allowed_filter_works_everywhere() -> None:
    deepest = parse_where(_nested(MAX_DEPTH, lambda node: {"$or": [node, {"b": 1}]}))
    assert parse_filter(*to_dict(deepest)) == deepest
    assert hash(deepest) == hash(parse_filter(*to_dict(deepest)))
    assert len(describe(deepest)) <= 300
    assert split(deepest) == (deepest, EVERYTHING)


def test_a_hundred_thousand_values_are_kept_in_order() -> None:
    for values in (list(range(100_000)), [f"é{i}" for i in range(100_000)], [i / 2 for i in range(100_000)]):
        parsed = parse_where({"a": {"$in": values}})
        assert isinstance(parsed, Member)
        assert list(parsed.values) == values
        assert len(describe(parsed)) <= 300


@pytest.mark.parametrize("rules", [GUIDE, CHROMA])
@given(data=st.data())
def test_a_filter_written_down_and_parsed_again_is_the_same(rules: Rules, data: st.DataObject) -> None:
    parsed = data.draw(filters(rules))
    assert parse_filter(*to_dict(parsed), rules) == parsed


def test_documents_go_to_where_document_when_the_filter_can_be_cut_there() -> None:
    assert to_dict(parse_filter(GT, {"$contains": "x"})) == ({"a": {"$gt": 1}}, {"$contains": "x"})
    assert to_dict(parse_where_document({"$or": [{"$contains": "x"}, {"$regex": "y"}]}))[0] is None
    mixed = {"$or": [{"a": {"$gt": 1}}, {"#document": {"$contains": "x"}}]}
    assert to_dict(parse_where(mixed)) == (mixed, None)
    assert to_dict(EVERYTHING) == (None, None)


def test_both_drops_everything_and_stays_flat() -> None:
    a, b, c = Compare("a", "$eq", 1), Compare("b", "$eq", 1), Document("$contains", "x")
    assert both() == both(EVERYTHING, EVERYTHING) == EVERYTHING
    assert both(EVERYTHING, a) == a
    assert both(And((a, b)), c) == And((a, b, c))
    assert both(Or((a, b)), c) == And((Or((a, b)), c))


DESCRIBED = [
    (None, "every record"),
    ({"year": {"$ne": 3}}, "year is not 3 (or has none)"),
    ({"my key": "it's"}, "'my key' is \"it's\""),
    ({"t": {"$gt": Instant(0, "UTC")}}, "t is greater than 1970-01-01T00:00:00+00:00"),
    (
        {"$and": [GT, {"$or": [LT, {"#document": {"$regex": "\n"}}]}]},
        "a is greater than 1 and (a is less than 3 or document matches the pattern '\\n')",
    ),
    ({"a": {"$in": list(range(9))}}, "a is one of 0, 1, 2, 3, 4, 5 or 3 more"),
    ({"$or": [{"a": i} for i in range(9)]}, "a is 0 or a is 1 or a is 2 or a is 3 or a is 4 or a is 5 or 3 more"),
]


@pytest.mark.parametrize(("where", "sentence"), DESCRIBED)
def test_a_filter_says_itself(where: object, sentence: str) -> None:
    assert describe(parse_where(where, CHROMA)) == sentence


@given(filters(CHROMA), st.integers(10, 80))
def test_a_sentence_is_one_line_within_its_limit(drawn: Any, limit: int) -> None:
    said = describe(drawn, limit)
    assert 0 < len(said) <= limit
    assert "\n" not in said
