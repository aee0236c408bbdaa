"""The explorer as its user meets it: in JupyterLab, with a kernel, by mouse and by keys. One notebook, one explorer, several stories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.extension.rig import ROOT
from tests.lab.driver import Lab, LabMap
from tests.widgets.explored import by_words, records
from tests.widgets.map_rig import circle

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETUP = """import threading

import chroma_nb
from tests.widgets.explored import filled

collection = filled(chroma_nb.EphemeralClient())
explorer = collection.explore("topic", method="pca")
explorer"""
START_AGAIN = "explorer.where = explorer.where_document = None; explorer.forget(); explorer.clear()"
N = 600
LOOKS = """() => [...document.querySelectorAll(".cnb, .cnb *")].map((element) => {
  const style = getComputedStyle(element);
  const looks = ["display", "color", "background-color", "border", "border-radius", "padding", "margin", "font", "white-space", "opacity"];
  return [element.tagName, element.getAttribute("class"), ...looks.map((look) => style.getPropertyValue(look))].join(" | ");
})"""


class Explored:
    """An explorer in a notebook."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.page = lab, lab.page
        self.map = LabMap(lab)

    @property
    def selected(self) -> set[str]:
        """What the next cell finds in the variable, which is a data frame."""
        kind, ids = self.lab.value("[type(explorer.selection).__name__, explorer.selection.index.tolist()]")
        assert kind == "DataFrame"
        return set(ids)

    def places(self) -> tuple[list[str], Any]:
        """Return ids and where they are on the map, (n, 2)."""
        ids, rows = self.lab.value("[explorer.coordinates.index.tolist(), explorer.coordinates[['x', 'y']].to_numpy(float).tolist()]")
        return ids, np.array(rows)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def ask(self, question: str) -> None:
        self.page.get_by_label("Ask", exact=True).fill(question)
        self.page.get_by_label("Ask", exact=True).press("Enter")

    def shot(self, name: str) -> None:
        """Keep a picture of the page with the map in it."""
        self.map.settled()
        self.lab.screenshot(name)

    def wait_for_row(self, first: str) -> None:
        """Wait until the table begins with a record; it follows the map after a moment."""
        self.page.wait_for_function(
            "(first) => document.querySelector('.cnb-table tbody td:nth-child(2)')?.innerText.trim() === first", arg=first
        )

    def rows(self) -> list[str]:
        """Return the ids in the table."""
        found: list[str] = self.page.locator(".cnb-table tbody tr td:nth-child(2)").all_inner_texts()
        return [text.strip() for text in found]


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Iterator[Explored]:
    lab.notebook("explored.ipynb", [SETUP])
    lab.open("explored.ipynb")
    lab.run_all()
    made = Explored(lab)
    made.map.wait("points", N)
    lab.cell("explorer.wait()")
    yield made
    assert not lab.errors, lab.errors
    assert not [said for said in lab.dialogs if not said.startswith("beforeunload")]


@pytest.fixture
def explored(opened: Explored) -> Explored:
    opened.lab.cell(START_AGAIN)
    opened.map.wait("selected", 0)
    opened.map.wait("hits", 0)
    opened.map.root.locator("[data-name=pan]").click()
    opened.map.root.locator("[data-name=fit]").click()
    opened.map.settled()
    return opened


def nearest(question: str, count: int) -> list[str]:
    """Return the ids of the records nearest to a question, by the formula alone."""
    frame = records(N)
    distances = ((np.stack(frame["embedding"].to_numpy()) - by_words([question])[0]) ** 2).sum(axis=1)
    return frame.index[np.argsort(distances, kind="stable")[:count]].tolist()


def group_center(explored: Explored, topic: str) -> tuple[float, float]:
    """Return where on the map the records of a topic are, in pixels."""
    ids, places = explored.places()
    of_topic = (records(N).loc[ids, "topic"] == topic).to_numpy()
    x, y = np.median(explored.map.pixels(places[of_topic]), axis=0)
    return float(x), float(y)


def test_a_question_in_words_lights_up_its_hits(explored: Explored) -> None:
    shot = explored.map.shot()
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 50, "the map is blank"
    explored.ask("what the stars are made of")
    explored.map.wait("hits", 10)
    expected = nearest("what the stars are made of", 10)
    explored.page.get_by_role("tab", name="Hits").wait_for()
    explored.wait_for_row(expected[0])
    assert explored.rows() == expected
    assert explored.lab.value("explorer.hits['id'].tolist()") == expected
    explored.shot("explorer_light")


