"""Samples that keep what is rare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz.sampling import shares, stratified_sample


def crowd_and_desert() -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return np.vstack([rng.normal(size=(9_900, 2)) * 0.1, rng.uniform(-10, 10, (100, 2))]).astype(np.float32)


@given(sizes=st.lists(st.integers(0, 1000), min_size=1, max_size=30), share=st.floats(0, 1))
def test_shares_follow_the_square_roots(sizes: list[int], share: float) -> None:
    n = int(share * sum(sizes))
    found = shares(np.array(sizes), n)
    assert found.sum() == n
    assert (found <= sizes).all()
    assert (found >= 0).all()
    roots = np.sqrt(sizes)
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(sizes, middle * roots).sum() < n else (low, middle)
    np.testing.assert_allclose(found, np.minimum(sizes, high * roots), atol=1)


@given(n=st.integers(0, 400), size=st.integers(0, 300), seed=st.integers(0, 99), categories=st.integers(1, 5))
def test_as_many_as_asked_for_each_once_the_same_every_time(n: int, size: int, seed: int, categories: int) -> None:
    rng = np.random.default_rng(seed)
    points, codes = rng.normal(size=(size, 2)), rng.integers(-1, categories, size)
    found = stratified_sample(points, n, codes, seed=seed)
    assert found.dtype == np.intp
    assert len(found) == min(n, size)
    assert found.tolist() == sorted(set(found.tolist()))
    assert found.tolist() == stratified_sample(points, n, codes, seed=seed).tolist()


def test_sparse_regions_stay() -> None:
    found = stratified_sample(crowd_and_desert(), 1000)
    assert (found >= 9_900).sum() > 90


def test_rare_categories_stay_wherever_they_are() -> None:
    points = crowd_and_desert()
    codes = np.zeros(len(points), np.int32)
    codes[:3], codes[3:8] = 7, -1
    found = set(stratified_sample(points, 300, codes).tolist())
    assert set(range(8)) <= found
    assert len(found) == 300


def test_another_seed_is_another_sample() -> None:
    points = crowd_and_desert()
    assert set(stratified_sample(points, 500, seed=1)) != set(stratified_sample(points, 500, seed=2))


def test_points_without_a_place_are_never_chosen_and_3_d_maps_are_maps() -> None:
    points = np.random.default_rng(0).normal(size=(300, 3))
    points[::3, 1] = np.nan
    assert (stratified_sample(points, 50) % 3 != 0).all()
    assert len(stratified_sample(points, 999)) == 200


def test_identical_points_and_one_far_outlier() -> None:
    points = np.vstack([np.zeros((500, 2)), [[1e30, 1e30]]])
    assert 500 in stratified_sample(points, 60)


def test_what_does_not_fit() -> None:
    with pytest.raises(InvalidArgumentError, match="n: got -1"):
        stratified_sample([(0, 0)], -1)
    with pytest.raises(InvalidArgumentError, match="one category per point"):
        stratified_sample([(0, 0)], 1, [1, 2])
