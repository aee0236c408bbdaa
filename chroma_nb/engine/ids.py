"""The ids of all records in memory, compactly: their UTF-8 bytes one after the other, and where each ends.

A text object per id would take several times the memory, for what most callers never ask. Like a column, `Ids` only grows:
growing returns a new object which shares the buffers, so that whoever reads the old one is undisturbed (`chroma_nb.engine.column`
says how). Must not live here: rows, labels, SQLite. Called by the views and by whoever saves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine import packed
from chroma_nb.engine.buffer import Buffer

Positions = NDArray[np.int64]


class Ids:
    """The ids of `size` records by position.

    Examples
    --------
    >>> ids = Ids.empty().extended(["a", "né", "c"])
    >>> ids.at(np.array([2, 1]))
    ['c', 'né']
    """

    __slots__ = ("_ends", "_text", "size")

    def __init__(self, size: int, text: Buffer, ends: Buffer) -> None:
        self.size, self._text, self._ends = size, text, ends

    @classmethod
    def empty(cls) -> Ids:
        """Return the ids of no records."""
        return cls.load(np.zeros(0, np.uint8), np.zeros(0, np.int64))

    @property
    def ends(self) -> Positions:
        """Where each id ends in `text`, (size,)."""
        ends: Positions = self._ends.data[: self.size]
        return ends

    @property
    def text(self) -> NDArray[np.uint8]:
        """The bytes of all ids."""
        text: NDArray[np.uint8] = self._text.data[: int(self.ends[-1]) if self.size else 0]
        return text

    def extended(self, ids: Sequence[str]) -> Ids:
        """Return these ids and `ids` after them; this object stays valid."""
        joined = "".join(ids)
        if joined.isascii():
            blob, lengths = joined.encode(), np.fromiter(map(len, ids), np.int64, len(ids))
        else:
            parts = [each.encode() for each in ids]
            blob, lengths = b"".join(parts), np.fromiter(map(len, parts), np.int64, len(parts))
        used = len(self.text)
        return Ids(
            self.size + len(ids),
            self._text.appended(used, np.frombuffer(blob, np.uint8)),
            self._ends.appended(self.size, np.cumsum(lengths) + used),
        )

    def at(self, positions: Positions) -> list[str]:
        """Return the ids at `positions`, in their order."""
        ends = self.ends
        blob = self.text.tobytes()
        whole = blob.decode("ascii") if blob.isascii() else None
        if len(positions) == self.size and bool((positions[1:] > positions[:-1]).all()):
            bounds = list(pairwise([0, *ends.tolist()]))
        else:
            starts = np.where(positions > 0, ends[positions - 1], 0)
            bounds = list(zip(starts.tolist(), ends[positions].tolist(), strict=True))
        if whole is not None:
            return [whole[start:end] for start, end in bounds]
        return [blob[start:end].decode() for start, end in bounds]

    def taken(self, positions: Positions) -> Ids:
        """Return the ids at `positions` as an object of their own."""
        return Ids.empty().extended(self.at(positions))

    @classmethod
    def load(cls, text: NDArray[np.uint8], ends: Positions) -> Ids:
        """Return the ids whose `text` and `ends` these are; the arrays are only read.

        Raises
        ------
        DatabaseCorruptedError
            They are no ids.
        """
        packed.check(text, ends)
        return cls(len(ends), Buffer(text, len(text)), Buffer(ends, len(ends)))
