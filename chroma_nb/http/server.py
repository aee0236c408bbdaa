"""The server in a thread of its own, beside the notebook: started, found, stopped.

Starting returns when the socket listens (`chroma_nb.http.listening`). The loop is run here and not by uvicorn's own server, which would
wake an idle notebook ten times a second, and takes that long to start and to stop. What makes a server known to others, through
Jupyter, is not here (`chroma_nb.publishing`).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable

from typing_extensions import Self

from chroma_nb import html, stopping
from chroma_nb.errors import ServerUnreachableError, StoreError
from chroma_nb.http.app import ADDRESSES, App, Gate, new_token
from chroma_nb.http.call import Service
from chroma_nb.http.connection import Patience, watched
from chroma_nb.http.entrance import Entrance
from chroma_nb.http.listening import UnixSocket, listening
from chroma_nb.optional import need

_LOG = logging.getLogger("chroma_nb.http")
_STARTED, _STOPPED, _SLICE = 30.0, 10.0, 0.1
_CODE = "white-space:pre-wrap;font-family:var(--jp-code-font-family, monospace);margin-top:6px"
_ADVICE = "margin-top:6px"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def is_loopback(host: str) -> bool:
    """Tell whether only programs of this machine reach a server that listens on `host`."""
    return host.lower() in _LOOPBACK or (host.startswith("127.") and host.count(".") == 3)


class Server:
    """A running server. Use it in a ``with`` block, or `stop` it; it also stops when the process ends.

    Parameters
    ----------
    service, gate
        What is served, and to whom.
    host, port
        Where; port 0 takes a free one.
    patience
        How long it waits for slow clients.
    unix
        Listen on this socket, and on no port.

    Raises
    ------
    InvalidArgumentError
        It cannot listen there; the message says why and what to do.
    StoreError
        Its thread did not come up.
    """

    def __init__(
        self,
        service: Service,
        gate: Gate,
        host: str = "127.0.0.1",
        port: int = 0,
        patience: Patience | None = None,
        *,
        unix: UnixSocket | None = None,
    ) -> None:
        need("uvicorn", "serving HTTP")
        self._patience = patience or Patience()
        self._token = gate.token
        self._unix = unix
        self._socket = listening(host, port) if unix is None else unix.socket
        self.host: str | None = None
        """The address it listens on; None when it listens on a unix socket."""
        self.port: int | None = None
        """The port it listens on; None when it listens on a unix socket."""
        if unix is None:
            self.host, self.port = self._socket.getsockname()[:2]
        self.public: Entrance | None = None
        """The way through Jupyter, while there is one."""
        self.advice = ""
        """What else a user should know about reaching it."""
        self._app = App(service, gate)
        self.leaving: Callable[[], None] | None = None
        """Called when the server is about to stop, so that nobody is sent to it any more."""
        self.released: Callable[[], None] | None = None
        """Called when the server has stopped and needs its backend no longer."""
        self._pid = os.getpid()
        self._started = threading.Event()
        self._serving = False
        self._failure: Exception | None = None
        self._stopping = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chroma_nb server", daemon=True)
        self._thread.pydev_do_not_trace = self._thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
        self._thread.start()
        try:
            self._wait_for_start()
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)
        _servers.add(self)

    def _wait_for_start(self) -> None:
        deadline = time.monotonic() + _STARTED
        while not self._started.wait(_SLICE) and time.monotonic() < deadline:
            stopping.check()
        if not self._serving:
            raise StoreError(f"the server did not start: {self._failure or 'its thread was never run'}") from self._failure

    def _run(self) -> None:
        # Not asyncio.run, which some notebooks have patched into something that works in the main thread only.
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except Exception as error:  # noqa: BLE001 - logged, and raised by whoever waits for the start
            _LOG.exception("the server at %s ended", self._where)
            self._failure = error
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        config = Config(self._app, lifespan="off", log_config=None, http="h11", ws="none", timeout_keep_alive=int(self._patience.idle))
        config.load()
        state = ServerState()
        made = watched()
        acceptor = await self._loop.create_server(lambda: made(config, state, self._loop, self._patience), sock=self._socket, backlog=128)
        self._serving = True
        self._started.set()
        await self._stopping.wait()
        acceptor.close()
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=self._patience.stop)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=1)

    @property
    def url(self) -> str:
        """Where clients reach it, without ``/api``: through Jupyter if it is announced there, else where it listens.

        A path in it is not percent-encoded, because Chroma's Python client does that. `python`, `js` and `curl` have the form that
        each of them wants.

        Raises
        ------
        ServerUnreachableError
            A later server of this kernel has taken its place at Jupyter's address, and it listens at no other.
        """
        return self._entrance.url

    @property
    def headers(self) -> dict[str, str]:
        """What a client must send with requests to `url`: the token. Keep it out of what you share."""
        return self._entrance.headers

    @property
    def local_url(self) -> str | None:
        """Where programs of this machine reach it without Jupyter in between; None when it listens on no port."""
        direct = self._direct
        return None if direct is None else direct.url

    @property
    def local_headers(self) -> dict[str, str] | None:
        """What a client must send with requests to `local_url`."""
        direct = self._direct
        return None if direct is None else direct.headers

    @property
    def socket_path(self) -> str | None:
        """The unix socket it listens on; None when it listens on a port."""
        return None if self._unix is None else str(self._unix.path)

    @property
    def secret(self) -> str | None:
        """What it asks of whoever connects to it directly, as ``X-Chroma-Token``; never shown."""
        return self._token

    @property
    def _direct(self) -> Entrance | None:
        if self.host is None:
            return None
        # As a client of this machine names the host, also when the server listens on all of its addresses.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - shown, not bound
        return Entrance(f"http://{f'[{host}]' if ':' in host else host}:{self.port}", "X-Chroma-Token", lambda: self._token)

    @property
    def _entrance(self) -> Entrance:
        found = self.public or self._direct
        if found is None:
            raise ServerUnreachableError(f"this server cannot be reached: {self.advice or 'it listens on a unix socket only'}")
        return found

    @property
    def _where(self) -> str:
        found = self.public or self._direct
        return str(self.socket_path) if found is None else found.url

    @property
    def running(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive() and self._pid == os.getpid()

    def stop(self, *, wait: float = 0) -> None:
        """Stop serving; safe to call twice.

        Requests under way get two seconds to end. A longer one loses its connection, and what it does to the store is finished in
        the background; `wait` so many seconds for that.
        """
        atexit.unregister(self.stop)
        if self._pid != os.getpid():
            return
        with stopping.held_back():
            leaving, self.leaving = self.leaving, None
            if leaving is not None:
                leaving()
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)
            try:
                self._wait_for_end()
                self._app.close(wait)
            finally:  # who does not wait for the end gets it all the same
                self._let_go()

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + _STOPPED
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(_SLICE)
            stopping.check()

    def _let_go(self) -> None:
        if not self._thread.is_alive():  # as long as it lives, it closes its socket itself
            self._socket.close()
        if self._unix is not None:
            self._unix.remove()
        released, self.released = self.released, None
        if released is not None:
            released()

    def wait(self) -> None:
        """Wait until the server stops."""
        while self._thread.is_alive():
            self._thread.join(0.2)

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def python(self, *, show_token: bool = False) -> str:
        """Return Python code that connects Chroma's client (1.x) or ours."""
        return self._entrance.python(show_token=show_token)

    def js(self, *, show_token: bool = False) -> str:
        """Return JavaScript code that connects Chroma's client 3."""
        return self._entrance.js(show_token=show_token)

    def curl(self, *, show_token: bool = False) -> str:
        """Return a shell command that asks for the collections."""
        return self._entrance.curl(show_token=show_token)

    @property
    def _state(self) -> str:
        return "running" if self.running else "stopped"

    def __repr__(self) -> str:
        """Return address and state, never the token."""
        return f"Server({self._where!r}, {self._state})"

    def _repr_html_(self) -> str:
        found = self.public or self._direct
        texts = [] if found is None else [found.python(), found.js(), found.curl()]
        body = [html.element("div", text, style=_CODE) for text in texts]
        if self.advice:
            body.insert(0, html.element("div", html.esc(self.advice, limit=1000), style=_ADVICE))
        return str(html.card("chroma_nb server", f"{self._where} · {self._state}", *body))


