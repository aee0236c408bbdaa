"""A question put to a collection: its answer, the vectors it compares with, and how many records match.

Functions without state; called by the query builder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import Everything, Rules, both, describe
from chroma_nb.records import Vectors, parse_vectors
from chroma_nb.results import Summary
from chroma_nb.widgets.request import Connection, Request
from chroma_nb.widgets.rows import Group, Reading

if TYPE_CHECKING:
    import pandas as pd

_BLAMED: Final = 12
"""Conditions that are looked at when nothing matches."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a builder needs of a collection.

    Parameters
    ----------
    collection
        Any synchronous collection.
    rules
        How its filters are read.
    summary
        Returns what it holds.
    embed
        Texts to the vectors that queries by them use.
    connection
        Returns where it is, for code.
    """

    collection: Any
    rules: Rules
    summary: Callable[[], Summary]
    embed: Callable[[list[str]], Vectors]
    connection: Callable[[], Connection]


def answer(source: Source, request: Request) -> pd.DataFrame:
    """Return the records that are asked for, as `query` or, without anything to compare with, `get` does."""
    collection, include = source.collection, list(request.include)
    if not request.is_query:
        frame: pd.DataFrame = collection.get(where=request.filter, limit=request.limit, include=include)
        return frame
    compared: dict[str, Any] = {"query_embeddings": request.vectors}
    if request.texts is not None:
        compared = {"query_texts": list(request.texts)}
    elif request.like is not None:
        compared = {"like": list(request.like)}
    ranked: pd.DataFrame = collection.query(**compared, n_results=request.n_results, where=request.filter, include=include)
    return ranked


def vectors_of(source: Source, request: Request) -> Vectors:
    """Return the vectors of a request's texts, or of the records it is to be like: (q, d) float32.

    Raises
    ------
    InvalidArgumentError
        A record is not there.
    """
    if request.texts is not None:
        return source.embed(list(request.texts))
    names = list(request.like or ())
    frame = source.collection.get(ids=names, include=["embeddings"])
    for name in names:
        if name not in frame.index:
            raise InvalidArgumentError(f"like: the collection has no record {name[:60]!r}")
    return parse_vectors([frame["embedding"][name] for name in names], "like")


def matches(source: Source, reading: Reading, rows: Group) -> dict[str, Any]:
    """Count the records that match, and say what excludes most when none does.

    Returns
    -------
    ``count``, ``total`` and ``blame``: per condition its id, its words, how many records match it alone, and how many all but it; the one
    without which most would match comes first.
    """
    count = source.collection.count
    total = count()
    matching = total if isinstance(reading.filter, Everything) else count(where=reading.filter)
    blame = [] if matching or not total or rows.junction != "$and" else _blame(source, reading, [part.id for part in rows.parts])
    return {"count": matching, "total": total, "blame": blame}


def _blame(source: Source, reading: Reading, ids: Sequence[str]) -> list[dict[str, Any]]:
    parts = [(own, reading.said[own]) for own in ids if own in reading.said][:_BLAMED]
    count = source.collection.count
    found = []
    for own, part in parts:
        others = both(*(other for name, other in parts if name != own))
        found.append({"id": own, "words": describe(part, 120), "alone": count(where=part), "without": count(where=others)})
    return sorted(found, key=lambda each: (-each["without"], each["alone"]))
