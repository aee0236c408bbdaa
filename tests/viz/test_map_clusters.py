"""Groups on a map, their anchors and their names."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz import clusters as module
from chroma_nb.viz import naming
from chroma_nb.viz.clusters import anchors, cluster_labels, clusters

LUMPS = 6


def lumps(n: int, dimensions: int = 2, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return points around six places on a circle, and the place of each."""
    rng = np.random.default_rng(seed)
    members = rng.choice(LUMPS, n, p=np.arange(1, LUMPS + 1) / 21)
    angles = 2 * np.pi * members / LUMPS
    places = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(n)])[:, :dimensions]
    return (places * 30 + rng.normal(size=(n, dimensions))).astype(np.float32), members


@pytest.mark.parametrize("dimensions", [2, 3])
def test_lumps_are_found_the_largest_first(dimensions: int) -> None:
    points, members = lumps(1500, dimensions)
    codes = clusters(points)
    assert codes.dtype == np.int32
    assert adjusted_rand_score(members[codes >= 0], codes[codes >= 0]) == 1
    assert (codes >= 0).mean() > 0.9
    sizes = np.bincount(codes[codes >= 0]).tolist()
    assert len(sizes) == LUMPS
    assert sizes == sorted(sizes, reverse=True)


def test_the_groups_are_those_of_scikit_learn() -> None:
    points = np.random.default_rng(1).normal(size=(600, 2)) * np.repeat([1, 4], 300)[:, None]
    reference = HDBSCAN(min_cluster_size=12, min_samples=5, copy=True).fit_predict(points)
    codes = clusters(points, min_size=12)
    assert adjusted_rand_score(reference, codes) == 1
    assert ((codes < 0) == (reference < 0)).all()


def test_a_large_map_is_clustered_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    points, members = lumps(3000)
    monkeypatch.setattr(module, "FITTED_UP_TO", 600)
    codes = clusters(points)
    assert adjusted_rand_score(members[codes >= 0], codes[codes >= 0]) == 1
    assert (codes >= 0).mean() > 0.9
    assert codes.tolist() == clusters(points).tolist()


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(np.empty((0, 2)), id="none"),
        pytest.param(np.zeros((1, 2)), id="one"),
        pytest.param(np.arange(10).reshape(5, 2), id="few"),
        pytest.param(np.full((40, 2), np.nan), id="no places"),
    ],
)
def test_too_few_points_are_in_no_group(points: npt.NDArray[np.float64]) -> None:
    assert clusters(points).tolist() == [-1] * len(points)


def test_identical_points_and_points_without_a_place() -> None:
    points = np.vstack([np.zeros((30, 2)), np.ones((20, 2)), [[np.nan, 0]], [[np.inf, 0]]])
    assert clusters(points).tolist() == [0] * 30 + [1] * 20 + [-1, -1]


def test_what_does_not_fit() -> None:
    with pytest.raises(InvalidArgumentError, match="min_size: got 1"):
        clusters(np.zeros((20, 2)), min_size=1)
    with pytest.raises(InvalidArgumentError, match=r"shape \(3,\)"):
        clusters([1, 2, 3])


