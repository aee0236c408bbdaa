"""Changes of the files beside the records, and of the bytes of the records file itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults import rig
from tests.faults.hostile_ground import LOCK, NUMBERS, RECORDS, SIDES, Ground, Kind, Promise, spoiled

PAGE = 16_384
_HOT = bytes.fromhex("d9d505f920a163d7")
"""What a rollback journal begins with."""


def _pages(ground: Ground) -> int:
    return ground.records.stat().st_size // PAGE


def bytes_flipped(ground: Ground, random: Random) -> str:
    """Flip bits, or overwrite a stretch, anywhere in the records file."""
    data = bytearray(ground.records.read_bytes())
    places = []
    for _ in range(random.choice((1, 1, 3, 20))):
        place = random.randrange(len(data)) if random.random() < 0.7 else random.randrange(_pages(ground)) * PAGE + random.randrange(120)
        data[place] = random.choice((data[place] ^ (1 << random.randrange(8)), 0, 255, random.randrange(256)))
        places.append(place)
    ground.records.write_bytes(data)
    return f"bytes at {places[:5]}"


def pages_torn(ground: Ground, random: Random) -> str:
    """Empty, exchange or repeat pages, or half of one."""
    data = bytearray(ground.records.read_bytes())
    one, other = random.randrange(_pages(ground)) * PAGE, random.randrange(_pages(ground)) * PAGE
    length = random.choice((PAGE, PAGE // 2, 512))
    filling = random.choice((bytes(length), b"\xff" * length, random.randbytes(length), bytes(data[other : other + length])))
    data[one : one + length] = filling
    ground.records.write_bytes(data)
    return f"page {one // PAGE}, {length} bytes"


def header_bytes(ground: Ground, random: Random) -> str:
    """Change the first hundred bytes of the records file: page size, formats, freelist, sizes, encoding."""
    data = bytearray(ground.records.read_bytes())
    place, width = random.choice(
        (
            (16, 2),
            (18, 1),
            (19, 1),
            (20, 1),
            (21, 1),
            (24, 4),
            (28, 4),
            (32, 4),
            (36, 4),
            (40, 4),
            (44, 4),
            (48, 4),
            (52, 4),
            (56, 4),
            (64, 4),
            (92, 4),
            (96, 4),
            (0, 16),
        )
    )
    value = random.choice((0, 1, 2, 3, 255, 4096, 65535, 2**31 - 1, 2**32 - 1, *NUMBERS)) & ((1 << 8 * width) - 1)
    data[place : place + width] = value.to_bytes(width, "big")
    ground.records.write_bytes(data)
    return f"bytes {place} to {place + width} = {value}"


_TABLE_LEAF, _INDEX_LEAF, _TABLE_NODE, _INDEX_NODE = 13, 10, 5, 2


def rows_without_end(ground: Ground, random: Random) -> str:
    """Let a table or an index have all of its pages many times over: a few rows that are read without an end."""
    with ground.connected() as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 1 ORDER BY name").fetchall())
    data = bytearray(ground.records.read_bytes())
    is_table = random.random() < 0.7
    kinds = (_TABLE_LEAF, _TABLE_NODE) if is_table else (_INDEX_LEAF, _INDEX_NODE)
    name = random.choice([name for name, root in roots.items() if data[(root - 1) * PAGE] in kinds])
    root, depth, children = roots[name], random.choice((1, 2, 3, 4)), random.choice((3, 100, 1500, 1500))
    page = bytes(data[(root - 1) * PAGE : root * PAGE])
    separator = _varint(2**55) if is_table else _first_cell(page)
    for _ in range(depth):
        child = len(data) // PAGE + 1
        data += page
        cell = child.to_bytes(4, "big") + separator
        cells = min(children, (PAGE - 12) // (len(cell) + 2))
        start = PAGE - cells * len(cell)
        head = bytes([_TABLE_NODE if is_table else _INDEX_NODE, 0, 0]) + cells.to_bytes(2, "big") + start.to_bytes(2, "big") + b"\0"
        places = b"".join((start + i * len(cell)).to_bytes(2, "big") for i in range(cells))
        page = (head + child.to_bytes(4, "big") + places).ljust(start, b"\0") + cell * cells
    data[(root - 1) * PAGE : root * PAGE] = page
    data[28:32] = (len(data) // PAGE).to_bytes(4, "big")
    ground.records.write_bytes(data)
    return f"{name}: {depth} levels of {children} times the same"


def _varint(number: int) -> bytes:
    """Write a number below 2^56 as SQLite does."""
    found = [number & 127]
    while number := number >> 7:
        found.append(number & 127 | 128)
    return bytes(reversed(found))


def _first_cell(page: bytes) -> bytes:
    """Return the first entry of an index, after its length."""
    if page[3:5] == b"\0\0":
        return b"\x02\x02\x08"  # of an empty index: a record of the number 0
    place = int.from_bytes(page[8:10], "big")
    if page[0] == _INDEX_NODE:
        place = int.from_bytes(page[12:14], "big") + 4
    length = page[place] if page[place] < 128 else (page[place] & 127) << 7 | page[place + 1]
    return page[place : place + length + (1 if page[place] < 128 else 2)]


def cut(ground: Ground, random: Random) -> str:
    """Cut the records file, or extend it."""
    size = ground.records.stat().st_size
    length = random.choice(
        (0, 1, 15, 16, 99, 100, 512, PAGE - 1, PAGE, size - PAGE, size - 1, size + 1, size + PAGE, random.randrange(size), 1 << 33)
    )
    os.truncate(ground.records, length)
    return f"{size} -> {length} bytes"


def _special(path: Path, ground: Ground, random: Random) -> str:
    """Put at a path what is no file of the store's."""
    kind = random.choice(("link", "dangling", "fifo", "folder", "hard link", "link to zero", "link to itself"))
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(ground.outside / random.choice(("precious.txt", "thesis.tmp")))
    elif kind == "dangling":
        path.symlink_to(ground.outside / "made")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "more").write_bytes(b"x")
    elif kind == "hard link":
        path.hardlink_to(ground.outside / "precious.txt")
    elif kind == "link to zero":
        path.symlink_to(random.choice(("/dev/zero", "/dev/full", "/dev/null", "/dev/stdin")))
    else:
        path.symlink_to(path.name)
    return kind


