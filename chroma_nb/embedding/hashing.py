"""An embedding function without a model: signed feature hashing of words and pairs of words.

For tests and demonstrations that must run anywhere, at once and always alike. It knows spelling, not meaning.
Nothing but numpy and the standard library; same vectors in every process, on every platform.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DIMENSION = 65_536
"""Longest vector this function makes."""

_WORD = re.compile(r"\w{1,64}")
"""A word; longer runs are cut, so that no text can fill the cache of hashes with long strings."""

_VALUES_PER_CHUNK = 1 << 20
"""Numbers laid out at once: bounds the memory of a call beside its answer to about 8 MB."""

_Hashes = npt.NDArray[np.uint64]


class HashingEmbeddingFunction:
    """Deterministic vectors from the words of a text. It knows spelling, not meaning.

    "car" and "automobile" are as far apart as "car" and "Tuesday"; texts are near when they share words. Use it in
    tests and offline demonstrations, not to search by meaning.

    Each lower-cased word is hashed with BLAKE2b to 64 bits, each pair of neighbouring words by mixing the hashes of
    both; one bit of a hash is a sign, the rest choose a column; signs are added up and the row is scaled to length 1
    (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009). A text without words, or whose
    signs cancel, gets the vector of the word "" instead, so that every row has length 1 and a distance in every space.

    Parameters
    ----------
    dimension
        Length of the vectors, 1 to 65536.

    Examples
    --------
    >>> vectors = HashingEmbeddingFunction(8)(["a red fox", "a red fox", ""])
    >>> vectors.shape, bool((vectors[0] == vectors[1]).all())
    ((3, 8), True)
    """

    def __init__(self, dimension: int = 256) -> None:
        if isinstance(dimension, bool) or not isinstance(dimension, int):
            message = f"dimension is of type {type(dimension).__name__}; expected an int from 1 to {MAX_DIMENSION}."
            raise InvalidTypeError(message)
        if not 1 <= dimension <= MAX_DIMENSION:
            message = f"dimension is {dimension}; expected an int from 1 to {MAX_DIMENSION}."
            raise InvalidArgumentError(message)
        self.dimension = dimension

    def __call__(self, input: Sequence[str]) -> npt.NDArray[np.float32]:  # noqa: A002 - Chroma's name
        """Return the vectors, shape (len(input), dimension), float32, each of length 1."""
        texts = list(input)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        step = max(1, _VALUES_PER_CHUNK // self.dimension)
        for start in range(0, len(texts), step):
            vectors[start : start + step] = _embed(texts[start : start + step], self.dimension)
        return vectors

    def __repr__(self) -> str:
        """Return the call that makes this function."""
        return f"HashingEmbeddingFunction({self.dimension})"

    @staticmethod
    def name() -> str:
        """Return "hashing", the name stored with a collection."""
        return "hashing"

    def get_config(self) -> dict[str, Any]:
        """Return what is stored with a collection: the dimension."""
        return {"dimension": self.dimension}

    @staticmethod
    def default_space() -> str:
        """Return "cosine"; as all vectors have length 1, "l2" and "ip" give the same order."""
        return "cosine"


def _embed(texts: list[str], dimension: int) -> npt.NDArray[np.float64]:
    words = [_WORD.findall(text.lower()) for text in texts]
    counts = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    hashes = np.fromiter(_hashes(words), dtype=np.uint64, count=int(counts.sum()))
    rows = np.repeat(np.arange(len(texts)), counts)
    neighbours = rows[1:] == rows[:-1]
    pairs = _mix(hashes[:-1], hashes[1:])[neighbours]
    summed = _sums(np.concatenate([rows, rows[:-1][neighbours]]), np.concatenate([hashes, pairs]), len(texts), dimension)
    norms = np.sqrt(np.square(summed).sum(axis=1))
    empty = norms == 0
    if empty.any():
        summed[empty] = _sums(np.zeros(1, dtype=np.int64), np.array([_word_hash("")], dtype=np.uint64), 1, dimension)
        norms[empty] = 1
    return np.asarray(summed / norms[:, np.newaxis])


def _hashes(words: list[list[str]]) -> Iterator[int]:
    for of_one_text in words:
        yield from map(_word_hash, of_one_text)


@functools.lru_cache(maxsize=1 << 16)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _mix(first: _Hashes, second: _Hashes) -> _Hashes:
    """Return one hash per ordered pair, by the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _sums(rows: npt.NDArray[np.int64], hashes: _Hashes, count: int, dimension: int) -> npt.NDArray[np.float64]:
    """Add up the signs of hashed features: shape (count, dimension)."""
    columns = ((hashes >> np.uint64(1)) % np.uint64(dimension)).astype(np.int64)
    signs = np.where(hashes & np.uint64(1), 1.0, -1.0)
    summed = np.bincount(rows * dimension + columns, weights=signs, minlength=count * dimension)
    return np.asarray(summed, dtype=np.float64).reshape(count, dimension)
