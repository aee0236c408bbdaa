"""Whose turn it is with the one connection of a store in memory.

A read that takes long lends its turn in between to those who wait; several such reads step back behind everybody else. Called by
`chroma_nb.engine.database` only.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from chroma_nb import stopping

_SLICE, _MOMENT, _LONGEST = 0.1, 0.001, 0.5


class Turn:
    """A lock, held for the length of a ``with`` block; waiting for it ends when `chroma_nb.stopping.check` says so.

    Examples
    --------
    >>> turn = Turn()
    >>> with turn:
    ...     turn.lend()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[None] = deque()  # appending and popping need no lock of their own

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        self._waiting.append(None)
        try:
            while not self._lock.acquire(timeout=_SLICE):
                stopping.check()
        finally:
            self._waiting.pop()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def lend(self) -> None:
        """Let those who wait have their turns first, for half a second at most, and take it again."""
        self._lock.release()
        until = time.monotonic() + _LONGEST
        time.sleep(_MOMENT)
        while self._waiting or not self._lock.acquire(blocking=False):
            if time.monotonic() > until:
                self._lock.acquire()
                return
            time.sleep(_MOMENT)
