"""The panel for one record in a real browser."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from chroma_nb.widgets.detail import DetailWidget, Neighbour, Record
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown

if TYPE_CHECKING:
    from tests.widgets.bridge import Bridge

pytestmark = pytest.mark.browser

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==")
CLIPBOARD = """Object.defineProperty(navigator, "clipboard", {
  value: { writeText: async (text) => { window.clip = text; } }, configurable: true,
})"""


def shown(bridge: Bridge, record: Record) -> tuple[DetailWidget, Any]:
    panel = DetailWidget()
    bridge.show(panel)
    bridge.page.wait_for_selector("text=Open a row or a point")
    panel.set_record(record)
    bridge.page.wait_for_selector(".cnb-detail-id")
    return panel, bridge.page


def test_a_long_document_is_opened_on_demand_and_stays_open(bridge: Bridge) -> None:
    document = "".join(f"line {i}\n" for i in range(1000))
    panel, page = shown(bridge, Record("a", document))
    text = page.locator(".cnb-detail-text")
    assert text.text_content() == document[:2000] + "…"
    page.get_by_role("button", name=f"Show all {len(document):,} characters").click()
    page.wait_for_function("document.querySelector('.cnb-detail-text').textContent.length > 3000")
    assert text.text_content() == document
    panel.set_record(Record("a", document, neighbours=[Neighbour("b", 1, 0.5)]))
    page.wait_for_selector(".cnb-detail-near")
    page.wait_for_function("document.querySelector('.cnb-detail-text').textContent.length > 3000")
    panel.set_record(Record("c", document))
    page.wait_for_selector("text=Show all")


def test_values_filter_and_copy_and_neighbours_open(bridge: Bridge) -> None:
    metadata = {"year": 2024, "score": 0.1 + 0.2, "tags": ["x", "y"], "ok": True, "none": None}
    panel, page = shown(
        bridge, Record("a", "text", metadata, "s3://b/a", 0.25, 2, [Neighbour("b", 1, 0.1, "near"), Neighbour("c", 2, 0.2)])
    )
    assert page.locator(".cnb-detail-table button.cnb-detail-value").count() == 0
    heard: list[Any] = []
    panel.on_filter(lambda key, value: heard.append((key, value)))
    panel.on_open(heard.append)
    panel.on_action(lambda name, each: heard.append((name, each)))
    panel.set_actions([("like", "More like this")])
    page.get_by_role("button", name="More like this").click()
    page.locator("button.cnb-detail-value").first.click()
    page.get_by_role("button", name="2024").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".cnb-detail-near").last.click()
    bridge.until(lambda: len(heard) == 4)
    assert heard == [("like", "a"), ("year", 2024), ("score", 0.1 + 0.2), "c"]
    assert page.locator(".cnb-detail-place").inner_text() == "rank 2, distance 0.25"

    page.evaluate(CLIPBOARD)
    for label, row, expected in (
        ("Copy the value", "score", "0.30000000000000004"),
        ("Copy the value", "tags", '["x", "y"]'),
        ("Copy the uri", "uri", "s3://b/a"),
    ):
        line = page.locator(".cnb-detail-table tr").filter(has=page.get_by_role("rowheader", name=row, exact=True))
        line.hover()
        line.get_by_label(label).click()
        page.wait_for_function("(text) => window.clip === text", arg=expected)
    page.get_by_label("Copy the id").click()
    page.wait_for_function("window.clip === 'a'")


def test_a_picture_comes_after_the_text_and_an_unreadable_one_is_said(bridge: Bridge) -> None:
    panel, page = shown(bridge, Record("a", "text", image=PNG))
    page.wait_for_function("document.querySelector('.cnb-detail img')?.naturalWidth === 3")
    assert page.locator(".cnb-detail img").get_attribute("alt") == "Picture of a"
    panel.set_record(Record("b", "text", image=PNG[:30]))
    page.wait_for_selector("text=This browser cannot show the picture")
    panel.set_record(Record("c", "text", note="No picture: is <b>damaged</b>"))
    page.wait_for_selector("text=No picture: is <b>damaged</b>")
    assert page.locator(".cnb-detail-picture").count() == 0


def test_waiting_and_nothing_have_their_look(bridge: Bridge) -> None:
    panel, page = shown(bridge, Record("a", None))
    page.wait_for_selector("text=No document")
    panel.set_loading()
    page.wait_for_selector(".cnb-detail[aria-busy]")
    assert page.locator(".cnb-detail-id").inner_text() == "a", "the record before stays until the next is there"
    panel.set_record(Record("b", ""))
    page.wait_for_selector(".cnb-detail:not([aria-busy]) >> text=The document is empty")
    panel.set_record(None)
    page.wait_for_selector("text=Open a row or a point")


def test_what_a_callback_raises_is_said_in_the_panel(bridge: Bridge) -> None:
    panel, page = shown(bridge, Record("a", "text"))
    panel.set_actions([("fail", "Fail")])
    panel.on_action(lambda *_: 1 / 0)
    page.get_by_role("button", name="Fail").click()
    page.wait_for_selector("role=alert >> text=ZeroDivisionError: division by zero")


def test_hostile_texts_are_shown_as_text_everywhere(bridge: Bridge) -> None:
    metadata: dict[str, Any] = {f"{payload} {i}": payload for i, payload in enumerate(PAYLOADS)}
    metadata["list"] = PAYLOADS[:5]
    near = [Neighbour(payload, i, float(i), payload) for i, payload in enumerate(PAYLOADS)]
    panel, page = shown(bridge, Record(PAYLOADS[0], PAYLOADS[1], metadata, PAYLOADS[2], neighbours=near, note=PAYLOADS[3]))
    panel.on_filter(lambda *_: None)
    panel.set_actions([("x", PAYLOADS[4])])
    page.wait_for_selector("button.cnb-detail-value")

    def texts(selector: str) -> list[str]:
        return list(page.locator(selector).all_text_contents())

    def cut(text: str, limit: int) -> str:
        return as_shown(text if len(text) <= limit else text[: limit - 1] + "…")

    assert texts(".cnb-detail-table th") == [*(cut(key, 1000) for key in metadata), "uri"]
    assert texts("button.cnb-detail-value") == [cut(payload, 1000) or "empty" for payload in PAYLOADS]
    assert texts(".cnb-detail-name") == [cut(payload, 160) for payload in PAYLOADS]
    assert texts(".cnb-detail-snippet") == [cut(payload, 160) for payload in PAYLOADS if payload]
    for payload in PAYLOADS:
        panel.set_record(Record(payload, payload, {"k": 1}, payload))
        whole = as_shown(payload[:2000]) + ("…" if len(payload) > 2000 else "")
        page.wait_for_function(
            "(text) => document.querySelector('.cnb-detail-text').textContent === text", arg=whole or "The document is empty"
        )
        assert texts(".cnb-detail-id") == [cut(payload, 1000)]
    assert page.evaluate(EXECUTED) is None
    assert page.locator(".cnb-detail :is(script, img, iframe, object, embed, style, link, base, form, a)").count() == 0


def test_it_follows_the_theme_and_cleans_up(bridge: Bridge) -> None:
    _, page = shown(bridge, Record("a", "text", image=PNG))
    page.wait_for_selector(".cnb-detail img")
    bridge.theme("dark")
    page.wait_for_selector(".cnb-detail[data-theme=dark]")
    page.evaluate("document.querySelector('#root > div').dispatchEvent(new Event('unmount'))")
    assert page.locator(".cnb-detail").count() == 0
