"""get, peek, count, scan, sample, values, describe: which records, in which order, with which columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb.embedding import HashingEmbeddingFunction


@pytest.fixture
def numbers(client: Any) -> Any:
    """Return twenty-five records n0 to n24; every key but `n` is missing from some."""
    made = client.create_collection("numbers", embedding_function=None)
    made.add(
        [f"n{i}" for i in range(25)],
        embeddings=[[i, -i, 1] for i in range(25)],
        metadatas=[{"n": i, **({"even": True} if i % 2 == 0 else {}), **({"name": f"name {i % 3}"} if i else {})} for i in range(25)],
        documents=[None if i % 5 == 0 else f"document number {i}" for i in range(25)],
        uris=[f"file:///{i}" for i in range(25)],
    )
    return made


def test_get_returns_all_in_the_order_they_were_added(numbers: Any, again: Callable[[Any], Any]) -> None:
    found = again(numbers).get()
    assert found.index.tolist() == [f"n{i}" for i in range(25)]
    assert found.index.name == "id"
    assert found.columns.tolist() == ["document", "n", "even", "name"]
    assert found["n"].dtype == np.int64
    assert found["document"].isna().sum() == 5


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"ids": ["n7", "n3", "zz", "n3"]}, [3, 7]),
        ({"ids": "n24"}, [24]),
        ({"ids": ["zz"]}, []),
        ({"limit": 3}, [0, 1, 2]),
        ({"limit": 3, "offset": 23}, [23, 24]),
        ({"offset": 24}, [24]),
        ({"offset": 25}, []),
        ({"limit": 0}, []),
        ({"limit": 2**62, "offset": 20}, [20, 21, 22, 23, 24]),
        ({"where": {"n": {"$gte": 20}}}, [20, 21, 22, 23, 24]),
        ({"where": {"n": {"$gte": 20}}, "limit": 2, "offset": 1}, [21, 22]),
        ({"where": {"$and": [{"n": {"$lt": 4}}, {"even": True}]}}, [0, 2]),
        ({"where": {"even": {"$ne": True}}}, []),
        ({"where": {"n": {"$in": [3, 5.0, 99]}}}, [3, 5]),
        ({"where_document": {"$contains": "number 1"}}, [1, 11, 12, 13, 14, 16, 17, 18, 19]),
        ({"where_document": {"$regex": "2$"}, "where": {"n": {"$gt": 2}}}, [12, 22]),
        ({"where": {"#document": {"$contains": "24"}}}, [24]),
        ({"ids": ["n1", "n2", "n4"], "where": {"even": True}, "limit": 1}, [2]),
        ({"where": {}}, list(range(25))),
        ({"where": None, "where_document": None}, list(range(25))),
    ],
    ids=str,
)
def test_get_finds_what_matches(numbers: Any, again: Callable[[Any], Any], asked: dict[str, Any], expected: list[int]) -> None:
    found = again(numbers)
    assert found.get(**asked).index.tolist() == [f"n{i}" for i in expected]
    if asked.keys() <= {"where", "where_document"}:
        assert found.count(**asked) == len(expected)


@pytest.mark.parametrize(
    ("include", "columns"),
    [
        ([], []),
        (["documents"], ["document"]),
        (["metadatas"], ["n", "even", "name"]),
        (["embeddings"], ["embedding"]),
        (["uris"], ["uri"]),
        (["uris", "embeddings", "documents"], ["document", "embedding", "uri"]),
        (("metadatas", "embeddings", "metadatas"), ["embedding", "n", "even", "name"]),
        ({"documents"}, ["document"]),
    ],
    ids=str,
)
def test_include_chooses_the_columns(numbers: Any, include: Any, columns: list[str]) -> None:
    for found in (
        numbers.get(include=include),
        numbers.peek(3, include),
        numbers.sample(25, include=include),
        next(iter(numbers.scan(include=include))),
    ):
        assert found.columns.tolist() == columns
        assert found.index.name == "id"


def test_embeddings_are_float32_vectors(numbers: Any) -> None:
    found = numbers.get(["n3"], include=["embeddings"])["embedding"].iloc[0]
    assert (found.dtype, found.tolist()) == (np.dtype(np.float32), [3.0, -3.0, 1.0])


def test_peek_shows_the_first(numbers: Any) -> None:
    assert numbers.peek().index.tolist() == [f"n{i}" for i in range(10)]
    assert numbers.peek(limit=2).index.tolist() == ["n0", "n1"]
    assert numbers.peek(0).empty


def test_count_counts_all_or_what_matches(numbers: Any) -> None:
    assert numbers.count() == numbers.count({}) == 25
    assert numbers.count({"even": True}) == 13
    assert numbers.count(where_document={"$not_contains": "1"}) == 10


@pytest.mark.parametrize("size", [1, 7, 24, 25, 26, 1000])
def test_scan_goes_through_everything_once(numbers: Any, size: int) -> None:
    parts = list(numbers.scan(batch_size=size))
    assert [len(part) for part in parts] == [size] * (25 // size) + [25 % size] * (25 % size > 0)
    pd.testing.assert_index_equal(pd.concat(parts).index, numbers.get().index)
    assert [each for part in numbers.scan(size, where={"n": {"$gt": 3}}, where_document={"$contains": "1"}) for each in part["n"]] == [
        *range(11, 15),
        *range(16, 20),
        21,
    ]


def test_scan_survives_writes_in_between(numbers: Any) -> None:
    seen: list[str] = []
    for part in numbers.scan(batch_size=5):
        seen += part.index.tolist()
        numbers.delete([part.index[0], f"n{len(seen) + 1}"])
        numbers.upsert([f"new{len(seen)}", part.index[1]], embeddings=[[0, 0, 0]] * 2)
    assert len(seen) == len(set(seen))
    assert {f"n{i}" for i in range(5)} <= set(seen)


def test_a_scan_given_up_leaves_the_store_usable(numbers: Any) -> None:
    for _ in numbers.scan(batch_size=5):
        break
    numbers.add(["x"], embeddings=[[1, 2, 3]])
    assert numbers.count() == 26


def test_a_sample_is_drawn_without_replacement_in_collection_order(numbers: Any) -> None:
    order = {f"n{i}": i for i in range(25)}
    for n in (0, 1, 10, 25, 40):
        drawn = [order[each] for each in numbers.sample(n).index]
        assert drawn == sorted(set(drawn))
        assert len(drawn) == min(n, 25)
    assert numbers.sample(8, seed=3).index.tolist() == numbers.sample(8, seed=3).index.tolist()
    assert {tuple(numbers.sample(8).index) for _ in range(20)} != {tuple(numbers.sample(8, seed=1).index)}
    assert set(numbers.sample(25, where={"even": True})["n"]) == set(range(0, 25, 2))
    assert numbers.sample(5, where={"n": -1}).empty


def test_values_counts_the_most_frequent(numbers: Any, again: Callable[[Any], Any]) -> None:
    numbers = again(numbers)
    found = numbers.values("name")
    assert found.to_dict() == {"name 0": 8, "name 1": 8, "name 2": 8}
    assert (found.index.name, found.name, found.dtype) == ("name", "count", np.int64)
    assert numbers.values("name", where={"n": {"$lt": 5}}).to_dict() == {"name 1": 2, "name 0": 1, "name 2": 1}
    assert numbers.values("even").to_dict() == {True: 13}
    assert len(numbers.values("n")) == 20
    assert len(numbers.values("n", top=None)) == 25
    assert len(numbers.values("n", 3)) == 3
    assert numbers.values("nothing").empty


def test_describe_tells_what_is_there(numbers: Any, again: Callable[[Any], Any]) -> None:
    numbers.delete(["n24"])
    found = again(numbers).describe()
    assert (found.name, found.count, found.dimension, found.space, found.documents) == ("numbers", 24, 3, "l2", 19)
    assert found.fields.index.tolist() == ["n", "even", "name"]
    assert found.fields["present"].tolist() == [24, 12, 23]
    assert found.fields["types"].tolist() == ["int", "bool", "str"]
    assert found.fields.loc["n", ["min", "max"]].tolist() == [0, 23]
    assert found.fields.loc["name", "distinct"] == 3
    assert found.fields.loc["even", "coverage"] == 0.5
    assert (found.index.indexed, found.index.pending) == (0, 24)
    assert "24 records" in repr(found)


def test_an_empty_collection_answers_everything(client: Any, again: Callable[[Any], Any]) -> None:
    made = again(client.create_collection("empty", embedding_function=HashingEmbeddingFunction(8)))
    assert made.count() == made.count({"a": 1}) == 0
    for found in (made.get(), made.get(["a"]), made.get(where={"a": 1}), made.peek(), made.sample(), made.query(query_texts=["x", "y"])):
        assert found.empty
    assert list(made.scan()) == []
    assert list(made.scan(where={"a": 1})) == []
    assert made.values("a").empty
    assert made.delete(["a"]) == made.delete(where={"a": 1}) == 0
    assert made.describe().dimension is None
    made.update(["a"], metadatas=[{"a": 1}])
    made.build_index(show_progress=False)
    assert made.project("pca").empty
    assert made.count() == 0
