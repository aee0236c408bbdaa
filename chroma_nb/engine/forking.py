"""Who is inside a store, and how to keep everybody out while the process is forked.

SQLite keeps the locks it holds on a file in the process's memory. A child inherits that memory but not the locks: what it
opens later seems locked when it is not. Measured: once the parent had closed the store, a write that the child had
acknowledged was gone. So at the moment of a fork no connection is open and no thread is inside SQLite
(`chroma_nb.engine.database` sees to it); if a thread does not come out in time, the child is told that it cannot use the store.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Gate:
    """Counts who is inside; can be shut.

    Examples
    --------
    >>> gate = Gate()
    >>> with gate.passing():
    ...     gate.shut(patience=0.01)
    False
    >>> gate.open()
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside for the length of a block; waits while the gate is shut."""
        with self._changed:
            while self._is_shut:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def shut(self, patience: float) -> bool:
        """Let nobody in any more; tell whether everybody came out within `patience` seconds."""
        with self._changed:
            self._is_shut = True
            return self._changed.wait_for(lambda: not self._inside, patience)

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._is_shut = False
            self._changed.notify_all()
