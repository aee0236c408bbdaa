"""The sockets a server listens on: a port, or a file that only this user can open.

Sockets of a port are made with ``IPPROTO_TCP`` so that asyncio switches Nagle's algorithm off: without it a reply over a kept connection
waits about 40 ms. Must not live here: what is answered there. Called by `chroma_nb.http.server`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chroma_nb.errors import InvalidArgumentError

_HAS_UNIX = os.name == "posix" and hasattr(socket, "AF_UNIX")
_BACKLOG = 128
_LONGEST = 100
"""Bytes of a unix socket's path that every system takes."""


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
        made.listen(_BACKLOG)
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


@dataclass(frozen=True)
class UnixSocket:
    """A listening unix socket in a folder of its own, which only this user can enter.

    Parameters
    ----------
    socket
        Listens.
    path
        Its name in the file system.
    """

    socket: socket.socket
    path: Path

    def close(self) -> None:
        """Listen no longer, and leave nothing in the file system; who is connected stays so."""
        self.socket.close()
        self.remove()

    def remove(self) -> None:
        """Leave nothing in the file system, so that nobody new finds it."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def listening_unix(prefix: str) -> UnixSocket | None:
    """Return a new unix socket that listens; None where there are none, or no folder for it.

    Parameters
    ----------
    prefix
        How the name of its folder begins.
    """
    if not _HAS_UNIX:
        return None
    for parent in dict.fromkeys((os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")):  # noqa: S108 - a folder is made in it
        if not Path(parent).is_absolute() or len(os.fsencode(parent)) + len(prefix) + 16 > _LONGEST:
            continue
        with contextlib.suppress(OSError):
            return _made_in(tempfile.mkdtemp(prefix=prefix, dir=parent))
    return None


def _made_in(folder: str) -> UnixSocket:
    made = UnixSocket(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), Path(folder, "s"))
    try:
        made.socket.bind(str(made.path))
        made.path.chmod(0o600)
        made.socket.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
