"""Stores that somebody prepared: opening and using one does nothing but answer or refuse.

Each case is a number, from which the prepared store follows (`hostile_stores`). A process with limits opens it, read-only or for
writing (`hostile_opener`); it must not crash, hang, touch what is not the store's, take much memory, leave threads or descriptors
behind, or raise an error that is not ours, and where only caches or files beside the records were changed it must read every record
(`hostile_run`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import hostile_opener, hostile_run, hostile_stores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the process and its memory are looked at through /proc")
FEW, MANY = 300, 20_000
MISBEHAVIOURS = {
    "delete": "outside/precious.txt is gone",
    "overwrite": "outside/thesis.tmp was changed",
    "create": "outside/deeper/new is new",
    "create at home": "home has",
    "create inside": "store/surprise is new",
    "remember": "MiB, more than",
    "sleep": "hung",
    "die": "died (status -11)",
    "exit": "died (status 0)",
    "raise": "ValueError: not one of ours",
    "leave descriptors": "left open",
    "leave a thread": "left a thread",
    "lose": "what was added to it is not there",
    "read otherwise": "other records were read",
    "refuse": "not read",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in memory, where there is one: the cases write a lot and need none of it to last."""
    with hostile_run.ground() as made:
        yield Path(made)


def carry_out(folder: Path, seeds: range) -> hostile_run.Tally:
    """Carry out cases; fail with the first few that went wrong."""
    wrong = []
    with hostile_run.Run(folder) as run:
        for case, found in run.cases(seeds):
            wrong += [f"{case}\n  {each}" for each in found]
            if len(wrong) > 20:
                break
    print(run.tally)
    assert not wrong, "\n".join(wrong)
    return run.tally


def test_prepared_stores_do_no_harm(folder: Path) -> None:
    tally = carry_out(folder, range(FEW))
    assert tally.cases == FEW
    assert min((tally.kinds - tally.missed)[name] for name in hostile_stores.KINDS) > 0
    assert not (hostile_opener.READS | hostile_opener.WRITES).keys() - tally.verbs.keys()


@pytest.mark.long
def test_many_prepared_stores_do_no_harm(folder: Path) -> None:
    tally = carry_out(folder, range(FEW, FEW + MANY))
    assert tally.cases == MANY
    # Most changes are noticed or harmless, and some are refused: neither everything nor nothing.
    assert tally.opened["answered"] > MANY // 4
    assert tally.opened["DatabaseCorruptedError"] > MANY // 20
    assert tally.missed.total() < MANY // 50


def test_a_case_is_its_number(folder: Path) -> None:
    hostile_run.make_templates(folder / "templates")
    for seed in range(0, 134, 7):
        made = [hostile_stores.prepare(seed, folder / "templates", folder / f"{seed}-{turn}") for turn in range(2)]
        assert made[0].changes == made[1].changes
        assert made[0].read_only == made[1].read_only


@pytest.mark.parametrize("how", MISBEHAVIOURS)
def test_what_an_opener_may_not_do_is_noticed(how: str, misbehaving: hostile_run.Run) -> None:
    wrong = misbehaving.misbehaving(how, patience=3 if how == "sleep" else 60)
    assert any(MISBEHAVIOURS[how] in each for each in wrong), wrong


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[hostile_run.Run]:
    """Return a run whose templates are used for all of them."""
    with hostile_run.ground() as folder, hostile_run.Run(Path(folder)) as run:
        yield run
