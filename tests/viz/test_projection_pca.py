"""Layouts by principal components, against scikit-learn and against what a rotation must keep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.viz import pca
from chroma_nb.viz.projection import ProjectionSpec, project


def drawn(n: int, d: int, seed: int) -> npt.NDArray[np.float32]:
    """Rows whose directions differ in width by a factor, so that the order of the axes is certain."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * 0.6 ** np.arange(d) + rng.normal(size=d) * 5).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(3, 80), d=st.integers(2, 90), k=st.integers(2, 3), seed=st.integers(0, 2**16))
def test_same_as_scikit_learn_up_to_sign(n: int, d: int, k: int, seed: int) -> None:
    rows = drawn(n, d, seed)
    ours = project(rows, ProjectionSpec.of("pca", k)).astype(np.float64)
    fitted = PCA(min(k, n, d), svd_solver="full").fit(rows.astype(np.float64))
    theirs = fitted.transform(rows.astype(np.float64))
    size = np.abs(theirs).max()
    widths = np.append(fitted.singular_values_, 0)
    for axis in range(theirs.shape[1]):
        apart = np.abs(np.delete(widths, axis) - widths[axis]).min() > 0.05 * widths[0]
        np.testing.assert_allclose(np.linalg.norm(ours[:, axis]), np.linalg.norm(theirs[:, axis]), atol=1e-4 * size)
        if apart:
            sign = np.sign(ours[:, axis] @ theirs[:, axis])
            np.testing.assert_allclose(ours[:, axis], sign * theirs[:, axis], atol=1e-4 * size)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(0, 30), d=st.integers(0, 30), space=st.sampled_from(["l2", "cosine", "ip"]), seed=st.integers(0, 999))
def test_any_shape_gives_finite_centred_float32_in_order_of_width(n: int, d: int, space: str, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    layout = project(rows, ProjectionSpec.of("pca", 3, space))
    assert layout.shape == (n, 3)
    assert layout.dtype == np.float32
    assert np.isfinite(layout).all()
    if n:
        np.testing.assert_allclose(layout.mean(axis=0), 0, atol=1e-4)
        widths = layout.std(axis=0)
        assert (np.diff(widths) <= 1e-4).all()
        assert (widths[max(min(n - 1, d), 0) :] == 0).all()


def test_points_in_a_plane_keep_their_distances() -> None:
    rng = np.random.default_rng(3)
    flat = rng.normal(size=(50, 2)) * [5, 2]
    basis = np.linalg.qr(rng.normal(size=(40, 2)))[0]
    layout = project(flat @ basis.T + 7, ProjectionSpec.of("pca"))
    before = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    after = np.linalg.norm(layout[:, None] - layout[None], axis=2)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_moving_and_reordering_the_records_moves_and_reorders_the_map() -> None:
    rows = drawn(60, 8, 1)
    layout = project(rows, ProjectionSpec.of("pca"))
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(project(rows[order] + 3, ProjectionSpec.of("pca")), layout[order], atol=1e-4)


def test_the_same_input_gives_the_same_bytes() -> None:
    rows = drawn(200, 20, 2)
    assert project(rows, ProjectionSpec.of("pca")).tobytes() == project(rows.copy(), ProjectionSpec.of("pca")).tobytes()


def test_both_ways_to_the_eigenvectors_agree() -> None:
    rows = np.pad(drawn(30, 25, 5), ((0, 0), (0, 10)))
    by_products = project(rows, ProjectionSpec.of("pca"))
    by_covariance = project(rows[:, :25], ProjectionSpec.of("pca"))
    np.testing.assert_allclose(by_products, by_covariance, atol=1e-4)


def test_the_size_of_the_blocks_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn(100, 10, 4)
    whole = project(rows, ProjectionSpec.of("pca", space="cosine"))
    monkeypatch.setattr(pca, "BLOCK_VALUES", 70)
    np.testing.assert_allclose(project(rows, ProjectionSpec.of("pca", space="cosine")), whole, atol=1e-5)


def test_in_cosine_space_the_length_of_a_vector_does_not_count() -> None:
    rows = drawn(40, 6, 6)
    lengths = np.random.default_rng(0).uniform(0.1, 50, size=(40, 1)).astype(np.float32)
    cosine, l2 = ProjectionSpec.of("pca", space="cosine"), ProjectionSpec.of("pca", space="l2")
    np.testing.assert_allclose(project(rows * lengths, cosine), project(rows, cosine), atol=1e-5)
    assert not np.allclose(project(rows * lengths, l2), project(rows, l2), atol=1)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_too_few_records_for_umap_are_laid_out_by_pca(n: int) -> None:
    rows = drawn(n, 5, 0)
    np.testing.assert_array_equal(project(rows, ProjectionSpec.of("umap")), project(rows, ProjectionSpec.of("pca")))


@pytest.mark.parametrize("method", ["umap", "pca"])
def test_equal_records_lie_on_one_spot(method: str) -> None:
    assert not project(np.full((50, 4), 0.1), ProjectionSpec.of(method)).any()


def test_no_records_at_all() -> None:
    assert project([], ProjectionSpec.of("pca", 3)).shape == (0, 3)


@settings(deadline=None, max_examples=25)
@given(exponent=st.integers(-40, 37))
def test_very_large_and_very_small_numbers(exponent: int) -> None:
    rows = drawn(30, 4, 8)
    scale = np.float64(10.0) ** exponent
    layout = project((rows * scale).astype(np.float32), ProjectionSpec.of("pca"))
    assert np.isfinite(layout).all()
    if exponent > -30:
        expected = project(rows, ProjectionSpec.of("pca")).astype(np.float64)
        np.testing.assert_allclose(layout / scale, expected, atol=1e-3)


def test_progress_rises_from_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pca, "BLOCK_VALUES", 100)
    seen: list[float] = []
    project(drawn(200, 10, 0), ProjectionSpec.of("pca"), seen.append)
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 5


def test_a_callback_can_cancel() -> None:
    def stop(fraction: float) -> None:
        if fraction > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project(drawn(200, 10, 0), ProjectionSpec.of("pca"), stop)


@pytest.mark.parametrize(
    ("rows", "error", "told"),
    [
        ([[1.0, float("nan")]], InvalidArgumentError, "row 0"),
        ([[1.0, 2.0], [1e300, 0.0]], InvalidArgumentError, "row 1"),
        ([1.0, 2.0], InvalidArgumentError, "shape"),
        ([[1.0], [1.0, 2.0]], InvalidTypeError, "same length"),
        ([["a", "b"]], InvalidTypeError, "numbers"),
    ],
)
def test_what_is_no_table_of_finite_numbers(rows: list[object], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        project(rows, ProjectionSpec.of("pca"))  # type: ignore[arg-type]
