"""A collection's record as the detail panel and the map's tooltip show it.

Reads one record by id; says nothing of how it looks. Used by the explorer's page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chroma_nb.frames import key_of
from chroma_nb.scalars import is_absent
from chroma_nb.widgets.detail import Neighbour, Record
from chroma_nb.widgets.images import ImageSource, with_image

if TYPE_CHECKING:
    import pandas as pd

_SNIPPET = 200
_OURS = ("document", "uri")


class RecordReader:
    """Reads records of a collection, one at a time.

    Parameters
    ----------
    collection
        Any synchronous collection.
    images
        Where a record's picture is: a metadata key, a function of the record, or None for its uri.
    """

    def __init__(self, collection: Any, images: ImageSource = None) -> None:
        self._collection = collection
        self._images = images

    def read(self, name: str) -> Record | None:
        """Return a record with its text and metadata; None where it has been deleted."""
        frame = self._collection.get(ids=[name], include=["documents", "metadatas", "uris"])
        if not len(frame):
            return None
        cells = frame.iloc[0]
        metadata = {key_of(column): cells[column] for column in frame.columns if column not in _OURS and not is_absent(cells[column])}
        document, uri = (None if is_absent(cells.get(column)) else str(cells[column]) for column in _OURS)
        return Record(name, document, metadata, uri)

    def full(self, record: Record, near: pd.DataFrame, hits: pd.DataFrame | None) -> Record:
        """Return a record with its picture, its neighbours, and its place among the hits of a question.

        Parameters
        ----------
        near
            Its neighbours, as `query` returns them.
        hits
            Of the last question.
        """
        neighbours = [
            Neighbour(name, rank, float(distance), "" if is_absent(text) else str(text)[:_SNIPPET])
            for rank, (name, distance, text) in enumerate(zip(near["id"], near["distance"], _texts(near), strict=True), 1)
        ]
        placed = replace(with_image(record, self._images), neighbours=neighbours)
        if hits is None or "distance" not in hits.columns:
            return placed
        at = np.flatnonzero((hits["id"] == record.id).to_numpy())
        if not len(at):
            return placed
        return replace(placed, rank=int(at[0]) + 1, distance=float(hits["distance"].iloc[int(at[0])]))


def _texts(frame: pd.DataFrame) -> list[Any]:
    return frame["document"].tolist() if "document" in frame.columns else [None] * len(frame)
