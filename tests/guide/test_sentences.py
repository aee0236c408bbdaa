"""What Chroma's usage guide says in words, one test per promise, in the guide's order; each test quotes its sentence."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb import chromadb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def collection(client: Any) -> Any:
    return client.create_collection("sentences", embedding_function=None)


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Any]:
    with chroma_nb.PersistentClient(tmp_path / "native") as client:
        yield client


# Initiating a persistent Chroma client


def test_saved_and_loaded_on_start(flavour: Any, tmp_path: Path) -> None:
    """Data will be persisted automatically and loaded on start (if it exists)."""
    with flavour.persistent(tmp_path) as client:
        collection = client.create_collection("kept", embedding_function=None, metadata={"topic": "owls"})
        collection.add(ids=["a"], embeddings=[[1, 2]], documents=["text"], metadatas=[{"k": 1}])
    with flavour.persistent(tmp_path) as client:
        collection = client.get_collection("kept", embedding_function=None)
        assert collection.metadata == {"topic": "owls"}
        assert flavour.documents(collection.get()) == ["text"]
        assert flavour.hits(collection.query([[1, 2]])) == [["a"]]


def test_the_heartbeat_is_in_nanoseconds(client: Any) -> None:
    """Returns a nanosecond heartbeat."""
    before = time.time_ns()
    assert before <= client.heartbeat() <= time.time_ns()


def test_reset_empties_the_database(client: Any, collection: Any) -> None:
    """Empties and completely resets the database."""
    collection.add(ids=["a"], embeddings=[[1, 2]])
    assert client.reset() is True
    assert client.count_collections() == 0
    assert client.create_collection("sentences", embedding_function=None).count() == 0


# Creating, inspecting, and deleting Collections


@pytest.mark.parametrize("name", ["abc", "a" * 63, "0ab", "a.b", "a-b_c.d9", "123"])
def test_good_names(client: Any, name: str) -> None:
    """Between 3 and 63 characters; dots, dashes, and underscores in between."""
    assert client.create_collection(name, embedding_function=None).name == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ab", "3 to"),
        ("", "3 to"),
        ("_abc", "start and end"),
        ("abc_", "start and end"),
        ("-abc", "start and end"),
        ("abc.", "start and end"),
        ("a..b", "two consecutive dots"),
        ("192.168.1.1", "IP address"),
        ("a b", "not allowed"),
        ("a/b", "not allowed"),
        ("abç", "not allowed"),
    ],
)
def test_bad_names(client: Any, name: str, rule: str) -> None:
    """Must start and end with ...; must not contain two consecutive dots; must not be a valid IP address."""
    with pytest.raises(ValueError, match=rule):
        client.create_collection(name)
    assert client.count_collections() == 0


@pytest.mark.parametrize("name", ["Abc", "abC", "a" * 64])
def test_names_are_the_guides_in_our_own_api(native: Any, name: str) -> None:
    """Between 3 and 63 characters; must start and end with a lowercase letter or a digit."""
    with pytest.raises(ValueError, match=r"3 to 63|lower-case"):
        native.create_collection(name)


def test_the_same_function_must_be_supplied(flavour: Any, client: Any, emb_fn: Any) -> None:
    """If you supply an embedding function, you must supply it every time you get the collection."""
    client.create_collection("texts", embedding_function=emb_fn).add(ids=["a"], documents=["doc1"])
    with pytest.raises(ValueError, match="word-counts"):
        client.get_collection("texts").query(query_texts=["doc1"])

    class Other(type(emb_fn)):  # type: ignore[misc]
        @staticmethod
        def name() -> str:
            return "other"

    with pytest.raises(ValueError, match="word-counts"):
        client.get_collection("texts", embedding_function=Other())
    again = client.get_collection("texts", embedding_function=emb_fn)
    assert flavour.hits(again.query(query_texts=["doc1"])) == [["a"]]


def test_the_default_is_a_sentence_transformer(flavour: Any, client: Any) -> None:
    """If no embedding function is supplied, Chroma will use sentence transformer as a default."""
    from sentence_transformers.util import cos_sim

    client.create_collection("texts").add(ids=["a", "b", "c"], documents=["a small dog", "a little puppy", "stock prices"])
    vectors = flavour.embeddings(client.get_collection("texts").get(include=["embeddings"]))
    near, far = float(cos_sim(vectors[0], vectors[1])), float(cos_sim(vectors[0], vectors[2]))
    assert (len(vectors[0]), near > 0.5, far < 0.3) == (384, True, True)


def test_a_missing_collection(client: Any) -> None:
    """Will raise an exception if it's not found."""
    with pytest.raises(chroma_nb.errors.NotFoundError, match="nowhere"):
        client.get_collection("nowhere")


