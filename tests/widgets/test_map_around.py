"""What stands around the points in a real browser: controls, legend, status, tooltips; and texts that try to be more than text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from chroma_nb.viz.color import Coloring, Group, coloring
from chroma_nb.widgets.map import MapWidget
from chroma_nb.widgets.map_parts import Control, Shown
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown
from tests.widgets.map_rig import MapPage

if TYPE_CHECKING:
    from tests.widgets.bridge import Bridge

pytestmark = pytest.mark.browser

POINTS = np.array([[0, 0], [2, 0], [1, 1]], np.float32)

CONTROLS = [
    Control("ask", "Ask", "text", placeholder="Ask a question"),
    Control("color", "Colour by", "select", [(None, "nothing"), ("year", "year")], None, group="looks"),
    Control("deep", "3-D", "toggle", value=False, group="looks"),
    Control("save", "Keep", "button"),
]


@pytest.fixture
def shown(bridge: Bridge) -> MapPage:
    widget = MapWidget(height=400)
    widget.set_points(POINTS)
    widget.set_controls(CONTROLS)
    return MapPage(bridge, widget)


def test_controls_tell_and_follow(shown: MapPage) -> None:
    heard: list[Any] = []
    shown.widget.on_control(lambda name, value: heard.append((name, value)))
    control = shown.root.locator(".cnb-map-controls [data-control]")
    control.nth(1).select_option("1")
    control.nth(2).click()
    shown.page.wait_for_selector("[data-control=deep][aria-pressed=true]")
    control.nth(2).click()
    control.nth(3).click()
    control.nth(0).fill("which?")
    control.nth(0).press("Enter")
    shown.bridge.until(lambda: len(heard) == 5)
    assert heard == [("color", "year"), ("deep", True), ("deep", False), ("save", None), ("ask", "which?")]

    shown.widget.set_control("color", None)
    shown.page.wait_for_function("document.querySelector('[data-control=color]').value === '0'")
    # Other choices are another row, but whoever types goes on typing.
    control.nth(0).focus()
    shown.widget.set_controls([CONTROLS[0], Control("color", "Colour by", "select", ["topic", "year", "length"], "length")])
    shown.page.wait_for_function("document.querySelectorAll('[data-control]').length === 2")
    assert control.nth(1).input_value() == "2"
    assert shown.page.evaluate("document.activeElement.dataset.control") == "ask"


def test_typing_a_question_moves_no_map(shown: MapPage) -> None:
    before = shown.data("view")
    box = shown.root.locator("[data-control=ask]")
    box.focus()
    shown.page.keyboard.type("lbd+0 n")
    shown.settled()
    assert box.input_value() == "lbd+0 n"
    assert (shown.data("tool"), shown.data("density"), shown.data("view")) == ("pan", "false", before)


def test_status_progress_details_and_news(shown: MapPage) -> None:
    acted: list[str] = []
    shown.widget.on_action(acted.append)
    shown.widget.set_status("UMAP", 0.25, detail="recall 0.81")
    bar = shown.root.get_by_role("progressbar")
    shown.page.wait_for_selector(".cnb-map-progress[aria-valuenow='25']")
    detail = shown.root.locator(".cnb-map-detail")
    assert detail.is_hidden()
    shown.root.get_by_role("button", name="Details").click()
    assert detail.inner_text() == "recall 0.81"
    shown.widget.set_status("done")
    shown.page.wait_for_selector(".cnb-map-progress[data-shown=false]", state="attached")
    assert bar.get_attribute("aria-valuenow") is None
    assert detail.is_hidden()

    shown.widget.set_stale("12 records are new", "Place them")
    shown.root.get_by_role("button", name="Place them").click()
    shown.bridge.until(lambda: bool(acted))
    assert acted == ["Place them"]
    shown.widget.set_stale(None)
    shown.root.locator(".cnb-map-stale").wait_for(state="hidden")


def test_a_failure_is_said_where_one_looks(shown: MapPage) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no such record")

    shown.widget.on_click(fails)
    shown.click(tuple(shown.pixels(POINTS)[1]))
    shown.page.wait_for_function("document.querySelector('.cnb-map-status-text').textContent === 'ValueError: no such record'")


def test_height_and_density_are_state_of_the_widget(shown: MapPage) -> None:
    assert shown.box["height"] == 400
    grip = shown.root.locator(".cnb-map-grip").bounding_box()
    middle = (grip["x"] + grip["width"] / 2, grip["y"] + 4)
    shown.page.mouse.move(*middle)
    shown.page.mouse.down()
    shown.page.mouse.move(middle[0], middle[1] + 90)
    shown.page.mouse.up()
    shown.bridge.until(lambda: shown.widget.height == 490)
    assert shown.widget.height == shown.box["height"] == 490
    shown.widget.height = 300
    shown.page.wait_for_function("document.querySelector('.cnb-map-stage').clientHeight === 300")

    shown.stage.focus()
    shown.page.keyboard.press("d")
    shown.wait("pictures", 1)
    assert shown.widget.density is True
    shown.settled()
    pixel = shown.pixels(POINTS)[1]
    image = shown.shot()
    # A soft spot instead of a point: it is still there twelve pixels away.
    assert image[round(pixel[1]), round(pixel[0]) + 12].min() < 225
    shown.widget.density = False
    shown.wait("density", "false")
    shown.settled()
    assert shown.shot()[round(pixel[1]), round(pixel[0]) + 12].min() == 255


def test_the_map_is_saved_as_a_picture_with_its_legend(shown: MapPage) -> None:
    shown.widget.set_coloring(coloring(pd.Series(["a", "b", "c"])), "letter")
    shown.page.wait_for_selector(".cnb-map-entry")
    shown.settled()
    with shown.page.expect_download() as saved:
        shown.root.get_by_role("button", name="Save as PNG").click()
    assert saved.value.suggested_filename == "map.png"
    image = np.asarray(Image.open(saved.value.path()).convert("RGB")).astype(int)
    assert image.shape[0] == 400
    for pixel, color in zip(shown.pixels(POINTS), ((66, 105, 208), (239, 163, 24), (255, 107, 87)), strict=True):
        assert np.abs(image[round(pixel[1]), round(pixel[0])] - color).max() < 40
        # The same colour once more, in the legend.
        assert (np.abs(image[:, -200:] - color).max(axis=2) < 12).any()


@pytest.mark.parametrize("width", [520, 900, 1600])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_overflows(bridge: Bridge, width: int, theme: str) -> None:
    bridge.page.set_viewport_size({"width": width, "height": 800})
    bridge.theme(theme)
    widget = MapWidget(height=400)
    widget.set_points(POINTS)
    widget.set_controls(CONTROLS)
    widget.set_coloring(coloring(pd.Series(["a" * 150, "b", "c"])), "title " * 40)
    widget.set_status("s" * 400)
    widget.set_stale("news " * 20, "Do it")
    shown = MapPage(bridge, widget)
    shown.page.wait_for_selector(".cnb-map-entry")
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    outside = shown.root.evaluate(
        """(root) => {
            const right = root.getBoundingClientRect().right + 1;
            const beyond = (each) => each.getBoundingClientRect().right > right;
            return [...root.querySelectorAll('*')].filter(beyond).map((each) => each.className);
        }"""
    )
    assert outside == []


def test_hostile_texts_are_shown_as_texts(shown: MapPage) -> None:
    texts = [text for text in PAYLOADS if len(text) < 200]
    assert len(texts) >= 60
    groups = tuple(Group(text, np.array([0]) if at == 0 else np.array([], np.intp), "#123456") for at, text in enumerate(texts))
    shown.widget.set_coloring(Coloring(groups), texts[0])
    shown.page.wait_for_function("(n) => document.querySelectorAll('.cnb-map-entry').length === n", arg=len(texts))
    names = shown.root.locator(".cnb-map-name").evaluate_all("(all) => all.map((each) => each.textContent)")
    assert names == [as_shown(text) for text in texts]

    shown.widget.set_labels([(text, (1.0, 0.5)) for text in PAYLOADS])
    tip = shown.root.locator(".cnb-map-tip")
    shown.settled()
    pixels = shown.pixels(POINTS)
    for at, text in enumerate(PAYLOADS):
        shown.widget.on_hover(lambda _, text=text: Shown(text, text, [(text, text)]))  # type: ignore[misc]
        shown.widget.set_points(POINTS, animate=False)  # another layout: what was said of a point is forgotten
        shown.widget.set_query((1.0, 0.5), [2], [0.5], label=text)
        shown.widget.set_stale(text, text[:100] or "do")
        shown.widget.set_status(text, detail=text)
        shown.page.wait_for_function(
            "(status) => document.querySelector('.cnb-map-status-text').textContent === status", arg=as_shown(text[:300])
        )
        shown.move(tuple(pixels[at % 2]))
        cut = text[:300]
        if cut:
            shown.page.wait_for_function(
                "(title) => document.querySelector('.cnb-map-tip-title')?.textContent === title", arg=as_shown(cut)
            )
            assert tip.locator("dd").last.text_content() == as_shown(cut)
        assert shown.root.locator(".cnb-map-detail").text_content() == as_shown(text[:5000])
        assert shown.root.locator(".cnb-map-stale span").text_content() == as_shown(text[:300])
        shown.move((5, 300))
    shown.widget.set_controls([Control(text, text, "select", [text], text, text) for text in texts])
    shown.page.wait_for_function("(n) => document.querySelectorAll('[data-control]').length === n", arg=len(texts))
    options = shown.root.locator("option").evaluate_all("(all) => all.map((each) => each.textContent)")
    assert options == [as_shown(text) for text in texts]
    assert shown.page.evaluate(EXECUTED) is None
    assert shown.root.locator("script, img, iframe, object, embed, svg script, a, base, meta, link, form").count() == 0
