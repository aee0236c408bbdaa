"""The data that both engines are measured on, and what is true of it.

Nothing here knows an engine: `make` draws the records and the questions and finds the true answers, `save` writes everything
into a folder, `load` reads it in whatever interpreter an engine needs. Only numpy is used.

The vectors look like sentence embeddings: 1,000 unevenly sized Gaussian clusters in 32 latent dimensions, projected to 384, with
noise around them and a common mean, of unit length; two of them have a similarity of 0.06 on average, nearest neighbours one of 0.6.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Where: TypeAlias = "dict[str, Any] | None"

DIMENSION = 384
K = 10
QUERIES = 100
ADDED = 100
ADDED_BATCHES = 12
CHANGED = 1000
DELETED = 1000
_CLUSTERS, _LATENT = 1000, 32
_WITHIN, _AMBIENT, _COMMON = 0.55, 0.9, 0.35
_WORDS = 20_000


@dataclass(frozen=True, eq=False)
class Rows:
    """Records in the form that both engines take: lists, and (n, d) float32."""

    ids: list[str]
    vectors: NDArray[np.float32]
    documents: list[str]
    metadatas: list[dict[str, Any]]

    def part(self, start: int, stop: int) -> Rows:
        """Return records `start` to `stop` (exclusive)."""
        part = slice(start, stop)
        return Rows(self.ids[part], self.vectors[part], self.documents[part], self.metadatas[part])


@dataclass(frozen=True, eq=False)
class Data:
    """Everything one run needs.

    Parameters
    ----------
    stored, added, changed
        Records to load; further ones with new ids; new contents for ids that exist.
    queries : (q, d) float32
    filters
        Name -> (where, where_document).
    deleted, wanted
        Ids to remove; lists of ids to get.
    """

    stored: Rows
    added: Rows
    changed: Rows
    queries: NDArray[np.float32]
    filters: dict[str, tuple[Where, Where]]
    deleted: list[str]
    wanted: list[list[str]]


def make(n: int, seed: int = 20_240_501) -> tuple[Data, dict[str, NDArray[np.bool_]]]:
    """Draw `n` records and the questions about them; also return which of the records match each filter."""
    random = np.random.default_rng(seed)
    extra = ADDED * ADDED_BATCHES
    total = n + extra + CHANGED + QUERIES
    vectors, clusters = _vectors(random, total)
    documents = _documents(random, total)
    metadatas = _metadatas(random, clusters)
    for rank, i in enumerate(random.permutation(n)):
        metadatas[i]["score"] = (rank + 0.5) / n
    stored = Rows([f"record-{i:06d}" for i in range(n)], vectors[:n], documents[:n], metadatas[:n])
    places = random.permutation(n)
    rest = Rows([f"added-{i:06d}" for i in range(n, total)], vectors[n:], documents[n:], metadatas[n:])
    changed = rest.part(extra, extra + CHANGED)
    word = _medium_word(documents[:n])
    data = Data(
        stored,
        rest.part(0, extra),
        Rows([stored.ids[i] for i in places[:CHANGED]], changed.vectors, changed.documents, changed.metadatas),
        vectors[-QUERIES:],
        {
            "all": (None, None),
            "1%": ({"score": {"$lt": 0.01}}, None),
            "50%": ({"score": {"$lt": 0.5}}, None),
            "quarter": ({"score": {"$gte": 0.75}}, None),
            "word": (None, {"$contains": word}),
        },
        [stored.ids[i] for i in places[CHANGED : CHANGED + DELETED]],
        [[stored.ids[i] for i in random.choice(n, 100, replace=False)] for _ in range(20)],
    )
    score = np.array([metadata["score"] for metadata in stored.metadatas])
    masks = {
        "all": np.ones(n, dtype=bool),
        "1%": score < 0.01,
        "50%": score < 0.5,
        "quarter": score >= 0.75,
        "word": np.array([word in document for document in stored.documents]),
    }
    return data, masks


def _vectors(random: np.random.Generator, n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    sizes = random.lognormal(0, 1, _CLUSTERS)
    clusters = random.choice(_CLUSTERS, n, p=sizes / sizes.sum())
    centres = random.standard_normal((_CLUSTERS, _LATENT))
    projection = random.standard_normal((_LATENT, DIMENSION)) / np.sqrt(_LATENT)
    latent = centres[clusters] + _WITHIN * random.standard_normal((n, _LATENT))
    found = latent @ projection + _AMBIENT * random.standard_normal((n, DIMENSION)) + _COMMON * random.standard_normal(DIMENSION)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32), clusters


def _documents(random: np.random.Generator, n: int) -> list[str]:
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    words = ["".join(random.choice(letters, length)) for length in random.integers(3, 11, _WORDS)]
    share = 1 / np.arange(1, _WORDS + 1)
    lengths = random.integers(30, 61, n)
    drawn = random.choice(_WORDS, int(lengths.sum()), p=share / share.sum()).tolist()
    ends = np.cumsum(lengths).tolist()
    return [" ".join([words[i] for i in drawn[end - length : end]]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def _medium_word(documents: Sequence[str]) -> str:
    """Return a word of five letters or more that is a part of about one document in twenty."""
    words = sorted({word for document in documents[:500] for word in document.split() if len(word) >= 5})
    sample = documents[:2000]
    return min(words, key=lambda word: abs(sum(word in document for document in sample) - len(sample) / 20))


def _metadatas(random: np.random.Generator, clusters: NDArray[np.int64]) -> list[dict[str, Any]]:
    n = len(clusters)
    category = np.where(random.random(n) < 0.8, clusters % 20, random.integers(0, 20, n)).tolist()
    year, source = random.integers(1980, 2025, n).tolist(), random.integers(0, 1000, n).tolist()
    flag, reviewed = (random.random(n) < 0.5).tolist(), (random.random(n) < 0.1).tolist()
    score, reviewer = random.random(n).tolist(), random.integers(0, 30, n).tolist()
    return [
        {
            "year": year[i],
            "score": score[i],
            "category": f"category-{category[i]:02d}",
            "source": f"source-{source[i]:04d}",
            "flag": flag[i],
            **({"reviewer": f"reviewer-{reviewer[i]:02d}"} if reviewed[i] else {}),
        }
        for i in range(n)
    ]


def save(data: Data, folder: Path) -> None:
    """Write everything an engine gets to see into `folder`: vectors as npz, the rest as JSON."""
    rows = {"stored": data.stored, "added": data.added, "changed": data.changed}
    vectors: dict[str, Any] = {"queries": data.queries, **{name: each.vectors for name, each in rows.items()}}
    np.savez(folder / "vectors.npz", **vectors)
    texts = {name: {"ids": each.ids, "documents": each.documents, "metadatas": each.metadatas} for name, each in rows.items()}
    rest = {"filters": data.filters, "deleted": data.deleted, "wanted": data.wanted}
    (folder / "records.json").write_text(json.dumps({**texts, **rest}), "utf-8")


def load(folder: Path) -> Data:
    """Read what `save` wrote."""
    vectors = np.load(folder / "vectors.npz")
    texts = json.loads((folder / "records.json").read_text("utf-8"))
    rows = {
        name: Rows(texts[name]["ids"], vectors[name], texts[name]["documents"], texts[name]["metadatas"])
        for name in ("stored", "added", "changed")
    }
    filters = {name: (where, document) for name, (where, document) in texts["filters"].items()}
    return Data(queries=vectors["queries"], filters=filters, deleted=texts["deleted"], wanted=texts["wanted"], **rows)


class Truth:
    """The true answers, by comparing everything in float64."""

    def __init__(self, data: Data, masks: dict[str, NDArray[np.bool_]]) -> None:
        queries, stored = data.queries.astype(np.float64), data.stored.vectors.astype(np.float64)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        self._similar = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ stored.T
        self._place = {identifier: i for i, identifier in enumerate(data.stored.ids)}
        self.masks = masks

    def recall(self, name: str, answers: Sequence[Sequence[str]]) -> float:
        """Return the share of the true `K` nearest among the answers to queries 0, 1, ...; an equally near record counts as well."""
        mask = self.masks[name]
        right = wanted = 0
        for similar, answer in zip(self._similar, answers, strict=False):
            k = min(K, int(mask.sum()))
            least = np.partition(similar[mask], -k)[-k]
            found = [self._place[identifier] for identifier in dict.fromkeys(answer)]
            right += sum(bool(mask[i]) and similar[i] >= least - 1e-6 for i in found[:k])
            wanted += k
        return right / wanted
