"""Odd values at every entrance: taken for what they plainly are, or refused by one of our errors, whose message can be shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chroma_nb
from chroma_nb import chromadb
from chroma_nb.errors import ChromaError, InvalidArgumentError
from tests.contract.odd import MASKED, ODD, Member, Number, Real, Text, Whole, broken

E = [[1.0, 2.0]]
Call = Callable[[Any, Any], object]


def framed(column: str, cell: Any) -> pd.DataFrame:
    columns = {"embedding": pd.Series(E, index=["a"]), column: pd.Series([cell], dtype=object, index=["a"])}
    return pd.DataFrame(columns)


def named(name: Any) -> pd.DataFrame:
    return pd.DataFrame([[E[0], 1]], columns=pd.Index(["embedding", name], dtype=object, tupleize_cols=False), index=["a"])


def indexed(name: Any) -> pd.DataFrame:
    return pd.DataFrame({"embedding": E}, index=pd.Index([name], dtype=object, tupleize_cols=False))


WRITES: list[Call] = [
    lambda docs, odd: docs.upsert(odd, embeddings=E),
    lambda docs, odd: docs.upsert([odd], embeddings=E),
    lambda docs, odd: docs.upsert(["a"], embeddings=odd),
    lambda docs, odd: docs.upsert(["a"], embeddings=[odd]),
    lambda docs, odd: docs.upsert(["a"], embeddings=[[odd, 1.0]]),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, documents=odd),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, documents=[odd]),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, uris=[odd]),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, metadatas=odd),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, metadatas=[odd]),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, metadatas=[{"k": odd}]),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, metadatas=[{"k": [odd]}]),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, metadatas=[{odd: 1}]),
    lambda docs, odd: docs.update(["a"], metadatas=[{"k": odd}]),
    lambda docs, odd: docs.modify(name=odd),
    lambda docs, odd: docs.modify(metadata=odd),
    lambda docs, odd: docs.modify(metadata={"k": odd}),
    lambda docs, odd: docs.modify(configuration=odd),
]
FRAMES: list[Call] = [
    lambda docs, odd: docs.upsert(framed("embedding", odd)),
    lambda docs, odd: docs.upsert(framed("document", odd)),
    lambda docs, odd: docs.upsert(framed("id", odd)),
    lambda docs, odd: docs.upsert(framed("k", odd)),
    lambda docs, odd: docs.upsert(named(odd)),
    lambda docs, odd: docs.upsert(indexed(odd)),
    lambda docs, odd: docs.upsert(["a"], embeddings=E, metadatas=pd.DataFrame({"k": pd.Series([odd], dtype=object)})),
]
READS: list[Call] = [
    lambda docs, odd: docs.get(odd),
    lambda docs, odd: docs.get([odd]),
    lambda docs, odd: docs.get(where=odd),
    lambda docs, odd: docs.get(where={odd: 1}),
    lambda docs, odd: docs.get(where={"k": odd}),
    lambda docs, odd: docs.get(where={"k": {odd: 1}}),
    lambda docs, odd: docs.get(where={"k": {"$in": odd}}),
    lambda docs, odd: docs.get(where={"k": {"$in": [odd]}}),
    lambda docs, odd: docs.get(where={"k": {"$gt": odd}}),
    lambda docs, odd: docs.get(where={"$and": odd}),
    lambda docs, odd: docs.get(where={"$and": [odd, {"k": 1}]}),
    lambda docs, odd: docs.get(where_document=odd),
    lambda docs, odd: docs.get(where_document={"$contains": odd}),
    lambda docs, odd: docs.get(where_document={odd: "x"}),
    lambda docs, odd: docs.get(include=odd),
    lambda docs, odd: docs.get(include=[odd]),
    lambda docs, odd: docs.get(limit=odd),
    lambda docs, odd: docs.query(odd),
    lambda docs, odd: docs.query([odd]),
    lambda docs, odd: docs.query(query_texts=odd),
    lambda docs, odd: docs.query(E, n_results=odd),
    lambda docs, odd: docs.query(like=odd),
    lambda docs, odd: docs.values(odd),
    lambda docs, odd: docs.columns(odd),
    lambda docs, odd: docs.columns([odd]),
    lambda docs, odd: docs.sample(1, seed=odd),
]
CATALOGUE: list[Call] = [
    lambda client, odd: client.create_collection(odd, embedding_function=None),
    lambda client, odd: client.get_collection(odd),
    lambda client, odd: client.delete_collection(odd),
    lambda client, odd: client.set_tenant(odd),
    lambda client, odd: client.set_database(odd),
    lambda client, odd: made(client, odd, None),
    lambda client, odd: made(client, {"k": odd}, None),
    lambda client, odd: made(client, {"hnsw:space": odd}, None),
    lambda client, odd: made(client, None, odd),
    lambda client, odd: made(client, None, {odd: {}}),
    lambda client, odd: made(client, None, {"hnsw": odd}),
    lambda client, odd: made(client, None, {"hnsw": {odd: 1}}),
    lambda client, odd: made(client, None, {"hnsw": {"space": odd}}),
    lambda client, odd: made(client, None, {"hnsw": {"ef_search": odd}}),
    lambda client, odd: made(client, None, {"embedding_function": odd}),
    lambda client, odd: made(client, None, {"embedding_function": {"a": [odd]}}),
]


def made(client: Any, metadata: Any, configuration: Any) -> object:
    name = "made-for-a-while"
    client.create_collection(name, metadata=metadata, configuration=configuration, embedding_function=None)
    return client.delete_collection(name)


def embedded(client: Any, reply: Any, *, query: bool = False) -> object:
    docs = client.create_collection("embedded", embedding_function=lambda _: reply)
    try:
        return docs.query(query_texts="x") if query else docs.upsert(["a"], documents=["x"])
    finally:
        client.delete_collection("embedded")


FUNCTIONS: list[Call] = [
    embedded,
    lambda client, odd: embedded(client, [odd]),
    lambda client, odd: embedded(client, [[odd, 1.0]]),
    lambda client, odd: embedded(client, odd, query=True),
]


def faults(calls: list[Call], asked: Any) -> Iterator[str]:
    """Give the inputs that end in anything but an answer or an error of ours that can be shown."""
    for i, call in enumerate(calls):
        for j, odd in enumerate(ODD):
            try:
                call(asked, odd)
            except ChromaError as error:
                if len(str(error)) > 3000:
                    yield f"call {i}, value {j}: a message of {len(str(error))} characters"
            except Exception as error:  # noqa: BLE001 - what is looked for
                frames, trace = [], error.__traceback__
                while trace is not None:
                    frames.append(trace.tb_frame.f_code.co_filename)
                    trace = trace.tb_next
                if any("chroma_nb" in name and "tests" not in name for name in frames):  # not what {odd: 1} itself, or pandas, raises
                    yield f"call {i}, value {j}: {type(error).__name__}"


@pytest.fixture
def store() -> Iterator[Any]:
    with chroma_nb.EphemeralClient(allow_reset=True) as client:
        client.reset()
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["x", "y"], metadatas=[{"k": 1}, {"k": 2}])
        yield client


@pytest.mark.parametrize(
    ("calls", "count"), [(WRITES, 18), (FRAMES, 7), (READS, 26), (CATALOGUE, 16), (FUNCTIONS, 4)], ids=["w", "f", "r", "c", "e"]
)
@pytest.mark.filterwarnings("ignore:.*masked element:UserWarning")
def test_no_odd_value_fails_raw(store: Any, calls: list[Call], count: int) -> None:
    assert (len(calls), len(ODD)) == (count, 118)
    asked = store if calls in (CATALOGUE, FUNCTIONS) else store.get_collection("docs")
    assert list(faults(calls, asked)) == []


@pytest.mark.parametrize("calls", [WRITES[:13], READS[:2], [*READS[17:19]]], ids=["w", "r", "q"])
def test_no_odd_value_fails_raw_in_chromas_api(store: Any, calls: list[Call]) -> None:
    with chromadb.EphemeralClient(chromadb.config.Settings(allow_reset=True)) as client:
        assert list(faults(calls, client.get_collection("docs", embedding_function=None))) == []


def test_subclasses_are_their_plain_values(store: Any) -> None:
    docs = store.get_collection("docs")
    keys = dict(zip(np.array(["year", "page"]), [1999, 7], strict=True))
    docs.upsert(
        np.array(["a"]),
        embeddings=[[np.float32(1), np.int8(2)]],
        documents=[Text("text")],
        metadatas=[
            {**keys, Text("lied"): Text("value"), Member.YEAR: Number.ONE, "real": Real(1.5), "whole": Whole(5), "list": [Whole(1)]}
        ],
    )
    found = docs._execute(chroma_nb.ops.Get(str(docs.id), ids=["a"]))  # type: ignore[attr-defined]
    assert found.metadatas == [{"k": 1, "year": 1, "page": 7, "lied": "value", "real": 1.5, "whole": 5, "list": (1,)}]
    assert {type(key) for key in found.metadatas[0]} == {str}
    assert found.documents == ["text"]
    assert docs.get(where={np.str_("lied"): Text("value")}).index.tolist() == ["a"]
    assert docs.get(include=[np.str_("documents")])["document"].tolist() == ["text", "y"]


def test_two_keys_that_are_one_text_are_refused(store: Any) -> None:
    class Another(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return self is other

    for keys in (("a", Another("a")), (Another("a"), "a")):
        with pytest.raises(InvalidArgumentError, match="'a' occurs twice"):
            store.get_collection("docs").upsert(["a"], embeddings=E, metadatas=[dict.fromkeys(keys, 1)])


@pytest.mark.parametrize("odd", MASKED)
@pytest.mark.filterwarnings("ignore:.*masked element:UserWarning")
def test_nothing_masked_is_stored(store: Any, odd: Any) -> None:
    docs = store.get_collection("docs")
    for call in (
        lambda: docs.add(["new"], embeddings=odd),
        lambda: docs.add(["new"], embeddings=[odd]),
        lambda: docs.add(["new"], embeddings=E, documents=odd),
        lambda: docs.add(["new"], embeddings=E, documents=[odd]),
        lambda: docs.add(["new"], embeddings=E, metadatas=[{"k": odd}]),
        lambda: docs.add(odd, embeddings=E),
        lambda: docs.query(odd),
        lambda: docs.get(where={"k": {"$in": odd}}),
        lambda: docs.get(limit=odd),
        lambda: embedded(store, odd),
    ):
        with pytest.raises(ChromaError):
            call()
    assert docs.count() == 2


def test_a_masked_number_among_others_is_refused_without_a_warning() -> None:
    code = """
