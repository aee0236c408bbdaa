"""The soft picture of how crowded a map is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from chroma_nb.viz import density as module
from chroma_nb.viz.density import density
from chroma_nb.viz.raster import View, counts

VIEW = View(-4, -3, 4, 3, width=240, height=180)


def cloud(n: int = 2000) -> Any:
    return np.random.default_rng(4).normal(size=(n, 2)).astype(np.float32)


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 40])
def test_the_blur_is_three_moving_averages(radius: int) -> None:
    grid = counts(cloud(), View(-4, -3, 4, 3, width=60, height=45)).astype(float)
    wanted = grid
    for _ in range(3):
        wanted = ndimage.uniform_filter(wanted, 2 * radius + 1, mode="constant")
    assert module._blurred(grid, radius) == pytest.approx(wanted, abs=1e-9)


def test_where_more_points_are_the_picture_is_more_opaque() -> None:
    points = np.concatenate([np.tile([[-2.0, 0.0]], (400, 1)), np.tile([[2.0, 0.0]], (25, 1))])
    alpha = density(points, VIEW)[..., 3].astype(int)
    crowd, few = alpha[30, 20], alpha[30, 60]
    assert crowd > few > 20
    assert alpha[2, 2] == 0
    assert alpha[30, 40] == 0


def test_a_place_has_the_mean_colour_of_its_points() -> None:
    points = np.array([[-2, 0], [2, 0], [2, 0]], np.float32)
    image = density(points, VIEW, colors=np.array([[255, 0, 0], [0, 0, 255], [0, 255, 0]], np.uint8))
    assert image[30, 20, :3].tolist() == [255, 0, 0]
    # Light mixes by its energy: half of each is more than half as bright.
    assert image[30, 60, :3].tolist() == [0, 180, 180]


def test_points_beyond_the_view_or_without_a_place_change_nothing() -> None:
    points = cloud()
    colors = np.random.default_rng(2).integers(0, 255, (len(points), 3)).astype(np.uint8)
    more = np.concatenate([points, [[np.nan, 0], [90, 90]]]).astype(np.float32)
    shades = np.concatenate([colors, colors[:2]])
    inside = (np.abs(points) < [4, 3]).all(axis=1)
    assert (density(more, VIEW, colors=shades) == density(points[inside], VIEW, colors=colors[inside])).all()
    assert (density(more, VIEW) == density(points[inside], VIEW)).all()


def test_an_empty_map_is_clear() -> None:
    assert not density(np.empty((0, 2), np.float32), VIEW)[..., 3].any()
    assert density(np.empty((0, 2)), View(0, 0, 1, 1, width=1, height=2)).shape == (1, 1, 4)
