"""Text from records made safe for plotly, which reads its labels as a small HTML with templates and formulas in it.

Every hover text, legend entry and title of a figure goes through here. HTML of the notebook's own widgets does not.
"""

from __future__ import annotations

import re
import textwrap

REPLACEMENTS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "%": "&#37;", "$": "&#36;"}
"""Markup, `%{templates}` and `$formulas$`; plotly decodes the entities only after it has looked for these."""

UNSEEN = re.compile(r"[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
"""Marks that reorder what follows them or hide between letters. The joiners that scripts and emoji need stay."""

LONGEST_PART = 16
"""A longer piece of a cut word is kept: in scripts without spaces it is most of the text."""

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
SURROGATE = re.compile(r"[\ud800-\udfff]")


def plain(value: object, limit: int) -> str:
    r"""Return at most `limit` characters of a value on one line, with nothing in it that reorders or hides text.

    Examples
    --------
    >>> plain("two\n\tlines \u202e", 20)
    'two lines'
    """
    text = str.__str__(value) if isinstance(value, str) else _text(value)
    cut = text[: 4 * limit]
    line = UNPRINTABLE.sub(" ", UNSEEN.sub("", SURROGATE.sub("\ufffd", cut))).strip()
    if len(line) <= limit and len(cut) == len(text):
        return line
    head, _, last = line[: limit - 1].rpartition(" ")
    return (head if head and len(last) < LONGEST_PART else line[: limit - 1]).rstrip() + "…"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a foreign __str__ may do anything, and a label has to stand there
        return type(value).__name__


def escaped(line: str) -> str:
    """Return `line` so that plotly shows it as it is, in labels and in hover templates.

    Examples
    --------
    >>> escaped("<b>50%</b>")
    '&lt;b&gt;50&#37;&lt;/b&gt;'
    """
    return "".join(REPLACEMENTS.get(character, character) for character in line)


def label(value: object, limit: int = 40) -> str:
    """Return a value as one safe line of at most `limit` visible characters.

    Examples
    --------
    >>> label("a" * 50, limit=5)
    'aaaa…'
    """
    return escaped(plain(value, limit))


def paragraph(value: object, limit: int = 120, width: int = 60) -> str:
    """Return a value as safe lines of at most `width` characters, joined by plotly's line break.

    Examples
    --------
    >>> paragraph("one two three", width=8)
    'one two<br>three'
    """
    return "<br>".join(escaped(line) for line in textwrap.wrap(plain(value, limit), width))
