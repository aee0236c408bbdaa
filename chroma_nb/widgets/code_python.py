"""A request in Python: for chroma_nb, for chromadb, and its filter alone. Pure functions; called by `code`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chroma_nb.filters import Filter
from chroma_nb.http.call import DEFAULT_DATABASE, DEFAULT_TENANT
from chroma_nb.http.message import RULES_HEADER
from chroma_nb.http.session import divided
from chroma_nb.widgets.literals import WIDTH, imports_for, written
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


def where_alone(request: Request, _: Connection) -> str:
    """Write the filter: one dict, or two assignments where documents are tested too."""
    where, where_document = dicts_of(request.filter)
    source = written(where)
    if where_document is not None:
        source = f"where = {source}\nwhere_document = {written(where_document)}"
    return paragraphs("\n".join(imports_for(source)), source)


def in_chroma_nb(request: Request, connection: Connection) -> str:
    """Write a program that leaves its results in ``frame``."""
    arguments: dict[str, str] = {}
    vectors = ""
    if request.like is not None:
        arguments["like"] = written(list(request.like))
    elif request.texts is not None and connection.embeds:
        arguments["query_texts"] = written(list(request.texts))
    elif request.vectors is not None:
        vectors = f"{of_texts(request, '#')}vectors = {vectors_source(request.vectors)}"
        arguments["query_embeddings"] = "vectors"
    arguments |= _limits(request) | _filters(request.filter) | {"include": written(list(request.include))}
    call = _call(f"frame = collection.{_verb(request)}", arguments)
    opened = f"{_chroma_nb_client(connection)}\ncollection = client.get_collection({connection.collection!r})"
    imports = [*(["import os"] if "os.environ" in opened else []), "import chroma_nb", *imports_for(call)]
    one_block = not vectors and "\n" not in call
    return paragraphs("\n".join(imports), *([f"{opened}\n{call}"] if one_block else [opened, vectors, call]))


def _chroma_nb_client(connection: Connection) -> str:
    scope = _scope(connection)
    match connection.kind:
        case "memory":
            return _call("client = chroma_nb.EphemeralClient", scope)
        case "folder":
            return _call("client = chroma_nb.PersistentClient", {"path": repr(connection.place), **scope})
        case "server":
            headers = {"headers": _headers(connection.headers)} if connection.headers else {}
            return _call("client = chroma_nb.HttpClient", {"host": repr(connection.place), **headers, **scope})
        case "other":
            return f"# client: the one of {connection.place!r}"


def in_chromadb(request: Request, connection: Connection) -> str:
    """Write a program that prints the ids of its results.

    Raises
    ------
    InvalidArgumentError
        The client cannot say the filter.
    """
    refuse_foreign(request.filter, "chromadb's Python client")
    filters = divided(request.filter)
    before, asked, after = _chromadb_queries(request)
    call = _call(f"found = collection.{_verb(request)}", {**asked, **_filters(filters), "include": written(list(request.include))})
    guide = lacks_are_left_out(request.filter)
    client = _chromadb_client(connection, guide=guide)
    opened = f"{client}\ncollection = client.get_collection({connection.collection!r}, embedding_function=None)"
    imports = "import os\n\nimport chromadb" if "os.environ" in client else "import chromadb"
    return paragraphs(imports, notes_for("#", connection, guide=guide) + opened, before, f"{call}\n{after}")


def _chromadb_client(connection: Connection, *, guide: bool) -> str:
    names = headers_for(connection)
    host = repr(connection.place) if connection.kind == "server" else "os.environ['CHROMA_URL']"
    headers = {"headers": _headers(names, guide=guide)} if names or guide else {}
    return _call("client = chromadb.HttpClient", {"host": host, **headers, **_scope(connection)})


def _chromadb_queries(request: Request) -> tuple[str, dict[str, str], str]:
    """Return what stands before the call, its arguments, and what comes after it."""
    if request.like is not None:
        before = (
            f"like = {written(list(request.like))}\n"
            "stored = collection.get(ids=like, include=['embeddings'])\n"
            "vectors = dict(zip(stored['ids'], stored['embeddings']))"
        )
        after = (
            "# A record is not among its own results.\n"
            f"ids = [[id for id in row if id != own][:{request.n_results}] for own, row in zip(like, found['ids'])]\n"
            "print(ids)"
        )
        return before, {"query_embeddings": "[vectors[id] for id in like]", "n_results": str(request.n_results + 1)}, after
    if request.vectors is not None:
        before = f"{of_texts(request, '#')}vectors = {vectors_source(request.vectors)}"
        return before, {"query_embeddings": "vectors", **_limits(request)}, "print(found['ids'])"
    return "", _limits(request), "print(found['ids'])"


def _verb(request: Request) -> str:
    return "query" if request.is_query else "get"


def _limits(request: Request) -> dict[str, str]:
    if request.is_query:
        return {"n_results": str(request.n_results)}
    return {} if request.limit is None else {"limit": str(request.limit)}


def _filters(filter: Filter) -> dict[str, str]:  # noqa: A002 - the field's name
    named = zip(("where", "where_document"), dicts_of(filter), strict=True)
    return {name: written(value) for name, value in named if value is not None}


def _scope(connection: Connection) -> dict[str, str]:
    scope = {"tenant": (connection.tenant, DEFAULT_TENANT), "database": (connection.database, DEFAULT_DATABASE)}
    return {name: repr(value) for name, (value, usual) in scope.items() if value != usual}


def _headers(names: Sequence[str], *, guide: bool = False) -> str:
    entries = [f"{name!r}: os.environ[{variable(name)!r}]" for name in names]
    entries += [f"{RULES_HEADER!r}: 'guide'"] if guide else []
    return "{" + ", ".join(entries) + "}"


def _call(target: str, arguments: Mapping[str, str]) -> str:
    """Return a call with keyword arguments, on one line if it fits."""
    given = [f"{name}={source}" for name, source in arguments.items()]
    line = f"{target}({', '.join(given)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    body = "".join("    " + each.replace("\n", "\n    ") + ",\n" for each in given)
    return f"{target}(\n{body})"
