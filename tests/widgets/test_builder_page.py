"""The query builder's page in a real browser: by mouse, by keys, with hostile texts, in both themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import chroma_nb
from chroma_nb.widgets.builder import QueryBuilder
from tests.widgets.bridge import Bridge
from tests.widgets.builder_data import SIZE, as_key, hostile, papers
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with chroma_nb.EphemeralClient() as made:
        yield made


@pytest.fixture(scope="module")
def collection(client: Any) -> Iterator[Any]:
    yield papers(client, "builder-page")
    client.delete_collection("builder-page")


@pytest.fixture(scope="module")
def payloads(client: Any) -> Iterator[Any]:
    yield hostile(client, "builder-hostile")
    client.delete_collection("builder-hostile")


class Shown:
    """A builder in a page."""

    def __init__(self, builder: QueryBuilder, bridge: Bridge) -> None:
        self.builder, self.page, self.bridge = builder, bridge.page, bridge
        bridge.show(builder.front)
        self.page.wait_for_selector("[data-ready]")

    def until(self, reached: Any) -> None:
        """Wait until the kernel's side has come to something."""
        for _ in range(200):
            if reached():
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"not reached; where is {self.builder.where}, error {self.builder.error}")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def field(self, place: int) -> Any:
        return self.page.get_by_label("field", exact=True).nth(place)

    def add(self, field: str) -> None:
        self.button("+ Condition").last.click()
        self.page.keyboard.type(field)
        self.page.keyboard.press("Enter")

    def count(self) -> str:
        text: str = self.page.locator(".cnb-builder-count").inner_text()
        return text


@pytest.fixture
def shown(collection: Any, bridge: Bridge) -> Shown:
    return Shown(collection.builder(), bridge)


def show(collection: Any, bridge: Bridge, *given: Any, **asked: Any) -> Shown:
    return Shown(collection.builder(*given, **asked), bridge)


def test_a_filter_is_built_by_mouse_and_run(shown: Shown, collection: Any) -> None:
    page = shown.page
    assert page.get_by_text("No conditions: every record matches.").is_visible()
    shown.button("+ Condition").click()
    page.get_by_role("option", name="topic").click()
    page.get_by_role("option", name="law").click()
    shown.until(lambda: shown.builder.where == {"topic": {"$eq": "law"}})
    shown.button("+ Condition").click()
    page.get_by_role("option", name="open").click()
    assert page.get_by_role("switch").get_attribute("aria-checked") == "true"
    page.get_by_role("switch").click()
    shown.until(lambda: shown.builder.where == {"$and": [{"topic": {"$eq": "law"}}, {"open": {"$eq": False}}]})
    expected = collection.count({"$and": [{"topic": "law"}, {"open": False}]})
    shown.until(lambda: shown.count() == f"{expected} of {SIZE} records match")
    shown.button("Run").click()
    shown.until(lambda: shown.builder.frame is not None)
    assert len(shown.builder.frame) == expected == shown.builder.count


def test_a_filter_is_built_by_keys_alone(shown: Shown) -> None:
    page = shown.page
    page.get_by_role("radio", name="Filter only").focus()
    page.keyboard.press("ArrowRight")  # by text
    page.keyboard.press("Tab")
    page.keyboard.type("owls at night")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "+ Condition"
    page.keyboard.press("Enter")
    page.keyboard.type("tags")
    page.keyboard.press("Enter")
    page.keyboard.type("b")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    shown.until(lambda: shown.builder.where == {"tags": {"$contains": "b"}})
    page.keyboard.press("Control+Enter")
    shown.until(lambda: shown.builder.frame is not None)
    assert shown.builder.query_texts == ["owls at night"]
    assert len(shown.builder.frame) == 10


def test_what_was_just_typed_is_part_of_the_question_that_runs(shown: Shown) -> None:
    shown.add("year")
    shown.page.get_by_role("textbox", name="from").fill("2020")
    shown.page.keyboard.press("Control+Enter")
    shown.until(lambda: shown.builder.frame is not None)
    assert shown.builder.frame["year"].min() == 2020


