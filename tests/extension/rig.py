"""A real Jupyter server in a process of its own, and real kernels behind it, driven as a browser drives them.

``with Jupyter.started(folder, base_url="/pre/") as jupyter: kernel = jupyter.kernel("a.ipynb"); kernel.run("1 + 1")``. Runtime,
configuration, data and notebooks are below `folder`, so that nothing of the user's is read or written. Whoever needs
a server with other settings gives them as `config`, in the form of ``jupyter_server_config.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import websocket
from typing_extensions import Self

ROOT = Path(__file__).parents[2]
_PATIENCE = 90.0
_SIGNS = re.compile(r"\x1b\[[0-9;]*m")
_OTHERS = ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook", "notebook_shim")
"""Extensions that a test of ours does not need, and that take a second to start."""


class CellError(Exception):
    """A cell raised; the text is its traceback."""


@dataclass
class Kernel:
    """A kernel with a session, as a notebook that is open in JupyterLab has one."""

    jupyter: Jupyter
    id: str
    session: str
    notebook: str
    _channel: websocket.WebSocket | None = field(default=None, repr=False)

    def run(self, code: str, timeout: float = _PATIENCE) -> str:
        """Run a cell; return what it printed and, as text, what it ended with.

        Raises
        ------
        CellError
            The cell raised.
        """
        return self.wait(self.start(code), timeout)

    def start(self, code: str) -> str:
        """Send a cell without waiting for it; return its number, for `wait`."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": self.session, "date": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._opened().send(json.dumps(message))
        return number

    def wait(self, number: str, timeout: float = _PATIENCE) -> str:
        """Wait until a started cell has ended; return what `run` returns."""
        shown, error, deadline = [], None, time.monotonic() + timeout
        channel = self._opened()
        while True:
            channel.settimeout(max(deadline - time.monotonic(), 0.01))
            message = json.loads(channel.recv())
            if message["parent_header"].get("msg_id") != number:
                continue
            match message["msg_type"], message["content"]:
                case "stream", content:
                    shown.append(content["text"])
                case "execute_result" | "display_data", content:
                    shown.append(content["data"].get("text/plain", ""))
                case "error", content:
                    error = _SIGNS.sub("", "\n".join(content["traceback"]))
                case "status", {"execution_state": "idle"}:
                    break
        if error is not None:
            raise CellError(error)
        return "".join(shown)

    @property
    def pid(self) -> int:
        """The process that runs the cells."""
        return int(self.run("import os; print(os.getpid())"))

    def interrupt(self) -> None:
        """Interrupt the cell that runs."""
        self.jupyter.ask("POST", f"api/kernels/{self.id}/interrupt").raise_for_status()

    def restart(self) -> None:
        """Restart the process; the kernel keeps its id."""
        self.disconnect()
        self.jupyter.ask("POST", f"api/kernels/{self.id}/restart").raise_for_status()

    def shutdown(self) -> None:
        """End kernel and session."""
        self.disconnect()
        self.jupyter.ask("DELETE", f"api/sessions/{self.session}").raise_for_status()

    def disconnect(self) -> None:
        """Close the connection to the kernel; the next cell opens one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _opened(self) -> websocket.WebSocket:
        if self._channel is None:
            url = f"ws{self.jupyter.url.removeprefix('http')}api/kernels/{self.id}/channels?session_id={self.session}"
            self._channel = websocket.create_connection(url, timeout=_PATIENCE, header=self.jupyter.headers)
        return self._channel


@dataclass
class Jupyter:
    """A running Jupyter server."""

    url: str
    """Ends with the base URL, percent-encoded where it needs to be."""
    token: str
    folder: Path
    process: subprocess.Popen[bytes]
    kernels: list[Kernel] = field(default_factory=list)
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=_PATIENCE), repr=False)

    @classmethod
    @contextlib.contextmanager
    def started(
        cls,
        folder: Path,
        *,
        base_url: str = "/",
        config: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        lab: bool = False,
    ) -> Iterator[Self]:
        """Start a server, and stop it and its kernels when the block ends.

        Parameters
        ----------
        folder
            For everything it reads and writes; made when it is not there.
        base_url
            As a user configures it, such as ``"/user/a@b/"``.
        config
            Traits by class, such as ``{"ChromaNB": {"timeout": 2}}``.
        environment
            Variables that server and kernels get besides those of this process.
        lab
            Start JupyterLab with all extensions of this environment, for tests in a browser.
        """
        token = secrets.token_hex(24)
        _write_config(folder, token, base_url, config or {}, lab=lab)
        command = [sys.executable, "-m", "jupyterlab" if lab else "jupyter_server", "--no-browser", "--allow-root", "--debug"]
        with (folder / "jupyter.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=folder / "notebooks",
                env=_environment(folder, environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        made = cls("", token, folder, process)
        try:
            made.url = made._await()
            yield made
        finally:
            made.stop()

    @property
    def runtime(self) -> Path:
        """Where Jupyter and its kernels keep the files that tell them of each other."""
        return self.folder / "runtime"

    @property
    def notebooks(self) -> Path:
        """The folder that the server shows."""
        return self.folder / "notebooks"

    @property
    def log(self) -> str:
        """All that the server has logged, at the most talkative level."""
        return (self.folder / "jupyter.log").read_text("utf-8", errors="replace")

    @property
    def headers(self) -> dict[str, str]:
        """What a client with the token sends."""
        return {"Authorization": f"token {self.token}"}

    def ask(self, method: str, path: str, *, authorized: bool = True, **options: Any) -> httpx.Response:
        """Send a request to a path below the base URL, with the token unless told otherwise; never with cookies of earlier ones."""
        headers = {**(self.headers if authorized else {}), **options.pop("headers", {})}
        self._client.cookies.clear()
        return self._client.request(method, f"{self.url}{path}", headers=headers, **options)

    def kernel(self, notebook: str = "a.ipynb") -> Kernel:
        """Open a notebook: start a kernel with a session of this path."""
        body = {"path": notebook, "name": notebook.rpartition("/")[2], "type": "notebook", "kernel": {"name": "python3"}}
        made = self.ask("POST", "api/sessions", json=body).raise_for_status().json()
        kernel = Kernel(self, made["kernel"]["id"], made["id"], notebook)
        self.kernels.append(kernel)
        return kernel

    def stop(self) -> None:
        """End the server; it ends its kernels."""
        for kernel in self.kernels:
            kernel.disconnect()
        self._client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _await(self) -> str:
        """Wait until it answers; return its URL, which it writes down when it listens."""
        deadline = time.monotonic() + _PATIENCE
        record = self.runtime / f"jpserver-{self.process.pid}.json"
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError, httpx.TransportError):
                written = json.loads(record.read_text())
                url = f"http://127.0.0.1:{written['port']}{quote(written['base_url'], safe='/%@')}"
                httpx.get(f"{url}api", trust_env=False).raise_for_status()
                return url
            time.sleep(0.05)
        raise AssertionError(f"the Jupyter server did not start:\n{self.log}")


def _write_config(folder: Path, token: str, base_url: str, config: Mapping[str, Mapping[str, Any]], *, lab: bool) -> None:
    for name in ("runtime", "config", "data", "home", "notebooks"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    extensions = {"chroma_nb_extension": True} if lab else {"chroma_nb_extension": True, **dict.fromkeys(_OTHERS, False)}
    ours: dict[str, dict[str, Any]] = {
        "ServerApp": {
            "base_url": base_url,
            "ip": "127.0.0.1",
            "port": 0,
            "root_dir": str(folder / "notebooks"),
            "jpserver_extensions": extensions,
        },
        "IdentityProvider": {"token": token},
    }
    for name, traits in config.items():
        ours[name] = {**ours.get(name, {}), **traits}
    written = folder / "config" / "jupyter_server_config.json"
    written.touch(0o600)
    written.write_text(json.dumps(ours))


def _environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_"))}
    here = {
        "HOME": "home",
        "IPYTHONDIR": "home/ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }
    paths = [str(ROOT), str(ROOT / "extension"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **inherited,
        **{name: str(folder / place) for name, place in here.items()},
        "PYTHONPATH": os.pathsep.join(paths),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **extra,
    }
