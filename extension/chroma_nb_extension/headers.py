"""Which headers pass, in and out.

Lists of what may pass, not of what may not: a Jupyter server stands behind Hubs, proxies and sign-on portals that put cookies and
credentials into headers no list knows. For the same reason a kernel's reply cannot set cookies, loosen Jupyter's
Content-Security-Policy, open it to other origins, or be kept by a browser: one kernel's reply would be shown for the next one's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

SECRET_HEADER: Final = "x-chroma-token"  # noqa: S105 - the header's name
"""Where a kernel wants to see the secret of its record; a client's own does not pass."""

_CHROMAS: Final = ("chroma-", "x-chroma-")
_IN: Final = frozenset({"accept", "accept-encoding", "accept-language", "content-encoding", "content-type", "user-agent"})
_OUT: Final = frozenset(
    {
        "allow",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "retry-after",
        "vary",
    }
)

_KINDS = re.compile(r"(?:application/json|text/plain|text/html)(?:; *charset=utf-8)?", re.IGNORECASE)
"""What a browser may take a reply for; anything else is bytes to it, and no script, style or plug-in's."""

Pairs = Iterable[tuple[str, str]]


def forwarded(given: Pairs) -> list[tuple[str, str]]:
    """Return the headers of a client's request that its kernel gets to see.

    Examples
    --------
    >>> forwarded([("Cookie", "a=b"), ("Content-Type", "application/json")])
    [('Content-Type', 'application/json')]
    """
    return list(_passing(given, _IN))


def returned(given: Pairs) -> list[tuple[str, str]]:
    """Return the headers of a kernel's reply that the client gets to see.

    Examples
    --------
    >>> returned([("set-cookie", "a=b"), ("content-type", "text/javascript"), ("vary", "accept")])
    [('content-type', 'application/octet-stream'), ('vary', 'accept')]
    """
    return [(name, _kind(value) if name.lower() == "content-type" else value) for name, value in _passing(given, _OUT)]


def _kind(value: str) -> str:
    return value if _KINDS.fullmatch(value) else "application/octet-stream"


def _passing(given: Pairs, allowed: frozenset[str]) -> Iterator[tuple[str, str]]:
    pairs = list(given)
    hops = {name.strip().lower() for key, value in pairs if key.lower() == "connection" for name in value.split(",")}
    for key, value in pairs:
        name = key.lower()
        if name not in hops and name != SECRET_HEADER and (name in allowed or name.startswith(_CHROMAS)):
            yield key, value
