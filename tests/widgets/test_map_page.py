"""The map in a real browser: what is drawn where, and what hands and keys do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb.viz.color import PALETTE, coloring
from chroma_nb.viz.raster import rgb
from chroma_nb.widgets.map import MapWidget
from chroma_nb.widgets.map_parts import Shown
from tests.widgets.map_rig import MapPage, circle

if TYPE_CHECKING:
    from tests.widgets.bridge import Bridge

pytestmark = pytest.mark.browser

CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [0, 0]], np.float32)
COLORS = [tuple(color) for color in rgb(PALETTE).tolist()]


def spread(n: int = 3000, dimensions: int = 2, seed: int = 3) -> Any:
    return np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 40) -> bool:
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= tolerance


def same_hue(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a colour is another mixed with some white, as things far away are."""
    one, other = 255 - np.array(found), 255 - np.array(wanted)
    return bool(one @ other > 0.98 * np.linalg.norm(one) * np.linalg.norm(other))


@pytest.fixture
def five(bridge: Bridge) -> MapPage:
    """Five points in the colours of five groups."""
    widget = MapWidget(height=420)
    widget.set_points(CORNERS)
    widget.set_coloring(coloring(pd.Series(list("abcde"))), "letter")
    return MapPage(bridge, widget)


def test_points_are_where_and_as_they_should_be(five: MapPage) -> None:
    image = five.shot()
    for (x, y), color in zip(five.pixels(CORNERS), COLORS[:5], strict=True):
        assert near(tuple(image[round(y), round(x)]), color)
    x, y = five.pixels([[0.5, 0.5]])[0]
    assert tuple(image[round(y), round(x)]) == (255, 255, 255)
    five.bridge.theme("dark")
    five.page.wait_for_selector("[data-theme=dark]")
    five.settled()
    assert five.color_at((x, y)) == (22, 25, 29)
    assert near(five.color_at(tuple(five.pixels(CORNERS)[2])), COLORS[2])


def test_a_scale_gives_the_colours_of_its_ends(five: MapPage) -> None:
    five.widget.set_coloring(coloring(pd.Series([0.0, 1.0, 2.0, 3.0, np.nan])), "size")
    five.page.wait_for_selector(".cnb-map-bar")
    five.settled()
    pixels = five.pixels(CORNERS)
    assert near(five.color_at(tuple(pixels[0])), (67, 97, 220))
    assert near(five.color_at(tuple(pixels[3])), (242, 207, 82))
    assert near(five.color_at(tuple(pixels[4])), (195, 200, 207))
    assert five.page.locator(".cnb-map-tick").all_inner_texts() == ["0", "1", "2", "3"]


def test_points_glide_to_their_new_places(five: MapPage) -> None:
    five.widget.set_points(CORNERS[::-1] * 7, animate=True)
    five.wait("moving", "true")
    five.wait("moving", "false")
    assert near(five.color_at(tuple(five.pixels([[7, 7]])[0])), COLORS[2])
    assert near(five.color_at(tuple(five.pixels([[0, 0]])[0])), COLORS[0])
    deep = np.column_stack([CORNERS, [1, -1, 1, -1, 0]]).astype(np.float32)
    five.widget.set_points(deep)
    five.wait("moving", "true")
    five.wait("moving", "false")
    for place, color in zip(deep, COLORS[:5], strict=True):
        assert same_hue(five.color_at(tuple(five.pixels([place])[0])), color)


