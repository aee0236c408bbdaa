"""Places for new records and for questions, and maps laid upon each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from sklearn.neighbors import KNeighborsRegressor

from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError
from chroma_nb.viz import placing
from chroma_nb.viz.placing import aligned, place_of_query, placed, placed_among
from chroma_nb.viz.projection import Metric


def cloud(n: int, d: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@given(m=st.integers(0, 20), n=st.integers(1, 60), k=st.integers(1, 20), c=st.integers(2, 3), seed=st.integers(0, 999))
def test_the_weighted_mean_is_that_of_scikit_learn(m: int, n: int, k: int, c: int, seed: int) -> None:
    known, places, new = cloud(n, 5, seed), cloud(n, c, seed + 1), cloud(m, 5, seed + 2)
    found = placed(known, places, new, k)
    assert found.shape == (m, c)
    if m:
        reference = KNeighborsRegressor(min(k, n), metric="sqeuclidean", algorithm="brute", weights="distance").fit(known, places)
        np.testing.assert_allclose(found, reference.predict(new), atol=2e-4)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_record_equal_to_one_on_the_map_gets_its_place(metric: Metric) -> None:
    known, places = cloud(200, 8), cloud(200, 2, 1)
    new = known[50:60] * (1 if metric == "euclidean" else 3)
    np.testing.assert_allclose(placed(known, places, new, metric=metric), places[50:60], atol=1e-5)


def test_new_records_of_a_lump_are_placed_in_it() -> None:
    members = np.arange(600) % 6
    known = cloud(6, 24)[members] * 3 + cloud(600, 24, 1)
    places = np.column_stack([members * 10.0, members % 2]) + cloud(600, 2, 2)
    there = placed(known[:500], places[:500], known[500:], metric="cosine")
    assert (np.abs(there[:, 0] - members[500:] * 10) < 3).all()


def test_records_without_a_place_are_no_neighbours() -> None:
    places = np.array([[0, 0], [np.nan, 0], [4, 4]])
    assert placed([[0.0], [1.0], [2.0]], places, [[1.0]], k=1).tolist() in ([[0, 0]], [[4, 4]])
    assert np.isnan(placed([[0.0]], [[np.nan, np.nan]], [[1.0]])).all()
    assert np.isnan(placed(np.empty((0, 3)), np.empty((0, 2)), cloud(4, 3))).tolist() == [[True, True]] * 4
    assert placed(cloud(4, 3), cloud(4, 2), np.empty((0, 3))).shape == (0, 2)


def test_the_size_of_the_chunks_does_not_show_and_progress_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    known, places, new = cloud(100, 4), cloud(100, 2), cloud(70, 4, 1)
    whole = placed(known, places, new)
    monkeypatch.setattr(placing, "ROWS_AT_A_TIME", 7)
    seen: list[float] = []
    np.testing.assert_allclose(placed(known, places, new, progress=seen.append), whole, atol=1e-5)
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (10, 1.0)


@pytest.mark.parametrize(
    ("known", "new", "k", "error", "told"),
    [
        (cloud(2, 2), cloud(1, 2), 1, InvalidArgumentError, "got 3 rows for 2 embeddings"),
        (cloud(3, 2), cloud(1, 5), 1, InvalidDimensionError, "got dimension 5, expected 2"),
        (cloud(3, 2), cloud(1, 2), 0, InvalidArgumentError, "k: got 0"),
        (cloud(3, 2), [[np.nan, 1]], 1, InvalidArgumentError, "row 0"),
    ],
)
def test_what_does_not_fit(known: npt.ArrayLike, new: npt.ArrayLike, k: int, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        placed(known, cloud(3, 2), new, k)


def test_neighbours_that_are_missing_count_for_nothing() -> None:
    places = np.array([[0, 0], [2, 2], [np.inf, 0]])
    found = placed_among([[0, 1, -1], [2, 0, 1], [-1, -1, 2], [0, 1, 1]], [[1, 1, 1], [1, np.inf, 5], [1, 1, 1], [np.nan, 1, 1]], places)
    assert found[[0, 1, 3]].tolist() == [[1, 1], [2, 2], [2, 2]]
    assert np.isnan(found[2]).all()
    with pytest.raises(InvalidArgumentError, match="expected"):
        placed_among([[0, 1]], [[1]], places)


@pytest.mark.parametrize(
    ("distances", "expected"),
    [
        pytest.param([1.0, 3.0], [1, 0], id="nearer is closer"),
        pytest.param([0.0, 3.0], [0, 0], id="the same"),
        pytest.param([-1e-9, 0.5], [0, 0], id="the same, but for rounding"),
        pytest.param([0.0, 0.0], [2, 0], id="both the same"),
        pytest.param([-7.0, -7.0], [2, 0], id="inner products, equally near"),
        pytest.param([-9.0, -7.0], [1, 0], id="inner products"),
        pytest.param([1e300, 3e300], [1, 0], id="huge"),
    ],
)
def test_a_question_belongs_among_its_hits(distances: list[float], expected: list[float]) -> None:
    found = place_of_query([[0, 0], [4, 0]], distances)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_question_without_hits_has_no_place() -> None:
    assert np.isnan(place_of_query(np.empty((0, 2)), [])).tolist() == [True, True]
    assert np.isnan(place_of_query([[np.nan, 1]], [1.0])).all()


@given(n=st.integers(3, 50), c=st.integers(2, 3), seed=st.integers(0, 999))
def test_a_moved_map_comes_back(n: int, c: int, seed: int) -> None:
    old = cloud(n, c, seed).astype("f8")
    turn, _ = np.linalg.qr(cloud(c, c, seed + 1).astype("f8"))
    new = (old @ turn) * 7.5 + 3
    np.testing.assert_allclose(aligned(new, old), old, atol=1e-3)


@given(n=st.integers(3, 50), c=st.integers(2, 3), seed=st.integers(0, 999))
def test_the_turn_is_that_of_scipy_and_proportions_stay(n: int, c: int, seed: int) -> None:
    new, old = cloud(n, c, seed).astype("f8"), cloud(n, c, seed + 1).astype("f8")
    found = aligned(new, old)
    centred = new - new.mean(axis=0)
    turn, sizes = orthogonal_procrustes(centred, old - old.mean(axis=0))
    np.testing.assert_allclose(found, centred @ turn * sizes / np.square(centred).sum() + old.mean(axis=0), atol=1e-4)
    best = np.square(found - old).sum()
    assert best <= np.square(found * 1.01 - old).sum() + 1e-6
    assert best <= np.square(found + 0.01 - old).sum() + 1e-6


def test_only_shared_records_decide_and_all_are_moved() -> None:
    old = cloud(30, 2)
    new = np.vstack([cloud(5, 2, 1), -old[::-1] * 2])
    found = aligned(new, old, (np.arange(5, 35), np.arange(30)[::-1]))
    np.testing.assert_allclose(found[5:], old[::-1], atol=1e-5)
    np.testing.assert_allclose(found[:5], -new[:5] / 2, atol=1e-5)


def test_records_without_a_place_decide_nothing() -> None:
    old, new = cloud(20, 2), cloud(20, 2) + np.float32(5)
    old[0], new[1] = np.nan, np.nan
    found = aligned(new, old)
    np.testing.assert_allclose(found[2:], old[2:], atol=1e-5)
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize("old", [np.zeros((4, 2)), np.full((4, 2), np.nan), np.vstack([np.full((3, 2), np.nan), [[1, 1]]])])
def test_maps_that_nothing_orients_stay(old: npt.NDArray[np.float64]) -> None:
    new = cloud(4, 2)
    assert aligned(new, old).tolist() == new.tolist()
    assert aligned(np.empty((0, 2)), np.empty((0, 2))).shape == (0, 2)


def test_maps_that_do_not_fit() -> None:
    with pytest.raises(InvalidArgumentError, match="same number of axes"):
        aligned(cloud(3, 2), cloud(3, 3))
    with pytest.raises(InvalidArgumentError, match="which ones are shared"):
        aligned(cloud(3, 2), cloud(4, 2))
    with pytest.raises(InvalidArgumentError, match="expected pairs"):
        aligned(cloud(3, 2), cloud(4, 2), ([0, 1], [0]))