def test_a_range_is_set_by_numbers_and_by_slider(shown: Shown) -> None:
    page = shown.page
    shown.add("year")
    lower, upper = page.get_by_role("slider", name="from"), page.get_by_role("slider", name="to")
    assert (lower.get_attribute("aria-valuetext"), upper.get_attribute("aria-valuetext")) == ("1950", "2024")
    lower.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    shown.until(lambda: shown.builder.where == {"year": {"$gte": 1955}})
    page.get_by_role("textbox", name="to").fill("1960")
    shown.until(lambda: shown.builder.where == {"$and": [{"year": {"$gte": 1955}}, {"year": {"$lte": 1960}}]})
    assert upper.get_attribute("aria-valuetext") == "1960"


def test_dates_have_inputs_of_the_browser_and_keep_their_zone(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge)
    shown.add("published")
    shown.page.get_by_label("from, Europe/Paris").fill("2015-07-01T12:00")
    shown.until(lambda: shown.builder.where is not None)
    moment = shown.builder.where["published"]["$gte"]
    assert (moment.zone, moment.iso()) == ("Europe/Paris", "2015-07-01T12:00:00+02:00")
    shown.page.get_by_label("from, Europe/Paris").fill("")
    shown.until(lambda: shown.builder.where is None)


def test_several_values_are_tags(shown: Shown) -> None:
    page = shown.page
    shown.add("topic")
    page.get_by_label("operator").select_option(label="is one of")
    value = page.get_by_role("combobox", name=re.compile("value"))
    value.click()
    page.get_by_role("option", name="art").click()
    page.keyboard.type("something else")
    page.keyboard.press("Enter")
    shown.until(lambda: shown.builder.where == {"topic": {"$in": ["art", "something else"]}})
    page.keyboard.press("Backspace")
    shown.until(lambda: shown.builder.where == {"topic": {"$in": ["art"]}})
    page.get_by_role("button", name="remove art").click()
    shown.until(lambda: shown.builder.where is None)


def test_groups_are_made_joined_copied_and_removed(shown: Shown) -> None:
    page = shown.page
    shown.add("open")
    shown.button("+ Group").click()
    page.keyboard.type("rare")
    page.keyboard.press("Enter")
    page.keyboard.type("x")
    shown.until(lambda: shown.builder.where == {"$and": [{"open": {"$eq": True}}, {"rare": {"$eq": "x"}}]})
    group = page.get_by_role("group", name="group of conditions")
    group.get_by_role("button", name="duplicate").click()
    shown.until(lambda: shown.builder.where == {"$and": [{"open": {"$eq": True}}, {"$or": [{"rare": {"$eq": "x"}}] * 2}]})
    group.get_by_label("conditions are joined by").select_option("and")
    shown.until(lambda: shown.builder.where == {"$and": [{"open": {"$eq": True}}, {"$and": [{"rare": {"$eq": "x"}}] * 2}]})
    page.get_by_role("button", name="remove", exact=True).last.click()
    shown.until(lambda: shown.builder.where == {"open": {"$eq": True}})


THREE = {"$and": [{"open": True}, {"$or": [{"year": 1990}, {"topic": "art"}]}, {"rare": "x"}]}


def order(builder: QueryBuilder) -> list[Any]:
    def keys(part: Any) -> Any:
        return [keys(each) for each in part["parts"]] if "parts" in part else part["key"]

    found: list[Any] = keys(builder.shown_question()["question"]["rows"])
    return found


def test_rows_are_moved_by_keys_into_groups_and_out_of_them(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge, THREE)
    grip = shown.page.get_by_role("button", name="move: drag, or arrow keys")
    grip.first.focus()
    for expected in (
        [["open", "year", "topic"], "rare"],
        [["year", "open", "topic"], "rare"],
        [["year", "topic", "open"], "rare"],
        [["year", "topic"], "open", "rare"],
        [["year", "topic"], "rare", "open"],
    ):
        shown.page.keyboard.press("ArrowDown")
        shown.until(lambda expected=expected: order(shown.builder) == expected)
    shown.page.keyboard.press("ArrowUp")
    shown.until(lambda: order(shown.builder) == [["year", "topic"], "open", "rare"])


