"""One client's connection, watched: what keeps slow, silent and too many clients from holding the server.

uvicorn's HTTP/1.1 protocol has a limit for the pause between two requests and none for anything else. Here every other wait
gets one as well: for the head of a request, for a client to take its reply. Must not live here: what a request means, and the
limits of its body (`chroma_nb.http.app`). Made by `chroma_nb.http.server`, one per connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chroma_nb.http.wire import dumps
from chroma_nb.optional import need

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

LOG = logging.getLogger("chroma_nb.http.connection")
# What clients do wrong is no news for whoever works in the notebook: it is logged, and shown only where logging is set up.
LOG.addHandler(logging.NullHandler())


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
        Open at once; beyond it the longest idle one makes room.
    stop
        For requests that are under way when the server stops.
    """

    head: float = 15.0
    idle: float = 75.0
    reader: float = 60.0
    connections: int = 512
    stop: float = 2.0


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
            self.idle_since = self.loop.time()
            self._watch: dict[str, asyncio.TimerHandle] = {}

        @property
        def is_idle(self) -> bool:
            """Whether no request is being read, carried out or answered."""
            return self.cycle is None or self.cycle.response_complete

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start("head", self.patience.head)
            if len(self.connections) > self.patience.connections:
                self._make_room()

        def connection_lost(self, exc: Exception | None) -> None:
            for name in list(self._watch):
                self._end(name)
            super().connection_lost(exc)
            with contextlib.suppress(OSError):
                # Closing alone says nothing to the client while a forked child still holds the socket.
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._end("head")
            elif "head" not in self._watch and not self.transport.is_closing():
                self._start("head", self.patience.head)

        def eof_received(self) -> bool | None:  # type: ignore[override]
            if self.is_idle or self.cycle.more_body:
                return None
            # The client has said all it wants to say and waits for the answer.
            self.cycle.keep_alive = False
            return True

        def on_response_complete(self) -> None:
            self.requests += 1
            self.idle_since = self.loop.time()
            super().on_response_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._start("reader", self.patience.reader)

        def resume_writing(self) -> None:
            self._end("reader")
            super().resume_writing()

        def shutdown(self) -> None:
            if not self.is_idle and self.cycle.more_body:
                self.transport.abort()  # half a request does nothing
                return
            with contextlib.suppress(h11.LocalProtocolError):
                super().shutdown()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, "BadRequest", f"{msg} A request's head has 64 KiB at most.")

        def _make_room(self) -> None:
            others = [other for other in self.connections if isinstance(other, Watched) and other is not self and other.is_idle]
            if others:
                min(others, key=lambda other: (other.requests > 0, other.idle_since)).transport.close()
            else:
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
            else:
                LOG.info("a client took no more of its reply for %.0f s; its connection is closed", self.patience.reader)
                self.transport.abort()

        def _refuse(self, status: int, code: str, message: str) -> None:
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
