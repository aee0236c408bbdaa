"""Pictures of maps, against numpy's histogram and against one pixel at a time."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.viz import raster
from chroma_nb.viz.raster import View, counts, picture, png, rgb, static_png

FEWER_COLORS = 16
"""Most by which a picture that is kept may differ from what was drawn."""
VIEW = View(-4, -3, 4, 3, width=40, height=30)
TONES = ["eq_hist", "log", "sqrt", "linear"]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def cloud(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32) * 2


@given(n=st.integers(0, 500), seed=st.integers(0, 999))
def test_counts_are_those_of_histogram2d(n: int, seed: int) -> None:
    points = cloud(n, seed).astype(np.float64)
    expected, _, _ = np.histogram2d(-points[:, 1], points[:, 0], bins=(30, 40), range=((-3, 3), (-4, 4)))
    assert counts(points, VIEW).tolist() == expected.tolist()


def test_all_borders_belong_to_the_view_and_y_grows_upwards() -> None:
    view = View(0, 0, 2, 2, width=2, height=2)
    assert counts([(0, 0), (0, 2), (2, 2), (2, 2), (2, 0), (2, 0), (2, 0)], view).tolist() == [[1, 2], [1, 3]]


def test_points_without_a_place_or_out_of_view_are_left_out() -> None:
    assert counts([(np.nan, 0), (0, np.inf), (99, 0), (0, -99), (0, 0)], VIEW).sum() == 1


@pytest.mark.parametrize(
    "points", [cloud(300), np.full((5, 2), 3.0), np.full((2, 2), 1e30), np.empty((0, 2)), [[0, 0], [0, 1e-30]], [[np.nan, 1], [1, 1]]]
)
def test_a_fitting_view_shows_every_point_at_one_scale(points: npt.ArrayLike) -> None:
    view = View.fitting(points, 64, 48)
    assert counts(points, view).sum() == np.isfinite(np.asarray(points)).all(axis=1).sum()
    assert (view.right - view.left) / 64 == pytest.approx((view.top - view.bottom) / 48)


@pytest.mark.parametrize("tone", TONES)
def test_no_pixel_with_more_points_is_fainter(tone: Any) -> None:
    points = cloud(5000)
    image, crowd = picture(points, VIEW, tone=tone), counts(points, VIEW)
    opacity = image[..., 3].astype(int)
    assert (opacity[crowd == 0] == 0).all()
    assert opacity[crowd > 0].min() >= 255 * raster.FAINTEST - 1
    by_count = [opacity[crowd == count] for count in np.unique(crowd)]
    assert all(len(set(same.tolist())) == 1 for same in by_count)
    assert all(fewer[0] <= more[0] for fewer, more in itertools.pairwise(by_count))
    assert opacity.max() == 255


@pytest.mark.parametrize("tone", TONES)
def test_where_all_pixels_are_alike_all_are_opaque(tone: Any) -> None:
    assert picture([(0, 0), (1, 1)], VIEW, tone=tone)[..., 3].max() == 255
    assert picture(np.empty((0, 2)), VIEW, tone=tone).max() == 0


def test_equalised_tones_tell_many_levels_apart_despite_one_crowd() -> None:
    points = np.vstack([np.zeros((100_000, 2)), cloud(3000)])
    levels = {tone: len(np.unique(picture(points, VIEW, tone=tone)[..., 3])) for tone in ("eq_hist", "linear")}  # type: ignore[arg-type]
    assert levels["eq_hist"] > 5 > levels["linear"]


@given(n=st.integers(1, 200), seed=st.integers(0, 999))
def test_a_pixel_has_the_mean_colour_of_its_points(n: int, seed: int) -> None:
    points, colors = cloud(n, seed), np.random.default_rng(seed).integers(0, 256, (n, 3), np.uint8)
    image = picture(points, VIEW, colors=colors)
    pixels, rows = VIEW.pixels(points)
    shown = colors if rows is None else colors[rows]
    for pixel in np.unique(pixels):
        mean = np.sqrt((shown[pixels == pixel].astype(float) ** 2).mean(axis=0))
        np.testing.assert_allclose(image.reshape(-1, 4)[pixel, :3], mean, atol=0.51)


def test_a_pixel_has_the_colour_of_its_mean_value_on_the_scale_of_all() -> None:
    places = [(-3.9, 0), (-3.9, 0), (3.9, 0), (0, 0)]
    image = picture(places, VIEW, values=[0.0, 2.0, 10.0, np.nan])
    ends = rgb(raster.SCALE)
    row = int(np.flatnonzero(image[..., 3].any(axis=1))[0])
    assert image[row, 39, :3].tolist() == ends[-1].tolist()
    assert image[row, 0, :3].tolist() == raster.ramp([0.1])[0].tolist()
    assert image[row, 20, 3] == 0
    fixed = picture(places, VIEW, values=[0.0, 2.0, 10.0, np.nan], value_range=(1.0, 1.0))
    assert fixed[row, 0, :3].tolist() == ends[0].tolist()


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_a_dot_covers_what_lies_within_its_radius(radius: int) -> None:
    image = picture([(0.05, 0.05), (3.95, 2.95)], VIEW, colors=[RED, BLUE], spread=radius)
    rows, columns = np.nonzero(image[..., 3])
    red = (rows - 14) ** 2 + (columns - 20) ** 2 <= radius**2 + 1
    blue = rows**2 + (columns - 39) ** 2 <= radius**2 + 1
    assert (red | blue).all()
    assert image[14, 20 + radius, :3].tolist() == list(RED)
    assert image[0, 39 - radius, :3].tolist() == list(BLUE)


def read(file: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGBA"))


def test_a_png_gives_the_pixels_back() -> None:
    image = picture(cloud(500), VIEW)
    assert read(png(image)).tolist() == image.tolist()
    np.testing.assert_allclose(read(png(image, tight=True)).astype(int), image, atol=FEWER_COLORS)


def test_a_static_picture_is_small_enough_to_be_kept_in_notebooks() -> None:
    points = cloud(100_000)
    colors = np.random.default_rng(0).integers(0, 255, (len(points), 3), dtype=np.uint8)
    assert len(static_png(points, colors, view=View.fitting(points, 900, 600))) < 100_000


def test_a_static_picture_dims_what_is_not_selected() -> None:
    points, colors = cloud(200), np.tile(np.array([RED, BLUE], np.uint8), (100, 1))
    mask = np.arange(200) < 20
    pictures = [static_png(points, colors, selected) for selected in (mask, np.flatnonzero(mask), None, [])]
    assert pictures[0] == pictures[1]
    some, _, everything, none = map(read, pictures)
    assert everything.shape == (360, 480, 4)
    pixels, _ = View.fitting(points, 480, 360).pixels(points)
    opacity = [image.reshape(-1, 4)[:, 3][pixels].astype(float) for image in (some, everything, none)]
    assert (opacity[0][mask] > opacity[1].max() * raster.FAINTEST - FEWER_COLORS).all()
    np.testing.assert_allclose(opacity[2], opacity[1] * raster.DIMMED, atol=FEWER_COLORS)
    assert read(static_png(np.empty((0, 2)))).max() == 0


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: View(0, 0, 0, 1, 10, 10), "left < right"),
        (lambda: View(0, 0, 1, float("nan"), 10, 10), "finite"),
        (lambda: View(0, 0, 1, 1, 0, 10), "0 x 10 pixels"),
        (lambda: View(0, 0, 1, 1, 10**5, 10**5), "at most"),
        (lambda: picture([(0, 0)], VIEW, colors=[RED, RED]), r"colors: got shape \(2, 3\), expected \(1, 3\)"),
        (lambda: picture([(0, 0)], VIEW, values=[1, 2]), r"values: got shape \(2,\)"),
        (lambda: picture([(0, 0)], VIEW, colors=[RED], values=[1]), "at most one"),
        (lambda: picture([(0, 0)], VIEW, tone="shrill"), "tone: got 'shrill'"),  # type: ignore[arg-type]
        (lambda: counts(np.zeros((3, 3)), VIEW), "Project a 3-D map first"),
    ],
)
def test_what_does_not_fit(make: Any, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        make()
