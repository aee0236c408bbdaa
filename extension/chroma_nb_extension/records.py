"""The small files through which kernels and this server know of each other, in a folder of Jupyter's runtime directory.

A kernel that serves writes ``kernel-<id>.json``: where it listens, and a secret that it wants to see. This server writes
``server-<pid>.json``: that it is here, and its URL. Whatever a record says is believed only when nobody but this user can have
written it; and it can name nothing but a unix socket of this user or a port of this very machine. Nothing else of the package reads
or writes these files. Which kernels exist is not known here (`chroma_nb_extension.kernels` knows).
"""

from __future__ import annotations

import contextlib
import itertools
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

from chroma_nb_extension.listeners import born, is_listening, is_somebody_elses

SCHEMA: Final = 1
KERNEL_ID: Final = r"[0-9A-Za-z_]{1,40}(?:-[0-9A-Za-z_]{1,40}){4}"
"""What Jupyter takes for a kernel's id; it becomes part of a file name, so nothing else is tried."""
_MOST = 1 << 16
_LISTED, _SWEPT = 4096, 64
"""Names that are looked at, and records that are read, when those of the dead are looked for."""
_SOCKET_FOLDER = "cnb-"
"""How the folders begin that kernels make for their sockets."""
_LOOPBACK: Final = ("127.0.0.1", "::1")
_FOREIGN = 0o077
_NAME = re.compile(rf"kernel-{KERNEL_ID}\.json|server-[0-9]{{1,10}}\.json")
_SECRET = re.compile(r"[!-~]{16,512}")
_NONCE = re.compile(r"[0-9a-f]{8,128}")
_STARTED = re.compile(r"[0-9T:.+Z-]{10,40}")
_VERSION = re.compile(r"[0-9A-Za-z.+!_-]{1,64}")
_LONGEST_PLACE = 4096
_LONGEST_SOCKET = 103
"""Bytes of a unix socket's path that every system takes."""


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
    born
        When the process began (`chroma_nb_extension.listeners.born`), if the record says so.
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
    born: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the process that wrote it is there."""
        return _is_alive(self.pid, self.born)


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
        self._announced = False
        self._met: dict[str, Record] = {}

    def of(self, kernel_id: str) -> Record | None:
        """Return a kernel's record; None when there is none.

        Raises
        ------
        UnfitRecordError
            There is one that must not be believed.
        """
        try:
            self._check_folder()
            record = _parsed(_read(self.folder / f"kernel-{kernel_id}.json"))
            if record.kernel_id != kernel_id:
                raise UnfitRecordError("it is another kernel's")
            if _is_alive(record.pid, None):
                self._check_place(record)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnfitRecordError(f"it cannot be read: {error.strerror}") from error
        return record

    def forget_dead(self, known: Iterable[str]) -> None:
        """Delete records of processes that are no more, and the sockets they name.

        Those of the kernels in `known` stay, to tell what became of them.
        """
        kept = {f"kernel-{kernel_id}.json" for kernel_id in known}
        with contextlib.suppress(OSError, UnfitRecordError):
            self._check_folder()
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in itertools.islice(entries, _LISTED)]
            for name in itertools.islice((name for name in names if _NAME.fullmatch(name) and name not in kept), _SWEPT):
                said = _said_by_the_dead(self.folder / name)
                if said is not None:
                    with contextlib.suppress(OSError):
                        (self.folder / name).unlink()
                    _remove_socket(said.get("socket"))

    def announce(self, url: str, base_url: str, version: str) -> None:
        """Write down that this server is here; kernels look for it when they start to serve.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(self.folder)
        content = {
            "schema": SCHEMA,
            "pid": os.getpid(),
            "born": born(os.getpid()),
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
        self._announced = True

    def withdraw(self) -> None:
        """Take this server's record away."""
        if self._announced:
            with contextlib.suppress(OSError, UnfitRecordError):
                self._check_folder()
                self._own.unlink()

    def _check_folder(self) -> None:
        _check(os.lstat(self.folder), stat.S_ISDIR, "its folder")

    def _check_place(self, record: Record) -> None:
        """See that a record leads to its own process; thoroughly when it is met for the first time."""
        if record.socket is not None:
            _check_socket(record.socket)
        if self._met.get(record.kernel_id) == record:
            return
        if record.socket is not None:
            _check_way(record.socket)
        if record.pid == os.getpid() or is_somebody_elses(record.pid, record.socket, record.port):
            raise UnfitRecordError("another process listens at its address")
        self._met[record.kernel_id] = record


def _read(path: Path) -> bytes:
    _check(os.lstat(path), stat.S_ISREG, "it")  # merely to open a pipe or a device can have effects
    handle = os.open(path, os.O_RDONLY | _FLAGS)
    with open(handle, "rb") as file:  # noqa: PTH123 - as above
        _check(os.fstat(handle), stat.S_ISREG, "it")
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise UnfitRecordError(f"it is larger than {_MOST >> 10} KiB")
    return content


def _said_by_the_dead(path: Path) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = _loaded(_read(path))
        # Machines may share a runtime directory, and a process id means another process on each.
        began = said.get("born") if isinstance(said.get("born"), int) else None
        return said if said["machine"] == platform.node() and not _is_alive(int(said["pid"]), began) else None
    except (OSError, UnfitRecordError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _is_alive(pid: int, began: int | None) -> bool:
    if os.name != "posix":
        return bool(check_pid(pid))
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # none, or by now another user's
    return began is None or born(pid) in (None, began)


def _remove_socket(said: Any) -> None:
    """Remove a socket that a kernel has left behind, and the folder that it made for it."""
    path = Path(said) if isinstance(said, str) else None
    if path is None or not path.parent.name.startswith(_SOCKET_FOLDER):
        return
    with contextlib.suppress(OSError, UnfitRecordError, ValueError):
        _check_socket(said)
        _check_way(said)
        if not is_listening(said):
            path.unlink()
            path.parent.rmdir()


def _close_to_others(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(handle).st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        os.fchmod(handle, 0o700)
    finally:
        os.close(handle)


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
    if stat.S_ISREG(found.st_mode) and found.st_nlink != 1:
        raise UnfitRecordError(f"{what} has a second name")


def _check_socket(path: str) -> None:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        raise UnfitRecordError("its socket is not there") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise UnfitRecordError("its socket is none")
    if found.st_uid != os.getuid():
        raise UnfitRecordError("its socket belongs to another user")


def _check_way(path: str) -> None:
    """See that a socket is in a folder that only this user can enter, and that no link leads there."""
    folder, name = os.path.split(path)
    if os.path.join(os.path.realpath(folder), name) != path:  # noqa: PTH118 - as it is written: Path would take dots and slashes out
        raise UnfitRecordError("its socket is behind a link")
    _check(os.lstat(folder), stat.S_ISDIR, "the folder of its socket")


def _loaded(content: bytes) -> Any:
    """Return what JSON says that can be understood in one way only.

    Raises
    ------
    UnfitRecordError
        It is none.
    """
    try:
        return _JSON.decode(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UnfitRecordError("it is not JSON") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)


def _parsed(content: bytes) -> Record:
    given = _loaded(content)
    if not isinstance(given, dict) or given.get("schema") != SCHEMA:
        raise UnfitRecordError(f"its schema is not {SCHEMA}; kernel and server have versions of chroma_nb that are too far apart")
    host, port, socket = given.get("host"), given.get("port"), given.get("socket")
    fits = (
        isinstance(given.get("kernel_id"), str)
        and _is_number(given.get("pid"), 1, 2**31 - 1)
        and _is_text(given.get("nonce"), _NONCE)
        and _is_text(given.get("secret"), _SECRET)
        and _is_text(given.get("started"), _STARTED)
        and _is_text(given.get("version"), _VERSION)
        and isinstance(given.get("place"), str)
        and len(given["place"]) <= _LONGEST_PLACE
        and isinstance(given.get("read_only"), bool)
        and (given.get("born") is None or _is_number(given["born"], 0, 2**63))
    )
    if not fits:
        raise UnfitRecordError("a field is missing or of a wrong type")
    if given.get("machine", platform.node()) != platform.node():
        raise UnfitRecordError("it is another machine's")
    if socket is None:
        if host not in _LOOPBACK or not _is_number(port, 1, 65_535):
            raise UnfitRecordError("its address is not one of this machine's")
    elif not _is_socket(socket) or host is not None or port is not None:
        raise UnfitRecordError("its socket is not an absolute path, or not its only address")
    fields: dict[str, Any] = {name: given.get(name) for name in Record.__dataclass_fields__}
    return Record(**fields)


def _is_socket(value: Any) -> bool:
    if os.name != "posix" or not isinstance(value, str) or "\0" in value or not value.startswith("/"):
        return False
    try:
        return len(os.fsencode(value)) <= _LONGEST_SOCKET
    except UnicodeEncodeError:
        return False


def _is_number(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
