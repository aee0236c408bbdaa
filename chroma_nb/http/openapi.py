"""The API's own description: an OpenAPI document made from the tables of routes and of schemas, and a page that lists it.

Must not live here: what the routes take and give (`chroma_nb.http.schemas`). Called by `chroma_nb.http.app`.
"""

from __future__ import annotations

import html
import json
from functools import lru_cache
from typing import Any, Final

from chroma_nb._version import __version__
from chroma_nb.http.routes import ROUTES, Route
from chroma_nb.http.schemas import IN_PATH, LISTED, SAYS, SCHEMAS, SCOPE, Says, Schema, ref
from chroma_nb.http.wire import dumps

_REFUSALS: Final = {
    400: "A value is wrong; the message says which and what was expected.",
    401: "The token is missing or wrong.",
    403: "Not allowed here: a web page of another origin, a server for reading only, a reset.",
    404: "No such tenant, database or collection.",
    405: "The path takes other methods; the header Allow has them.",
    408: "The body took too long to arrive.",
    409: "The name is taken.",
    413: "More bytes, records or results than one request may carry, or a larger answer than the server sends; the message has the limit.",
    415: "The body is said to be something else than JSON.",
    421: "The server does not answer for that Host.",
    431: "Too many headers.",
    500: "The server failed; its log says why. (JavaScript clients 1.8 and 1.9 get wrong values and taken names in this form.)",
    503: "Too many requests at once (Retry-After says when to come again), or another process has been writing for long.",
    504: "The work on the request took longer than the server's time limit; what it wrote was undone.",
    507: "The disk is full; the call was undone.",
}
_ALWAYS = frozenset({401, 403, 413, 421, 431, 500, 503, 504})
_IN_V1 = frozenset({400})  # what was not found, too
_WITH_BODY = frozenset({400, 408, 415})
_WRITING = frozenset({507})
_LINKED = ("records.add", "records.get", "records.query", "records.count", "records.delete", "collection.modify", "collection.by_id")
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "token": {"type": "apiKey", "in": "header", "name": "X-Chroma-Token"},
}


@lru_cache(maxsize=2)
def document(*, secured: bool = False) -> bytes:
    """Return the OpenAPI 3.1 document; `secured` when the server asks for a token."""
    paths: dict[str, Any] = {}
    for route in ROUTES.values():
        for version, template in ((2, route.v2), (1, route.v1)):
            if template is not None:
                # One segment of a path has one name in a document, be it a collection's name or its id.
                path = template.replace("{name}", "{collection}")
                paths.setdefault(f"/api/v{version}{path}", {})[route.method.lower()] = _operation(route, template, version)
    components: dict[str, Any] = {
        "schemas": SCHEMAS,
        "responses": {str(status): _refusal(text) for status, text in _REFUSALS.items()},
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "chroma_nb",
            "version": __version__,
            "description": "Chroma's HTTP API, versions 1 and 2, and what Chroma's lacks.",
        },
        "paths": paths,
        "components": components,
    }
    if secured:
        components["securitySchemes"] = _SECURITY
        described["security"] = [{name: []} for name in _SECURITY]
    return dumps(described)


def _refusal(description: str) -> Schema:
    trace = {"chroma-trace-id": {"schema": {"type": "string"}, "description": "Names this incident."}}
    return {"description": description, "headers": trace, "content": _json(ref("Error"))}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _operation(route: Route, template: str, version: int) -> Schema:
    says = SAYS[route.name]
    gives = says.gives if version == 2 or says.gives_v1 is None else says.gives_v1
    success: Schema = {"description": says.summary, "content": _json(gives)}
    if route.name == "collection.create":
        success["links"] = _links(version)
    refusals = {*_ALWAYS, *says.refuses}
    if version == 1:
        refusals |= _IN_V1
    if says.body or route.method != "GET":
        refusals |= _WITH_BODY
    if route.writes:
        refusals |= _WRITING
    operation: Schema = {
        "operationId": f"v{version}.{route.name}",
        "summary": says.summary,
        "tags": [f"version {version}" if not route.name.startswith("nb.") else "chroma_nb only"],
        "parameters": _parameters(template, version, says),
        "responses": {
            "201" if route.name == "records.add" else "200": success,
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(refusals)},
        },
    }
    if says.body:
        operation["requestBody"] = {"required": "required" in SCHEMAS[says.body], "content": _json(ref(says.body))}
    if route.name in _OPEN:
        operation["security"] = []
    return operation


_OPEN = ("root", "heartbeat", "healthcheck")


def _parameters(template: str, version: int, says: Says) -> list[Schema]:
    names = [piece[1:-1] for piece in template.split("/") if piece.startswith("{")]
    parameters: list[Schema] = [
        {"name": "collection" if name == "name" else name, "in": "path", "required": True, "schema": IN_PATH[name]} for name in names
    ]
    queried: Schema = dict(LISTED) if says.paged else {}
    if version == 1 and _has_scope(template):
        queried = {**{name: schema for name, schema in SCOPE.items() if f"{{{name}}}" not in template}, **queried}
    return parameters + [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in queried.items()]


def _has_scope(template: str) -> bool:
    return template.startswith(("/databases", "/count_collections")) or template in ("/collections", "/collections/{name}")


def _links(version: int) -> Schema:
    """Return where the id of a new collection leads."""
    parameters = {"collection": "$response.body#/id"}
    if version == 2:
        parameters |= {name: f"$request.path.{name}" for name in ("tenant", "database")}
    routes = [ROUTES[name] for name in _LINKED if version == 2 or ROUTES[name].v1 is not None]
    return {route.name: {"operationId": f"v{version}.{route.name}", "parameters": parameters} for route in routes}


@lru_cache(maxsize=1)
def page() -> bytes:
    """Return a page of all routes and schemas, without script."""
    described = json.loads(document())
    rows = "".join(_row(path, method, operation) for path, item in described["paths"].items() for method, operation in item.items())
    kinds = "".join(_folded(name, schema) for name, schema in SCHEMAS.items())
    head = f"<title>chroma_nb API</title><style>{_STYLE}</style><h1>chroma_nb {__version__}</h1>"
    said = "<p>The same for programs: <a href='openapi.json'>openapi.json</a>, an OpenAPI 3.1 document."
    table = f"<table><tr><th>method<th>path<th>what it does<th>takes<th>gives{rows}</table>"
    return f"<!doctype html><html lang=en><meta charset=utf-8>{head}{said}{table}<h2>Bodies</h2>{kinds}".encode()


def _row(path: str, method: str, operation: Schema) -> str:
    takes = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    gives = next(iter(operation["responses"].values()))["content"]["application/json"]["schema"]
    cells = (
        f"<code>{method.upper()}</code>",
        f"<code>{html.escape(path)}</code>",
        html.escape(operation["summary"]),
        _named(takes),
        _named(gives),
    )
    return f"<tr>{''.join(f'<td>{cell}' for cell in cells)}"


def _named(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{name}'>{name}</a>"
    if schema.get("type") == "array":
        return f"list of {_named(schema['items'])}"
    return html.escape(str(schema.get("type", "") or schema.get("const", schema.get("enum", ""))))


def _folded(name: str, schema: Schema) -> str:
    return f"<details id='{name}'><summary>{name}</summary><pre>{html.escape(json.dumps(schema, indent=2))}</pre></details>"


_STYLE = (
    "body{font:14px system-ui;margin:2em;color-scheme:light dark}td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}"
    "summary{cursor:pointer}pre{margin:0 0 1em 1em}"
)
