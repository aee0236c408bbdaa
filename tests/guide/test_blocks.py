"""Every Python block of Chroma's usage guide, run as it stands: only the import line differs.

The guide writes ``...`` for "and so on" at the end of its lists; that element is left out. Names that the guide uses without
defining them (``client``, ``collection``, ``emb_fn``) are made before the block. In comments: the guide's headings.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = ["lorem ipsum...", "doc2", "doc3"]
METADATAS = [{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}]
EMBEDDINGS = [[1.1, 2.3, 3.2], [4.5, 6.9, 4.4], [1.1, 2.3, 3.2]]


@pytest.fixture
def collection(client: Any) -> Any:
    return client.create_collection(name="blocks")


# Running Chroma in client-server mode


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``chroma run --path /db_path``, by our command, where the guide's clients look for it."""
    path = str(tmp_path_factory.mktemp("db_path"))
    with socket.socket() as tried:
        if not tried.connect_ex(("127.0.0.1", 8000)):
            pytest.skip("port 8000, which the guide's code names, is in use")
    process = subprocess.Popen([sys.executable, "-m", "chroma_nb", "run", "--path", path], stdout=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket() as tried:
            if not tried.connect_ex(("127.0.0.1", 8000)):
                break
        time.sleep(0.1)
    yield
    process.terminate()
    assert process.wait(20) == 0


def test_a_client_of_a_server(flavour: Any, served: None) -> None:
    chromadb = flavour.module
    chroma_client = chromadb.HttpClient(host="localhost", port=8000)
    assert chroma_client.heartbeat() > 0
    chroma_client.close()


def test_an_async_client_of_a_server(flavour: Any, served: None) -> None:
    chromadb = flavour.module
    counts = []

    async def main() -> None:
        client = await chromadb.AsyncHttpClient()
        collection = await client.create_collection(name=f"my_collection_{flavour.name}")

        await collection.add(documents=["hello world"], ids=["id1"])
        counts.append(await collection.count())
        await client.close()

    asyncio.run(main())
    assert counts == [1]


def test_the_http_only_client(flavour: Any, served: None) -> None:
    chromadb = flavour.module
    client = chromadb.HttpClient(host="localhost", port=8000)

    async def main() -> int:
        client = await chromadb.AsyncHttpClient(host="localhost", port=8000)
        beat = await client.heartbeat()
        await client.close()
        return int(beat)

    assert asyncio.run(main()) > 0
    client.close()


# Initiating a persistent Chroma client


def test_a_persistent_client(flavour: Any, tmp_path: Path) -> None:
    chromadb = flavour.module
    path = str(tmp_path / "path" / "to" / "save" / "to")
    client = chromadb.PersistentClient(path=path)
    assert client.count_collections() == 0
    client.close()
    assert (tmp_path / "path" / "to" / "save" / "to").is_dir()


def test_convenience_methods_of_the_client(client: Any) -> None:
    client.create_collection(name="gone")
    client.heartbeat()  # returns a nanosecond heartbeat. Useful for making sure the client remains connected.
    client.reset()  # Empties and completely resets the database. This is destructive and not reversible.
    assert client.list_collections() == []


# Creating, inspecting, and deleting Collections


def test_creating_with_an_embedding_function(client: Any, emb_fn: Any) -> None:
    collection = client.create_collection(name="my_collection", embedding_function=emb_fn)
    collection = client.get_collection(name="my_collection", embedding_function=emb_fn)
    collection.add(ids=["id1"], documents=["doc1"])
    assert collection.count() == 1


def test_getting_and_deleting(client: Any) -> None:
    client.create_collection(name="test")
    client.create_collection(name="my_collection")
    collection = client.get_collection(name="test")
    assert collection.name == "test"
    collection = client.get_or_create_collection(name="test")
    assert collection.name == "test"
    client.delete_collection(name="my_collection")
    assert [found.name for found in client.list_collections()] == ["test"]


def test_convenience_methods_of_a_collection(flavour: Any, client: Any) -> None:
    collection = client.create_collection(name="old_name")
    collection.add(ids=[f"id{i}" for i in range(12)], embeddings=[[i, 1.0] for i in range(12)])
    found = collection.peek()  # returns a list of the first 10 items in the collection
    assert flavour.ids(found) == [f"id{i}" for i in range(10)]
    assert collection.count() == 12  # returns the number of items in the collection
    collection.modify(name="new_name")  # Rename the collection
    assert collection.name == "new_name"
    assert [each.name for each in client.list_collections()] == ["new_name"]


# Changing the distance function


def test_choosing_the_distance(flavour: Any, client: Any) -> None:
    collection = client.create_collection(
        name="collection_name",
        metadata={"hnsw:space": "cosine"},  # l2 is the default
    )
    collection.add(ids=["id1"], embeddings=[[2.0, 0.0]])
    assert flavour.distances(collection.query(query_embeddings=[[0.0, 3.0]])) == [[pytest.approx(1.0)]]


# Adding data to a Collection


def test_bulk_upsert(flavour: Any, collection: Any) -> None:
    collection.bulk_upsert(
        documents=["lorem ipsum...", "doc2", "doc3"],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}],
        ids=["id1", "id2", "id3"],
    )
    assert flavour.documents(collection.get()) == DOCUMENTS
    assert len(flavour.embeddings(collection.get(include=["embeddings"]))[0]) == 384


