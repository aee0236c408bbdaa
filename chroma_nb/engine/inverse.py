"""From a row or a label to the position that has it.

Rows and labels are numbers that are given away once, so those in use lie close together as a rule, and an array indexed by the number
is quickest. They need not: after years of updates, or in a file that somebody made to take all memory. Then the numbers
are kept sorted. Must not live here: what a position is. Called by `chroma_nb.engine.view`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LEAST: Final = 1 << 20
_SPREAD: Final = 16
"""Up to so many numbers per position in use (and `_LEAST` in any case) an array indexed by the number is made."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Inverse:
    """The position of each number, -1 for none. Never changes.

    Parameters
    ----------
    positions
        Indexed by the number, or by its place among `numbers`.
    numbers
        Ascending; None while `positions` is indexed by the number itself.

    Examples
    --------
    >>> inverse = Inverse.empty().placed(np.array([7, 2**39]), np.array([0, 1], dtype=np.int32))
    >>> inverse.of(np.array([2**39, 8, 7])).tolist()
    [1, -1, 0]
    """

    positions: NDArray[np.int32]
    numbers: Numbers | None = None

    @classmethod
    def empty(cls) -> Inverse:
        """Return the inverse of no positions."""
        return cls(np.empty(0, dtype=np.int32))

    def of(self, numbers: Numbers) -> Numbers:
        """Return the position of each number, -1 for none."""
        if not len(self.positions):
            return np.full(len(numbers), -1, dtype=np.int64)
        places = numbers
        if self.numbers is not None:
            places = np.searchsorted(self.numbers, numbers)
        inside = (places >= 0) & (places < len(self.positions))
        places = np.where(inside, places, 0)
        if self.numbers is not None:
            inside &= self.numbers[places] == numbers
        return np.where(inside, self.positions[places], -1).astype(np.int64)

    def placed(self, numbers: Numbers, positions: NDArray[np.int32]) -> Inverse:
        """Return an inverse in which `numbers`, none of them negative, have `positions`, whatever position they had."""
        if not len(numbers):
            return self
        length = max(len(self.positions), int(numbers.max()) + 1)
        if self.numbers is None and length <= _LEAST + _SPREAD * (int(positions.max()) + 1):
            result = np.full(length, -1, dtype=np.int32)
            result[: len(self.positions)] = self.positions
            result[numbers] = positions
            return Inverse(result)
        known = np.flatnonzero(self.positions >= 0) if self.numbers is None else self.numbers
        kept = ~np.isin(known, numbers)
        held = self.positions[known] if self.numbers is None else self.positions
        joined, places = np.concatenate([known[kept], numbers]), np.concatenate([held[kept], positions])
        order = np.argsort(joined, kind="stable")
        return Inverse(places[order], joined[order])

    def without(self, numbers: Numbers) -> Inverse:
        """Return an inverse in which `numbers`, all of which have a position, have none."""
        positions = self.positions.copy()
        positions[numbers if self.numbers is None else np.searchsorted(self.numbers, numbers)] = -1
        return Inverse(positions, self.numbers)