def test_who_wants_no_motion_sees_none(bridge: Bridge) -> None:
    bridge.page.emulate_media(reduced_motion="reduce")
    widget = MapWidget(height=420)
    widget.set_points(CORNERS)
    shown = MapPage(bridge, widget)
    shown.page.evaluate("""() => {
        const root = document.querySelector('.cnb-map');
        window.moved = 0;
        const seen = () => (window.moved += root.dataset.moving === 'true');
        new MutationObserver(seen).observe(root, { attributes: true, attributeFilter: ['data-moving'] });
    }""")
    before = shown.data("view")
    widget.set_points(CORNERS * 3)
    shown.page.wait_for_function("(before) => document.querySelector('.cnb-map').dataset.view !== before", arg=before)
    assert shown.page.evaluate("window.moved") == 0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_lasso_selects_exactly_what_is_inside(bridge: Bridge, dimensions: int) -> None:
    points = spread(dimensions=dimensions)
    widget = MapWidget(height=420)
    widget.set_points(points)
    shown = MapPage(bridge, widget)
    for _ in range(2):
        shown.page.keyboard.press("l")
        shown.root.locator("[data-name=lasso]").click()
        lasso = [(400.0, 120.0), (600.0, 90.0), (660.0, 300.0), (520.0, 200.0), (380.0, 310.0), (500.0, 150.0)]
        wanted = shown.inside(points, lasso)
        shown.drag(lasso)
        shown.wait("selected", len(wanted))
        assert 0 < len(wanted) < len(points)
        assert widget.selected.tolist() == wanted.tolist()
        shown.page.keyboard.press("Escape")
        shown.wait("selected", 0)
        # Once more, from nearer and from elsewhere.
        shown.root.locator("[data-name=pan]").click()
        shown.drag([(500, 200), (540, 230), (560, 170)])
        with shown.holding("Control"):
            shown.page.mouse.wheel(0, -300)
        shown.settled()


def test_shift_adds_alt_removes_and_a_box_is_a_region_too(bridge: Bridge) -> None:
    points = spread()
    widget = MapWidget(height=420)
    widget.set_points(points)
    heard: list[tuple[str, int]] = []
    widget.on_select(lambda rows, mode: heard.append((mode, len(rows))))
    widget.on_select(lambda rows, mode: widget.set_selection(apply(widget.selected, rows, mode)))
    shown = MapPage(bridge, widget)
    first, second = circle(480, 200, 90), circle(600, 220, 80)
    one, other = (shown.inside(points, each) for each in (first, second))
    assert len(np.intersect1d(one, other))

    shown.root.locator("[data-name=lasso]").click()
    shown.drag(first)
    shown.wait("selected", len(one))
    shown.root.locator("[data-name=pan]").click()
    with shown.holding("Shift"):
        shown.drag(second)
    shown.wait("selected", len(np.union1d(one, other)))
    with shown.holding("Alt"):
        shown.drag(first)
    shown.wait("selected", len(np.setdiff1d(other, one)))
    assert widget.selected.tolist() == np.setdiff1d(other, one).tolist()

    shown.root.locator("[data-name=box]").click()
    box = [(400.0, 100.0), (560.0, 100.0), (560.0, 260.0), (400.0, 260.0)]
    boxed = shown.inside(points, box)
    shown.drag([box[0], box[2]])
    shown.wait("selected", len(boxed))
    assert widget.selected.tolist() == boxed.tolist()
    assert [mode for mode, _ in heard] == ["replace", "add", "remove", "replace"]
    assert shown.root.locator(".cnb-map-readout").inner_text() == f"{len(boxed):,} of 3,000 selected"
    shown.root.get_by_role("button", name="Clear").click()
    shown.wait("selected", 0)


def apply(before: Any, rows: Any, mode: str) -> Any:
    return {"replace": lambda: rows, "add": lambda: np.union1d(before, rows), "remove": lambda: np.setdiff1d(before, rows)}[mode]()