def test_add_documents(flavour: Any, collection: Any) -> None:
    collection.add(
        documents=["lorem ipsum...", "doc2", "doc3"],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}],
        ids=["id1", "id2", "id3"],
    )
    found = collection.get()
    assert flavour.ids(found) == ["id1", "id2", "id3"]
    assert flavour.values(found, "verse") == ["16", "5", "11"]


def test_add_documents_with_embeddings(flavour: Any, collection: Any) -> None:
    collection.add(
        documents=["doc1", "doc2", "doc3"],
        embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4], [1.1, 2.3, 3.2]],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}],
        ids=["id1", "id2", "id3"],
    )
    found = collection.get(include=["documents", "embeddings"])
    assert flavour.documents(found) == ["doc1", "doc2", "doc3"]
    assert flavour.embeddings(found) == [pytest.approx(vector) for vector in EMBEDDINGS]


def test_add_embeddings_without_documents(flavour: Any, collection: Any) -> None:
    collection.add(
        embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4], [1.1, 2.3, 3.2]],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}],
        ids=["id1", "id2", "id3"],
    )
    assert flavour.documents(collection.get(include=["documents"])) == [None, None, None]


# Querying a Collection


@pytest.fixture
def by_vector(client: Any) -> Any:
    collection = client.create_collection(name="by_vector")
    collection.add(
        ids=["id1", "id2", "id3"],
        embeddings=EMBEDDINGS,
        documents=["has search_string", "has search_string too", "has not"],
        metadatas=[{"metadata_field": "is_equal_to_this", "style": "style1"}, {"metadata_field": "other"}, {"metadata_field": "other"}],
    )
    return collection


def test_query_by_embeddings(flavour: Any, by_vector: Any) -> None:
    collection = by_vector
    found = collection.query(
        query_embeddings=[[11.1, 12.1, 13.1], [1.1, 2.3, 3.2]],
        n_results=10,
        where={"metadata_field": "is_equal_to_this"},
        where_document={"$contains": "search_string"},
    )
    assert flavour.hits(found) == [["id1"], ["id1"]]


def test_query_by_texts(flavour: Any, collection: Any) -> None:
    collection.add(
        ids=["id1", "id2", "id3"],
        documents=["doc10 and its search_string", "thus spake zarathustra, search_string", "thus spake another"],
        metadatas=[{"metadata_field": "is_equal_to_this"}] * 3,
    )
    found = collection.query(
        query_texts=["doc10", "thus spake zarathustra"],
        n_results=10,
        where={"metadata_field": "is_equal_to_this"},
        where_document={"$contains": "search_string"},
    )
    assert flavour.hits(found) == [["id1", "id2"], ["id2", "id1"]]


def test_get_by_id(flavour: Any, by_vector: Any) -> None:
    collection = by_vector
    found = collection.get(ids=["id1", "id2", "id3"], where={"style": "style1"})
    assert flavour.ids(found) == ["id1"]


# Choosing which data is returned


