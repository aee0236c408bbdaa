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
