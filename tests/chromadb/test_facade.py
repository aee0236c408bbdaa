"""What existing code needs besides answers: imports, settings, errors of old names, and clear refusals."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import typing
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb import chromadb
from chroma_nb.chromadb.utils import embedding_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def client() -> Iterator[Any]:
    with chromadb.EphemeralClient(chromadb.Settings(allow_reset=True)) as made:
        made.reset()
        yield made


@pytest.fixture
def collection(client: Any) -> Any:
    return client.create_collection("docs", embedding_function=None)


class Lengths(chromadb.EmbeddingFunction[chromadb.Documents]):
    """A nameless function of the user's, as Chroma's documentation writes it."""

    def __call__(self, input: chromadb.Documents) -> chromadb.Embeddings:  # noqa: A002 - Chroma's name
        return [np.array([len(text), 1.0], dtype=np.float32) for text in input]


IMPORTS = (
    *("chromadb.config:Settings", "chromadb.config:DEFAULT_TENANT", "chromadb.config:DEFAULT_DATABASE", "chromadb.errors:ChromaError"),
    *("chromadb.api:ClientAPI", "chromadb.api:AdminAPI", "chromadb.api.models.Collection:Collection", "chromadb.api.types:Documents"),
    *("chromadb.api.types:EmbeddingFunction", "chromadb.api.types:Embeddings", "chromadb.api.types:Embeddable", "chromadb.api.types:ID"),
    *("chromadb.api.types:Include", "chromadb.api.types:Where", "chromadb.api.types:WhereDocument", "chromadb.api.types:GetResult"),
    *("chromadb.api.types:QueryResult", "chromadb.api.types:Metadatas", "chromadb.types:Metadata", "chromadb.types:Where"),
    *("chromadb.api.collection_configuration:CreateCollectionConfiguration", "chromadb.utils:embedding_functions"),
    *("chromadb.utils.embedding_functions:DefaultEmbeddingFunction", "chromadb.utils.batch_utils:create_batches"),
    *("chromadb.utils.embedding_functions:SentenceTransformerEmbeddingFunction", "chromadb:Collection", "chromadb:GetResult"),
)


@pytest.mark.parametrize("place", IMPORTS)
def test_imports_of_existing_code(place: str) -> None:
    module, _, name = place.partition(":")
    assert hasattr(importlib.import_module(f"chroma_nb.{module}"), name)


def test_every_public_name_is_there() -> None:
    assert chroma_nb.chromadb is chromadb
    for name in chromadb.__all__:
        assert hasattr(chromadb, name), name


def test_the_import_is_light() -> None:
    code = "import chroma_nb.chromadb, json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    loaded = set(json.loads(done.stdout))
    assert "chroma_nb.chromadb.api.types" in loaded
    assert loaded & {"pandas", "hnswlib", "torch", "sentence_transformers", "tqdm", "plotly", "IPython"} == set()


def test_annotations_resolve() -> None:
    for kind in (chromadb.Collection, chromadb.ClientAPI):
        for name in ("get", "query", "add", "create_collection", "get_collection"):
            if hasattr(kind, name):
                assert "return" in typing.get_type_hints(getattr(kind, name))
    assert set(typing.get_type_hints(chromadb.GetResult)) == {"ids", "embeddings", "documents", "uris", "data", "metadatas", "included"}


def test_the_version_is_chromas(client: Any) -> None:
    assert chromadb.__version__ == client.get_version() == "1.5.9"
    assert chroma_nb.__version__ != chromadb.__version__


# Errors


def test_a_missing_collection_is_caught_by_clauses_of_every_age(client: Any) -> None:
    for kind in (
        ValueError,
        LookupError,
        chromadb.errors.NotFoundError,
        chromadb.errors.InvalidCollectionException,
        chroma_nb.errors.NotFoundError,
    ):
        with pytest.raises(kind, match="nowhere"):
            client.get_collection("nowhere")
        with pytest.raises(kind, match="nowhere"):
            client.delete_collection("nowhere")


def test_a_taken_name_is_caught_by_clauses_of_every_age(client: Any, collection: Any) -> None:
    client.create_collection("taken", embedding_function=None)
    kinds = (chromadb.errors.InternalError, chromadb.errors.UniqueConstraintError, chroma_nb.errors.UniqueConstraintError, ValueError)
    for kind in kinds:
        with pytest.raises(kind, match="taken"):
            client.create_collection("taken")
        with pytest.raises(kind, match="taken"):
            collection.modify(name="taken")


def test_a_wrong_dimension_is_caught_by_clauses_of_every_age(collection: Any) -> None:
    collection.add("a", [1, 2])
    for kind in (chromadb.errors.InvalidDimensionException, chromadb.errors.InvalidArgumentError, ValueError):
        with pytest.raises(kind):
            collection.add("b", [1, 2, 3])
        with pytest.raises(kind):
            collection.query([1, 2, 3])


def test_use_after_deletion(client: Any, collection: Any) -> None:
    client.delete_collection("docs")
    for kind in (chromadb.errors.NotFoundError, chromadb.errors.InvalidCollectionException):
        with pytest.raises(kind):
            collection.count()


def test_an_unknown_tenant_of_a_new_client() -> None:
    with pytest.raises(chromadb.errors.NotFoundError):
        chromadb.EphemeralClient(chromadb.Settings(allow_reset=True), tenant="nowhere")


def test_reset_has_to_be_allowed(tmp_path: Path) -> None:
    with chromadb.PersistentClient(tmp_path) as client:
        client.create_collection("kept", embedding_function=None)
        with pytest.raises(chromadb.errors.AuthorizationError, match="allow_reset"):
            client.reset()
        assert client.count_collections() == 1


# Settings


def test_settings_keep_unknown_keys() -> None:
    settings = chromadb.config.Settings(anonymized_telemetry=False, chroma_db_impl="duckdb+parquet")
    assert settings.anonymized_telemetry is False
    assert settings["chroma_db_impl"] == settings.require("chroma_db_impl") == "duckdb+parquet"
    with pytest.raises(ValueError, match="persist"):
        settings.require("persist_dir")
    assert settings == chromadb.config.Settings(chroma_db_impl="duckdb+parquet", anonymized_telemetry=False)


def test_a_factory_leaves_the_settings_it_was_given_alone(tmp_path: Path) -> None:
    settings = chromadb.Settings(allow_reset=True)
    with chromadb.PersistentClient(tmp_path, settings) as client:
        assert client.get_settings().persist_directory == str(tmp_path)
    assert settings == chromadb.Settings(allow_reset=True)


def test_settings_that_are_ignored_do_not_conflict(tmp_path: Path) -> None:
    with (
        chromadb.PersistentClient(tmp_path, chromadb.Settings(anonymized_telemetry=False)) as one,
        chromadb.PersistentClient(str(tmp_path)) as two,
    ):
        one.create_collection("docs", embedding_function=None)
        assert two.count_collections() == 1


def test_a_closed_client_does_not_conflict(tmp_path: Path) -> None:
    chromadb.PersistentClient(tmp_path).close()
    with chromadb.PersistentClient(tmp_path, chromadb.Settings(allow_reset=True)) as client:
        with pytest.raises(ValueError, match="different settings"):
            chromadb.PersistentClient(tmp_path)
        assert client.reset() is True


def test_a_dropped_client_does_not_conflict(tmp_path: Path) -> None:
    client = chromadb.PersistentClient(tmp_path)
    client.itself = client  # type: ignore[attr-defined]
    del client
    with chromadb.PersistentClient(tmp_path, chromadb.Settings(allow_reset=True)) as client:
        assert client.reset() is True


@pytest.mark.parametrize("remote", [{"chroma_api_impl": "chromadb.api.fastapi.FastAPI"}, {"chroma_server_host": "example"}])
def test_settings_for_a_server_are_refused(remote: dict[str, Any]) -> None:
    with pytest.raises(chromadb.errors.InvalidArgumentError, match="server"):
        chromadb.EphemeralClient(chromadb.Settings(**remote))


def test_settings_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="Settings"):
        chromadb.EphemeralClient({"allow_reset": True})  # type: ignore[arg-type]


def test_configure_chooses_what_client_uses(tmp_path: Path) -> None:
    before = chromadb.get_settings()
    try:
        chromadb.configure(is_persistent=True, persist_directory=str(tmp_path / "here"))
        with chromadb.Client() as client:
            client.create_collection("docs", embedding_function=None)
        assert (tmp_path / "here").is_dir()
    finally:
        chromadb.configure(**vars(before))


# Refusals


@pytest.mark.parametrize("verb", ["add", "upsert", "update", "bulk_upsert"])
def test_images_are_refused(collection: Any, verb: str) -> None:
    with pytest.raises(chromadb.errors.InvalidArgumentError, match=r"^images: "):
        getattr(collection, verb)(ids=["a"], embeddings=[[1, 2]], images=[np.zeros((2, 2))])
    assert collection.count() == 0


def test_image_and_uri_queries_are_refused(collection: Any) -> None:
    with pytest.raises(chromadb.errors.InvalidArgumentError, match=r"^query_images: "):
        collection.query(query_images=[np.zeros((2, 2))])
    with pytest.raises(chromadb.errors.InvalidArgumentError, match=r"^query_uris: "):
        collection.query(query_uris=["file:a"])


@pytest.mark.parametrize("argument", ["schema", "data_loader"])
def test_schemas_and_loaders_are_refused(client: Any, argument: str) -> None:
    with pytest.raises(chromadb.errors.InvalidArgumentError, match=f"^{argument}: "):
        client.create_collection("docs", **{argument: object()})
    assert client.count_collections() == 0


def test_a_function_that_chroma_refuses_makes_no_collection(client: Any) -> None:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]

    with pytest.raises(ValueError, match="input"):
        client.create_collection("docs", embedding_function=embed)
    assert client.count_collections() == 0


# Embedding functions


def test_a_function_without_a_name_must_be_given_again(client: Any) -> None:
    client.create_collection("texts", embedding_function=Lengths()).add("a", documents="xx")
    with pytest.raises(chromadb.errors.InvalidArgumentError, match="embedding_function"):
        client.get_collection("texts").query(query_texts="xx")
    assert client.get_collection("texts", embedding_function=Lengths()).query(query_texts="xx")["distances"] == [[0.0]]


def test_a_subclass_embeds_queries_its_own_way(client: Any) -> None:
    class Asymmetric(Lengths):
        def embed_query(self, input: chromadb.Documents) -> chromadb.Embeddings:  # noqa: A002 - Chroma's name
            return [vector + 1 for vector in self(input)]

    collection = client.create_collection("texts", embedding_function=Asymmetric())
    collection.add("a", documents="xx")
    assert collection.query(query_texts="xx")["distances"] == [[2.0]]


def test_the_default_function_means_none_given(client: Any) -> None:
    class Named(Lengths):
        @staticmethod
        def name() -> str:
            return "named"

        @staticmethod
        def get_config() -> dict[str, Any]:
            return {}

    client.create_collection("texts", embedding_function=Named())
    assert client.get_collection("texts", embedding_function=embedding_functions.DefaultEmbeddingFunction()).count() == 0
    with pytest.raises(ValueError, match="named"):
        client.get_collection("texts", embedding_function=embedding_functions.SentenceTransformerEmbeddingFunction())


def test_what_the_function_raises_comes_out_as_it_is(client: Any) -> None:
    class RateLimitedError(Exception):
        """Of a service's own client."""

    class Remote(Lengths):
        def __call__(self, input: chromadb.Documents) -> chromadb.Embeddings:  # noqa: A002 - Chroma's name
            raise RateLimitedError(len(input))

    collection = client.create_collection("texts", embedding_function=Remote())
    with pytest.raises(RateLimitedError):
        collection.add("a", documents="x")
    with pytest.raises(RateLimitedError):
        collection.query(query_texts="x")


