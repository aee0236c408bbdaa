"""Hostile text in the real plotly, in a real browser."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from chroma_nb.viz.figure import scatter

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Dialog

TEXTS = ["<script>alert(1)</script>", "<b>bold</b>", "<a href='javascript:a()'>x</a>", "%{x} $a$", "&lt;i&gt;"]
PLACE_OF_THIRD = """(() => {
    const map = document.getElementById("map"), {xaxis, yaxis} = map._fullLayout, box = map.getBoundingClientRect();
    return [box.left + xaxis._offset + xaxis.l2p(2), box.top + yaxis._offset + yaxis.l2p(2)];
})()"""
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.mark.browser
def test_labels_read_as_they_were_written(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    data = pd.DataFrame({"x": range(5), "y": range(5), "topic": TEXTS, "document": TEXTS}, index=TEXTS)
    page_file = tmp_path / "map.html"
    body = scatter(data, color="topic", title=TEXTS[2]).to_html(include_plotlyjs=False, full_html=False, div_id="map")
    page_file.write_text(f"<meta charset=utf-8><script>{get_plotlyjs()}</script>{body}", encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=WEBGL)
        page = browser.new_page(viewport={"width": 1000, "height": 620})
        dialogs: list[str] = []

        def dismiss(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.goto(page_file.as_uri())
        page.wait_for_selector("#map .legendtext")
        shown = [text.rpartition("  ")[0] for text in page.locator("#map .legendtext").all_text_contents()]
        title = page.locator("#map .gtitle").text_content()
        x, y = page.evaluate(PLACE_OF_THIRD)
        page.mouse.move(x - 2, y)
        page.mouse.move(x, y)
        page.wait_for_selector("#map .hovertext")
        hover = page.locator("#map .hovertext .line").all_text_contents()
        buttons = [button.get_attribute("data-title") or "" for button in page.locator("#map .modebar-btn").all()]
        links = page.locator("#map svg a").count()
        browser.close()
    assert shown == TEXTS
    assert title == TEXTS[2]
    assert hover == [TEXTS[2], TEXTS[2], f"topic: {TEXTS[2]}"]
    assert any("Zoom" in button for button in buttons)
    assert not any("Share" in button or "Cloud" in button for button in buttons)
    assert links == 0
    assert not dialogs
