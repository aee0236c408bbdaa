"""columns: some metadata keys of all matching records, exactly as get shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from tests.contract.backends import Backend
from tests.filters.strategies import VALUES

KEYS = ["n", "topic", "id", "metadata.x", "Ω key"]


@pytest.fixture
def mixed(client: Any) -> Any:
    """Twelve records with columns of every dtype, some with gaps, one key of several kinds."""
    made = client.create_collection("mixed", embedding_function=None)
    moment = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
    made.add(
        [f"r{i}" for i in range(12)],
        embeddings=[[i, 1] for i in range(12)],
        documents=[f"document {i}" for i in range(12)],
        metadatas=[
            {
                "whole": i,
                "float": i / 4,
                "flag": i % 2 == 0,
                "text": f"ünï {i % 3}",
                "list": [i, i + 1],
                **({"gaps": i, "float gaps": i / 3, "flag gaps": i > 5, "text gaps": "x"} if i % 3 else {}),
                "kinds": [i, float(i), str(i)][i % 3],
                "id": f"own {i}",
                "at": moment + dt.timedelta(days=i),
                "local": dt.datetime(2024, 1, 1 + i, 3),  # noqa: DTZ001 - one without a zone
            }
            for i in range(12)
        ],
    )
    return made


def as_get_shows(collection: Any, columns: list[str], **filters: Any) -> pd.DataFrame:
    found = collection.get(include=["metadatas"], **filters)
    for name in columns:
        if name not in found:
            found[name] = pd.Series([None] * len(found), index=found.index, dtype=object)
    return found[columns]


def test_columns_are_those_of_get(mixed: Any, again: Callable[[Any], Any]) -> None:
    collection = again(mixed)
    columns = [name for name in collection.get(include=["metadatas"]) if name != "metadata.id"]
    pd.testing.assert_frame_equal(collection.columns(columns), as_get_shows(collection, columns))
    pd.testing.assert_frame_equal(collection.columns(["id", "flag"]), as_get_shows(collection, ["metadata.id", "flag"]))
    assert collection.columns("whole")["whole"].dtype == np.int64
    assert collection.columns("gaps").index.name == "id"


def test_columns_of_what_matches(mixed: Any, again: Callable[[Any], Any]) -> None:
    collection = again(mixed)
    for filters in (
        {"where": {"whole": {"$gte": 7}}},
        {"where": {"gaps": {"$lt": 6}}, "where_document": {"$not_contains": "4"}},
        {"where": {"whole": 3}},
        {"where": {"whole": 99}},
    ):
        columns = ["gaps", "kinds", "text", "float gaps"]
        pd.testing.assert_frame_equal(
            collection.columns(columns, **filters), as_get_shows(collection, columns, **filters), check_column_type=False
        )


def test_no_keys_are_the_ids_alone(mixed: Any) -> None:
    assert mixed.columns().index.tolist() == [f"r{i}" for i in range(12)]
    assert mixed.columns([], where={"whole": {"$gt": 9}}).index.tolist() == ["r10", "r11"]
    assert mixed.columns().shape == (12, 0)
    assert mixed.columns().attrs == {"collection": "mixed", "space": "l2"}


def test_an_unknown_key_is_an_empty_column(mixed: Any) -> None:
    found = mixed.columns(["nobody", "whole", "nobody"])
    assert found.columns.tolist() == ["nobody", "whole"]
    assert found["nobody"].tolist() == [None] * 12


def test_columns_follow_every_write(mixed: Any, again: Callable[[Any], Any]) -> None:
    assert mixed.columns("whole")["whole"].tolist() == list(range(12))
    mixed.delete(["r0", "r5"])
    mixed.update("r3", metadatas={"whole": "three"})
    mixed.upsert(["r7", "r5"], embeddings=[[7, 7], [5, 5]], metadatas=[{"whole": -7}, {"whole": -5}])
    collection = again(mixed)
    expected = collection.get(include=["metadatas"])
    assert expected.index.tolist() == ["r1", "r2", "r3", "r4", "r6", "r7", "r8", "r9", "r10", "r11", "r5"]
    pd.testing.assert_frame_equal(collection.columns(["whole", "gaps"]), expected[["whole", "gaps"]])


def test_an_empty_collection_has_no_rows(client: Any) -> None:
    made = client.create_collection("empty", embedding_function=None)
    assert made.columns().shape == (0, 0)
    assert made.columns(["a", "b"]).shape == (0, 2)


@pytest.mark.parametrize("keys", [7, None, {"a": 1}, b"a"], ids=repr)
def test_keys_of_another_type_are_refused(docs: Any, keys: Any) -> None:
    with pytest.raises(InvalidTypeError, match="keys: expected"):
        docs.columns(keys)


@pytest.mark.parametrize(("keys", "error"), [(["a", 3], InvalidTypeError), ([""], InvalidArgumentError), (["$x"], InvalidArgumentError)])
def test_keys_that_no_record_can_have_are_refused(docs: Any, keys: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"keys\[\d\]"):
        docs.columns(keys)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    metadatas=st.lists(st.none() | st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=4), min_size=1, max_size=8),
    changed=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=2), max_size=3),
    removed=st.integers(0, 2),
)
def test_any_metadata_is_what_get_shows(backend: Backend, metadatas: list[Any], changed: list[Any], removed: int) -> None:
    client = backend.client()
    client.get_or_create_collection("any", embedding_function=None)
    client.delete_collection("any")
    made = client.create_collection("any", embedding_function=None)
    ids = [f"é{i}" for i in range(len(metadatas))]
    made.add(ids, embeddings=[[1]] * len(ids), metadatas=metadatas)
    if changed:
        made.update(ids[: len(changed)], metadatas=changed[: len(ids)])
    if removed:
        made.delete(ids[-removed:])
    expected = made.get(include=["metadatas"])
    columns = expected.columns.tolist()
    keys = [name.removeprefix("metadata.") for name in columns]
    found = made.columns(keys)
    pd.testing.assert_frame_equal(found, expected, check_exact=True, check_column_type=False)
    for name in columns:
        assert list(map(type, found[name].array)) == list(map(type, expected[name].array))
