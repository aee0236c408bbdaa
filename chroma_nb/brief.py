"""Foreign values in messages and reports: short, inert and without failing, whatever they are.

Hostile text reaches a terminal in two ways: inside the message of an error, which `chroma_nb.errors` makes inert as a whole, and
inside a report's text, which passes through `inert` where it is put together. Must not live here: sentences themselves. Called by
everything that says something about a value of others.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection
from typing import Final

WIDTH: Final = 60
"""Characters that one value may take."""
_SAID: Final = 300
# Control characters (but tab and newline), marks that turn or hide text, tag characters, lone surrogates.
_ACTIVE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


class _Brief(reprlib.Repr):
    """A repr whose cost is bounded, also for values that contain themselves or share their parts."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxtuple, self.maxstring, self.maxother = 2, 3, 3, 3, WIDTH, WIDTH

    def repr_instance(self, x: object, level: int) -> str:
        return "..." if isinstance(x, Collection) else super().repr_instance(x, level)


_BRIEF: Final = _Brief()


def inert(text: str) -> str:
    r"""Return `text` as a terminal may show it: what would be a command, turn the line or hide in it is written as an escape.

    Tabs and newlines stay; they do no more than they seem to.

    Examples
    --------
    >>> inert("a\x1b[2Jb\u202ec"), inert("two\nlines")
    ('a\\x1b[2Jb\\u202ec', 'two\nlines')
    """
    return text if text.isprintable() else _ACTIVE.sub(lambda match: _escaped(match[0]), text)


def inert_line(text: str) -> str:
    r"""Return `text` as `inert` does, and in one line: names of others that stand bare in a sentence or a table.

    Examples
    --------
    >>> inert_line("a\tb\nc")
    'a\\x09b\\x0ac'
    """
    return inert(text).replace("\t", "\\x09").replace("\n", "\\x0a")


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def short(value: object) -> str:
    """Return the repr of `value` in one line, cut short, or the name of its type when the repr fails."""
    text = _repr(value)
    return _kind(value) if text is None else text


def quoted(text: str) -> str:
    """Return the repr of `text`, cut short; of a subclass of str too it is the text that is shown."""
    return _BRIEF.repr(str.__str__(text))


def shown(value: object) -> str:
    """Return the type of `value` and its repr in one line, cut short, or the type alone when the repr fails."""
    text = _repr(value)
    return _kind(value) if text is None else "None" if value is None else f"{_kind(value)} {text}"


def _repr(value: object) -> str | None:
    if isinstance(value, str):
        return quoted(value)
    try:
        return inert_line(_BRIEF.repr(value))
    except Exception:  # noqa: BLE001 - a foreign repr may do anything; the message must still come
        return None


def _kind(value: object) -> str:
    return inert_line(type(value).__name__[:WIDTH])


def said(error: BaseException) -> str:
    """Return the type and the text of an error of somebody else's in one line, or the type alone when it has no text to give."""
    kind = _kind(error)
    try:
        text = inert_line(" ".join(str(error)[:_SAID].split()))
    except Exception:  # noqa: BLE001 - a foreign __str__ may do anything; the message must still come
        return kind
    return f"{kind}: {text}" if text else kind
