"""What a collection remembers of its function: inert, free of secrets, and enough to notice the wrong function."""

from __future__ import annotations

import functools
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.embedding import (
    DefaultEmbeddingFunction,
    HashingEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    conflict,
    identity,
    required,
    restore,
)
from chroma_nb.errors import InvalidArgumentError

if TYPE_CHECKING:
    from tests.embedding.conftest import FreshPython

json_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


class Named:
    """A function in Chroma's style."""

    def __init__(self, name: object = "named", config: object = None) -> None:
        self._name, self._config = name, {} if config is None else config

    def __call__(self, input: list[str]) -> list[list[float]]:  # noqa: A002
        return [[0.0] for _ in input]

    def name(self) -> Any:
        return self._name

    def get_config(self) -> Any:
        return self._config


def plain(texts: list[str]) -> list[list[float]]:
    """Embed nothing."""
    return [[0.0] for _ in texts]


class Nameless:
    """Neither name nor configuration."""

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return plain(texts)


class ChromaStyleBase(Named):
    """Chroma's base class answers this way where a subclass does not say who it is."""

    def name(self) -> Any:
        warnings.warn("not implemented", DeprecationWarning, stacklevel=2)
        return NotImplemented


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (None, None),
        (DefaultEmbeddingFunction("/somewhere"), {"type": "known", "name": "default", "config": {}}),
        (HashingEmbeddingFunction(32), {"type": "known", "name": "hashing", "config": {"dimension": 32}}),
        (
            SentenceTransformerEmbeddingFunction("paraphrase-MiniLM-L3-v2", normalize=False),
            {
                "type": "known",
                "name": "sentence_transformer",
                "config": {"model_name": "paraphrase-MiniLM-L3-v2", "device": "cpu", "normalize_embeddings": False},
            },
        ),
        (plain, {"type": "legacy", "callable": "plain"}),
        (functools.partial(plain), {"type": "legacy", "callable": "plain"}),
        (Nameless(), {"type": "legacy", "callable": "Nameless"}),
        (Nameless().__call__, {"type": "legacy", "callable": "Nameless.__call__"}),
        (ChromaStyleBase(), {"type": "legacy", "callable": "ChromaStyleBase"}),
        (Named(config=NotImplemented), {"type": "legacy", "callable": "Named"}),
        (lambda texts: plain(texts), {"type": "legacy"}),  # noqa: PLW0108 - the lambda is the point
    ],
)
def test_identity(function: object, expected: object) -> None:
    assert identity(function) == expected


def test_numpy_numbers_and_tuples_become_plain_json() -> None:
    stored = identity(Named(config={"dim": np.int64(3), "scale": np.float32(0.5), "on": np.True_, "layers": (1, 2)}))
    assert stored is not None
    assert json.loads(json.dumps(stored))["config"] == {"dim": 3, "scale": 0.5, "on": True, "layers": [1, 2]}


def test_secrets_are_left_out_and_harmless_neighbours_kept() -> None:
    secret = "s3cr3t"
    config: dict[str, Any] = {
        "api_key": secret,
        "apiKey": secret,
        "OPENAI-API-KEY": secret,
        "hf_token": secret,
        "client_secret": secret,
        "db_password": secret,
        "password_digits": 1234,
        "endpoint": f"https://user:{secret}@host/v1",
        "headers": {"Authorization": f"Bearer {secret}", "accept": "json"},
        "backends": [{"accessKey": secret, "region": "x"}],
        "api_key_env_var": "OPENAI_API_KEY",
        "max_tokens": 512,
        "tokenizer": "wordpiece",
        "url": "https://host/v1",
    }
    stored = identity(Named(config=config))
    assert secret not in json.dumps(stored)
    assert stored is not None
    assert stored["config"] == {
        "headers": {"accept": "json"},
        "backends": [{"region": "x"}],
        "api_key_env_var": "OPENAI_API_KEY",
        "max_tokens": 512,
        "tokenizer": "wordpiece",
        "url": "https://host/v1",
    }


def nested(depth: int) -> dict[str, Any]:
    """Return a dict in a dict in a dict."""
    config: dict[str, Any] = {}
    for _ in range(depth):
        config = {"inner": config}
    return config


