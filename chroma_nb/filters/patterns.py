"""The regular expressions of ``$regex``, compiled once and without a word.

Python warns of patterns that a later version might read differently, such as ``[[a]``. They are valid, whoever wrote one may sit at the
other end of a connection, and where warnings are errors a search would fail: so they are taken as they are. Called by the parser, the
oracle and the engines.
"""

from __future__ import annotations

import re
import threading
import warnings
from functools import lru_cache
from typing import Any

from chroma_nb.errors import InvalidArgumentError

_PATIENCE = 1.0
"""Seconds that one document may take."""
_LOCK = threading.Lock()


@lru_cache(maxsize=256)
def compiled_pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression; never warns.

    Raises
    ------
    re.error, RecursionError, OverflowError
        It is not a regular expression, too deep, or too large.

    Examples
    --------
    >>> compiled_pattern("[[a]").findall("[b]a")
    ['[', 'a']
    """
    # The list of warning filters is the process's own: two threads that set it aside at once could restore it in the wrong order.
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(text)


def is_found(pattern: str, document: str) -> bool:
    """Tell whether `pattern`, which compiles, is found anywhere in `document`.

    Python's own matcher can take years over a pattern such as ``(a|aa)+$`` and keeps every other thread waiting. The package
    `regex` reads the same patterns, lets others run, and gives up when told to.

    Raises
    ------
    InvalidArgumentError
        It takes longer than a second.

    Examples
    --------
    >>> is_found("(?i)HELLO", "say hello")
    True
    """
    try:
        return _matcher(pattern).search(document, timeout=_PATIENCE, concurrent=True) is not None
    except TimeoutError as error:
        shown = pattern if len(pattern) <= 60 else f"{pattern[:57]}..."
        raise InvalidArgumentError(
            f"$regex: {shown!r} takes longer than {_PATIENCE:g} s on one document; write it without repeats inside repeats"
        ) from error


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Any:
    import regex  # not loaded before a pattern is searched for

    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return regex.compile(pattern)
        except regex.error as error:
            raise InvalidArgumentError(f"$regex: {pattern[:60]!r} cannot be searched for ({error}); write it differently") from error
