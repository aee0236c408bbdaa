"""project: a layout that is kept goes on when records come, change and go; a new one is made when little of it would be left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb.client import layouts
from chroma_nb.errors import InvalidTypeError
from chroma_nb.viz import many

COUNT = 40
POINTS = np.random.default_rng(3).normal(size=(COUNT, 5)).astype(np.float32)
IDS = [f"p{i}" for i in range(COUNT)]


@pytest.fixture
def points(client: Any) -> Any:
    made = client.create_collection("points", embedding_function=None)
    made.add(IDS, embeddings=POINTS, metadatas=[{"half": i % 2} for i in range(COUNT)])
    return made


def places(frame: pd.DataFrame, *ids: str) -> Any:
    return frame.loc[list(ids), ["x", "y"]].to_numpy()


def test_new_records_are_placed_and_the_others_stay(points: Any) -> None:
    before = points.project("pca", place_new=True)
    assert before["approximate"].sum() == 0
    assert points.has_layout("pca")
    points.add(["twin", "between"], embeddings=[POINTS[7], POINTS[0] + POINTS[1]], metadatas=[{"half": 0}, {"half": 0}])
    points.update("p3", embeddings=POINTS[11])
    points.update("p4", metadatas={"half": 7})
    points.delete(["p5"])
    assert points.has_layout("pca")
    assert not points.has_layout("pca", place_new=False)
    assert not points.has_layout("pca", 3)
    after = points.project("pca", place_new=True)
    assert after.index.tolist() == [*(name for name in IDS if name != "p5"), "twin", "between"]
    assert after.index[after["approximate"]].tolist() == ["p3", "twin", "between"]
    stayed = after.index[~after["approximate"]]
    assert (places(after, *stayed) == places(before, *stayed)).all()
    assert (places(after, "twin", "p3") == places(before, "p7", "p11")).all()
    low, high = places(before, *IDS).min(axis=0), places(before, *IDS).max(axis=0)
    assert ((places(after, "between") >= low) & (places(after, "between") <= high)).all()
    assert after.equals(points.project("pca", place_new=True))


def test_many_new_records_are_worth_a_new_layout(points: Any) -> None:
    points.project("pca", place_new=True)
    more = [f"new {i}" for i in range(COUNT // 2)]
    points.add(more, embeddings=POINTS[: len(more)] + 9)
    assert points.project("pca", place_new=True)["approximate"].sum() == len(more)
    points.add("one more", embeddings=POINTS[0])
    assert not points.has_layout("pca")
    assert points.project("pca", place_new=True)["approximate"].sum() == 0
    assert points.has_layout("pca", place_new=False)


def test_a_layout_of_these_very_data_is_the_same_with_and_without_new_ones(points: Any) -> None:
    plain = points.project("pca")
    assert points.project("pca", place_new=True).drop(columns="approximate").equals(plain)
    points.add("far", embeddings=POINTS[0] * 50)
    fitted = points.project("pca")
    assert fitted.index.tolist() == [*IDS, "far"]
    assert points.project("pca", place_new=True).drop(columns="approximate").equals(fitted)


def test_what_a_filter_matches_now_is_on_the_map(points: Any, backend: Any) -> None:
    before = points.project("pca", where={"half": 1}, place_new=True)
    points.update("p0", metadatas={"half": 1})
    points.update("p1", metadatas={"half": 0})
    after = points.project("pca", where={"half": 1}, place_new=True)
    assert after.index.tolist() == ["p0", *before.index[1:]]
    if type(backend).__name__ != "Chroma":
        assert after.index[after["approximate"]].tolist() == ["p0"]
        assert (places(after, *before.index[1:]) == places(before, *before.index[1:])).all()


def test_records_whose_neighbours_are_all_new_are_placed_among_others(points: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "_HITS", 2)
    monkeypatch.setattr(layouts, "_PLACED_AT_ONCE", 4)
    before = points.project("pca", place_new=True)
    crowd = [f"crowd {i}" for i in range(10)]
    points.add(crowd, embeddings=np.full((10, 5), 90, np.float32) + np.arange(10)[:, None] / 100)
    after = points.project("pca", place_new=True)
    assert np.isfinite(after[["x", "y"]].to_numpy()).all()
    assert after.index.tolist() == [*IDS, *crowd]
    assert len(before) == COUNT


def test_a_sample_is_laid_out_anew(points: Any) -> None:
    assert points.project("pca", sample=9, place_new=True)["approximate"].sum() == 0
    assert points.has_layout("pca", sample=9)
    points.add("new", embeddings=POINTS[0])
    assert not points.has_layout("pca", sample=9)
    assert len(points.project("pca", sample=9, place_new=True)) == 9


def test_a_layout_of_a_collection_that_was_emptied_is_empty(points: Any) -> None:
    points.project("pca", place_new=True)
    points.delete(IDS)
    assert points.project("pca", place_new=True).shape == (0, 3)
    points.add("first", embeddings=POINTS[0])
    assert points.project("pca", place_new=True).index.tolist() == ["first"]


def test_progress_is_told_and_can_end_the_call(points: Any) -> None:
    shares: list[float] = []
    points.project("pca", on_progress=shares.append)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)

    def stop(share: float) -> None:
        raise InterruptedError(share)

    with pytest.raises(InterruptedError):
        points.project("pca", 3, on_progress=stop)
    assert not points.has_layout("pca", 3)
    with pytest.raises(InvalidTypeError, match="on_progress"):
        points.project("pca", 3, on_progress=7)


def test_more_records_than_memory_should_hold_are_laid_out_alike(points: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = points.project("pca", seed=None)
    points.update("p0", embeddings=POINTS[0])
    monkeypatch.setattr(many, "MANY", COUNT - 1)
    monkeypatch.setattr(layouts, "_PAGE", 7)
    found = points.project("pca")
    assert found.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), atol=1e-5)
