"""Where our own API and Chroma's present one differ in what they accept.

Our API and HTTP v1 follow the usage guide; the ``chromadb`` facade and HTTP v2 follow Chroma 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from chroma_nb import filters, names


@dataclass(frozen=True)
class Dialect:
    """The rules a facade reads its arguments by.

    Parameters
    ----------
    filters
        What a filter may leave out, and whether ``$ne`` finds records without the key.
    names
        Which names a new collection may have.
    repeated_ids
        Whether reading calls may name an id twice (it counts once).
    """

    filters: filters.Rules
    names: names.NameRules
    repeated_ids: bool


GUIDE = Dialect(filters.GUIDE, names.GUIDE_NAMES, repeated_ids=True)
CHROMA = Dialect(filters.CHROMA, names.CHROMA_NAMES, repeated_ids=False)
