"""Who is let in, what a request may bring, and how replies leave: over real connections."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time

import httpx
import pytest

from chroma_nb import ops
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.app import ADDRESSES, Gate
from chroma_nb.http.call import Limits
from chroma_nb.http.server import Server, start
from tests.http.conftest import COLLECTIONS, TOKEN, Serve, Wire, ask, request

HEARTBEAT = "/api/v2/heartbeat"
TENANT = "/api/v2/tenants/default_tenant"


def made(server: Server, count: int = 0, text: str = "text", dimension: int = 2) -> str:
    """Make a collection and return its path."""
    with httpx.Client(base_url=server.url, headers=server.headers) as client:
        found = client.post(COLLECTIONS, json={"name": "docs", "get_or_create": True}).json()["id"]
        path = f"{COLLECTIONS}/{found}"
        if count:
            body = {
                "ids": [f"r{i}" for i in range(count)],
                "embeddings": [[float(i)] * dimension for i in range(count)],
                "documents": [text] * count,
            }
            assert client.post(f"{path}/add", json=body).status_code == 201
    return path


class TestToken:
    """A token opens; nothing else does, and nothing breaks on the way."""

    @pytest.mark.parametrize(
        "header",
        [
            f"Authorization: Bearer {TOKEN}",
            f"authorization: bearer   {TOKEN}",
            f"X-Chroma-Token: {TOKEN}",
            f"Authorization: Basic eDp5\r\nX-Chroma-Token: {TOKEN}",
        ],
    )
    def test_lets_in(self, guarded: Server, header: str) -> None:
        assert ask(guarded, request("GET", TENANT, b"", header)).status == 200

    @pytest.mark.parametrize(
        "header",
        [
            "Accept: */*",
            "X-Chroma-Token:",
            "X-Chroma-Token: wrong",
            f"X-Chroma-Token: {TOKEN}x",
            f"X-Chroma-Token: {TOKEN[:-1]}",
            f"X-Chroma-Token: {TOKEN}\r\nX-Chroma-Token: other",
            f"Authorization: Basic {TOKEN}",
            f"Authorization: {TOKEN}",
            "Authorization: Bearer",
            "Authorization: Bearer \xe9\xff\xfe",
            "X-Chroma-Token: \xe9\xff\xfe",
            f"Authorization: Bearer {'x' * 30_000}",
            f"Cookie: X-Chroma-Token={TOKEN}",
        ],
        ids=range(13),
    )
    def test_turns_away(self, guarded: Server, header: str) -> None:
        answer = ask(guarded, request("GET", TENANT, b"", header))
        assert answer.status == 401
        assert answer.json().keys() == {"error", "message"}
        assert answer.json()["error"] == "AuthorizationError"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN.encode() not in answer.body

    def test_is_not_taken_from_the_address(self, guarded: Server) -> None:
        assert ask(guarded, request("GET", f"{TENANT}?token={TOKEN}&x-chroma-token={TOKEN}")).status == 401

    @pytest.mark.parametrize(
        "path", [HEARTBEAT, "/api/v1/heartbeat", "/api/v1", "/api/v2", "/api/v2/healthcheck", "/docs", "/openapi.json"]
    )
    def test_is_not_needed_to_see_that_a_server_is_there(self, guarded: Server, path: str) -> None:
        assert ask(guarded, request("GET", path)).status == 200

    def test_is_needed_for_everything_else(self, guarded: Server) -> None:
        described = ask(guarded, request("GET", "/openapi.json")).json()
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                status = ask(guarded, request(method.upper(), path.replace("{", "x").replace("}", "x"))).status
                assert status == (200 if operation.get("security") == [] else 401), (method, path)

    @pytest.mark.parametrize("path", ["/api/v2/%68eartbeat", "/api/v2//heartbeat", "/api/v2/./heartbeat", "/API/v2/heartbeat", "/docs/"])
    def test_is_needed_for_odd_spellings_of_open_paths(self, guarded: Server, path: str) -> None:
        assert ask(guarded, request("GET", path)).status == 401

    @pytest.mark.parametrize("token", ["", " ", "two words", "naïve", "line\nbreak"])
    def test_that_no_header_can_carry_is_refused(self, token: str) -> None:
        with pytest.raises(InvalidArgumentError, match="token"):
            Gate(token=token)

    def test_made_up_is_long_and_new_every_time(self, serve: Serve) -> None:
        del serve
        tokens = set()
        engine = Engine(None)
        from chroma_nb.http.call import Service

        for _ in range(3):
            with start(Service(engine.execute), token="") as server:
                tokens.add(server.headers["X-Chroma-Token"])
        engine.close()
        assert len(tokens) == 3
        assert all(len(token) >= 43 for token in tokens)  # 256 bits in base64


class TestHost:
    """A web page whose name was pointed at this machine is not answered."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8000"])
    def test_of_this_machine(self, server: Server, host: str) -> None:
        assert ask(server, request("GET", HEARTBEAT, host=host)).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "evil.example.",
            "localhost.",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "127.0.0.1:80@evil.example",
            "localhost:x",
            "localhost:8000:8000",
            "::1",
            "[::1",
            "[evil.example]",
            "0.0.0.0",
            "127.0.0.2",
            "2130706433",
            "localhost/",
            "localhost#",
            "localhost\\evil",
            "",
            "\xe9",
        ],
    )
    def test_that_is_foreign(self, server: Server, host: str) -> None:
        answer = ask(server, request("GET", HEARTBEAT, host=host))
        assert answer.status in (400, 421)
        assert answer.json().keys() == {"error", "message"}

    def test_that_is_missing(self, server: Server) -> None:
        assert ask(server, request("GET", HEARTBEAT, host=None)).status == 400  # not HTTP/1.1
        assert ask(server, f"GET {HEARTBEAT} HTTP/1.0\r\n\r\n".encode()).status == 421

    def test_twice(self, server: Server) -> None:
        assert ask(server, request("GET", HEARTBEAT, b"", "Host: evil.example")).status == 400

    def test_in_the_request_line_does_not_count(self, server: Server) -> None:
        assert ask(server, request("GET", f"http://evil.example{HEARTBEAT}")).status == 404

    def test_addresses_do_for_a_server_of_the_whole_network(self, serve: Serve) -> None:
        server = serve(Gate(hosts=(ADDRESSES, "notebook.lan")))
        for host in ("192.168.1.7:8000", "[fe80::1]", "notebook.lan"):
            assert ask(server, request("GET", HEARTBEAT, host=host)).status == 200
        assert ask(server, request("GET", HEARTBEAT, host="evil.example")).status == 421