def test_what_is_not_selected_is_dimmed(five: MapPage) -> None:
    five.widget.set_selection([1])
    five.wait("selected", 1)
    five.settled()
    pixels = five.pixels(CORNERS)
    assert near(five.color_at(tuple(pixels[1])), COLORS[1])
    assert min(five.color_at(tuple(pixels[0]))) > 120
    five.widget.set_selection([])
    five.widget.set_highlight([0])
    five.wait("matching", 1)
    five.settled()
    assert near(five.color_at(tuple(pixels[0])), COLORS[0])
    assert min(five.color_at(tuple(pixels[2]))) > 120
    assert "1 matches" in five.root.locator(".cnb-map-readout").inner_text()
    five.widget.set_highlight(None)
    five.wait("matching", "")
    five.settled()
    assert near(five.color_at(tuple(pixels[2])), COLORS[2])


def test_hovering_asks_once_and_clicking_tells(five: MapPage) -> None:
    asked: list[int] = []
    clicked: list[tuple[int | None, set[str]]] = []

    def known(row: int) -> Shown:
        asked.append(row)
        return Shown(f"record {row}", "text " * 200, [("year", "1999")])

    five.widget.on_hover(known)
    five.widget.on_click(lambda row, keys: clicked.append((row, keys)))
    tip = five.root.locator(".cnb-map-tip")
    pixels = five.pixels(CORNERS)
    for offset in (0, 1, 2, 1):
        five.move((pixels[2][0] + offset, pixels[2][1]))
        five.page.wait_for_timeout(100)
    tip.wait_for(state="visible")
    assert tip.locator(".cnb-map-tip-title").inner_text() == "record 2"
    assert tip.locator("dd").all_inner_texts() == ["1999"]
    assert len(tip.locator(".cnb-map-tip-text").inner_text()) == 301
    five.move((pixels[2][0] + 100, pixels[2][1] - 10))
    tip.wait_for(state="hidden")
    five.move(tuple(pixels[2]))
    tip.wait_for(state="visible")
    assert asked == [2]

    five.click(tuple(pixels[3]))
    with five.holding("Shift"):
        five.click(tuple(pixels[0]))
    five.click((pixels[4][0] + 60, pixels[4][1]))
    five.bridge.until(lambda: len(clicked) == 3)
    assert clicked == [(3, set()), (0, {"shift"}), (None, set())]


def test_the_legend_selects_a_group_and_shows_it_alone(bridge: Bridge) -> None:
    points = spread(200)
    letters = np.array(list("abbccc"))[np.arange(200) % 6]
    widget = MapWidget(height=420)
    widget.set_points(points)
    widget.set_coloring(coloring(pd.Series(letters)), "letter")
    shown = MapPage(bridge, widget)
    entries = shown.root.locator(".cnb-map-entry")
    assert entries.locator(".cnb-map-name").all_inner_texts() == ["c", "b", "a"]
    entries.nth(1).click()
    shown.wait("selected", int((letters == "b").sum()))
    entries.nth(2).click(modifiers=["Shift"])
    shown.wait("selected", int((letters != "c").sum()))
    entries.nth(1).click(modifiers=["Alt"])
    shown.wait("selected", int((letters == "a").sum()))
    assert widget.selected.tolist() == np.flatnonzero(letters == "a").tolist()


