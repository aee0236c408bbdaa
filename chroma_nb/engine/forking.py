"""Who is inside a store, and how to keep everybody out while the process is forked.

SQLite keeps the locks it holds on a file in the process's memory. A child inherits that memory but not the locks: what it
opens later seems locked when it is not. Measured: once the parent had closed the store, a write that the child had
acknowledged was gone. So at the moment of a fork no connection is open and no thread is inside SQLite
(`chroma_nb.engine.database` sees to it); if a thread does not come out in time, the child is told that it cannot use the store.
"""

from __future__ import annotations

import threading

from chroma_nb import stopping

_SLICE = 0.1


class Gate:
    """Counts who is inside, for the length of a ``with`` block; can be shut, and then lets nobody in until it is opened.

    Examples
    --------
    >>> gate = Gate()
    >>> with gate:
    ...     gate.shut(patience=0.01)
    False
    >>> gate.open()
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False

    def __enter__(self) -> None:
        with self._changed:
            while self._is_shut:
                self._changed.wait(_SLICE)
                stopping.check()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
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
