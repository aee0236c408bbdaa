"""Code to paste that reaches a kernel's API through Jupyter's URL. The token is always the variable JUPYTER_TOKEN, never itself."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from chroma_nb_extension.asking import Collection


@dataclass(frozen=True)
class Snippet:
    """A piece of code, and whom it is for."""

    client: str
    code: str


def snippets(url: str, collection: Collection | None = None) -> Iterator[Snippet]:
    """Return code for each kind of client.

    Parameters
    ----------
    url
        Of the kernel's API, as browsers see it, without ``/api``.
    collection
        To open; None to connect only.
    """
    yield Snippet("Python, chromadb", _chromadb(url, collection))
    yield Snippet("Python, chroma_nb", _chroma_nb(url, collection))
    yield Snippet("JavaScript, chromadb 3", _javascript(url, collection))
    yield Snippet("curl", _curl(url, collection))


_PYTHON_HEADERS = 'headers={"Authorization": f"token {os.environ[\'JUPYTER_TOKEN\']}"}'


def _chromadb(url: str, collection: Collection | None) -> str:
    # This client encodes the path itself, and an encoded one a second time.
    return _python("chromadb", unquote(url), collection)


def _chroma_nb(url: str, collection: Collection | None) -> str:
    return _python("chroma_nb", url, collection)


def _python(package: str, host: str, collection: Collection | None) -> str:
    lines = [f"host={json.dumps(host, ensure_ascii=False)}", _PYTHON_HEADERS, *_elsewhere(collection, "{}={}")]
    arguments = "".join(f"    {line},\n" for line in lines)
    opened = f"\ncollection = client.get_collection({json.dumps(collection.name, ensure_ascii=False)})" if collection else ""
    return f"import os\nimport {package}\n\nclient = {package}.HttpClient(\n{arguments}){opened}"


def _javascript(url: str, collection: Collection | None) -> str:
    # This client drops the path of an URL but not of a host, and appends the port, which is ignored after the kernel's id.
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    lines = [
        f"host: {json.dumps(parts.netloc + parts.path)}",
        f"port: {parts.port or (443 if secure else 80)}",
        f"ssl: {json.dumps(secure)}",
        "headers: { Authorization: `token ${process.env.JUPYTER_TOKEN}` }",
        *_elsewhere(collection, "{}: {}"),
    ]
    arguments = "".join(f"  {line},\n" for line in lines)
    opened = f"\nconst collection = await client.getCollection({{ name: {json.dumps(collection.name)} }});" if collection else ""
    return f'import {{ ChromaClient }} from "chromadb";\n\nconst client = new ChromaClient({{\n{arguments}}});{opened}'


def _curl(url: str, collection: Collection | None) -> str:
    tenant, database = (collection.tenant, collection.database) if collection else ("default_tenant", "default_database")
    path = f"{url}/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}/collections"
    line = 'curl -H "Authorization: token $JUPYTER_TOKEN"'
    if collection is None:
        return f"{line} \\\n  {shlex.quote(path)}"
    body = shlex.quote(json.dumps({"limit": 5}))
    return f"{line} -H 'Content-Type: application/json' \\\n  -d {body} \\\n  {shlex.quote(f'{path}/{collection.id}/get')}"


def _elsewhere(collection: Collection | None, form: str) -> list[str]:
    """Name tenant and database where they are not those that clients take by default."""
    if collection is None:
        return []
    wanted = {"tenant": (collection.tenant, "default_tenant"), "database": (collection.database, "default_database")}
    return [form.format(key, json.dumps(value)) for key, (value, usual) in wanted.items() if value != usual]
