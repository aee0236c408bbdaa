"""`chroma_nb.chromadb` answers as Chroma 1.5.9 does, call by call, but for the differences listed here with their reasons.

What Chroma answers stands in the golden files (`capture` makes them). With CHROMA_PYTHON set to an interpreter that has
chromadb 1.5.9, it is asked again, and the golden files are held to what it says now.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

import pytest

from chroma_nb import chromadb
from tests.chromadb import calls, capture

_SEQUENCES = "what may be a list may be a tuple"
_NUMPY = "numpy's scalars are taken for the numbers they are"
_UNCAUGHT = "a bug there: a caller's mistake ends in an error that no code waits for; here it is a ValueError"
_LEGACY = "a quirk there: a configuration without embedding function is noted as one with a nameless function"
_EMPTY_ID = "no record can have such an id: the mistake is told instead of looked up"
_KEYS = "metadata keys are the user's; only 'chroma:document' is reserved"
_ABSENT = "a value that is absent means that the record does not have the key"
_LOST = "a value that cannot be kept as it is is refused, not dropped or rounded"
_UNKNOWN_IDS = "a bug there: unknown ids count as deleted, or end a query; here they are ignored"
_NUMBERS = "int and float compare as numbers in every filter; there only outside of lists"

DIFFERENT: dict[tuple[str, str], str] = {
    ("modified", "ef_search"): _LEGACY,
    ("configurations", "configuration"): _LEGACY,
    ("functions", "old parameter on get"): _UNCAUGHT,
    ("shapes", "ids as tuple"): _SEQUENCES,
    ("refused", "embeddings: empty vector"): _UNCAUGHT,
    ("refused", "metadatas: not a dict"): _UNCAUGHT,
    ("refused", "metadatas: a list"): _UNCAUGHT,
    ("refused", "limit negative"): _UNCAUGHT,
    ("refused", "offset negative"): _UNCAUGHT,
    ("refused", "get ids: empty id"): _EMPTY_ID,
    ("refused", "delete ids: empty id"): _EMPTY_ID,
    ("writes", "more than a batch"): "no batch limit is visible to the user",
    ("edges", "uri and no metadata"): "a quirk there: a record with a uri has empty metadata instead of none",
    ("edges", "None value"): _ABSENT,
    ("edges", "only a None value"): _ABSENT,
    ("edges", "infinity"): _LOST,
    ("edges", "int beyond 64 bits"): _LOST,
    ("edges", "chroma key"): _KEYS,
    ("edges", "numpy int"): _NUMPY,
    ("edges", "numpy float"): _NUMPY,
    ("edges", "tuple value"): _SEQUENCES,
    ("edges", "tuple of ids"): _SEQUENCES,
    ("edges", "tuple of vectors"): _SEQUENCES,
    ("edges", "tuple of documents"): _SEQUENCES,
    ("deletions", "unknown id"): _UNKNOWN_IDS,
    ("distances", "unknown ids"): _UNKNOWN_IDS,
    ("filters", "get {'n': {'$contains': 1.0}}"): _NUMBERS,
    ("filters", "query {'n': {'$contains': 1.0}}"): _NUMBERS,
}
"""Scenario and call -> why the answer is another one on purpose."""


def read(scenario: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(capture.golden(scenario).read_text("utf-8"))
    return record


def agree(theirs: Any, ours: Any) -> bool:
    """Tell whether code that works with their answer works with ours: the same value, or an error the same clause catches."""
    if isinstance(theirs, dict) and "caught" in theirs:
        return isinstance(ours, dict) and theirs["error"] in ours.get("caught", ())
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and theirs.keys() == ours.keys() and all(agree(theirs[key], ours[key]) for key in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(theirs) == len(ours) and all(map(agree, theirs, ours))
    if isinstance(theirs, float):
        return isinstance(ours, float) and math.isclose(theirs, ours, rel_tol=1e-5, abs_tol=1e-6)
    return type(theirs) is type(ours) and bool(theirs == ours)


@pytest.mark.parametrize("scenario", calls.SCENARIOS)
def test_answers_are_chromas(scenario: str) -> None:
    theirs, ours = read(scenario), calls.play(scenario, chromadb)
    assert theirs.keys() == ours.keys(), "the golden file is of other calls: capture it again"
    allowed = {label for place, label in DIFFERENT if place == scenario}
    found = {label: (theirs[label], ours[label]) for label in theirs if not agree(theirs[label], ours[label])}
    assert {label: both for label, both in found.items() if label not in allowed} == {}
    assert allowed - found.keys() == set(), "listed as different, and is not any more"


def test_every_listed_difference_is_a_call() -> None:
    assert {(scenario, label) for scenario, label in DIFFERENT if label not in read(scenario)} == set()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (1, 1.0),
        (1, True),
        ([1], [1, 2]),
        ({"a": 1}, {"a": 1, "b": 2}),
        (None, []),
        (0.5, 0.5001),
        ({"error": "KeyError", "caught": ["KeyError"]}, {"error": "ValueError", "caught": ["ValueError"]}),
        ({"error": "KeyError", "caught": ["KeyError"]}, None),
        ("x", {"error": "ValueError", "caught": ["ValueError"]}),
    ],
)
def test_a_difference_would_be_seen(theirs: Any, ours: Any) -> None:
    assert agree(theirs, theirs)
    assert not agree(theirs, ours)


@pytest.mark.skipif(not os.environ.get(capture.VARIABLE), reason=f"set {capture.VARIABLE} to a Python that has chromadb {capture.VERSION}")
def test_the_golden_files_are_what_chroma_says() -> None:
    answers = capture.asked(os.environ[capture.VARIABLE])
    assert answers.keys() == calls.SCENARIOS.keys()
    for scenario, record in answers.items():
        golden = read(scenario)
        assert record.keys() == golden.keys()
        assert {label: (record[label], golden[label]) for label in record if not agree(record[label], golden[label])} == {}
