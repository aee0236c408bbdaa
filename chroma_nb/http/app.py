"""The API as an ASGI application: what stands between a socket and `chroma_nb.http.serving.answer`.

Lives here: who is let in (host, origin, token), what a request may bring (content type, size, time), and how a reply leaves
(compressed, in pieces). Must not live here: what a request means. The work itself runs in a few threads, so that the loop always
answers. Called by the server's connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.call import Service
from chroma_nb.http.message import SERVER_HEADER, Reply, Request
from chroma_nb.http.openapi import document, page
from chroma_nb.http.serving import answer, refusal

_LOG = logging.getLogger("chroma_nb.http")
_OPEN: Final = frozenset(
    {
        "/",
        "/docs",
        "/openapi.json",
        "/api/v1",
        "/api/v2",
        "/api/v1/heartbeat",
        "/api/v2/heartbeat",
        "/api/v1/healthcheck",
        "/api/v2/healthcheck",
    }
)
"""Paths that tell no more than that a server is there and what it can do: answered without a token, as Chroma's servers did."""
_CHUNK = 1 << 16
_TURN = 1 << 20
_COMPRESSED_FROM = 1 << 12
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]\\]+)(:[0-9]{1,5})?")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}")
_TOKEN = re.compile(r"[!-~]+")
_SLOWEST = 1 << 17
_DRAINED = 5.0
_STALL = 0.3
_SWITCH = 0.0005
ADDRESSES: Final = "addresses"
"""Among `Gate.hosts`: every ``Host`` that is an IP address. A web page's name can be pointed at this machine, an address cannot."""


@dataclass(frozen=True)
class Gate:
    """Who may come in, and with how much.

    Parameters
    ----------
    token
        What a client must show as ``Authorization: Bearer`` or ``X-Chroma-Token``; None lets everyone in.
    hosts
        Names a ``Host`` header may carry, without port, an IPv6 address in brackets; what a web page of another name sends (DNS
        rebinding) is refused. ``"*"`` allows all names, `ADDRESSES` all IP addresses.
    origins
        Origins of web pages that may call, such as ``"http://localhost:5173"``; none by default, ``"*"`` for all.
    body
        Largest body in bytes; bodies that arrive at one time may take four times as much.
    seconds
        Longest time for a body to arrive, plus one second for every 128 KiB of it.
    compress
        Compress large replies to clients on this machine too, not only to others.

    Raises
    ------
    InvalidArgumentError
        A token that no header can carry.
    """

    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = _LOOPBACK
    origins: tuple[str, ...] = ()
    body: int = 256 << 20
    seconds: float = 60.0
    compress: bool = False

    def __post_init__(self) -> None:
        """Check the token."""
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise InvalidArgumentError(
                "token: expected letters, digits and signs of ASCII without spaces, which is what a header can carry"
            )


