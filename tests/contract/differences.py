"""What Chroma's own server does differently, test by test, and why; `chroma_nb.http.emulation` lists the same by subject.

A test named here is skipped on that server. Its name alone stands for all its parameters, ``name[part]`` for those whose id
contains the part.
"""

from __future__ import annotations

from typing import Any

DIFFERENCES: dict[str, str] = {}


def difference(node: Any) -> str | None:
    """Return why a test cannot hold on Chroma's server; None if it should."""
    name = node.originalname
    whole = DIFFERENCES.get(name)
    if whole is not None:
        return whole
    for pattern, reason in DIFFERENCES.items():
        test, _, part = pattern.rstrip("]").partition("[")
        if part and test == name and part in node.name:
            return reason
    return None
