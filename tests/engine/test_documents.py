"""Tests on documents give what `matches` says, whatever the documents hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb import ops
from chroma_nb.engine import catalog, documents
from chroma_nb.engine.engine import Engine
from chroma_nb.filters import Document, matches
from tests.engine import asked

ODD = [
    "",
    "x",
    "X",
    "%",
    "_",
    "a%b_c",
    "a\0b",
    "a\0c",
    "\0",
    "ünï☃",
    "É",
    "e\u0301",
    "\U0001f9a9",
    "line\nline",
    "'\"`\\",
    "*?[a]",
    "שלום",
    "\ufeff",
]
TEXTS = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=4)
NEEDLES = st.sampled_from([each for each in ODD if each]) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=2)
PATTERNS = st.sampled_from(["^x", "(?i)x", ".", "^$", "a.b", "[%_]", "☃$", r"\bline\b", r"(?s)e.l", "\\0", "b|c", "(?!x)"])


def mask_of(engine: Engine, collection: str, test: Document, within: Any = None) -> list[bool]:
    with engine._database.read() as connection:
        entry = catalog.by_id(connection, collection)
        current = engine._memory.view(connection, entry)
        found = documents.mask(connection, entry, current, test, within)
        return [bool(found[position]) for position in current.in_order(np.flatnonzero(current.alive))]


@pytest.mark.parametrize("op", ["$contains", "$not_contains", "$regex", "$not_regex"])
@pytest.mark.parametrize("missing", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_mask_is_what_matches_says(engine: Engine, op: str, missing: bool, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.none() | TEXTS, min_size=1, max_size=30))
    test = Document(op, data.draw(PATTERNS if "regex" in op else NEEDLES), missing)
    engine.execute(ops.Reset())
    collection = asked.create(engine)
    asked.add(engine, collection, [str(i) for i in range(len(texts))], [[1]] * len(texts), texts)
    expected = [matches(test, None, text) for text in texts]
    assert mask_of(engine, collection, test) == expected
    within = np.array(sorted(data.draw(st.sets(st.integers(0, len(texts) - 1)))), dtype=np.int64)
    assert mask_of(engine, collection, test, within) == [hit and place in within for place, hit in enumerate(expected)]


def test_few_candidates_of_many_are_asked_about_alone(engine: Engine) -> None:
    collection = asked.create(engine)
    texts = [f"document {i % 7}" for i in range(3000)]
    asked.add(engine, collection, [str(i) for i in range(3000)], [[1]] * 3000, texts)
    test = Document("$contains", "3")
    within = np.arange(0, 3000, 40)
    expected = [place % 40 == 0 and "3" in text for place, text in enumerate(texts)]
    assert mask_of(engine, collection, test, within) == expected
    asked.delete(engine, collection, ["3", "10"])
    left = [text for place, text in enumerate(texts) if place not in {3, 10}]
    assert mask_of(engine, collection, test) == ["3" in text for text in left]
