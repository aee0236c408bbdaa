"""The server in a thread of its own, beside the notebook: started, found, stopped.

Starting returns when the socket listens. The sockets are made with ``IPPROTO_TCP`` so that asyncio switches Nagle's
algorithm off: without it a reply over a kept connection waits about 40 ms. The loop is run here and not by uvicorn's own server,
which would wake an idle notebook ten times a second, and takes that long to start and to stop.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import logging
import os
import socket
import threading
import weakref
from collections.abc import Callable

from typing_extensions import Self

from chroma_nb import html
from chroma_nb.errors import InvalidArgumentError, StoreError
from chroma_nb.http.app import ADDRESSES, App, Gate, new_token
from chroma_nb.http.call import Service
from chroma_nb.http.connection import Patience, watched
from chroma_nb.optional import need

_LOG = logging.getLogger("chroma_nb.http")
_MASK = "<token>"
_STARTED = 30.0
_CODE = "white-space:pre-wrap;font-family:var(--jp-code-font-family, monospace);margin-top:6px"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    InvalidArgumentError
        The port is taken, or the host is not one of this machine's; the message says what to do.
    """
    if not host:
        raise InvalidArgumentError("host: is empty; give a name or an address such as 127.0.0.1, or 0.0.0.0 for all of this machine's")
    if not 0 <= port <= 65_535:
        raise InvalidArgumentError(f"port: expected a number from 0 (takes a free one) to 65535, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except (OSError, UnicodeError) as error:
        made.close()
        raise InvalidArgumentError(_not_listening(host, port, error)) from error
    return made


def _not_listening(host: str, port: int, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"cannot listen on {host}:{port}: another program does; choose another port (0 takes a free one), or stop that program"
    if isinstance(error, PermissionError):
        return f"cannot listen on {host}:{port}: only the system's administrator may; choose a port from 1024 on"
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"cannot listen on {host[:100]}:{port}: {said}; give a name or an address of this machine, such as 127.0.0.1"


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

    Raises
    ------
    InvalidArgumentError
        It cannot listen there; the message says why and what to do.
    StoreError
        Its thread did not come up.
    """

    def __init__(self, service: Service, gate: Gate, host: str = "127.0.0.1", port: int = 0, patience: Patience | None = None) -> None:
        need("uvicorn", "serving HTTP")
        self._patience = patience or Patience()
        self._token = gate.token
        self._socket = listening(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._app = App(service, gate)
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
        self._started.wait(_STARTED)
        if not self._serving:
            self.stop()
            raise StoreError(f"the server did not start: {self._failure or 'its thread was never run'}") from self._failure
        atexit.register(self.stop)
        _servers.add(self)

    def _run(self) -> None:
        # Not asyncio.run, which some notebooks have patched into something that works in the main thread only.
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except Exception as error:  # noqa: BLE001 - logged, and raised by whoever waits for the start
            _LOG.exception("the server at %s:%s ended", self.host, self.port)
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
        """Where the API is, without ``/api``."""
        return f"http://{self._reachable}:{self.port}"

    @property
    def _reachable(self) -> str:
        """The host as a client of this machine names it, also when the server listens on all of its addresses."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - shown, not bound
        return f"[{host}]" if ":" in host else host

    @property
    def headers(self) -> dict[str, str]:
        """What a client must send: the token. Keep it out of what you share."""
        return {} if self._token is None else {"X-Chroma-Token": self._token}

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
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=10)
        self._app.close(wait)
        self._socket.close()
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
        return (
            f"import chromadb\n\nclient = chromadb.HttpClient(host={self.url!r}{self._shown_headers('headers=', show_token=show_token)})\n"
        )

    def js(self, *, show_token: bool = False) -> str:
        """Return JavaScript code that connects Chroma's client 3."""
        headers = self._shown_headers("headers: ", show_token=show_token)
        return (
            'import { ChromaClient } from "chromadb";\n\n'
            f'const client = new ChromaClient({{ host: "{self._reachable}", port: {self.port}{headers} }});\n'
        )

    def curl(self, *, show_token: bool = False) -> str:
        """Return a shell command that asks for the collections."""
        token = "" if self._token is None else f" -H 'X-Chroma-Token: {self._token if show_token else _MASK}'"
        return f"curl{token} '{self.url}/api/v2/tenants/default_tenant/databases/default_database/collections'"

    def _shown_headers(self, key: str, *, show_token: bool) -> str:
        if self._token is None:
            return ""
        return f', {key}{{"X-Chroma-Token": "{self._token if show_token else _MASK}"}}'

    def __repr__(self) -> str:
        """Return address and state, never the token."""
        return f"Server({self.url!r}, {'running' if self.running else 'stopped'})"

    def _repr_html_(self) -> str:
        code = [html.element("div", text, style=_CODE) for text in (self.python(), self.js(), self.curl())]
        return str(html.card("chroma_nb server", f"{self.url} · {'running' if self.running else 'stopped'}", *code))


def start(
    service: Service,
    *,
    token: str | None,
    host: str = "127.0.0.1",
    port: int = 0,
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
) -> Server:
    """Start a server; ``token=""`` makes one up, None lets everyone in who reaches the port.

    Raises
    ------
    InvalidArgumentError
        The port is taken.
    StoreError
        The server did not come up.
    """
    shown = f"[{host.lower()}]" if ":" in host else host.lower()
    # A page of a foreign name can be pointed at any address of this machine; what asks for an address itself is no such page.
    near = () if is_loopback(host) else (ADDRESSES, socket.gethostname().lower())
    gate = Gate(
        token=new_token() if token == "" else token,
        hosts=(*Gate().hosts, shown, *near, *(name.lower() for name in hosts)),
        origins=tuple(origin.rstrip("/").lower() for origin in origins),
    )
    return Server(service, gate, host, port)


def _after_fork_in_child() -> None:
    # The parent's server goes on; a child that kept its socket would keep the port taken after the parent's end.
    for server in list(_servers):
        server._socket.close()
        atexit.unregister(server.stop)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
