"""Damaged, missing or foreign cache files: every answer stays right, one warning says so, and the file is made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from chroma_nb import PersistentClient
from tests.faults import damage, rig

KINDS = ("graph", "columns")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, rig.State]:
    """Return a closed store with saved caches, and what its first collection holds."""
    folder = tmp_path_factory.mktemp("caches") / "store"
    with rig.Child("store_maker", folder) as child:
        said = child.said()
        assert said is not None, child.finish()
    return folder, said["state"]


def collections(store: Path) -> dict[str, str]:
    """Return the collections' ids by name."""
    with PersistentClient(store) as client:
        return {collection.name: str(collection.id) for collection in client.list_collections()}


def judge(cases: dict[str, Path], state: rig.State, *, warned: int = 1) -> None:
    """Have a process read each damaged store; fail on anything but right answers and a warning."""
    waiting = list(cases)
    with rig.Child("victim", "caches", *cases.values()) as child:
        for said in child.lines():
            case = waiting.pop(0)
            assert not said["wrong"], f"{case}: {rig.shown(said['wrong'])}"
            assert said["state"] == state, f"{case}: other records"
            assert len(said["warnings"]) == warned, f"{case}: {said['warnings']}"
            assert not said["later"], f"{case}: the file was not made anew: {said['later']}"
            assert said["rebuilt"], f"{case}: there is no graph at the end"
        status, errors = child.finish()
    assert not waiting, f"{waiting[0]}: the process ended with status {status}: {errors[-2000:]}"
    assert status == 0, errors


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_noticed(kind: str, store: tuple[Path, rig.State], tmp_path: Path) -> None:
    folder, state = store
    kept = collections(folder)["kept"]
    cases = {}
    for i, name in enumerate([*damage.ANY, "flip", "flip", "flip", "flip", "zero", "zero", "truncate"]):
        copy = damage.copied(folder, tmp_path / f"{i}-{name}")
        damage.ANY[name](damage.cache_files(copy, kept)[kind], np.random.default_rng(i))
        cases[f"{kind}: {name} {i}"] = copy
    judge(cases, state)


def test_files_of_elsewhere_are_not_believed(store: tuple[Path, rig.State], tmp_path: Path) -> None:
    folder, state = store
    names = collections(folder)
    cases = {}
    for kind in KINDS:
        copy = damage.copied(folder, tmp_path / f"other-{kind}")
        shutil.copyfile(damage.cache_files(copy, names["other"])[kind], damage.cache_files(copy, names["kept"])[kind])
        cases[f"{kind} of another collection"] = copy
        copy = damage.copied(folder, tmp_path / f"swapped-{kind}")
        files = damage.cache_files(copy, names["kept"])
        shutil.copyfile(files[KINDS[1 - KINDS.index(kind)]], files[kind])
        cases[f"the other kind in the place of {kind}"] = copy
    judge(cases, state)


def test_older_file_put_back(store: tuple[Path, rig.State], tmp_path: Path) -> None:
    folder, state = store
    copy = damage.copied(folder, tmp_path / "newer")
    names = collections(copy)
    older = {kind: path.read_bytes() for kind, path in damage.cache_files(copy, names["kept"]).items()}
    with rig.Child("store_maker", copy, "more") as child:
        said = child.said()
        assert said is not None, child.finish()
        child.finish()
    cases = {}
    for kind in KINDS:
        back = damage.copied(copy, tmp_path / f"older-{kind}")
        damage.cache_files(back, names["kept"])[kind].write_bytes(older[kind])
        cases[f"older {kind}"] = back
    judge(cases, said["state"])
    assert said["state"] != state


def test_no_caches_folder_at_all(store: tuple[Path, rig.State], tmp_path: Path) -> None:
    folder, state = store
    gone, file = damage.copied(folder, tmp_path / "gone"), damage.copied(folder, tmp_path / "file")
    shutil.rmtree(gone / "caches")
    judge({"no folder": gone}, state, warned=2)
    shutil.rmtree(file / "caches")
    (file / "caches").write_text("in the way")
    with rig.Child("victim", "caches", file) as child:
        said = child.said()
        assert said is not None, child.finish()
        assert (said["state"], said["wrong"]) == (state, [])
        assert said["warnings"]


@pytest.mark.skipif(not rig.is_root(), reason="only root can become a user who may not read the file")
def test_unreadable_file(store: tuple[Path, rig.State], open_folder: Path) -> None:
    folder, state = store
    copy = damage.copied(folder, open_folder / "store")
    for path in damage.cache_files(copy, collections(copy)["kept"]).values():
        path.chmod(0)
    rig.give_to_nobody(copy)
    with rig.Child("victim", "caches", "nobody", copy) as child:
        said = child.said()
        assert said is not None, child.finish()
    assert (said["state"], said["wrong"], len(said["warnings"]), said["later"]) == (state, [], 2, [])
