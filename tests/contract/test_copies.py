"""Copying or pickling what is alive says what to do instead; no token gets into a pickle."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

import chroma_nb
from chroma_nb import chromadb
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError

WAYS: dict[str, Callable[[Any], object]] = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": pickle.dumps}
WAYS |= {f"pickle {protocol}": lambda each, protocol=protocol: pickle.dumps(each, protocol) for protocol in range(5)}  # type: ignore[misc]


@pytest.fixture(scope="module")
def alive() -> Iterator[dict[str, Any]]:
    """Return one object of each kind that holds a store, a server, a page or a secret."""
    with chroma_nb.EphemeralClient(allow_reset=True) as client:
        client.reset()
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]])
        with (
            chroma_nb.serve(client, port=0) as server,
            chroma_nb.HttpClient(server.local_url, headers=server.local_headers) as remote,
            chroma_nb.AdminClient() as admin,
            chromadb.EphemeralClient() as theirs,
        ):
            explorer, other = docs.explore(method="pca"), docs.explore(method="pca")
            yield {
                "client": client,
                "collection": docs,
                "server": server,
                "entrance": server._direct,
                "remote client": remote,
                "remote collection": remote.get_collection("docs"),
                "admin": admin,
                "Chroma's client": theirs,
                "Chroma's collection": theirs.get_collection("docs", embedding_function=None),
                "Chroma's admin": chromadb.AdminClient(),
                "builder": docs.builder(),
                "explorer": explorer,
                "comparison": explorer.compare(other),
                "verb": docs.get,
                "stream": docs.scan,
                "backend": remote._access.backend.__self__,  # type: ignore[attr-defined]
                "address": remote._access.backend.__self__._address,  # type: ignore[attr-defined]
            }
            explorer.close()
            other.close()


@pytest.mark.parametrize("way", list(WAYS))
def test_what_is_alive_is_not_copied(alive: dict[str, Any], way: str) -> None:
    assert len(alive) == 17
    for name, each in alive.items():
        if way == "copy" and name in ("verb", "stream"):  # to copy a method is to have it
            continue
        with pytest.raises(InvalidTypeError, match=r"cannot be copied or pickled; \S+") as caught:
            WAYS[way](each)
        assert str(caught.value).isprintable(), name


def test_it_is_alive_afterwards(alive: dict[str, Any]) -> None:
    for name in ("collection", "remote collection"):
        assert alive[name].count() == 3


def test_another_process_is_told(alive: dict[str, Any]) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(InvalidArgumentError, match="pass its name on"):
        pool.submit(len, alive["collection"].get).result()


async def _asynchronous(url: str, headers: Any) -> list[str]:
    async with await chroma_nb.AsyncHttpClient(url, headers=headers) as client:
        said = []
        for each in (client, await client.get_collection("docs"), client.heartbeat):
            for way in (copy.deepcopy, pickle.dumps):
                with pytest.raises(InvalidTypeError) as caught:
                    way(each)  # type: ignore[operator]
                said.append(str(caught.value))
        return said


def test_nor_are_asynchronous_ones(alive: dict[str, Any]) -> None:
    import asyncio

    server = alive["server"]
    assert len(asyncio.run(_asynchronous(server.local_url, server.local_headers))) == 6


def test_what_they_answer_may_go_anywhere(alive: dict[str, Any]) -> None:
    docs = alive["collection"]
    for answer in (docs.get(), docs.query([[1, 0]]), docs.describe(), docs.explain([[1, 0]]), docs.metadata, docs.id):
        assert repr(pickle.loads(pickle.dumps(answer))) == repr(answer)
    with pytest.raises(InvalidArgumentError) as caught:
        docs.get(limit=-1)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
