"""A request and a reply as plain values, so that both sides of the API can be used and tested without a socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.bodies import read

_BLANK = 1 << 12
"""Bytes of white space that count as no body."""

_PARAMETERS = 100

RULES_HEADER = "x-chroma-nb-rules"
"""Sent by our own clients: ``guide`` or ``chroma``, how the filters in the body are meant."""
TYPED_HEADER = "x-chroma-nb-typed"
"""Sent by our own clients: instants travel as objects with nanoseconds and zone, not as ISO 8601 text."""
SERVER_HEADER = "x-chroma-nb"
"""Sent by our own server: its version; a client that sees it knows that the server has more than Chroma's API."""


def parse_query(text: bytes) -> dict[str, str]:
    """Parse the query string of an address.

    Raises
    ------
    InvalidArgumentError
        A parameter comes twice, which others read differently; or there are more than any route has.

    Examples
    --------
    >>> parse_query(b"limit=10&tenant=a%20b&type=")
    {'limit': '10', 'tenant': 'a b', 'type': ''}
    """
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=_PARAMETERS)
    except ValueError as error:
        raise InvalidArgumentError(f"query string: more than {_PARAMETERS} parameters") from error
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise InvalidArgumentError(f"query string: the parameter {name[:60]!r} comes twice")
        parameters[name] = value
    return parameters


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
        """Return the body as JSON, as `chroma_nb.http.bodies.read` does; one of nothing but white space as an empty object."""
        if len(self.body) <= _BLANK and not self.body.strip(b" \t\r\n"):
            return {}
        return read(self.body)


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
