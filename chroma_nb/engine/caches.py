"""Files beside the records file that save work and never carry truth.

A file is a header (JSON) and arrays (raw bytes). SQLite names it together with the sha256 of its bytes; only a file that
SQLite names, of this store and collection, with exactly those bytes, is believed. Everything else is ignored, reported once
and made anew. The bytes that were hashed are the bytes that are used: nothing is read twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.database import CACHES, Database
from chroma_nb.engine.schema import span
from chroma_nb.errors import ChromaError

_MAGIC = b"chroma_nb cache 1\n"
_ALIGNED = 64
_log = logging.getLogger("chroma_nb")


@dataclass(frozen=True, eq=False)
class Cache:
    """A verified cache file: what it says of itself, and its arrays (read-only views of one buffer)."""

    seq: int
    header: Mapping[str, Any]
    arrays: list[NDArray[Any]]


def save(database: Database, entry: Entry, kind: str, seq: int, header: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> bool:
    """Write a cache of `entry` as of `seq` and have SQLite vouch for it; failing is a warning, never an error."""
    if database.folder is None or database.read_only:
        return False
    folder = database.folder / CACHES
    name = f"{entry.info.id}-{kind}-{seq}-{secrets.token_hex(4)}.cache"
    path = folder / name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        size, digest = _write(path, {"collection": entry.info.id, "kind": kind, "seq": seq, **header}, arrays)
        replaced = _register(database, entry, kind, seq, name, size, digest)
    except (OSError, ChromaError) as error:
        _log.warning("chroma_nb: the %s cache of collection %r was not saved (%s); answers are not affected", kind, entry.info.name, error)
        replaced = path
    if replaced is not None:
        with contextlib.suppress(OSError):
            replaced.unlink()
    return replaced != path


def _write(path: Path, header: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> tuple[int, str]:
    described = [{"dtype": array.dtype.str, "shape": array.shape} for array in arrays]
    head = orjson.dumps({**header, "arrays": described})
    start = _MAGIC + len(head).to_bytes(8, "little") + head
    digest = hashlib.sha256()
    size = 0
    temporary = path.with_suffix(".tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in (start, *(np.ascontiguousarray(array).data.cast("B") if array.size else b"" for array in arrays)):
                padding = b"\0" * (-len(piece) % _ALIGNED)
                for part in (piece, padding):
                    file.write(part)
                    digest.update(part)
                    size += len(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        # On a full disk what is half written is in the way of everything else.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)
    return size, digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _register(database: Database, entry: Entry, kind: str, seq: int, name: str, size: int, digest: str) -> Path | None:
    """Enter the file in SQLite; return the file to remove: the one replaced, or this one if it is out of date already."""
    assert database.folder is not None  # noqa: S101
    folder = database.folder / CACHES
    with database.write() as connection:
        exists = connection.execute("SELECT 1 FROM collection WHERE number = ? AND id = ?", (entry.number, entry.info.id)).fetchone()
        held = connection.execute("SELECT seq, file FROM cache WHERE collection = ? AND kind = ?", (entry.number, kind)).fetchone()
        if exists is None or (held is not None and held[0] > seq):
            return folder / name
        connection.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?, ?)", (entry.number, kind, seq, name, size, digest))
        if kind == "columns":
            _forget_journal(connection, entry, seq)
    return None if held is None else folder / held[1]


_JOURNAL_KEPT = 1000


def _forget_journal(connection: sqlite3.Connection, entry: Entry, seq: int) -> None:
    """Drop journal lines that the saved columns make needless, but for a stretch other processes may still want."""
    floor = seq - _JOURNAL_KEPT
    if floor <= entry.floor:
        return

    connection.execute("DELETE FROM change WHERE key BETWEEN ? AND ?", span(entry.number, 0, floor))
    connection.execute("UPDATE collection SET floor = ? WHERE number = ?", (floor, entry.number))


def load(database: Database, connection: sqlite3.Connection, entry: Entry, kind: str) -> Cache | None:
    """Return the verified cache of this kind, or None when there is none to be believed."""
    if database.folder is None:
        return None
    row = connection.execute("SELECT seq, file, size, sha256 FROM cache WHERE collection = ? AND kind = ?", (entry.number, kind)).fetchone()
    if row is None:
        return None
    seq, name, size, sha256 = row
    try:
        cache = _verified(database.folder / CACHES / name, size, sha256)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not _is_replaced(database, entry, kind, name):
            _log.warning("chroma_nb: the %s cache of collection %r is not usable (%s); it will be made anew", kind, entry.info.name, error)
        return None
    if cache.header.get("collection") != entry.info.id or cache.header.get("kind") != kind or cache.seq != seq or seq > entry.seq:
        _log.warning("chroma_nb: the %s cache of collection %r belongs elsewhere; it will be made anew", kind, entry.info.name)
        return None
    return cache


def _is_replaced(database: Database, entry: Entry, kind: str, name: str) -> bool:
    """Tell whether another process has put a newer file in the place of this one since the read began."""
    with database.read() as connection:
        row = connection.execute("SELECT file FROM cache WHERE collection = ? AND kind = ?", (entry.number, kind)).fetchone()
    return row is None or row[0] != name


def _verified(path: Path, size: int, sha256: str) -> Cache:
    if path.stat().st_size != size:
        raise ValueError("its size differs")
    data = np.fromfile(path, dtype=np.uint8)
    if len(data) != size or hashlib.sha256(data.data).hexdigest() != sha256:
        raise ValueError("its checksum differs")
    start = len(_MAGIC) + 8
    if data[: len(_MAGIC)].tobytes() != _MAGIC:
        raise ValueError("another format")
    length = int.from_bytes(data[len(_MAGIC) : start].tobytes(), "little")
    header = orjson.loads(data[start : start + length].tobytes())
    place = _padded(start + length)
    arrays = []
    for described in header["arrays"]:
        dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
        end = place + dtype.itemsize * int(np.prod(shape))
        arrays.append(data[place:end].view(dtype).reshape(shape))
        place = _padded(end)
    return Cache(header["seq"], header, arrays)


def _padded(length: int) -> int:
    return length + -length % _ALIGNED


def remove_strays(database: Database, connection: sqlite3.Connection, older_than: float) -> None:
    """Delete files in the caches folder that SQLite does not name and that nobody is writing (older than `older_than`)."""
    if database.folder is None or database.read_only:
        return
    folder = database.folder / CACHES
    if not folder.is_dir():
        return
    named = {name for (name,) in connection.execute("SELECT file FROM cache")}
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.name not in named and path.suffix in {".cache", ".tmp"} and path.stat().st_mtime < older_than:
                path.unlink()
