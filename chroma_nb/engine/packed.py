"""Texts one after the other in an array of bytes, and where each of them ends: what a cache file has of ids and of distinct values.

Must not live here: whose texts they are. Called by whoever reads them from a file (`chroma_nb.engine.ids`, `chroma_nb.engine.distinct`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import DatabaseCorruptedError

_CONTINUES = 0x80


def check(text: NDArray[Any], ends: NDArray[Any], errors: str = "strict") -> None:
    """Refuse arrays that are no texts: one that ends before it begins or within a character, or bytes that are no UTF-8.

    Raises
    ------
    DatabaseCorruptedError
        As said; the cache can be rebuilt from the records.
    """
    if text.dtype != np.uint8 or ends.dtype != np.int64:
        raise _damaged("their arrays are of another kind")
    if (ends[1:] < ends[:-1]).any() or int(ends[0] if len(ends) else 0) < 0 or int(ends[-1] if len(ends) else 0) != len(text):
        raise _damaged("their ends are not in order")
    inside = ends[ends < len(text)]
    if ((text[inside] & 0xC0) == _CONTINUES).any():
        raise _damaged("one ends within a character")
    try:
        text.tobytes().decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise _damaged(str(error)) from error


def _damaged(what: str) -> DatabaseCorruptedError:
    return DatabaseCorruptedError(f"texts in a cache: {what}; rebuild the cache")