def test_get_or_create(client: Any) -> None:
    """If it doesn't exist, create it."""
    made = client.get_or_create_collection("docs", embedding_function=None)
    made.add(ids=["a"], embeddings=[[1, 2]])
    assert client.get_or_create_collection("docs", embedding_function=None).count() == 1
    assert client.get_collection("docs", embedding_function=None).id == made.id


def test_deleting_a_collection(client: Any, collection: Any) -> None:
    """Delete a collection and all associated embeddings, documents, and metadata."""
    collection.add(ids=["a"], embeddings=[[1, 2]])
    client.delete_collection("sentences")
    with pytest.raises(chroma_nb.errors.NotFoundError):
        client.get_collection("sentences")
    with pytest.raises(chroma_nb.errors.NotFoundError):
        collection.count()
    assert client.create_collection("sentences", embedding_function=None).count() == 0


# Changing the distance function


def l2(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(((a - b) ** 2).sum())


def ip(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(1.0 - (a * b).sum())


def cosine(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(1.0 - (a * b).sum() / (np.sqrt((a**2).sum()) * np.sqrt((b**2).sum())))


@pytest.mark.parametrize(("space", "formula"), [("l2", l2), ("ip", ip), ("cosine", cosine), (None, l2)])
def test_distances(flavour: Any, client: Any, space: str | None, formula: Any) -> None:
    """The table of equations; the default is "l2" which is the squared L2 norm."""
    collection = client.create_collection("distances", metadata={"hnsw:space": space} if space else None, embedding_function=None)
    random = np.random.default_rng(3)
    vectors, queries = random.normal(size=(50, 8)).astype(np.float32), random.normal(size=(2, 8)).astype(np.float32)
    collection.add(ids=[str(i) for i in range(50)], embeddings=vectors)
    found = collection.query(query_embeddings=queries, n_results=7)
    for query, ids, distances in zip(queries, flavour.hits(found), flavour.distances(found), strict=True):
        expected = np.array([formula(query.astype(float), vector.astype(float)) for vector in vectors])
        assert [int(i) for i in ids] == np.argsort(expected)[:7].tolist()
        assert distances == pytest.approx(np.sort(expected)[:7].tolist(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("space", ["L2", "euclidean", ""])
def test_other_spaces_are_refused(client: Any, space: str) -> None:
    """Valid options for `hnsw:space` are "l2", "ip", or "cosine"."""
    with pytest.raises(ValueError, match="space"):
        client.create_collection("distances", metadata={"hnsw:space": space})


# Adding data to a Collection


def test_bulk_upsert_shows_progress(collection: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It also displays a progress bar by default (where someone watches: in a notebook or a terminal)."""
    ids, vectors = [str(i) for i in range(10)], np.ones((10, 2))
    collection.bulk_upsert(ids=ids, embeddings=vectors)
    assert capsys.readouterr().err == ""
    collection.bulk_upsert(ids=ids, embeddings=vectors, print_progress=True)
    assert "10/10" in capsys.readouterr().err
    collection.bulk_upsert(ids=ids, embeddings=vectors, print_progress=False)
    assert capsys.readouterr().err == ""


def test_bulk_upsert_tells_each_batch(collection: Any) -> None:
    ids = [f"id{i}" for i in range(10)]
    batches: list[list[str]] = []
    counts: list[int] = []

    def stored(batch: list[str]) -> None:
        batches.append(batch)
        counts.append(collection.count())

    collection.bulk_upsert(ids=ids, embeddings=np.ones((10, 2)), max_batch_size=4, on_batch_processed=stored)
    assert batches == [ids[:4], ids[4:8], ids[8:]]
    assert counts == [4, 8, 10]


class FailsLater:
    """An embedding function that fails at its second call."""

    calls = 0

    def __call__(self, input: Sequence[str]) -> list[list[float]]:  # noqa: A002 - Chroma's name
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("the service is down")
        return [[1.0, 2.0] for _ in input]


def test_bulk_upsert_is_not_atomic(flavour: Any, client: Any) -> None:
    """If it fails partway through some of your data will have been added or updated."""
    collection = client.create_collection("texts", embedding_function=FailsLater())
    ids = [f"id{i}" for i in range(9)]
    with pytest.raises(chroma_nb.errors.BulkUpsertError, match="service is down") as caught:
        collection.bulk_upsert(ids=ids, documents=ids, max_batch_size=3)
    assert caught.value.committed == 3
    assert flavour.ids(collection.get()) == ids[:3]


@pytest.mark.parametrize("verb", ["add", "upsert"])
def test_add_and_upsert_are_atomic(collection: Any, verb: str) -> None:
    """You should use .add() or .upsert() if you require atomicity."""
    collection.add(ids=["x"], embeddings=[[1, 2]])
    with pytest.raises(ValueError, match=r"length|dimension"):
        getattr(collection, verb)(ids=["a", "b"], embeddings=[[1, 2], [1, 2, 3]])
    with pytest.raises(ValueError, match="metadatas"):
        getattr(collection, verb)(ids=["a", "b"], embeddings=[[1, 2], [1, 2]], metadatas=[{"k": 1}, {"k": object()}])
    assert collection.count() == 1


def test_documents_are_embedded_and_stored(flavour: Any, client: Any, emb_fn: Any) -> None:
    """It will automatically tokenize and embed them with the collection's embedding function. Chroma will also store the documents."""
    collection = client.create_collection("texts", embedding_function=emb_fn)
    collection.add(ids=["a", "b"], documents=["doc2 doc2", "lorem"])
    found = collection.get(include=["documents", "embeddings"])
    assert flavour.documents(found) == ["doc2 doc2", "lorem"]
    assert flavour.embeddings(found) == emb_fn(["doc2 doc2", "lorem"])


def test_what_cannot_be_embedded_raises(client: Any) -> None:
    """If the documents are too large to embed using the chosen embedding function, an exception will be raised."""

    class Short:
        def __call__(self, input: Sequence[str]) -> list[list[float]]:  # noqa: A002 - Chroma's name
            if max(map(len, input)) > 10:
                raise ValueError("more than 10 characters")
            return [[1.0] for _ in input]

    collection = client.create_collection("texts", embedding_function=Short())
    with pytest.raises((ValueError, chroma_nb.errors.EmbeddingError), match="more than 10 characters"):
        collection.add(ids=["a", "b"], documents=["short", "a longer document"])
    assert collection.count() == 0


def test_adding_an_id_twice_keeps_the_first(flavour: Any, collection: Any) -> None:
    """Trying to `.add` the same ID twice will result in only the initial value being stored."""
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["first"], metadatas=[{"n": 1}])
    collection.add(ids=["a", "b"], embeddings=[[3, 4], [5, 6]], documents=["second", "other"], metadatas=[{"n": 2}, {"n": 3}])
    found = collection.get(include=["documents", "metadatas", "embeddings"])
    assert flavour.ids(found) == ["a", "b"]
    assert flavour.documents(found) == ["first", "other"]
    assert flavour.values(found, "n") == [1, 3]
    assert flavour.embeddings(found) == [[1, 2], [5, 6]]


def test_each_document_has_its_id(collection: Any) -> None:
    """Each document must have a unique associated `id`."""
    with pytest.raises(chroma_nb.errors.DuplicateIDError, match="a"):
        collection.add(ids=["a", "a"], embeddings=[[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="ids"):
        collection.add(ids=["a"], embeddings=[[1, 2], [3, 4]])
    assert collection.count() == 0


def test_given_embeddings_are_not_made(flavour: Any, client: Any) -> None:
    """Chroma will store the associated documents without embedding them itself."""
    never = FailsLater()
    never.calls = 1
    collection = client.create_collection("texts", embedding_function=never)
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["text"])
    assert flavour.documents(collection.get()) == ["text"]


@pytest.mark.parametrize("verb", ["add", "upsert", "update", "bulk_upsert"])
def test_another_dimension_raises(collection: Any, verb: str) -> None:
    """If the supplied `embeddings` are not the same dimension as the collection, an exception will be raised."""
    collection.add(ids=["a"], embeddings=[[1, 2, 3]])
    with pytest.raises((chroma_nb.errors.InvalidDimensionError, chroma_nb.errors.BulkUpsertError), match="3"):
        getattr(collection, verb)(ids=["a"], embeddings=[[1, 2]])


# Querying a Collection


def test_the_closest_matches_in_order(flavour: Any, collection: Any) -> None:
    """The query will return the `n_results` closest matches to each `query_embedding`, in order."""
    collection.add(ids=list("abcde"), embeddings=[[i, 0] for i in range(5)])
    found = collection.query(query_embeddings=[[4.2, 0], [0.4, 0]], n_results=3)
    assert flavour.hits(found) == [["e", "d", "c"], ["a", "b", "c"]]
    assert flavour.hits(collection.query(query_embeddings=[[0, 0]], n_results=99)) == [list("abcde")]


def test_filters_come_before_ranking(flavour: Any, collection: Any) -> None:
    """An optional `where` filter; an optional `where_document` filter."""
    collection.add(
        ids=list("abcd"), embeddings=[[i, 0] for i in range(4)], metadatas=[{"k": i % 2} for i in range(4)], documents=["x", "x", "y", "y"]
    )
    found = collection.query(query_embeddings=[[0, 0]], n_results=1, where={"k": 1}, where_document={"$contains": "y"})
    assert flavour.hits(found) == [["d"]]


def test_a_query_of_another_dimension_raises(collection: Any) -> None:
    """If the supplied `query_embeddings` are not the same dimension as the collection, an exception will be raised."""
    collection.add(ids=["a"], embeddings=[[1, 2, 3]])
    with pytest.raises(chroma_nb.errors.InvalidDimensionError, match="3"):
        collection.query(query_embeddings=[[1, 2]])


def test_query_texts_are_embedded_first(flavour: Any, client: Any, emb_fn: Any) -> None:
    """Chroma will first embed each `query_text`, and then perform the query with the generated embedding."""
    collection = client.create_collection("texts", embedding_function=emb_fn)
    collection.add(ids=["a", "b"], documents=["doc1", "lorem lorem"])
    by_text = collection.query(query_texts=["lorem", "doc1"])
    assert flavour.hits(by_text) == [["b", "a"], ["a", "b"]]
    assert flavour.distances(by_text) == flavour.distances(collection.query(query_embeddings=emb_fn(["lorem", "doc1"])))


def test_get_without_ids(flavour: Any, collection: Any) -> None:
    """If no `ids` are supplied, it will return all items in the collection that match the filters."""
    collection.add(ids=list("abc"), embeddings=[[1, 0]] * 3, metadatas=[{"k": 1}, {"k": 2}, {"k": 1}], documents=["x", "x", "y"])
    assert flavour.ids(collection.get()) == ["a", "b", "c"]
    assert flavour.ids(collection.get(where={"k": 1})) == ["a", "c"]
    assert flavour.ids(collection.get(where={"k": 1}, where_document={"$contains": "x"})) == ["a"]


# Choosing which data is returned


def test_what_is_returned_by_default(flavour: Any, collection: Any) -> None:
    """By default, Chroma will return the `documents`, `metadatas` and in the case of query, the `distances`."""
    collection.add(ids=["a"], embeddings=[[1, 0]], metadatas=[{"k": 1}], documents=["x"], uris=["file:x"])
    assert flavour.parts(collection.get()) == {"documents", "metadatas"}
    assert flavour.parts(collection.query([[1, 0]])) == {"documents", "metadatas", "distances"}


@pytest.mark.parametrize("part", ["embeddings", "documents", "metadatas"])
def test_what_is_returned_when_asked_for(flavour: Any, collection: Any, part: str) -> None:
    """You can specify which of these you want returned; the `ids` are always returned."""
    collection.add(ids=["a"], embeddings=[[1, 0]], metadatas=[{"k": 1}], documents=["x"])
    got, queried = collection.get(include=[part]), collection.query([[1, 0]], include=[part])
    assert flavour.parts(got) == flavour.parts(queried) == {part}
    assert (flavour.ids(got), flavour.hits(queried)) == (["a"], [["a"]])
    assert flavour.parts(collection.query([[1, 0]], include=["distances"])) == {"distances"}


# Using Where filters


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("$eq", 2, "b"),
        ("$eq", "two", "d"),
        ("$eq", 2.5, "c"),
        ("$gt", 2, "c"),
        ("$gte", 2, "bc"),
        ("$lt", 2.5, "ab"),
        ("$lte", 2.5, "abc"),
        ("$in", [1, 2.5], "ac"),
        ("$in", ["two", "x"], "d"),
        ("$in", [True], "e"),
    ],
)
def test_operators(flavour: Any, collection: Any, operator: str, value: Any, expected: str) -> None:
    """The list of operators, with the types they are for."""
    collection.add(ids=list("abcdef"), embeddings=[[1, 0]] * 6, metadatas=[{"v": v} for v in (1, 2, 2.5, "two", True)] + [None])
    assert flavour.ids(collection.get(where={"v": {operator: value}})) == list(expected)


@pytest.mark.parametrize(
    ("where", "with_key", "without"),
    [({"version": {"$ne": 1}}, "b", "c"), ({"version": {"$nin": [1, 3]}}, "b", "c"), ({"other": {"$ne": 1}}, "", "abc")],
)
def test_a_record_without_the_key(where: dict[str, Any], with_key: str, without: str) -> None:
    """Metadata that does not have the key `version` will not be returned: so in our own API; Chroma returns them since 0.5.12."""
    for module, expected in ((chroma_nb, with_key), (chromadb, with_key + without)):
        with module.EphemeralClient() as client:
            collection = client.create_collection("missing-key", embedding_function=None)
            try:
                collection.add(ids=list("abc"), embeddings=[[1, 0]] * 3, metadatas=[{"version": 1}, {"version": 2}, {"x": 1}])
                found = collection.get(where=where)
            finally:
                client.delete_collection("missing-key")
        assert list(found["ids"] if isinstance(found, dict) else found.index) == list(expected)


def test_document_contents(flavour: Any, collection: Any) -> None:
    """We support two filtering keys: `$contains` and `$not_contains` (literally, and by case)."""
    documents = ["one search_string here", "Search_String", "nothing", "100% wild_card*"]
    collection.add(ids=list("abcd"), embeddings=[[1, 0]] * 4, documents=documents)
    assert flavour.ids(collection.get(where_document={"$contains": "search_string"})) == ["a"]
    assert flavour.ids(collection.get(where_document={"$not_contains": "search_string"})) == ["b", "c", "d"]
    assert flavour.ids(collection.get(where_document={"$contains": "%"})) == ["d"]
    assert flavour.ids(collection.get(where_document={"$contains": "*"})) == ["d"]
    assert flavour.ids(collection.get(where_document={"$or": [{"$contains": "noth"}, {"$contains": "100"}]})) == ["c", "d"]


# Updating data in a collection


def test_any_property_can_be_updated(flavour: Any, collection: Any) -> None:
    """Any property of records in a collection can be updated using `.update`."""
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["old"], metadatas=[{"k": 1, "kept": True}])
    everything = ["documents", "metadatas", "embeddings"]
    collection.update(ids=["a"], metadatas=[{"k": "new"}])
    found = collection.get(include=everything)
    assert flavour.values(found, "k") + flavour.values(found, "kept") + flavour.documents(found) == ["new", True, "old"]
    collection.update(ids=["a"], embeddings=[[3, 4]])
    collection.update(ids=["a"], documents=["new"], embeddings=[[5, 6]])
    found = collection.get(include=everything)
    assert flavour.documents(found) + flavour.values(found, "k") + flavour.embeddings(found) == ["new", "new", [5, 6]]


def test_updating_an_unknown_id(flavour: Any, collection: Any, caplog: pytest.LogCaptureFixture) -> None:
    """If an `id` is not found in the collection, an error will be logged and the update will be ignored."""
    collection.add(ids=["a"], embeddings=[[1, 2]])
    with caplog.at_level(logging.ERROR, logger="chroma_nb"):
        collection.update(ids=["nowhere", "a"], metadatas=[{"k": 1}, {"k": 2}])
    (record,) = caplog.records
    assert (record.levelname, "nowhere" in record.getMessage()) == ("ERROR", True)
    found = collection.get()
    assert (flavour.ids(found), flavour.values(found, "k")) == (["a"], [2])


@pytest.mark.parametrize("verb", ["update", "upsert"])
def test_documents_are_embedded_anew(flavour: Any, client: Any, emb_fn: Any, verb: str) -> None:
    """The embeddings will be recomputed with the collection's embedding function."""
    collection = client.create_collection("texts", embedding_function=emb_fn)
    collection.add(ids=["a", "b"], documents=["doc1", "doc2"])
    getattr(collection, verb)(ids=["a"], documents=["doc3 lorem"])
    assert flavour.embeddings(collection.get(include=["embeddings"])) == emb_fn(["doc3 lorem", "doc2"])


def test_upsert_adds_or_updates(flavour: Any, collection: Any) -> None:
    """Items with existing `id`s will be updated as per `update`; others will be created as per `add`."""
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["old"], metadatas=[{"kept": 1}])
    collection.upsert(ids=["a", "b"], embeddings=[[3, 4], [5, 6]], metadatas=[{"k": 2}, {"k": 3}])
    found = collection.get(include=["documents", "metadatas", "embeddings"])
    assert flavour.ids(found) == ["a", "b"]
    assert flavour.documents(found) == ["old", None]
    assert flavour.values(found, "kept") == [1, None]
    assert flavour.values(found, "k") == [2, 3]
    assert flavour.embeddings(found) == [[3, 4], [5, 6]]


# Deleting data from a collection


def test_delete_by_where(flavour: Any, collection: Any) -> None:
    """If no `ids` are supplied, it will delete all items in the collection that match the `where` filter."""
    collection.add(ids=list("abcd"), embeddings=[[1, 0]] * 4, metadatas=[{"chapter": c} for c in ("20", "3", "20", "3")])
    collection.delete(where={"chapter": "20"})
    assert flavour.ids(collection.get()) == ["b", "d"]
    assert flavour.hits(collection.query([[1, 0]])) == [["b", "d"]]


def test_delete_takes_everything_of_a_record(flavour: Any, collection: Any) -> None:
    """The embeddings, documents, and metadata associated with each item will be deleted."""
    collection.add(ids=["a"], embeddings=[[1, 0]], documents=["old"], metadatas=[{"k": 1}])
    collection.delete(ids=["a"])
    collection.add(ids=["a"], embeddings=[[2, 0]])
    found = collection.get(include=["documents", "embeddings", "metadatas"])
    assert flavour.documents(found) + flavour.embeddings(found) == [None, [2, 0]]
    assert flavour.ids(collection.get(where={"k": 1})) == []
