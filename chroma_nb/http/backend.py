"""Backends that execute operations on a server: one for threads, one for an event loop.

What an operation asks of a server is said in `chroma_nb.http.asking`; here requests are sent, repeated when that is safe,
and their failures named. The two backends differ in how they wait, and in nothing else.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeVar

from chroma_nb.errors import ChromaError, ClosedError, InvalidArgumentError, ServerReplyError, ServerTimeoutError, ServerUnreachableError
from chroma_nb.http.address import Address
from chroma_nb.http.asking import steps
from chroma_nb.http.decoding import json_of
from chroma_nb.http.message import SERVER_HEADER, Reply
from chroma_nb.http.session import Answer, Ask, Session, Steps
from chroma_nb.ops import Op
from chroma_nb.optional import need
from chroma_nb.stepping import arun, run

R = TypeVar("R")
DEFAULT_TIMEOUT: Final = 60.0
_PATIENCE: Final = 3600.0
_CONNECTING: Final = 10.0
_PAUSES: Final = (0.05, 0.25)
"""Seconds before the second and the third attempt."""
_PASSING: Final = frozenset({502, 503, 504})

Outcome: TypeAlias = "Reply | ChromaError"


class _Remote:
    """What both backends share: an address, what is known of the server, and how a request and its outcome are read."""

    def __init__(self, url: str | Address, headers: Mapping[str, str] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._httpx = need("httpx", "talking to a server")
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise InvalidArgumentError(f"timeout: expected seconds, a number above 0, got {str(timeout)[:40]!r}")
        self._address = url if isinstance(url, Address) else Address.of(url, headers=headers)
        self._timeout = float(timeout)
        self._session = Session()
        self._closed = False

    @property
    def place(self) -> str:
        """The server's address, without anything secret."""
        return self._address.url

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def __repr__(self) -> str:
        """Return the address."""
        return f"{type(self).__name__}({self.place!r})"

    def _steps(self, op: Op[R]) -> Steps[R]:
        if self._closed:
            raise ClosedError(f"the client of {self.place} is closed; make a new one")
        return steps(self._session, op)

    def _client_options(self) -> dict[str, Any]:
        httpx = self._httpx
        return {
            "headers": dict(self._address.headers),
            "timeout": httpx.Timeout(self._timeout, connect=min(self._timeout, _CONNECTING)),
            "limits": httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0),
            "trust_env": not self._address.is_near,
        }

    def _arguments(self, ask: Ask) -> dict[str, Any]:
        """Return the arguments of httpx's ``request``."""
        request = ask.request()
        given: dict[str, Any] = {"method": request.method, "url": self._address.url + request.path, "headers": dict(request.headers)}
        if request.query:
            given["params"] = dict(request.query)
        if request.body:
            given["content"] = request.body
        if ask.patient:
            given["timeout"] = self._httpx.Timeout(max(self._timeout, _PATIENCE), connect=min(self._timeout, _CONNECTING))
        return given

    def _reply(self, response: Any) -> Reply:
        return Reply(response.status_code, response.content, {name.lower(): value for name, value in response.headers.items()})

    def _failure(self, error: Exception, ask: Ask) -> ChromaError:
        """Name what kept a reply from coming."""
        httpx, reason = self._httpx, str(error) or type(error).__name__
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
            return ServerUnreachableError(f"Could not connect to a Chroma server at {self.place} ({reason}); is it running?")
        doubt = "" if ask.repeatable else "; what was to be written may have been written"
        if isinstance(error, httpx.TimeoutException):
            cure = f"pass a longer timeout than {self._timeout:g} s to the client, or ask for less at once"
            return ServerTimeoutError(f"{self.place}: no answer in time; {cure}{doubt}")
        if isinstance(error, httpx.DecodingError):
            return ServerReplyError(f"{self.place}: the reply cannot be decompressed ({reason})")
        if isinstance(error, httpx.TransportError):
            broken = ServerUnreachableError(f"{self.place}: the connection broke ({reason}){doubt}")
            broken.sent = True
            return broken
        return InvalidArgumentError(f"host: {self.place} cannot be asked ({reason})")

    def _answer(self, outcome: Outcome) -> Answer:
        if isinstance(outcome, ChromaError):
            raise outcome
        return Answer(json_of(outcome, self.place), outcome.headers)


def _worth_repeating(ask: Ask, outcome: Outcome) -> bool:
    """Tell whether the next attempt may go better and can do no harm."""
    if isinstance(outcome, Reply):
        # What took our server too long once would do so again; what a proxy says may pass.
        return ask.repeatable and outcome.status in _PASSING and not (outcome.status == 504 and SERVER_HEADER in outcome.headers)
    if isinstance(outcome, ServerTimeoutError) or not isinstance(outcome, ServerUnreachableError):
        return False
    return ask.repeatable or not outcome.sent


class HttpBackend(_Remote):
    """Executes operations on a server; any number of threads may use it at once, over connections that are kept.

    Parameters
    ----------
    url
        The server's address.
    headers
        What to send with every request, such as a token; never shown.
    timeout
        Seconds to wait for a reply. Writes and index builds may take an hour.
    """

    def __init__(self, url: str | Address, headers: Mapping[str, str] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        super().__init__(url, headers, timeout=timeout)
        self._open()

    def _open(self) -> None:
        self._client = self._httpx.Client(**self._client_options())
        self._pid = os.getpid()

    def execute(self, op: Op[R]) -> R:
        """Carry out `op` and return its reply.

        Raises
        ------
        ChromaError
            As the operation says, or the server could not be asked.
        """
        made = self._steps(op)
        if self._pid != os.getpid():  # a forked child must not read its parent's replies
            self._open()
        return run(made, self._sent)

    def _sent(self, ask: Ask) -> Answer:
        outcome = self._attempt(ask)
        for pause in _PAUSES:
            if not _worth_repeating(ask, outcome):
                break
            time.sleep(pause)
            outcome = self._attempt(ask)
        return self._answer(outcome)

    def _attempt(self, ask: Ask) -> Outcome:
        try:
            return self._reply(self._client.request(**self._arguments(ask)))
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            return self._failure(error, ask)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._client.close()


class AsyncHttpBackend(_Remote):
    """`HttpBackend` for an event loop; it belongs to the loop it is first used on."""

    def __init__(self, url: str | Address, headers: Mapping[str, str] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        super().__init__(url, headers, timeout=timeout)
        self._client = self._httpx.AsyncClient(**self._client_options())

    async def execute(self, op: Op[R]) -> R:
        """Carry out `op` and return its reply; raises as `HttpBackend.execute` does."""
        return await arun(self._steps(op), self._sent)

    async def _sent(self, ask: Ask) -> Answer:
        outcome = await self._attempt(ask)
        for pause in _PAUSES:
            if not _worth_repeating(ask, outcome):
                break
            await asyncio.sleep(pause)
            outcome = await self._attempt(ask)
        return self._answer(outcome)

    async def _attempt(self, ask: Ask) -> Outcome:
        try:
            return self._reply(await self._client.request(**self._arguments(ask)))
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            return self._failure(error, ask)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        if not self._closed:
            self._closed = True
            await self._client.aclose()
