"""Comparing every candidate gives the formula's answer, however large, small, close or equal the vectors are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chroma_nb.engine import exact
from chroma_nb.spaces import SPACES, Space, distances

MAGNITUDES = st.sampled_from([1e-30, 1e-23, 1e-20, 1e-15, 1e-8, 1.0, 1e4, 1e10, 1e15, 1e18, 1e20])


@st.composite
def matrices(draw: st.DrawFn) -> tuple[Any, Any]:
    """Return (n, d) and (q, d) float32 with rows of any magnitude, repeated rows and zero rows."""
    d, n, q = draw(st.integers(1, 12)), draw(st.integers(1, 60)), draw(st.integers(1, 3))
    elements = st.floats(-4, 4, width=32) | st.sampled_from([0.0, 1.0, -1.0, 0.1])
    rows = draw(arrays.arrays(np.float32, (n + q, d), elements=elements, fill=st.nothing()))
    one = draw(st.none() | MAGNITUDES)
    scale = np.array([one or draw(MAGNITUDES) for _ in range(n + q)], dtype=np.float64)
    scaled = (rows.astype(np.float64) * scale[:, None]).astype(np.float32)
    repeats = draw(st.lists(st.integers(0, n - 1), max_size=n))
    scaled[np.arange(len(repeats))] = scaled[repeats]
    return scaled[:n], scaled[n:]


def naive(space: Space, query: Any, matrix: Any, candidates: Any, order: Any, k: int) -> tuple[list[int], list[float]]:
    values = distances(space, query, matrix[candidates])
    best = sorted(zip(values.tolist(), order[candidates].tolist(), candidates.tolist(), strict=True))[:k]
    return [position for *_, position in best], [value for value, *_ in best]


def check(space: Space, matrix: Any, queries: Any, candidates: Any, order: Any, k: int) -> None:
    every = np.arange(len(matrix)) if candidates is None else candidates
    answer = exact.nearest(space, queries, matrix, exact.squares_of(matrix), candidates, order, k)
    assert len(answer) == len(queries)
    for query, (positions, values) in zip(queries, answer, strict=True):
        expected, expected_values = naive(space, query, matrix, every, order, k)
        # A product of another shape may differ in the last bit, and then so may the order of near-ties.
        np.testing.assert_allclose(values, expected_values, rtol=1e-12, atol=1e-300 if space == "l2" else 1e-12)
        if len(set(expected_values)) == len(expected_values) and _apart(distances(space, query, matrix[every])):
            assert positions.tolist() == expected


def _apart(values: Any) -> bool:
    gaps = np.diff(np.sort(values))
    return bool((gaps > 1e-9 * np.abs(np.sort(values)[1:])).all()) and bool((gaps > 1e-12).all())


@pytest.mark.parametrize("space", SPACES)
@given(drawn=matrices(), k=st.integers(1, 12), data=st.data())
def test_nearest_is_the_naive_answer(space: Space, drawn: tuple[Any, Any], k: int, data: st.DataObject) -> None:
    matrix, queries = drawn
    order = np.array(data.draw(st.permutations(range(len(matrix)))))
    candidates = data.draw(st.none() | st.sets(st.integers(0, len(matrix) - 1), min_size=1).map(lambda each: np.array(sorted(each))))
    check(space, matrix, queries, candidates, order, k)


@pytest.mark.parametrize("magnitude", [1e-30, 1e-23, 1e-22, 1e-20, 1e-18, 1e-15, 1.0, 1e10, 1e15, 1e18, 1e20])
@pytest.mark.parametrize("space", SPACES)
def test_magnitude_does_not_matter(space: Space, magnitude: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        matrix, queries = (
            (rng.standard_normal((400, 8)) * magnitude).astype(np.float32),
            (rng.standard_normal((2, 8)) * magnitude).astype(np.float32),
        )
        check(space, matrix, queries, None, np.arange(400), 5)


@pytest.mark.parametrize("space", SPACES)
def test_large_vectors_that_differ_in_the_last_bit_are_told_apart(space: Space) -> None:
    base = np.full(16, 1000.0, dtype=np.float32)
    matrix = np.tile(base, (300, 1))
    matrix[:, 0] = np.nextafter(matrix[:, 0], np.float32(np.inf)) + np.arange(300, dtype=np.float32) * np.float32(6.1e-5)
    check(space, matrix, base[None, :], None, np.arange(300)[::-1].copy(), 7)


@pytest.mark.parametrize("space", SPACES)
def test_ties_are_broken_by_order(space: Space) -> None:
    matrix = np.tile(np.array([[1.0, 2.0]], dtype=np.float32), (500, 1))
    order = np.random.default_rng(1).permutation(500)
    positions, values = exact.nearest(space, matrix[:1], matrix, exact.squares_of(matrix), None, order, 9)[0]
    assert order[positions].tolist() == list(range(9))
    assert len(set(values.tolist())) == 1


@pytest.mark.parametrize("space", SPACES)
def test_equal_vectors_have_equal_distances_wherever_they_lie(space: Space) -> None:
    rng = np.random.default_rng(4)
    for d in (1, 7, 16, 33, 384, 768):
        query, vector = rng.standard_normal((2, d)).astype(np.float32)
        values = {each for n in (1, 2, 3, 5, 100, 4097) for each in distances(space, query, np.tile(vector, (n, 1))).tolist()}
        assert len(values) == 1, f"{d} dimensions"


def test_zero_vectors_are_at_distance_one_under_cosine() -> None:
    matrix = np.zeros((20, 3), dtype=np.float32)
    matrix[7:9] = [[1, 0, 0], [-1, 0, 0]]
    squares = exact.squares_of(matrix)
    positions, values = exact.nearest("cosine", np.array([[2, 0, 0]], dtype=np.float32), matrix, squares, None, np.arange(20), 3)[0]
    assert (positions.tolist(), values.tolist()) == ([7, 0, 1], [0.0, 1.0, 1.0])
    positions, values = exact.nearest("cosine", np.zeros((1, 3), dtype=np.float32), matrix, squares, None, np.arange(20), 2)[0]
    assert (positions.tolist(), values.tolist()) == ([0, 1], [1.0, 1.0])


@pytest.mark.parametrize("space", SPACES)
@example(k=1)
@given(k=st.integers(1, 50))
def test_no_candidates_give_no_results(space: Space, k: int) -> None:
    matrix = np.ones((5, 2), dtype=np.float32)
    answer = exact.nearest(space, matrix[:2], matrix, exact.squares_of(matrix), np.empty(0, dtype=np.int64), np.arange(5), k)
    assert [(len(positions), len(values)) for positions, values in answer] == [(0, 0), (0, 0)]
