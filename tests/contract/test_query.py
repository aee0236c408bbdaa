"""query, explain, build_index, project and plot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chroma_nb.embedding import HashingEmbeddingFunction
from chroma_nb.errors import InvalidArgumentError, InvalidDimensionError

POINTS = np.array([[i % 7, i // 7, (i * i) % 5] for i in range(60)], dtype=np.float32)


in_every_space = pytest.mark.parametrize("points", ["l2", "ip", "cosine"], indirect=True)


@pytest.fixture
def points(request: pytest.FixtureRequest, client: Any) -> Any:
    """Sixty records on a grid, in the space a test asks for."""
    made = client.create_collection("points", {"hnsw:space": getattr(request, "param", "l2")}, None)
    made.add(
        [f"p{i}" for i in range(60)],
        embeddings=POINTS,
        metadatas=[{"i": i, "half": i % 2} for i in range(60)],
        documents=[f"point {i}" for i in range(60)],
        uris=[f"file:///{i}" for i in range(60)],
    )
    return made


def oracle(space: str, query: Any, among: list[int]) -> list[tuple[float, int]]:
    """Return (distance, place) of the records `among`, nearest first, ties in order."""
    a, b = np.asarray(query, dtype=np.float64), POINTS[among].astype(np.float64)
    if space == "l2":
        distances = ((a - b) ** 2).sum(axis=1)
    elif space == "ip":
        distances = 1 - b @ a
    else:
        lengths = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
        distances = 1 - np.divide(b @ a, lengths, out=np.zeros(len(b)), where=lengths > 0)
    return sorted(zip(distances.tolist(), among, strict=True))


@in_every_space
def test_the_nearest_come_first(points: Any, again: Callable[[Any], Any]) -> None:
    found = again(points)
    answer = found.query([2, 3, 4], n_results=60)
    expected = oracle(found.space, [2, 3, 4], list(range(60)))
    np.testing.assert_allclose(answer["distance"], [distance for distance, _ in expected], atol=1e-12)
    by_id = {f"p{place}": distance for distance, place in expected}
    np.testing.assert_allclose(answer["distance"], [by_id[each] for each in answer["id"]], atol=1e-12)
    assert answer["distance"].is_monotonic_increasing
    assert answer.index.tolist() == [(0, rank) for rank in range(1, 61)]
    assert answer.index.names == ["query", "rank"]
    assert answer.columns.tolist() == ["id", "distance", "document", "i", "half"]
    assert answer["distance"].dtype == np.float64


def test_ties_come_in_the_order_they_were_added(client: Any) -> None:
    made = client.create_collection("ties", embedding_function=None)
    made.add([f"t{i}" for i in range(50)], embeddings=[[1, 1]] * 50)
    made.update(["t3"], embeddings=[[1, 1]])
    assert made.query([[1, 1]], n_results=5)["id"].tolist() == ["t0", "t1", "t2", "t3", "t4"]


@in_every_space
@pytest.mark.parametrize(
    ("asked", "among"),
    [
        ({"where": {"half": 1}}, range(1, 60, 2)),
        ({"where": {"i": {"$lt": 4}}}, range(4)),
        ({"where_document": {"$contains": "point 1"}}, [1, *range(10, 20)]),
        ({"where": {"half": 0}, "where_document": {"$contains": "point 1"}}, range(10, 20, 2)),
        ({"ids": ["p5", "p50", "unknown"]}, [5, 50]),
        ({"ids": ["p5", "p50"], "where": {"half": 0}}, [50]),
        ({"ids": ["unknown"]}, []),
        ({"where": {"i": -1}}, []),
    ],
    ids=str,
)
def test_filters_apply_before_ranking(points: Any, again: Callable[[Any], Any], asked: dict[str, Any], among: Any) -> None:
    found = again(points)
    expected = oracle(found.space, [1, 2, 3], list(among))
    for n_results in (1, 3, 1000):
        answer = found.query([[1, 2, 3]], n_results=n_results, **asked)
        np.testing.assert_allclose(answer["distance"], [distance for distance, _ in expected[:n_results]], atol=1e-12)
        assert set(answer["id"]) <= {f"p{i}" for i in among}


def test_several_queries_keep_apart(points: Any) -> None:
    answer = points.query(POINTS[[3, 30, 3]] + 0.25, n_results=2, where={"half": 1})
    assert answer.index.tolist() == [(query, rank) for query in range(3) for rank in (1, 2)]
    assert answer.loc[0, "id"].tolist() == answer.loc[2, "id"].tolist()
    single = points.query(POINTS[30] + 0.25, n_results=2, where={"half": 1})
    assert single["id"].tolist() == answer.loc[1, "id"].tolist()


@in_every_space
def test_more_like_a_record(points: Any) -> None:
    answer = points.query(like=["p3", "p40"], n_results=4, where={"half": 1})
    assert answer.index.tolist() == [(query, rank) for query in (0, 1) for rank in (1, 2, 3, 4)]
    assert "p3" not in answer.loc[0, "id"].tolist()
    direct = points.query(POINTS[40], n_results=4, where={"half": 1})
    assert answer.loc[1, "id"].tolist() == direct["id"].tolist()
    assert len(points.query(like="p0", n_results=100)) == 59
    assert points.query(like="p0", ids=["p0"]).empty
    with pytest.raises(InvalidArgumentError, match=r"like.*'nobody'"):
        points.query(like=["p3", "nobody"])


def test_texts_are_embedded_by_the_function(client: Any, again: Callable[[Any], Any]) -> None:
    made = client.create_collection("texts", embedding_function=HashingEmbeddingFunction(256))
    made.add(["a", "b"], documents=["an owl sits in the tree", "paint on canvas"])
    found = again(made)
    answer = found.query(query_texts=["owl tree", "canvas"], n_results=1)
    assert answer["id"].tolist() == ["a", "b"]
    assert found.query(query_texts="owl", n_results=1)["id"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("include", "columns"),
    [
        ([], ["id"]),
        (["distances"], ["id", "distance"]),
        (["documents", "uris"], ["id", "document", "uri"]),
        (["metadatas", "embeddings"], ["id", "embedding", "i", "half"]),
    ],
    ids=str,
)
def test_include_chooses_the_columns(points: Any, include: list[str], columns: list[str]) -> None:
    assert points.query([[1, 2, 3]], include=include).columns.tolist() == columns


def test_ten_results_are_the_default(points: Any) -> None:
    assert len(points.query([[1, 2, 3]])) == 10
    assert len(points.query([[1, 2, 3]], None, 61)) == 60


def test_zero_vectors_have_a_distance_in_every_space(client: Any) -> None:
    for space, expected in {"l2": 0.0, "ip": 1.0, "cosine": 1.0}.items():
        made = client.create_collection(f"zero-{space}", {"hnsw:space": space}, None)
        made.add(["zero"], embeddings=[[0, 0]])
        assert made.query([[0, 0]])["distance"].tolist() == [expected]


def test_a_query_of_another_dimension_is_refused(points: Any) -> None:
    for call in (points.query, points.explain):
        with pytest.raises(InvalidDimensionError, match="dimension of 3, got 2"):
            call([[1, 2]])


def test_a_changed_ef_holds_from_the_next_query_on(points: Any) -> None:
    before = points.query([[1, 2, 3]])
    points.modify(configuration={"hnsw": {"ef_search": 500}})
    assert points.query([[1, 2, 3]]).equals(before)


def test_explain_tells_how_and_over_how_many(points: Any) -> None:
    plan = points.explain([[1, 2, 3]], n_results=3)
    assert (plan.method, plan.count, plan.candidates, plan.n_results) == ("exact", 60, 60, 3)
    filtered = points.explain(where={"i": {"$lt": 5}})
    assert (filtered.method, filtered.candidates) == ("exact", 5)
    assert "5 of 60" in filtered.steps[0]
    assert points.explain(ids=["nobody"]).method == "empty"


@in_every_space
def test_build_index_is_seen_and_changes_no_answer(points: Any, again: Callable[[Any], Any]) -> None:
    before = points.query(POINTS[:5], n_results=5)
    points.build_index(show_progress=False)
    points.build_index(show_progress=False)
    assert points.describe().index.indexed == 60
    assert again(points).query(POINTS[:5], n_results=5).equals(before)


def test_a_projection_has_a_row_per_record_and_is_kept(points: Any) -> None:
    flat = points.project("pca")
    assert flat.index.tolist() == [f"p{i}" for i in range(60)]
    assert flat.columns.tolist() == ["x", "y"]
    assert set(flat.dtypes) == {np.dtype(np.float32)}
    assert flat.equals(points.project("pca"))
    assert points.project("pca", 3).columns.tolist() == ["x", "y", "z"]
    assert points.project("pca", where={"half": 1}).index.tolist() == [f"p{i}" for i in range(1, 60, 2)]
    assert len(points.project("pca", where_document={"$contains": "point 1"})) == 11
    sampled = points.project("pca", sample=7)
    assert len(sampled) == 7
    assert sampled.equals(points.project("pca", sample=7))


def test_a_projection_follows_the_data(points: Any) -> None:
    before = points.project("pca")
    points.add(["far"], embeddings=[[90, 0, 0]])
    after = points.project("pca")
    assert after.index.tolist() == [*before.index, "far"]
    points.update("far", metadatas={"i": 0})
    assert points.project("pca").equals(after)
    assert points.project("pca", where={"i": 0}).index.tolist() == ["p0", "far"]


def test_a_map_is_drawn_with_its_metadata(points: Any) -> None:
    figure = points.plot("half", method="pca", where={"i": {"$lt": 20}}, title="Points", size=4)
    assert "Points" in figure.layout.title.text
    assert sum(len(trace.x) for trace in figure.data if trace.x is not None) >= 20
    assert points.plot(method="pca", sample=5, n_components=3).data
    with pytest.raises(InvalidArgumentError, match="nothing"):
        points.plot("nothing", method="pca")
