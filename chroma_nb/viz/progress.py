"""Fractions of work done, on their way to a caller's callback.

Called by the projections. Drawing a progress bar is not done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SMALLEST_STEP = 0.01
"""Reports closer than this to the last one are dropped: a callback may be a message to a browser."""


class Progress:
    """Passes fractions 0..1 on to a callback, ascending and not too often.

    Parameters
    ----------
    callback : callable or None
        Takes one float. What it raises ends the work: that is how a caller cancels.

    Examples
    --------
    >>> seen = []
    >>> progress = Progress(seen.append)
    >>> for fraction in (0.0, 0.5, 0.4, 0.505, 1.0):
    ...     progress(fraction)
    >>> seen
    [0.0, 0.5, 1.0]
    """

    def __init__(self, callback: Callable[[float], None] | None) -> None:
        self._callback = callback
        self._last = -1.0

    def __call__(self, fraction: float) -> None:
        """Report that `fraction` of the work is done."""
        if self._callback is None or fraction <= self._last:
            return
        if fraction - self._last >= SMALLEST_STEP or fraction >= 1.0:
            self._last = min(fraction, 1.0)
            self._callback(self._last)

    def part(self, start: float, stop: float) -> Callable[[float], None]:
        """Return a callback whose 0..1 is `start`..`stop` of this one."""
        return lambda fraction: self(start + (stop - start) * fraction)