def test_what_a_lasso_holds_is_a_data_frame_in_the_next_cell(explored: Explored) -> None:
    ids, places = explored.places()
    cats, rain = group_center(explored, "cats"), group_center(explored, "rain")

    def inside(polygon: list[tuple[float, float]]) -> set[str]:
        return {ids[row] for row in explored.map.inside(places, polygon)}

    explored.map.root.locator("[data-name=lasso]").click()
    first = circle(cats[0] - 6, cats[1] + 4, 17)
    expected = inside(first)
    assert 0 < len(expected) < 120, "the loop should cut through a group"
    explored.map.lasso(first)
    explored.map.wait("selected", len(expected))
    assert explored.selected == expected

    added = circle(rain[0], rain[1], 21)
    expected |= inside(added)
    explored.map.lasso(added, "Shift")
    explored.map.wait("selected", len(expected))
    assert explored.selected == expected

    removed = circle(cats[0], cats[1], 11)
    expected -= inside(removed)
    explored.map.lasso(removed, "Alt")
    explored.map.wait("selected", len(expected))
    assert explored.selected == expected
    assert explored.page.get_by_role("tab", name=f"Selection {len(expected)}").is_visible()
    explored.lab.cell("explorer.selection")
    explored.shot("explorer_selection")


def test_a_click_on_a_point_opens_its_record(explored: Explored) -> None:
    ids, places = explored.places()
    pixels = explored.map.pixels(places)
    # The one whose neighbours are farthest, so that a click cannot mean another.
    apart = (np.hypot(*(pixels[:, None] - pixels[None]).transpose(2, 0, 1)) + np.eye(N) * 1e9).min(axis=1)
    row = int(apart.argmax())
    explored.map.settled()
    explored.map.click(pixels[row])
    panel = explored.page.locator(".cnb-detail")
    panel.locator(".cnb-detail-id", has_text=ids[row]).wait_for()
    assert panel.locator(".cnb-detail-text").inner_text() == records(N).loc[ids[row], "document"]
    assert explored.selected == {ids[row]}
    explored.shot("explorer_record")


def test_a_filter_is_clicked_together_and_its_code_runs_in_a_cell(explored: Explored) -> None:
    page = explored.page
    explored.tab("Filter")
    builder = page.locator(".cnb-builder")
    builder.get_by_role("button", name="+ Condition").click()
    offered = page.locator(".cnb-builder-item[role=option]")
    offered.filter(has_text=re.compile("^topic")).click()
    offered.filter(has_text=re.compile("^rain")).click()
    builder.get_by_role("button", name="+ Condition").click()
    page.keyboard.type("year")
    page.keyboard.press("Enter")
    builder.get_by_role("textbox", name="from").fill("2010")
    frame = records(N)
    expected = frame.index[(frame["topic"] == "rain") & (frame["year"] >= 2010)].tolist()
    builder.locator(".cnb-builder-count", has_text=f"{len(expected)} of {N}").wait_for()
    builder.get_by_role("button", name="Run", exact=True).click()
    explored.map.wait("matching", len(expected))
    explored.page.get_by_role("tab", name=f"Filter {len(expected)}").wait_for()
    builder.get_by_role("button", name="Copy as code").click()
    page.get_by_role("menuitem", name="Python (chroma_nb)").click()
    page.get_by_text("Copied", exact=True).wait_for()
    explored.shot("explorer_filter")
    code = page.evaluate("navigator.clipboard.readText()")
    explored.lab.cell(code)
    assert sorted(explored.lab.value("frame.index.tolist()")) == sorted(expected)


def test_the_widgets_follow_the_theme(explored: Explored) -> None:
    def seen() -> tuple[set[str], float]:
        themes = explored.page.eval_on_selector_all(".cnb", "(all) => all.map((each) => each.dataset.theme)")
        return set(themes), float(explored.map.shot().mean())

    try:
        explored.lab.theme("dark")
        themes, dark = seen()
        assert themes == {"dark"}
        explored.ask("bread for supper")
        explored.map.wait("hits", 10)
        explored.shot("explorer_dark")
    finally:
        explored.lab.theme("light")
    themes, light = seen()
    assert themes == {"light"}
    assert dark < 90
    assert light > 180


