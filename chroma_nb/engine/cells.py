"""A metadata key of some records, out of its column: arrays where all values are of one kind, without an object per value.

Must not live here: what a column is (`chroma_nb.engine.column`), which records are meant. Called by the engine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine.column import BOOL, FLOAT, INT, NAIVE, STR, ZONED, Column, Positions
from chroma_nb.results import Cells
from chroma_nb.scalars import Instant

_KINDS: Final = {INT: int, FLOAT: float, BOOL: bool, NAIVE: Instant, ZONED: Instant}


def cells_at(column: Column | None, positions: Positions) -> Cells:
    """Return the cells of the records at `positions`, in their order; what `Cells.of` makes of their values, only quicker."""
    n = len(positions)
    if column is None or not column.size:
        return Cells.of([None] * n)
    hit, index = column.at(positions)
    present = np.flatnonzero(np.bincount(column.kinds[index], minlength=8)).tolist()
    missing = _missing(n, hit)
    if len(present) == 1 and present[0] in _KINDS:
        zone = _zone(column, index) if present[0] == ZONED else None
        if present[0] != ZONED or zone is not None:
            return Cells(_KINDS[present[0]], _array(column, present[0], n, hit, index), missing, zone)
    values = column.values(index)
    if missing is not None:
        placed = np.full(n, None, np.object_)
        placed[hit] = np.fromiter(values, np.object_, len(values))
        values = placed.tolist()
    return Cells(str if present == [STR] else None, values)


def _missing(n: int, hit: Positions) -> NDArray[np.bool_] | None:
    if len(hit) == n:
        return None
    missing = np.ones(n, np.bool_)
    missing[hit] = False
    return missing


def _zone(column: Column, index: Positions) -> str | None:
    """Return the time zone of all values at `index`, None when there are several."""
    codes = column.codes[index]
    if (codes != codes[0]).any():
        return None
    first: Instant = column.values(index[:1])[0]
    return first.zone


def _array(column: Column, kind: int, n: int, hit: Positions, index: Positions) -> NDArray[np.generic]:
    if kind == FLOAT:
        floats = np.full(n, np.nan)
        floats[hit] = column.floats[index]
        return floats
    whole = np.full(n, np.iinfo(np.int64).min if kind in (NAIVE, ZONED) else 0, np.int64)
    whole[hit] = column.ints[index]
    if kind == BOOL:
        return whole.astype(np.bool_)
    return whole if kind == INT else whole.view("datetime64[ns]")
