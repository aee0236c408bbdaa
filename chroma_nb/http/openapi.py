"""The API's own description: an OpenAPI document made from the route table, and a page that lists it."""

from __future__ import annotations

import html
from functools import lru_cache
from typing import Any

from chroma_nb._version import __version__
from chroma_nb.http.routes import ROUTES, Route
from chroma_nb.http.wire import dumps


@lru_cache(maxsize=1)
def document() -> bytes:
    """Return the OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in ROUTES.values():
        for version, template in ((2, route.v2), (1, route.v1)):
            if template is not None:
                paths.setdefault(f"/api/v{version}{template}", {})[route.method.lower()] = _operation(route, template, version)
    info = {"title": "chroma_nb", "version": __version__, "description": "Chroma's HTTP API, versions 1 and 2."}
    return dumps({"openapi": "3.1.0", "info": info, "paths": paths})


def _operation(route: Route, template: str, version: int) -> dict[str, Any]:
    names = [piece[1:-1] for piece in template.split("/") if piece.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {"operationId": f"v{version}.{route.name}", "parameters": parameters, "responses": {"200": {"description": "done"}}}


@lru_cache(maxsize=1)
def page() -> bytes:
    """Return a page of all routes, without script."""
    cells = [(route.method, f"/api/v2{route.v2}", "" if route.v1 is None else f"/api/v1{route.v1}") for route in ROUTES.values()]
    rows = "".join(f"<tr>{''.join(f'<td><code>{html.escape(cell)}</code>' for cell in row)}" for row in cells)
    table = f"<table><tr><th>method<th>version 2<th>version 1{rows}</table>"
    title = f"<title>chroma_nb API</title><style>{_STYLE}</style><h1>chroma_nb {__version__}</h1>"
    return f"<!doctype html><meta charset=utf-8>{title}{table}".encode()


_STYLE = (
    "body{font:14px system-ui;margin:2em}td,th{padding:2px 12px 2px 0;text-align:left}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"
)
