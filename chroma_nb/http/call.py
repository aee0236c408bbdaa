"""A request on the server's side: resolved, and its arguments parsed when they are asked for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from chroma_nb import ops
from chroma_nb.brief import short
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, InvalidUUIDError
from chroma_nb.filters import Filter, both, parse_where, parse_where_document
from chroma_nb.http.message import Request
from chroma_nb.http.routes import Found
from chroma_nb.http.speaker import Speaker
from chroma_nb.http.wire import thawed
from chroma_nb.records import parse_ids
from chroma_nb.scalars import INT_MAX

DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
_TURN = 1 << 16
_FIELDS = ("documents", "embeddings", "metadatas", "distances", "uris", "data")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Parameters
    ----------
    rows
        Records in one write.
    results
        ``n_results`` of a query, times its number of vectors.
    reply
        Bytes of an answer, roughly.
    seconds
        Time for the work on it; None for no limit. Building an index and forking have none, since they take as long as there are records.
    """

    rows: int = 100_000
    results: int = 1_000_000
    reply: int = 2 << 30
    seconds: float | None = 60.0

    def __post_init__(self) -> None:
        """Check the time, which users set."""
        if self.seconds is not None and (
            isinstance(self.seconds, bool) or not isinstance(self.seconds, (int, float)) or not self.seconds > 0
        ):
            raise InvalidArgumentError(f"time_limit: expected seconds, a number above 0, or none, got {str(self.seconds)[:40]!r}")


@dataclass(frozen=True)
class Service:
    """What the API is served from.

    Parameters
    ----------
    execute
        The backend.
    allow_reset, read_only
        Whether ``/reset`` may delete everything; whether writes are refused.
    """

    execute: Callable[[ops.Op[Any]], Any]
    allow_reset: bool = False
    read_only: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True)
class Call:
    """One request, resolved."""

    service: Service
    found: Found
    request: Request
    speaker: Speaker

    @property
    def v1(self) -> bool:
        """Whether the request came by version 1."""
        return self.speaker.version == 1

    def part(self, name: str) -> str:
        """Return a part of the path, or, for tenant and database in v1, of the query string."""
        defaults = {"tenant": DEFAULT_TENANT, "database": DEFAULT_DATABASE}
        return self.found.parts.get(name) or self.request.query.get(name) or defaults[name]

    @property
    def scope(self) -> tuple[str, str]:
        """Tenant and database."""
        return self.part("tenant"), self.part("database")

    @property
    def collection(self) -> str:
        """The collection's id."""
        try:
            return str(uuid.UUID(self.found.parts["collection"]))
        except ValueError:
            raise InvalidUUIDError(f"collection id {self.found.parts['collection'][:80]!r}: not a UUID") from None

    def body(self) -> dict[str, Any]:
        """Return the body, a JSON object."""
        body = self.request.json()
        if not isinstance(body, dict):
            raise InvalidTypeError(f"body: expected a JSON object, got {type(body).__name__}")
        return body

    def filter(self, body: Mapping[str, Any]) -> Filter:
        """Parse ``where`` and ``where_document``; null and {} are no filter."""
        where, where_document = body.get("where"), body.get("where_document")
        return both(
            parse_where(None if where == {} else thawed(where), self.speaker.rules),
            parse_where_document(None if where_document == {} else where_document, self.speaker.rules),
        )

    def ids(self, body: Mapping[str, Any]) -> list[str] | None:
        """Parse ``ids`` of a reading call; null, and in v1 the empty list, is no limit."""
        ids = body.get("ids")
        if ids is None or (ids == [] and self.v1):
            return None
        if not isinstance(ids, list):
            raise InvalidTypeError(f"ids: expected a list of texts, got {type(ids).__name__}")
        distinct: dict[str, None] = {}
        names = [] if ids == [] else parse_ids(ids, unique=False)
        for start in range(0, len(names), _TURN):  # each turn keeps other threads waiting
            distinct.update(dict.fromkeys(names[start : start + _TURN]))
        return list(distinct)

    def include(self, body: Mapping[str, Any], default: tuple[str, ...]) -> list[str]:
        """Parse ``include``."""
        include = body.get("include")
        if include is None:
            return list(default)
        wrong = [name for name in include if name not in _FIELDS] if isinstance(include, list) else [include]
        if wrong:
            raise InvalidArgumentError(f"include: expected a list of {', '.join(_FIELDS)}, got {short(wrong[0])}")
        return list(dict.fromkeys(include))

    def number(self, source: Mapping[str, Any], name: str, default: int | None, lowest: int = 0, highest: int = INT_MAX) -> int | None:
        """Parse a whole number of the body or the query string."""
        given = source.get(name)
        if isinstance(given, str) and source is self.request.query:
            given = int(given) if re.fullmatch(r"-?[0-9]{1,19}", given) else given
        elif isinstance(given, float):  # JSON does not tell 10.0 from 10
            given = int(given) if given.is_integer() else given
        if given is None:
            return default
        if isinstance(given, bool) or not isinstance(given, int) or not lowest <= given <= highest:
            raise InvalidArgumentError(f"{name}: expected a whole number from {lowest} to {highest}, got {short(given)}")
        return given

    def done(self) -> dict[str, Any] | None:
        """Return what says "done": null to clients of v1 and of the first v2, an empty object to others."""
        return None if self.v1 or self.speaker.is_strict else {}


Handler: TypeAlias = Callable[[Call], Any]
