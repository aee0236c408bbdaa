"""Clients, tenants, databases and collections: made, found, changed, deleted, and told apart."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chroma_nb import __version__
from chroma_nb.embedding import HashingEmbeddingFunction
from chroma_nb.errors import (
    AuthorizationError,
    ChromaError,
    ClosedError,
    EmbeddingFunctionConflictError,
    InvalidArgumentError,
    InvalidTypeError,
    NotFoundError,
    UniqueConstraintError,
)
from tests.contract.backends import Backend, content, everything


def letters(texts: list[str]) -> Any:
    """Embed texts as the counts of a few letters."""
    return np.array([[text.count(letter) for letter in "aeiou"] for text in texts], dtype=np.float32)


def named(collections: list[Any]) -> list[str]:
    return [each.name for each in collections]


def test_a_backend_answers(client: Any) -> None:
    assert abs(client.heartbeat() - time.time_ns()) < 60e9
    assert client.get_version() == __version__
    assert client.get_max_batch_size() > 1000


def test_a_collection_is_found_by_its_name(client: Any, again: Callable[[Any], Any]) -> None:
    made = client.create_collection("my-docs.v2", {"owner": "me", "n": 3, "share": 0.5, "old": False}, None)
    assert isinstance(made.id, uuid.UUID)
    found = again(made)
    assert (found.name, found.id, found.metadata) == ("my-docs.v2", made.id, {"owner": "me", "n": 3, "share": 0.5, "old": False})
    assert (found.tenant, found.database, found.space) == ("default_tenant", "default_database", "l2")
    assert found.count() == 0
    assert [type(value) for value in found.metadata.values()] == [str, int, float, bool]


@pytest.mark.parametrize("space", ["l2", "ip", "cosine"])
def test_a_space_can_be_asked_for_in_two_ways(client: Any, again: Callable[[Any], Any], space: str) -> None:
    by_metadata = client.create_collection("one", {"hnsw:space": space, "hnsw:M": 32}, None)
    by_configuration = client.create_collection("two", None, None, configuration={"hnsw": {"space": space, "max_neighbors": 32}})
    assert by_metadata.space == by_configuration.space == space
    assert by_metadata.configuration == again(by_configuration).configuration
    assert by_metadata.metadata["hnsw:space"] == space


def test_collections_are_listed_in_the_order_they_were_made(client: Any) -> None:
    for name in ("zebra", "ant", "mole"):
        client.create_collection(name, embedding_function=None)
    assert named(client.list_collections()) == ["zebra", "ant", "mole"]
    assert named(client.list_collections(limit=1, offset=1)) == ["ant"]
    assert named(client.list_collections(2)) == ["zebra", "ant"]
    assert client.list_collections(limit=0) == []
    assert client.list_collections(offset=9) == []
    assert client.count_collections() == 3


def test_a_name_is_taken_once(client: Any) -> None:
    made = client.create_collection("docs", {"a": 1}, None)
    with pytest.raises(UniqueConstraintError, match=r"Collection \[docs\] already exists"):
        client.create_collection("docs", embedding_function=None)
    found = client.create_collection("docs", {"b": 2}, None, get_or_create=True)
    assert found.id == made.id
    assert found.metadata == {"a": 1}
    assert client.get_or_create_collection("docs", {"c": 3}, None, configuration={"hnsw": {"space": "ip"}}).metadata == {"a": 1}
    assert client.get_collection("docs").space == "l2"


def test_get_or_create_is_safe_to_run_again(client: Any) -> None:
    ids = {client.get_or_create_collection("docs", embedding_function=None).id for _ in range(3)}
    assert len(ids) == client.count_collections() == 1


@pytest.mark.parametrize("call", ["get_collection", "delete_collection"])
def test_a_missing_collection_is_named_and_a_near_one_suggested(client: Any, call: str) -> None:
    client.create_collection("papers", embedding_function=None)
    with pytest.raises(NotFoundError, match=r"\[paper\] does not exist.*Did you mean 'papers'") as caught:
        getattr(client, call)("paper")
    assert isinstance(caught.value, LookupError)


def test_a_deleted_collection_is_gone_for_every_object(client: Any, docs: Any, backend: Backend) -> None:
    other = backend.client().get_collection("docs")
    client.delete_collection("docs")
    assert client.count_collections() == 0
    for call in (docs.count, docs.get, other.peek, other.describe, lambda: docs.add(["x"], embeddings=[[1, 2]])):
        with pytest.raises(NotFoundError, match="deleted after this object was made"):
            call()
    fresh = client.create_collection("docs", embedding_function=None)
    assert fresh.count() == 0
    assert fresh.id != docs.id
    with pytest.raises(NotFoundError):
        docs.count()


def test_two_clients_of_a_store_see_each_other_at_the_next_call(client: Any, docs: Any, backend: Backend) -> None:
    other = backend.client().get_collection("docs")
    assert other.query([[1, 0]])["id"].tolist() == docs.query([[1, 0]])["id"].tolist()
    docs.add("d", embeddings=[0.9, 0], metadatas={"year": 5})
    assert other.query([[0.9, 0]], n_results=1)["id"].tolist() == ["d"]
    other.delete(["d"])
    assert docs.count() == 3
    assert docs.get(where={"year": 5}).empty
    assert "d" not in docs.query([[0.9, 0]])["id"].tolist()


def test_modify_renames_and_replaces_metadata(client: Any, again: Callable[[Any], Any]) -> None:
    made = client.create_collection("old", {"a": 1, "b": 2}, None)
    client.create_collection("taken", embedding_function=None)
    made.modify(name="new-name", metadata={"c": 3})
    assert (made.name, made.metadata) == ("new-name", {"c": 3})
    with pytest.raises(UniqueConstraintError, match="taken"):
        made.modify(name="taken")
    made.modify(name="new-name")
    made.modify()
    with pytest.raises(NotFoundError):
        client.get_collection("old")
    found = again(made)
    assert (found.name, found.metadata, found.id) == ("new-name", {"c": 3}, made.id)


def test_modify_changes_search_parameters_and_never_the_space(docs: Any, again: Callable[[Any], Any]) -> None:
    before = docs.configuration["hnsw"]
    docs.modify(configuration={"hnsw": {"ef_search": 321, "num_threads": 1}})
    found = again(docs)
    assert found.configuration["hnsw"] == {**before, "ef_search": 321, "num_threads": 1}
    found.modify(metadata={"hnsw:space": "l2"})
    for change in ({"metadata": {"hnsw:space": "cosine"}}, {"configuration": {"hnsw": {"space": "ip"}}}):
        with pytest.raises(InvalidArgumentError, match="space"):
            found.modify(**change)


def test_a_fork_goes_its_own_way(client: Any, docs: Any, again: Callable[[Any], Any]) -> None:
    before = content(docs)
    copy = docs.fork("copy")
    assert content(copy) == before
    assert copy.id != docs.id
    copy.add("new", embeddings=[5, 5])
    copy.update("a", documents="changed", embeddings=[9, 9])
    copy.delete(["b"])
    assert content(docs) == before
    docs.delete(["c"])
    assert copy.get().index.tolist() == ["a", "c", "new"]
    assert docs.query([[9, 10]])["id"].tolist() == ["b", "a"]
    assert copy.query([[9, 9]])["id"].tolist() == ["a", "new", "c"]
    with pytest.raises(UniqueConstraintError, match="copy"):
        docs.fork("copy")
    assert again(copy).fork("copy-of-copy").count() == 3


def test_tenants_and_databases_keep_collections_apart(backend: Backend) -> None:
    admin = backend.admin()
    admin.create_tenant("acme")
    admin.create_database("lab", "acme")
    admin.create_database("lab")
    places = [("default_tenant", "default_database"), ("default_tenant", "lab"), ("acme", "lab")]
    for i, (tenant, database) in enumerate(places):
        made = backend.client(tenant=tenant, database=database).create_collection("docs", embedding_function=None)
        made.add([f"id{i}"], embeddings=[[i, i]])
    for i, (tenant, database) in enumerate(places):
        client = backend.client(tenant=tenant, database=database)
        assert client.get_collection("docs").get().index.tolist() == [f"id{i}"]
        assert client.count_collections() == 1
    client = backend.client()
    client.set_database("lab")
    assert client.get_collection("docs").get().index.tolist() == ["id1"]
    client.set_tenant("acme", "lab")
    assert (client.tenant, client.database) == ("acme", "lab")
    assert client.get_collection("docs").get().index.tolist() == ["id2"]


def test_a_scope_that_does_not_exist_changes_nothing(backend: Backend) -> None:
    client = backend.client()
    calls: list[Callable[[], Any]] = [
        lambda: client.set_tenant("nobody"),
        lambda: client.set_database("nowhere"),
        lambda: backend.client(tenant="nobody"),
        lambda: backend.client(database="nowhere"),
    ]
    for call in calls:
        with pytest.raises(NotFoundError, match=r"nobody|nowhere"):
            call()
    assert (client.tenant, client.database) == ("default_tenant", "default_database")


def test_databases_are_made_listed_and_deleted(backend: Backend) -> None:
    admin = backend.admin()
    admin.create_tenant("acme")
    assert admin.get_tenant("acme") == {"name": "acme"}
    assert admin.list_tenants() == ["default_tenant", "acme"]
    for name in ("zoo", "ark", "lab"):
        admin.create_database(name, "acme")
    found = admin.get_database("ark", "acme")
    assert (found["name"], found["tenant"], type(found["id"])) == ("ark", "acme", uuid.UUID)
    assert [each["name"] for each in admin.list_databases(tenant="acme")] == ["zoo", "ark", "lab"]
    assert [each["name"] for each in admin.list_databases(1, 1, "acme")] == ["ark"]
    client = backend.client(tenant="acme", database="zoo")
    lost = client.create_collection("docs", embedding_function=None)
    lost.add(["a"], embeddings=[[1]])
    admin.delete_database("zoo", "acme")
    with pytest.raises(NotFoundError):
        lost.get()
    with pytest.raises(NotFoundError, match="zoo"):
        client.list_collections()
    with pytest.raises(NotFoundError, match="zoo"):
        admin.get_database("zoo", "acme")
    admin.create_database("zoo", "acme")
    assert client.list_collections() == []


def test_names_of_tenants_and_databases_are_taken_once(backend: Backend) -> None:
    admin = backend.admin()
    admin.create_tenant("acme")
    admin.create_database("lab", "acme")
    with pytest.raises(UniqueConstraintError, match="acme"):
        admin.create_tenant("acme")
    with pytest.raises(UniqueConstraintError, match="lab"):
        admin.create_database("lab", "acme")
    with pytest.raises(NotFoundError, match="nobody"):
        admin.get_tenant("nobody")
    with pytest.raises(InvalidArgumentError, match="default_database"):
        admin.delete_database("default_database")
    assert admin.list_tenants() == ["default_tenant", "acme"]


def test_reset_deletes_everything_for_everybody(backend: Backend) -> None:
    client, other, admin = backend.client(), backend.client(), backend.admin()
    admin.create_tenant("acme")
    made = client.create_collection("docs", embedding_function=None)
    made.add(["a"], embeddings=[[1, 2]])
    assert other.get_collection("docs").query([[1, 2]])["id"].tolist() == ["a"]
    assert client.reset() is True
    assert client.list_collections() == other.list_collections() == []
    assert admin.list_tenants() == ["default_tenant"]
    with pytest.raises(NotFoundError):
        made.count()
    fresh = other.create_collection("docs", embedding_function=None)
    fresh.add(["b"], embeddings=[[1, 2, 3]])
    assert fresh.query([[1, 2, 3]])["id"].tolist() == ["b"]


def test_reset_must_have_been_allowed(backend: Backend) -> None:
    client = backend.client(allow_reset=False)
    client.create_collection("docs", embedding_function=None)
    with pytest.raises(AuthorizationError, match="allow_reset=True"):
        client.reset()
    assert client.count_collections() == 1


def test_closing_twice_is_safe_and_closed_is_closed(backend: Backend) -> None:
    with backend.client() as client:
        client.create_collection("docs", embedding_function=None)
    client.close()
    client.close()
    backend.close()
    with pytest.raises(ClosedError, match="closed; make a new one"):
        client.heartbeat()


def test_a_closed_client_is_closed_whoever_else_has_the_store_open(backend: Backend) -> None:
    first, second = backend.client(), backend.client()
    collection = first.create_collection("docs", embedding_function=None)
    first.close()
    for call in (first.heartbeat, collection.count):
        with pytest.raises(ClosedError, match="closed; make a new one"):
            call()
    assert second.count_collections() == 1


def test_a_store_stays_open_for_its_other_clients(backend: Backend) -> None:
    with backend.client() as first:
        first.create_collection("docs", embedding_function=None)
        second = backend.client()
    assert second.count_collections() == 1


def test_an_embedding_function_is_used_and_remembered(client: Any, again: Callable[[Any], Any]) -> None:
    made = client.create_collection("texts", embedding_function=HashingEmbeddingFunction(64))
    made.add(["a", "b"], documents=["the owl at night", "paint on canvas"])
    found = again(made)
    assert found.query(query_texts=["an owl"], n_results=1)["id"].tolist() == ["a"]
    assert found.configuration["embedding_function"] == made.configuration["embedding_function"]
    assert found.describe().dimension == 64


def test_a_function_of_ones_own_must_be_given_again(client: Any) -> None:
    client.create_collection("texts", embedding_function=letters).add(["a", "b"], documents=["aaa", "eee"])
    without = client.get_collection("texts")
    assert without.count() == 2
    with pytest.raises(InvalidArgumentError, match="letters"):
        without.query(query_texts="a")
    assert client.get_collection("texts", letters).query(query_texts="aa", n_results=1)["id"].tolist() == ["a"]


def test_another_embedding_function_is_a_conflict(client: Any) -> None:
    client.create_collection("texts", embedding_function=HashingEmbeddingFunction(64))
    for call in (client.get_collection, lambda name, function: client.get_or_create_collection(name, embedding_function=function)):
        with pytest.raises(EmbeddingFunctionConflictError, match=r"collection 'texts'.*'hashing'.*dimension"):
            call("texts", HashingEmbeddingFunction(32))
    assert client.get_collection("texts", None).count() == 0
    assert client.get_collection("texts", HashingEmbeddingFunction(64)).count() == 0


@pytest.mark.parametrize("name", ["abc", "a" * 63, "0-0", "a..b".replace("..", "."), "a_b-c.d", "aXYZb", "1.2.3"])
def test_good_names(client: Any, name: str) -> None:
    assert client.create_collection(name, embedding_function=None).name == name


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "-ab", "ab-", "Abc", "abC", "a..b", "192.168.0.1", "a b", "a/b", "naïve", "", "abc\n", 5, None, b"abc"]
)
def test_bad_names_make_no_collection(client: Any, name: Any) -> None:
    for call in (client.create_collection, client.get_or_create_collection):
        with pytest.raises(InvalidArgumentError, match="collection name"):
            call(name, embedding_function=None)
    assert client.count_collections() == 0


def test_collections_are_equal_by_id_and_client(client: Any, docs: Any) -> None:
    found = client.get_collection("docs")
    assert found == docs
    assert hash(found) == hash(docs)
    assert found != docs.fork("copy")
    assert found != "docs"


def test_errors_have_a_status_and_a_code(backend: Backend, client: Any, docs: Any) -> None:
    calls: dict[int, Callable[[], Any]] = {
        400: lambda: docs.get(limit=-1),
        403: lambda: backend.client(allow_reset=False).reset(),
        404: lambda: client.get_collection("nowhere"),
        409: lambda: client.create_collection("docs", embedding_function=None),
    }
    for status, call in calls.items():
        with pytest.raises(ChromaError) as caught:
            call()
        assert caught.value.status == status
        assert re.fullmatch(r"\w+", caught.value.code)
    with pytest.raises(InvalidTypeError):
        client.get_collection(5)


def test_nothing_but_what_was_asked_for_changes(client: Any, docs: Any) -> None:
    before = everything(client)
    docs.get()
    docs.query([[1, 0]])
    docs.describe()
    docs.sample(2)
    docs.values("topic")
    docs.explain()
    list(docs.scan())
    docs.build_index(show_progress=False)
    docs.project("pca")
    assert everything(client) == before
