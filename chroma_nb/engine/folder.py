"""What the files of a store may be, and the only way to its cache files.

A folder may have come from anybody, so nothing in it leads out of it: the records file, what SQLite keeps beside it and the lock are
plain files with one name; the caches lie in a real folder, under names of our own form, and are reached through a handle of that folder
where the platform has such. Must not live here: what is in the files. Called by the database and the caches.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from chroma_nb.errors import DatabaseCorruptedError

_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-(?:columns|graph)-[0-9]{1,16}-[0-9a-f]{8}\.cache", re.ASCII)
_HANDLES = hasattr(os, "O_DIRECTORY") and {os.open, os.unlink, os.rename} <= os.supports_dir_fd
_READ = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # not every platform has all of them
    _READ |= getattr(os, _flag, 0)
_JOURNAL_END = bytes.fromhex("d9d505f920a163d7")


def check(path: Path, *, shared: bool = False) -> None:
    """Refuse a file of a store that is there and is not a plain one: to open it may block, or reach another place.

    Parameters
    ----------
    shared
        Whether it may have other names (hard links), because nothing is going to be written.

    Raises
    ------
    DatabaseCorruptedError
        It is a link, a pipe, a device, a folder, or has another name.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if _is_link(status):
        found = "a link"
    elif not stat.S_ISREG(status.st_mode):
        found = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
    elif status.st_nlink > 1 and not shared:
        found = "a file that has another name too (a hard link)"
    else:
        return
    raise DatabaseCorruptedError(f"{path}: is {found}, where a store has a plain file; nothing was changed. Remove it, or copy the store")


def check_records(records: Path, *, read_only: bool) -> None:
    """Refuse to let SQLite open a records file that is no plain file, or has such a thing beside it.

    Raises
    ------
    DatabaseCorruptedError
        As `check` says; also for a journal that would make SQLite delete a file of any name.
    """
    check(records, shared=read_only)
    for suffix in ("-wal", "-shm", "-journal"):
        check(records.with_name(records.name + suffix))
    journal = records.with_name(records.name + "-journal")
    # A journal that ends like this names another one, of a transaction over several files (ours have one), and to recover from
    # it SQLite deletes that file.
    if _end(journal, len(_JOURNAL_END)) == _JOURNAL_END:
        raise DatabaseCorruptedError(f"{journal}: names a file outside of the store; nothing was changed. Remove it, or copy the store")


def _end(path: Path, length: int) -> bytes:
    try:
        with _plain(os.open(path, _READ)) as file:
            file.seek(-min(length, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read(length)
    except FileNotFoundError:
        return b""


def _plain(handle: int) -> BinaryIO:
    """Return the file behind a descriptor, which is closed when that is no plain file."""
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise ValueError("it is no plain file")


def _is_link(status: os.stat_result) -> bool:
    attributes: int = getattr(status, "st_file_attributes", 0)  # Windows, where a junction is no symbolic link
    return stat.S_ISLNK(status.st_mode) or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def is_own(folder: Path, records: Path) -> bool:
    """Tell whether a store is this user's; where files have no owners, it is."""
    if not hasattr(os, "geteuid"):
        return True
    return all(path.stat().st_uid == os.geteuid() for path in (folder, records))


def new_name(collection: str, kind: str, seq: int) -> str:
    """Return a name for a cache file that no other has."""
    return f"{collection}-{kind}-{seq}-{secrets.token_hex(4)}.cache"


def is_name(name: object) -> bool:
    """Tell whether a name from the records file is of the form that `new_name` gives."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def has_caches(folder: Path) -> bool:
    """Tell whether there is anything in the caches folder `folder`."""
    try:
        with opened(folder) as files:
            return next(files.names(), None) is not None
    except OSError:
        return False


@contextlib.contextmanager
def opened(folder: Path, *, make: bool = False) -> Iterator[CacheFiles]:
    """Give the files of the caches folder `folder`; with `make` it is made if need be.

    Raises
    ------
    OSError
        It is not there, or is a link, or no folder.
    """
    if make:
        folder.mkdir(mode=0o700, exist_ok=True)
    if _is_link(folder.lstat()):
        raise NotADirectoryError(f"{folder} is a link")
    if not _HANDLES:
        yield CacheFiles(folder, None)
        return
    handle = os.open(folder, _READ | os.O_DIRECTORY)
    try:
        yield CacheFiles(folder, handle)
    finally:
        os.close(handle)


class CacheFiles:
    """The files of a caches folder; every name must be of our form.

    Parameters
    ----------
    folder, handle
        The folder, and a descriptor of it; without one, files are reached by their paths.
    """

    def __init__(self, folder: Path, handle: int | None) -> None:
        self._folder, self._handle = folder, handle

    def _place(self, name: str) -> str:
        return name if self._handle is not None else str(self._folder / name)

    def _status(self, name: str) -> os.stat_result:
        return os.stat(self._place(name), dir_fd=self._handle, follow_symlinks=False)

    def names(self) -> Iterator[str]:
        """Yield the names of everything that is there, ours or not."""
        with os.scandir(self._folder if self._handle is None else self._handle) as found:
            for each in found:
                yield each.name

    def read(self, name: str, size: int) -> NDArray[np.uint8]:
        """Return the bytes of a file.

        Raises
        ------
        OSError, ValueError
            It cannot be read, is no plain file, or has not exactly `size` bytes.
        """
        if not is_name(name):
            raise ValueError("its name is not of our form")
        if _is_link(self._status(name)):  # not every platform has O_NOFOLLOW
            raise ValueError("it is a link")
        with _plain(os.open(self._place(name), _READ, dir_fd=self._handle)) as file:
            if os.fstat(file.fileno()).st_size != size:
                raise ValueError("its size differs")
            return np.fromfile(file, dtype=np.uint8, count=size)

    def write(self, name: str, pieces: Iterable[Any]) -> None:
        """Write a new file; it is there as a whole or not at all, and durable."""
        temporary = f"{name.removesuffix('.cache')}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            with os.fdopen(os.open(self._place(temporary), flags, 0o600, dir_fd=self._handle), "wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.rename(self._place(temporary), self._place(name), src_dir_fd=self._handle, dst_dir_fd=self._handle)
        except BaseException:
            # On a full disk what is half written is in the way of everything else.
            self._unlink(temporary)
            raise
        if self._handle is not None:
            os.fsync(self._handle)

    def remove(self, name: str) -> None:
        """Remove a file, if it can be removed; one whose name is not of our form stays."""
        if is_name(name):
            self._unlink(name)

    def remove_strays(self, kept: set[str], older_than: float) -> None:
        """Remove our files that are not `kept`, finished or not, if they are older than `older_than`, so that nobody is writing them."""
        for name in list(self.names()):
            if name not in kept and is_name(f"{name.removesuffix('.tmp').removesuffix('.cache')}.cache"):
                with contextlib.suppress(OSError):
                    if self._status(name).st_mtime < older_than:
                        self._unlink(name)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._place(name), dir_fd=self._handle)
