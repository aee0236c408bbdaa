"""Layouts of very many records, read in chunks."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz import many
from chroma_nb.viz.many import Chunks, lay_out_many
from chroma_nb.viz.placing import placed
from chroma_nb.viz.projection import ProjectionSpec, project

LUMPS = 5


def lumps(n: int, d: int = 16) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    rng = np.random.default_rng(0)
    members = rng.integers(0, LUMPS, n)
    return (rng.normal(size=(LUMPS, d))[members] * 3 + rng.normal(size=(n, d))).astype("f4"), members


def cut(rows: npt.NDArray[np.float32], size: int) -> Chunks:
    return lambda: [rows[start : start + size] for start in range(0, len(rows), size)]


@pytest.mark.parametrize("space", ["l2", "cosine"])
def test_principal_components_in_chunks_are_those_of_all_at_once(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "MANY", 100)
    rows = lumps(500)[0] + np.float32(100)
    spec = ProjectionSpec.of("pca", 3, space)
    seen: list[float] = []
    found = lay_out_many(cut(rows, 37), 500, spec, progress=seen.append)
    np.testing.assert_allclose(found.coordinates, project(rows, spec), rtol=1e-3, atol=1e-3)
    assert found.fitted.all()
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_few_records_are_laid_out_as_ever(method: str) -> None:
    rows = lumps(9)[0]
    spec = ProjectionSpec.of(method)
    found = lay_out_many(cut(rows, 4), 9, spec)
    np.testing.assert_array_equal(found.coordinates, project(rows, spec))
    assert found.fitted.all()
    assert lay_out_many(list, 0, spec).coordinates.shape == (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["l2", "cosine"])
def test_umap_is_fitted_on_a_sample_and_the_others_are_placed_around_it(space: str) -> None:
    rows, members = lumps(1500)
    spec = ProjectionSpec.of("umap", space=space, n_epochs=60)
    seen: list[float] = []
    steps: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]] = []
    found = lay_out_many(cut(rows, 200), 1500, spec, fit_on=300, progress=seen.append, moving=lambda *step: steps.append(step))

    sample = np.flatnonzero(found.fitted)
    fit = project(rows[sample], spec)
    np.testing.assert_array_equal(found.coordinates[sample], fit)
    np.testing.assert_allclose(
        found.coordinates[~found.fitted], placed(rows[sample], fit, rows[~found.fitted], metric=spec.metric or "euclidean"), atol=1e-4
    )
    centres = np.array([found.coordinates[members == at].mean(axis=0) for at in range(LUMPS)])
    nearest = np.linalg.norm(found.coordinates[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == members).mean() > 0.97

    again = lay_out_many(cut(rows, 1500), 1500, spec, fit_on=300)
    np.testing.assert_allclose(again.coordinates, found.coordinates, atol=1e-4)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)
    assert 10 <= len(steps) <= 40
    for chosen, coordinates in steps:
        np.testing.assert_array_equal(chosen, sample)
        assert coordinates.shape == fit.shape


@pytest.mark.parametrize("rows", [9, 11])
@pytest.mark.parametrize("method", ["pca", "umap"])
def test_another_number_of_embeddings_than_counted(rows: int, method: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"expected 10\. Count them again"):
        lay_out_many(cut(lumps(rows)[0], 3), 10, ProjectionSpec.of(method))


def test_memory_is_bounded_by_the_sample_and_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    n, d, size = 40_000, 64, 1000
    monkeypatch.setattr(many, "MANY", 1000)
    monkeypatch.setattr(many, "project", lambda rows, *_: rows[:, :2].copy())
    monkeypatch.setattr("chroma_nb.viz.neighbors.BLOCK_DISTANCES", 100_000)

    def chunks() -> Iterator[npt.NDArray[np.float32]]:
        rng = np.random.default_rng(0)
        for _ in range(n // size):
            yield rng.normal(size=(size, d)).astype("f4")

    for spec in (ProjectionSpec.of("umap"), ProjectionSpec.of("pca")):
        tracemalloc.start()
        lay_out_many(chunks, n, spec, fit_on=500)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < n * d * 4 / 2


def test_what_the_callback_raises_ends_the_work() -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.05:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lay_out_many(cut(lumps(500)[0], 50), 500, ProjectionSpec.of("umap"), fit_on=100, progress=stop)
