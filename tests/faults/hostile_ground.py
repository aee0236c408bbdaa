"""The ground of one case of the store fuzzer: a store that is about to be changed, and what lies beside it and is none of the store's.

Lives here: copying a template there, ways into its SQLite file that keep no rule, odd values, and noticing that something beside
the store was touched. Must not live here: what is changed (`hostile_rows`, `hostile_schema`, `hostile_caches`, `hostile_files`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

RECORDS = "chroma_nb.sqlite3"
SIDES = ("-wal", "-shm", "-journal")
LOCK = "write.lock"
OLD = 1_000_000_000.0
"""A time of long ago: what is that old in the caches folder counts as left behind."""
_BESIDE = re.compile(rf"store/({re.escape(RECORDS)}(-wal|-shm|-journal)|{re.escape(LOCK)})")
_OURS = re.compile(rf"{_BESIDE.pattern}|store/({re.escape(RECORDS)}|caches(/[^/]+\.(cache|tmp))?)")

NUMBERS = (-1, 0, 1, 2, 7, 255, 2**31 - 1, 2**31, 2**32, 2**40 - 1, 2**40, 2**53 + 1, 2**62, 2**63 - 1, -2, -(2**31), -(2**40), -(2**63))
FLOATS = (0.5, -0.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), 2.0**63)
TEXTS = ("", "x", "NaN", "-1", "1e999", "0x10", "a\0b", "\u202eabc\x1b[2J", "é" * 100, "../../x", "y" * 100_000, "[]", "{}", "null", "٣")
DEEP = b"[" * 100_000
BLOBS = (b"", b"\0", b"\xff\xfe\xfd", b"\xed\xa0\x80", b"null", b"{}", b"[1]", b'{"a":' * 50_000, DEEP, bytes(1 << 20), b"\x80" * 7)


class Promise(Enum):
    """What a reader of a changed store may expect."""

    WHOLE = "every record is read as it was stored"
    HONEST = "every record is read as it was stored, or an error says why not"
    ORDERLY = "an answer or one of our errors; nothing else happens"


class Kind(NamedTuple):
    """One way to change a store; `change` returns in words what it did."""

    change: Callable[[Ground, Random], str]
    promise: Promise = Promise.ORDERLY
    templates: tuple[str, ...] = ("few", "saved", "indexed", "saved", "indexed", "few", "first_format", "strange", "large")


@dataclass(frozen=True)
class Ground:
    """The folder of a case."""

    root: Path

    @property
    def store(self) -> Path:
        """The store's folder."""
        return self.root / "store"

    @property
    def records(self) -> Path:
        """Its SQLite file."""
        return self.store / RECORDS

    @property
    def caches(self) -> Path:
        """Its folder of caches."""
        return self.store / "caches"

    @property
    def size(self) -> int:
        """Bytes that the store takes on the disk; holes in files take none."""
        return sum(path.lstat().st_blocks * 512 for path in self.store.rglob("*") if not path.is_symlink())

    @property
    def outside(self) -> Path:
        """A folder that is somebody else's."""
        return self.root / "outside"

    @classmethod
    def lay(cls, root: Path, template: Path) -> Ground:
        """Copy a template, and put other things beside it."""
        ground = cls(root)
        shutil.copytree(template, ground.store)
        (ground.store / "notes.txt").write_bytes(b"kept beside the records\n")
        for folder in ("outside", "outside/deeper", "home", "tmp"):
            (root / folder).mkdir()
        for name in ("precious.txt", "thesis.tmp", "weights.cache", "deeper/more.cache"):
            path = ground.outside / name
            path.write_bytes(name.encode() * 20)
            os.utime(path, (OLD, OLD))
        return ground

    @contextlib.contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Give a connection on which the schema can be written to; commits at the end."""
        connection = sqlite3.connect(self.records, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("BEGIN")
            yield connection
            if connection.in_transaction:
                connection.execute("COMMIT")
        finally:
            connection.close()

    @contextlib.contextmanager
    def unruled(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to which the columns have no types and may be NULL; the schema is as it was at the end."""
        with self.connected() as connection:
            kept = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL").fetchall()
            for name, sql in kept:
                if name != "sqlite_sequence":
                    connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (_unruled(sql), name))
        try:
            with self.connected() as connection:
                yield connection
        finally:
            with self.connected() as connection:
                for name, sql in kept:
                    connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (sql, name))


def _unruled(sql: str) -> str:
    sql = re.sub(r"\bINTEGER PRIMARY KEY( AUTOINCREMENT)?", "INTEGER_PRIMARY_KEY", sql)
    sql = re.sub(r"\b(TEXT|BLOB|INTEGER)\b|\bNOT NULL\b", "", sql)
    return sql.replace("INTEGER_PRIMARY_KEY", "INTEGER PRIMARY KEY")


Bound: TypeAlias = tuple[str, Any]
"""An expression of SQL with one parameter, and the parameter."""


def odd(random: Random) -> Bound:
    """Draw a value that a column was not made for."""
    drawn = random.randrange(8)
    if drawn < 3:
        return "?", random.choice(NUMBERS)
    if drawn == 3:
        return "?", random.choice(FLOATS)
    if drawn == 4:
        return "?", random.choice(TEXTS)
    if drawn == 5:
        return "?", random.choice(BLOBS)
    if drawn == 6:
        return "CAST(? AS TEXT)", random.choice(BLOBS)
    return "?", None


def spoiled(data: bytes, random: Random) -> bytes:
    """Change some bytes: flip, cut, extend, repeat, overwrite."""
    drawn, changed = random.randrange(6), bytearray(data)
    if not changed or drawn == 0:
        return bytes(changed) + random.randbytes(random.choice((1, 7, 64, 5000)))
    place = random.randrange(len(changed))
    if drawn == 1:
        changed[place] ^= 1 << random.randrange(8)
    elif drawn == 2:
        del changed[place:]
    elif drawn == 3:
        changed[place : place + 8] = random.choice(NUMBERS).to_bytes(8, random.choice(("little", "big")), signed=True)
    elif drawn == 4:
        changed[place:place] = changed[: random.randrange(1, 2 + len(changed) // 2)]
    else:
        length = random.randrange(1, 1 + min(4096, len(changed)))
        changed[place : place + length] = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    return bytes(changed)


Seen: TypeAlias = dict[str, tuple[object, ...]]


def seen(ground: Ground, *, whole: bool) -> Seen:
    """Return what lies on the ground, without what the store may change of its own files: with `whole`, those beside the records only."""
    own = _BESIDE if whole else _OURS
    found: Seen = {}
    for folder, folders, files in os.walk(ground.root):
        for name in (*folders, *files):
            path = Path(folder, name)
            place = str(path.relative_to(ground.root))
            if not own.fullmatch(place):
                found[place] = _look(path)
    return found


def _look(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        return kind, str(path.readlink())
    if kind == stat.S_IFDIR:
        return kind, status.st_mode
    held = hashlib.sha256(path.read_bytes()).hexdigest() if kind == stat.S_IFREG and status.st_size < 1 << 24 else status.st_size
    return kind, status.st_mode, status.st_uid, status.st_ino, status.st_mtime_ns, held


def touched(before: Seen, after: Seen) -> list[str]:
    """Say what is no longer as it was."""
    said = [f"{place} is gone" for place in before.keys() - after.keys()]
    said += [f"{place} is new" for place in after.keys() - before.keys()]
    return said + [
        f"{place} was changed: {before[place]} -> {after[place]}" for place in before.keys() & after.keys() if before[place] != after[place]
    ]