class TestOrigin:
    """Pages of other origins may call only when they are named."""

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "null", "http://localhost", "file://", "http://127.0.0.1:1", "http://[", "x"]
    )
    def test_that_is_foreign(self, server: Server, origin: str) -> None:
        answer = ask(server, request("GET", HEARTBEAT, b"", f"Origin: {origin}"))
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers

    def test_that_is_our_own(self, server: Server) -> None:
        here = f"127.0.0.1:{server.port}"
        assert ask(server, request("GET", HEARTBEAT, b"", f"Origin: http://{here}", host=here)).status == 200

    def test_that_is_named(self, serve: Serve) -> None:
        page = "http://localhost:5173"
        server = serve(Gate(origins=(page,), token=TOKEN))
        answer = ask(server, request("GET", TENANT, b"", f"Origin: {page}", f"X-Chroma-Token: {TOKEN}"))
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == page
        assert "Origin" in answer.headers["vary"]
        assert (
            ask(server, request("GET", TENANT, b"", f"Origin: {page}")).headers["access-control-allow-origin"] == page
        )  # so that it can read the refusal
        assert ask(server, request("GET", TENANT, b"", f"Origin: {page}", "Origin: http://evil.example")).status == 403

    def test_preflight(self, serve: Serve) -> None:
        page = "http://localhost:5173"
        server = serve(Gate(origins=(page,)))
        wish = "Access-Control-Request-Method: POST"
        answer = ask(server, request("OPTIONS", COLLECTIONS, b"", f"Origin: {page}", wish))
        assert (answer.status, answer.body) == (204, b"")
        assert "content-type" in answer.headers["access-control-allow-headers"]
        assert ask(server, request("OPTIONS", COLLECTIONS, b"", "Origin: http://evil.example", wish)).status == 403
        assert ask(server, request("OPTIONS", COLLECTIONS)).status == 405

    def test_unsaid_by_an_image_of_another_site(self, server: Server) -> None:
        assert ask(server, request("GET", HEARTBEAT, b"", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors")).status == 403
        assert ask(server, request("GET", "/docs", b"", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")).status == 200


class TestBody:
    """What a request may bring."""

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
    )
    def test_of_a_type_that_pages_may_send_unasked(self, server: Server, kind: str) -> None:
        assert ask(server, request("POST", COLLECTIONS, b'{"name":"docs"}', f"Content-Type: {kind}")).status == 415

    @pytest.mark.parametrize("headers", [(), ("Content-Type: application/json",), ("Content-Type: Application/JSON; charset=utf-8",)])
    def test_of_a_type_that_clients_send(self, server: Server, headers: tuple[str, ...]) -> None:
        assert ask(server, request("POST", COLLECTIONS, b'{"name":"docs"}', *headers)).status == 200

    def test_that_is_compressed(self, server: Server) -> None:
        answer = ask(server, request("POST", COLLECTIONS, gzip.compress(b'{"name":"docs"}'), "Content-Encoding: gzip"))
        assert answer.status == 415

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            b'"text"',
            b"null",
            b'{"name": NaN}',
            b'{"name": Infinity}',
            b'{"name": -Infinity}',
            b'{"name": 1e999}',
            b'{"name": 00}',
            b'{"name": "\xff\xfe"}',
            b'{"name": "\\ud800"}',
            b'{"name": "docs", "name": "docs2"}',
            b'{"name": "docs", "metadata": {"a": 1, "a": 2}}',
            b'{"name": "docs\\u0000"}',
            b'{"name": "do\x00cs"}',
            b'{"name": "docs"} {}',
            b"\xef\xbb\xbf{}",
            b'{"name": "docs", "metadata": {"a": ' + b"9" * 5000 + b"}}",
            b"[" * 10_000_000,
            b'{"name":' * 100_000,
            b'{"name": "docs", "metadata": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
        ],
        ids=range(21),
    )
    def test_that_is_no_sound_json(self, server: Server, body: bytes) -> None:
        answer = ask(server, request("POST", COLLECTIONS, body, "Content-Type: application/json"))
        assert answer.status == 400, answer.body
        assert answer.json()["message"]

    def test_with_a_filter_too_deep(self, server: Server) -> None:
        path = made(server, 1)
        for depth, status in ((200, 200), (201, 400), (900, 400)):
            where = b'{"$and":[' * depth + b'{"a":1},{"b":2}' + b"]}" * depth
            assert ask(server, request("POST", f"{path}/get", b'{"where":' + where + b"}")).status == status, depth

    def test_with_a_filter_too_large(self, server: Server) -> None:
        clauses = [{"a": i} for i in range(100_001)]
        assert ask(server, request("POST", f"{made(server, 1)}/get", json.dumps({"where": {"$or": clauses}}).encode())).status == 400

    def test_larger_than_allowed(self, serve: Serve) -> None:
        server = serve(Gate(body=1 << 20))
        large = b" " * ((1 << 20) + 1)
        assert ask(server, request("POST", COLLECTIONS, large[1:])).status == 400  # large enough, but no JSON object with a name
        for answer in (
            ask(server, request("POST", COLLECTIONS, large)),
            ask(server, request("POST", COLLECTIONS, b"%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked")),
            ask(server, request("POST", COLLECTIONS, b"", "Content-Length: 99999999999999999999")),
            ask(server, request("POST", COLLECTIONS, b"", f"Content-Length: {len(large)}", "Expect: 100-continue")),
        ):
            assert answer.status == 413
            assert "1 MiB" in answer.json()["message"]

    def test_with_more_than_one_request_may_carry(self, serve: Serve) -> None:
        server = serve(limits=Limits(rows=10, results=20))
        path = made(server)
        body = {"ids": [f"{i}" for i in range(11)], "embeddings": [[1.0]] * 11}
        answer = ask(server, request("POST", f"{path}/add", json.dumps(body).encode()))
        assert answer.status == 413
        assert "10" in answer.json()["message"]
        asked = {"query_embeddings": [[1.0]] * 3, "n_results": 7}
        answer = ask(server, request("POST", f"{path}/query", json.dumps(asked).encode()))
        assert answer.status == 413
        assert "20" in answer.json()["message"]

    def test_cut_short_changes_nothing(self, server: Server) -> None:
        body = b'{"name":"docs"}     '
        with Wire(server) as wire:
            wire.send(request("POST", COLLECTIONS, body[:-1], f"Content-Length: {len(body)}"))
        assert ask(server, request("GET", f"{COLLECTIONS}/docs")).status == 404


class TestPath:
    """Paths are names, never files."""

    @pytest.mark.parametrize(
        "path",
        [
            "/..",
            "/../../etc/passwd",
            "/api/v2/../../etc/passwd",
            "/api/v2/tenants/..%2f..%2fetc%2fpasswd",
            "/api/v2/tenants/%00",
            "/api/v2/tenants/%ff%fe",
            "/api/v2/tenants/%zz",
            "/api/v2/tenants//databases/default_database",
            "/api/v2/tenants/%2e%2e/databases",
            "/api/v3/heartbeat",
            "/api/v2/heartbeat/x",
            "/etc/passwd",
            "//evil.example/api/v2",
            "*",
            "/api/v2/tenants/" + "x" * 20_000,
        ],
        ids=range(15),
    )
    def test_that_leads_nowhere(self, server: Server, path: str) -> None:
        answer = ask(server, request("GET", path))
        assert answer.status == 404
        assert answer.json()["message"]

    @pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "BREW", "get", "PROPFIND"])
    def test_with_an_unknown_method(self, server: Server, method: str) -> None:
        answer = ask(server, request(method, HEARTBEAT))
        assert answer.status == 405
        assert answer.headers["allow"] == "GET"

    def test_with_head(self, server: Server) -> None:
        with Wire(server) as wire:
            for path in (HEARTBEAT, "/docs"):
                wire.send(request("HEAD", path))
                head = wire.socket.recv(1 << 16)
                assert head.startswith(b"HTTP/1.1 200")
                assert head.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=" + "9" * 5000, "limit=--5", "offset=1.5", "limit=%00", "limit="])
    def test_with_a_wrong_query(self, server: Server, query: str) -> None:
        assert ask(server, request("GET", f"{COLLECTIONS}?{query}")).status == 400


