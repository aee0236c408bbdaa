"""Text of users as it may stand in the page: nothing in it hides, turns or removes what stands around it.

Markup is escaped by the templates themselves; this adds what escaping leaves, as the displays in notebooks do. Every value that a
template writes goes through `visible`.
"""

from __future__ import annotations

import re
from typing import Any

# Control characters (but tab and newline), marks that turn or hide text, tag characters, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(value: Any) -> Any:
    r"""Return text with its invisible characters written out; markup that a template made, and numbers, as they are.

    Examples
    --------
    >>> visible("a\u202eb")
    'a\\u202eb'
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _INVISIBLE.sub(lambda match: _named(match[0]), value)


def _named(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