def lock_replaced(ground: Ground, random: Random) -> str:
    """Put something else in the place of the lock, or write into it."""
    path = ground.store / LOCK
    if random.random() < 0.1:
        path.write_bytes(random.randbytes(random.choice((1, 5000))))
        return "bytes in the lock"
    return f"the lock is a {_special(path, ground, random)}"


def side_replaced(ground: Ground, random: Random) -> str:
    """Put something else in the place of the WAL, its index, or the journal."""
    side = random.choice(SIDES)
    return f"{side} is a {_special(Path(f'{ground.records}{side}'), ground, random)}"


def side_garbage(ground: Ground, random: Random) -> str:
    """Leave garbage where the WAL, its index or a journal would be."""
    side = random.choice(SIDES)
    path = Path(f"{ground.records}{side}")
    start = {"-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"), "-shm": (b"\x18\xe2\x2d\x00",), "-journal": (_HOT,)}[side]
    length = random.choice((0, 1, 31, 32, 100, 5000, 32_768, 70_000))
    path.write_bytes(
        (random.choice((*start, b"")) + random.choice((random.randbytes(length), bytes(length), b"\xff" * length)))[: max(length, 1)]
    )
    if random.random() < 0.1:
        os.truncate(path, 1 << 33)
    return f"{side}: {path.stat().st_size} bytes"


