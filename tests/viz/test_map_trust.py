"""How far a map is to be trusted, against scikit-learn and against counting by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz import neighbors
from chroma_nb.viz import trust as module
from chroma_nb.viz.projection import Metric
from chroma_nb.viz.trust import trust


def recall_by_hand(vectors: npt.NDArray[np.float32], places: npt.NDArray[np.float64], k: int, metric: str) -> npt.NDArray[np.float64]:
    """Return for each record the share of its k nearest on the map that are among its k nearest vectors."""
    nearest = []
    for table, kind in ((vectors.astype("f8"), metric), (places, "euclidean")):
        gaps = cdist(table, table, kind)  # type: ignore[call-overload]
        np.fill_diagonal(gaps, np.inf)
        nearest.append([set(row) for row in np.argsort(gaps, axis=1)[:, :k].tolist()])
    return np.array([len(here & there) / k for here, there in zip(*nearest, strict=True)])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@given(n=st.integers(5, 150), d=st.integers(1, 6), k=st.integers(1, 15), seed=st.integers(0, 999))
def test_the_figures_are_those_of_scikit_learn_and_of_counting(metric: Metric, n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, places = rng.normal(size=(n, d + 1)).astype("f4") + np.float32(3), rng.normal(size=(n, 2))
    places[: n // 2] = vectors[: n // 2, :2]
    found = trust(vectors, places, k=k, metric=metric)
    k = found.k
    assert found.rows.tolist() == list(range(n))
    # A record whose distances differ by less than float32 tells apart may come out either way.
    assert np.mean(np.abs(found.recalls - recall_by_hand(vectors, places, k, metric)) < 1e-6) > 0.9
    expected = trustworthiness(vectors.astype("f8"), places, n_neighbors=k, metric=metric)
    assert found.trustworthiness == pytest.approx(expected, abs=2e-3)
    assert found.recall == pytest.approx(found.recalls.mean(), abs=1e-6)
    assert found.trustworthiness == pytest.approx(found.trusts.mean(), abs=1e-6)


def test_a_faithful_map_and_a_meaningless_one() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 2)).astype("f4")
    faithful, meaningless = trust(vectors, vectors * 7 + 1), trust(vectors, rng.normal(size=(3000, 2)))
    assert (faithful.recall, faithful.trustworthiness) == (1, 1)
    assert meaningless.recall == pytest.approx(meaningless.chance, abs=0.01)
    assert meaningless.trustworthiness == pytest.approx(0.5, abs=0.02)


def test_a_sample_estimates_the_whole_and_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2500, 4)).astype("f4")
    whole, sampled = trust(vectors, vectors[:, :2], sample=2500), trust(vectors, vectors[:, :2], sample=800)
    assert len(whole.rows) == 2500
    assert len(sampled.rows) == 800
    np.testing.assert_array_equal(sampled.recalls, whole.recalls[sampled.rows])
    np.testing.assert_array_equal(sampled.trusts, whole.trusts[sampled.rows])
    assert sampled.recall == pytest.approx(whole.recall, abs=0.03)
    again = trust(vectors, vectors[:, :2], sample=800)
    assert sampled.rows.tolist() == again.rows.tolist()
    assert sampled.rows.tolist() != trust(vectors, vectors[:, :2], sample=800, seed=1).rows.tolist()
    monkeypatch.setattr(module, "MOST_PAIRS", 1)
    assert len(trust(vectors, vectors[:, :2]).rows) == module.FEWEST_ANCHORS


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_duplicates_are_no_error_of_the_map(metric: Metric) -> None:
    vectors = np.repeat(np.random.default_rng(0).normal(size=(10, 16)), 40, axis=0).astype("f4") * 1e3
    places = np.repeat(np.arange(10.0)[:, None], 40, axis=0) * [1, 0]
    found = trust(vectors, places, metric=metric)
    assert (found.recall, found.trustworthiness) == (1, 1)


def test_records_without_a_place_are_left_out() -> None:
    rng = np.random.default_rng(0)
    vectors, places = rng.normal(size=(200, 5)).astype("f4"), rng.normal(size=(200, 2))
    places[::4] = np.nan
    found, reference = trust(vectors, places), trust(vectors[np.arange(200) % 4 > 0], places[np.arange(200) % 4 > 0])
    assert found.records == 150
    assert (found.rows % 4 > 0).all()
    assert (found.recall, found.trustworthiness) == (reference.recall, reference.trustworthiness)


def test_the_size_of_the_blocks_does_not_show_and_progress_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors, places = rng.normal(size=(300, 6)).astype("f4"), rng.normal(size=(300, 2))
    whole = trust(vectors, places)
    monkeypatch.setattr(module, "BLOCK_DISTANCES", 4000)
    monkeypatch.setattr(neighbors, "BLOCK_VALUES", 100)
    seen: list[float] = []
    parts = trust(vectors, places, progress=seen.append)
    np.testing.assert_array_equal(parts.recalls, whole.recalls)
    assert seen == sorted(seen)
    assert len(seen) > 10
    assert seen[-1] == 1


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_records_to_judge(n: int) -> None:
    found = trust(np.ones((n, 3)), np.ones((n, 2)))
    assert (found.recall, found.k, found.records, len(found.rows)) == (1, 0, n, 0)
    assert "fewer than three" in str(found)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_very_large_and_very_small_numbers(scale: float) -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 2))
    assert trust(vectors * scale, vectors).recall == 1


def test_one_sentence() -> None:
    found = trust(np.eye(40), np.arange(80).reshape(40, 2))
    sentence = str(dataclasses.replace(found, recall=0.456, trustworthiness=0.925, records=1000))
    assert sentence == (
        "Of a record's 15 nearest neighbours on this map, 46% are among its 15 nearest in the original space (by chance: 1.5%);"
        " trustworthiness 0.93 of 1, measured at 40 of 1,000 records."
    )


def test_what_does_not_fit() -> None:
    with pytest.raises(InvalidArgumentError, match="got 2 rows for 3 embeddings"):
        trust(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(InvalidArgumentError, match="k=0"):
        trust(np.ones((3, 2)), np.ones((3, 2)), k=0)