@pytest.mark.parametrize("bad", [{"model": object()}, {"model": {1: 2}}, {"scale": float("nan")}, {"names": {"a", "b"}}, nested(2000)])
def test_a_configuration_that_is_not_json_is_refused_by_place(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'named': get_config\(\)"):
        identity(Named(config=bad))


def test_a_get_config_that_fails_is_reported() -> None:
    class Failing(Named):
        def get_config(self) -> Any:
            raise OSError("disk")

    with pytest.raises(InvalidArgumentError, match="OSError: disk"):
        identity(Failing())


@given(st.dictionaries(st.text(max_size=12), json_data, max_size=5))
def test_a_function_never_contradicts_itself(config: dict[str, Any]) -> None:
    function = Named(config=config)
    stored = identity(function)
    assert json.loads(json.dumps(stored)) == stored
    assert conflict(stored, function) is None


def named(name: str, **config: object) -> dict[str, Any]:
    """Return a stored identity."""
    return {"type": "known", "name": name, "config": config}


@pytest.mark.parametrize(
    ("stored", "function"),
    [
        (named("openai", model_name="a"), HashingEmbeddingFunction()),
        (named("hashing", dimension=64), HashingEmbeddingFunction(65)),
        (named("default"), HashingEmbeddingFunction()),
        (named("default"), SentenceTransformerEmbeddingFunction("all-mpnet-base-v2")),
        (named("named", model_name="a"), Named(config={"model_name": "b"})),
        (named("named", modelName="a"), Named(config={"modelName": "b"})),
        (named("named", normalize_embeddings=True), Named(config={"normalize_embeddings": False})),
        (named("named", kwargs={"truncate_dim": 64}), Named(config={"kwargs": {"truncate_dim": 128}})),
        (
            named("sentence_transformer", model_name="one/model", device="cpu", normalize_embeddings=False),
            SentenceTransformerEmbeddingFunction("two/model", normalize=False),
        ),
    ],
)
def test_another_function_is_a_conflict_with_a_cure(stored: dict[str, Any], function: object) -> None:
    message = conflict(stored, function)
    assert message is not None
    assert repr(stored["name"]) in message
    assert "was passed" in message
    assert "Pass embedding_function=" in message
    assert "new collection" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("stored", "function"),
    [
        (None, HashingEmbeddingFunction()),
        ({}, HashingEmbeddingFunction()),
        ({"type": "unknown"}, HashingEmbeddingFunction()),
        ({"type": "legacy"}, HashingEmbeddingFunction()),
        ({"type": "legacy", "callable": "other"}, plain),
        (named("openai"), plain),
        (named("openai"), None),
        (named("named", device="cpu", batch_size=8, cache_dir="/a"), Named(config={"device": "cuda", "batch_size": 64, "cache_dir": "/b"})),
        (named("named", model_path="/a"), Named(config={"model_path": "/b"})),
        (named("named", dimensions=None), Named(config={"dimensions": 256})),
        (named("named"), Named(config={"model_name": "b"})),
        (
            named("sentence_transformer", model_name="/old/place/m", normalize_embeddings=True),
            SentenceTransformerEmbeddingFunction("/new/m"),
        ),
        (named("sentence_transformer", model_name="sentence-transformers/x"), SentenceTransformerEmbeddingFunction("x")),
        (named("default"), SentenceTransformerEmbeddingFunction()),
        (named("onnx_mini_lm_l6_v2", preferred_providers=["CPUExecutionProvider"]), DefaultEmbeddingFunction()),
        (
            named("sentence_transformer", model_name="all-MiniLM-L6-v2", device="cpu", normalize_embeddings=False, kwargs={}),
            DefaultEmbeddingFunction(),
        ),
    ],
)
def test_what_is_the_same_or_cannot_be_known_is_no_conflict(stored: dict[str, Any] | None, function: object) -> None:
    assert conflict(stored, function) is None


def test_the_two_functions_that_need_nothing_are_restored() -> None:
    hashing = restore(identity(HashingEmbeddingFunction(48)))
    assert isinstance(hashing, HashingEmbeddingFunction)
    assert hashing(["a fox"]).tobytes() == HashingEmbeddingFunction(48)(["a fox"]).tobytes()
    assert isinstance(restore(identity(DefaultEmbeddingFunction())), DefaultEmbeddingFunction)


