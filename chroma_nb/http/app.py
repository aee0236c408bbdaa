"""The API as an ASGI application: what stands between a socket and `chroma_nb.http.serving.answer`.

Lives here: who is let in (host, origin, token), what a request may bring (content type, size, time), and what
happens to it then: read (`chroma_nb.http.receiving`), carried out in a thread when it is its turn (`chroma_nb.http.lanes`), replied to
(`chroma_nb.http.sending`). Must not live here: what a request means. Called by the server's connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from chroma_nb import stopping
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.bodies import weight
from chroma_nb.http.budget import Budget
from chroma_nb.http.call import Service
from chroma_nb.http.lanes import LANE_OF, BusyError, Lane, LaneName, StoppingError
from chroma_nb.http.message import SERVER_HEADER, Reply, Request, parse_query
from chroma_nb.http.openapi import document, page
from chroma_nb.http.receiving import Body, BodyTooLargeError, BodyTooSlowError, GoneError, NoRoomError
from chroma_nb.http.routes import resolve
from chroma_nb.http.sending import LeftError, compressed, sent
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
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]\\]+)(:[0-9]{1,5})?")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}")
_TOKEN = re.compile(r"[!-~]+")
_HEADERS = 100
_WRITERS = 2
_LOAD = 2 << 30
"""Bytes that the bodies in one lane may become while they are carried out; most become a small part of what is reckoned with."""
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
    waiting
        Requests that may wait while others are carried out; light ones do not wait for heavy ones.
    unread
        Bytes of replies that may lie unread by slow clients; beyond it those who take nothing for two seconds are cut off.
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
    waiting: int = 256
    unread: int = 64 << 20
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
        self._lanes: dict[LaneName, Lane] = {
            "instant": Lane("instant", 2, 512, load=_LOAD, unread=gate.unread // 4),
            "light": Lane("light", threads, 512, load=_LOAD, unread=gate.unread // 4),
            "heavy": Lane("request", threads, gate.waiting, load=_LOAD, unread=gate.unread),
            "long": Lane("long", 2, gate.waiting, load=_LOAD, unread=gate.unread // 4),
        }
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="chroma_nb reply")
        self._bodies = Budget(4 * gate.body)
        self._finishing = False
        self._under_way = 0
        self._usual = sys.getswitchinterval()

    def finish(self) -> None:
        """Let work that is under way end, also when its client is cut off: the server stops, the client did not leave."""
        self._finishing = True

    def close(self, seconds: float | None = None) -> bool:
        """Take no more requests, and wait until running ones have ended, at most `seconds`; tell whether they have."""
        running = [future for lane in self._lanes.values() for future in lane.running]
        for lane in self._lanes.values():
            lane.close()
        self._writers.shutdown(wait=False, cancel_futures=True)
        return not wait(running, seconds).not_done

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
        client = _Client(scope)
        # Every GET has its HEAD: the same headers without a body, which the connection leaves out.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        lane = self._lane(method, _path(scope))
        brought = self._bodies.hold(0, client.cut_off)
        body = Body(receive, headers, self._gate.body, self._gate.seconds, brought, self._bodies)
        try:
            reply = await self._answered(method, scope, headers, body, client, lane)
        except TurnedAwayError as turned_away:
            reply = turned_away.reply
            if reply.status != 408:
                await body.drain()
        except GoneError:
            return
        except Exception:  # noqa: BLE001 - logged; the client is told so much and no more
            _LOG.exception("unexpected error in %s %s", scope["method"], _path(scope)[:200])
            reply = _internal_error()
        finally:
            brought.release()
        extra = self._cors(headers.get("origin"))
        if not body.is_complete:
            extra["connection"] = "close"
        unread = lane.hold(max(len(reply.body), reply.size), client.cut_off)
        try:
            await sent(send, reply, extra, unread, client.has_left, self._writers)
        except LeftError:
            await client.hang_up()
        except Exception:  # noqa: BLE001 - logged
            # Half of a reply is out: all that is left to say is that it does not end well.
            _LOG.exception("unexpected error in the reply to %s %s", scope["method"], _path(scope)[:200])
            await client.hang_up()
        finally:
            unread.release()

    def _lane(self, method: str, path: str) -> Lane:
        found = resolve(method, path)
        return self._lanes["instant" if isinstance(found, set) else LANE_OF.get(found.route.name, "heavy")]

    async def _answered(
        self, method: str, scope: Mapping[str, Any], headers: Mapping[str, str], body: Body, client: _Client, lane: Lane
    ) -> Reply:
        path = _path(scope)
        self._check_host(headers)
        self._check_origin(headers)
        if len(scope["headers"]) > _HEADERS:
            raise TurnedAwayError(431, "TooManyHeaders", f"{len(scope['headers'])} headers; this server reads {_HEADERS}")
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
        try:
            request = Request(method, path, parse_query(scope.get("query_string", b"")), headers, content)
        except InvalidArgumentError as error:
            raise TurnedAwayError(error.status, error.code, str(error)) from None
        compress = self._compresses(scope, headers)
        limit = None if lane is self._lanes["long"] else self._service.limits.seconds
        try:
            work = partial(self._worked, request, client, limit, compress=compress)
            size = len(content) + weight(len(content))
            return await lane.carry_out(work, weight=size, seconds=limit, gone=client.has_left)
        except BusyError:
            message = "this server has too many requests to carry out; try again later"
            raise TurnedAwayError(503, "Unavailable", message, {"retry-after": "1"}) from None
        except StoppingError:
            raise TurnedAwayError(503, "Unavailable", "this server is stopping") from None

    async def _read(self, body: Body) -> bytes:
        try:
            return await body.read()
        except BodyTooLargeError:
            message = f"body: larger than {self._gate.body / (1 << 20):g} MiB; send fewer records at once"
            raise TurnedAwayError(413, "BatchSizeExceededError", message) from None
        except BodyTooSlowError:
            message = f"the body took longer than {self._gate.seconds:g} s, plus a second per 128 KiB, to arrive"
            raise TurnedAwayError(408, "RequestTimeout", message) from None
        except NoRoomError:
            message = "this server is reading too many large requests; try again later"
            raise TurnedAwayError(503, "Unavailable", message, {"retry-after": "1"}) from None

    def _worked(self, request: Request, client: _Client, seconds: float | None, *, compress: bool) -> Reply:
        """Carry a request out, in a thread; whatever happens, there is a reply."""
        try:
            with stopping.limited(seconds, gone=lambda: client.has_left() and not self._finishing):
                reply = answer(self._service, request)
                return compressed(reply) if compress else reply
        except MemoryError:
            return refusal(413, {"error": "InternalError", "message": "the request needs more memory than there is; ask for less at once"})
        except Exception:  # noqa: BLE001 - as above
            _LOG.exception("unexpected error in %s %s", request.method, request.path[:200])
            return _internal_error()

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
    repeated: dict[str, list[str]] = {}
    for name, value in listed:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in headers:
            repeated.setdefault(key, [headers[key]]).append(text)
        else:
            headers[key] = text
    return headers | {key: ", ".join(texts) for key, texts in repeated.items()}


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


class _Client:
    """The other end of a request's connection, if the ASGI server lets it be seen."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        transport: asyncio.Transport | None = scope.get("state", {}).get("transport")
        self.has_left: Callable[[], bool] = bool if transport is None else transport.is_closing
        """Whether its connection is closed or about to be; may be asked from any thread."""
        self.cut_off: Callable[[], None] = (lambda: None) if transport is None else transport.abort

    async def hang_up(self) -> None:
        """Cut the client off, and let its connection take note."""
        self.cut_off()
        await asyncio.sleep(0)


def new_token() -> str:
    """Return a token nobody can guess (256 bits)."""
    return secrets.token_urlsafe(32)
