"""What a request does, in the words of Jupyter's authorizers: ``read``, ``write`` or ``execute``.

Chroma asks for records by POST, so the verb alone says little. What is not known here counts as writing; a tail that is missing
refuses a reader, and lets nobody write.
"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

Action = Literal["read", "write", "execute"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)

RESOURCE: Final = "chroma_nb"
"""What authorizers are asked about."""

READING_POSTS: Final = (
    "get",
    "query",
    "search",
    "nb/changed_since",
    "nb/columns",
    "nb/count_where",
    "nb/describe",
    "nb/explain",
    "nb/facets",
    "nb/get_layout",
    "nb/sample",
    "nb/scan",
)
"""What follows a collection in the path of a POST that changes nothing."""

_COLLECTION = r"/api/(?:v1|v2/tenants/[^/]+/databases/[^/]+)/collections/[^/]+"
_READS = re.compile(rf"{_COLLECTION}/(?:{'|'.join(READING_POSTS)})/*")
_RESETS = re.compile(r"/api/v[12]/reset/*")


def action_of(method: str, path: str) -> Action:
    """Return what a request does.

    Parameters
    ----------
    method
        In capitals.
    path
        Percent-encoded, from ``/api`` on.

    Examples
    --------
    >>> action_of("POST", "/api/v1/collections/7/query"), action_of("POST", "/api/v1/collections/7/add"), action_of("POST", "/api/v2/reset")
    ('read', 'write', 'execute')
    """
    if method in ("GET", "HEAD") or (method == "POST" and _READS.fullmatch(path)):
        return "read"
    return "execute" if method == "POST" and _RESETS.fullmatch(path) else "write"