@given(n=st.integers(0, 80), groups=st.integers(1, 5), seed=st.integers(0, 99))
def test_an_anchor_is_the_point_nearest_to_the_middle(n: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, codes = rng.normal(size=(n, 2)).astype("f4"), rng.integers(-1, groups, n)
    found = anchors(points, codes)
    assert len(found) == codes.max(initial=-1) + 1
    for code, place in enumerate(found):
        members = points[codes == code].tolist()
        if members:
            middle = np.median(members, axis=0)
            assert place.tolist() in members
            assert math.dist(place, middle) == pytest.approx(min(math.dist(member, middle) for member in members), abs=1e-6)
        else:
            assert np.isnan(place).all()


def test_names_are_the_words_with_the_highest_weight() -> None:
    texts = ["alpha beta beta gamma", "alpha alpha delta", "gamma gamma epsilon zeta zeta zeta", "eta alpha epsilon epsilon"]
    codes = [0, 0, 1, 2]
    groups = [Counter(" ".join(text for text, code in zip(texts, codes, strict=True) if code == group).split()) for group in range(3)]
    average = sum(group.total() for group in groups) / 3

    def weight(group: Counter[str], word: str) -> float:
        return group[word] / group.total() * math.log(1 + average / sum(other[word] for other in groups))

    expected = [" · ".join(sorted(group, key=lambda word: (-weight(group, word), word))[:2]) for group in groups]
    assert cluster_labels(codes, texts, words=2) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["die Katze und der Hund", "der Mond und die Sterne"], ["hund · katze", "mond · sterne"], id="German"),
        pytest.param(["кошка и собака", "луна и звёзды"], ["кошка · собака", "звёзды · луна"], id="Russian"),
        pytest.param(["猫 猫 猫 犬", "月光 月光 星"], ["猫", "月光"], id="Japanese"),
        pytest.param(["بلی بلی کتا", "چاند چاند ستارہ"], ["بلی", "چاند"], id="Urdu"),
        pytest.param(["बिल्ली बिल्ली कुत्ता", "चाँद चाँद तारा"], ["बिल्ली", "चाँद"], id="Hindi"),
    ],
)
def test_any_language_and_its_grammar_is_found_from_the_documents(texts: list[str], expected: list[str]) -> None:
    named = cluster_labels([0] * 15 + [1] * 15, [texts[0]] * 15 + [texts[1]] * 15, words=expected[0].count("·") + 1)
    assert named == expected


def test_a_word_of_one_group_out_of_two_is_no_grammar() -> None:
    assert cluster_labels([0] * 30 + [1] * 30, ["budget"] * 30 + ["weather"] * 30) == ["budget", "weather"]


def test_names_differ() -> None:
    assert cluster_labels([0, 1, 2], ["same words here now", "same words here now", "same words here now"], words=1) == [
        "here",
        "here · now",
        "here · now · same",
    ]
    assert cluster_labels([0, 1, 2], ["same", "same", "same"]) == ["same", "same 2", "same 3"]


def test_groups_without_words_are_numbered() -> None:
    assert cluster_labels([0, 1, 3, -1], ["", None, "12 34 the !!", "noise"]) == ["cluster 1", "cluster 2", "cluster 3", "cluster 4"]
    assert cluster_labels([], []) == []


@given(st.lists(st.tuples(st.integers(-1, 3), st.text() | st.none()), max_size=20))
def test_names_are_letters_whatever_the_documents_hold(rows: list[tuple[int, str | None]]) -> None:
    named = cluster_labels([code for code, _ in rows], [text for _, text in rows])
    assert len(named) == max([code for code, _ in rows], default=-1) + 1
    assert len(set(named)) == len(named)
    for name in named:
        assert 0 < len(name) <= 5 * (naming.LONGEST_WORD + 3) + 5
        # Letters younger than Python's table of characters have no category in it.
        assert {unicodedata.category(character) for character in name} & {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} == set()
        assert set(name) & set('<>&"%${}[]()\\/`\u200b\u202e\u2066') == set()


def test_a_document_of_hostile_text_gives_plain_words() -> None:
    texts = ["<script>alert('x')</script> \u202eevil\u202c <img src=x onerror=steal()>", "a" + "\u0301" * 500 + "b", "w" * 10_000]
    assert cluster_labels([0, 1, 2], texts) == ["script · alert · evil", "a\u0301\u0301\u0301", "cluster 3"]


def test_long_documents_and_large_groups_are_read_in_part() -> None:
    texts: list[Any] = ["start " + "x" * naming.READ_CHARACTERS + " end"] + ["apple"] * 5000
    assert cluster_labels([0] * len(texts), texts) == ["apple · start"]


def test_one_code_per_document() -> None:
    with pytest.raises(InvalidArgumentError, match="got 1 for 2 documents"):
        cluster_labels([0], ["a", "b"])
    with pytest.raises(InvalidArgumentError, match="words: got 0"):
        cluster_labels([0], ["a"], words=0)
