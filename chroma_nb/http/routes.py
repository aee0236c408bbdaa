"""The API's routes: one row each, read forwards by the server and backwards by our clients.

``v2`` is the path below ``/api/v2``, ``v1`` the one below ``/api/v1`` (None where v1 never had it); v1 carries tenant and
database in the query string. Rows whose name starts with ``nb.`` are ours alone: what Chroma's API cannot say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

DATABASE: Final = "/tenants/{tenant}/databases/{database}"
_COLLECTION: Final = DATABASE + "/collections/{collection}"


@dataclass(frozen=True)
class Route:
    """One row: a name, a verb, and where it is found."""

    name: str
    method: str
    v2: str
    v1: str | None = None
    writes: bool = False


def _records(name: str, *, writes: bool = False, v1: bool = True) -> Route:
    tail = name.removeprefix("records.").replace(".", "/")
    return Route(name, "POST", f"{_COLLECTION}/{tail}", f"/collections/{{collection}}/{tail}" if v1 else None, writes)


ROUTES: Final = {
    route.name: route
    for route in (
        Route("root", "GET", "", ""),
        Route("heartbeat", "GET", "/heartbeat", "/heartbeat"),
        Route("version", "GET", "/version", "/version"),
        Route("healthcheck", "GET", "/healthcheck", "/healthcheck"),
        Route("pre_flight_checks", "GET", "/pre-flight-checks", "/pre-flight-checks"),
        Route("identity", "GET", "/auth/identity"),
        Route("reset", "POST", "/reset", "/reset", writes=True),
        Route("tenant.create", "POST", "/tenants", "/tenants", writes=True),
        Route("tenant.get", "GET", "/tenants/{tenant}", "/tenants/{tenant}"),
        Route("tenant.update", "PATCH", "/tenants/{tenant}", writes=True),
        Route("database.list", "GET", "/tenants/{tenant}/databases"),
        Route("database.create", "POST", "/tenants/{tenant}/databases", "/databases", writes=True),
        Route("database.get", "GET", DATABASE, "/databases/{database}"),
        Route("database.delete", "DELETE", DATABASE, writes=True),
        Route("collection.list", "GET", DATABASE + "/collections", "/collections"),
        Route("collection.create", "POST", DATABASE + "/collections", "/collections", writes=True),
        Route("collection.count_all", "GET", DATABASE + "/collections_count", "/count_collections"),
        Route("collection.by_id", "GET", DATABASE + "/collections/by-id/{collection}"),
        Route("collection.get", "GET", DATABASE + "/collections/{name}", "/collections/{name}"),
        Route("collection.delete", "DELETE", DATABASE + "/collections/{name}", "/collections/{name}", writes=True),
        Route("collection.modify", "PUT", _COLLECTION, "/collections/{collection}", writes=True),
        _records("records.add", writes=True),
        _records("records.update", writes=True),
        _records("records.upsert", writes=True),
        _records("records.get"),
        _records("records.query"),
        _records("records.delete", writes=True),
        Route("records.count", "GET", _COLLECTION + "/count", "/collections/{collection}/count"),
        Route("collection.fork", "POST", _COLLECTION + "/fork", writes=True),
        Route("collection.fork_count", "GET", _COLLECTION + "/fork_count"),
        Route("collection.indexing_status", "GET", _COLLECTION + "/indexing_status"),
        Route("nb.tenants", "GET", "/tenants"),
        _records("nb.count_where", v1=False),
        _records("nb.describe", v1=False),
        _records("nb.facets", v1=False),
        _records("nb.sample", v1=False),
        _records("nb.scan", v1=False),
        _records("nb.explain", v1=False),
        _records("nb.columns", v1=False),
        _records("nb.changed_since", v1=False),
        _records("nb.get_layout", v1=False),
        _records("nb.put_layout", writes=True, v1=False),
        _records("nb.build_index", writes=True, v1=False),
    )
}
"""Every route by name."""

_LONGEST: Final = 24_000
"""Characters that a path may have: three names of 512, each of them twelve when it is percent-encoded, and some room."""
_USUAL: Final = 512
"""Characters of a path whose route is remembered."""
UNIMPLEMENTED: Final = ("/search", "/functions/attach")
"""Tails of routes that Chroma's distributed version has, and no single machine."""


@dataclass(frozen=True)
class Found:
    """A route that a request's path leads to, with what the path says."""

    route: Route
    version: int
    parts: Mapping[str, str]


def path_of(route: str, /, **parts: str) -> str:
    """Return the v2 path of a route, with `parts` percent-encoded.

    Examples
    --------
    >>> path_of("tenant.get", tenant="a b")
    '/api/v2/tenants/a%20b'
    """
    return "/api/v2" + ROUTES[route].v2.format(**{key: quote(value, safe="") for key, value in parts.items()})


def resolve(method: str, path: str) -> Found | set[str]:
    """Return the route of a request, or the methods its path would take (none for an unknown path, or one that is longer than any).

    Examples
    --------
    >>> resolve("GET", "/api/v1/collections/my%20docs").parts
    {'name': 'my docs'}
    >>> resolve("DELETE", "/api/v2/heartbeat")
    {'GET'}
    """
    if len(path) > _LONGEST:
        return set()
    return _known(method, path) if len(method) + len(path) <= _USUAL else _resolved(method, path)


def _resolved(method: str, path: str) -> Found | set[str]:
    pieces = path.rstrip("/").split("/")
    others: set[str] = set()
    if len(pieces) < 3 or pieces[:2] != ["", "api"] or pieces[2] not in ("v1", "v2"):
        return others
    version = int(pieces[2][1])
    for route in ROUTES.values():
        parts = _matched(route.v2 if version == 2 else route.v1, pieces[3:])
        if parts is None:
            continue
        if route.method == method:
            return Found(route, version, parts)
        others.add(route.method)
    return others


_known = lru_cache(maxsize=1024)(_resolved)


def _matched(template: str | None, pieces: list[str]) -> dict[str, str] | None:
    if template is None:
        return None
    wanted = template.split("/")[1:]
    if len(wanted) != len(pieces):
        return None
    parts = {}
    for want, piece in zip(wanted, pieces, strict=True):
        if want.startswith("{") and piece:
            parts[want[1:-1]] = unquote(piece)
        elif want != piece:
            return None
    return parts
