"""add, upsert, update, delete, bulk_upsert: what is stored afterwards, and what is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb.embedding import HashingEmbeddingFunction
from chroma_nb.errors import BulkUpsertError, EmbeddingError, InvalidArgumentError, InvalidDimensionError
from tests.contract.backends import content

ALL = ["documents", "metadatas", "embeddings", "uris"]


def row(collection: Any, identifier: str) -> dict[str, Any]:
    """Return what one record holds: its cells but those that are absent."""
    found = collection.get(identifier, include=ALL)
    assert found.index.tolist() == [identifier]
    cells = found.iloc[0].to_dict()
    return {
        name: cell.tolist() if isinstance(cell, np.ndarray) else cell for name, cell in cells.items() if np.ndim(cell) or not pd.isna(cell)
    }


def vectors(collection: Any) -> list[list[float]]:
    return [each.tolist() for each in collection.get(include=["embeddings"])["embedding"]]


def test_what_was_added_is_there(docs: Any, again: Callable[[Any], Any]) -> None:
    found = again(docs)
    assert found.count() == 3
    assert row(found, "a") == {
        "document": "paint and canvas",
        "embedding": [1.0, 0.0],
        "year": 1999,
        "topic": "art",
        "uri": "file:///a.txt",
    }
    assert row(found, "c") == {"embedding": [1.0, 1.0]}


def test_one_record_needs_no_lists(docs: Any) -> None:
    docs.add("d", [3, 4], {"year": 1}, "text", "uri://d")
    assert row(docs, "d") == {"document": "text", "embedding": [3.0, 4.0], "year": 1, "uri": "uri://d"}


@pytest.mark.parametrize(
    "embeddings",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        np.array([[1, 2], [3, 4]], dtype=np.int8),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 9, 2, 9], [3, 9, 4, 9]], dtype=np.float16)[:, ::2],
        [np.array([1, 2]), np.array([3, 4])],
        pd.Series([[1, 2], [3, 4]]),
    ],
    ids=["lists", "tuples", "int8", "fortran", "strided", "arrays", "series"],
)
def test_vectors_come_in_many_shapes(client: Any, embeddings: Any) -> None:
    made = client.create_collection("docs", embedding_function=None)
    made.add(["a", "b"], embeddings=embeddings)
    assert vectors(made) == [[1.0, 2.0], [3.0, 4.0]]


def test_a_frame_brings_everything(client: Any, docs: Any, again: Callable[[Any], Any]) -> None:
    frame = docs.get(include=ALL)
    copy = client.create_collection("copy", embedding_function=None)
    copy.add(frame)
    before = content(docs)
    assert content(again(copy)) == before


def test_known_ids_are_left_alone_by_add(docs: Any, caplog: pytest.LogCaptureFixture) -> None:
    before = content(docs)
    with caplog.at_level(logging.WARNING, "chroma_nb"):
        docs.add(["b", "d"], embeddings=[[7, 7], [8, 8]], documents=["other", "new"], metadatas=[{"x": 1}, {"x": 2}])
    assert content(docs)[:3] == before
    assert row(docs, "d") == {"document": "new", "embedding": [8.0, 8.0], "x": 2}
    assert "'b'" in caplog.text
    docs.add(["b", "d"], embeddings=[[7, 7], [8, 8]])
    assert docs.count() == 4


def test_adding_the_same_again_changes_nothing(docs: Any) -> None:
    before = content(docs)
    docs.add(["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]])
    assert content(docs) == before


def test_update_changes_what_is_given_and_merges_metadata(docs: Any, again: Callable[[Any], Any]) -> None:
    docs.update("a", metadatas={"year": 2000, "new": True})
    docs.update(["b", "c"], documents=["owls", None], embeddings=[[5, 5], [6, 6]])
    docs.update("c", uris="u://c")
    found = again(docs)
    assert row(found, "a") == {
        "document": "paint and canvas",
        "embedding": [1.0, 0.0],
        "year": 2000,
        "topic": "art",
        "new": True,
        "uri": "file:///a.txt",
    }
    assert row(found, "b") == {"document": "owls", "embedding": [5.0, 5.0], "year": 2024, "topic": "owls"}
    assert row(found, "c") == {"embedding": [6.0, 6.0], "uri": "u://c"}
    assert found.get().index.tolist() == ["a", "b", "c"]
    assert found.query([[6, 6]], n_results=1)["id"].tolist() == ["c"]


def test_update_removes_keys_that_are_none(docs: Any) -> None:
    docs.update("a", metadatas={"year": None})
    assert "year" not in row(docs, "a")
    docs.update("a", metadatas={"topic": None, "unknown": None})
    assert row(docs, "a") == {"document": "paint and canvas", "embedding": [1.0, 0.0], "uri": "file:///a.txt"}
    assert docs.count(where={"topic": "art"}) == 0
    docs.update("a", metadatas=[None])
    docs.update("c", metadatas={"year": "text now"})
    assert docs.get(where={"year": "text now"}).index.tolist() == ["c"]


def test_update_of_unknown_ids_is_told_and_changes_nothing(docs: Any, caplog: pytest.LogCaptureFixture) -> None:
    before = content(docs)
    docs.update(["zz"], embeddings=[[1, 2]], documents=["x"])
    assert content(docs) == before
    assert "'zz'" in caplog.text
    docs.update(["a", "zz"], metadatas=[{"seen": 1}, {"seen": 1}])
    assert docs.count() == 3
    assert docs.get(where={"seen": 1}).index.tolist() == ["a"]


def test_update_embeds_changed_documents_and_only_them(client: Any) -> None:
    made = client.create_collection("texts", embedding_function=HashingEmbeddingFunction(32))
    made.add(["a", "b", "c"], documents=["one", "two", "three"])
    before = vectors(made)
    made.update(["c", "a"], documents=["one", None], metadatas=[None, {"x": 1}])
    after = vectors(made)
    assert after == [before[0], before[1], before[0]]
    assert made.get()["document"].tolist() == ["one", "two", "one"]
    made.update(["a"], documents=["own vector"], embeddings=[[1.0] * 32])
    assert vectors(made)[0] == [1.0] * 32


def test_upsert_adds_and_updates_in_one_go(docs: Any, again: Callable[[Any], Any]) -> None:
    docs.upsert(
        ["new", "a"], embeddings=[[4, 4], [2, 0]], metadatas=[{"year": 1, "gone": None}, {"year": None, "extra": 1}], documents=["n", None]
    )
    found = again(docs)
    assert found.get().index.tolist() == ["a", "b", "c", "new"]
    assert row(found, "a") == {"document": "paint and canvas", "embedding": [2.0, 0.0], "topic": "art", "extra": 1, "uri": "file:///a.txt"}
    assert row(found, "new") == {"document": "n", "embedding": [4.0, 4.0], "year": 1}


def test_upsert_is_safe_to_run_again(docs: Any) -> None:
    call = {"ids": ["n", "a"], "embeddings": [[4, 4], [2, 0]], "metadatas": [{"n": 1}, {"year": None}]}
    docs.upsert(**call)
    once = content(docs)
    docs.upsert(**call)
    assert content(docs) == once


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"ids": ["a"]}, ["b", "c"]),
        ({"ids": "a"}, ["b", "c"]),
        ({"ids": ["a", "unknown"]}, ["b", "c"]),
        ({"ids": ["unknown"]}, ["a", "b", "c"]),
        ({"where": {"year": {"$gt": 2000}}}, ["a", "c"]),
        ({"where_document": {"$contains": "canvas"}}, ["b", "c"]),
        ({"ids": ["a", "b"], "where": {"topic": "owls"}}, ["a", "c"]),
        ({"where": {"year": {"$gt": 0}}, "where_document": {"$contains": "owl"}}, ["a", "c"]),
        ({"where": {"year": {"$gt": 0}}, "limit": 1}, ["b", "c"]),
        ({"where": {"year": {"$gt": 0}}, "limit": 0}, ["a", "b", "c"]),
        ({"where": {"year": {"$gt": 0}}, "limit": 99}, ["c"]),
        ({"where": {}}, []),
    ],
)
def test_delete(docs: Any, again: Callable[[Any], Any], asked: dict[str, Any], left: list[str]) -> None:
    assert docs.delete(**asked) == 3 - len(left)
    found = again(docs)
    assert found.get().index.tolist() == left
    assert sorted(found.query([[1, 0]])["id"]) == left
    if "limit" not in asked:
        assert found.delete(**asked) == 0


def test_delete_with_a_limit_takes_the_oldest(docs: Any) -> None:
    docs.add(["d", "e"], embeddings=[[1, 2], [3, 4]], metadatas=[{"year": 1}, {"year": 2}])
    assert docs.delete(where={"year": {"$gt": 0}}, limit=2) == 2
    assert docs.get().index.tolist() == ["c", "d", "e"]


def test_a_deleted_id_may_be_added_anew_and_comes_last(docs: Any, again: Callable[[Any], Any]) -> None:
    docs.delete(["a"])
    docs.add(["a"], embeddings=[[0.5, 0.5]])
    found = again(docs)
    assert found.get().index.tolist() == ["b", "c", "a"]
    assert row(found, "a") == {"embedding": [0.5, 0.5]}


def test_the_dimension_outlives_the_records(docs: Any, again: Callable[[Any], Any]) -> None:
    docs.delete(where={})
    found = again(docs)
    with pytest.raises(InvalidDimensionError, match=r"dimension of 2, got 3"):
        found.add(["x"], embeddings=[[1, 2, 3]])
    assert found.count() == 0
    found.add(["x"], embeddings=[[1, 2]])
    assert found.count() == 1


def test_a_call_is_all_or_nothing(docs: Any) -> None:
    before = content(docs)
    for call in (docs.add, docs.upsert, docs.update):
        with pytest.raises(InvalidArgumentError, match=r"metadatas\[1\]\['v'\]"):
            call(["a", "x"], embeddings=[[1, 2], [3, 4]], metadatas=[{"v": 1}, {"v": object()}])
        with pytest.raises(InvalidDimensionError):
            call(["a", "x"], embeddings=[[1, 2, 3], [3, 4, 5]])
    assert content(docs) == before


def test_a_failing_embedding_function_stores_nothing(client: Any) -> None:
    def failing(texts: list[str]) -> Any:
        raise OSError("no model today")

    made = client.create_collection("texts", embedding_function=failing)
    with pytest.raises(EmbeddingError, match="no model today"):
        made.add(["a"], documents=["x"])
    made.add(["b"], documents=["y"], embeddings=[[1, 2]])
    assert made.get().index.tolist() == ["b"]


def test_bulk_upsert_writes_in_batches_and_tells(client: Any, again: Callable[[Any], Any], capfd: pytest.CaptureFixture[str]) -> None:
    made = client.create_collection("bulk", embedding_function=None)
    ids = [f"id{i}" for i in range(10)]
    told: list[list[str]] = []
    made.bulk_upsert(
        ids,
        embeddings=np.eye(10),
        metadatas=[{"i": i} for i in range(10)],
        max_batch_size=4,
        on_batch_processed=told.append,
        print_progress=False,
    )
    assert told == [ids[:4], ids[4:8], ids[8:]]
    assert capfd.readouterr() == ("", "")
    made.bulk_upsert(ids, embeddings=np.eye(10), print_progress=False)
    found = again(made)
    assert found.get().index.tolist() == ids
    assert found.get()["i"].tolist() == list(range(10))


def test_bulk_upsert_shows_progress_when_asked(client: Any, capfd: pytest.CaptureFixture[str]) -> None:
    made = client.create_collection("bulk", embedding_function=HashingEmbeddingFunction(8))
    made.bulk_upsert(["a", "b"], documents=["x", "y"], print_progress=True)
    shown = capfd.readouterr().err
    assert "embedding" in shown
    assert "writing" in shown
    assert made.count() == 2


def test_bulk_upsert_tells_how_far_it_came_and_goes_on_from_there(client: Any) -> None:
    made = client.create_collection("bulk", embedding_function=None)
    ids = [f"id{i}" for i in range(10)]
    call: dict[str, Any] = {"ids": ids, "embeddings": np.eye(10), "max_batch_size": 3, "print_progress": False}
    told: list[list[str]] = []

    def failing(batch: list[str]) -> None:
        told.append(batch)
        if len(told) == 2:
            raise ZeroDivisionError("my own fault")

    with pytest.raises(BulkUpsertError, match=r"after 6 of 10.*'id5'.*resume_from=6.*my own fault") as caught:
        made.bulk_upsert(**call, on_batch_processed=failing)
    assert caught.value.committed == 6
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert made.get().index.tolist() == ids[:6]
    told.clear()
    made.bulk_upsert(**call, resume_from=caught.value.committed, on_batch_processed=told.append)
    assert told == [ids[6:9], ids[9:]]
    assert made.get().index.tolist() == ids
    made.bulk_upsert(**call, resume_from=10)
    assert made.count() == 10


def test_an_asynchronous_callback_is_awaited(client: Any) -> None:
    if "Async" not in repr(client):
        pytest.skip("only asynchronous clients await callbacks")
    made = client.create_collection("bulk", embedding_function=None)
    told: list[int] = []

    async def slowly(batch: list[str]) -> None:
        await asyncio.sleep(0)
        told.append(len(batch))

    async def failing(batch: list[str]) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    made.bulk_upsert(["a", "b", "c"], embeddings=np.eye(3), max_batch_size=2, on_batch_processed=slowly, print_progress=False)
    assert told == [2, 1]
    with pytest.raises(BulkUpsertError) as caught:
        made.bulk_upsert(["a", "b", "c"], embeddings=np.eye(3), max_batch_size=2, on_batch_processed=failing, print_progress=False)
    assert caught.value.committed == 2


def test_bulk_upsert_of_the_wrong_dimension_stores_nothing(docs: Any) -> None:
    before = content(docs)
    with pytest.raises((InvalidDimensionError, BulkUpsertError), match="dimension of 2, got 3"):
        docs.bulk_upsert(["x"], embeddings=[[1, 2, 3]], print_progress=False)
    assert content(docs) == before


def test_bulk_upsert_checks_everything_before_it_writes(client: Any) -> None:
    made = client.create_collection("bulk", embedding_function=HashingEmbeddingFunction(8))
    calls: list[dict[str, Any]] = [
        {"documents": ["x", "y", None]},
        {"documents": ["x", "y", "z"], "metadatas": [{"a": 1}, {"a": 1}, {"a": object()}]},
        {"documents": ["x", "y", "z"], "on_batch_processed": 5},
        {"metadatas": [{"a": 1}] * 3},
    ]
    for call in calls:
        with pytest.raises(InvalidArgumentError, match=r"documents|metadatas|on_batch_processed"):
            made.bulk_upsert(["a", "b", "c"], **call, max_batch_size=1, print_progress=False)
        assert made.count() == 0


def test_an_empty_frame_is_nothing_to_do(docs: Any) -> None:
    before = content(docs)
    nothing = docs.get(where={"year": 0}, include=ALL)
    for call in (docs.add, docs.upsert, docs.update, docs.bulk_upsert):
        call(nothing)
    assert content(docs) == before
