"""The rules for names of collections, tenants and databases, one message per rule.

Collection names follow Chroma's usage guide ("Creating, inspecting, and deleting Collections"). Chroma itself never
enforced its lower-case rule, and from 1.0 on takes 512 characters instead of 63: ``CHROMA_NAMES`` is what it accepts today.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.scalars import check_text, plain_text

SHORTEST, LONGEST = 3, 512
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class NameRules:
    """How strict a facade is about new collection names."""

    longest: int
    ends: str
    ends_said: str


GUIDE_NAMES = NameRules(63, r"[a-z0-9]", "a lower-case letter or a digit")
CHROMA_NAMES = NameRules(LONGEST, r"[A-Za-z0-9]", "a letter or a digit")


def collection_name(name: object, rules: NameRules = GUIDE_NAMES) -> str:
    """Return `name` if a new collection may be called so.

    Raises
    ------
    InvalidArgumentError
        A rule is broken; the message says which.

    Examples
    --------
    >>> collection_name("my_docs.v2")
    'my_docs.v2'
    """
    name = plain_text(name, "collection name")
    shown = repr(name if len(name) <= 80 else name[:77] + "...")
    if not SHORTEST <= len(name) <= rules.longest:
        raise InvalidArgumentError(f"collection name {shown}: has {len(name)} characters, expected {SHORTEST} to {rules.longest}")
    strange = _STRANGE.search(name)
    if strange:
        raise InvalidArgumentError(
            f"collection name {shown}: {strange.group()!r} is not allowed; use letters a-z, digits, dots, dashes and underscores"
        )
    if not (re.fullmatch(rules.ends, name[0]) and re.fullmatch(rules.ends, name[-1])):
        raise InvalidArgumentError(f"collection name {shown}: must start and end with {rules.ends_said}")
    if ".." in name:
        raise InvalidArgumentError(f"collection name {shown}: must not contain two consecutive dots")
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return name
    raise InvalidArgumentError(f"collection name {shown}: must not be an IP address")


def scope_name(name: object, what: str) -> str:
    """Return `name` if a tenant or database (`what`) may be called so: 3 to 512 characters of valid text, no slash."""
    name = plain_text(name, f"{what} name")
    check_text(name, f"{what} name")
    if not SHORTEST <= len(name) <= LONGEST:
        raise InvalidArgumentError(f"{what} name: has {len(name)} characters, expected {SHORTEST} to {LONGEST}")
    if "/" in name or "\0" in name:
        raise InvalidArgumentError(f"{what} name {name[:80]!r}: must not contain a slash or a NUL, it becomes part of a URL")
    return name
