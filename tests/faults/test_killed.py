"""SIGKILL at any moment: what was acknowledged is there, what was not is there as a whole or not at all."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults import rig

SETTINGS = {"small calls": (7, 15), "large calls": (120, 15)}
"""Name -> (most records per call, kills)."""


def possible(log: Path, before: rig.State) -> list[rig.State]:
    """Return the states a store may be in after a writer that noted this was killed."""
    state = dict(before)
    pending: dict[str, Any] | None = None
    stored = 0
    for line in log.read_text().splitlines():
        said = json.loads(line)
        if "begun" in said:
            pending, stored = said, 0
        elif "stored" in said:
            stored += said["stored"]
        else:
            assert pending is not None
            state, pending = changed(state, pending["changes"]), None
    if pending is None:
        return [state]
    if pending["begun"] != "bulk_upsert":
        return [state, changed(state, pending["changes"])]
    items = list(pending["changes"].items())
    ends = sorted({min(end, len(items)) for end in range(stored, len(items) + pending["size"], pending["size"])})
    return [changed(state, dict(items[:end])) for end in ends]


def changed(state: rig.State, changes: dict[str, int | None]) -> rig.State:
    """Return the state after a call."""
    result = dict(state)
    for identifier, version in changes.items():
        if version is None:
            result.pop(identifier, None)
        else:
            result[identifier] = version
    return result


def run_kills(folder: Path, largest: int, kills: int, seed: int) -> tuple[int, int]:
    """Kill a writer again and again; return how many calls it acknowledged and how often it was in the middle of one."""
    random = np.random.default_rng(seed)
    store = folder / "store"
    allowed: list[rig.State] = [{}]
    acknowledged = halfway = 0
    kinds: set[str] = set()
    for turn in range(kills + 1):
        log = folder / f"{turn}.log"
        log.touch()
        with rig.Child("killed_writer", store, log, seed * 1000 + turn, largest) as child:
            during_open = turn % 8 == 7 and turn < kills
            if during_open:
                rig.kill_later(child.process, random.uniform(0.1, 0.6))
            said = child.said()
            if said is None:
                assert during_open, child.finish()
                continue
            assert not said["wrong"], f"kill {turn}: {rig.shown(said['wrong'])}"
            assert said["state"] in allowed, f"kill {turn}: {difference(said['state'], allowed[-1])}"
            allowed = [said["state"]]
            kinds.update(said["caches"])
            if turn == kills:
                break
            if not during_open:
                child.tell(go="on")
                rig.kill_later(child.process, random.uniform(0.005, 0.4))
            child.finish()
        allowed = possible(log, said["state"])
        acknowledged += log.read_text().count('"done"')
        halfway += len(allowed) > 1
    assert kinds == {"columns", "graph"}, "no caches were saved: the thresholds were not low enough to test them"
    return acknowledged, halfway


def difference(found: rig.State, expected: rig.State) -> str:
    """Return in words what tells two states apart."""
    lost = {key: version for key, version in expected.items() if found.get(key) != version}
    more = {key: version for key, version in found.items() if key not in expected}
    return f"expected but not there: {lost}; there but not expected: {more}"


@pytest.mark.parametrize("setting", SETTINGS)
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(setting: str, tmp_path: Path) -> None:
    largest, kills = SETTINGS[setting]
    acknowledged, halfway = run_kills(tmp_path, largest, kills, seed=len(setting))
    assert acknowledged > kills
    assert halfway


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_many_kills(seed: int, tmp_path: Path) -> None:
    """The same with other numbers every time."""
    moment = time.time_ns() % 1_000_000
    print(f"seed {moment + seed}")
    run_kills(tmp_path, [3, 20, 60, 150][seed], 60, seed=moment + seed)