def hot_journal(ground: Ground, random: Random) -> str:
    """Leave a rollback journal that asks to be played back, and names another journal that SQLite would delete after it."""
    named = str(
        random.choice(
            (ground.outside / "precious.txt", ground.outside / "weights.cache", ground.store / "notes.txt", "../outside/precious.txt")
        )
    )
    nonce, pages, sector = random.getrandbits(32), random.choice((0, 1, _pages(ground), 2**31)), random.choice((512, 512, 4096, 0, 2**31))
    data = bytearray(_HOT)
    count = random.choice((0, 1, 1, 2**32 - 1))
    for number in (count, nonce, pages, sector, PAGE):
        data += number.to_bytes(4, "big")
    data += bytes(min(max(sector, 28), 4096) - len(data))
    if count:
        number = random.choice((1, 2, _pages(ground), _pages(ground) + 10))
        page = random.choice((bytes(PAGE), random.randbytes(PAGE)))
        total = nonce
        for place in range(PAGE - 200, 0, -200):
            total += page[place]
        data += number.to_bytes(4, "big") + page + (total & 0xFFFFFFFF).to_bytes(4, "big")
    if random.random() < 0.8:
        name = named.encode()
        data += (2**30 // PAGE + 1).to_bytes(4, "big") + name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + _HOT
    Path(f"{ground.records}-journal").write_bytes(data)
    if random.random() < 0.6:  # a store that is not in WAL mode plays it back whoever opens it
        connection = sqlite3.connect(ground.records)
        kept = Path(f"{ground.records}-journal").rename(ground.root / "kept")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        kept.rename(f"{ground.records}-journal")
    return f"a journal of {count} pages that names {named}"


def _unfolded(ground: Ground) -> None:
    """Write something into the WAL and leave it there, as a process does that was killed."""
    connection = sqlite3.connect(ground.records, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    for version in range(3):
        connection.execute("UPDATE tenant SET name = name")
        connection.execute("INSERT OR REPLACE INTO store VALUES ('kept', ?)", (version,))
    kept = {side: Path(f"{ground.records}{side}").read_bytes() for side in SIDES[:2]}
    held = ground.records.read_bytes()
    connection.close()
    ground.records.write_bytes(held)
    for side, data in kept.items():
        Path(f"{ground.records}{side}").write_bytes(data)


def wal_left(ground: Ground, random: Random) -> str:
    """Leave a WAL that belongs there: a store as good as any."""
    _unfolded(ground)
    if random.random() < 0.5:
        Path(f"{ground.records}-shm").unlink()
        return "a WAL without its index"
    return "a WAL"


def wal_spoiled(ground: Ground, random: Random) -> str:
    """Leave a WAL that belongs there, with some of its bytes, or of its index, changed."""
    _unfolded(ground)
    side = random.choice(("-wal", "-wal", "-shm"))
    path = Path(f"{ground.records}{side}")
    path.write_bytes(spoiled(path.read_bytes(), random))
    return f"{side} spoiled, now {path.stat().st_size} bytes"


def records_replaced(ground: Ground, random: Random) -> str:
    """Put a link, a pipe, a device or a folder in the place of the records file."""
    other = ground.outside / "other.sqlite3"
    kind = random.choice(
        ("link", "link", "moved away", "fifo", "folder", "link to zero", "link to itself", "dangling", "missing", "a link to text")
    )
    if kind == "link":
        shutil.copyfile(ground.records, other)
        os.utime(other, (1e9, 1e9))
    if kind == "moved away":
        ground.records.rename(other)
    ground.records.unlink(missing_ok=True)
    if kind in {"link", "moved away"}:
        ground.records.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(ground.records)
    elif kind == "folder":
        ground.records.mkdir()
    elif kind == "link to zero":
        ground.records.symlink_to(random.choice(("/dev/zero", "/dev/full", "/dev/null", "/dev/stdin")))
    elif kind == "link to itself":
        ground.records.symlink_to(RECORDS)
    elif kind == "dangling":
        ground.records.symlink_to(ground.outside / "made")
    elif kind == "a link to text":
        ground.records.symlink_to(ground.outside / "precious.txt")
    if random.random() < 0.5:
        shutil.rmtree(ground.caches, ignore_errors=True)
    return f"the records file: {kind}"


def more_files(ground: Ground, random: Random) -> str:
    """Leave files in the store's folder that are not its own."""
    names = random.sample(
        ("chroma.sqlite3", "chroma_nb.sqlite3.bak", "write.lock.tmp", "sqlite3.py", ".env", "chroma_nb.sqlite3-mj00000000", "link", "pipe"),
        3,
    )
    for name in names:
        path = ground.store / name
        if name == "link":
            path.symlink_to(ground.outside)
        elif name == "pipe":
            os.mkfifo(path)
        else:
            path.write_bytes(b"raise SystemExit\n")
    return f"beside the records: {', '.join(names)}"


def owned_by_another(ground: Ground, random: Random) -> str:
    """Give the store to another user, if this one may."""
    if rig.is_root():
        rig.give_to_nobody(ground.store)
    return f"owned by {ground.store.stat().st_uid}"


def nothing(ground: Ground, random: Random) -> str:
    """Change nothing."""
    return "nothing"


_SMALL = ("few", "saved", "indexed", "first_format", "strange")
_ORDERLY: tuple[Callable[[Ground, Random], str], ...] = (
    bytes_flipped,
    pages_torn,
    rows_without_end,
    header_bytes,
    cut,
    hot_journal,
    wal_spoiled,
    records_replaced,
)
KINDS: dict[str, Kind] = {f"file_{change.__name__}": Kind(change, templates=_SMALL) for change in _ORDERLY} | {
    "file_lock_replaced": Kind(lock_replaced, Promise.HONEST, _SMALL),
    "file_side_replaced": Kind(side_replaced, Promise.HONEST, _SMALL),
    "file_side_garbage": Kind(side_garbage, Promise.HONEST, _SMALL),
    "file_wal_left": Kind(wal_left, Promise.WHOLE, _SMALL),
    "file_more_files": Kind(more_files, Promise.WHOLE),
    "file_owned_by_another": Kind(owned_by_another, Promise.WHOLE),
    "nothing": Kind(nothing, Promise.WHOLE),
}
