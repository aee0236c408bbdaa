"""A kernel's record: the file that tells the Jupyter server where in the kernel a server listens.

The server extension reads it, checks it and connects; the two share no code, only this file's form. There is one record per
kernel. Records that kernels leave behind are the extension's to remove, which knows whether somebody may still ask for them. Called by
`chroma_nb.publishing`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone

from chroma_nb._version import __version__
from chroma_nb.jupyter import files
from chroma_nb.jupyter.home import SCHEMA, Home

SOCKET_FOLDER = "cnb-"
"""How the folders begin that hold nothing but a server's unix socket."""


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Record:
    """What a kernel's record says of one server.

    Parameters
    ----------
    kernel_id
        The kernel.
    socket
        Path of the unix socket; or
    host, port
        the loopback address where it listens.
    secret
        What the Jupyter server has to send as ``X-Chroma-Token``.
    place
        The store: a folder, or ``":memory:"``.
    read_only
        Whether writes are refused.
    """

    kernel_id: str
    socket: str | None
    host: str | None
    port: int | None
    secret: str = field(repr=False)
    place: str
    read_only: bool
    pid: int = field(default_factory=os.getpid)
    born: int | None = field(default_factory=lambda: files.born(os.getpid()))
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    started: str = field(default_factory=_now)
    version: str = __version__
    schema: int = SCHEMA
    machine: str = field(default_factory=platform.node)
    """Runtime directories may be shared by machines, and a number means another process on each."""

    def write(self, home: Home) -> None:
        """Announce the server; what the kernel announced before is replaced.

        Raises
        ------
        OSError
            The record cannot be written.
        """
        files.write(files.private_folder(home.runtime) / _name(self.kernel_id), asdict(self))

    def remove(self, home: Home) -> None:
        """Take the announcement back, unless another has replaced it."""
        path = home.runtime / files.FOLDER / _name(self.kernel_id)
        if (files.read(path) or {}).get("nonce") == self.nonce:
            with contextlib.suppress(OSError):
                path.unlink()


def _name(kernel_id: str) -> str:
    return f"kernel-{kernel_id}.json"
