"""A map in a real page: where a point of the data is on the screen, what colour is there, how a hand draws a lasso."""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chroma_nb.widgets.map import MapWidget
    from tests.widgets.bridge import Bridge

Pixel = tuple[float, float]


STILL = """(root) => {
    const now = `${root.dataset.drawn} ${root.dataset.moving} ${root.dataset.view}`;
    root.stillFor = root.seenLast === now && now.startsWith("true false") ? (root.stillFor ?? 0) + 1 : 0;
    root.seenLast = now;
    return root.stillFor >= 4;
}"""
"""Whether a map has looked the same, and been at rest, for some moments."""


class MapPage:
    """One view of a map."""

    def __init__(self, bridge: Bridge, widget: MapWidget, *, view: int = 0) -> None:
        self.bridge = bridge
        self.page = bridge.page
        self.widget = widget
        bridge.show(widget)
        self.root = self.page.locator(".cnb-map").nth(view)
        self.stage = self.root.locator(".cnb-map-stage")
        self.settled()

    def data(self, name: str) -> str:
        return str(self.root.get_attribute(f"data-{name}"))

    def wait(self, name: str, value: object) -> None:
        """Wait until the page says so of itself."""
        self.page.wait_for_function(
            "([root, name, value]) => root.getAttribute('data-' + name) === value", arg=[self.root.element_handle(), name, str(value)]
        )

    def settled(self) -> None:
        """Wait until nothing moves and everything that was set has arrived."""
        self.wait("points", len(self.widget._drawing.cloud))
        # A view may get its size, and with it another look, after it was first drawn.
        self.page.wait_for_function(STILL, arg=self.root.element_handle(), polling=40)

    @property
    def box(self) -> dict[str, float]:
        box: dict[str, float] = self.stage.bounding_box()
        return box

    def pixels(self, places: Any) -> Any:
        """Return where places of the data (n, 2 or 3) are, in pixels of the stage, as the page itself says it looks at them."""
        view = np.array(self.data("view").split(" "), float).reshape(4, 4)
        points = np.asarray(places, float)
        full = np.column_stack([points, np.zeros((len(points), 3 - points.shape[1])), np.ones(len(points))])
        seen = full @ view.T
        clip = seen[:, :2] / seen[:, 3:]
        return (clip * [1, -1] + 1) / 2 * [self.box["width"], self.box["height"]]

    def shot(self) -> Any:
        """Return the stage as it is seen, (height, width, 3). The graphics card has no complaint about what it was given."""
        errors = self.root.evaluate("(root) => root.querySelector('canvas').getContext('webgl2')?.getError() ?? 0")
        assert errors == 0, errors
        return np.asarray(Image.open(io.BytesIO(self.stage.screenshot())).convert("RGB")).astype(int)

    def color_at(self, pixel: Pixel) -> tuple[int, ...]:
        image = self.shot()
        return tuple(image[round(pixel[1]), round(pixel[0])].tolist())

    @contextmanager
    def holding(self, *keys: str) -> Iterator[None]:
        for key in keys:
            self.page.keyboard.down(key)
        yield
        for key in keys:
            self.page.keyboard.up(key)

    def move(self, pixel: Pixel) -> None:
        self.page.mouse.move(self.box["x"] + pixel[0], self.box["y"] + pixel[1])

    def drag(self, pixels: Sequence[Pixel]) -> None:
        """Press at the first of these and let go at the last."""
        self.move(pixels[0])
        self.page.mouse.down()
        for pixel in pixels[1:]:
            self.move(pixel)
        self.page.mouse.up()

    def click(self, pixel: Pixel) -> None:
        self.move(pixel)
        self.page.mouse.down()
        self.page.mouse.up()

    def inside(self, places: Any, polygon: Sequence[Pixel]) -> Any:
        """Return which places are inside a polygon of pixels: even-odd, point by point and edge by edge."""
        corners = np.array(polygon, float)
        x, y = self.pixels(places).T
        inside = np.zeros(len(x), bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 != y1:
                crossed = ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
                inside ^= crossed
        return np.flatnonzero(inside)


def circle(x: float, y: float, radius: float, corners: int = 24) -> list[Pixel]:
    """Return a lasso around a pixel."""
    return [(x + radius * math.cos(2 * math.pi * i / corners), y + radius * math.sin(2 * math.pi * i / corners)) for i in range(corners)]
