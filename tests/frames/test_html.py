"""Text of users never becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.html import LIMIT, Html, card, element, esc, folded, join, table

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script xlink:href=data:,alert(1) />",
    "</td></tr></table><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</summary></details><iframe src=javascript:alert(1)>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><b onclick=alert(1)>',
    "` onmouseover=alert(1)",
    "<a href='javascript:alert(1)'>x</a>",
    "<!-- --><script>alert(1)</script>",
    "<!--",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "<!DOCTYPE html>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "<\u202escript>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<math><mi xlink:href='javascript:alert(1)'>",
    "<style>*{background:url(//evil)}</style>",
    "<base href=//evil>",
    "<form action=//evil><input name=token>",
    "{{constructor.constructor('alert(1)')()}}",
    "\ud83d<script>",
    "<" * 400,
    "<b title='" + "x" * (LIMIT - 12) + "'>",
]


class Structure(HTMLParser):
    """Collects the elements and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: list[object] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, [(name, "" if name == "title" else value) for name, value in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.shape.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.shape.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.shape.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.shape.append(("instruction", data))

    def unknown_decl(self, data: str) -> None:
        self.shape.append(("declaration", data))


def display(text: str) -> str:
    """Put `text` everywhere a text can stand."""
    rows = [[text, element("span", text, title=text)], [join([text, text], text), 1]]
    return card(text, text, table(rows, [text, text]), folded(text, text), element("code", text))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_element_or_attribute_comes_from_a_text(payload: str) -> None:
    page = Structure(display(payload))
    assert page.shape == Structure(display("harmless")).shape
    page.text.encode()


@given(st.text(st.characters(), max_size=LIMIT))
def test_no_text_has_a_shape(text: str) -> None:
    assert Structure(display(text)).shape == Structure(display("harmless")).shape


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=LIMIT))
def test_readable_text_is_shown_as_it_is(text: str) -> None:
    assert Structure(esc(text)).text == text


@pytest.mark.parametrize(
    "code", [0x00, 0x07, 0x0D, 0x1B, 0x7F, 0x85, 0xAD, 0x200B, 0x200F, 0x2028, 0x202A, 0x202E, 0x2066, 0x2069, 0xFEFF, 0xD800, 0xE0041]
)
def test_invisible_characters_are_named(code: int) -> None:
    shown = esc(f"a{chr(code)}b")
    assert chr(code) not in shown
    assert f"{code:x}" in shown


def test_tabs_lines_and_joined_emoji_stay() -> None:
    text = "a\tb\nc \U0001f468\u200d\U0001f469"
    assert esc(text) == text


def test_long_texts_are_cut_before_they_are_escaped() -> None:
    assert esc("<" * 10_000_000, limit=5) == "&lt;&lt;&lt;&lt;…"
    assert esc("x" * LIMIT) == "x" * LIMIT
    assert len(esc("x" * (LIMIT + 1))) == LIMIT
    assert "x" * 50 not in table([["x" * 100]], limit=20)


def test_what_is_safe_is_escaped_once_and_what_is_not_safe_always() -> None:
    piece = element("b", "x")
    assert esc(piece) == "<b>x</b>"
    assert isinstance(esc("x"), Html)
    slips: list[Any] = [piece + "<i>", f"{piece}", piece.replace("x", "y"), Html("{}").format("<b>"), Html("%s") % "<b>", piece * 2]
    for slip in slips:
        assert not isinstance(slip, Html)
        assert "<b>" not in element("div", slip)


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [("script", {}), ("a", {}), ("img", {}), ("b onclick=x", {}), ("b", {"onclick": "x"}), ("b", {"href": "x"}), ("b", {"class x": "y"})],
)
def test_only_tags_and_attributes_of_a_display(tag: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not among"):
        element(tag, "x", **attributes)


def test_math_is_not_typeset() -> None:
    for block in (card("x"), table([["x"]]), folded("x", "y")):
        assert "mathjax_ignore" in block.partition(">")[0]