class TestReply:
    """How replies leave."""

    def test_failure_of_the_server(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        def failing(op: ops.Op[object]) -> object:
            raise ZeroDivisionError("the inner secret of " + type(op).__name__)

        server = serve(Gate(token=TOKEN), execute=failing)
        with Wire(server) as wire, caplog.at_level(logging.DEBUG):
            for _ in range(2):  # the connection stays sound
                wire.send(request("GET", f"{TENANT}?secret=1", b"", f"X-Chroma-Token: {TOKEN}"))
                answer = wire.read()
                assert answer is not None
                assert answer.status == 500
                assert answer.json()["error"] == "InternalError"
                assert b"secret" not in answer.body
                assert answer.headers["chroma-trace-id"]
        assert "ZeroDivisionError" in caplog.text
        assert TOKEN not in caplog.text

    def test_of_a_server_for_reading_only(self, serve: Serve) -> None:
        server = serve(read_only=True)
        answer = ask(server, request("POST", COLLECTIONS, b'{"name":"docs"}'))
        assert answer.status == 403
        assert "read-only" in answer.json()["message"]
        assert ask(server, request("GET", COLLECTIONS)).json() == []

    def test_compressed_on_demand(self, serve: Serve) -> None:
        server = serve(Gate(compress=True))
        path = made(server, 100, "word " * 50)
        plain = ask(server, request("POST", f"{path}/get", b"{}"))
        small = ask(server, request("POST", f"{path}/get", b"{}", "Accept-Encoding: deflate, gzip"))
        assert small.headers["content-encoding"] == "gzip"
        assert len(small.body) < len(plain.body) / 5
        assert gzip.decompress(small.body) == plain.body
        for accepted in ("Accept-Encoding: gzip;q=0", "Accept-Encoding: deflate", "X: y"):
            assert "content-encoding" not in ask(server, request("POST", f"{path}/get", b"{}", accepted)).headers

    def test_is_not_compressed_for_this_machine(self, server: Server) -> None:
        path = made(server, 100, "word " * 50)
        assert "content-encoding" not in ask(server, request("POST", f"{path}/get", b"{}", "Accept-Encoding: gzip")).headers

    def test_never_carries_nan(self, server: Server) -> None:
        path = made(server, 2)
        for vector in ("[0.0, 0.0]", "[3e38, -3e38]", "[1e-45, 1e-45]"):
            answer = ask(server, request("POST", f"{path}/query", b'{"query_embeddings": [%s]}' % vector.encode()))
            assert answer.status == 200
            assert b"NaN" not in answer.body
            assert b"Infinity" not in answer.body
            json.loads(answer.body, parse_constant=pytest.fail)

    def test_reader_that_does_not_read_blocks_nobody(self, server: Server) -> None:
        path = made(server, 400, "x" * 100_000)  # 40 MB: more than any socket buffers
        with Wire(server) as sluggard:
            sluggard.send(request("POST", f"{path}/get", b"{}"))
            assert sluggard.socket.recv(1)
            for _ in range(20):
                assert ask(server, request("GET", HEARTBEAT)).status == 200
            sluggard._rest += b"H"
            answer = sluggard.read()
            assert answer is not None
            assert len(answer.body) > 40_000_000

    def test_while_eight_requests_are_at_work_comes_from_the_same_loop(self, serve: Serve) -> None:
        engine, gate, begun = Engine(None), threading.Event(), threading.Semaphore(0)

        def slow(op: ops.Op[object]) -> object:
            if isinstance(op, ops.GetTenant):
                begun.release()
                gate.wait(30)
            return engine.execute(op)

        server = serve(execute=slow)
        wires = [Wire(server) for _ in range(8)]
        try:
            for wire in wires:
                wire.send(request("GET", TENANT))
                assert begun.acquire(timeout=20)
            assert ask(server, request("GET", "/docs")).status == 200  # needs no thread
            gate.set()
            for wire in wires:
                answer = wire.read()
                assert answer is not None
                assert answer.status == 200
        finally:
            gate.set()
            for wire in wires:
                wire.socket.close()
            engine.close()

    def test_has_a_date_and_no_cache(self, server: Server) -> None:
        headers = ask(server, request("GET", HEARTBEAT)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert abs(time.mktime(time.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.mktime(time.gmtime())) < 3600
        assert "server" not in headers
