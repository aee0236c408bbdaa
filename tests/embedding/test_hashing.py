"""The hashing function: always the same vectors, of length 1, near where words are shared."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.embedding import HashingEmbeddingFunction
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from tests.embedding.conftest import FreshPython

texts_of_any_kind = st.lists(st.text(alphabet=st.characters(), max_size=60), max_size=12)


@given(texts_of_any_kind, st.integers(1, 300))
def test_every_text_has_a_finite_vector_of_length_1(texts: list[str], dimension: int) -> None:
    vectors = HashingEmbeddingFunction(dimension)(texts)
    assert vectors.shape == (len(texts), dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


@given(texts_of_any_kind)
def test_a_vector_depends_on_its_own_text_alone(texts: list[str]) -> None:
    function = HashingEmbeddingFunction(64)
    together = function(texts)
    for row, text in zip(together, texts, strict=True):
        assert row.tobytes() == function([text])[0].tobytes()


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=8))
def test_case_and_punctuation_do_not_count(words: list[str]) -> None:
    plain, shouted = HashingEmbeddingFunction()([" ".join(words), "... " + "!? ".join(words).upper() + "\n"])
    assert plain.tobytes() == shouted.tobytes()


def test_neighbours_count_so_word_order_does() -> None:
    one, other = HashingEmbeddingFunction()(["dog bites man", "man bites dog"])
    assert 0.2 < float(one @ other) < 0.9


def test_shared_words_bring_texts_nearer() -> None:
    query, near, far = HashingEmbeddingFunction()(
        ["the harbour in winter", "a harbour frozen in winter", "seven recipes for lentil soup"],
    )
    assert float(query @ near) > float(query @ far) + 0.2


def test_many_chunks_are_embedded_like_one() -> None:
    function = HashingEmbeddingFunction(65_536)
    texts = [f"text number {number}" for number in range(40)]
    np.testing.assert_array_equal(function(texts), np.vstack([function([text]) for text in texts]))


def test_vectors_are_the_same_in_every_process(fresh_python: FreshPython) -> None:
    code = "from chroma_nb.embedding import *; print(HashingEmbeddingFunction(4)(['a red fox', '', 'fox']).round(4).tolist())"
    expected = "[[-0.8944000005722046, -0.4472000002861023, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 0.0]]"
    for seed in ("0", "1"):
        assert fresh_python(code, PYTHONHASHSEED=seed).strip() == expected


def by_the_book(text: str, dimension: int) -> list[float]:
    """Embed one text in plain Python, as the docstring says."""
    bits = 2**64 - 1

    def of_word(word: str) -> int:
        return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")

    def of_pair(first: int, second: int) -> int:
        mixed = (first * 0x9E3779B97F4A7C15 + second) & bits
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & bits
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & bits
        return mixed ^ (mixed >> 31)

    words = [of_word(word) for word in re.findall(r"\w{1,64}", text.lower())]
    sums = [0] * dimension
    for feature in words + [of_pair(*pair) for pair in itertools.pairwise(words)]:
        sums[(feature >> 1) % dimension] += 1 if feature & 1 else -1
    if not any(sums):
        sums[(of_word("") >> 1) % dimension] = 1 if of_word("") & 1 else -1
    norm = math.sqrt(sum(value * value for value in sums))
    return [value / norm for value in sums]


@given(texts_of_any_kind, st.integers(1, 40))
def test_vectors_are_those_of_the_description(texts: list[str], dimension: int) -> None:
    vectors = HashingEmbeddingFunction(dimension)(texts)
    expected = np.array([by_the_book(text, dimension) for text in texts], dtype=np.float32).reshape(len(texts), dimension)
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize(
    ("dimension", "error"), [(0, InvalidArgumentError), (65_537, InvalidArgumentError), (True, InvalidTypeError), ("8", InvalidTypeError)]
)
def test_a_dimension_out_of_range_is_refused(dimension: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="dimension"):
        HashingEmbeddingFunction(dimension)
