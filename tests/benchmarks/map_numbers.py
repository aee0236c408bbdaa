"""The numbers behind a map of a million records, each against the plain way to the same answer.

Run as ``python -m tests.benchmarks.map_numbers [records]``; prints a table, asserts only that both ways agree. Processor time is
told beside the wall's, because on a busy machine only the first means something.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from chroma_nb.viz.clusters import anchors, cluster_labels, clusters
from chroma_nb.viz.color import PALETTE
from chroma_nb.viz.geometry import PointIndex
from chroma_nb.viz.neighbors import smallest
from chroma_nb.viz.placing import placed
from chroma_nb.viz.raster import View, counts, picture, png, rgb, static_png
from chroma_nb.viz.sampling import stratified_sample
from chroma_nb.viz.trust import trust

ROUNDS = 3
WIDTH, HEIGHT = 900, 600
CORNERS = 200
DIMENSION = 64
_Answer = TypeVar("_Answer")


def main(n: int) -> None:
    """Run everything."""
    rng = np.random.default_rng(0)
    members = rng.integers(0, 40, n)
    points = ((rng.normal(size=(40, 2)) * 8)[members] + rng.normal(size=(n, 2))).astype("f4")
    print(f"{n:,} points; best of {ROUNDS}\n\n| task | wall ms | processor ms | plain way, wall ms | ratio |\n|---|---|---|---|---|")
    _geometry(points, rng)
    _pictures(points, members)
    _groups(points, members)
    _neighbours(points, rng)


def _geometry(points: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    index = _measured("index of all points", lambda: PointIndex(points))
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    lasso = np.column_stack([np.cos(angles), np.sin(angles)]) * (9 + 2 * np.sin(7 * angles))[:, None]
    for name, polygon in {"lasso": lasso, "scribble": rng.uniform(-15, 15, (CORNERS, 2))}.items():
        _measured(f"{name} of {CORNERS} corners", lambda: index.within_polygon(polygon), lambda: _even_odd(points, polygon))  # noqa: B023
    _measured("box", lambda: index.within_box(-9, -9, 9, 9), lambda: np.flatnonzero((np.abs(points) <= 9).all(axis=1)))
    places = rng.normal(size=(100, 2)) * 8
    _measured("nearest to 100 places", lambda: index.nearest_many(places, 0.5))


def _pictures(points: npt.NDArray[np.float32], members: npt.NDArray[np.int64]) -> None:
    view = View.fitting(points, WIDTH, HEIGHT)
    colors = rgb(PALETTE)[members % len(PALETTE)]
    limits = ((-view.top, -view.bottom), (view.left, view.right))
    _measured(
        f"counts on {WIDTH} x {HEIGHT}",
        lambda: counts(points, view),
        lambda: np.histogram2d(-points[:, 1].astype("f8"), points[:, 0].astype("f8"), (HEIGHT, WIDTH), limits)[0].astype(np.intp),
    )
    image = _measured("picture by density", lambda: picture(points, view))
    _measured("picture by colour", lambda: picture(points, view, colors=colors))
    _measured("picture by mean value", lambda: picture(points, view, values=points[:, 0]))
    _measured("PNG of it", lambda: png(image))
    _measured("small static PNG", lambda: static_png(points, colors, members == 0))
    _measured("sample of 50,000", lambda: stratified_sample(points, 50_000, members))


def _groups(points: npt.NDArray[np.float32], members: npt.NDArray[np.int64]) -> None:
    codes = _measured("clusters", lambda: clusters(points))
    _measured("their anchors", lambda: anchors(points, codes))
    texts = [f"word{member} and the other{at % 977} words of text {at % 13}" for at, member in enumerate(members[:8_000].tolist())]
    _measured("names of 40 groups, 8,000 documents", lambda: cluster_labels(members[:8_000], texts))


def _neighbours(points: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(len(points), DIMENSION)).astype("f4")
    vectors[:, :2] += points * 4
    _measured(f"trust of all, {DIMENSION} dimensions", lambda: trust(vectors, points), rounds=1)
    known = vectors[:20_000]
    _measured("50,000 placed among 20,000", lambda: placed(known, points[:20_000], vectors[-50_000:]), rounds=1)
    block = rng.random((500, 20_000), np.float32)
    _measured(
        "15 smallest of 20,000, 500 times", lambda: smallest(block, 15)[1], lambda: np.sort(np.partition(block, 14, axis=1)[:, :15], axis=1)
    )


def _measured(task: str, ours: Callable[[], _Answer], plain: Callable[[], object] | None = None, rounds: int = ROUNDS) -> _Answer:
    answer, seconds, processor = _timed(ours, rounds)
    if plain is None:
        print(f"| {task} | {seconds * 1000:.1f} | {processor * 1000:.1f} | | |")
        return answer
    reference, longer, _ = _timed(plain, 1)
    np.testing.assert_array_equal(answer, reference)
    print(f"| {task} | {seconds * 1000:.1f} | {processor * 1000:.1f} | {longer * 1000:.1f} | {longer / seconds:.1f}x |")
    return answer


def _timed(work: Callable[[], _Answer], rounds: int) -> tuple[_Answer, float, float]:
    taken = []
    for _ in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        answer = work()
        taken.append((time.perf_counter() - start, time.process_time() - used))
    seconds, processor = (min(column) for column in zip(*taken, strict=True))
    return answer, seconds, processor


def _even_odd(points: npt.NDArray[np.float32], polygon: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Test every point against every edge."""
    x, y = points.astype(np.float64).T
    inside = np.zeros(len(points), np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return np.flatnonzero(inside)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
