"""A request and a reply as plain values, so that both sides of the API can be used and tested without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chroma_nb.errors import InvalidArgumentError

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
        if not self.body.strip():
            return {}
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise InvalidArgumentError(f"body: not valid JSON ({error})") from error


@dataclass(frozen=True)
class Reply:
    """A server's answer; the body is JSON."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
