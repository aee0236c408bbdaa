"""Ways to damage a file, by name, and the making of the store that is damaged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chroma_nb import PersistentClient
from tests.faults import rig

PAGE = 4096
Damage = Callable[[Path, np.random.Generator], None]


def _region(path: Path, random: np.random.Generator) -> tuple[bytearray, int, int]:
    data = bytearray(path.read_bytes())
    start = int(random.integers(0, max(1, (len(data) + PAGE - 1) // PAGE))) * PAGE
    return data, start, min(len(data), start + PAGE)


def flip(path: Path, random: np.random.Generator) -> None:
    """Turn one bit around somewhere in one block."""
    data, start, stop = _region(path, random)
    data[int(random.integers(start, stop))] ^= 1 << int(random.integers(8))
    path.write_bytes(data)


def zero(path: Path, random: np.random.Generator) -> None:
    """Empty one block, as a file system does after a power cut."""
    data, start, stop = _region(path, random)
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)


def ones(path: Path, random: np.random.Generator) -> None:
    """Fill one block, as dead flash does."""
    data, start, stop = _region(path, random)
    data[start:stop] = b"\xff" * (stop - start)
    path.write_bytes(data)


def truncate(path: Path, random: np.random.Generator) -> None:
    """Cut the end off."""
    os.truncate(path, int(random.integers(1, path.stat().st_size)))


def append(path: Path, random: np.random.Generator) -> None:
    """Add bytes at the end."""
    with path.open("ab") as file:
        file.write(random.bytes(int(random.integers(1, 5000))))


def empty(path: Path, random: np.random.Generator) -> None:
    """Leave a file of no bytes."""
    os.truncate(path, 0)


def delete(path: Path, random: np.random.Generator) -> None:
    """Remove the file."""
    path.unlink()


def folder(path: Path, random: np.random.Generator) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


def text(path: Path, random: np.random.Generator) -> None:
    """Put another kind of file in its place."""
    path.write_text("this is not the file you are looking for\n" * 300)


def header(path: Path, random: np.random.Generator) -> None:
    """Change a number in the first lines."""
    data = bytearray(path.read_bytes())
    digits = [i for i, byte in enumerate(data[:600]) if 48 <= byte <= 57]
    place = int(random.choice(digits))
    data[place] = 48 + (data[place] - 48 + 1) % 10
    path.write_bytes(data)


def same_size(path: Path, random: np.random.Generator) -> None:
    """Replace everything by noise of the same length."""
    path.write_bytes(random.bytes(path.stat().st_size))


ANY: dict[str, Damage] = {
    damage.__name__: damage for damage in (flip, zero, ones, truncate, append, empty, delete, folder, text, header, same_size)
}


def make_store(folder: Path, records: int = 120) -> rig.State:
    """Make a store with two collections whose graphs and columns are saved; return what the first holds."""
    rig.lower_thresholds()
    with PersistentClient(folder) as client:
        for name in ("kept", "other"):
            collection = client.create_collection(name, embedding_function=None)
            state = {f"{name[0]}{i}": 1 for i in range(records)}
            collection.add(**rig.columns(state))
            collection.update(**rig.columns({f"{name[0]}{i}": 2 for i in range(10)}))
            collection.delete(ids=[f"{name[0]}{i}" for i in range(5)])
            collection.build_index()
    return {f"k{i}": 2 if i < 10 else 1 for i in range(5, records)}


def cache_files(store: Path, collection: str) -> dict[str, Path]:
    """Return the saved caches of a collection by kind."""
    return {path.name[len(collection) + 1 :].split("-")[0]: path for path in (store / "caches").glob(f"{collection}-*.cache")}


def copied(store: Path, to: Path) -> Path:
    """Copy a closed store."""
    shutil.copytree(store, to)
    return to
