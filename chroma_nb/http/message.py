"""A request and a reply as plain values, so that both sides of the API can be used and tested without a socket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chroma_nb.errors import InvalidArgumentError

_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:')
_READ_TWICE = 1 << 16
"""Bytes up to which a body is looked through for doubled keys. People write such bodies; programs write the large ones."""

RULES_HEADER = "x-chroma-nb-rules"
"""Sent by our own clients: ``guide`` or ``chroma``, how the filters in the body are meant."""
TYPED_HEADER = "x-chroma-nb-typed"
"""Sent by our own clients: instants travel as objects with nanoseconds and zone, not as ISO 8601 text."""
SERVER_HEADER = "x-chroma-nb"
"""Sent by our own server: its version; a client that sees it knows that the server has more than Chroma's API."""


@dataclass(frozen=True)
class Request:
    """A request to a server.

    Parameters
    ----------
    path
        Percent-encoded as on the wire, from ``/api`` on.
    headers
        Names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """Return the body as JSON; an empty one as an empty object.

        Raises
        ------
        InvalidArgumentError
            It is not JSON.
        """
        if not self.body.strip(b" \t\r\n"):
            return {}
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise InvalidArgumentError(f"body: not valid JSON ({error})") from error
        if len(self.body) <= _READ_TWICE:
            _check_keys(self.body)
        return value


def _check_keys(body: bytes) -> None:
    """Refuse an object that has a key twice, which other parsers read differently."""
    keys = _KEY.findall(body)
    if len(set(keys)) < len(keys):  # of one object or of several: look closer
        json.loads(body, object_pairs_hook=_without_doubles, parse_int=str)


def _without_doubles(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidArgumentError(f"body: the key {key[:60]!r} comes twice in one object")
        seen.add(key)


@dataclass(frozen=True)
class Reply:
    """A server's answer, JSON as a rule.

    Parameters
    ----------
    body
        All of it, or what it begins with.
    rest
        What follows `body`, made piece by piece as it is taken, once; None when nothing does.
    size
        About how many bytes it has in all, where something follows.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    rest: Iterator[bytes] | None = None
    size: int = 0

    def content(self) -> bytes:
        """Return all of it, which takes what follows `body`."""
        return self.body if self.rest is None else b"".join((self.body, *self.rest))
