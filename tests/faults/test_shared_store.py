"""Several processes on one folder: each sees at its next call what the others' calls returned from, and nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults import rig


def run_rounds(folder: Path, seconds: float, seed: int) -> tuple[int, rig.State]:
    """Let two processes write at once while a third reads, then have all three check; again and again."""
    rounds = 0
    expected: rig.State = {}
    with rig.Child("peer", folder, "a", seed) as a, rig.Child("peer", folder, "b", seed + 1) as b, rig.Child("peer", folder, "c", 0) as c:
        end = time.monotonic() + seconds
        while time.monotonic() < end or not rounds:
            rounds += 1
            for writer in (a, b):
                writer.tell(do="write", calls=6)
            c.tell(do="read", seconds=0.05)
            replies = [peer.said() for peer in (a, b, c)]
            for peer, said in zip((a, b, c), replies, strict=True):
                assert said is not None, peer.finish()
                assert not said.get("wrong"), f"round {rounds}: {rig.shown(said['wrong'])}"
            assert replies[0] is not None
            assert replies[1] is not None
            expected = {**replies[0]["state"], **replies[1]["state"]}
            for peer in (a, b, c):
                peer.tell(do="check", expected=expected)
            for peer in (a, b, c):
                said = peer.said()
                assert said is not None, peer.finish()
                assert not said["wrong"], f"round {rounds}: {rig.shown(said['wrong'])}"
        for peer in (a, b, c):
            status, errors = peer.finish()
            assert (status, errors) == (0, "")
    return rounds, expected


def agreed(folder: Path, expected: rig.State) -> None:
    """Fail unless a process that comes later finds exactly that."""
    with rig.Child("peer", folder, "d", 0) as later:
        later.tell(do="audit")
        said = later.said()
        assert said is not None, later.finish()
        assert not said["wrong"], rig.shown(said["wrong"])
        assert said["state"] == expected


def test_no_process_reads_stale_and_none_loses(tmp_path: Path) -> None:
    rounds, expected = run_rounds(tmp_path / "store", 5, seed=1)
    assert rounds > 1
    agreed(tmp_path / "store", expected)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_longer(seed: int, tmp_path: Path) -> None:
    agreed(tmp_path / "store", run_rounds(tmp_path / "store", 40, seed=10 * seed)[1])


def test_a_process_killed_while_it_writes_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with rig.Child("peer", folder, "a", 1) as a, rig.Child("peer", folder, "b", 2) as b:
        b.tell(do="write", calls=3)
        assert b.said() is not None
        a.tell(do="write", calls=10_000)
        time.sleep(0.3)
        a.kill()
        b.tell(do="write", calls=3)
        said = b.said()
        assert said is not None, b.finish()
        assert not said.get("wrong"), said["wrong"]
        assert said["longest"] < 30  # it is not waiting for the dead one's lock to time out
        own = said["state"]
        b.tell(do="audit")
        said = b.said()
        assert said is not None, b.finish()
        assert not said["wrong"], rig.shown(said["wrong"])
        assert {key: version for key, version in said["state"].items() if key[0] == "b"} == own
