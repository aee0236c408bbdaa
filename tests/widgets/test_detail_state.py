"""The panel for one record without a browser: what travels, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.scalars import Instant
from chroma_nb.widgets.detail import DetailWidget, Neighbour, Record
from tests.widgets.asking import Answers
from tests.widgets.hostile import PAYLOADS

RECORD = Record(
    "a",
    "w" * 5000,
    {"year": 2024, "big": 2**60, "score": 1 / 3, "when": Instant(0, "UTC"), "tags": ("x", "y"), "none": None},
    "s3://bucket/a",
    0.5,
    3,
    [Neighbour("b", 1, 0.1, "near"), Neighbour("c", 2, 0.3)],
)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda widget: Answers(widget, monkeypatch)


def test_the_beginning_of_a_record_travels_and_the_rest_when_asked_for(asking: Any) -> None:
    panel = DetailWidget()
    page = asking(panel)
    assert page.ask("state")["record"] is None
    panel.set_record(RECORD)
    state = page.ask("state")
    shown, version = state["record"], state["version"]
    assert (len(shown["document"]), shown["length"], shown["place"]) == (2000, 5000, "rank 3, distance 0.5")
    assert shown["metadata"] == [
        ["year", "2024"],
        ["big", "1152921504606846976"],
        ["score", {"text": "0.333333", "full": "0.3333333333333333"}],
        ["when", {"text": "1970-01-01", "full": "1970-01-01T00:00:00+00:00"}],
        ["tags", {"list": ["x", "y"], "more": 0}],
        ["none", None],
    ]
    assert shown["neighbours"] == [
        {"id": "b", "rank": 1, "distance": "0.1", "share": 0.0, "snippet": "near"},
        {"id": "c", "rank": 2, "distance": "0.3", "share": 1.0, "snippet": ""},
    ]
    whole = {what: page.ask("text", version=version, what=what)["text"] for what in ("id", "document", "uri")}
    assert whole == {"id": "a", "document": RECORD.document, "uri": "s3://bucket/a"}
    assert page.ask("text", version=version, what="value", place=2)["text"] == "0.3333333333333333"


def test_a_huge_record_is_cut_before_it_travels(asking: Any) -> None:
    panel = DetailWidget()
    page = asking(panel)
    near = [Neighbour(payload, i, float(i), payload) for i, payload in enumerate(PAYLOADS)]
    panel.set_record(
        Record("i" * 10**6, "d" * 10**7, {f"k{i}": payload for i, payload in enumerate(PAYLOADS)}, "u" * 10**6, neighbours=near)
    )
    assert len(json.dumps(page.ask("state"))) < 100_000


def test_clicks_reach_the_callbacks_with_the_values_themselves(asking: Any) -> None:
    panel = DetailWidget()
    page = asking(panel)
    panel.set_record(RECORD)
    assert page.ask("state")["filters"] is False, "a value is no button while nobody listens"
    heard: list[Any] = []
    panel.on_open(heard.append)
    panel.on_action(lambda name, each: heard.append((name, each)))
    panel.on_filter(lambda key, value: heard.append((key, value)))
    panel.set_actions([("like", "More like this")])
    state = page.ask("state")
    assert (state["filters"], state["actions"]) == (True, [["like", "More like this"]])
    version = state["version"]
    page.ask("open", version=version, place=1)
    page.ask("action", version=version, name="like")
    page.ask("filter", version=version, place=3)
    assert heard == ["c", ("like", "a"), ("when", Instant(0, "UTC"))]


def test_a_click_on_a_record_that_has_gone_does_nothing(asking: Any) -> None:
    panel = DetailWidget()
    page = asking(panel)
    heard: list[Any] = []
    panel.on_filter(lambda *given: heard.append(given))
    panel.set_record(RECORD)
    version = page.ask("state")["version"]
    panel.set_record(Record("b", metadata={"other": 1}))
    with pytest.raises(AssertionError, match="another record is shown by now"):
        page.ask("filter", version=version, place=0)
    assert heard == []


def test_views_are_told_of_records_and_of_waiting(asking: Any) -> None:
    panel = DetailWidget()
    page = asking(panel)
    panel.set_loading()
    assert page.ask("state")["loading"] is True
    panel.set_record(RECORD)
    assert page.ask("state")["loading"] is False
    assert page.told == ["changed", "changed"]
    assert panel.record is RECORD


def test_only_pixels_are_taken_for_a_picture(asking: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="record 'a': its image is no PNG"):
        DetailWidget().set_record(Record("a", image=b"<svg onload=alert(1)>", image_type="image/png"))


def test_where_no_widget_can_be_the_record_is_shown_as_text() -> None:
    panel = DetailWidget()
    assert "text/html" not in panel._repr_mimebundle_()[0]
    panel.set_record(Record("<b>a</b>", "<script>1</script>", {"<i>": "</td><img src=x>", "none": None}))
    shown = panel._repr_mimebundle_()[0]["text/html"]
    assert all(part in shown for part in ("&lt;b&gt;a&lt;/b&gt;", "&lt;script&gt;", "&lt;i&gt;", "&lt;/td&gt;&lt;img src=x&gt;"))
    assert not any(part in shown for part in ("<script", "<img", ">none<"))
