"""The table in a real browser: what is seen, and what mouse and keys do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from chroma_nb.widgets.table import Column, FrameSource, TableWidget
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown

if TYPE_CHECKING:
    from tests.widgets.bridge import Bridge

pytestmark = pytest.mark.browser

FRAME = pd.DataFrame(
    {
        "document": [f"text of record {i}" for i in range(45)],
        "n": [(7 * i) % 11 for i in range(45)],
        "ok": pd.array([None if i % 4 == 0 else i % 3 == 0 for i in range(45)], "boolean"),
        "tags": [["a", "b"][: i % 3] for i in range(45)],
        "distance": np.linspace(0.25, 0.75, 45),
    },
    index=pd.Index([f"r{i}" for i in range(45)], name="id"),
)

CLIPBOARD = """Object.defineProperty(navigator, "clipboard", {
  value: { writeText: async (text) => { window.clip = text; } }, configurable: true,
})"""


class Shown:
    """A table in a page, and what a reader of it sees."""

    def __init__(self, bridge: Bridge, table: TableWidget) -> None:
        self.table = table
        self.page = bridge.page
        bridge.show(table)
        self.settled()

    def settled(self) -> None:
        self.page.wait_for_selector(".cnb-table:not([aria-busy])")
        self.page.wait_for_timeout(60)  # for what the kernel tells without being asked

    @property
    def ids(self) -> list[str]:
        self.settled()
        return [text.strip() for text in self.page.locator("tbody tr td.cnb-table-first").all_inner_texts()]

    @property
    def marked(self) -> list[str]:
        self.settled()
        return [text.strip() for text in self.page.locator("tbody tr[aria-selected=true] td.cnb-table-first").all_inner_texts()]

    @property
    def cursor(self) -> str:
        self.settled()
        return str(self.page.evaluate("document.activeElement.closest('tr')?.querySelector('.cnb-table-first')?.innerText"))

    def row(self, number: int) -> Any:
        return self.page.locator(f"tbody tr:nth-child({number + 1})")

    def header(self, name: str) -> Any:
        return self.page.locator("thead th").filter(has_text=re.compile(f"^{name}$"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.settled()


def expected_order(name: str, ascending: bool) -> list[str]:
    return FRAME.sort_values(name, ascending=ascending, kind="stable", na_position="last").index.tolist()


def test_a_header_sorts_up_then_down_then_not(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget(FrameSource(FRAME)))
    assert shown.ids == FRAME.index.tolist()[:20]
    for order, ids in (
        ("ascending", expected_order("n", True)),
        ("descending", expected_order("n", False)),
        ("none", FRAME.index.tolist()),
    ):
        shown.header("n").locator("button").click()
        assert shown.ids == ids[:20]
        assert shown.header("n").get_attribute("aria-sort") == order
    shown.header("ok").locator("button").click()
    assert shown.ids == expected_order("ok", True)[:20]
    assert shown.header("n").get_attribute("aria-sort") == "none"


def test_pages_by_buttons_box_and_size(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget(FrameSource(FRAME)))
    page, ids = shown.page, FRAME.index.tolist()
    before = page.locator(".cnb-table").bounding_box()
    assert page.get_by_label("First page").is_disabled()
    page.get_by_label("Next page").click()
    assert shown.ids == ids[20:40]
    page.get_by_label("Last page").click()
    assert shown.ids == ids[40:]
    assert page.locator(".cnb-table-range").inner_text() == "41–45 of 45"
    assert page.locator(".cnb-table").bounding_box() == before, "what stands below the table must not move"
    page.get_by_label("Page", exact=True).fill("2")
    shown.press("Enter")
    assert shown.ids == ids[20:40]
    page.get_by_label("Page", exact=True).fill("99")
    shown.press("Enter")
    assert shown.ids == ids[40:]
    page.get_by_label("Rows per page").select_option("50")
    assert shown.ids == ids
    assert shown.table.page_size == 50


def test_the_mouse_selects_and_opens(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget(FrameSource(FRAME)))
    table, heard, opened = shown.table, [], []
    table.on_select(lambda ids, mode: heard.append((mode, ids)))
    table.on_open(opened.append)
    shown.row(2).locator("td").nth(3).click()
    assert (opened, table.selection, shown.marked) == (["r2"], [], [])
    shown.row(4).locator("td").nth(3).click(modifiers=["Shift"])
    assert shown.marked == table.selection == ["r2", "r3", "r4"]
    shown.row(6).locator("td").nth(3).click(modifiers=["Control"])
    shown.row(8).locator("input").click()
    shown.row(3).locator("input").click()
    assert shown.marked == table.selection == ["r2", "r4", "r6", "r8"]
    assert heard == [("replace", ["r2", "r3", "r4"]), ("add", ["r6"]), ("add", ["r8"]), ("remove", ["r3"])]
    assert opened == ["r2"]
    assert shown.page.locator(".cnb-table-selected").inner_text().strip() == "4 selected"
    shown.page.get_by_label("Select the rows of this page").check()
    assert len(table.selection) == 20
    shown.page.locator(".cnb-table-selected").click()
    assert (shown.marked, table.selection, heard[-1]) == ([], [], ("replace", []))
    table.set_selection(["r1", "r44"])
    assert shown.marked == ["r1"]


def test_everything_can_be_done_with_keys(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget(FrameSource(FRAME)))
    table, opened, acted = shown.table, [], []
    table.on_open(opened.append)
    table.set_actions([("like", "More like this")])
    table.on_action(lambda name, row: acted.append((name, row)))
    shown.settled()
    shown.page.locator("tbody tr").first.focus()
    shown.press("ArrowDown", "ArrowDown", "Enter", "Space")
    assert (shown.cursor, opened, table.selection) == ("r2", ["r2"], ["r2"])
    shown.press("Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowUp")
    assert shown.marked == table.selection == ["r2", "r3"]
    shown.press("End", "ArrowDown")
    assert (shown.cursor, shown.ids[0]) == ("r20", "r20")
    shown.press("ArrowUp")
    assert shown.cursor == "r19"
    shown.press("PageDown", "Control+a")
    assert len(table.selection) == 22
    shown.press("Escape")
    assert table.selection == []
    shown.press("Home", "Tab")
    assert shown.page.evaluate("document.activeElement.innerText") == "More like this"
    shown.press("Enter")
    assert (acted, opened) == ([("like", "r20")], ["r2"])
    shown.header("n").locator("button").focus()
    shown.press("Enter")
    assert shown.ids == expected_order("n", True)[:20]
    width = shown.header("n").bounding_box()["width"]
    shown.press("Alt+ArrowRight")
    assert shown.header("n").bounding_box()["width"] == width + 16


def test_the_cursor_never_hides_under_what_stands_still(bridge: Bridge) -> None:
    wide = FRAME.assign(**{f"column {i}": "some more text" for i in range(12)})
    shown = Shown(bridge, TableWidget(FrameSource(wide)))
    shown.row(0).focus()
    cell = shown.page.locator(".cnb-table-cursor")
    for keys, edge in (("End", "bottom"), ("Home", "top"), *((key, "left") for key in ["ArrowRight"] * 14 + ["ArrowLeft"] * 13)):
        shown.page.keyboard.press(keys)
        seen = cell.evaluate(
            "(cell) => { const { left, top, width, height } = cell.getBoundingClientRect();"
            " return cell.contains(document.elementFromPoint(left + width / 2, top + 4))"
            " && cell.contains(document.elementFromPoint(left + 4, top + height / 2)); }"
        )
        assert seen, (keys, edge)


def test_columns_are_hidden_shown_and_dragged_wider(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget(FrameSource(FRAME)))
    page = shown.page
    page.get_by_role("button", name="Columns").click()
    assert page.get_by_label("id", exact=True).is_disabled()
    page.get_by_label("tags").uncheck()
    page.get_by_label("distance").uncheck()
    assert page.locator("thead th[data-key]").all_inner_texts() == ["id", "document", "n", "ok"]
    shown.press("Escape")
    assert not page.get_by_label("tags").is_visible()
    page.get_by_label("Next page").click()
    shown.settled()
    assert page.locator("thead th[data-key]").count() == 4
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name="Show all").click()
    assert page.locator("thead th[data-key]").count() == 6
    page.mouse.click(5, 5)
    box = shown.header("n").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 77, box["y"] + 10)
    page.mouse.up()
    assert shown.header("n").bounding_box()["width"] == pytest.approx(box["width"] + 80, abs=1)
    assert shown.header("n").get_attribute("aria-sort") == "none"


def test_a_cell_is_copied_whole_with_the_mouse_and_with_keys(bridge: Bridge) -> None:
    frame = pd.DataFrame({"document": ["start " + "w" * 2000, "b"], "n": [0.1 + 0.2, 1.0]}, index=["a", "b"])
    shown = Shown(bridge, TableWidget(FrameSource(frame)))
    page = shown.page
    page.evaluate(CLIPBOARD)
    shown.row(0).locator("td").nth(2).hover()
    page.get_by_label("Copy the whole value").click()
    page.wait_for_function("window.clip !== undefined")
    assert page.evaluate("window.clip") == frame["document"].iloc[0]
    page.locator("tbody tr").first.focus()
    shown.press("ArrowRight", "ArrowRight", "Control+c")
    page.wait_for_function("window.clip.length < 100")
    assert page.evaluate("window.clip") == "0.30000000000000004"


def test_hostile_texts_are_shown_as_text_in_cells_and_headers(bridge: Bridge) -> None:
    names = [f"{payload} {i}" for i, payload in enumerate(PAYLOADS)]
    size = len(PAYLOADS)
    frame = pd.DataFrame({"document": PAYLOADS, "tags": [[payload] for payload in PAYLOADS]}, index=names)
    table = TableWidget(FrameSource(frame), page_size=size)
    table.set_title(PAYLOADS[0], PAYLOADS[1])
    table.set_actions([("x", PAYLOADS[2])])
    shown = Shown(bridge, table)
    assert shown.page.locator(".cnb-table-title").text_content() == PAYLOADS[0]
    documents = shown.page.locator("td[data-place='1'] > div").evaluate_all("(cells) => cells.map((cell) => cell.textContent)")
    for payload, text in zip(PAYLOADS, documents, strict=True):
        assert text == (as_shown(payload if len(payload) <= 300 else payload[:299] + "…") or "empty")
    chips = shown.page.locator("td[data-place='2'] > div").evaluate_all("(cells) => cells.map((cell) => cell.textContent)")
    assert chips == [as_shown(payload if len(payload) <= 60 else payload[:59] + "…") for payload in PAYLOADS]

    wide = Shown(bridge, TableWidget(FrameSource(pd.DataFrame([range(size)], columns=names))))
    wide.page.wait_for_selector("thead th[data-key] >> nth=40")
    headers = wide.page.locator(".cnb-table >> nth=1").locator("th[data-key] .cnb-table-label").all_text_contents()
    assert headers == ["id", *(as_shown(name if len(name) <= 120 else name[:119] + "…") for name in names)]
    wide.page.locator(".cnb-table >> nth=1").get_by_role("button", name="Columns").click()
    wide.page.wait_for_timeout(200)
    assert bridge.page.evaluate(EXECUTED) is None
    assert bridge.page.locator(".cnb-table :is(script, img, iframe, object, embed, style, link, base, form, a)").count() == 0


class Waiting:
    """A source that fails while it is told to."""

    columns = (Column("id", "id"),)
    failing = True

    def count(self) -> int:
        return 1

    def page(self, *_: object) -> list[list[object]]:
        if self.failing:
            raise LookupError("<b>the store is away</b>")
        return [["a"]]


def test_nothing_failure_and_other_rows_each_have_their_look(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget())
    assert shown.page.locator(".cnb-table-empty").inner_text() == "Nothing to show yet"
    source = Waiting()
    shown.table.set_source(source)
    shown.page.wait_for_selector("text=the store is away")
    assert shown.page.get_by_role("alert").inner_text().startswith("LookupError: <b>the store is away</b>")
    source.failing = False
    shown.page.get_by_role("button", name="Try again").click()
    assert shown.ids == ["a"]
    assert not shown.page.get_by_role("alert").inner_text()
    shown.table.set_source(FrameSource(FRAME.iloc[:0]))
    shown.page.wait_for_selector("text=No rows")
    assert shown.page.locator(".cnb-table-title").inner_text() == "0 rows"
    shown.table.set_title("Results", "of nothing")
    shown.page.wait_for_selector("text=of nothing")


def test_two_views_page_on_their_own_and_share_the_selection(bridge: Bridge) -> None:
    table = TableWidget(FrameSource(FRAME))
    bridge.show(table)
    bridge.show(table)
    bridge.page.wait_for_function("document.querySelectorAll('tbody tr').length === 40")
    first, second = bridge.page.locator(".cnb-table").all()
    second.get_by_label("Next page").click()
    bridge.page.wait_for_function("document.querySelectorAll('.cnb-table-range')[1].innerText.startsWith('21')")
    first.locator("tbody input").first.check()
    second.locator("tbody input").first.check()
    bridge.page.wait_for_function("[...document.querySelectorAll('.cnb-table-selected')].every((each) => each.innerText.startsWith('2'))")
    assert table.selection == ["r0", "r20"]
    assert first.locator(".cnb-table-range").inner_text() == "1–20 of 45"


def test_it_follows_the_theme(bridge: Bridge) -> None:
    shown = Shown(bridge, TableWidget(FrameSource(FRAME)))
    colour = "getComputedStyle(document.querySelector('.cnb-table')).backgroundColor"
    light = shown.page.evaluate(colour)
    bridge.theme("dark")
    shown.page.wait_for_selector(".cnb-table[data-theme=dark]")
    assert shown.page.evaluate(colour) != light