def test_only_documents_and_ids(flavour: Any, by_vector: Any) -> None:
    collection = by_vector
    # Only get documents and ids
    found = collection.get(include=["documents"])
    assert flavour.ids(found) == ["id1", "id2", "id3"]
    assert flavour.parts(found) == {"documents"}

    found = collection.query(
        query_embeddings=[[11.1, 12.1, 13.1], [1.1, 2.3, 3.2]],
        include=["documents"],
    )
    assert flavour.parts(found) == {"documents"}
    assert flavour.hits(found)[0][0] == "id2"
    assert set(flavour.hits(found)[1][:2]) == {"id1", "id3"}


# Using Where filters


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"metadata_field": {"$eq": "search_string"}}, ["a"]),
        ({"metadata_field": "search_string"}, ["a"]),
        ({"$and": [{"metadata_field": {"$eq": "value1"}}, {"other_field": {"$gt": 1}}]}, ["c"]),
        ({"$or": [{"metadata_field": {"$eq": "value1"}}, {"metadata_field": {"$eq": "search_string"}}]}, ["a", "b", "c"]),
        ({"metadata_field": {"$in": ["value1", "value2", "value3"]}}, ["b", "c", "d"]),
        ({"metadata_field": {"$nin": ["value1", "value2", "value3"]}}, ["a"]),
    ],
)
def test_filters_on_metadata(flavour: Any, collection: Any, where: dict[str, Any], expected: list[str]) -> None:
    fields = ["search_string", "value1", "value1", "value2"]
    collection.add(
        ids=["a", "b", "c", "d"],
        embeddings=[[1, 0]] * 4,
        metadatas=[{"metadata_field": field, "other_field": number} for number, field in enumerate(fields)],
    )
    assert flavour.ids(collection.get(where=where)) == expected
    assert sorted(flavour.hits(collection.query(query_embeddings=[[1, 0]], where=where))[0]) == expected


@pytest.mark.parametrize(
    ("where_document", "expected"), [({"$contains": "search_string"}, ["id1", "id2"]), ({"$not_contains": "search_string"}, ["id3"])]
)
def test_filters_on_documents(flavour: Any, by_vector: Any, where_document: dict[str, Any], expected: list[str]) -> None:
    assert flavour.ids(by_vector.get(where_document=where_document)) == expected


# Updating data in a collection


def test_update(flavour: Any, by_vector: Any) -> None:
    collection = by_vector
    collection.update(
        ids=["id1", "id2", "id3"],
        embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4], [1.1, 2.3, 3.2]],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}],
        documents=["doc1", "doc2", "doc3"],
    )
    found = collection.get()
    assert flavour.documents(found) == ["doc1", "doc2", "doc3"]
    assert flavour.values(found, "chapter") == ["3", "3", "29"]
    assert flavour.values(found, "metadata_field") == ["is_equal_to_this", "other", "other"]


def test_upsert(flavour: Any, collection: Any) -> None:
    collection.add(ids=["id2"], embeddings=[[0, 0, 0]], documents=["old"])
    collection.upsert(
        ids=["id1", "id2", "id3"],
        embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4], [1.1, 2.3, 3.2]],
        metadatas=[{"chapter": "3", "verse": "16"}, {"chapter": "3", "verse": "5"}, {"chapter": "29", "verse": "11"}],
        documents=["doc1", "doc2", "doc3"],
    )
    found = collection.get(include=["documents", "embeddings"])
    assert flavour.ids(found) == ["id2", "id1", "id3"]
    assert flavour.documents(found) == ["doc2", "doc1", "doc3"]
    assert flavour.embeddings(found)[0] == pytest.approx(EMBEDDINGS[1])


# Deleting data from a collection


def test_delete(flavour: Any, collection: Any) -> None:
    chapters = ["20", "20", "3", "20"]
    collection.add(ids=["id1", "id2", "id3", "id4"], embeddings=[[1, 0]] * 4, metadatas=[{"chapter": chapter} for chapter in chapters])
    collection.delete(
        ids=["id1", "id2", "id3"],
        where={"chapter": "20"},
    )
    assert flavour.ids(collection.get()) == ["id3", "id4"]
