"""Backends that execute operations on a server: one for threads, one for an event loop.

What an operation asks of a server is said in `chroma_nb.http.asking`, how requests travel in `chroma_nb.http.transport`; here they
are sent, repeated when that is safe, and their failures named. The two backends differ in how they wait, and in nothing else.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias, TypeVar
from urllib.parse import urlencode

from chroma_nb import stopping
from chroma_nb.errors import (
    ChromaError,
    ClosedError,
    InvalidArgumentError,
    InvalidTypeError,
    ServerReplyError,
    ServerTimeoutError,
    ServerUnreachableError,
)
from chroma_nb.http.address import Address
from chroma_nb.http.asking import steps
from chroma_nb.http.message import SERVER_HEADER, Reply
from chroma_nb.http.replies import json_of, shown
from chroma_nb.http.session import Answer, Ask, Session, Steps
from chroma_nb.ops import Op
from chroma_nb.optional import need
from chroma_nb.stepping import arun, run
from chroma_nb.uncopied import Uncopied

R = TypeVar("R")
DEFAULT_TIMEOUT: Final = 60.0
_PATIENCE: Final = 3600.0
_PAUSES: Final = (0.05, 0.25)
"""Seconds before the second and the third attempt."""
_PASSING: Final = frozenset({502, 503, 504})

Outcome: TypeAlias = "Reply | ChromaError"


class _Remote(Uncopied):
    """What both backends share: an address, what is known of the server, and how a request and its outcome are read."""

    def __init__(self, url: str | Address, headers: Mapping[str, str] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._httpcore = need("httpcore", "talking to a server")
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= threading.TIMEOUT_MAX:
            raise InvalidArgumentError(f"timeout: expected seconds, a number above 0, got {str(timeout)[:40]!r}")
        from chroma_nb.http import transport

        self._transport = transport
        self._address = url if isinstance(url, Address) else Address.of(url, headers=headers)
        self._target = transport.Target(self._address)
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

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: it has connections, and the token would be written down."""
        raise InvalidTypeError(f"the client of {self.place} cannot be pickled or copied; make a new one where it is needed")

    def _steps(self, op: Op[R]) -> Steps[R]:
        if self._closed:
            raise self._closed_error()
        return steps(self._session, op)

    def _closed_error(self, during: str = "") -> ClosedError:
        return ClosedError(f"the client of {self.place} is closed{during}; make a new one")

    def _budget(self, ask: Ask) -> Any:
        return self._transport.Budget(max(self._timeout, _PATIENCE) if ask.patient else self._timeout)

    def _arguments(self, ask: Ask, budget: Any) -> dict[str, Any]:
        """Return the arguments of httpcore's ``stream``."""
        request = ask.request()
        query = f"?{urlencode(request.query)}" if request.query else ""
        return {
            "method": request.method,
            "url": self._target.url(request.path + query),
            "headers": self._target.headers(request.headers),
            "content": request.body if request.body or request.method in ("POST", "PUT") else None,
            "extensions": {"timeout": {"connect": budget, "read": budget, "write": budget, "pool": self._timeout}},
        }

    def _failure(self, error: Exception, ask: Ask) -> ChromaError:
        """Name what kept a reply from coming."""
        httpcore, reason = self._httpcore, str(error) or type(error).__name__
        doubt = "" if ask.repeatable else "; what was to be written may have been written"
        if isinstance(error, ServerReplyError):
            return ServerReplyError(f"{self.place}: {reason}{doubt}")
        if isinstance(error, MemoryError):
            return ServerReplyError(f"{self.place}: the reply needs more memory than there is; ask for less at once{doubt}")
        if self._closed:
            return self._closed_error(f" while a call was under way{doubt}")
        if isinstance(error, httpcore.UnsupportedProtocol | httpcore.LocalProtocolError):  # its text may have a header's value
            return InvalidArgumentError(f"host: {self.place} cannot be asked; are the address and the headers right?")
        if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout | httpcore.PoolTimeout | httpcore.ProxyError):
            return ServerUnreachableError(f"Could not connect to a Chroma server at {self.place} ({reason}); is it running?")
        if isinstance(error, httpcore.TimeoutException):
            cure = f"pass a longer timeout than {self._timeout:g} s to the client, or ask for less at once"
            return ServerTimeoutError(f"{self.place}: no answer in time; {cure}{doubt}")
        broken = ServerUnreachableError(f"{self.place}: the connection broke ({reason}){doubt}")
        broken.sent = True
        if not isinstance(error, httpcore.NetworkError | httpcore.ProtocolError):  # nobody expected it: let it be seen
            broken.__cause__ = error
        return broken

    def _answer(self, outcome: Outcome, ask: Ask) -> Answer:
        if isinstance(outcome, ChromaError):
            raise outcome
        return Answer(json_of(outcome, self.place), outcome.headers, f"{self.place}: {ask.route}")

    def _presentable(self, error: ChromaError) -> ChromaError:
        """Return an error fit to be shown: what a server says may be long, steer a terminal, or repeat the token."""
        said = str(error)
        for secret in self._address.secrets:
            said = said.replace(secret, "***")
        error.args = (shown(said), *error.args[1:])
        return error


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
        Seconds to wait for a reply; one that is long may take longer to arrive. Writes and index builds may take an hour.
    """

    def __init__(self, url: str | Address, headers: Mapping[str, str] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        super().__init__(url, headers, timeout=timeout)
        self._open()

    def _open(self) -> None:
        self._turn = threading.RLock()
        self._asking = 0
        self._lines = self._transport.Lines()
        self._pool = self._target.pool(self._lines)
        self._pid = os.getpid()

    def execute(self, op: Op[R]) -> R:
        """Carry out `op` and return its reply.

        Raises
        ------
        ChromaError
            As the operation says, or the server could not be asked.
        ClosedError
            It was closed, before or meanwhile.
        """
        made = self._steps(op)
        if self._pid != os.getpid():  # a forked child must not read its parent's replies
            self._open()
        try:
            return run(made, self._sent)
        except ChromaError as error:
            raise self._presentable(error)  # noqa: B904 - it is the same one

    def _sent(self, ask: Ask) -> Answer:
        outcome = self._attempt(ask)
        for pause in _PAUSES:
            if not _worth_repeating(ask, outcome):
                break
            time.sleep(pause)
            outcome = self._attempt(ask)
        return self._answer(outcome, ask)

    def _attempt(self, ask: Ask) -> Outcome:
        with stopping.witnessed():
            return self._asked(ask)

    def _asked(self, ask: Ask) -> Outcome:
        with self._turn:
            if self._closed:
                return self._closed_error()
            self._asking += 1
        budget = self._budget(ask)
        try:
            with self._pool.stream(**self._arguments(ask, budget)) as response:
                intake = self._transport.Intake(response, ask.most, budget)
                for chunk in response.iter_stream():
                    intake.take(chunk)
            reply: Reply = intake.reply()
        except Exception as error:  # noqa: BLE001 - whatever the network and its libraries come up with
            return self._failure(error, ask)
        else:
            return reply
        finally:
            with self._turn:
                self._asking -= 1
                self._close_unused()

    def _close_unused(self) -> None:
        if self._closed and not self._asking:
            self._pool.close()

    def close(self) -> None:
        """Close the connections; calls under way end in `ClosedError`. Safe to call twice, and from any thread."""
        if self._pid != os.getpid():  # the connections are the parent's
            self._closed = True
            return
        with self._turn:
            if not self._closed:
                self._closed = True
                self._lines.cut()
                self._close_unused()


class AsyncHttpBackend(_Remote):
    """`HttpBackend` for an event loop; it belongs to the loop it is first used on."""

    def __init__(self, url: str | Address, headers: Mapping[str, str] | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        super().__init__(url, headers, timeout=timeout)
        self._lines = self._transport.AsyncLines()
        self._pool = self._target.apool(self._lines)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _is_at_home(self) -> bool:
        """Tell whether the running loop is the one the connections belong to, which the first to ask is."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another library's loop
            return self._loop is None
        if self._loop is None:
            self._loop = loop
        return loop is self._loop

    async def execute(self, op: Op[R]) -> R:
        """Carry out `op` and return its reply; raises as `HttpBackend.execute` does.

        Raises
        ------
        ClosedError
            It was closed, before or meanwhile; or was used before on another event loop, or before a fork.
        """
        made = self._steps(op)
        if not self._is_at_home():
            raise ClosedError(
                f"the client of {self.place} belongs to another event loop, the one it was first used on; make one in each loop,"
                " with await AsyncHttpClient(...)"
            )
        try:
            return await arun(made, self._sent)
        except ChromaError as error:
            raise self._presentable(error)  # noqa: B904 - it is the same one

    async def _sent(self, ask: Ask) -> Answer:
        outcome = await self._attempt(ask)
        for pause in _PAUSES:
            if not _worth_repeating(ask, outcome):
                break
            await asyncio.sleep(pause)
            outcome = await self._attempt(ask)
        return self._answer(outcome, ask)

    async def _attempt(self, ask: Ask) -> Outcome:
        if self._closed:
            return self._closed_error()
        budget = self._budget(ask)
        try:
            async with self._pool.stream(**self._arguments(ask, budget)) as response:
                intake = self._transport.Intake(response, ask.most, budget)
                async for chunk in response.aiter_stream():
                    intake.take(chunk)
            reply: Reply = intake.reply()
        except Exception as error:  # noqa: BLE001 - whatever the network and its libraries come up with
            return self._failure(error, ask)
        else:
            return reply

    async def close(self) -> None:
        """Close the connections; calls under way end in `ClosedError`. Safe to call twice, and from another loop."""
        if self._closed:
            return
        self._closed = True
        if self._is_at_home():
            await self._end()
        elif self._loop is not None and self._loop.is_running():
            # Only waited for: its loop may end before it does, now that its calls end.
            await asyncio.wait([asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), self._loop))])

    async def _end(self) -> None:
        await self._lines.cut()
        await self._pool.aclose()
