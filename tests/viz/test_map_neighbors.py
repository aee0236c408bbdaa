"""Nearest embeddings, against scikit-learn and plain sorting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from chroma_nb.viz import neighbors
from chroma_nb.viz.neighbors import Neighbors, smallest


@given(m=st.integers(1, 5), n=st.integers(1, 700), k=st.integers(1, 20), values=st.sampled_from([2, 50, 10**6]), seed=st.integers(0, 999))
def test_the_smallest_of_a_row_in_order_each_once(m: int, n: int, k: int, values: int, seed: int) -> None:
    block = np.random.default_rng(seed).integers(0, values, (m, n)).astype(np.float32)
    k = min(k, n)
    columns, found = smallest(block, k)
    np.testing.assert_array_equal(found, np.sort(block, axis=1)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(block, columns, axis=1), found)
    assert all(len(set(row)) == k for row in columns.tolist())


def test_rows_that_are_nearly_all_equal_and_rows_with_infinities() -> None:
    block = np.zeros((3, 5000), np.float32)
    block[:, 7] = -1
    block[1, 9] = -np.inf
    block[2, :4990] = np.inf
    columns, found = smallest(block, 4)
    assert columns[:2, 0].tolist() == [7, 9]
    assert len(set(columns[2].tolist())) == 4
    assert (columns[2] >= 4990).all()
    assert found.tolist() == [[-1, 0, 0, 0], [-np.inf, -1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("angular", [False, True])
@given(n=st.integers(1, 200), d=st.integers(1, 8), k=st.integers(1, 20), seed=st.integers(0, 999), shift=st.sampled_from([0, 1000]))
def test_neighbors_are_those_of_scikit_learn(angular: bool, n: int, d: int, k: int, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    points, queries = rng.normal(size=(n, d)).astype("f4") + np.float32(shift), rng.normal(size=(7, d)).astype("f4") + np.float32(shift)
    metric = "cosine" if angular else "sqeuclidean"
    expected, _ = (
        NearestNeighbors(n_neighbors=min(k, n), metric=metric, algorithm="brute").fit(points.astype("f8")).kneighbors(queries.astype("f8"))
    )
    rows, distances = Neighbors(points, angular=angular).nearest(queries, k)
    assert rows.shape == distances.shape == (7, min(k, n))
    np.testing.assert_allclose(distances, expected, rtol=1e-3, atol=2e-6)
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize("angular", [False, True])
@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_equal_vectors_are_at_distance_0(angular: bool, scale: float) -> None:
    points = (np.random.default_rng(0).normal(size=(300, 16)) * scale).astype("f4")
    rows, distances = Neighbors(points, angular=angular).nearest(points, 2)
    assert rows[:, 0].tolist() == list(range(300))
    assert (distances[:, 0] == 0).all()
    assert (distances[:, 1] > 0).all()
    assert np.isfinite(distances).all()


def test_a_row_of_zeros_is_at_cosine_distance_1_from_all_but_zeros() -> None:
    known = Neighbors(np.array([[0, 0], [2, 0]], "f4"), angular=True)
    assert sorted(known.nearest(np.array([[0, 0]], "f4"), 2)[1][0].tolist()) == [0, 1]
    assert sorted(known.nearest(np.array([[5, 0]], "f4"), 2)[1][0].tolist()) == [0, 1]


def test_queries_from_far_beyond_and_no_embeddings_at_all() -> None:
    known = Neighbors(np.array([[0, 0], [1, 0]], "f4"), angular=False)
    assert known.nearest(np.array([[3e38, 0], [-3e38, 0]], "f4"), 1)[0].tolist() == [[1], [0]]
    assert Neighbors(np.empty((0, 2), "f4"), angular=False).nearest(np.ones((3, 2), "f4"), 5)[0].shape == (3, 0)
    assert known.nearest(np.empty((0, 2), "f4"), 5)[0].shape == (0, 2)


def test_the_size_of_the_blocks_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points: npt.NDArray[np.float32] = rng.normal(size=(90, 5)).astype("f4")
    whole = Neighbors(points, angular=False).nearest(points, 8)
    monkeypatch.setattr(neighbors, "BLOCK_DISTANCES", 200)
    monkeypatch.setattr(neighbors, "BLOCK_VALUES", 33)
    parts = Neighbors(points, angular=False).nearest(points, 8)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)
