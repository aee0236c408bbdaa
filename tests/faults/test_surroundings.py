"""A full disk, a folder that may only be read, a folder that goes away."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma_nb
from chroma_nb.client.client import Client
from chroma_nb.errors import InvalidArgumentError, ReadOnlyError, StoreError
from tests.faults import rig

QUICK = 30.0
"""Seconds after which a call on a full disk counts as hanging."""


def judge_crowded(kind: str, folder: Path) -> None:
    with rig.Child("crowded", kind, folder) as child:
        said = child.said()
        status, errors = child.finish()
    assert said is not None, errors
    assert status == 0, errors
    assert not said["wrong"], rig.shown(said["wrong"])
    assert said["records"] > 100
    for failure in said["failures"]:
        assert str(folder / "store") in failure["message"]
        assert failure["seconds"] < QUICK
    if kind == "file system":
        assert all(failure["full"] for failure in said["failures"]), said["failures"]


def test_limit_on_file_size(tmp_path: Path) -> None:
    judge_crowded("limit", tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 6 MB."""
    if not rig.is_root():
        pytest.skip("only root can mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "chroma_nb", str(tmp_path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_full_disk(small_disk: Path) -> None:
    judge_crowded("file system", small_disk)


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Return checksum and time of change per file."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def made(folder: Path) -> rig.State:
    with rig.Child("store_maker", folder) as child:
        said = child.said()
        assert said is not None, child.finish()
        child.finish()
    state: rig.State = said["state"]
    return state


def allow_reading_only(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


needs_root = pytest.mark.skipif(not rig.is_root(), reason="only root can become a user who may not write")


@needs_root
def test_ordinary_user_reads_a_folder_of_another(open_folder: Path) -> None:
    store = open_folder / "store"
    state = made(store)
    allow_reading_only(store)
    before = contents(store)
    with rig.Child("bystander", store) as child:
        said = child.said()
        status, errors = child.finish()
    assert said is not None, errors
    assert (status, errors) == (0, "")
    assert not said["wrong"], rig.shown(said["wrong"])
    assert said["state"] == state
    assert contents(store) == before


@needs_root
def test_ordinary_user_reads_while_the_owner_writes(open_folder: Path) -> None:
    """The reader came when nobody wrote; what is written later it sees all the same."""
    store = open_folder / "store"
    state = made(store)
    allow_reading_only(store)
    with rig.Child("bystander", store, 3) as child:
        said = child.said()
        assert said is not None, child.finish()
        assert (said["state"], said["wrong"]) == (state, [])
        with chroma_nb.PersistentClient(store) as client:
            collection = client.get_collection("kept", embedding_function=None)
            for path in store.iterdir():
                path.chmod(path.stat().st_mode | 0o444)
            for version in (5, 6):
                changes = {f"k{i}": version for i in range(100, 140)}
                collection.upsert(**rig.columns(changes))
                state |= changes
                child.tell(go="on")
                said = child.said()
                assert said is not None, child.finish()
                assert not said["wrong"], rig.shown(said["wrong"])
                assert said["state"] == state
        status, errors = child.finish()
        assert (status, errors) == (0, "")


@needs_root
@pytest.mark.parametrize("lock_file", [True, False], ids=["with lock file", "without lock file"])
def test_ordinary_user_reads_what_a_killed_owner_left(lock_file: bool, open_folder: Path) -> None:
    """The last commits are in the WAL, and nobody may fold it in: they are read, or the refusal says why; never an older state."""
    store = open_folder / "store"
    with rig.Child("peer", store, "a", 1) as child:
        child.tell(do="write", calls=9)
        said = child.said()
        assert said is not None, child.finish()
        state = said["state"]
        child.kill()
    assert (store / "chroma_nb.sqlite3-wal").stat().st_size
    if not lock_file:  # as in a copy
        (store / "chroma_nb.sqlite3-shm").unlink()
    allow_reading_only(store)
    before = contents(store)
    with rig.Child("bystander", store, 1, "shared") as reader:
        said = reader.said()
        status, errors = reader.finish()
    assert said is not None, errors
    assert (status, errors) == (0, "")
    assert contents(store) == before
    if lock_file:
        assert not said["wrong"], rig.shown(said["wrong"])
        assert said["state"] == state
    else:
        assert "copy the folder" in said["refused"]


def test_read_only_by_choice(tmp_path: Path) -> None:
    made(tmp_path / "store")
    before = contents(tmp_path / "store")
    with chroma_nb.PersistentClient(tmp_path / "store", read_only=True) as client:
        collection = client.get_collection("kept", embedding_function=None)
        with pytest.raises(ReadOnlyError, match="reading only"):
            collection.delete(ids=["k50"])
        with pytest.raises(ReadOnlyError):
            client.create_collection("new", embedding_function=None)
        assert collection.count() == 115
    after = contents(tmp_path / "store")
    # SQLite's lock files may stay where they could be made.
    assert {name: digest for name, (digest, _) in after.items() if not name.endswith(("-shm", "-wal"))} == {
        name: digest for name, (digest, _) in before.items()
    }


def filled(folder: Path, key: str) -> tuple[Client, Any]:
    client = chroma_nb.PersistentClient(folder)
    collection = client.create_collection("kept", embedding_function=None)
    collection.add([key], embeddings=[[1, 2, 3]])
    return client, collection


def swap_folder(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def remove_file(folder: Path) -> None:
    for path in folder.glob("chroma_nb.sqlite3*"):
        path.unlink()


def file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


@pytest.mark.parametrize("go", [swap_folder, remove_folder, remove_file, file_in_its_place], ids=lambda go: go.__name__)
def test_folder_goes_away_under_an_open_client(go: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "store"
    client, collection = filled(folder, "old")
    go(folder)
    for call in (
        collection.count,
        collection.get,
        lambda: collection.query([[1, 2, 3]]),
        lambda: collection.add(["b"], embeddings=[[4, 5, 6]]),
        client.list_collections,
    ):
        with pytest.raises(StoreError, match="removed or replaced"):
            call()
    if folder.is_file():
        with pytest.raises(InvalidArgumentError, match="is a file"):
            chroma_nb.PersistentClient(folder)
        folder.unlink()
    # The old client is still open, as it is in a notebook whose first cell is run again.
    newer, fresh = filled(folder, "new")
    assert fresh.get().index.tolist() == ["new"]
    with pytest.raises(StoreError):
        collection.count()
    client.close()
    assert fresh.get().index.tolist() == ["new"]
    fresh.add(["more"], embeddings=[[1, 1, 1]])
    newer.close()
    with chroma_nb.PersistentClient(folder) as again:
        assert again.get_collection("kept", embedding_function=None).get().index.tolist() == ["new", "more"]


def test_replaced_by_another_process(tmp_path: Path) -> None:
    """Closing the client of a folder that was replaced does nothing to the store that is there now, whose WAL is in use."""
    folder = tmp_path / "store"
    client, collection = filled(folder, "old")
    folder.rename(tmp_path / "moved")
    with rig.Child("peer", folder, "a", 1) as child:
        child.tell(do="write", calls=4)
        said = child.said()
        assert said is not None, child.finish()
        with pytest.raises(StoreError, match="removed or replaced"):
            collection.count()
        client.close()
        child.tell(do="write", calls=4)
        said = child.said()
        assert said is not None, child.finish()
        expected = said["state"]
        with rig.Child("peer", folder, "b", 2) as other:
            other.tell(do="audit")
            said = other.said()
            assert said is not None, other.finish()
            assert (said["state"], said["wrong"]) == (expected, [])
