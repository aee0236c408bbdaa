"""What a view holds, in plain values, to compare it with the store it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np

from chroma_nb.engine import catalog, view
from chroma_nb.engine.engine import Engine
from chroma_nb.engine.view import View


def of_view(current: View) -> list[tuple[int, int, str]]:
    """Return (row, label, metadata) of the living, in collection order."""
    living = np.flatnonzero(current.alive)
    metadatas: list[dict[str, str]] = [{} for _ in living]
    for key in current.columns:
        for metadata, value in zip(metadatas, current.columns.values_at(key, living), strict=True):
            if value is not None:
                metadata[key] = repr(value)
    rows, labels = current.rows[living].tolist(), current.labels[living].tolist()
    return sorted(zip(rows, labels, (str(sorted(each.items())) for each in metadatas), strict=True))


def difference(engine: Engine, collection: str) -> str | None:
    """Tell how the view that `engine` reached step by step differs from one loaded afresh; None when it does not."""
    with engine._database.read() as connection:
        entry = catalog.by_id(connection, collection)
        current = engine._memory.view(connection, entry)
        fresh = view.caught_up(None, connection, entry)
        stored = current.matrix.of(connection, entry, current)[0][current.alive] if current.count else None
        anew = fresh.matrix.of(connection, entry, fresh)[0] if current.count else None
    if (current.seq, current.count) != (fresh.seq, fresh.count):
        return f"seq and count {current.seq, current.count}, in the store {fresh.seq, fresh.count}"
    if of_view(current) != of_view(fresh):
        return f"{of_view(current)}, in the store {of_view(fresh)}"
    if stored is not None and anew is not None:
        order = np.argsort(current.rows[current.alive])
        if stored[order].tobytes() != anew.tobytes():
            return "the vectors differ"
    return _inverse(current)


def _inverse(current: View) -> str | None:
    living: Any = np.flatnonzero(current.alive)
    if not (current.positions_of_labels(current.labels[living]) == living).all():
        return "labels do not lead back to their positions"
    if len(living) and not (current.positions_of_rows(current.rows[living]) == living).all():
        return "rows do not lead back to their positions"
    dead = np.flatnonzero(~current.alive)
    if not (current.positions_of_labels(current.labels[dead]) != dead).all():
        return "a dead label leads to a position"
    return None
