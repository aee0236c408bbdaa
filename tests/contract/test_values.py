"""What goes in comes out: ids, documents, uris and metadata values of every kind, exactly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb import ops
from chroma_nb.scalars import Instant
from tests.contract.backends import Backend
from tests.filters.strategies import VALUES

HOSTILE = [
    "%",
    "_",
    "a%b_c",
    "'; DROP TABLE record; --",
    '"',
    "`",
    "\\",
    "\0",
    "a\0b",
    "a\0c",
    "\n",
    " ",
    " a",
    "a ",
    "\u202eabc\u202c",
    "שלום",
    "é",
    "e\u0301",
    "ß",
    "SS",
    "\U0001f9a9",
    "\ufeff",
    "\ufffe",
    "NULL",
    "None",
    "nan",
    "0",
    "00",
    "1e3",
    "True",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "../../etc/passwd",
    "x" * 10_000,
]


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=3).filter(lambda key: key[0] not in "$#")


@pytest.fixture
def plain(client: Any) -> Any:
    return client.create_collection("plain", embedding_function=None)


def metadata_of(collection: Any, identifier: str) -> Any:
    return collection._execute(ops.Get(str(collection.id), [identifier])).metadatas[0]


def test_hostile_ids_are_ids_like_any_other(plain: Any, again: Callable[[Any], Any]) -> None:
    plain.add(HOSTILE, embeddings=[[i] for i in range(len(HOSTILE))])
    found = again(plain)
    assert found.get().index.tolist() == HOSTILE
    for i, identifier in enumerate(HOSTILE):
        assert found.get(identifier, include=["embeddings"])["embedding"].iloc[0].tolist() == [i]
        assert found.query([[i]], ids=[identifier])["id"].tolist() == [identifier]
    for identifier in HOSTILE:
        found.update(identifier, metadatas={"seen": identifier})
        assert found.get(where={"seen": identifier}).index.tolist() == [identifier]
    for left, identifier in enumerate(reversed(HOSTILE)):
        assert found.delete([identifier]) == 1
        assert found.count() == len(HOSTILE) - left - 1


def test_hostile_texts_are_documents_keys_and_values_like_any_other(plain: Any, again: Callable[[Any], Any]) -> None:
    ids = [str(i) for i in range(len(HOSTILE))]
    plain.add(
        ids, embeddings=[[1]] * len(HOSTILE), documents=HOSTILE, uris=HOSTILE, metadatas=[{text: text, "all": text} for text in HOSTILE]
    )
    found = again(plain)
    assert found.get()["document"].tolist() == HOSTILE
    assert found.get(include=["uris"])["uri"].tolist() == HOSTILE
    for i, text in enumerate(HOSTILE):
        assert metadata_of(found, ids[i]) == {text: text, "all": text}
        assert found.get(where={"all": text}).index.tolist() == [ids[i]]
        expected = [str(place) for place, document in enumerate(HOSTILE) if text in document]
        assert found.get(where_document={"$contains": text}).index.tolist() == expected
    assert found.values("all", top=None).to_dict() == dict.fromkeys(HOSTILE, 1)


def test_an_empty_document_is_a_document(plain: Any, again: Callable[[Any], Any]) -> None:
    plain.add(["a", "b"], embeddings=[[1], [2]], documents=["", None], metadatas=[{"text": ""}, None])
    found = again(plain)
    assert found.get()["document"].tolist()[0] == ""
    assert found.get()["document"].isna().tolist() == [False, True]
    assert found.describe().documents == 1
    assert found.get(where={"text": ""}).index.tolist() == ["a"]


VALUES_OF_ALL_KINDS: list[Any] = [
    "text",
    "",
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**53 + 1,
    1.0,
    -0.0,
    0.1,
    5e-324,
    1.7976931348623157e308,
    True,
    False,
    ["a", "b"],
    [1, 2],
    [1.0, 2.5],
    [True, False],
]


def test_values_keep_their_type_to_the_last_bit(plain: Any, again: Callable[[Any], Any]) -> None:
    ids = [str(i) for i in range(len(VALUES_OF_ALL_KINDS))]
    plain.add(ids, embeddings=[[1]] * len(ids), metadatas=[{"v": value} for value in VALUES_OF_ALL_KINDS])
    found = again(plain)
    for identifier, value in zip(ids, VALUES_OF_ALL_KINDS, strict=True):
        expected = tuple(value) if isinstance(value, list) else value
        assert repr(metadata_of(found, identifier)["v"]) == repr(expected)


def test_numpy_values_become_plain_ones(plain: Any) -> None:
    plain.add("a", [1], {"i": np.int8(3), "f": np.float32(0.5), "b": np.bool_(True), "s": np.str_("x"), "l": np.array([1, 2])})
    assert repr(metadata_of(plain, "a")) == "{'i': 3, 'f': 0.5, 'b': True, 's': 'x', 'l': (1, 2)}"


@pytest.mark.parametrize("absent", [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), np.float32("nan")], ids=str)
def test_an_absent_value_is_no_key(plain: Any, absent: Any) -> None:
    plain.add(["a", "b"], embeddings=[[1], [2]], metadatas=[{"v": absent, "w": 1}, {"v": absent}])
    assert metadata_of(plain, "a") == {"w": 1}
    assert metadata_of(plain, "b") is None


def test_datetimes_are_exact_and_have_an_order(plain: Any, again: Callable[[Any], Any]) -> None:
    moments = [
        dt.datetime(2024, 5, 1, 12, 30, 15, 123456),  # noqa: DTZ001 - one without a zone
        dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc),
        dt.datetime(2024, 5, 1, 12, tzinfo=ZoneInfo("Europe/Paris")),
        pd.Timestamp("1999-12-31T23:59:59.123456789"),
        np.datetime64("2000-01-01T00:00:00.000000001"),
    ]
    plain.add(list("abcde"), embeddings=[[1]] * 5, metadatas=[{"at": moment} for moment in moments])
    found = again(plain)
    assert metadata_of(found, "a")["at"] == Instant(1714566615123456000, None)
    assert metadata_of(found, "c")["at"] == Instant(1714557600000000000, "Europe/Paris")
    assert metadata_of(found, "d")["at"] == Instant(946684799123456789, None)
    assert found.get(where={"at": {"$gt": dt.datetime(2000, 1, 1)}}).index.tolist() == ["a", "e"]  # noqa: DTZ001
    assert found.get(where={"at": {"$lt": dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)}}).index.tolist() == ["c"]
    assert found.get(["d", "e"])["at"].tolist() == [pd.Timestamp(moments[3]), pd.Timestamp(moments[4])]
    assert found.get(["b"])["at"].tolist() == [pd.Timestamp(moments[1])]


def test_lists_are_searched_by_element(plain: Any, again: Callable[[Any], Any]) -> None:
    plain.add(list("abcd"), embeddings=[[1]] * 4, metadatas=[{"t": ["x", "y"]}, {"t": ["z"]}, {"t": "x"}, {"n": [1, 2]}])
    found = again(plain)
    assert found.get(where={"t": {"$contains": "x"}}).index.tolist() == ["a"]
    assert found.get(where={"t": {"$not_contains": "x"}}).index.tolist() == ["b", "c"]
    assert found.get(where={"n": {"$contains": 1}}).index.tolist() == ["d"]
    assert found.get(where={"t": "x"}).index.tolist() == ["c"]
    assert found.get(["a"])["t"].tolist() == [["x", "y"]]


def test_numbers_compare_exactly_and_bools_are_no_numbers(plain: Any) -> None:
    values = [1, 1.0, "1", True, 2.5, 2**53, 2**53 + 1, float(2**53)]
    plain.add([f"{i}" for i in range(8)], embeddings=[[1]] * 8, metadatas=[{"v": value} for value in values])
    for wanted, expected in [
        (1, "01"),
        (1.0, "01"),
        ("1", "2"),
        (True, "3"),
        (2.5, "4"),
        (2**53, "57"),
        (2**53 + 1, "6"),
        (float(2**53), "57"),
    ]:
        assert "".join(plain.get(where={"v": wanted}).index) == expected
    assert "".join(plain.get(where={"v": {"$gt": 2**53}}).index) == "6"
    assert "".join(plain.get(where={"v": {"$lte": 2}}).index) == "01"


def test_embeddings_are_kept_bit_by_bit(plain: Any, again: Callable[[Any], Any]) -> None:
    odd = np.array([[1e-45, -0.0, 3.4028235e38, -1e-20, 0.1, 1 / 3]], dtype=np.float32)
    plain.add(["a"], embeddings=odd)
    assert again(plain).get(include=["embeddings"])["embedding"].iloc[0].tobytes() == odd.tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.lists(
        st.dictionaries(KEYS, VALUES, min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_any_metadata_comes_back(backend: Backend, metadatas: list[dict[str, Any]]) -> None:
    client = backend.client()
    client.get_or_create_collection("any", embedding_function=None)
    client.delete_collection("any")
    made = client.create_collection("any", embedding_function=None)
    ids = [str(i) for i in range(len(metadatas))]
    made.add(ids, embeddings=[[1]] * len(ids), metadatas=metadatas)
    found = made._execute(ops.Get(str(made.id)))
    assert list(map(repr, found.metadatas)) == list(map(repr, metadatas))
