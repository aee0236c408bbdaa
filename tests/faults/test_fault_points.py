"""Every statement and file operation of a call fails once: the call happened or did not, and the client goes on."""

from __future__ import annotations

import pytest

from tests.faults import rig
from tests.faults.fault_points import calls


def sweep(name: str, kind: str, when: str, where: str) -> tuple[int, int]:
    with rig.Child("fault_points", name, kind, when, where) as child:
        said = child.said()
        status, errors = child.finish()
    assert said is not None, errors
    assert status == 0, errors
    assert not said["wrong"], rig.shown(said["wrong"])
    return said["operations"], said["happened"]


@pytest.mark.parametrize("name", calls())
def test_a_statement_fails(name: str) -> None:
    operations, _ = sweep(name, "disk I/O error", "from then on", "folder")
    assert operations >= 3, "hardly any statement was reached: the faults do not strike where they should"


@pytest.mark.parametrize("name", ["add", "upsert", "delete", "modify"])
def test_a_statement_says_it_failed_after_it_was_done(name: str) -> None:
    operations, happened = sweep(name, "disk I/O error", "after", "folder")
    assert operations >= 5
    assert happened, "COMMIT was never reached"


@pytest.mark.parametrize("name", ["add", "delete", "reset"])
def test_a_statement_fails_in_memory(name: str) -> None:
    assert sweep(name, "database or disk is full", "from then on", "memory")[0] >= 3


@pytest.mark.parametrize("name", ["add", "build_index"])
def test_a_file_operation_fails(name: str) -> None:
    assert sweep(name, "files", "before", "folder")[0] >= 1


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after", "from then on"])
@pytest.mark.parametrize("where", ["folder", "memory"])
@pytest.mark.parametrize("kind", ["disk I/O error", "database or disk is full", "files"])
@pytest.mark.parametrize("name", calls())
def test_all_of_them(name: str, kind: str, when: str, where: str) -> None:
    sweep(name, kind, when, where)
