"""Layouts by UMAP, and the neighbour search that feeds it."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from chroma_nb.viz import umap_layout
from chroma_nb.viz.pca import unit_rows
from chroma_nb.viz.progress import Progress
from chroma_nb.viz.projection import ProjectionSpec, project

CLUSTERS = 5


def clustered(n: int, d: int = 32) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return rows around `CLUSTERS` centres, and the centre of each."""
    rng = np.random.default_rng(0)
    members = np.arange(n) % CLUSTERS
    return (rng.normal(size=(CLUSTERS, d))[members] * 3 + rng.normal(size=(n, d))).astype(np.float32), members


@pytest.mark.slow
def test_clusters_stay_apart_with_progress_and_the_same_map_every_time() -> None:
    rows, members = clustered(300)
    spec = ProjectionSpec.of("umap", space="cosine")
    seen: list[float] = []
    layout = project(rows, spec, seen.append)
    assert layout.shape == (300, 2)
    assert layout.dtype == np.float32

    centres = np.array([layout[members == at].mean(axis=0) for at in range(CLUSTERS)])
    nearest = np.linalg.norm(layout[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == members).mean() > 0.98

    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert sum(0.3 <= fraction < 1 for fraction in seen) > 50

    others: list[npt.NDArray[np.float32]] = []
    threads = [threading.Thread(target=lambda: others.append(project(rows, spec))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.tobytes() for other in others] == [layout.tobytes()] * 2


@pytest.mark.slow
def test_a_cancelled_layout_leaves_umap_as_it_was() -> None:
    import numba
    import umap.layouts

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    before = umap.layouts.tqdm, numba.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        project(clustered(60)[0], ProjectionSpec.of(), stop)
    assert (umap.layouts.tqdm, numba.get_num_threads()) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(clustered(10)[0], id="fewer than n_neighbors"),
        pytest.param(clustered(40, 1)[0], id="one dimension"),
        pytest.param(np.repeat([[1, 2, 3], [-1, -2, -3]], 10, axis=0), id="opposite copies"),
        pytest.param(np.vstack([np.zeros((20, 32)), clustered(20)[0]]), id="zeros"),
        pytest.param(clustered(40)[0] * 1e37, id="huge"),
        pytest.param(clustered(40)[0] * 1e-38, id="tiny"),
    ],
)
@pytest.mark.parametrize("space", ["l2", "cosine"])
def test_every_record_gets_a_place(rows: npt.NDArray[np.float32], space: str) -> None:
    layout = project(rows, ProjectionSpec.of("umap", 3, space, n_epochs=20))
    assert layout.shape == (len(rows), 3)
    assert np.isfinite(layout).all()
    assert layout.std(axis=0).all()


@settings(deadline=None, max_examples=50)
@given(n=st.integers(2, 60), d=st.integers(1, 8), k=st.integers(1, 20), angular=st.booleans(), seed=st.integers(0, 999))
def test_neighbors_are_those_of_scikit_learn(n: int, d: int, k: int, angular: bool, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    points = unit_rows(rows).astype(np.float32) if angular else rows
    k = min(k, n)
    indices, distances = umap_layout.exact_neighbors(points, k, angular=angular, report=Progress(None))
    reference = NearestNeighbors(n_neighbors=k, metric="cosine" if angular else "euclidean", algorithm="brute").fit(points)
    np.testing.assert_allclose(distances, reference.kneighbors(points)[0], atol=2e-3)
    np.testing.assert_array_equal(indices[:, 0], np.arange(n))
    assert all(len(set(row)) == k for row in indices.tolist())


def test_copies_are_neighbors_at_distance_0_and_everyone_comes_first_himself() -> None:
    points = np.repeat(np.array([[0, 0], [3, 4]], "f4"), 3, axis=0)
    indices, distances = umap_layout.exact_neighbors(points, 4, angular=False, report=Progress(None))
    assert indices[:, 0].tolist() == list(range(6))
    assert distances.tolist() == [[0, 0, 0, 5]] * 6


def test_a_row_of_zeros_is_at_cosine_distance_1_from_all_but_zeros() -> None:
    points = np.array([[0, 0], [0, 0], [1, 0], [-1, 0]], "f4")
    indices, distances = umap_layout.exact_neighbors(points, 4, angular=True, report=Progress(None))
    assert distances[0].tolist() == [0, 0, 1, 1]
    assert distances[2].tolist() == [0, 1, 1, 2]
    assert indices[2][[0, 3]].tolist() == [2, 3]


def test_the_size_of_the_blocks_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    points = clustered(70)[0]
    whole = umap_layout.exact_neighbors(points, 10, angular=False, report=Progress(None))
    monkeypatch.setattr(umap_layout, "BLOCK_DISTANCES", 500)
    seen: list[float] = []
    parts = umap_layout.exact_neighbors(points, 10, angular=False, report=seen.append)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-5)
    assert seen == sorted(seen)
    assert seen[-1] == 1
