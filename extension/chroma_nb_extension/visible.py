"""Text of users as it may stand in the page: nothing in it hides, turns or removes what stands around it.

Markup is escaped by the templates themselves; this adds what escaping leaves, as the displays in notebooks do. Every value that a
template writes goes through `visible`.
"""

from __future__ import annotations

from typing import Any, Final


def _named(code: int) -> str:
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# Control characters (but tab and newline), marks that turn or hide text, lone surrogates, tag characters.
_INVISIBLE: Final = (
    *((0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x061C, 0x061C), (0x180E, 0x180E), (0x200B, 0x200B), (0x200E, 0x200F)),
    *((0x2028, 0x202E), (0x2060, 0x206F), (0xD800, 0xDFFF), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F)),
)
_WRITTEN: Final = {code: _named(code) for first, last in _INVISIBLE for code in range(first, last + 1)}


def visible(value: Any) -> Any:
    r"""Return text with its invisible characters written out; markup that a template made, and numbers, as they are.

    Examples
    --------
    >>> visible("a\u202eb")
    'a\\u202eb'
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return value.translate(_WRITTEN)