def test_rows_are_dragged(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge, THREE)
    grips = shown.page.get_by_role("button", name="move: drag, or arrow keys")
    grips.last.drag_to(grips.first, target_position={"x": 5, "y": 3})
    shown.until(lambda: order(shown.builder) == ["rare", "open", ["year", "topic"]])


def test_a_wrong_value_is_said_at_its_row_and_disables_run(shown: Shown) -> None:
    shown.add("year")
    value = shown.page.get_by_role("textbox", name="from")
    value.fill("soon")
    message = shown.page.locator(".cnb-builder-message", has_text="'soon' is not a number")
    message.wait_for()
    assert value.get_attribute("aria-invalid") == "true"
    assert shown.button("Run").is_disabled()
    assert "wrong" in shown.count()
    value.fill("1990")
    shown.until(lambda: shown.builder.where == {"year": {"$gte": 1990}})
    message.wait_for(state="detached")
    assert shown.button("Run").is_enabled()


def test_a_pattern_that_is_none_is_said_at_its_row(shown: Shown) -> None:
    shown.add("document")
    shown.page.get_by_label("operator").select_option(label="matches the pattern")
    shown.page.get_by_label("value").fill("owl(")
    shown.page.get_by_text("not a regular expression").wait_for()
    shown.page.get_by_label("value").fill("^owls")
    shown.until(lambda: shown.builder.where_document == {"$regex": "^owls"})


def test_when_nothing_matches_the_page_says_why_and_cures_it(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge, {"$and": [{"topic": "art"}, {"year": {"$gt": 3000}}]})
    shown.page.get_by_text("would match.").wait_for()
    assert "Without year is greater than 3000, " in shown.page.locator(".cnb-builder-blame").inner_text()
    shown.button("Remove it").click()
    shown.until(lambda: shown.builder.where == {"topic": {"$eq": "art"}})
    shown.page.locator(".cnb-builder-blame table").wait_for(state="detached")


def test_a_free_key_may_be_typed(shown: Shown) -> None:
    shown.add("no such key")
    shown.page.get_by_label("operator").select_option(label="is")
    shown.page.get_by_label("kind of value").select_option(label="number")
    shown.page.get_by_label("value", exact=True).fill("9007199254740993")
    shown.until(lambda: shown.builder.where == {"no such key": {"$eq": 9007199254740993}})


def test_setting_from_python_changes_the_page_and_other_views(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge)
    bridge.show(shown.builder.front)
    shown.page.wait_for_function("document.querySelectorAll('[data-ready]').length === 2")
    shown.builder.set(where={"year": {"$in": [1990, 1991]}}, query="owls", n_results=3)
    shown.page.wait_for_function("document.querySelectorAll('.cnb-builder-tag').length === 4")
    for place in (0, 1):
        assert shown.page.get_by_label("query text").nth(place).input_value() == "owls"
        assert shown.page.get_by_label("number of results").nth(place).input_value() == "3"
    shown.page.get_by_label("query text").nth(0).fill("bones")
    shown.page.wait_for_function("[...document.querySelectorAll('[aria-label=\"query text\"]')].every((area) => area.value === 'bones')")
    assert shown.builder.query_texts == ["bones"]


def test_vectors_and_likeness(shown: Shown) -> None:
    page = shown.page
    page.get_by_role("radio", name="Like records").click()
    page.keyboard.type("p3")
    page.keyboard.press("Enter")
    page.keyboard.type("p4")
    page.keyboard.press("Enter")
    shown.until(lambda: shown.builder.like == ["p3", "p4"])
    page.get_by_role("radio", name="By vector").click()
    page.get_by_label("query vector").fill("[1, 2")
    page.get_by_role("alert").get_by_text("expected").wait_for()
    page.get_by_label("query vector").fill(str([0.5] * 16))
    shown.until(lambda: shown.builder.query_embeddings is not None)
    shown.button("Run").click()
    shown.until(lambda: shown.builder.frame is not None)
    shown.builder.query_embeddings = [0.25] * 16
    page.get_by_text("A vector of 16 numbers, set from Python").wait_for()


