"""Files beside the records file that save work and never carry truth.

A file is a header (JSON) and arrays (raw bytes). SQLite names it together with the sha256 of its bytes; only a file that
SQLite names, of this store and collection, with exactly those bytes, is looked at. Everything else is ignored, reported once
and made anew. The bytes that were hashed are the bytes that are used: nothing is read twice. The checksum finds damage, not malice:
whoever made the folder made both. So what a cache says is checked once more by whoever makes something of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb.engine import folder
from chroma_nb.engine.catalog import Entry
from chroma_nb.engine.database import CACHES, Database
from chroma_nb.engine.scanning import scanning
from chroma_nb.engine.schema import span
from chroma_nb.errors import ChromaError, DatabaseCorruptedError

T = TypeVar("T")
_MAGIC = b"chroma_nb cache 1\n"
_ALIGNED = 64
_DTYPES: Final = {np.dtype(kind).str: np.dtype(kind) for kind in ("i1", "u1", "i4", "u4", "i8", "u8", "f8")}
_log = logging.getLogger("chroma_nb")


@dataclass(frozen=True, eq=False)
class Cache:
    """A cache file with the bytes that SQLite vouches for: what it says of itself, and its arrays (views of one buffer)."""

    seq: int
    header: Mapping[str, Any]
    arrays: list[NDArray[Any]]


def save(database: Database, entry: Entry, kind: str, seq: int, header: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> bool:
    """Write a cache of `entry` as of `seq` and have SQLite vouch for it; failing is a warning, never an error."""
    if database.folder is None or database.read_only:
        return False
    name = folder.new_name(entry.info.id, kind, seq)
    try:
        with folder.opened(database.folder / CACHES, make=True) as files:
            described = {"collection": entry.info.id, "kind": kind, "seq": seq, **header}
            pieces = _Pieces(described, arrays)
            files.write(name, pieces)
            replaced: str | None = name
            try:
                replaced = _register(database, entry, kind, seq, name, pieces.size, pieces.digest.hexdigest())
            finally:
                if replaced is not None:
                    files.remove(replaced)
    except (OSError, ChromaError) as error:
        _log.warning("chroma_nb: the %s cache of collection %r was not saved (%s); answers are not affected", kind, entry.info.name, error)
        return False
    return replaced != name


class _Pieces:
    """The bytes of a cache file, one after the other; when all were taken, their number and digest."""

    def __init__(self, header: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        described = [{"dtype": array.dtype.str, "shape": array.shape} for array in arrays]
        head = orjson.dumps({**header, "arrays": described})
        self._start = _MAGIC + len(head).to_bytes(8, "little") + head
        self._arrays = arrays
        self.size = 0
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[Any]:
        for piece in (self._start, *(np.ascontiguousarray(array).data.cast("B") if array.size else b"" for array in self._arrays)):
            for part in (piece, b"\0" * (-len(piece) % _ALIGNED)):
                self.digest.update(part)
                self.size += len(part)
                yield part


def _register(database: Database, entry: Entry, kind: str, seq: int, name: str, size: int, digest: str) -> str | None:
    """Enter the file in SQLite; return the name to remove: of the one replaced, or of this one if it is out of date already."""
    with database.write() as connection:
        now = connection.execute("SELECT seq FROM collection WHERE number = ? AND id = ?", (entry.number, entry.info.id)).fetchone()
        held = connection.execute("SELECT seq, file FROM cache WHERE collection = ? AND kind = ?", (entry.number, kind)).fetchone()
        # One that claims to be newer than the collection itself is of another store, or a lie.
        if now is None or (held is not None and type(held[0]) is type(now[0]) is int and seq < held[0] <= now[0]):
            return name
        connection.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?, ?)", (entry.number, kind, seq, name, size, digest))
        if kind == "columns":
            _forget_journal(connection, entry, seq)
    return held[1] if held is not None and folder.is_name(held[1]) else None


_JOURNAL_KEPT = 1000


def _forget_journal(connection: sqlite3.Connection, entry: Entry, seq: int) -> None:
    """Drop journal lines that the saved columns make needless, but for a stretch other processes may still want."""
    floor = seq - _JOURNAL_KEPT
    if floor <= entry.floor:
        return
    with scanning(connection):
        connection.execute("DELETE FROM change WHERE key BETWEEN ? AND ?", span(entry.number, 0, floor))
    connection.execute("UPDATE collection SET floor = ? WHERE number = ?", (floor, entry.number))


def load(
    database: Database, connection: sqlite3.Connection, entry: Entry, kind: str, most: int, made: Callable[[Cache], T | None]
) -> T | None:
    """Return what `made` makes of the cache of this kind, or None when there is none to be believed.

    Parameters
    ----------
    most
        Bytes that such a cache of this collection may have.
    made
        Checks every number it uses; raises DatabaseCorruptedError for what is not right, or what Python does when the header is not ours.
    """
    if database.folder is None:
        return None
    row = connection.execute("SELECT seq, file, size, sha256 FROM cache WHERE collection = ? AND kind = ?", (entry.number, kind)).fetchone()
    if row is None:
        return None
    name = row[1]
    try:
        return made(_verified(database.folder / CACHES, row, most, entry, kind))
    except (OSError, AttributeError, LookupError, TypeError, ValueError, DatabaseCorruptedError) as error:
        if not _is_replaced(database, entry, kind, name):
            _log.warning("chroma_nb: the %s cache of collection %r is not usable (%s); it will be made anew", kind, entry.info.name, error)
        return None


def _is_replaced(database: Database, entry: Entry, kind: str, name: str) -> bool:
    """Tell whether another process has put a newer file in the place of this one since the read began."""
    with database.read() as connection:
        row = connection.execute("SELECT file FROM cache WHERE collection = ? AND kind = ?", (entry.number, kind)).fetchone()
    return row is None or row[0] != name


def _verified(place: Path, row: tuple[Any, ...], most: int, entry: Entry, kind: str) -> Cache:
    seq, name, size, sha256 = row
    if not isinstance(size, int) or not len(_MAGIC) <= size <= most:
        raise ValueError(f"{size!r} bytes are too few or too many")
    with folder.opened(place) as files:
        data = files.read(name, size)
    if hashlib.sha256(data.data).hexdigest() != sha256:
        raise ValueError("its checksum differs")
    cache = _parsed(data)
    if cache.header.get("collection") != entry.info.id or cache.header.get("kind") != kind or not cache.seq == seq <= entry.seq:
        raise ValueError("it belongs elsewhere")
    return cache


def _parsed(data: NDArray[np.uint8]) -> Cache:
    start = len(_MAGIC) + 8
    if data[: len(_MAGIC)].tobytes() != _MAGIC:
        raise ValueError("another format")
    length = int.from_bytes(data[len(_MAGIC) : start].tobytes(), "little")
    header = orjson.loads(data[start : start + length].tobytes())
    if not isinstance(header, dict) or type(header["seq"]) is not int or not isinstance(header["arrays"], list):
        raise TypeError("its header is not one of ours")
    place = _padded(start + length)
    arrays = []
    for described in header["arrays"]:
        dtype, (size,) = _DTYPES[described["dtype"]], described["shape"]
        if type(size) is not int or not 0 <= size * dtype.itemsize <= len(data) - place:
            raise ValueError("an array of it goes beyond its end")
        end = place + dtype.itemsize * size
        arrays.append(data[place:end].view(dtype))
        place = _padded(end)
    return Cache(header["seq"], header, arrays)


def _padded(length: int) -> int:
    return length + -length % _ALIGNED


def remove_strays(database: Database, connection: sqlite3.Connection, older_than: float) -> None:
    """Delete our files in the caches folder that SQLite does not name and that nobody is writing (older than `older_than`)."""
    if database.folder is None or database.read_only:
        return
    with scanning(connection):
        named = {name for (name,) in connection.execute("SELECT file FROM cache")}
    with contextlib.suppress(OSError), folder.opened(database.folder / CACHES) as files:
        files.remove_strays(named, older_than)
