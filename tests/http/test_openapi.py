"""The API's own description is true: it is held against the running server, by schemathesis and by hand."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from chroma_nb.http.app import Gate
from chroma_nb.http.openapi import document, page
from chroma_nb.http.routes import ROUTES, resolve
from chroma_nb.http.schemas import SAYS, SCHEMAS
from chroma_nb.http.server import Server
from chroma_nb.http.wire import dumps
from tests.http.conftest import COLLECTIONS, TOKEN, Serve, ask, request

CONFIGURATION = """
continue-on-failure = true
# What JSON Schema cannot say, the server refuses: as many vectors as ids, vectors of one length, a filter's pattern that compiles,
# a list whose numbers are all whole or all not. Version 1 says 400 of a collection that is not there, as Chroma's did.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "403", "404", "409"]
# n_results beyond the limit of a reply.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "421"]
[parameters]
"path.tenant" = "default_tenant"
{collection}
# The document has the links. Guessed ones would take a collection's id for its name, which stand at the same place of two paths.
[phases.stateful.inference]
algorithms = []
# Without its database a tenant answers nothing but 404.
[[operations]]
include-operation-id = "v2.database.delete"
parameters = {{ "path.database" = "scratch" }}
"""


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(document())
    return parsed


def schemathesis(server: Server, folder: Path, *arguments: str, collection: str = "") -> subprocess.CompletedProcess[str]:
    """Let schemathesis look for requests that the server answers otherwise than its document says."""
    fixed = f'"path.collection" = "{collection}"\n"path.database" = "default_database"' if collection else ""
    (folder / "schemathesis.toml").write_text(CONFIGURATION.format(collection=fixed))
    command = [sys.executable, "-c", "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"]
    options = ["--checks", "all", "--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    # In CI the same requests every time, so that a red build is the change's doing.
    options += ["--seed", "1", "--generation-deterministic"] if "CI" in os.environ else ["--generation-database", "none"]
    return subprocess.run(
        [*command, "--config-file", "schemathesis.toml", "run", f"{server.url}/openapi.json", *options, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "real"),
    [
        (["--phases", "coverage", "--include-path-regex", "^/api/"], False),
        (["--phases", "examples,fuzzing", "--max-examples", "15"], True),
        (["--phases", "stateful", "--max-examples", "20"], False),
    ],
    ids=["edges", "records", "stories"],
)
def test_server_does_what_its_document_says(server: Server, tmp_path: Path, arguments: list[str], real: bool) -> None:
    collection = ""
    if real:
        collection = httpx.post(server.url + COLLECTIONS, json={"name": "docs"}).json()["id"]
        body = {"ids": ["a", "b"], "embeddings": [[1.0, 2.0], [3.0, 4.0]], "documents": ["one", "two"], "metadatas": [{"n": 1}, {"t": "x"}]}
        assert httpx.post(f"{server.url}{COLLECTIONS}/{collection}/add", json=body).status_code == 201
    ended = schemathesis(server, tmp_path, *arguments, collection=collection)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout, ended.stdout
    assert ask(server, request("GET", "/api/v2/heartbeat")).status == 200


def test_has_every_route(described: dict[str, Any]) -> None:
    assert set(SAYS) == set(ROUTES)
    ways = {(method, path) for path, item in described["paths"].items() for method in item}
    assert len(ways) == sum(1 + (route.v1 is not None) for route in ROUTES.values())
    for method, path in ways:
        found = resolve(method.upper(), path.replace("{collection}", "by").replace("{", "").replace("}", ""))
        assert not isinstance(found, set), (method, path)


def test_refers_to_what_is_there(described: dict[str, Any]) -> None:
    used = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                used.add(node["$ref"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(described)
    components = described["components"]
    there = {f"#/components/{kind}/{name}" for kind, rows in components.items() for name in rows}
    assert used <= there
    assert {f"#/components/schemas/{name}" for name in SCHEMAS} <= used


def test_names_each_operation_once(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
    forms = [path.replace("{collection}", "{}").replace("{name}", "{}") for path in described["paths"]]
    assert len(forms) == len(set(forms)), "two paths that differ only in the name of a part are one path"


def test_says_whether_a_token_is_needed(server: Server, serve: Serve) -> None:
    open_one = ask(server, request("GET", "/openapi.json")).json()
    assert "security" not in open_one
    secured = ask(serve(Gate(token=TOKEN)), request("GET", "/openapi.json")).json()
    assert secured["security"] == [{"bearer": []}, {"token": []}]
    assert set(secured["components"]["securitySchemes"]) == {"bearer", "token"}
    assert TOKEN.encode() not in dumps(secured)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.names: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attributes)
        self.targets |= {given["href"] or ""} if "href" in given else set()
        self.names |= {given["id"] or ""} if "id" in given else set()


def test_page_lists_everything_without_script(server: Server) -> None:
    answer = ask(server, request("GET", "/docs"))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = answer.body.decode()
    assert answer.body == page()
    assert all(html.escape(says.summary) in text for says in SAYS.values())
    links = _Links()
    links.feed(text)
    assert "script" not in links.tags
    assert {target[1:] for target in links.targets if target.startswith("#")} <= links.names
    assert links.targets - {f"#{name}" for name in links.names} == {"openapi.json"}