def nested_lists(depth: int) -> list[Any]:
    """Return a list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: list[Any] = [
    None,
    [],
    "default",
    {"type": "known"},
    {"type": "known", "name": ["default"], "config": {}},
    {"type": "legacy", "callable": "os.system"},
    {"type": "known", "name": "os.system", "config": {"command": "echo pwned"}},
    {"type": "known", "name": "__import__('os').system('echo pwned')", "config": {}},
    named("sentence_transformer", model_name="evil/model", device="cpu", normalize_embeddings=True, kwargs={"trust_remote_code": True}),
    named("default", path="/tmp/evil"),
    named("default", trust_remote_code=True),
    named("openai", api_key_env_var="AWS_SECRET_ACCESS_KEY", model_name="x"),
    named("hashing"),
    named("hashing", dimension=10**12),
    named("hashing", dimension=True),
    named("hashing", dimension="8"),
    named("hashing", dimension=-1),
    named("hashing", dimension=8, module="os"),
    {"type": "known", "name": "hashing", "config": ["dimension"]},
    named("sentence_transformer", model_name="/tmp/evil", device="cpu", normalize_embeddings=True),
    named("sentence_transformer", model_name="../evil", device="cpu", normalize_embeddings=True, trust_remote_code=True),
    named("SentenceTransformerEmbeddingFunction", model_name="all-MiniLM-L6-v2"),
    named("default", name_or_path="/tmp/evil"),
    named("default", model_name="all-MiniLM-L6-v2"),
    named("default", env="CHROMA_NB_MODEL"),
    named("DefaultEmbeddingFunction"),
    named("onnx_mini_lm_l6_v2", download_path="/tmp/evil"),
    named("chroma_nb.embedding.HashingEmbeddingFunction", dimension=8),
    named("huggingface", api_key_env_var="HOME", model_name="evil/model"),
    named("hashing", dimension=8.0),
    {"type": "known", "name": "openai", "config": {"model": [named("default")] * 3}},
    {"type": "known", "name": "openai", "config": {"model": nested_lists(900)}},
    {"type": "known", "name": "openai", "config": nested(200)},
    {"type": "known", "name": "x" * 100_000, "config": {"model": "y" * 100_000}},
]


def test_how_much_hostile_data_is_tried() -> None:
    assert len(HOSTILE) == 34


@pytest.mark.parametrize("stored", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_data_builds_nothing(stored: Any) -> None:
    assert restore(stored) is None
    sentence = required(stored)
    assert "\n" not in sentence
    assert len(sentence) < 500


def test_hostile_data_imports_and_starts_nothing(fresh_python: FreshPython) -> None:
    code = """
import json, sys
from chroma_nb.embedding import HashingEmbeddingFunction, conflict, required, restore
before = set(sys.modules)
events = []
sys.addaudithook(lambda event, arguments: events.append(event) if event in WATCHED else None)
for stored in json.load(sys.stdin):
    assert restore(stored) is None
    required(stored)
    conflict(stored, HashingEmbeddingFunction())
print(sorted(set(sys.modules) - before), events)
"""
    watched = {"import", "exec", "compile", "open", "os.system", "subprocess.Popen", "socket.connect", "socket.getaddrinfo"}
    assert fresh_python(f"WATCHED = {watched!r}\n{code}", stdin=json.dumps(HOSTILE)).strip() == "[] []"


@given(json_data | st.dictionaries(st.sampled_from(["type", "name", "config", "callable"]), json_data))
def test_any_stored_data_is_survived(stored: Any) -> None:
    restore(stored)
    assert "\n" not in required(stored)
    message = conflict(stored, HashingEmbeddingFunction())
    assert message is None or "\n" not in message


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (identity(DefaultEmbeddingFunction()), "DefaultEmbeddingFunction()"),
        (identity(HashingEmbeddingFunction(9)), "HashingEmbeddingFunction(9)"),
        (named("openai", model_name="ada", api_base="x"), "'openai' with 'model_name': 'ada'."),
        ({"type": "legacy", "callable": "embed_with_care"}, "'embed_with_care'"),
        ({"type": "legacy"}, "does not say"),
        (None, "does not say"),
        (named("evil\n\u202e" + "x" * 5000), "evil\\n"),
    ],
)
def test_required_names_the_function_to_pass(stored: dict[str, Any] | None, said: str) -> None:
    sentence = required(stored)
    assert said in sentence
    assert "embedding_function=" in sentence
    assert "\u202e" not in sentence
    assert len(sentence) < 500
