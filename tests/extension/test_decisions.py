"""What needs no server to be decided: what a request does, which headers pass, what the page shows of text, what is loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb import html
from chroma_nb.http.routes import ROUTES
from chroma_nb_extension.actions import action_of
from chroma_nb_extension.asking import Collection
from chroma_nb_extension.headers import forwarded, returned
from chroma_nb_extension.refusal import error_body
from chroma_nb_extension.snippets import snippets
from chroma_nb_extension.visible import visible

ROOT = Path(__file__).parents[2]
PATHS = [(route, version, path) for route in ROUTES.values() for version, path in ((1, route.v1), (2, route.v2)) if path is not None]


@pytest.mark.parametrize(("route", "version", "path"), PATHS, ids=[f"{route.name}-v{version}" for route, version, _ in PATHS])
def test_every_route_of_a_kernel_is_judged_as_the_kernel_judges_it(route: object, version: int, path: str) -> None:
    known = ROUTES[route.name]  # type: ignore[attr-defined]
    for filled in ("get", "a%2Fb", "query"):
        whole = f"/api/v{version}" + re.sub(r"{\w+}", filled, path)
        expected = "execute" if known.name == "reset" else "write" if known.writes else "read"
        assert action_of(known.method, whole) == expected
        assert action_of(known.method, f"{whole}//") == expected  # the kernel takes slashes at the end for none


@given(st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "PURGE"]), st.text("/agetqury%v2:", max_size=30))
def test_what_is_not_known_is_writing(method: str, path: str) -> None:
    assert action_of(method, f"/api/v2/{path}") != "read"


def test_a_name_in_the_path_is_not_taken_for_its_end() -> None:
    assert action_of("POST", "/api/v2/tenants/t/databases/get") == "write"
    assert action_of("POST", "/api/v2/tenants/t/databases/d/collections/get") == "write"
    assert action_of("POST", "/api/v2/tenants/t/databases/d/collections/c/%67et") == "write"
    assert action_of("DELETE", "/api/v2/tenants/t/databases/d/collections/c/get") == "write"


def test_only_headers_of_the_api_pass_in() -> None:
    kept = [("Content-Type", "application/json"), ("X-Chroma-NB-Rules", "guide"), ("user-agent", "x")]
    dropped = [
        "Cookie",
        "Authorization",
        "Host",
        "X-XSRFToken",
        "Origin",
        "Referer",
        "X-Forwarded-For",
        "X-Auth-Request-Access-Token",
        "Te",
    ]
    dropped += ["Proxy-Authorization", "X-Chroma-Token", "Transfer-Encoding", "Upgrade", "Forwarded", "Sec-Fetch-Site", "Content-Length"]
    assert forwarded([*((name, "x") for name in dropped), *kept]) == kept


def test_what_connection_names_does_not_pass() -> None:
    given = [("Connection", "close, X-Chroma-Hop"), ("connection", "Accept"), ("X-Chroma-Hop", "1"), ("Accept", "*/*"), ("X-Chroma-A", "1")]
    assert forwarded(given) == returned(given) == [("X-Chroma-A", "1")]


def test_the_page_hides_nothing_that_displays_in_notebooks_show() -> None:
    every = [chr(code) for code in range(0x110000)]
    escaped = {"&", "<", ">", '"', "'"}
    assert [sign for sign in every if sign not in escaped and visible(sign) != html.esc(sign)] == []


def test_snippets_quote_what_they_name() -> None:
    hostile = "\"); import os #\n' ` ${x} $(y)"
    collection = Collection("id", hostile, "t'\"", "d'\"", 3, "l2", {})
    found = {each.client: each.code for each in snippets("https://h.example/user/a%40b/chroma-nb/k/1", collection)}
    for client in ("Python, chromadb", "Python, chroma_nb"):
        code = compile(found[client], client, "exec")
        assert hostile in code.co_consts
    assert "https://h.example/user/a@b/chroma-nb/k/1" in found["Python, chromadb"]
    assert 'host: "h.example/user/a%40b/chroma-nb/k/1",\n  port: 443,\n  ssl: true,' in found["JavaScript, chromadb 3"]
    assert json.dumps(hostile) in found["JavaScript, chromadb 3"]
    words = subprocess.run(
        ["bash", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}; {found['curl']}"], capture_output=True, text=True, check=True
    )
    assert words.stdout.splitlines()[-1].startswith("https://h.example/user/a%40b/chroma-nb/k/1/api/v2/tenants/t%27%22/databases/")


def test_errors_have_chromas_shape() -> None:
    assert error_body(404, "x") == {"error": "NotFoundError", "message": "x"}
    assert error_body(599, "x")["error"] == "InternalError"


ADDED = """
import json, sys
import jupyter_server.serverapp, jupyter_server.extension.application
before = set(sys.modules)
import chroma_nb_extension.app
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_a_jupyter_server_loads_nothing_more_than_the_extension_itself() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "extension")}
    done = subprocess.run([sys.executable, "-c", ADDED], capture_output=True, text=True, check=True, env=environment)
    added = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "chroma_nb_extension" in added
    assert added - {"chroma_nb_extension"} <= set(sys.stdlib_module_names)
