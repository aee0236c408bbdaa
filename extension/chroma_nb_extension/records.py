"""The small files through which kernels and this server know of each other, in a folder of Jupyter's runtime directory.

A kernel that serves writes ``kernel-<id>.json``: where it listens, and a secret that it wants to see. This server writes
``server-<pid>.json``: that it is here, and its URL. Whatever a record says is believed only when nobody but this user can have
written it; and it can name nothing but a unix socket of this user or a port of this very machine. Nothing else of the package reads
or writes these files. Which kernels exist is not known here (`chroma_nb_extension.kernels` knows).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jupyter_server.utils import check_pid

SCHEMA: Final = 1
KERNEL_ID: Final = r"[0-9A-Za-z_]{1,40}(?:-[0-9A-Za-z_]{1,40}){4}"
"""What Jupyter takes for a kernel's id; it becomes part of a file name, so nothing else is tried."""
_MOST = 1 << 16
_SOCKET_FOLDER = "cnb-"
"""How the folders begin that kernels make for their sockets."""
_LOOPBACK: Final = ("127.0.0.1", "::1")
_FOREIGN = 0o077
_NAME = re.compile(rf"kernel-{KERNEL_ID}\.json|server-[0-9]{{1,10}}\.json")
_SECRET = re.compile(r"[!-~]{16,512}")
_NONCE = re.compile(r"[0-9a-f]{8,128}")


class UnfitRecordError(Exception):
    """A record that is not believed; the text says why."""


@dataclass(frozen=True)
class Record:
    """Where a kernel serves, as far as it can be believed.

    Parameters
    ----------
    socket
        Path of its unix socket; None when it listens on `host` and `port`.
    secret
        What its server wants to see in each request.
    nonce
        Another one each time a server starts.
    place
        Folder of the store, or ``":memory:"``.
    """

    kernel_id: str
    pid: int
    nonce: str
    started: str
    socket: str | None
    host: str | None
    port: int | None
    secret: str = field(repr=False)
    place: str
    read_only: bool
    version: str

    @property
    def alive(self) -> bool:
        """Whether the process that wrote it is there."""
        return bool(check_pid(self.pid))


class Records:
    """The folder of records.

    Parameters
    ----------
    runtime
        Jupyter's runtime directory.
    """

    def __init__(self, runtime: Path) -> None:
        self.folder = runtime / "chroma_nb"
        self._own = self.folder / f"server-{os.getpid()}.json"

    def of(self, kernel_id: str) -> Record | None:
        """Return a kernel's record; None when there is none.

        Raises
        ------
        UnfitRecordError
            There is one that must not be believed.
        """
        try:
            content = self._content(kernel_id)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnfitRecordError(f"it cannot be read: {error.strerror}") from error
        record = _parsed(content)
        if record.kernel_id != kernel_id:
            raise UnfitRecordError("it is another kernel's")
        if record.socket is not None and record.alive:
            _check_socket(record.socket)
        return record

    def forget_dead(self, known: Iterable[str]) -> None:
        """Delete records of processes that are no more, and the sockets they name.

        Those of the kernels in `known` stay, to tell what became of them.
        """
        kept = {f"kernel-{kernel_id}.json" for kernel_id in known}
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                said = _said_by_the_dead(path) if _NAME.fullmatch(path.name) and path.name not in kept else None
                if said is not None:
                    with contextlib.suppress(OSError):
                        path.unlink()
                    _remove_socket(said.get("socket"))

    def announce(self, url: str, base_url: str, version: str) -> None:
        """Write down that this server is here; kernels look for it when they start to serve.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        content = {
            "schema": SCHEMA,
            "pid": os.getpid(),
            "url": url,
            "base_url": base_url,
            "version": version,
            "machine": platform.node(),
        }
        passing = self.folder / f".{self._own.name}.{secrets.token_hex(8)}"
        handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no path
            json.dump(content, file)
        passing.replace(self._own)

    def withdraw(self) -> None:
        """Take this server's record away."""
        with contextlib.suppress(OSError):
            self._own.unlink()

    def _content(self, kernel_id: str) -> bytes:
        _check(os.lstat(self.folder), stat.S_ISDIR, "its folder")
        return _read(self.folder / f"kernel-{kernel_id}.json")


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | _FLAGS)
    with open(handle, "rb") as file:  # noqa: PTH123 - as above
        _check(os.fstat(handle), stat.S_ISREG, "it")
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise UnfitRecordError(f"it is larger than {_MOST >> 10} KiB")
    return content


def _said_by_the_dead(path: Path) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = json.loads(_read(path))
        # Machines may share a runtime directory, and a process id means another process on each.
        return said if said["machine"] == platform.node() and not check_pid(int(said["pid"])) else None
    except (OSError, UnfitRecordError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _remove_socket(said: Any) -> None:
    """Remove a socket that a kernel has left behind, and the folder that it made for it."""
    path = Path(said) if isinstance(said, str) else None
    if path is None or not path.parent.name.startswith(_SOCKET_FOLDER):
        return
    with contextlib.suppress(OSError, UnfitRecordError, ValueError):
        _check_socket(said)
        path.unlink()
        path.parent.rmdir()


# Not through a link, and not waiting for a pipe's other end. Neither exists on Windows.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def _check(found: os.stat_result, is_kind: Callable[[int], bool], what: str) -> None:
    """See that something is what it should be and that no other user can have made or changed it."""
    if not is_kind(found.st_mode):
        raise UnfitRecordError(f"{what} is a link or of another kind")
    if os.name != "posix":
        return  # Windows has no such modes; there the user's profile keeps others out
    if found.st_uid != os.getuid():
        raise UnfitRecordError(f"{what} belongs to another user")
    if found.st_mode & _FOREIGN:
        raise UnfitRecordError(f"{what} is open to other users")


def _check_socket(path: str) -> None:
    try:
        found = os.lstat(path)
    except OSError:
        raise UnfitRecordError("its socket is not there") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise UnfitRecordError("its socket is none")
    if found.st_uid != os.getuid():
        raise UnfitRecordError("its socket belongs to another user")


def _parsed(content: bytes) -> Record:
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        raise UnfitRecordError("it is not JSON") from None
    if not isinstance(given, dict) or given.get("schema") != SCHEMA:
        raise UnfitRecordError(f"its schema is not {SCHEMA}; kernel and server have versions of chroma_nb that are too far apart")
    host, port, socket = given.get("host"), given.get("port"), given.get("socket")
    fits = (
        isinstance(given.get("kernel_id"), str)
        and _is_number(given.get("pid"), 1, 2**31 - 1)
        and _is_text(given.get("nonce"), _NONCE)
        and _is_text(given.get("secret"), _SECRET)
        and all(isinstance(given.get(name), str) for name in ("started", "place", "version"))
        and isinstance(given.get("read_only"), bool)
    )
    if not fits:
        raise UnfitRecordError("a field is missing or of a wrong type")
    if socket is None:
        if host not in _LOOPBACK or not _is_number(port, 1, 65_535):
            raise UnfitRecordError("its address is not one of this machine's")
    elif not isinstance(socket, str) or not Path(socket).is_absolute() or "\0" in socket or host is not None or port is not None:
        raise UnfitRecordError("its socket is not an absolute path, or not its only address")
    fields: dict[str, Any] = {name: given.get(name) for name in Record.__dataclass_fields__}
    return Record(**fields)


def _is_number(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
