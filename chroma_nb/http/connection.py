"""One client's connection, watched: what keeps slow, silent and too many clients from holding the server.

uvicorn's HTTP/1.1 protocol has a limit for the pause between two requests and none for anything else. Here every other wait
gets one as well: for the head of a request, for a client to take its reply. A client that closes its connection is noticed while its
request is carried out. Must not live here: what a request means, and the limits of its body (`chroma_nb.http.app`). Made by
`chroma_nb.http.server`, one per connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from chroma_nb.http.wire import dumps
from chroma_nb.optional import need

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

LOG = logging.getLogger("chroma_nb.http.connection")
# What clients do wrong is no news for whoever works in the notebook: it is logged, and shown only where logging is set up.
LOG.addHandler(logging.NullHandler())

HEAD: Final = 1 << 16
"""Bytes of a request's head, or of what stands between two chunks of its body."""
_READ: Final = 1 << 16
_PADDING: Final = 1 << 15
_STEP: Final = 1 << 15
_STILL = 5.0
_ASKED_AFTER = 1.0
_FREED = 16


@dataclass(frozen=True)
class Patience:
    """How long clients may keep the server waiting, in seconds, and how many of them there may be.

    Parameters
    ----------
    head
        For a request's first line and headers to arrive.
    idle
        Between two requests on one connection.
    reader
        For a client to take 64 KiB of its reply.
    connections
        Open at once, at most half of the files that this process may open; beyond it the longest idle one makes room, or one that has
        kept its request or its reply waiting for five seconds.
    stop
        For requests that are under way when the server stops.
    """

    head: float = 15.0
    idle: float = 75.0
    reader: float = 60.0
    connections: int = 512
    stop: float = 2.0

    def within_files(self) -> Patience:
        """Return the same with no more connections than leave this process files for everything else."""
        try:
            import resource
        except ImportError:  # Windows has no such limit
            return self
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return self if files == resource.RLIM_INFINITY else replace(self, connections=max(min(self.connections, files // 2), 1))


@lru_cache(maxsize=1)
def watched() -> Any:
    """Return the protocol class, made when the first server starts because its base class is an optional package's."""
    need("uvicorn", "serving HTTP")
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Watched(H11Protocol):
        """A connection of a client."""

        def __init__(self, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop, patience: Patience) -> None:
            super().__init__(config, state, {}, loop)
            self.logger = LOG
            self.access_log = False
            self.patience = patience
            self.requests = 0
            self.since = self.loop.time()
            """When its client last brought or took something that counts."""
            self._padding = self._brought = 0
            self._watch: dict[str, asyncio.TimerHandle] = {}

        @property
        def is_idle(self) -> bool:
            """Whether no request is being read, carried out or answered."""
            return self.cycle is None or self.cycle.response_complete

        @property
        def is_kept_waiting(self) -> bool:
            """Whether it is the client's turn, and has been for long, to send more of its request or to take more of its reply."""
            return not self.is_idle and (self.cycle.more_body or self.flow.write_paused) and self.since < self.loop.time() - _STILL

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.app_state["transport"] = transport
            with contextlib.suppress(AttributeError):  # loops of others
                # What is read at once is held at once, by each of the connections.
                transport.max_size = _READ  # type: ignore[attr-defined]
            self._start("head", self.patience.head)
            make_room(self.connections, self.patience.connections, self)

        def connection_lost(self, exc: Exception | None) -> None:
            for name in list(self._watch):
                self._end(name)
            super().connection_lost(exc)
            self.app_state.clear()
            with contextlib.suppress(OSError):
                # Closing alone says nothing to the client while a forked child still holds the socket.
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

        def data_received(self, data: bytes) -> None:
            cycle, before = self.cycle, 0 if self.is_idle else len(self.cycle.body)
            super().data_received(data)
            if self.cycle is not cycle:
                self.since = self.loop.time()
            if self.conn.their_state is not h11.IDLE:
                self._end("head")
            elif "head" not in self._watch and not self.transport.is_closing():
                self._start("head", self.patience.head)
            if not self.is_idle:
                head = 0 if self.cycle is cycle else data.find(b"\r\n\r\n") + 4
                self._weigh(len(data) - head, len(self.cycle.body) - before)

        def _weigh(self, brought: int, body: int) -> None:
            """Refuse a body of chunks so small that taking them apart would keep the server busy, and see to it that an end is noticed."""
            if self.cycle.more_body:
                self._padding += brought - 2 * body
                if self._padding > _PADDING:
                    self._refuse(400, "BadRequest", "the chunks of the body are too small; send larger ones")
                self._brought += body
                if self._brought >= _STEP:
                    self._brought, self.since = 0, self.loop.time()
            elif not self.conn.trailing_data[0]:
                self.flow.resume_reading()

        def eof_received(self) -> bool | None:  # type: ignore[override]
            if self.is_idle or self.cycle.more_body:
                return None
            # The client has said all it wants to say and waits for the answer, or has gone.
            self.cycle.keep_alive = False
            self._start("end", _ASKED_AFTER)
            return True

        def _ask_whether_there(self, seconds: float) -> None:
            """Send what HTTP lets a server say while a client waits: one that has closed its socket breaks the connection at that."""
            if self.conn.our_state is h11.SEND_RESPONSE and not self.cycle.response_started and self.scope["http_version"] == "1.1":
                self.transport.write(self.conn.send(h11.InformationalResponse(status_code=100, headers=[], reason="Continue")))
                self._watch["end"] = self.loop.call_later(seconds, self._ask_whether_there, 2 * seconds)

        def on_response_complete(self) -> None:
            self.requests += 1
            self.since = self.loop.time()
            self._padding = self._brought = 0
            super().on_response_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.since = self.loop.time()
            self._start("reader", self.patience.reader)

        def resume_writing(self) -> None:
            self._end("reader")
            self.since = self.loop.time()
            super().resume_writing()

        def shutdown(self) -> None:
            if not self.is_idle and self.cycle.more_body:
                self.transport.abort()  # half a request does nothing
                return
            with contextlib.suppress(h11.LocalProtocolError):
                super().shutdown()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, "BadRequest", f"{msg} A request's head has 64 KiB at most.")

        def refuse_for_now(self) -> None:
            """Turn the client away because there are too many."""
            limit = self.patience.connections
            self._refuse(503, "TooManyConnections", f"this server takes {limit} connections at once and all are busy; try again later")

        def _start(self, name: str, seconds: float) -> None:
            self._watch[name] = self.loop.call_later(seconds, self._late, name)

        def _end(self, name: str) -> None:
            if name in self._watch:
                self._watch.pop(name).cancel()

        def _late(self, name: str) -> None:
            self._watch.pop(name, None)
            if self.transport.is_closing():
                self.transport.abort()
            elif name == "head" and self.conn.trailing_data[0]:
                self._refuse(408, "RequestTimeout", f"the request's head took longer than {self.patience.head:.0f} s to arrive")
            elif name == "head":
                self.transport.close()
            elif name == "end":
                self._ask_whether_there(_ASKED_AFTER)
            else:
                LOG.info("a client took no more of its reply for %.0f s; its connection is closed", self.patience.reader)
                self.transport.abort()

        def _refuse(self, status: int, code: str, message: str) -> None:
            if self.transport.is_closing():
                return
            if not self.is_idle:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            with contextlib.suppress(h11.LocalProtocolError):
                content = dumps({"error": code, "message": message})
                headers = [("content-type", "application/json"), ("content-length", str(len(content))), ("connection", "close")]
                for event in (h11.Response(status_code=status, headers=headers), h11.Data(content), h11.EndOfMessage()):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Watched


def make_room(connections: Iterable[Any], most: int, newcomer: Any = None) -> None:
    """Close connections until there are `most`: idle ones, then those that are kept waiting by their client, last the newcomer.

    Of the idle ones those go first that have never asked anything.
    """
    is_open = [other for other in connections if not other.transport.is_closing()]
    surplus = len(is_open) - most
    if surplus <= 0:
        return
    others = [other for other in is_open if other is not newcomer and (other.is_idle or other.is_kept_waiting)]
    others.sort(key=lambda other: (not other.is_idle, other.requests > 0, other.since))
    for other in others[:surplus]:
        other.transport.abort() if other.transport.get_write_buffer_size() else other.transport.close()
    if newcomer is not None and len(others) < surplus:
        newcomer.refuse_for_now()


def noted(connections: Iterable[Any], context: Mapping[str, Any]) -> None:
    """Log what went wrong in the loop; where the process has no more files for connections, make some free."""
    error = context.get("exception")
    is_scarce = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
    LOG.log(logging.INFO if is_scarce else logging.WARNING, "%s", context.get("message", "error in the server's loop"), exc_info=error)
    if is_scarce:
        is_open = [other for other in connections if not other.transport.is_closing()]
        make_room(is_open, max(len(is_open) - _FREED, 0))