def test_keys_typed_in_the_explorer_are_no_commands_of_the_notebook(explored: Explored) -> None:
    page = explored.page
    before = explored.lab.sources()
    typed = "dd a b x z 00 ii"
    explored.tab("Filter")
    for label in ("Ask", "Find"):
        explored.lab.execute("notebook:enter-command-mode")
        box = page.get_by_label(label, exact=True)
        box.fill("")
        page.keyboard.type(typed)
        assert box.input_value() == typed
        box.fill("")
    explored.map.stage.focus()
    for key in "llbbpddxmy":
        page.keyboard.press(key)
    page.locator(".cnb-table tbody tr").first.focus()
    for key in "ddabx":
        page.keyboard.press(key)
    page.locator(".cnb-builder").get_by_role("button", name="Copy as code").focus()
    for key in "ddabx":
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert explored.lab.sources() == before
    assert explored.map.data("tool") == "pan", "the keys were the map's"


def test_a_question_is_answered_while_a_cell_runs(explored: Explored) -> None:
    running = explored.lab.start("ended = threading.Event()\nended.wait(600)\nprint('ended')")
    busy = explored.page.locator(".jp-InputPrompt", has_text="[*]")
    busy.wait_for()
    try:
        explored.ask("trains at night")
        explored.map.wait("hits", 10)
        assert busy.count() == 1
        expected = nearest("trains at night", 10)
        explored.wait_for_row(expected[0])
        assert explored.rows() == expected
    finally:
        explored.lab.execute("notebook:interrupt-kernel")
        explored.lab.wait_idle()
    with pytest.raises(Exception, match="KeyboardInterrupt"):
        explored.lab.output(running)


def test_a_second_view_shows_the_same(explored: Explored) -> None:
    page = explored.page
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    explored.lab.execute("notebook:create-output-view")
    second = page.locator(".jp-LinkedOutputView .cnb-map")
    second.wait_for()
    page.wait_for_function("(map) => map.dataset.points === '600'", arg=second.element_handle())
    explored.lab.screenshot("explorer_two_views")
    second.locator(".cnb-map-stage").focus()
    second.page.get_by_label("Ask", exact=True).nth(1).fill("cats")
    second.page.get_by_label("Ask", exact=True).nth(1).press("Enter")
    for view in page.locator(".cnb-map").all():
        page.wait_for_function("(map) => map.dataset.hits === '10'", arg=view.element_handle())
    page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")
    page.locator(".jp-LinkedOutputView").wait_for(state="detached")


def test_it_is_there_again_when_the_page_is_loaded_anew(explored: Explored) -> None:
    explored.lab.cell("explorer.select(collection.get(where={'topic': 'bread'}))")
    explored.map.wait("selected", 103)
    explored.lab.execute("docmanager:save")
    explored.page.reload()
    explored.lab.ready()
    explored.map.wait("points", N)
    explored.map.wait("selected", 103)
    explored.map.settled()
    assert len(explored.selected) == 103
    explored.ask("rain")
    explored.map.wait("hits", 10)


def test_it_looks_the_same_whatever_order_the_style_sheets_came_in(explored: Explored) -> None:
    """Every widget brings the common sheet, and the page may add one after the sheet of another."""
    explored.lab.cell("explorer.select(where={'topic': 'rain'}); explorer.keep('rain'); explorer.where = {'year': {'$gt': 2000}}")
    common = (ROOT / "chroma_nb" / "widgets" / "static" / "common.css").read_text("utf-8")
    for panel in ("Record", "Filter", "Selection"):
        explored.tab(panel)
        explored.page.mouse.move(0, 0)
        explored.map.settled()
        before = explored.page.evaluate(LOOKS)
        added = explored.page.add_style_tag(content=common)
        after = explored.page.evaluate(LOOKS)
        added.evaluate("(sheet) => sheet.remove()")
        assert len(before) > 100
        changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        assert not changed, "\n".join(changed[0])


def test_it_stays_readable_where_it_is_narrow(explored: Explored) -> None:
    page = explored.page
    size = page.viewport_size
    page.set_viewport_size({"width": 760, "height": 1250})
    try:
        page.wait_for_timeout(500)
        explored.map.settled()
        widths = page.eval_on_selector_all(
            ".cnb", "(all) => all.filter((each) => each.offsetParent).map((each) => [each.className, each.scrollWidth - each.clientWidth])"
        )
        assert [each for each in widths if each[1] > 1] == []
        explored.shot("explorer_narrow")
    finally:
        page.set_viewport_size(size)
