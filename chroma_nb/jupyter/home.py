"""A kernel and its Jupyter server: identity, addresses, token. Reads files and the environment, asks nobody, changes nothing.

Called by `chroma_nb.publishing`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from chroma_nb.jupyter import files
from chroma_nb.optional import need

SCHEMA: Final = 1
_PREFIX = "kernel-"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class Kernel:
    """The kernel that this process is.

    Parameters
    ----------
    id
        What the Jupyter server calls it.
    runtimes
        Jupyter's runtime directories as far as the kernel knows them: the one its connection file is in, and its own default.
    """

    id: str
    runtimes: tuple[Path, ...]


@dataclass(frozen=True)
class Home:
    """The Jupyter server that started this kernel.

    Parameters
    ----------
    kernel
        The kernel.
    pid
        Of the Jupyter server.
    runtime
        The runtime directory where it keeps its files.
    url
        Where programs of this machine reach it, with base URL and a slash at the end; None when our extension is not loaded in it.
    environment
        The kernel's environment, which tells about a Hub.
    """

    kernel: Kernel
    pid: int
    runtime: Path
    url: str | None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, compare=False)

    def token(self) -> str | None:
        """Return the token that this server's API takes now, read anew at each call; None where it has none."""
        said = (files.read(self.runtime / f"jpserver-{self.pid}.json") or {}).get("token")
        if isinstance(said, str) and said:
            return said
        return self.environment.get("JUPYTERHUB_API_TOKEN") or None

    def public_url(self) -> str | None:
        """Return where clients of other machines reach the Jupyter server, if that is known: a Hub may tell.

        Without it only the browser knows: a proxy in front of Jupyter does not tell what it is called outside.
        """
        prefix = self.environment.get("JUPYTERHUB_SERVICE_PREFIX", "")
        known = self.environment.get("JUPYTERHUB_PUBLIC_URL") or self.environment.get("JUPYTERHUB_PUBLIC_HUB_URL") or ""
        # Another Jupyter server that was started inside a Hub's inherits its environment; the Hub does not lead to it.
        if self.url is None or not prefix.startswith("/") or unquote(urlsplit(self.url).path) != unquote(prefix):
            return None
        outside = address(known)
        if outside is None:
            return None
        parts = urlsplit(outside)
        return f"{parts.scheme}://{parts.netloc}{prefix}"


def this_kernel() -> Kernel | None:
    """Return the kernel that this process is; None in any other process, one that a kernel has forked among them."""
    kernelapp = sys.modules.get("ipykernel.kernelapp")
    if kernelapp is None or not kernelapp.IPKernelApp.initialized():
        return None
    app: Any = kernelapp.IPKernelApp.instance()
    connection = Path(str(app.abs_connection_file)).absolute()
    identity = connection.stem.removeprefix(_PREFIX)
    if app.session.pid != os.getpid() or not connection.stem.startswith(_PREFIX) or not _ID.fullmatch(identity):
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    return Kernel(identity, tuple(dict.fromkeys((connection.parent, Path(jupyter_runtime_dir()).absolute()))))


def home_of(kernel: Kernel) -> Home | None:
    """Return the Jupyter server a kernel belongs to; None when it was started by something else (a console, an editor, a test)."""
    for pid in _parents():
        for runtime in kernel.runtimes:
            url = _announced(runtime, pid)
            if url is not None and files.is_alive(pid):
                return Home(kernel, pid, runtime, url)
        for runtime in kernel.runtimes:
            if (runtime / f"jpserver-{pid}.json").exists() and files.is_alive(pid):
                return Home(kernel, pid, runtime, None)
    return None


def _announced(runtime: Path, pid: int) -> str | None:
    """Return where a Jupyter server with our extension says it can be reached; None when there is none of that number here."""
    said = files.read(runtime / files.FOLDER / f"server-{pid}.json") or {}
    # Machines may share a runtime directory; the number means another process on each of them, and at another time.
    if said.get("schema") != SCHEMA or said.get("pid") != pid or said.get("machine", platform.node()) != platform.node():
        return None
    began = files.born(pid)
    if began is not None and said.get("born") not in (None, began):
        return None
    return address(said.get("url"))


def _parents() -> Iterator[int]:
    """Give the processes that may have started this kernel, nearest first."""
    said = os.environ.get("JPY_PARENT_PID", "")
    if os.name != "nt" and said.isdecimal():
        # Right also where a script stands between the two. And whoever started this kernel from a Jupyter terminal says so here: that
        # server, though an ancestor, does not know the kernel. On Windows the variable holds something else.
        yield int(said)
        return
    psutil = need("psutil", "finding the Jupyter server")  # every ipykernel brings it along
    with contextlib.suppress(psutil.Error):
        yield from (each.pid for each in psutil.Process().parents())


def address(given: object) -> str | None:
    """Return a URL of http or https that ends in a slash; None for anything else.

    Examples
    --------
    >>> address("https://hub.example/user/a%40b"), address("javascript:alert(1)")
    ('https://hub.example/user/a%40b/', None)
    """
    if not isinstance(given, str) or not given.isprintable() or " " in given:
        return None
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        return None
    return given if given.endswith("/") else f"{given}/"