def test_columns_and_limits_are_chosen(shown: Shown) -> None:
    shown.button("Columns").click()
    shown.page.get_by_label("documents").uncheck()
    shown.page.get_by_label("uris").check()
    shown.until(lambda: set(shown.builder.include) == {"metadatas", "distances", "uris"})
    shown.page.keyboard.press("Escape")
    shown.page.get_by_label("at most so many records").fill("7")
    shown.until(lambda: shown.builder.limit == 7)
    shown.page.get_by_label("at most so many records").fill("")
    shown.until(lambda: shown.builder.limit is None)


def test_code_is_copied_and_shown(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge, {"topic": "art"})
    page = shown.page
    for label, language in (("Python (chroma_nb)", "chroma_nb"), ("curl", "curl"), ("where dict", "where")):
        shown.button("Copy as code").click()
        page.get_by_role("menuitem", name=label).click()
        page.get_by_text("Copied", exact=True).wait_for()
        expected = shown.builder.code(language)  # type: ignore[arg-type]
        assert page.locator(".cnb-builder-code pre").inner_text().rstrip("\n") == expected
        # What is in the clipboard is what a paste puts into an input.
        shown.button("Paste where").click()
        area = page.get_by_role("textbox", name="where dict")
        area.press("Control+v")
        assert area.input_value() == expected
        area.fill("")
        shown.button("Cancel").click()


def test_what_a_language_cannot_say_is_said(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge, {"n": 2**60})
    shown.button("Copy as code").click()
    shown.page.get_by_role("menuitem", name="JavaScript").click()
    shown.page.get_by_text("does not keep whole numbers beyond 2**53").wait_for()


def test_a_filter_is_pasted(shown: Shown) -> None:
    shown.button("Paste where").click()
    shown.page.keyboard.insert_text("{'year': {'$gte': two thousand}}")
    shown.page.keyboard.press("Control+Enter")
    shown.page.get_by_role("alert").get_by_text("expected a dict in Python's or JSON's notation").wait_for()
    assert shown.builder.frame is None
    shown.page.get_by_role("textbox", name="where dict").fill('{"$or": [{"year": 1990}, {"open": true}]}')
    shown.button("Load").click()
    shown.until(lambda: shown.builder.where == {"$or": [{"year": {"$eq": 1990}}, {"open": {"$eq": True}}]})
    assert shown.page.get_by_role("textbox", name="where dict").count() == 0
    assert shown.field(1).input_value() == "open"


def test_the_past_comes_back(shown: Shown) -> None:
    page = shown.page
    shown.button("History").click()
    page.get_by_text("Questions you run are kept here.").wait_for()
    page.keyboard.press("Escape")
    for where in ({"topic": "art"}, {"open": True}):
        shown.builder.where = where
        shown.builder.run()
    shown.button("History").click()
    page.get_by_role("menuitem").nth(1).click()
    shown.until(lambda: shown.builder.where == {"topic": {"$eq": "art"}})
    page.wait_for_function("document.querySelector('[data-part=field]').value === 'topic'")


def test_the_page_can_be_made_anew(collection: Any, bridge: Bridge) -> None:
    shown = show(collection, bridge, {"topic": "art"})
    shown.add("open")
    shown.until(lambda: shown.builder.where is not None and "$and" in shown.builder.where)
    bridge.show(shown.builder.front)
    shown.page.wait_for_function("document.querySelectorAll('[data-part=field]').length === 4")


def test_five_levels_are_shown_and_stay(collection: Any, bridge: Bridge) -> None:
    where: dict[str, Any] = {"year": {"$gte": 1990}}
    for level in range(5):
        where = {"$or" if level % 2 else "$and": [where, {"open": level % 2 == 0}]}
    shown = show(collection, bridge, where)
    before = shown.builder.where
    assert shown.page.get_by_role("group", name="group of conditions").count() == 4
    shown.page.get_by_role("switch").first.click()
    shown.until(lambda: shown.builder.where != before)
    shown.page.get_by_role("switch").first.click()
    shown.until(lambda: shown.builder.where == before)