import numpy as np
import chroma_nb
docs = chroma_nb.EphemeralClient().create_collection("docs", embedding_function=None)
try:
    docs.add(["a"], embeddings=[[1.0, np.ma.masked]])
except chroma_nb.errors.InvalidArgumentError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "embeddings[0][1]" in done.stdout
    assert done.stderr == ""


def test_a_mask_that_hides_nothing_is_no_mask(store: Any) -> None:
    docs = store.get_collection("docs")
    docs.upsert(np.ma.masked_array(["a"]), embeddings=np.ma.masked_array(E), metadatas=[{"k": np.ma.masked_array([1, 2], mask=False)}])
    assert docs.get("a")["k"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (np.ones((1, 100_000), np.float32), "vectors of 100,000 dimensions, and at most 65,536"),
        (np.ma.masked_array(np.ones((1, 2)), mask=True), "masked"),
        ([np.ma.masked_array([1.0, 2.0], mask=[0, 1])], "masked"),
        (["x" * 10_000_000], "texts are not numbers"),
        (broken(), "OSError: the source is gone"),
        ([[1.0, 2.0]] * 2, "2 vectors for 1 texts"),
        ([[1e300]], "not a finite float32"),
    ],
)
def test_what_a_function_may_return_has_limits(store: Any, reply: Any, said: str) -> None:
    with pytest.raises(chroma_nb.errors.EmbeddingError) as caught:
        embedded(store, reply)
    assert said in str(caught.value)
    assert "expected one vector" in str(caught.value) or "it raised" in str(caught.value)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (np.array([[1.0, 0.0]], object), ["a", "b"]),
        (pd.DataFrame({"0": [1.0], "1": [0.0]}), ["a", "b"]),
        (pd.DataFrame({"0": pd.array([1.0], "Float64"), "1": pd.array([0], "Int8")}), ["a", "b"]),
        (iter([[0.0, 1.0]]), ["b", "a"]),
    ],
)
def test_unusual_vectors_that_are_clear_are_taken(store: Any, query: Any, found: list[str]) -> None:
    assert store.get_collection("docs").query(query)["id"].tolist() == found


def test_names_of_columns_are_not_taken_for_a_query(store: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="column names of type str"):
        store.get_collection("docs").query(pd.DataFrame({0: [1.0], 1: [0.0]}))
