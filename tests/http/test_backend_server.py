"""Our clients and our server together, beyond what the contract asks: sizes, paths, tokens, threads, forks, filters of both rules."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import chroma_nb
from chroma_nb import chromadb, ops
from chroma_nb.errors import AuthorizationError, ClosedError, InvalidArgumentError, InvalidTypeError, ReadOnlyError
from chroma_nb.filters import CHROMA, And, parse_where
from chroma_nb.http import batches
from chroma_nb.http.server import Server


@pytest.fixture
def local(tmp_path: Path) -> Iterator[chroma_nb.Client]:
    with chroma_nb.PersistentClient(tmp_path / "store") as made:
        yield made


@pytest.fixture
def server(local: chroma_nb.Client) -> Iterator[Server]:
    with chroma_nb.serve(local) as made:
        yield made


@pytest.fixture
def remote(server: Server) -> Iterator[chroma_nb.Client]:
    with chroma_nb.HttpClient(server.url, headers=server.headers) as made:
        yield made


def test_both_sides_see_the_same_data(local: chroma_nb.Client, remote: chroma_nb.Client) -> None:
    made = local.create_collection("docs", embedding_function=None)
    made.add(["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"y": 1}, {"y": 2}])
    there = remote.get_collection("docs")
    assert there.get().equals(made.get())
    there.add(["c"], embeddings=[[1, 1]])
    assert made.count() == 3
    assert there.id == made.id
    assert there.configuration == made.configuration


def test_a_token_is_needed_and_never_shown(server: Server, remote: chroma_nb.Client) -> None:
    with pytest.raises(AuthorizationError, match="X-Chroma-Token") as caught:
        chroma_nb.HttpClient(server.url)
    assert caught.value.status == 401
    with pytest.raises(AuthorizationError) as caught:
        chroma_nb.HttpClient(server.url, headers={"X-Chroma-Token": "wrong-secret"})
    assert "wrong-secret" not in str(caught.value)
    token = server.headers["X-Chroma-Token"]
    assert token not in repr(remote) + repr(server) + repr(vars(remote)) + repr(remote._execute)
    bearer = chroma_nb.HttpClient(server.url, headers={"Authorization": f"Bearer {token}"})
    assert bearer.heartbeat() > 0
    bearer.close()


def test_large_writes_are_split_by_bytes(remote: chroma_nb.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LARGEST_BODY", 20_000)
    made = remote.create_collection("docs", embedding_function=None)
    told: list[int] = []
    documents = ["x" * (i * 100 % 3000) for i in range(100)]
    records = chroma_nb.client.arguments.parse_records(  # type: ignore[attr-defined]
        [f"id{i}" for i in range(100)], {"embeddings": np.arange(400).reshape(100, 4), "documents": documents}, removals=False
    )
    done = made._execute(ops.Add(str(made.id), records, told.append))
    assert (done.added, done.ignored, sum(told)) == (100, (), 100)
    assert len(told) > 5
    found = made.get(include=["documents", "embeddings"])
    assert found["document"].tolist() == documents
    assert found["embedding"].iloc[99].tolist() == [396, 397, 398, 399]
    made.update(["id3", "id90", "none"], documents=["new", "y" * 30_000, "z"], embeddings=np.ones((3, 4)))
    assert made.get("id90")["document"].tolist() == ["y" * 30_000]


def test_filters_of_both_rules_are_found_as_they_are_meant(local: chroma_nb.Client, remote: chroma_nb.Client) -> None:
    made = local.create_collection("docs", embedding_function=None)
    rows: list[Any] = [{"a": 1, "b": 1}, {"a": 2}, {"b": 2}, None, {"a": 2, "b": 2}]
    made.add(list("pqrst"), embeddings=[[i, 1] for i in range(5)], metadatas=rows)
    there = remote.get_collection("docs")
    mixed = And((parse_where({"a": {"$ne": 1}}), parse_where({"b": {"$ne": 1}}, CHROMA)))
    for where, expected in ((mixed, "qt"), ({"a": {"$ne": 1}}, "qt"), (parse_where({"a": {"$ne": 1}}, CHROMA), "qrst")):
        given: Any = where
        assert "".join(there.get(where=given).index) == expected
        assert there.count(given) == len(expected)
        assert sorted(there.query([[0, 0]], where=given)["id"]) == list(expected)
        assert [each for part in there.scan(1, where=given) for each in part.index] == list(expected)
        assert there.sample(9, where=given).index.tolist() == list(expected)
        assert there.sample(1, seed=4, where=given).equals(made.sample(1, seed=4, where=given))
        assert there.values("b", where=given).to_dict() == made.values("b", where=given).to_dict()
    assert there.delete(where=mixed) == 2  # type: ignore[arg-type]
    assert made.get().index.tolist() == ["p", "r", "s"]


def test_threads_share_a_client(remote: chroma_nb.Client) -> None:
    made = remote.create_collection("docs", embedding_function=None)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(10):
                made.add([f"{number}-{i}"], embeddings=[[number, i]], metadatas=[{"n": number}])
                assert made.query([[number, i]], n_results=1)["id"].tolist() == [f"{number}-{i}"]
                assert made.count({"n": number}) == i + 1
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert made.count() == 60


def test_many_tasks_share_an_asynchronous_client(server: Server) -> None:
    async def work() -> tuple[int, str]:
        async with await chroma_nb.AsyncHttpClient(server.url, headers=server.headers) as client:
            made = await client.create_collection("docs", embedding_function=None)
            await asyncio.gather(*(made.add([f"id{i}"], embeddings=[[i, 1]]) for i in range(40)))
            return await made.count(), repr(client)

    count, shown = asyncio.run(work())
    assert count == 40
    assert shown.startswith("AsyncClient('http://127.0.0.1:")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_gets_connections_of_its_own(remote: chroma_nb.Client) -> None:
    made = remote.create_collection("docs", embedding_function=None)
    assert made.count() == 0
    child = os.fork()
    if not child:
        try:
            made.add(["child"], embeddings=[[1, 2]])
            os._exit(0 if made.count() == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert made.get().index.tolist() == ["child"]


def test_a_layout_of_a_read_only_server_stays_with_the_client(local: chroma_nb.Client) -> None:
    made = local.create_collection("docs", embedding_function=None)
    made.add(["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]])
    with chroma_nb.serve(local, read_only=True, token=None) as server, chroma_nb.HttpClient(server.url) as client:
        there = client.get_collection("docs")
        assert there.project("pca").equals(there.project("pca"))
        with pytest.raises((AuthorizationError, ReadOnlyError), match="read-only"):
            there.delete(["a"])
    assert made.count() == 3


def test_reset_needs_both_sides(local: chroma_nb.Client) -> None:
    with chroma_nb.serve(local, token=None) as server:
        with chroma_nb.HttpClient(server.url) as client, pytest.raises(AuthorizationError, match="allow_reset=True"):
            client.reset()
        with chroma_nb.HttpClient(server.url, allow_reset=True) as client, pytest.raises(AuthorizationError, match="Reset is disabled"):
            client.reset()
    local.create_collection("docs", embedding_function=None)
    with chroma_nb.serve(local, token=None, allow_reset=True) as server, chroma_nb.HttpClient(server.url, allow_reset=True) as client:
        assert client.reset() is True
    assert local.count_collections() == 0


def test_names_that_would_mislead_a_path_are_just_names(remote: chroma_nb.Client) -> None:
    remote.create_collection("by-id", embedding_function=None).add(["x"], embeddings=[[1]])
    assert remote.get_collection("by-id").count() == 1
    for name in ("", ".", "..", "a/b", "a%2Fb", "count", "?x=1", "#x"):
        with pytest.raises(chroma_nb.errors.NotFoundError):
            remote.get_collection(name)
    assert remote.count_collections() == 1
    with chroma_nb.AdminClient(remote._place, headers=dict(remote._access.backend.__self__._address.headers)) as admin:  # type: ignore[attr-defined]
        admin.create_tenant("ünï %2F ?#")
        assert admin.list_tenants() == ["default_tenant", "ünï %2F ?#"]
        assert admin.get_tenant("ünï %2F ?#") == {"name": "ünï %2F ?#"}


def test_an_old_client_is_answered_over_version_1(server: Server, remote: chroma_nb.Client) -> None:
    remote.create_collection("docs", {"kept": True}, None).add(["a"], embeddings=[[1, 2]], metadatas=[{"y": 1}])
    agent = {"user-agent": "python-requests/2.31", **server.headers}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=agent, trust_env=False) as old:
        listed = old.get("/collections", params={"tenant": "default_tenant", "database": "default_database"}).json()
        assert [each.keys() for each in listed] == [{"id", "name", "metadata", "tenant", "database"}]
        place = f"/collections/{listed[0]['id']}"
        body = {"ids": ["b"], "embeddings": [[3, 4]], "metadatas": [{"y": 2}], "documents": None, "uris": None}
        added = old.post(f"{place}/add", json=body)
        assert (added.status_code, added.json()) == (201, True)
        found = old.post(f"{place}/get", json={"where": {"y": {"$ne": 1}}, "where_document": {}, "include": ["metadatas"]}).json()
        assert (found["ids"], found["metadatas"]) == (["b"], [{"y": 2}])
        assert old.post(f"{place}/delete", json={"ids": ["a"], "where": {}, "where_document": {}}).json() == ["a"]
    assert remote.get_collection("docs").get().index.tolist() == ["b"]


def test_serving_twice_serves_once(local: chroma_nb.Client, tmp_path: Path) -> None:
    first = chroma_nb.serve(local)
    assert chroma_nb.serve(local) is first
    assert chroma_nb.serve(tmp_path / "store") is first
    other = chroma_nb.serve(local, read_only=True)
    assert other is not first
    assert other.url != first.url
    other.stop()
    first.stop()
    again = chroma_nb.serve(local)
    assert again is not first
    again.stop()


def test_a_changed_cell_takes_its_port_over(local: chroma_nb.Client) -> None:
    first = chroma_nb.serve(local, token=None)
    port = first.port
    first.stop()
    fixed = chroma_nb.serve(local, port=port, token=None)
    assert chroma_nb.serve(local, port=port, token=None) is fixed
    changed = chroma_nb.serve(local, port=port, token=None, read_only=True)
    assert (changed.port, fixed.running, changed.running) == (port, False, True)
    changed.stop()


def test_a_server_keeps_its_store_open(tmp_path: Path) -> None:
    with chroma_nb.PersistentClient(tmp_path) as client:
        client.create_collection("docs", embedding_function=None).add(["a"], embeddings=[[1]])
        server = chroma_nb.serve(client, token=None)
    with chroma_nb.HttpClient(server.url) as remote:
        there = remote.get_collection("docs")
        assert there.count() == 1
        server.stop()
        with pytest.raises(chroma_nb.errors.ServerUnreachableError):
            there.count()
    with pytest.raises(ClosedError):
        chroma_nb.serve(client)


def test_what_cannot_be_served(remote: chroma_nb.Client) -> None:
    with pytest.raises(InvalidTypeError, match="client"):
        chroma_nb.serve(remote)
    with pytest.raises(InvalidTypeError, match="client"):
        chroma_nb.serve(5)


def test_the_chromadb_facade_speaks_http(server: Server) -> None:
    with chromadb.HttpClient(host=server.url, headers=server.headers) as client:
        made = client.create_collection("docs", embedding_function=None)
        made.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"y": 1}, None])
        assert made.get(where={"y": {"$ne": 1}})["ids"] == ["b"]
        assert made.query(query_embeddings=[[1, 0]], n_results=1)["ids"] == [["a"]]
        with pytest.raises(ValueError, match="does not exist"):
            client.get_collection("nothing")
        token = server.headers["X-Chroma-Token"]
        settings = chromadb.Settings(
            chroma_server_host="127.0.0.1",
            chroma_server_http_port=server.port,
            chroma_client_auth_provider="chromadb.auth.token_authn.TokenAuthClientProvider",
            chroma_client_auth_credentials=token,
        )
        assert chromadb.Client(settings).count_collections() == 1
        assert chromadb.HttpClient("127.0.0.1", server.port, settings=settings).count_collections() == 1
        assert chromadb.AdminClient(settings).get_tenant("default_tenant") == {"name": "default_tenant"}
        with pytest.raises(InvalidArgumentError, match="chroma_server_host"):
            chromadb.HttpClient("localhost", server.port, settings=settings)
        assert token not in repr(client)


def test_the_asynchronous_facade_speaks_http(server: Server) -> None:
    async def work() -> Any:
        async with await chromadb.AsyncHttpClient(server.url, headers=server.headers) as client:
            made = await client.get_or_create_collection("docs", embedding_function=None)
            await made.upsert(ids=["a"], embeddings=[[1, 0]], documents=["text"])
            found = await made.get(ids=["a"])
            with pytest.raises(chromadb.errors.NotFoundError):
                await client.get_collection("nothing")
            return found["documents"], type(made).__name__, await client.list_collections()

    documents, kind, listed = asyncio.run(work())
    assert (documents, kind, len(listed)) == (["text"], "AsyncCollection", 1)