def start(
    service: Service,
    *,
    token: str | None,
    host: str = "127.0.0.1",
    port: int = 0,
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
    unix: UnixSocket | None = None,
) -> Server:
    """Start a server; ``token=""`` makes one up, None lets everyone in who reaches the port.

    On a unix socket it answers for every host: what reaches it there is no web page, whatever its name was pointed at.

    Raises
    ------
    InvalidArgumentError
        The port is taken.
    StoreError
        The server did not come up.
    """
    shown = f"[{host.lower()}]" if ":" in host else host.lower()
    # A page of a foreign name can be pointed at any address of this machine; what asks for an address itself is no such page.
    near: tuple[str, ...] = () if is_loopback(host) else (ADDRESSES, socket.gethostname().lower())
    if unix is not None:
        near = ("*",)
    gate = Gate(
        token=new_token() if token == "" else token,
        hosts=(*Gate().hosts, shown, *near, *(name.lower() for name in hosts)),
        origins=tuple(origin.rstrip("/").lower() for origin in origins),
    )
    try:
        return Server(service, gate, host, port, unix=unix)
    except BaseException:
        if unix is not None:
            unix.close()
        raise


def _after_fork_in_child() -> None:
    # The parent's server goes on; a child that kept its socket would keep the port taken after the parent's end.
    for server in list(_servers):
        server._socket.close()
        server.leaving = None
        atexit.unregister(server.stop)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