def test_sentence_transformers_with_chromas_parameters(client: Any) -> None:
    function = embedding_functions.SentenceTransformerEmbeddingFunction("all-MiniLM-L6-v2", "cpu", normalize_embeddings=True)
    assert function.get_config() == {"model_name": "all-MiniLM-L6-v2", "device": "cpu", "normalize_embeddings": True, "kwargs": {}}
    collection = client.create_collection("texts", embedding_function=function)
    assert collection.configuration_json["hnsw"]["space"] == "cosine"
    collection.add(["a", "b"], documents=["owls hunt at night", "stocks fell on Monday"])
    assert collection.query(query_texts="birds of prey", n_results=1)["ids"] == [["a"]]
    with pytest.raises(ValueError, match="trust_remote_code"):
        embedding_functions.SentenceTransformerEmbeddingFunction(trust_remote_code=True)


def test_the_default_model_by_both_names() -> None:
    default, onnx = embedding_functions.DefaultEmbeddingFunction(), embedding_functions.ONNXMiniLM_L6_V2(["CPUExecutionProvider"])
    assert np.array_equal(default(["a text"]), onnx(["a text"]))


def test_registering_changes_nothing() -> None:
    assert embedding_functions.register_embedding_function(Lengths) is Lengths


# Collections and clients


