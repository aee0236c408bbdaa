"""Arrays that grow at their end while older views go on reading what they saw.

Must not live here: what the values mean. Called by the columns (`chroma_nb.engine.column`) and the ids (`chroma_nb.engine.ids`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Buffer:
    """An array that grows at its end; slices taken before stay valid."""

    __slots__ = ("data", "filled")

    def __init__(self, data: NDArray[Any], filled: int) -> None:
        self.data, self.filled = data, filled

    def appended(self, used: int, tail: NDArray[Any]) -> Buffer:
        """Return a buffer with `tail` after the first `used` values: this one when nobody wrote there and it has room."""
        end = used + len(tail)
        if self.filled == used and end <= len(self.data):
            self.data[used:end] = tail
            self.filled = end
            return self
        data = np.zeros(max(end, 2 * used if used else end), self.data.dtype)
        data[:used] = self.data[:used]
        data[used:end] = tail
        return Buffer(data, end)
