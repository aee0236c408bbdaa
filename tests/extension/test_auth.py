"""Nobody gets in whom Jupyter does not know, and nobody does what Jupyter's authorizer does not allow."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from chroma_nb_extension.app import _ROUTES
from chroma_nb_extension.handlers import Door
from chroma_nb_extension.proxy import Proxy
from tests.extension.conftest import BASE, SERVE, check
from tests.extension.rig import Jupyter, Kernel

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
C = "/api/v2/tenants/t/databases/d/collections"
EXAMPLES = {
    "servers": "servers",
    "k/.*": "k/{id}:80/api/v2/x",
    "s/.*": "s/sub/a%20%C3%BC%2050%25@2.ipynb/api/v2/x",
    "default(?:[:/].*)?": "default/api/v2/x",
    "ui/?": "ui",
    "ui/collection": "ui/collection?kernel={id}&name=x",
    ".*": "nothing",
}


def seen(kernel: Kernel) -> int:
    """Return how many requests have reached a kernel."""
    return int(kernel.run("print(len(upstream.seen))"))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("pattern", "handler"), _ROUTES, ids=[pattern for pattern, _ in _ROUTES])
def test_every_route_refuses_whoever_is_not_known(jupyter: Jupyter, kernel: Kernel, pattern: str, handler: type, verb: str) -> None:
    path = EXAMPLES[pattern].format(id=kernel.id)
    assert re.fullmatch(pattern, path.partition("?")[0])
    before = seen(kernel)
    body = {"content": b"x" * 100_000} if verb in ("POST", "PUT", "PATCH") else {}
    for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": f"Basic {jupyter.token}"}, {"Cookie": "username=x"}):
        response = jupyter.ask(verb, f"chroma-nb/{path}", authorized=False, headers=headers, **body)
        if issubclass(handler, Door) or verb not in ("GET", "HEAD"):
            assert response.status_code in (403, 405)
        else:
            assert response.status_code == 302
            assert urlsplit(response.headers["location"]).path == f"{BASE}login"
        assert kernel.id not in response.text
        if response.content and issubclass(handler, Door):
            assert "Authorization: token" in response.json()["message"]
            assert response.json()["error"] == "AuthorizationError"
    assert seen(kernel) == before
    if issubclass(handler, Proxy):
        assert jupyter.ask(verb, f"chroma-nb/{path}", **body).status_code == 200
        assert seen(kernel) == before + 1


def test_a_preflight_tells_nothing_and_reaches_nobody(jupyter: Jupyter, kernel: Kernel) -> None:
    before = seen(kernel)
    asked = {
        "Origin": "http://elsewhere.example",
        "Access-Control-Request-Headers": "authorization",
        "Access-Control-Request-Method": "POST",
    }
    replies = [
        jupyter.ask("OPTIONS", f"chroma-nb/k/{kernel_id}/api/v2/x", authorized=False, headers=asked) for kernel_id in (kernel.id, "unknown")
    ]
    for reply in replies:
        reply.headers.pop("date")
        assert reply.status_code == 204
        assert reply.content == b""
        assert "access-control-allow-origin" not in reply.headers
        assert "x-chroma-token" in reply.headers["access-control-allow-headers"]
    assert replies[0].headers == replies[1].headers
    assert seen(kernel) == before


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_a_token_is_enough(jupyter: Jupyter, api: str, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {jupyter.token}", "Origin": "http://elsewhere.example"}
    for verb in VERBS:
        assert jupyter.ask(verb, f"{api}/x", authorized=False, headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["token", "%74oken"])
def test_a_token_in_the_url_goes_no_further(jupyter: Jupyter, api: str, name: str) -> None:
    said = jupyter.ask("POST", f"{api}/x?a=1&{name}={jupyter.token}&b=2", authorized=False, json={}).raise_for_status().json()
    assert said["target"] == "/api/v2/x?a=1&b=2"
    assert jupyter.token not in json.dumps(said)
    for path in ("k/x/api/v2", "nothing", "ui/collection"):  # their errors are logged
        assert jupyter.ask("GET", f"chroma-nb/{path}?{name}={jupyter.token}", authorized=False).status_code in (400, 404)
    assert jupyter.token not in jupyter.log


@pytest.fixture
def browser(jupyter: Jupyter) -> Iterator[httpx.Client]:
    """Log in as a browser does; what it has then is cookies."""
    with httpx.Client(base_url=jupyter.url, trust_env=False) as client:
        client.get("login")
        client.get(f"api/status?token={jupyter.token}").raise_for_status()
        assert "_xsrf" in client.cookies
        yield client


def test_a_browser_shows_that_its_pages_are_jupyters(browser: httpx.Client, kernel: Kernel, api: str) -> None:
    assert browser.get(f"{api}/x").status_code == 200
    before = seen(kernel)
    for verb in ("POST", "PUT", "PATCH", "DELETE"):
        refused = browser.request(verb, f"{api}/x")
        assert refused.status_code == 403
        assert "X-XSRFToken" in refused.json()["message"]
        assert browser.request(verb, f"{api}/x", headers={"X-XSRFToken": "2|aa|bb|1"}).status_code == 403
    assert seen(kernel) == before
    proof = {"X-XSRFToken": browser.cookies["_xsrf"]}
    said = browser.post(f"{api}/x", headers=proof, json={"a": 1}).raise_for_status().json()
    assert not {"cookie", "x-xsrftoken", "authorization", "origin", "referer"} & {name for name, _ in said["headers"]}
    for verb in ("GET", "POST"):
        foreign = browser.request(verb, f"{api}/x", headers={**proof, "Origin": "http://elsewhere.example"})
        assert foreign.status_code in (403, 404)
    assert seen(kernel) == before + 1


def test_a_refused_body_is_not_waited_for_when_the_client_asks_first(jupyter: Jupyter, api: str) -> None:
    parts = urlsplit(jupyter.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=30)
    connection.putrequest("POST", f"{BASE}{api}/x")
    connection.putheader("Content-Length", str(1 << 30))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.getresponse().status == 403
    connection.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Start a server whose authorizer lets nobody write, and that knows no route without authentication."""
    config = {
        "ServerApp": {"authorizer_class": "tests.extension.authorizing.ReadersOnly", "allow_unauthenticated_access": False},
        "ChromaNB": {"max_body_size": 1 << 20, "track_activity": True},
    }
    with Jupyter.started(tmp_path_factory.mktemp("strict"), base_url="/pre/", config=config) as started:
        started.kernel("a.ipynb").run(SERVE)
        yield started
    check(started)


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        # The first request decides nothing for the later ones.
        ("POST", f"{C}/c/add", 403),
        ("POST", f"{C}/c/get", 200),
        ("POST", f"{C}/c/query", 200),
        ("POST", "/api/v1/collections/c/query", 200),
        ("GET", f"{C}/c/count", 200),
        ("HEAD", C, 200),
        ("POST", C, 403),
        ("POST", f"{C}/c/upsert", 403),
        ("POST", f"{C}/c/delete", 403),
        ("POST", f"{C}/c/nb/scan", 200),
        ("POST", f"{C}/c/nb/put_layout", 403),
        ("PUT", f"{C}/c", 403),
        ("DELETE", f"{C}/c", 403),
        ("PATCH", "/api/v2/tenants/t", 403),
        ("POST", "/api/v2/reset", 403),
        ("POST", "/api/v2/reset/", 403),
        ("GET", f"{C}/c/count?blind", 403),
        ("POST", f"{C}/c/get?blind", 403),
    ],
)
def test_a_reader_reads(strict: Jupyter, verb: str, path: str, status: int) -> None:
    for route in (f"k/{strict.kernels[0].id}", "s/a.ipynb", "default"):
        response = strict.ask(verb, f"chroma-nb/{route}{path}")
        assert response.status_code == status
        if status == 403 and verb != "HEAD":
            assert response.json()["error"] == "AuthorizationError"
            assert "chroma_nb" in response.json()["message"]


