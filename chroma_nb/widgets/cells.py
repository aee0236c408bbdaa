"""What a value looks like in a table and in the detail panel, as plain JSON.

Pure functions, no widgets and no frames: `cell` for display, cut to a length; `text` for copying, whole. The page draws what they say
(``static/table_cell.js``) and takes care of marks that reorder or hide text.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np

from chroma_nb.scalars import Instant, is_absent

Cell: TypeAlias = "bool | str | dict[str, Any] | None"
"""None: no value. A dict has ``text`` and ``full`` (what was rounded or shortened), or ``list`` and ``more`` (items left out)."""

LIMIT: Final = 300
"""Characters of one text that travel to a page."""

ITEMS: Final = 8
"""Items of one list that travel to a page."""

_ITEM_LIMIT: Final = 60
_BYTES: Final = 16
_WHOLE: Final = 10**15  # beyond, a float's digits before the point are no longer all meant
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MIDNIGHT: Final = re.compile(r"00:00(:00)?([+-][\d:]+)?")
_DATES: Final = (Instant, dt.date, np.datetime64)
_LISTS: Final = (list, tuple, set, frozenset, np.ndarray)


def cell(value: object, limit: int = LIMIT) -> Cell:
    """Return how `value` is shown.

    Parameters
    ----------
    limit
        Characters kept of a text; the last one of a longer text is an ellipsis.

    Examples
    --------
    >>> cell(None), cell(True), cell(2**63), cell("long text", limit=5)
    (None, True, '9223372036854775808', 'long…')
    >>> cell(1 / 3)
    {'text': '0.333333', 'full': '0.3333333333333333'}
    >>> cell(Instant(0, None)), cell(["a", "b"])
    ({'text': '1970-01-01', 'full': '1970-01-01T00:00:00'}, {'list': ['a', 'b'], 'more': 0})
    """
    if _is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, _LISTS) and not (isinstance(value, np.ndarray) and value.ndim == 0):
        items = list(itertools.islice(value, ITEMS))
        return {"list": [cut(_line(item), _ITEM_LIMIT) for item in items], "more": len(value) - len(items)}
    whole = text(value)
    line = _line(value) if isinstance(value, (*_DATES, float, np.floating)) else whole
    return cut(whole, limit) if line == whole else {"text": line, "full": whole}


def text(value: object) -> str:
    r"""Return `value` as text with nothing left out, fit for JSON and a clipboard; no value is the empty text.

    Examples
    --------
    >>> text(None), text(0.1), text(["a", None, 1]), text(b"ab"), text("\ud83d")
    ('', '0.1', '["a", null, 1]', '2 bytes: 6162', '\\ud83d')
    """
    try:
        return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", _text(value))
    except Exception as error:  # noqa: BLE001 - an object of the caller's that cannot be written must not empty the whole page
        return f"{type(value).__name__}, which cannot be shown: {type(error).__name__}"


def number(value: float | np.floating[Any]) -> str:
    """Return `value` with up to six significant digits; whole numbers keep all of theirs.

    Examples
    --------
    >>> number(0.1 + 0.2), number(1234567.0), number(1234567.8), number(float("inf"))
    ('0.3', '1234567', '1.23457e+06', 'inf')
    """
    return str(int(value)) if abs(value) < _WHOLE and value == int(value) else f"{value:.6g}"


def cut(whole: str, limit: int) -> str:
    """Return at most `limit` characters of a text, with an ellipsis for the rest."""
    return whole if len(whole) <= limit else whole[: max(limit - 1, 0)] + "…"


def shares(values: Sequence[object]) -> list[float | None]:
    """Return where each distance lies between the least (0) and the greatest (1) of them; None for what is not a finite number.

    Examples
    --------
    >>> shares([0.5, None, 1.0, 0.75]), shares([2.0])
    ([0.0, None, 1.0, 0.5], [0.0])
    """
    numbers = [float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else math.nan for value in values]
    finite = [value for value in numbers if math.isfinite(value)]
    least, greatest = min(finite, default=0.0), max(finite, default=0.0)
    spread = greatest - least
    if not math.isfinite(spread) or spread <= 0:
        spread = math.inf
    return [(value - least) / spread if math.isfinite(value) else None for value in numbers]


def _is_missing(value: object) -> bool:
    return is_absent(value) or (isinstance(value, Decimal) and value.is_nan())


def _line(value: object) -> str:
    """Return a short text for a date or a fraction, the whole text of anything else."""
    if isinstance(value, _DATES) and not _is_missing(value):
        date, _, time = text(value).partition("T")
        return date if not time or _MIDNIGHT.fullmatch(time) else f"{date} {time[:5]}"
    if isinstance(value, (float, np.floating)) and not _is_missing(value):
        return number(value)
    return text(value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if _is_missing(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, Instant):
        return value.iso()
    if isinstance(value, dt.date):  # datetimes and pandas' timestamps among them
        return value.isoformat()
    if isinstance(value, np.ndarray):
        return _text(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        plain = value if isinstance(value, (list, tuple, dict)) else list(value)
        return json.dumps(plain, ensure_ascii=False, default=_json_value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        return f"{len(raw):,} bytes: {raw[:_BYTES].hex()}" + ("…" if len(raw) > _BYTES else "")
    return str(value)


def _json_value(value: object) -> object:
    return None if _is_missing(value) else value.item() if isinstance(value, np.integer) else text(value)
