"""What matches what: tables observed on Chroma's own releases, the usage guide's rule, and the decisions that differ, each by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.engine.columns import Columns
from chroma_nb.filters import (
    CHROMA,
    GUIDE,
    Document,
    Filter,
    Rules,
    matches,
    needs_document,
    parse_where,
    parse_where_document,
    split,
)
from chroma_nb.scalars import Instant
from tests.filters.strategies import DOCUMENTS, METADATAS, RECORDS, filters

SCALARS: dict[str, Any] = {
    "a": {"v": 1},
    "b": {"v": 1.0},
    "c": {"v": "1"},
    "d": {"v": True},
    "e": {"o": 2},
    "f": None,
    "g": {"v": 2.5, "o": 1},
    "h": {"v": "two", "o": "x"},
}
OBSERVED_SCALARS = [
    ({"v": 1}, "ab"),
    ({"v": {"$eq": 1}}, "ab"),
    ({"v": 1.0}, "ab"),
    ({"v": "1"}, "c"),
    ({"v": True}, "d"),
    ({"v": {"$ne": 1}}, "cdefgh"),
    ({"v": {"$ne": "1"}}, "abdefgh"),
    ({"v": {"$ne": True}}, "abcefgh"),
    ({"zzz": {"$ne": 1}}, "abcdefgh"),
    ({"zzz": {"$nin": [1]}}, "abcdefgh"),
    ({"zzz": 1}, ""),
    ({"v": {"$gt": 1}}, "g"),
    ({"v": {"$gte": 1}}, "abg"),
    ({"v": {"$lt": 2}}, "ab"),
    ({"v": {"$lte": 2.5}}, "abg"),
    ({"v": {"$in": [1, 2]}}, "ab"),
    ({"v": {"$in": [1.0, 2.5]}}, "abg"),
    ({"v": {"$in": ["1", "two"]}}, "ch"),
    ({"v": {"$in": [True]}}, "d"),
    ({"v": {"$nin": [1]}}, "cdefgh"),
    ({"$and": [{"v": {"$ne": 1}}, {"o": {"$ne": 2}}]}, "cdfgh"),
    ({"$or": [{"v": 1}, {"$and": [{"v": {"$gt": 2}}, {"o": 1}]}]}, "abg"),
]
BY_THE_GUIDE = [
    ({"v": {"$ne": 1}}, "cdgh"),
    ({"v": {"$nin": [1]}}, "cdgh"),
    ({"zzz": {"$ne": 1}}, ""),
    ({"zzz": {"$nin": [1]}}, ""),
    ({"$and": [{"v": {"$ne": 1}}, {"o": {"$ne": 2}}]}, "gh"),
    ({"v": 1}, "ab"),
]
ARRAYS: dict[str, Any] = {"a": {"t": ("x", "y")}, "b": {"t": ("z",)}, "c": {"t": "x"}, "d": {"n": (1, 2)}}
OBSERVED_ARRAYS = [
    ({"t": {"$contains": "x"}}, "a"),
    ({"t": {"$not_contains": "x"}}, "bcd"),
    ({"n": {"$contains": 1}}, "d"),
    ({"t": "x"}, "c"),
    ({"t": {"$in": ["x"]}}, "c"),
    ({"t": {"$ne": "x"}}, "abd"),
]
OUR_DECISIONS = [
    ({"n": {"$contains": 1.0}}, "d"),  # numbers compare as numbers
    ({"n": {"$contains": True}}, ""),  # and a bool is none
    ({"n": {"$gt": 0}}, ""),
]
DOCUMENTED: dict[str, Any] = {
    "a": "Hello World",
    "b": "hello world",
    "c": "a%b_c",
    "d": "",
    "e": None,
    "f": "line1\nline2",
    "g": "ünïcode ☃ snow",
    "h": "dot.star*",
}
OBSERVED_DOCUMENTS = [
    ({"$contains": "hello"}, "b"),
    ({"$contains": "Hello"}, "a"),
    ({"$contains": "o"}, "abgh"),
    ({"$contains": "b_c"}, "c"),
    ({"$contains": "1\nl"}, "f"),
    ({"$contains": "%"}, "c"),
    ({"$contains": "☃"}, "g"),
    ({"$contains": ".*"}, ""),
    ({"$not_contains": "hello"}, "acdefgh"),
    ({"$and": [{"$not_contains": "hello"}, {"$not_contains": "o"}]}, "cdef"),
    ({"$or": [{"$contains": "hello"}, {"$contains": "%"}]}, "bc"),
    ({"$regex": "h.*o w"}, "b"),
    ({"$regex": "^hello"}, "b"),
    ({"$regex": "(?i)HELLO"}, "ab"),
    ({"$not_regex": "hello"}, "acdefgh"),
]
DOCUMENTS_BY_THE_GUIDE = [
    ({"$not_contains": "hello"}, "acdfgh"),
    ({"$and": [{"$not_contains": "hello"}, {"$not_contains": "o"}]}, "cdf"),
    ({"$not_regex": "hello"}, "acdfgh"),
]


def found(drawn: Filter, metadatas: list[Any], documents: Sequence[str | None]) -> list[bool]:
    """Return the mask over columns, after checking that it is what the oracle says of each record."""

    def document_mask(test: Document) -> np.ndarray[Any, Any]:
        return np.array([matches(test, None, document) for document in documents], bool)

    mask = Columns().extended(metadatas).mask(drawn, document_mask)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [matches(drawn, metadata, document) for metadata, document in zip(metadatas, documents, strict=True)]
    return [bool(each) for each in mask]


def names(records: dict[str, Any], mask: list[bool]) -> str:
    return "".join(name for name, match in zip(records, mask, strict=True) if match)


TABLES = [
    *[(SCALARS, where, CHROMA, expected) for where, expected in OBSERVED_SCALARS],
    *[(SCALARS, where, GUIDE, expected) for where, expected in BY_THE_GUIDE],
    *[(ARRAYS, where, CHROMA, expected) for where, expected in (*OBSERVED_ARRAYS, *OUR_DECISIONS)],
    (ARRAYS, {"t": {"$not_contains": "x"}}, GUIDE, "bc"),
]


@pytest.mark.parametrize(("records", "where", "rules", "expected"), TABLES)
def test_metadata_filters_match_what_was_observed(records: dict[str, Any], where: object, rules: Rules, expected: str) -> None:
    mask = found(parse_where(where, rules), list(records.values()), [None] * len(records))
    assert names(records, mask) == expected


@pytest.mark.parametrize(
    ("where_document", "rules", "expected"),
    [
        *[(each, CHROMA, expected) for each, expected in OBSERVED_DOCUMENTS],
        *[(each, GUIDE, expected) for each, expected in DOCUMENTS_BY_THE_GUIDE],
    ],
)
def test_document_filters_match_what_was_observed(where_document: object, rules: Rules, expected: str) -> None:
    mask = found(parse_where_document(where_document, rules), [None] * len(DOCUMENTED), list(DOCUMENTED.values()))
    assert names(DOCUMENTED, mask) == expected


EXACT = [
    ({"$eq": 2**53 + 1}, [2**53 + 1]),
    ({"$eq": float(2**53)}, [2**53, float(2**53)]),
    ({"$gt": float(2**53)}, [2**53 + 1, 2**63 - 1, float(2**63)]),
    ({"$lt": 2**53 + 1}, [2**53, float(2**53), -(2**63)]),
    ({"$gte": float(2**63)}, [float(2**63)]),
    ({"$lt": float(2**63)}, [2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63)]),
    ({"$gt": 2**63 - 1}, [float(2**63)]),
    ({"$lte": -(2**63)}, [-(2**63)]),
    ({"$gte": -float(2**63)}, [2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), float(2**63)]),
    ({"$in": [float(2**63), 2**53 + 1]}, [2**53 + 1, float(2**63)]),
]


@pytest.mark.parametrize(("test", "expected"), EXACT)
def test_numbers_compare_without_rounding(test: object, expected: list[float]) -> None:
    values = [2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), float(2**63)]
    mask = found(parse_where({"n": test}), [{"n": value} for value in values], [None] * len(values))
    assert [value for value, match in zip(values, mask, strict=True) if match] == expected


def test_instants_compare_with_instants_of_their_kind_only() -> None:
    values = [Instant(5, None), Instant(5, "UTC"), Instant(5, "+02:00"), Instant(6, None), 5, "1970-01-01T00:00:00.000000005"]
    records = [{"t": value} for value in values]
    none = [None] * len(values)
    assert found(parse_where({"t": Instant(5, None)}), records, none) == [True, False, False, False, False, False]
    assert found(parse_where({"t": Instant(5, "UTC")}), records, none) == [False, True, True, False, False, False]
    assert found(parse_where({"t": {"$gte": Instant(5, None)}}), records, none) == [True, False, False, True, False, False]
    assert found(parse_where({"t": "1970-01-01T00:00:00.000000005"}), records, none) == [False, False, False, False, False, True]
    assert found(parse_where({"t": {"$lt": 6}}), records, none) == [False, False, False, False, True, False]


@pytest.mark.parametrize("rules", [GUIDE, CHROMA])
@given(data=st.data(), records=RECORDS)
def test_columns_find_exactly_the_records_that_match(rules: Rules, data: st.DataObject, records: list[tuple[Any, str | None]]) -> None:
    metadatas, documents = [metadata for metadata, _ in records], [document for _, document in records]
    found(data.draw(filters(rules)), metadatas, documents)


@pytest.mark.parametrize("rules", [GUIDE, CHROMA])
@given(data=st.data(), metadata=METADATAS, document=DOCUMENTS)
def test_a_split_filter_matches_what_the_whole_matches(rules: Rules, data: st.DataObject, metadata: Any, document: str | None) -> None:
    drawn = data.draw(filters(rules))
    plain, rest = split(drawn)
    assert not needs_document(plain)
    assert (matches(plain, metadata, document) and matches(rest, metadata, document)) == matches(drawn, metadata, document)


def test_documents_are_asked_about_last_and_only_while_records_are_left() -> None:
    asked: list[Document] = []

    def document_mask(test: Document) -> np.ndarray[Any, Any]:
        asked.append(test)
        return np.array([True, False])

    columns = Columns().extended([{"n": 1}, {"n": 2}])
    words = {"#document": {"$contains": "x"}}
    assert columns.mask(parse_where({"$and": [words, {"n": 3}]}), document_mask).tolist() == [False, False]
    assert columns.mask(parse_where({"$or": [words, {"n": {"$gt": 0}}]}), document_mask).tolist() == [True, True]
    assert asked == []
    assert columns.mask(parse_where({"$and": [words, {"n": {"$gt": 0}}]}), document_mask).tolist() == [True, False]
    assert asked == [Document("$contains", "x")]


def test_a_filter_on_documents_without_anyone_to_ask_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="document"):
        Columns().mask(parse_where_document({"$contains": "x"}))
