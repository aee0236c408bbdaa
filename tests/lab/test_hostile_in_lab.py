"""A collection of hostile texts in the whole explorer, in JupyterLab: shown as text everywhere, obeyed nowhere.

Its ids, documents, metadata keys and values are the payloads; its name cannot be one, since names have an alphabet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.lab.driver import Lab, LabMap
from tests.widgets.builder_data import as_key
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETUP = """import chroma_nb
from tests.widgets.builder_data import as_key, hostile
from tests.widgets.hostile import PAYLOADS

collection = hostile(chroma_nb.EphemeralClient())
explorer = collection.explore("text", method="pca", height=420)
explorer"""
HIT = [228, 87, 46]
"""The colour of hits and lines, red, green and blue."""
TEXTS = [text for text in PAYLOADS if text]
SHORT = [text for text in TEXTS if len(text) < 60 and "\n" not in text]
FOREIGN = ".cnb :is(script, img, iframe, object, embed, style, link, base, form, a, video, audio, math, plaintext, details, [onclick])"


@pytest.fixture(scope="module")
def page(lab: Lab) -> Iterator[Any]:
    requests: list[str] = []
    lab.page.on("request", lambda request: requests.append(request.url))
    lab.notebook("hostile.ipynb", [SETUP])
    lab.open("hostile.ipynb")
    lab.run_all()
    lab.cell("explorer.wait()")
    LabMap(lab).wait("points", len(TEXTS))
    yield lab.page
    assert lab.page.evaluate(EXECUTED) is None
    assert not lab.errors, lab.errors
    assert not lab.dialogs, lab.dialogs
    assert lab.page.locator(FOREIGN).count() == 0
    assert [url for url in requests if not url.startswith((lab.jupyter.url, "data:", "blob:"))] == []


@pytest.fixture
def shown(lab: Lab, page: Any) -> LabMap:
    made = LabMap(lab)
    made.settled()
    return made


def test_hovering_and_clicking_every_point(lab: Lab, page: Any, shown: LabMap) -> None:
    places = lab.value("explorer.coordinates[['x', 'y']].to_numpy(float).tolist()")
    tip, detail = page.locator(".cnb-map-tip"), page.locator(".cnb-detail-id")
    titles, opened = set(), set()
    for pixel in shown.pixels(places)[::3]:
        shown.move(pixel)
        page.wait_for_timeout(150)
        if tip.is_visible():
            titles.add(tip.locator(".cnb-map-tip-title").text_content())
    assert len(titles) >= 3
    assert titles <= {as_shown(f"{i} {text}"[:300]) for i, text in enumerate(TEXTS)}
    for text in SHORT[::4]:
        place = TEXTS.index(text)
        lab.cell(f"explorer.page.open(explorer.points.ids[{place}])")
        page.wait_for_function("(id) => document.querySelector('.cnb-detail-id')?.textContent === id", arg=as_shown(f"{place} {text}"))
        opened.add(detail.text_content())
        assert page.locator(".cnb-detail-text").text_content() == as_shown(text)
    assert len(opened) == len(SHORT[::4])
    assert page.evaluate(EXECUTED) is None
    shown.settled()
    lab.screenshot("hostile_record")


def test_labels_legend_and_question(lab: Lab, page: Any, shown: LabMap) -> None:
    names = page.locator(".cnb-map-name").all_text_contents()
    whole = {as_shown(text) for text in TEXTS}
    assert names
    assert len([name for name in names if name in whole]) >= 5, names
    for text in SHORT[::6]:
        lab.cell(f"explorer.ask(like='{TEXTS.index(text)} ' + PAYLOADS[{PAYLOADS.index(text)}])")
        shown.wait("hits", 10)
        lab.cell(f"explorer.color = as_key(PAYLOADS[{PAYLOADS.index(text)}])")
        title = page.locator(".cnb-map-legend-title")
        title.wait_for()
    lab.cell("explorer.color = 'cluster'")
    lab.cell(
        "explorer.color = 'text'; explorer.keep(PAYLOADS[0]); explorer.select(explorer.points.ids.tolist()); explorer.keep(PAYLOADS[1])"
    )
    page.get_by_role("tab", name="Selection", exact=True).click()
    kept = page.locator(".cnb-selection-name").all_text_contents()
    assert [name.rpartition(" · ")[0] for name in kept] == [as_shown(text) for text in PAYLOADS[:2]]
    assert page.evaluate(EXECUTED) is None


def test_what_is_put_away_leaves_the_map_at_once(lab: Lab, page: Any, shown: LabMap) -> None:
    """The map has no groups and so no labels: nothing else is drawn over its points."""
    page.mouse.move(0, 0)
    for text in SHORT[::12]:
        lab.cell(f"explorer.ask(like=explorer.points.ids[{TEXTS.index(text)}])")
        lab.cell(f"explorer.color = as_key(PAYLOADS[{PAYLOADS.index(text)}])")
        shown.settled()
        lab.cell("explorer.forget()")
        shown.wait("hits", 0)
        shown.settled()
        assert (np.abs(shown.shot() - HIT).sum(axis=2) < 30).sum() < 30, text


def test_every_page_of_the_table(lab: Lab, page: Any, shown: LabMap) -> None:
    lab.cell("explorer.forget(); explorer.clear()")
    page.get_by_role("tab", name="All").click()
    seen: list[str] = []
    last = page.get_by_role("button", name="Next page")
    while True:
        page.locator(".cnb-table:not([aria-busy])").wait_for()
        page.wait_for_timeout(100)
        seen += page.locator(".cnb-table tbody tr td:nth-child(2) .cnb-table-clip").all_text_contents()
        if last.is_disabled():
            break
        last.click()
    whole = {as_shown(f"{i} {text}") for i, text in enumerate(TEXTS) if len(text) < 60}
    # A line of a table has no line breaks: they are shown as signs.
    assert len(seen) == len(TEXTS)
    assert len(whole & set(seen)) >= len(whole) - 3, whole - set(seen)
    shown.settled()
    lab.screenshot("hostile_table")


def test_the_builder_offers_and_takes_them(lab: Lab, page: Any, shown: LabMap) -> None:
    page.get_by_role("tab", name="Filter", exact=True).click()
    builder = page.locator(".cnb-builder")
    builder.get_by_role("button", name="+ Condition").click()
    offered = page.locator(".cnb-builder-item[role=option]")
    offered.first.wait_for()
    labels = "\n".join(offered.evaluate_all("(options) => options.map((option) => option.firstChild.textContent)"))
    for text in SHORT:
        assert as_shown(as_key(text)) in labels, text
    page.keyboard.type("text")
    page.keyboard.press("Enter")
    for text in SHORT[::8]:
        page.get_by_role("combobox", name="value").fill(text)
        builder.locator(".cnb-builder-count", has_text=f"1 of {len(TEXTS)}").wait_for()
        shown.wait("matching", 1)
    builder.get_by_role("button", name="Copy as code").click()
    page.get_by_role("menuitem", name="where dict").click()
    page.get_by_text("Copied", exact=True).wait_for()
    assert lab.value("explorer.where") == {"text": {"$eq": SHORT[::8][-1]}}
    shown.settled()
    lab.screenshot("hostile_filter")
    lab.cell("explorer.where = None")


def test_what_stands_in_for_the_widgets_is_text_too(lab: Lab, page: Any) -> None:
    lab.cell(
        "from IPython.display import HTML, display\ndisplay(HTML(explorer.page.static_html()), HTML(explorer.page.builder.static_html()))"
    )
    lab.cell("explorer.hits, explorer.selection")
    lab.cell("collection.builder(like=[explorer.points.ids[0]])")
    page.wait_for_timeout(500)
    shown = page.locator(".jp-RenderedHTMLCommon").all_text_contents()
    assert any(as_shown(SHORT[0]) in text for text in shown)
    assert page.locator(".jp-RenderedHTMLCommon :is(script, iframe, object, embed, svg, form, [onerror], [onload], [onclick])").count() == 0
    assert page.evaluate(EXECUTED) is None