CONTRASTS = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (part) => (part <= 0.04 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (color) => numbers(color).slice(0, 3).reduce((sum, part, i) => sum + [0.2126, 0.7152, 0.0722][i] * linear(part / 255), 0);
  const solid = (color) => color.startsWith("rgb") && (numbers(color)[3] ?? 1) === 1;
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (solid(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = [...document.querySelectorAll(".cnb-builder :is(button, input, select, textarea, span, strong)")];
  return texts.filter((element) => element.innerText || element.value).map((element) => {
    const [more, less] = [light(getComputedStyle(element).color), light(behind(element))].sort((one, other) => other - one);
    return (more + 0.05) / (less + 0.05);
  });
}"""
"""Contrast of each text with what is behind it, as WCAG 2 counts it."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_readable(collection: Any, bridge: Bridge, theme: str) -> None:
    bridge.theme(theme)
    shown = show(collection, bridge, THREE, query="owls")
    shown.page.wait_for_selector(f"[data-theme={theme}]")
    contrasts = shown.page.evaluate(CONTRASTS)
    assert len(contrasts) > 20
    assert min(contrasts) > 4.0


@pytest.mark.parametrize("width", [500, 800, 1600])
def test_nothing_sticks_out_at_any_width(collection: Any, bridge: Bridge, width: int) -> None:
    bridge.page.set_viewport_size({"width": width, "height": 900})
    shown = show(collection, bridge, THREE, query="owls")
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def executed(page: Any) -> Any:
    return page.evaluate(EXECUTED)


def test_hostile_fields_and_values_are_shown_as_texts(payloads: Any, bridge: Bridge) -> None:
    texts = [text for text in PAYLOADS if text]
    shown = Shown(payloads.builder(), bridge)
    page = shown.page
    offered = page.locator(".cnb-builder-item[role=option]")
    shown.button("+ Condition").click()
    offered.first.wait_for()
    labels = offered.evaluate_all("(options) => options.map((option) => option.firstChild.textContent)")
    for text in texts:
        assert as_shown(as_key(text)[:200])[:150] in "\n".join(labels), text
    page.keyboard.type("text")
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="value").click()
    page.wait_for_function("document.querySelectorAll('.cnb-builder-item[role=option]').length === 50")
    for text in [each for each in texts if len(each) < 200 and "\n" not in each][:30]:
        page.get_by_role("combobox", name="value").fill(text)
        shown.until(lambda text=text: shown.builder.where == {"text": {"$eq": text}})
    assert not executed(page)


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_hostile_filters_are_shown_edited_and_copied_as_texts(payloads: Any, bridge: Bridge, part: int) -> None:
    texts = [text for text in PAYLOADS if text and len(text) < 1000][part::4]
    clauses: list[dict[str, Any]] = []
    for text in texts:
        clauses += [{as_key(text): {"$eq": text}}, {"text": {"$in": [text, "x"]}}, {"#document": {"$contains": text}}]
    shown = show(payloads, bridge, {"$or": clauses}, like=[f"id {text}" for text in texts])
    page, before = shown.page, shown.builder.where
    shown.button("+ Condition").click()
    page.get_by_role("option", name="document").first.click()
    page.keyboard.type("added")
    shown.until(lambda: shown.builder.where == {"$or": [*before["$or"], {"#document": {"$contains": "added"}}]})
    shown.button("Copy as code").click()
    page.get_by_role("menuitem", name="where dict").click()
    page.get_by_text("Copied", exact=True).wait_for()
    code = page.locator(".cnb-builder-code pre").text_content()
    assert code == shown.builder.code("where")
    with pytest.raises(Exception, match="not in the collection"):
        shown.builder.run()
    shown.builder.like = None
    shown.builder.run()
    shown.button("History").click()
    page.get_by_role("menuitem").first.wait_for()
    assert not executed(page)


def test_the_collections_name_and_long_texts_do_not_break_the_page(payloads: Any, bridge: Bridge) -> None:
    long = max(PAYLOADS, key=len)
    shown = show(payloads, bridge, {"$and": [{as_key(long): {"$eq": long}}, {"text": {"$in": [long, "x"]}}]}, like=[long])
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.until(lambda: shown.builder.count is not None)
    assert not executed(shown.page)