def test_a_query_is_joined_to_its_hits(five: MapPage) -> None:
    five.widget.set_query((0.0, 0.5), [4, 2, 3], [0.125, 0.25, 0.5], label="a question")
    five.wait("hits", 3)
    five.settled()
    hit = (228, 87, 46)
    for row in (4, 2, 3):
        start, end = five.pixels([[0.0, 0.5], CORNERS[row]])
        image = five.shot()
        x, y = np.rint(start + (end - start) * 0.5).astype(int)
        around = image[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
        assert min(int(np.abs(color - hit).max()) for color in around) < 90, row
    assert near(five.color_at(tuple(five.pixels([[0.0, 0.5]])[0])), hit)

    tip = five.root.locator(".cnb-map-tip")
    five.move(tuple(five.pixels(CORNERS)[2]))
    tip.wait_for(state="visible")
    assert tip.locator("dd").all_inner_texts() == ["2 of 3", "0.25"]
    # By keys, hit after hit.
    five.move((5, 5))
    five.stage.focus()
    for rank in ("1 of 3", "2 of 3", "3 of 3", "1 of 3"):
        five.page.keyboard.press("n")
        five.page.wait_for_function("(rank) => document.querySelector('.cnb-map-tip dd')?.textContent === rank", arg=rank)
    five.widget.set_query(None)
    five.wait("hits", 0)


def test_labels_give_way_and_come_back_as_one_zooms_in(five: MapPage) -> None:
    five.widget.set_labels([(f"a label of some length {i}", (0.02 * i, 0.01 * i)) for i in range(30)])
    five.page.wait_for_function("Number(document.querySelector('.cnb-map').dataset.labels) > 0")
    five.settled()
    few = int(five.data("labels"))
    five.stage.focus()
    for _ in range(4):
        five.page.keyboard.press("+")
        five.settled()
    assert 1 <= few < int(five.data("labels")) <= 30


def test_two_fingers_zoom_and_move(five: MapPage) -> None:
    start = five.pixels(CORNERS)
    session = five.page.context.new_cdp_session(five.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    box = five.box

    def touch(kind: str, *pixels: tuple[float, float]) -> None:
        points = [{"x": box["x"] + x, "y": box["y"] + y, "id": at} for at, (x, y) in enumerate(pixels)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (400, 200), (500, 200))
    for step in range(1, 11):
        touch("touchMove", (400 - 10 * step, 200 + 2 * step), (500 + 10 * step, 200 + 2 * step))
    touch("touchEnd")
    five.settled()
    after = five.pixels(CORNERS)
    assert np.ptp(after, axis=0) == pytest.approx(3 * np.ptp(start, axis=0), rel=0.02)
    # What was between the fingers is between them.
    assert 450 + 3 * (start[4] - [450, 200])[0] == pytest.approx(after[4][0], abs=3)


def test_the_wheel_turns_the_page_until_the_map_is_meant(five: MapPage) -> None:
    before = five.data("view")
    five.move((500, 200))
    five.page.mouse.wheel(0, -100)
    five.root.locator(".cnb-map-hint[data-shown]").wait_for()
    five.settled()
    assert five.data("view") == before
    with five.holding("Control"):
        five.page.mouse.wheel(0, -100)
    five.page.wait_for_function("(before) => document.querySelector('.cnb-map').dataset.view !== before", arg=before)
    zoomed = five.data("view")
    five.stage.focus()
    five.page.mouse.wheel(0, -100)
    five.page.wait_for_function("(before) => document.querySelector('.cnb-map').dataset.view !== before", arg=zoomed)


def test_zooming_keeps_what_is_under_the_pointer(five: MapPage) -> None:
    x, y = five.pixels(CORNERS)[2]
    five.stage.focus()
    five.move((x, y))
    before = np.ptp(five.pixels(CORNERS), axis=0)
    five.page.mouse.wheel(0, -400)
    five.page.wait_for_timeout(100)
    five.settled()
    # A wheel is somewhere in whole pixels only, which the zoom makes more of.
    assert np.ptp(five.pixels(CORNERS), axis=0) == pytest.approx(before * np.exp(0.8))
    assert five.pixels(CORNERS)[2] == pytest.approx([x, y], abs=2.5)
    five.page.mouse.dblclick(five.box["x"] + x, five.box["y"] + y)
    five.settled()
    assert np.ptp(five.pixels(CORNERS), axis=0) == pytest.approx(before * np.exp(0.8) * 2)
    assert five.pixels(CORNERS)[2] == pytest.approx([x, y], abs=5)


def test_keys_do_what_the_mouse_does(five: MapPage) -> None:
    five.stage.focus()
    start = five.pixels(CORNERS)
    for key, moved in (("ArrowLeft", [50, 0]), ("ArrowUp", [50, 50]), ("ArrowRight", [0, 50]), ("ArrowDown", [0, 0])):
        five.page.keyboard.press(key)
        five.settled()
        assert five.pixels(CORNERS) == pytest.approx(start + moved, abs=0.01), key
    five.page.keyboard.press("+")
    five.settled()
    assert np.ptp(five.pixels(CORNERS)[:, 0]) == pytest.approx(1.4 * np.ptp(start[:, 0]))
    five.page.keyboard.press("0")
    five.settled()
    assert five.pixels(CORNERS) == pytest.approx(start, abs=0.01)
    for key, tool in (("l", "lasso"), ("b", "box"), ("p", "pan")):
        five.page.keyboard.press(key)
        assert five.data("tool") == tool
        assert five.root.locator(f"[data-name={tool}]").get_attribute("aria-pressed") == "true"


def test_without_webgl_the_same_is_drawn_more_slowly(bridge: Bridge) -> None:
    bridge.page.evaluate("""() => {
        const real = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
            return kind === "webgl2" ? null : real.call(this, kind, ...more);
        };
    }""")
    widget = MapWidget(height=420)
    widget.set_points(CORNERS)
    widget.set_coloring(coloring(pd.Series(list("abcde"))), "letter")
    shown = MapPage(bridge, widget)
    assert shown.data("renderer") == "2d"
    for pixel, color in zip(shown.pixels(CORNERS), COLORS[:5], strict=True):
        assert near(shown.color_at(tuple(pixel)), color)
    with shown.holding("Shift"):
        shown.drag(circle(*shown.pixels(CORNERS)[1], 60))
    shown.wait("selected", 1)
    assert widget.selected.tolist() == [1]
    assert "without WebGL2" in shown.root.locator(".cnb-map-readout").inner_text()


def test_a_lost_context_comes_back(five: MapPage) -> None:
    five.page.evaluate("""async () => {
        const canvas = document.querySelector('.cnb-map canvas'), lost = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
        const back = new Promise((resolve) => canvas.addEventListener('webglcontextrestored', resolve));
        lost.loseContext();
        await new Promise((resolve) => setTimeout(resolve, 100));
        lost.restoreContext();
        await back;
    }""")
    five.settled()
    for pixel, color in zip(five.pixels(CORNERS), COLORS[:5], strict=True):
        assert near(five.color_at(tuple(pixel)), color)


def test_two_views_show_one_map_and_a_closed_one_leaves_nothing(five: MapPage) -> None:
    five.widget.set_selection([1, 2])
    five.widget.set_query((0.0, 0.0), [4, 2], [0.1, 0.2])
    second = MapPage(five.bridge, five.widget, view=1)
    for each in (five, second):
        each.wait("selected", 2)
        each.wait("hits", 2)
    five.widget.set_selection([3])
    for each in (five, second):
        each.wait("selected", 1)
    context = five.page.evaluate_handle("document.querySelectorAll('.cnb-map canvas')[2].getContext('webgl2')")
    five.page.evaluate("document.querySelectorAll('.cnb-map')[1].parentElement.dispatchEvent(new Event('unmount'))")
    assert context.evaluate("(context) => context.isContextLost()")
    assert five.page.locator(".cnb-map").count() == 1
    five.widget.set_selection([0, 1, 2])
    five.wait("selected", 3)


def test_a_view_shown_later_is_told_everything(bridge: Bridge) -> None:
    widget = MapWidget(height=420)
    first = MapPage(bridge, widget)
    assert first.root.locator(".cnb-map-empty").is_visible()
    widget.set_points(CORNERS)
    widget.set_selection([0, 4])
    widget.set_status("ready")
    first.settled()
    bridge.page.evaluate("document.querySelector('.cnb-map').parentElement.dispatchEvent(new Event('unmount'))")
    again = MapPage(bridge, widget)
    again.wait("selected", 2)
    assert again.root.locator(".cnb-map-status-text").inner_text() == "ready"
    assert again.root.locator(".cnb-map-empty").is_hidden()
