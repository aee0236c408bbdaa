"""Hostile text on its way into a plotly label."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.viz.markup import escaped, label, paragraph, plain

ANYTHING = st.text(st.characters(), max_size=300)


@given(ANYTHING)
def test_nothing_that_plotly_reads_as_markup_template_or_formula_is_left(text: str) -> None:
    assert not re.search(r"[<>\"$%]", label(text))
    assert set(re.findall(r"<[^>]*>?", paragraph(text))) <= {"<br>"}


@given(ANYTHING)
def test_what_is_shown_is_the_plain_line(text: str) -> None:
    assert html.unescape(escaped(plain(text, 40))) == plain(text, 40)


@given(ANYTHING, st.integers(2, 60))
def test_length_is_bounded_in_what_is_seen(text: str, limit: int) -> None:
    assert len(plain(text, limit)) <= limit
    lines = [html.unescape(line) for line in paragraph(text, limit, 10).split("<br>")]
    assert sum(map(len, lines)) <= limit
    assert max(map(len, lines)) <= 10


@given(ANYTHING)
def test_no_control_bidi_or_lone_surrogate_survives(text: str) -> None:
    line = plain(text, 200)
    line.encode("utf-8")
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in line)
    assert not any(
        unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") for character in line
    )


@pytest.mark.parametrize("text", ["naïve", "日本語", "עברית", "👩‍🚀", "می‌خواهم", "a-b_c.d/e"])
def test_honest_text_stays_as_it_is(text: str) -> None:
    assert label(text) == text


def test_an_entity_in_the_text_is_not_decoded() -> None:
    assert label("&lt;b&gt;") == "&amp;lt;b&amp;gt;"


def test_a_cut_text_ends_at_a_word_and_says_so() -> None:
    assert plain("the quick brown fox", 16) == "the quick…"
    assert plain("x" * 10_000_000, 5) == "xxxx…"
    assert plain("short", 5) == "short"
