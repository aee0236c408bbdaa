"""How a client's requests get to a server, and its replies back: connections, how long they may take, and how much is read.

Whatever is at the other end, each request ends: after a time that a `Budget` counts, and after as many bytes as an `Intake` takes,
compressed or not. Nothing is followed (redirects) or kept (cookies). What a reply means is read in `chroma_nb.http.decoding`;
`chroma_nb.http.backend` sends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import weakref
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from chroma_nb.errors import InvalidArgumentError, ServerReplyError
from chroma_nb.http.address import Address
from chroma_nb.http.message import Reply
from chroma_nb.optional import need

CONNECTING: Final = 10.0
_SLOWEST: Final = 16 << 10
"""Bytes per second; a body that moves more slowly has hardly longer than its `Budget` began with."""
_BUFFERED: Final = 8
"""How many bytes that were sent count as one: the first millions only move to buffers of this machine."""
_AT_ONCE: Final = 256 << 10
_CODINGS: Final = {"": None, "identity": None, "gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16}
"""Content coding -> zlib's name for it. Only gzip is asked for: what the others expand to cannot be bounded while they are read."""
_PROXIES: Final = ("http", "https", "socks5", "socks5h")
_LARGEST_REFUSAL: Final = 1 << 20


class Budget:
    """The time one request has: some seconds, and more for every byte of a body, so that a long reply may come but no drip.

    It goes to httpcore in the place of its time limits, which begin anew with each byte. Heads, of which a server may send any
    number, earn nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._start: float | None = None

    def spend(self, late: type[Exception]) -> float:
        """Return the seconds left, of which the first call has all; raise `late` when there are none."""
        now = time.monotonic()
        if self._start is None:  # until now the request waited for a connection
            self._start = now
        left = self._start + self._seconds - now
        if left <= 0:
            raise late("out of time")
        return left

    def earn(self, size: int) -> None:
        """Count bytes of a body, on the wire."""
        self._seconds += size / _SLOWEST


def _seconds(budget: Budget | float | None, late: type[Exception]) -> float:
    if isinstance(budget, Budget):
        return budget.spend(late)
    return CONNECTING if budget is None else budget  # httpcore greets a SOCKS proxy without any limit


def _pieces(data: bytes) -> Iterable[bytes]:
    return [data] if len(data) <= _AT_ONCE else (data[start : start + _AT_ONCE] for start in range(0, len(data), _AT_ONCE))


class _Line(httpcore.NetworkStream):
    """A connection of `Lines`."""

    def __init__(self, stream: httpcore.NetworkStream, lines: Lines) -> None:
        self._stream = stream
        self._lines = lines

    def read(self, max_bytes: int, timeout: Budget | float | None = None) -> bytes:
        return self._stream.read(max_bytes, _seconds(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: Budget | float | None = None) -> None:
        for piece in _pieces(buffer):
            self._stream.write(piece, _seconds(timeout, httpcore.WriteTimeout))
            if isinstance(timeout, Budget):
                timeout.earn(len(piece) // _BUFFERED)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Budget | float | None = None
    ) -> httpcore.NetworkStream:
        seconds = min(_seconds(timeout, httpcore.ConnectTimeout), CONNECTING)
        return self._lines.kept(_Line(self._stream.start_tls(ssl_context, server_hostname, seconds), self._lines))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def cut(self) -> None:
        """End it for a thread that waits on it; that thread closes it. Closing it here would let another file have its number."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)


