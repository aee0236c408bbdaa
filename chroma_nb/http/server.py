"""The server in a thread of its own, beside the notebook: started, found, stopped.

Starting returns when the socket listens. The sockets are made with ``IPPROTO_TCP`` so that asyncio switches Nagle's
algorithm off: without it a reply over a kept connection waits about 40 ms.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import threading

from typing_extensions import Self

from chroma_nb import html
from chroma_nb.errors import InvalidArgumentError, StoreError
from chroma_nb.http.app import App, Gate, new_token
from chroma_nb.http.call import Service
from chroma_nb.optional import need

_MASK = "<token>"


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    InvalidArgumentError
        The port is taken, or the host is not one of this machine's; the message says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        raise InvalidArgumentError(
            f"cannot listen on {host}:{port} ({error}); choose another --port (0 takes a free one) or --host"
        ) from error
    return made


class Server:
    """A running server. Use it in a ``with`` block, or `stop` it; it also stops when the process ends.

    Parameters
    ----------
    service, gate
        What is served, and to whom.
    host, port
        Where; port 0 takes a free one.
    """

    def __init__(self, service: Service, gate: Gate, host: str = "127.0.0.1", port: int = 0) -> None:
        uvicorn = need("uvicorn", "serving HTTP")
        self._socket = listening(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._token = gate.token
        self._app = App(service, gate)
        config = uvicorn.Config(
            self._app, lifespan="off", access_log=False, log_config=None, http="h11", ws="none", timeout_keep_alive=75, server_header=False,
            limit_concurrency=512, timeout_graceful_shutdown=3,
        )  # fmt: skip
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="chroma_nb server", daemon=True)
        self._thread.pydev_do_not_trace = self._thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
        self._pid = os.getpid()
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        asyncio.run(self._uvicorn.serve(sockets=[self._socket]))

    @property
    def url(self) -> str:
        """Where the API is, without ``/api``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{self.port}"  # noqa: S104 - shown, not bound

    @property
    def headers(self) -> dict[str, str]:
        """What a client must send: the token. Keep it out of what you share."""
        return {} if self._token is None else {"X-Chroma-Token": self._token}

    @property
    def running(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive() and self._pid == os.getpid()

    def stop(self) -> None:
        """Stop serving, letting running requests end; safe to call twice."""
        atexit.unregister(self.stop)
        if self._pid != os.getpid():
            return
        self._uvicorn.should_exit = True
        self._thread.join(timeout=10)
        self._app.close()
        self._socket.close()

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
            f'const client = new ChromaClient({{ host: "{self.host}", port: {self.port}{headers} }});\n'
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
        code = [html.element("pre", text) for text in (self.python(), self.js(), self.curl())]
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
    gate = Gate(token=new_token() if token == "" else token, hosts=(*Gate().hosts, host.lower(), *hosts), origins=origins)
    server = Server(service, gate, host, port)
    if not server.running:
        raise StoreError("the server did not start; see the log of 'uvicorn.error'")
    return server