def test_collections_are_equal_when_they_are_the_same(client: Any, collection: Any) -> None:
    same = client.get_collection("docs", embedding_function=None)
    assert same == collection
    assert {same, collection} == {collection}
    assert collection != client.create_collection("other", embedding_function=None)
    assert isinstance(collection.id, uuid.UUID)


def test_tuples_come_back_as_lists(collection: Any) -> None:
    collection.add("a", [1, 2], {"tags": ("x", "y")})
    assert collection.get()["metadatas"] == [{"tags": ["x", "y"]}]
    assert collection.query([1, 2])["metadatas"] == [[{"tags": ["x", "y"]}]]


def test_a_fork_goes_its_own_way(collection: Any) -> None:
    collection.add("a", [1, 2])
    fork = collection.fork("copy")
    fork.add("b", [1, 2])
    assert (collection.get()["ids"], fork.get()["ids"]) == (["a"], ["a", "b"])


def test_batches(client: Any) -> None:
    size = client.get_max_batch_size()
    ids = [str(i) for i in range(size + 1)]
    batches = chromadb.batch_utils.create_batches(client, ids, documents=ids)
    assert [len(batch[0]) for batch in batches] == [size, 1]
    assert batches[1] == (ids[size:], None, None, ids[size:])


def test_read_levels_are_accepted(collection: Any) -> None:
    assert [collection.count(read_level=level) for level in chromadb.ReadLevel] == [0, 0, 0]


def test_a_closed_client_says_so(tmp_path: Path) -> None:
    client = chromadb.PersistentClient(tmp_path)
    client.close()
    client.close()
    with pytest.raises(chromadb.errors.InternalError, match="closed"):
        client.heartbeat()


def test_the_system_cache_is_no_ones_business(client: Any, collection: Any) -> None:
    assert client.clear_system_cache() is None
    assert collection.count() == 0
