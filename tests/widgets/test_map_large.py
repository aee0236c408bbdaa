"""Maps of more points than a page gets: pictures from the kernel, a sample, and exact answers about all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from chroma_nb.viz.color import coloring
from chroma_nb.widgets.map import MapWidget
from chroma_nb.widgets.map_cloud import SAMPLE
from chroma_nb.widgets.map_parts import Shown
from tests.widgets.map_rig import MapPage, circle

if TYPE_CHECKING:
    from tests.widgets.bridge import Bridge

pytestmark = [pytest.mark.browser, pytest.mark.slow]

N = 300_000


@pytest.mark.parametrize("dimensions", [2, 3])
def test_three_hundred_thousand_points(bridge: Bridge, dimensions: int) -> None:
    rng = np.random.default_rng(11)
    points = rng.normal(size=(N, dimensions)).astype(np.float32)
    points[0] = 6.0  # a loner, whom one can point at
    widget = MapWidget(height=420)
    asked: list[int] = []

    def known(row: int) -> Shown:
        asked.append(row)
        return Shown(f"record {row}")

    widget.on_hover(known)
    widget.set_points(points)
    widget.set_coloring(coloring(pd.Series(np.where(points[:, 0] > 0, "right", "left"))), "side")
    shown = MapPage(bridge, widget)
    shown.wait("pictures", 1)
    shown.settled()
    assert int(shown.data("held")) == SAMPLE
    assert "sample" in shown.root.locator(".cnb-map-readout").inner_text()

    # Both colours are where they belong: few points, if any, are between them.
    middle = shown.pixels(np.zeros((1, dimensions)))[0]
    if dimensions == 2:
        image = shown.shot()
        left, right = (image[round(middle[1]), round(middle[0]) + shift] for shift in (-30, 30))
        assert np.abs(left - right).max() > 60

    shown.root.locator("[data-name=lasso]").click()
    lasso = circle(middle[0] + 10, middle[1] - 5, 60, 40)
    wanted = shown.inside(points, lasso)
    shown.drag(lasso)
    shown.wait("selected", len(wanted))
    assert widget.selected.tolist() == wanted.tolist()
    assert len(wanted) > SAMPLE / 10
    assert shown.root.locator(".cnb-map-readout").inner_text().startswith(f"{len(wanted):,} of 300,000 selected")
    shown.page.keyboard.press("Escape")
    shown.wait("selected", 0)

    # The pointer finds every point, not only those of the sample.
    shown.root.locator("[data-name=pan]").click()
    shown.move(tuple(shown.pixels(points[:1])[0]))
    shown.page.wait_for_function("document.querySelector('.cnb-map-tip-title')?.textContent === 'record 0'")
    assert asked[-1] == 0

    # What is nearer is painted anew.
    before = int(shown.data("pictures"))
    shown.move(tuple(middle))
    with shown.holding("Control"):
        shown.page.mouse.wheel(0, -300)
    shown.page.wait_for_function("(before) => Number(document.querySelector('.cnb-map').dataset.pictures) > before", arg=before)
    shown.settled()
    again = circle(*middle, 50, 30)
    wanted = shown.inside(points, again)
    with shown.holding("Shift"):
        shown.drag(again)
    shown.wait("selected", len(wanted))
    assert widget.selected.tolist() == wanted.tolist()
