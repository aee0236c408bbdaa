"""A pattern that would take for ever ends in an error, and takes nobody else's time."""

from __future__ import annotations

import threading

import pytest

import chroma_nb
from chroma_nb.errors import InvalidArgumentError

ENDLESS = "^(a|aa|a?)+$"


def test_a_pattern_without_end_is_refused_and_the_client_goes_on() -> None:
    with chroma_nb.EphemeralClient() as client:
        collection = client.create_collection("patterns", embedding_function=None)
        collection.add(["a", "b"], embeddings=[[1.0], [2.0]], documents=["a" * 60 + "b", "short"])
        for verb in (collection.get, collection.count):
            with pytest.raises(InvalidArgumentError, match=r"\$regex: .* takes longer"):
                verb(where_document={"$regex": ENDLESS})
        assert collection.get(where_document={"$regex": "^sh"}).index.tolist() == ["b"]
        client.delete_collection("patterns")


def test_other_threads_go_on_meanwhile() -> None:
    with chroma_nb.EphemeralClient() as client:
        collection = client.create_collection("patterns", embedding_function=None)
        collection.add(["a"], embeddings=[[1.0]], documents=["a" * 60 + "b"])
        steps = 0
        over = threading.Event()

        def search() -> None:
            with pytest.raises(InvalidArgumentError):
                collection.count(where_document={"$regex": ENDLESS})
            over.set()

        thread = threading.Thread(target=search)
        thread.start()
        while not over.wait(0.001):
            steps += 1
        thread.join()
        assert steps > 50
        client.delete_collection("patterns")
