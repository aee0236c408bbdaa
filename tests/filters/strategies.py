"""Metadata, documents and filters to draw from: few keys and values, so that they meet, and the ones that are easily confused."""

from __future__ import annotations

from hypothesis import strategies as st

from chroma_nb.filters import (
    EVERYTHING,
    GUIDE,
    JUNCTIONS,
    ON_DOCUMENTS,
    OPERATORS,
    And,
    Compare,
    Contains,
    Document,
    Filter,
    Member,
    Or,
    Rules,
)
from chroma_nb.scalars import Instant

KEYS = st.sampled_from(["a", "b", "Ω key", ""])
TEXTS = st.sampled_from(["", "1", "x", "X", "ünï☃", "True", "a\x00b", "x" * 300]) | st.text(st.characters(codec="utf-8"), max_size=3)
INTS = st.sampled_from([0, 1, -1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1]) | st.integers(-3, 3)
FLOATS = st.sampled_from(
    [0.0, -0.0, 1.0, 0.5, -1.5, float(2**53), float(2**53 + 2), float(2**63), -float(2**63), 9.223372036854775e18, 1e300, 5e-324]
) | st.floats(allow_nan=False, allow_infinity=False)
INSTANTS = st.builds(Instant, st.sampled_from([0, 1, -1, 10**18, 2**63 - 1, -(2**63) + 1]), st.sampled_from([None, "UTC", "+02:00"]))
SCALARS = st.one_of(TEXTS, INTS, FLOATS, st.booleans(), INSTANTS)


def _lists(element: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(element, min_size=1, max_size=3).map(tuple)


LISTS = st.one_of(_lists(TEXTS), _lists(INTS), _lists(FLOATS), _lists(st.booleans()))
VALUES = st.one_of(SCALARS, SCALARS, LISTS)
METADATAS = st.none() | st.dictionaries(KEYS, VALUES, max_size=4)
DOCUMENTS = st.none() | st.sampled_from(["", "x", "Hello", "hello x", "line\nline", "ünï☃", "%_"])
RECORDS = st.lists(st.tuples(METADATAS, DOCUMENTS), max_size=12)

_OF_KIND = {
    "str": TEXTS,
    "number": INTS | FLOATS,
    "bool": st.booleans(),
    "naive datetime": INSTANTS.filter(lambda each: each.zone is None),
    "zoned datetime": INSTANTS.filter(lambda each: each.zone is not None),
}


def _tests(rules: Rules) -> st.SearchStrategy[Filter]:
    """Every operator that tests something, with operands of every kind its row allows."""
    drawn: list[st.SearchStrategy[Filter]] = []
    for row in OPERATORS.values():
        missing = st.just(rules.missing and row.negates is not None)
        op = st.just(row.token)
        of_kind = [_OF_KIND[kind] for kind in row.kinds]
        if "metadata" in row.applies and row.operand == "value":
            drawn.append(st.builds(Compare, KEYS, op, st.one_of(of_kind), missing))
        elif "metadata" in row.applies:
            drawn.append(st.builds(Member, KEYS, op, st.one_of([_lists(each) for each in of_kind]), missing))
        if "list" in row.applies:
            drawn.append(st.builds(Contains, KEYS, op, st.one_of(of_kind), missing))
        if row.token in ON_DOCUMENTS:
            texts = ["^x", "(?i)hello", "n.l", "☃"] if "regex" in row.token else ["x", "%", "hello", "e\nl"]
            drawn.append(st.builds(Document, op, st.sampled_from(texts), missing))
    return st.one_of(drawn)


def filters(rules: Rules = GUIDE) -> st.SearchStrategy[Filter]:
    """Return filters of any shape, as parsed under `rules`."""
    nodes: dict[str, type[And | Or]] = {"$and": And, "$or": Or}
    return st.just(EVERYTHING) | st.recursive(
        _tests(rules),
        lambda part: st.one_of([st.builds(nodes[op], st.lists(part, min_size=2, max_size=3).map(tuple)) for op in JUNCTIONS]),
        max_leaves=5,
    )
