"""A request in JavaScript and as a curl command. Pure functions; called by `code`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import Filter, describe
from chroma_nb.http.call import DEFAULT_DATABASE, DEFAULT_TENANT
from chroma_nb.http.message import RULES_HEADER
from chroma_nb.http.routes import path_of
from chroma_nb.http.session import divided, leaves, operands
from chroma_nb.http.wire import dumps
from chroma_nb.widgets.literals import WIDTH
from chroma_nb.widgets.request import (
    Connection,
    Request,
    dicts_of,
    headers_for,
    lacks_are_left_out,
    notes_for,
    of_texts,
    paragraphs,
    refuse_foreign,
    variable,
    vectors_source,
)

_EXACT, _EXPONENT = 2**53, 10**21


def in_javascript(request: Request, connection: Connection) -> str:
    """Write an ES module for chromadb 3 that prints the ids of its results.

    Raises
    ------
    InvalidArgumentError
        JavaScript cannot hold a value of the filter.
    """
    refuse_foreign(request.filter, "chromadb's JavaScript client")
    _refuse_large_numbers(request.filter)
    guide = lacks_are_left_out(request.filter)
    before, asked, after = _queries(request)
    named = zip(("where", "whereDocument"), dicts_of(divided(request.filter)), strict=True)
    filters = {name: _json(value) for name, value in named if value is not None}
    call = _call(
        f"const found = await collection.{'query' if request.is_query else 'get'}",
        {**asked, **filters, "include": _json(list(request.include))},
    )
    opened = (
        f"{notes_for('//', connection, guide=guide)}{_client(connection, guide=guide)}\n"
        f"const collection = await client.getCollection({{ name: {_json(connection.collection)} }});"
    )
    return paragraphs('import { ChromaClient } from "chromadb";', opened, before, f"{call}\n{after}")


def _queries(request: Request) -> tuple[str, dict[str, str], str]:
    """Return what stands before the call, its options, and what comes after it."""
    printed = "console.log(found.ids);"
    if request.like is not None:
        before = (
            f"const like = {_json(list(request.like))};\n"
            'const stored = await collection.get({ ids: like, include: ["embeddings"] });\n'
            "const vectors = new Map(stored.ids.map((id, i) => [id, stored.embeddings[i]]));"
        )
        after = (
            "// A record is not among its own results.\n"
            f"const ids = like.map((own, i) => found.ids[i].filter((id) => id !== own).slice(0, {request.n_results}));\n"
            "console.log(ids);"
        )
        return before, {"queryEmbeddings": "like.map((id) => vectors.get(id))", "nResults": str(request.n_results + 1)}, after
    if request.vectors is not None:
        before = f"{of_texts(request, '//')}const vectors = {vectors_source(request.vectors)};"
        return before, {"queryEmbeddings": "vectors", "nResults": str(request.n_results)}, printed
    return "", {} if request.limit is None else {"limit": str(request.limit)}, printed


def _client(connection: Connection, *, guide: bool) -> str:
    options = _address(connection)
    entries = [f"{_json(name)}: process.env.{variable(name)}" for name in headers_for(connection)]
    entries += [f'{_json(RULES_HEADER)}: "guide"'] if guide else []
    if entries:
        options["headers"] = "{ " + ", ".join(entries) + " }"
    scope = {"tenant": (connection.tenant, DEFAULT_TENANT), "database": (connection.database, DEFAULT_DATABASE)}
    options |= {name: _json(value) for name, (value, usual) in scope.items() if value != usual}
    client = _call("const client = new ChromaClient", options)
    return client if connection.kind == "server" else f"const url = new URL(process.env.CHROMA_URL);\n{client}"


def _address(connection: Connection) -> dict[str, str]:
    if connection.kind != "server":
        secure = 'url.protocol === "https:"'
        return {"ssl": secure, "host": "url.hostname", "port": f"Number(url.port || ({secure} ? 443 : 80))"}
    found = re.fullmatch(r"(https?)://([^/]*?)(?::(\d+))?(/.*)?", connection.place)
    if found is None:
        raise InvalidArgumentError(f"{connection.place[:80]!r} is no URL that the JavaScript client takes; copy the request as curl")
    scheme, host, port, path = found.groups()
    number = port or ("443" if scheme == "https" else "80")
    # The client has no option for a path; one in `host` gets where it belongs, and Jupyter's address ignores the port behind it.
    return {"ssl": _json(scheme == "https"), "host": _json(f"{host}:{number}{path}" if path else host), "port": "8000" if path else number}


def _call(target: str, options: Mapping[str, str]) -> str:
    given = [name if name == source else f"{name}: {source}" for name, source in options.items()]
    line = f"{target}({{ {', '.join(given)} }});"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    body = "".join("  " + each.replace("\n", "\n  ") + ",\n" for each in given)
    return f"{target}({{\n{body}}});"


def _refuse_large_numbers(filter: Filter) -> None:  # noqa: A002 - the field's name
    for leaf in leaves(filter):
        # Floats too: up to 10**21 JavaScript writes them without exponent, as integers with other last digits.
        if any(isinstance(value, (int, float)) and _EXACT < abs(value) < _EXPONENT for value in operands(leaf)):
            raise InvalidArgumentError(
                f"JavaScript does not keep whole numbers beyond 2**53 as they are ({describe(leaf, 80)});"
                " copy it as Python (chroma_nb) or as curl"
            )


def _json(value: object) -> str:
    """Return JSON that is a JavaScript expression too, with what is invisible or turns text round written as escapes."""
    text = _visible(json.dumps(value, ensure_ascii=False))
    if len(text) > WIDTH:
        text = _visible(json.dumps(value, ensure_ascii=False, indent=2))
    # In an object literal this key would set the prototype; what JSON.parse makes is a key like any other.
    return f"JSON.parse({_visible(json.dumps(text, ensure_ascii=False))})" if '"__proto__":' in text else text


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def in_curl(request: Request, connection: Connection) -> str:
    """Write a shell command that prints the reply, JSON."""
    guide = lacks_are_left_out(request.filter)
    route = "records.query" if request.is_query else "records.get"
    path = path_of(route, tenant=connection.tenant, database=connection.database, collection=connection.collection_id)
    url = shlex.quote(connection.place + path) if connection.kind == "server" else f'"$CHROMA_URL"{shlex.quote(path)}'
    headers = [f'--header {shlex.quote(f"{name}: ")}"${variable(name)}"' for name in headers_for(connection)]
    headers += [f"--header '{RULES_HEADER}: guide'"] if guide else []
    options = ["--silent", "--show-error", "--fail-with-body"]
    lines = [f"curl {' '.join(options)}", "--header 'Content-Type: application/json'", *headers, "--data-binary @-", url]
    notes = notes_for("#", connection, guide=guide) + _queries_note(request)
    command = " \\\n  ".join(lines)
    # The document is one line that begins with a brace, so nothing in it ends it; after a quoted word the shell reads nothing in it.
    return f"{notes}{command} <<'JSON'\n{_visible(dumps(_body(request)).decode())}\nJSON"


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.is_query:
        # A record is the nearest to itself.
        body = {"query_embeddings": request.vectors, "n_results": request.n_results + (request.like is not None)}
    elif request.limit is not None:
        body = {"limit": request.limit}
    named = zip(("where", "where_document"), dicts_of(request.filter), strict=True)
    return {**body, **{name: value for name, value in named if value is not None}, "include": list(request.include)}


def _queries_note(request: Request) -> str:
    if request.like is None:
        return of_texts(request, "# query_embeddings:")
    shown = ", ".join(repr(each[:80]) for each in request.like[:3]) + (", ..." if len(request.like) > 3 else "")
    return f"# query_embeddings: those of {shown}; the first result of each is the record itself\n"