class TurnedAwayError(Exception):
    """A request that does not reach the API."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reply = refusal(status, {"error": code, "message": message}, headers)


class _GoneError(Exception):
    """The client went away before its request was complete."""


class App:
    """The ASGI application.

    Parameters
    ----------
    service
        What it serves.
    gate
        Who is let in.
    threads
        Requests carried out at once.
    """

    def __init__(self, service: Service, gate: Gate, *, threads: int = 8) -> None:
        self._service = service
        self._gate = gate
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="chroma_nb request")
        self._running: set[Future[Reply]] = set()
        self._held = 0
        self._under_way = 0
        self._usual = sys.getswitchinterval()

    def close(self, seconds: float | None = None) -> bool:
        """Take no more requests, and wait until running ones have ended, at most `seconds`; tell whether they have."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        return not wait(list(self._running), seconds).not_done

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        with self._attended():
            await self._answer(scope, receive, send)

    @contextlib.contextmanager
    def _attended(self) -> Iterator[None]:
        """Let threads take turns more often while a request is under way.

        A request changes threads and waits for files a dozen times; in a kernel that computes, each change costs Python's switch
        interval. Measured with a busy main thread: a query's 99th percentile is 220 to 300 ms at 5 ms, and a few dozen at 0.5 ms.
        """
        if not self._under_way:
            self._usual = sys.getswitchinterval()
            sys.setswitchinterval(min(self._usual, _SWITCH))
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                sys.setswitchinterval(self._usual)

    async def _answer(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        headers = _joined(scope["headers"])
        body = _Body(receive, self._gate, headers)
        try:
            reply = await self._answered(scope, headers, body)
        except TurnedAwayError as turned_away:
            reply = turned_away.reply
            if reply.status != 408:
                await body.drain()
        except _GoneError:
            return
        except Exception:  # noqa: BLE001 - logged; the client is told so much and no more
            _LOG.exception("unexpected error in %s %s", scope["method"], _path(scope)[:200])
            reply = _internal_error()
        finally:
            self._held -= body.held
        extra = {**reply.headers, **self._cors(headers.get("origin"))}
        if not body.is_complete:
            extra["connection"] = "close"
        await _sent(send, Reply(reply.status, reply.body, extra))

    async def _answered(self, scope: Mapping[str, Any], headers: Mapping[str, str], body: _Body) -> Reply:
        path = _path(scope)
        # Every GET has its HEAD: the same headers without a body, which the connection leaves out.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        self._check_host(headers)
        self._check_origin(headers)
        if method == "OPTIONS" and headers.get("origin") and "access-control-request-method" in headers:
            return self._preflight(headers)
        if path not in _OPEN:
            self._check_token(headers)
        self._check_type(method, headers)
        content = await self._read(body)
        if method == "GET" and path == "/openapi.json":
            return Reply(200, document(secured=self._gate.token is not None), {"content-type": "application/json", **_PAGE})
        if method == "GET" and path in ("/docs", "/"):
            return Reply(200, page(), {"content-type": "text/html; charset=utf-8", **_PAGE})
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        return await self._carried_out(Request(method, path, query, headers, content), compress=self._compresses(scope, headers))

    async def _read(self, body: _Body) -> bytes:
        parts: list[bytes] = []
        while not body.is_complete:
            part = await body.part()
            parts.append(part)
            self._held += len(part)
            if self._held > 4 * self._gate.body:
                raise TurnedAwayError(503, "Unavailable", "this server is reading too many large requests; try again later")
        return b"".join(parts)

    async def _carried_out(self, request: Request, *, compress: bool) -> Reply:
        try:
            future = self._threads.submit(_worked, self._service, request, compress=compress)
        except RuntimeError:
            raise TurnedAwayError(503, "Unavailable", "this server is stopping") from None
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def _compresses(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
        # On one machine compressing takes longer than sending.
        near = (scope.get("client") or ("127.0.0.1", 0))[0] in ("127.0.0.1", "::1")
        return (not near or self._gate.compress) and _takes_gzip(headers.get("accept-encoding", ""))

    def _check_host(self, headers: Mapping[str, str]) -> None:
        given = headers.get("host", "")
        parsed = _HOST.fullmatch(given.lower())
        name = parsed[1] if parsed else None
        hosts = self._gate.hosts
        if name is None or not ("*" in hosts or name in hosts or (ADDRESSES in hosts and _ADDRESS.fullmatch(name))):
            raise TurnedAwayError(
                421, "MisdirectedRequest", f"this server does not answer for the host {given[:100]!r}; start it with that --host-name"
            )

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None:
            # Pages load images and scripts without naming their origin; browsers say at least where such a request comes from.
            if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
                raise TurnedAwayError(403, "AuthorizationError", "requests from pages of other sites are not allowed")
            return
        if not self._is_allowed(origin) and not _is_same(origin, headers.get("host", "")):
            raise TurnedAwayError(
                403,
                "AuthorizationError",
                f"requests from web pages of {origin[:100]!r} are not allowed; start the server with that --allow-origin",
            )

    def _is_allowed(self, origin: str) -> bool:
        return "*" in self._gate.origins or origin.lower() in self._gate.origins

    def _check_token(self, headers: Mapping[str, str]) -> None:
        if self._gate.token is None:
            return
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        shown = [headers.get("x-chroma-token", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
        # Every comparison is made, each in constant time, so that the answer's delay tells nothing.
        if not sum(hmac.compare_digest(each.encode(), self._gate.token.encode()) for each in shown):
            message = "send the server's token as 'Authorization: Bearer TOKEN' or 'X-Chroma-Token: TOKEN'"
            raise TurnedAwayError(401, "AuthorizationError", message, {"www-authenticate": "Bearer"})

    @staticmethod
    def _check_type(method: str, headers: Mapping[str, str]) -> None:
        # A page may send text/plain and forms to foreign hosts unasked, JSON not. No type at all is how Python clients up to 0.6 send JSON.
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method not in ("GET", "DELETE", "OPTIONS") and given not in ("", "application/json"):
            raise TurnedAwayError(415, "UnsupportedMediaType", f"content-type {given[:60]!r}: expected application/json")
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise TurnedAwayError(415, "UnsupportedMediaType", f"content-encoding {coding[:60]!r}: send the body as it is")

    def _preflight(self, headers: Mapping[str, str]) -> Reply:
        if not self._is_allowed(headers["origin"]):
            raise TurnedAwayError(
                403, "AuthorizationError", "no page of another origin may call this server; start it with an --allow-origin"
            )
        allowed = {
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
            "access-control-allow-headers": "authorization, content-type, user-agent, x-chroma-token",
            "access-control-max-age": "600",
        }
        if headers.get("access-control-request-private-network") == "true":
            allowed["access-control-allow-private-network"] = "true"
        return Reply(204, b"", allowed)

    def _cors(self, origin: str | None) -> dict[str, str]:
        if origin is None or not self._is_allowed(origin):
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": f"chroma-trace-id, {SERVER_HEADER}",
            "vary": "Origin, Accept-Encoding",
        }


_PAGE = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def _path(scope: Mapping[str, Any]) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _joined(listed: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name. One that comes twice is joined, so that a second token, origin or type cannot hide behind the first."""
    headers: dict[str, str] = {}
    for name, value in listed:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and bool(host)


def _takes_gzip(accepted: str) -> bool:
    for item in accepted.split(","):
        coding, _, weight = item.partition(";")
        if coding.strip().lower() == "gzip":
            return not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)
    return False


def _internal_error() -> Reply:
    return refusal(500, {"error": "InternalError", "message": "the server failed; what was committed before is intact. Its log says why"})


def _worked(service: Service, request: Request, *, compress: bool) -> Reply:
    """Carry a request out, in a thread; whatever happens, there is a reply."""
    try:
        reply = answer(service, request)
        if not compress or len(reply.body) < _COMPRESSED_FROM:
            return reply
        return Reply(reply.status, gzip.compress(reply.body, 1), {**reply.headers, "content-encoding": "gzip", "vary": "Accept-Encoding"})
    except MemoryError:
        return refusal(413, {"error": "InternalError", "message": "the request needs more memory than there is; ask for less at once"})
    except Exception:  # noqa: BLE001 - as above
        _LOG.exception("unexpected error in %s %s", request.method, request.path[:200])
        return _internal_error()


class _Body:
    """A request's body, read once, never beyond the limit and never longer than allowed."""

    def __init__(self, receive: Any, gate: Gate, headers: Mapping[str, str]) -> None:
        self._receive = receive
        self._gate = gate
        self._headers = headers
        self._start = asyncio.get_running_loop().time()
        self.is_complete = "content-length" not in headers and "transfer-encoding" not in headers
        self.held = 0

    async def part(self) -> bytes:
        """Return the next piece.

        Raises
        ------
        TurnedAwayError
            The body is larger than allowed, or too slow.
        """
        said = self._headers.get("content-length", "0")
        if len(said) > 18 or int(said) > self._gate.body:
            raise self._too_large()
        late = self._start + self._gate.seconds + self.held / _SLOWEST - asyncio.get_running_loop().time()
        try:
            part = await self._next(late)
        except asyncio.TimeoutError:
            message = f"the body took longer than {self._gate.seconds:g} s, plus a second per 128 KiB, to arrive"
            raise TurnedAwayError(408, "RequestTimeout", message) from None
        if self.held + len(part) > self._gate.body:
            raise self._too_large()
        self.held += len(part)
        return part

    async def _next(self, seconds: float) -> bytes:
        message = await _within(self._receive, seconds)
        if message["type"] != "http.request":
            raise _GoneError
        self.is_complete = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    def _too_large(self) -> TurnedAwayError:
        return TurnedAwayError(
            413, "BatchSizeExceededError", f"body: larger than {self._gate.body / (1 << 20):g} MiB; send fewer records at once"
        )

    async def drain(self) -> None:
        """Read on for a while: a client that is still sending looks for the reply only afterwards."""
        if "expect" in self._headers:
            return
        end = asyncio.get_running_loop().time() + _DRAINED
        while not self.is_complete and asyncio.get_running_loop().time() < end:
            try:
                await self._next(_STALL)
            except (asyncio.TimeoutError, _GoneError):
                return


async def _within(receive: Any, seconds: float) -> Any:
    """Await ``receive()``, at most `seconds`; without the extra task that `asyncio.wait_for` makes of it."""
    task, late = asyncio.current_task(), False
    if task is None:
        return await receive()

    def interrupt() -> None:
        nonlocal late
        late = True
        task.cancel()

    handle = asyncio.get_running_loop().call_later(max(seconds, 0), interrupt)
    try:
        return await receive()
    except asyncio.CancelledError:
        if not late:
            raise
        if hasattr(task, "uncancel"):  # from Python 3.11 on
            task.uncancel()
        raise asyncio.TimeoutError from None
    finally:
        handle.cancel()


async def _sent(send: Any, reply: Reply) -> None:
    content = memoryview(reply.body)
    extra = {"date": formatdate(usegmt=True), **reply.headers}
    if reply.status != 204:
        extra["content-length"] = str(len(content))
    listed = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": listed})
    for start in range(0, len(content), _CHUNK):
        await send({"type": "http.response.body", "body": content[start : start + _CHUNK], "more_body": True})
        if start and start % _TURN == 0:
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def new_token() -> str:
    """Return a token nobody can guess (256 bits)."""
    return secrets.token_urlsafe(32)
