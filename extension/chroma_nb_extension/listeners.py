"""Who listens at an address of this machine, as far as the system tells; Linux does, in ``/proc`` and to whoever connects.

A record may be old or forged: its process may have ended and its number been given away, its port taken by another program. Nothing is
sent to a process that is known to be another than the record's. Where the system does not tell, nothing is known, and
owner and mode of record and socket have to do. Called by `chroma_nb_extension.records` and `chroma_nb_extension.upstream`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

_LISTENS_UNIX: Final = 0x10000
_LISTENS_TCP: Final = "0A"


def born(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None where nobody tells.

    With its number it names a process for good: numbers are given away again, in a container the same ones at each start.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - asked at every request, and Path takes its time
            return int(file.read(4096).rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def is_somebody_elses(pid: int, path: str | None, port: int | None) -> bool:
    """Tell whether another process than `pid` is known to listen on a unix socket or a port of this machine."""
    found = {f"socket:[{inode}]" for inode in (_at_port(port or 0) if path is None else _at_path(path))}
    own = _open_in(pid)
    return bool(found) and own is not None and not found <= own


def is_listening(path: str) -> bool:
    """Tell whether somebody is known to listen on a unix socket."""
    return any(True for _ in _at_path(path))


def answers_for(pid: int, connected: socket.socket) -> bool:
    """Tell whether a process may be the one at the other end of a unix socket."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    found, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, option, 12))
    # 0 is a process of another container; some sandboxes answer with whoever asks.
    return user == os.getuid() and found in (pid, 0, os.getpid())


def _at_path(path: str) -> Iterator[str]:
    for fields in _lines("/proc/net/unix"):
        # The path as the process has said it, which may have led through links.
        if len(fields) == 8 and int(fields[3], 16) & _LISTENS_UNIX and os.path.realpath(fields[7]) == path:
            yield fields[6]


def _at_port(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in _lines(table):
            if fields[3] != _LISTENS_TCP:
                break  # those that listen come first, before the many that are connected
            if int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _lines(table: str) -> Iterator[list[str]]:
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - as above
            next(file, None)
            for line in file:
                yield line.rstrip("\n").split(maxsplit=7 if table.endswith("unix") else -1)
    except OSError:
        return


def _open_in(pid: int) -> set[str] | None:
    """Return what a process has open; None where nobody tells."""
    folder, found = f"/proc/{pid}/fd", set()
    try:
        numbers = os.listdir(folder)  # noqa: PTH208 - as above
    except OSError:
        return None
    for number in numbers:
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"{folder}/{number}"))  # noqa: PTH115 - as above
    return found
