"""Which points a lasso, a box and a pointer meet, against the same rule written down point by point."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz import geometry
from chroma_nb.viz.geometry import PointIndex, projected

Points = list[tuple[float, float]]

# Whole numbers meet each other, corners and edges all the time; the others nearly never do.
NUMBERS = st.one_of(st.integers(-6, 6).map(float), st.floats(-8, 8, width=32), st.floats(width=32, allow_nan=False, allow_infinity=False))
PLACES = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=60)
SQUARE: Points = [(0, 0), (4, 0), (4, 4), (0, 4)]


def inside(point: tuple[float, float], corners: Points) -> bool:
    """Count the edges that a ray to the right crosses."""
    x, y = point
    crossed = 0
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossed += 1
    return crossed % 2 == 1


@pytest.fixture(params=[(256, 8), (256, 0.05), (3, 0.5)], ids=["coarse", "more cells than points", "nine cells"])
def grid(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, points = request.param
    monkeypatch.setattr(geometry, "MOST_LINES", lines)
    monkeypatch.setattr(geometry, "POINTS_PER_CELL", points)
    monkeypatch.setattr(geometry, "PAIRS_AT_A_TIME", 7)


@pytest.mark.usefixtures("grid")
class TestPolygon:
    @given(points=PLACES, corners=PLACES)
    def test_the_rule_point_by_point(self, points: Points, corners: Points) -> None:
        found = PointIndex(np.array(points, "f4").reshape(-1, 2)).within_polygon(np.array(corners).reshape(-1, 2))
        assert found.dtype == np.intp
        expected = [at for at, point in enumerate(points) if len(corners) > 2 and inside(point, corners)]
        assert found.tolist() == expected

    @given(seed=st.integers(0, 10_000), corners=st.integers(3, 40))
    def test_many_points_in_clusters_and_scribbles(self, seed: int, corners: int) -> None:
        rng = np.random.default_rng(seed)
        points = (rng.normal(size=(4, 2)) * 5)[rng.integers(0, 4, 400)] + rng.normal(size=(400, 2))
        points = points.astype("f4")
        scribble = rng.normal(size=(corners, 2)) * 5
        expected = [at for at, point in enumerate(points.tolist()) if inside(tuple(point), [tuple(corner) for corner in scribble.tolist()])]
        assert PointIndex(points).within_polygon(scribble).tolist() == expected

    def test_left_and_lower_borders_are_inside_right_and_upper_ones_not(self) -> None:
        border = [(0, 0), (2, 0), (4, 0), (4, 2), (4, 4), (2, 4), (0, 4), (0, 2)]
        assert PointIndex(border).within_polygon(SQUARE).tolist() == [0, 1, 7]

    def test_neighbouring_polygons_share_no_point_and_miss_none(self) -> None:
        points = [(x / 2, y / 2) for x in range(9) for y in range(8)]
        left = PointIndex(points).within_polygon([(0, 0), (1, 0), (3, 4), (0, 4)])
        right = PointIndex(points).within_polygon([(1, 0), (4.5, 0), (4.5, 4), (3, 4)])
        assert sorted([*left.tolist(), *right.tolist()]) == list(range(len(points)))

    def test_what_is_enclosed_twice_is_outside(self) -> None:
        star = [(math.cos(4 * math.pi * i / 5), math.sin(4 * math.pi * i / 5)) for i in range(5)]
        assert PointIndex([(0, 0), (0.6, 0)]).within_polygon(star).tolist() == [1]

    @pytest.mark.parametrize(
        "corners", [[], [(0, 0)], [(0, 0), (9, 9)], [(1, 1)] * 5, [(0, 0), (9, 0), (4, 0)], [(50, 50), (60, 50), (55, 60)]]
    )
    def test_what_encloses_none(self, corners: Points) -> None:
        assert PointIndex([(1, 1), (0, 0), (4, 0)]).within_polygon(corners).tolist() == []

    def test_identical_points_are_in_or_out_together(self) -> None:
        index = PointIndex(np.full((50, 2), 2.0))
        assert len(index.within_polygon(SQUARE)) == 50
        assert len(index.within_polygon([(3, 0), (4, 0), (4, 4)])) == 0

    def test_points_without_a_place_are_in_nothing(self) -> None:
        index = PointIndex([(1, 1), (np.nan, 1), (1, np.inf), (2, 2)])
        assert len(index) == 4
        assert index.within_polygon(SQUARE).tolist() == [0, 3]
        assert index.within_box(-9, -9, 9, 9).tolist() == [0, 3]
        assert index.nearest(1, 1, 100) == 0

    def test_one_far_outlier(self) -> None:
        points = np.vstack([np.random.default_rng(0).uniform(0, 5, (2000, 2)), [[1e30, -1e30]]]).astype("f4")
        expected = [at for at, point in enumerate(points.tolist()) if inside(tuple(point), SQUARE)]
        assert PointIndex(points).within_polygon(SQUARE).tolist() == expected


@pytest.mark.parametrize(
    ("corners", "told"),
    [
        ([(0, 0), (1, np.nan), (1, 1)], r"corner 1 is \(1\.0, nan\)"),
        ([(0, 0), (1, 0), (1, 1e300)], "corner 2"),
        ([1, 2, 3], r"shape \(3,\)"),
        ([(1, 2), (3,)], "each with an x and a y"),
        ("lasso", "each with an x and a y"),
    ],
)
def test_what_is_no_polygon(corners: object, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        PointIndex([(0, 0)]).within_polygon(corners)  # type: ignore[arg-type]


@given(points=PLACES, box=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
@pytest.mark.usefixtures("grid")
def test_a_box_includes_its_border(points: Points, box: tuple[float, float, float, float]) -> None:
    (left, right), (low, high) = sorted(box[::2]), sorted(box[1::2])
    found = PointIndex(np.array(points, "f4").reshape(-1, 2)).within_box(*box)
    assert found.tolist() == [at for at, (x, y) in enumerate(points) if left <= x <= right and low <= y <= high]


def test_a_box_needs_numbers() -> None:
    with pytest.raises(InvalidArgumentError, match="four finite numbers"):
        PointIndex([(0, 0)]).within_box(0, 0, np.nan, 1)


@given(
    points=st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), max_size=60),
    place=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    radius=st.integers(0, 20),
)
@pytest.mark.usefixtures("grid")
def test_the_nearest_and_of_equally_near_ones_the_first(points: list[tuple[int, int]], place: tuple[int, int], radius: int) -> None:
    gaps = [math.dist(point, place) for point in points]
    expected = gaps.index(min(gaps)) if gaps and min(gaps) <= radius else None
    index = PointIndex(np.array(points, "f4").reshape(-1, 2))
    assert index.nearest(*place, radius) == expected
    assert index.nearest_many([place, place], radius).tolist() == [-1 if expected is None else expected] * 2


def test_nowhere_is_near_nothing() -> None:
    index = PointIndex([(0, 0)])
    assert [index.nearest(*place) for place in ((np.nan, 0, 1), (0, 0, -1), (0, 0, np.inf))] == [None] * 3
    assert index.nearest_many(np.empty((0, 2)), 1).tolist() == []


def test_a_map_in_three_dimensions_has_to_be_projected_first() -> None:
    with pytest.raises(InvalidArgumentError, match="Project a 3-D map first"):
        PointIndex(np.zeros((4, 3)))


def test_a_camera_shows_what_the_matrix_says() -> None:
    rng = np.random.default_rng(0)
    points, matrix = rng.normal(size=(50, 3)), rng.normal(size=(4, 4))
    shown: npt.NDArray[np.float32] = projected(points, matrix)
    for point, place in zip(points, shown, strict=True):
        x, y, _, w = matrix @ [*point, 1]
        if w > 0:
            np.testing.assert_allclose(place, [x / w, y / w], rtol=1e-5)
        else:
            assert np.isnan(place).all()
    assert np.isnan(shown).any()
    assert np.isfinite(shown).any()
    with pytest.raises(InvalidArgumentError, match="expected"):
        projected(points, np.eye(3))