class Lines(httpcore.NetworkBackend):
    """Opens connections for threads, and ends all of them at once."""

    def __init__(self) -> None:
        self._opener = httpcore.SyncBackend()
        self._turn = threading.RLock()
        self._open: weakref.WeakSet[_Line] = weakref.WeakSet()
        self._is_cut = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Budget | float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Open one."""
        seconds = min(_seconds(timeout, httpcore.ConnectTimeout), CONNECTING)
        return self.kept(_Line(self._opener.connect_tcp(host, port, seconds, local_address, socket_options), self))

    def kept(self, line: _Line) -> _Line:
        """Return the connection, noted among those to be cut."""
        with self._turn:
            self._open.add(line)
            if self._is_cut:
                line.cut()
        return line

    def cut(self) -> None:
        """End all connections, and those yet to be opened."""
        with self._turn:
            self._is_cut = True
            for line in list(self._open):
                line.cut()


class _AsyncLine(httpcore.AsyncNetworkStream):
    """A connection of `AsyncLines`."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, lines: AsyncLines) -> None:
        self._stream = stream
        self._lines = lines

    async def read(self, max_bytes: int, timeout: Budget | float | None = None) -> bytes:
        return await self._stream.read(max_bytes, _seconds(timeout, httpcore.ReadTimeout))

    async def write(self, buffer: bytes, timeout: Budget | float | None = None) -> None:
        for piece in _pieces(buffer):
            await self._stream.write(piece, _seconds(timeout, httpcore.WriteTimeout))
            if isinstance(timeout, Budget):
                timeout.earn(len(piece) // _BUFFERED)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Budget | float | None = None
    ) -> httpcore.AsyncNetworkStream:
        seconds = min(_seconds(timeout, httpcore.ConnectTimeout), CONNECTING)
        return await self._lines.kept(_AsyncLine(await self._stream.start_tls(ssl_context, server_hostname, seconds), self._lines))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncLines(httpcore.AsyncNetworkBackend):
    """`Lines` for an event loop."""

    def __init__(self) -> None:
        self._opener = httpcore.AnyIOBackend()
        self._open: weakref.WeakSet[_AsyncLine] = weakref.WeakSet()
        self._is_cut = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Budget | float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open one."""
        seconds = min(_seconds(timeout, httpcore.ConnectTimeout), CONNECTING)
        return await self.kept(_AsyncLine(await self._opener.connect_tcp(host, port, seconds, local_address, socket_options), self))

    async def kept(self, line: _AsyncLine) -> _AsyncLine:
        """Return the connection, noted among those to be cut."""
        self._open.add(line)
        if self._is_cut:
            await line.aclose()
        return line

    async def cut(self) -> None:
        """End all connections, and those yet to be opened."""
        self._is_cut = True
        for line in list(self._open):
            await line.aclose()


class Target:
    """Where requests are sent to: a server's address in the terms of httpcore.

    Raises
    ------
    InvalidArgumentError
        The name of the machine, or the proxy that the environment names, is none.
    """

    def __init__(self, address: Address) -> None:
        parts = urlsplit(address.url)
        name = parts.hostname or ""
        try:
            self._host = name.encode("idna").decode()
        except UnicodeError:
            raise InvalidArgumentError(f"host: {name[:80]!r} is not the name of a machine") from None
        self._scheme, self._port, self._path = parts.scheme, parts.port, parts.path
        named = f"[{self._host}]" if ":" in self._host else self._host
        usual = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
        self._headers = {"host": named if usual else f"{named}:{parts.port}", **address.headers, "accept-encoding": "gzip"}
        self._proxy = None if address.is_near else _proxy(parts.scheme, f"{named}:{parts.port}" if parts.port else named)

    def pool(self, lines: Lines) -> httpcore.ConnectionPool:
        """Return connections for threads."""
        if self._proxy is None:
            return httpcore.ConnectionPool(network_backend=lines, **self._options())
        kind = httpcore.SOCKSProxy if self._proxy["proxy_url"].startswith("socks") else httpcore.HTTPProxy
        return kind(network_backend=lines, **self._proxy, **self._options())

    def apool(self, lines: AsyncLines) -> httpcore.AsyncConnectionPool:
        """Return connections for an event loop."""
        if self._proxy is None:
            return httpcore.AsyncConnectionPool(network_backend=lines, **self._options())
        kind = httpcore.AsyncSOCKSProxy if self._proxy["proxy_url"].startswith("socks") else httpcore.AsyncHTTPProxy
        return kind(network_backend=lines, **self._proxy, **self._options())

    def _options(self) -> dict[str, Any]:
        trusted = need("httpx", "talking to a server over https").create_ssl_context() if self._scheme == "https" else None
        return {"ssl_context": trusted, "max_connections": 100, "max_keepalive_connections": 20, "keepalive_expiry": 5.0}

    def url(self, path: str) -> httpcore.URL:
        """Return the URL of a path and query, which are encoded already."""
        return httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=self._path + path)

    def headers(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return all headers of a request; its own ones, in lower case, come before the address's."""
        return {**self._headers, **own}


def _proxy(scheme: str, host: str) -> dict[str, Any] | None:
    """Return what httpcore wants to know of the proxy that the environment names for `host`, None for none."""
    known = getproxies()
    url = known.get(scheme) or known.get("all")
    if not url or proxy_bypass(host):
        return None
    parts = _parts_of(url)
    if parts is None:
        raise InvalidArgumentError(f"host: the environment names a proxy for {scheme}, but not with a URL such as http://proxy:3128")
    if parts.scheme.startswith("socks"):
        need("socksio", "talking to a server through a SOCKS proxy")
    login = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return {"proxy_url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", "proxy_auth": login}


def _parts_of(url: str) -> SplitResult | None:
    """Return the parts of a proxy's URL, None if it is none."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        is_one = parts.scheme in _PROXIES and bool(parts.hostname) and parts.netloc.isascii() and parts.port != 0
    except ValueError:
        return None
    return parts if is_one else None


class _Head(Protocol):
    status: int
    headers: list[tuple[bytes, bytes]]


class Intake:
    """Takes a reply's body in, up to `most` bytes on the wire and in memory; of a refusal less.

    Raises
    ------
    ServerReplyError
        It is longer, or compressed in a way that was not asked for, or its compression is damaged.
    """

    def __init__(self, head: _Head, most: int, budget: Budget) -> None:
        self._budget = budget
        self._status = head.status
        self._headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}
        self._most = most if head.status < 300 else min(most, _LARGEST_REFUSAL)
        self._came = 0
        self._body = bytearray()
        coding = self._headers.get("content-encoding", "").strip().lower()
        if coding not in _CODINGS:
            raise ServerReplyError(f"the reply is compressed as {coding[:40]!r}, which was not asked for")
        bits = _CODINGS[coding]
        self._inflating = None if bits is None else zlib.decompressobj(bits)

    def take(self, chunk: bytes) -> None:
        """Take what came next."""
        self._came += len(chunk)
        self._budget.earn(len(chunk))
        if self._inflating is not None:
            try:
                chunk = self._inflating.decompress(chunk, self._most + 1 - len(self._body))
            except zlib.error as error:
                raise ServerReplyError(f"the reply cannot be decompressed ({error})") from None
        self._body += chunk
        if len(self._body) > self._most or self._came > self._most:
            raise ServerReplyError(
                f"the reply is larger than the {self._most:,} bytes that are read; ask for less at once (limit, include)"
            )

    def reply(self) -> Reply:
        """Return the reply, which is whole."""
        if self._inflating is not None and self._came and not self._inflating.eof:
            raise ServerReplyError("the reply cannot be decompressed (it ends too early)")
        return Reply(self._status, bytes(self._body), self._headers)
