"""Records as CSV in which a spreadsheet runs nothing.

Excel and its like take a cell that begins with ``= + - @`` for a formula, which may call programs and addresses; texts of records come
from anybody. Such a text gets an apostrophe in front, which says "text" to a spreadsheet, and texts are quoted, so that no sign within
one begins a cell of its own. Numbers, dates and texts that are plain numbers stay as they are. Called by `exporting`.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

# Spaces, controls, quotes and what cannot be seen: programs drop some of them before they look at the first sign.
_PASSED_OVER: Final = re.compile("[\\s\x00-\x1f\x7f-\xa0\xad\"'`´‘’“”«»\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SIGNS: Final = frozenset("=+-@")
_BREAKS: Final = ("\t", "\r", "\n")


def guarded(text: str) -> str:
    """Return `text` as a cell that no spreadsheet takes for a formula.

    Examples
    --------
    >>> guarded("=1+1"), guarded(" @SUM(A1)"), guarded("a=1"), guarded("-5.5")
    ("'=1+1", "' @SUM(A1)", 'a=1', '-5.5')
    """
    begun = _PASSED_OVER.match(text)
    first = unicodedata.normalize("NFKC", text[begun.end() if begun else 0 :][:1])
    runs = text.startswith(_BREAKS) or (first[:1] in _SIGNS and not _NUMBER.fullmatch(text))
    return "'" + text if runs else text


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame with its index, in UTF-8."""
    import pandas as pd
    from pandas.api.types import is_object_dtype, is_string_dtype

    def cell(value: Any) -> Any:
        return guarded(value) if isinstance(value, str) else value

    columns = {
        cell(name): column.map(cell) if is_object_dtype(column.dtype) or is_string_dtype(column.dtype) else column
        for name, column in frame.items()
    }
    shown = pd.DataFrame(columns, index=frame.index)
    shown.index = shown.index.map(cell)
    shown.to_csv(path, index_label=frame.index.name, quoting=csv.QUOTE_NONNUMERIC)
