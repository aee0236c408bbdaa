"""Ctrl-C without half-done work.

A write holds a thread lock, a kernel lock and a transaction; a KeyboardInterrupt between any two bytecodes could leave one
of them behind. While a write is under way in the main thread (signals only ever reach that one) SIGINT is only noted; the
write looks at the note where stopping is safe, undoes itself and raises. Reads need none of this: they publish what they
prepared in one assignment.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from typing_extensions import Self


class Postponed:
    """Context in which SIGINT waits until `check` is called or the context ends.

    Examples
    --------
    >>> with Postponed() as interrupt:
    ...     interrupt.check()
    """

    def __init__(self) -> None:
        self._noted: tuple[int, FrameType | None] | None = None
        self._previous: Any = None
        self._armed = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            # An ignored or foreign (C) handler stays: whoever set it does not want KeyboardInterrupt anyway.
            if callable(previous):
                self._previous = previous
                self._armed = True
                signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = (number, frame)

    def check(self) -> None:
        """Let a noted interrupt happen now (the caller undoes its work as for any exception)."""
        if self._noted is not None:
            noted, self._noted = self._noted, None
            self._previous(*noted)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._armed:
            signal.signal(signal.SIGINT, self._previous)
            self._armed = False
            self.check()