@pytest.mark.parametrize("path", ["servers", "ui", "ui/collection", "s/none.ipynb/api/v2", "k/x/api/v2", "default/api/v3"])
def test_who_may_not_read_learns_nothing(strict: Jupyter, path: str) -> None:
    response = strict.ask("GET", f"chroma-nb/{path}?blind")
    assert response.status_code == 403
    assert strict.kernels[0].id not in response.text


def test_a_server_without_open_routes_keeps_these_closed(strict: Jupyter) -> None:
    assert strict.ask("GET", "chroma-nb/default/api/v2", authorized=False).status_code == 403
    assert strict.ask("GET", "chroma-nb/servers", authorized=False).status_code == 403
    assert strict.ask("GET", "chroma-nb/ui?x=1", authorized=False).headers["location"] == "/pre/login?next=%2Fpre%2Fchroma-nb%2Fui%3Fx%3D1"


def test_clients_are_no_activity_unless_they_shall_be(jupyter: Jupyter, api: str, strict: Jupyter) -> None:
    for server, path, counts in ((jupyter, f"{api}/x", False), (strict, "chroma-nb/default/api/v2/x", True)):
        before = server.ask("GET", "api/status").json()["last_activity"]
        assert server.ask("GET", path).status_code == 200
        assert (server.ask("GET", "api/status").json()["last_activity"] != before) == counts


def test_a_body_that_is_too_large_is_refused_in_words(strict: Jupyter) -> None:
    response = strict.ask("POST", f"chroma-nb/default{C}/c/get", content=b"x" * (2 << 20))
    assert response.status_code == 413
    assert response.json()["error"] == "BatchSizeExceededError"
    assert "1 MiB" in response.json()["message"]
    assert strict.ask("POST", f"chroma-nb/default{C}/c/get", content=b"x" * (1 << 20)).status_code == 200
