"""The API as an ASGI application: what stands between a socket and `chroma_nb.http.serving.answer`.

Here requests are let in or turned away (host, origin, token, content type, size, time), bodies are read and, when they ask
for it, replies compressed. The work itself runs in a few threads, so that the loop always answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hmac
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chroma_nb.http.call import Service
from chroma_nb.http.message import Reply, Request
from chroma_nb.http.openapi import document, page
from chroma_nb.http.serving import answer, refusal

_OPEN = frozenset({"/api/v1", "/api/v2", "/api/v1/heartbeat", "/api/v2/heartbeat", "/api/v2/healthcheck"})
"""Paths that tell no more than that a server is there: answered without a token, as Chroma's servers did."""
_CHUNK = 1 << 16
_COMPRESSED_FROM = 1 << 12
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True)
class Gate:
    """Who may come in, and with how much.

    Parameters
    ----------
    token
        What a client must show as ``Authorization: Bearer`` or ``X-Chroma-Token``; None lets everyone in.
    hosts
        Names a ``Host`` header may carry, without port; what a web page of another name sends (DNS rebinding) is refused.
    origins
        Origins of web pages that may call; none by default.
    body
        Largest body in bytes.
    seconds
        Longest time for a request to arrive.
    compress
        Compress large replies to clients on this machine too, not only to others.
    """

    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = _LOOPBACK
    origins: tuple[str, ...] = ()
    body: int = 256 << 20
    seconds: float = 60.0
    compress: bool = False


