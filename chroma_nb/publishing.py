"""Makes a server reachable through Jupyter: at Jupyter's own address, with Jupyter's own token.

A kernel has one place there, which its latest running server takes; when that one stops, the one before gets it back. Must not live here:
how a server runs (`chroma_nb.http`), and what Jupyter's files look like (`chroma_nb.jupyter`). Called by `chroma_nb.factories`.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from chroma_nb.errors import StoreError
from chroma_nb.http.app import new_token
from chroma_nb.http.entrance import Entrance, encoded
from chroma_nb.http.listening import UnixSocket, listening_unix
from chroma_nb.http.server import Server
from chroma_nb.jupyter import files
from chroma_nb.jupyter.home import Home, home_of, this_kernel
from chroma_nb.jupyter.record import SOCKET_FOLDER, Record

_LOG = logging.getLogger("chroma_nb.http")
_LOOPBACK = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::1": "::1", "::": "::1"}  # noqa: S104 - compared, not bound
_SHORTEST, _LONGEST = 16, 512
"""Characters of a token that the server extension takes: with fewer it could be guessed."""
_NO_EXTENSION = (
    "Only programs of this machine reach it. To reach it through Jupyter's own address, run 'pip install chroma-nb' in the environment"
    " of the Jupyter server, restart that server, and serve again."
)
_UNKNOWN_PROGRAMS = (
    "This Jupyter server has no token, and without one it lets no program query or write. Start it with a token, or run"
    " chroma_nb.serve(port=0) and take local_url and local_headers of the server."
)


@dataclass(frozen=True)
class Way:
    """What this process can do about Jupyter.

    Parameters
    ----------
    home
        The Jupyter server that forwards to this kernel; None when there is none.
    advice
        What a user should know when there is none.
    """

    home: Home | None = None
    advice: str = ""

    def socket(self) -> UnixSocket | None:
        """Return a socket that only the Jupyter server will look for; None where a port has to do."""
        return None if self.home is None else listening_unix(SOCKET_FOLDER)


@dataclass(frozen=True)
class _Announced:
    server: Server
    home: Home
    record: Record


_turn = threading.RLock()
_announced: list[_Announced] = []
"""Servers that can be reached through Jupyter; the last of them is."""


def find_way() -> Way:
    """Find out which Jupyter server this process is a kernel of, and whether it forwards to servers in kernels."""
    kernel = this_kernel()
    home = None if kernel is None else home_of(kernel)
    if home is None:
        return Way()
    if home.url is None:
        _LOG.info("the Jupyter server lacks the extension. %s", _NO_EXTENSION)
        return Way(advice=_NO_EXTENSION)
    try:
        files.private_folder(home.runtime)
    except OSError as error:
        advice = f"Jupyter cannot forward to it: {home.runtime / files.FOLDER}: {error.strerror or error}"
        _LOG.warning(advice)
        return Way(advice=advice)
    return Way(home)


def publish(way: Way, server: Server, folder: Path | None, *, read_only: bool) -> None:
    """Give a server the kernel's place at Jupyter's address, if there is one; once more does no harm.

    Parameters
    ----------
    folder
        Of the store it serves; None for the one in memory.

    Raises
    ------
    StoreError
        The record could not be written.
    """
    home, place = way.home, ":memory:" if folder is None else str(folder)
    obstacle = _obstacle(server)
    if home is None or obstacle:
        server.advice = obstacle if home is not None else way.advice
        return
    with _turn:
        entry = next((each for each in _announced if each.server is server and each.home == home), None)
        if entry is None:
            entry = _Announced(server, home, _record(home, server, place, read_only=read_only))
        _announced[:] = [each for each in _announced if each.server is not server and each.server.running]
        if _announced:
            _displace(_announced[-1].server, place)
        _announced.append(entry)
        server.leaving = lambda: _withdraw(server)
        _take_place(entry)


def _obstacle(server: Server) -> str:
    """Return what keeps Jupyter from forwarding to a server; nothing when it can."""
    if server.socket_path is None and server.host not in _LOOPBACK:
        return f"Jupyter does not forward to {server.host}, only to addresses of this machine."
    if server.secret is not None and not _SHORTEST <= len(server.secret) <= _LONGEST:
        return f"Jupyter does not forward to servers whose token is shorter than {_SHORTEST} characters, or longer than {_LONGEST}."
    return ""


def _record(home: Home, server: Server, place: str, *, read_only: bool) -> Record:
    host = None if server.host is None else _LOOPBACK[server.host]
    # A server that lets everyone in gets a secret all the same: the form of the record asks for one.
    secret = server.secret or new_token()
    # The extension follows no link.
    socket = None if server.socket_path is None else os.path.realpath(server.socket_path)
    return Record(home.kernel.id, socket, host, server.port, secret, place, read_only)


def _take_place(entry: _Announced) -> None:
    home, server = entry.home, entry.server
    path = f"chroma-nb/k/{home.kernel.id}"
    outside = home.public_url()
    address = encoded(f"{outside or home.url}{path}")
    try:
        entry.record.write(home)
    except OSError as error:
        raise StoreError(f"{home.runtime / files.FOLDER}: cannot announce the server to Jupyter: {error.strerror or error}") from error
    server.public = Entrance(address, "Authorization", home.token, scheme="token ", variable="JUPYTER_TOKEN")
    near, behind = encoded(f"{home.url}{path}"), server.public.path
    if outside:
        server.advice = f"Programs of this machine reach it at {near} too."
    else:
        server.advice = f"On other machines: the address that the browser shows for Jupyter, up to its first slash, and then {behind}"
    if home.token() is None:
        server.advice = f"{_UNKNOWN_PROGRAMS} {server.advice}"


def _displace(server: Server, place: str) -> None:
    server.public = None
    server.advice = f"Jupyter's address leads to the later server of {place} now; it leads here again when that one stops."
    if server.socket_path is not None:
        _LOG.warning("the server started earlier in this kernel is out of reach. %s", server.advice)


def _withdraw(server: Server) -> None:
    """Take a server's announcement back, and announce the one before it again."""
    with _turn:
        leaving = [each for each in _announced if each.server is server]
        had_place = bool(leaving) and _announced[-1] is leaving[-1]
        _announced[:] = [each for each in _announced if each.server is not server and each.server.running]
        for each in leaving:
            each.record.remove(each.home)
        if had_place and _announced:
            try:
                _take_place(_announced[-1])
            except StoreError as error:
                _LOG.warning("%s", error)


def _after_fork_in_child() -> None:
    # What the parent serves stays announced by the parent. A thread of the parent may have held the lock.
    global _turn  # noqa: PLW0603 - as above
    _turn = threading.RLock()
    _announced.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