class TurnedAwayError(Exception):
    """A request that does not reach the API."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = refusal(status, {"error": code, "message": message})


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

    def close(self) -> None:
        """Let running requests end and take no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = _Body(receive, self._gate)
        try:
            reply = await self._answered(scope, headers, body)
        except TurnedAwayError as turned_away:
            reply = turned_away.reply
            await body.drain()
        except asyncio.TimeoutError:
            reply = refusal(
                408, {"error": "RequestTimeout", "message": f"the request took longer than {self._gate.seconds:.0f} s to arrive"}
            )
        # On one machine compressing takes longer than sending.
        near = (scope.get("client") or ("127.0.0.1", 0))[0] in _LOOPBACK
        await _sent(send, reply, headers, compress=not near or self._gate.compress)

    async def _answered(self, scope: Mapping[str, Any], headers: Mapping[str, str], body: _Body) -> Reply:
        path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        method = scope["method"]
        self._check_host(headers)
        self._check_origin(headers)
        if method == "OPTIONS":
            return self._preflight(headers)
        if path not in _OPEN:
            self._check_token(headers)
        if method == "GET" and path == "/openapi.json":
            return Reply(200, document(), {"content-type": "application/json"})
        if method == "GET" and path in ("/docs", "/"):
            return Reply(200, page(), {"content-type": "text/html; charset=utf-8", **_PAGE})
        self._check_type(method, headers)
        content = await asyncio.wait_for(body.read(headers), self._gate.seconds)
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        request = Request(method, path, query, headers, content)
        reply = await asyncio.get_running_loop().run_in_executor(self._threads, _safely, self._service, request)
        origin = headers.get("origin")
        return Reply(reply.status, reply.body, {**reply.headers, **self._cors(origin)}) if origin else reply

    def _check_host(self, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        if "*" not in self._gate.hosts and name.lower() not in self._gate.hosts:
            raise TurnedAwayError(
                421, "MisdirectedRequest", f"this server does not answer for the host {host[:100]!r}; start it with that --host-name"
            )

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None or origin in self._gate.origins or "*" in self._gate.origins:
            return
        if urlsplit(origin).netloc == headers.get("host") and urlsplit(origin).scheme in ("http", "https"):
            return
        raise TurnedAwayError(
            403, "Forbidden", f"requests from web pages of {origin[:100]!r} are not allowed; start the server with that --allow-origin"
        )

    def _check_token(self, headers: Mapping[str, str]) -> None:
        if self._gate.token is None:
            return
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        shown = [headers.get("x-chroma-token", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
        # Every comparison is made, each in constant time, so that the answer's delay tells nothing.
        if not sum(hmac.compare_digest(each.encode(), self._gate.token.encode()) for each in shown):
            raise TurnedAwayError(401, "AuthError", "send the server's token as 'Authorization: Bearer TOKEN' or 'X-Chroma-Token: TOKEN'")

    @staticmethod
    def _check_type(method: str, headers: Mapping[str, str]) -> None:
        # A page may send text/plain and forms to foreign hosts unasked, JSON not. No type at all is how Python clients up to 0.6 send JSON.
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method in ("POST", "PUT", "PATCH") and given not in ("", "application/json"):
            raise TurnedAwayError(415, "UnsupportedMediaType", f"content-type {given[:60]!r}: expected application/json")

    def _preflight(self, headers: Mapping[str, str]) -> Reply:
        allowed = {
            **self._cors(headers.get("origin")),
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
            "access-control-allow-headers": "authorization, content-type, x-chroma-token",
            "access-control-max-age": "600",
        }
        return (
            Reply(200, b"", allowed)
            if self._gate.origins
            else refusal(405, {"error": "MethodNotAllowed", "message": "no page may call this server"})
        )

    def _cors(self, origin: str | None) -> dict[str, str]:
        if origin is None or not (origin in self._gate.origins or "*" in self._gate.origins):
            return {}
        return {"access-control-allow-origin": origin, "vary": "Origin"}


_PAGE = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def _safely(service: Service, request: Request) -> Reply:
    try:
        return answer(service, request)
    except MemoryError:
        return refusal(413, {"error": "InternalError", "message": "the request needs more memory than there is; ask for less at once"})


class _Body:
    """A request's body, read once and never beyond the limit."""

    def __init__(self, receive: Any, gate: Gate) -> None:
        self._receive = receive
        self._limit = gate.body
        self._more = True

    async def _parts(self) -> AsyncIterator[bytes]:
        while self._more:
            message = await self._receive()
            self._more = message["type"] == "http.request" and message.get("more_body", False)
            yield message.get("body", b"")

    async def read(self, headers: Mapping[str, str]) -> bytes:
        """Return the whole body.

        Raises
        ------
        TurnedAwayError
            It is larger than allowed, or compressed.
        """
        if headers.get("content-encoding", "identity") != "identity":
            raise TurnedAwayError(415, "UnsupportedMediaType", "content-encoding: send the body as it is")
        said = headers.get("content-length", "0")
        if said.isdecimal() and int(said) > self._limit:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        async for part in self._parts():
            parts.append(part)
            size += len(part)
            if size > self._limit:
                raise self._too_large()
        return b"".join(parts)

    def _too_large(self) -> TurnedAwayError:
        return TurnedAwayError(413, "BatchSizeExceededError", f"body: larger than {self._limit >> 20} MiB; send fewer records at once")

    async def drain(self) -> None:
        """Read on for a while, so that a client that is still sending gets to see the reply."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._discard(), 2.0)

    async def _discard(self) -> None:
        async for _ in self._parts():
            pass


async def _sent(send: Any, reply: Reply, headers: Mapping[str, str], *, compress: bool) -> None:
    content, extra = reply.body, dict(reply.headers)
    if compress and len(content) >= _COMPRESSED_FROM and "gzip" in headers.get("accept-encoding", ""):
        content = await asyncio.to_thread(gzip.compress, content, 1)
        extra |= {"content-encoding": "gzip", "vary": "Accept-Encoding"}
    extra["content-length"] = str(len(content))
    listed: Iterable[tuple[bytes, bytes]] = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": listed})
    for start in range(0, len(content), _CHUNK):
        await send({"type": "http.response.body", "body": content[start : start + _CHUNK], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def new_token() -> str:
    """Return a token nobody can guess (256 bits)."""
    return secrets.token_urlsafe(32)
