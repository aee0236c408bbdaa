"""Ctrl-C in the middle of a call: the call happened or did not, and the client goes on at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults import rig

HANG = 5.0
"""Seconds after which an interrupt counts as not answered."""


def interrupt_often(folder: Path, times: int, seed: int) -> dict[str, int]:
    """Interrupt a working process again and again; return how often in which call."""
    random = np.random.default_rng(seed)
    during: dict[str, int] = {}
    delays = []
    with rig.Child("interrupted", folder, seed) as child:
        for i in range(times):
            child.tell(go="on")
            said = child.said()
            assert said is not None, child.finish()
            time.sleep(random.uniform(0.001, 0.3))
            sent = time.monotonic()
            child.process.send_signal(signal.SIGINT)
            assert child.speaks(HANG), f"interrupt {i}: not answered within {HANG} s"
            said = child.said()
            assert said is not None, f"interrupt {i}: {child.finish()}"
            assert not said["wrong"], f"interrupt {i}: {rig.shown(said['wrong'])}"
            assert said["threads"] <= 2, "threads pile up"
            delays.append(said["raised"] - sent)
            during[said["during"]] = during.get(said["during"], 0) + 1
        status, errors = child.finish()
        assert status == 0, errors
        assert not errors, errors
    print(f"delays: median {np.median(delays) * 1000:.0f} ms, longest {max(delays) * 1000:.0f} ms; {during}")
    assert max(delays) < HANG
    return during


def test_before_or_after_and_usable(tmp_path: Path) -> None:
    assert len(interrupt_often(tmp_path / "store", 30, seed=3)) >= 4, "the interrupts hit too few kinds of calls to tell"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_many_interrupts(seed: int, tmp_path: Path) -> None:
    interrupt_often(tmp_path / "store", 150, seed=100 + seed)


def sweep_places(call: str, step: int, folder: Path) -> None:
    with rig.Child("interrupted_places", folder, call, step) as child:
        said = child.said()
        status, errors = child.finish(timeout=300)
    assert said is not None, errors
    assert (status, errors) == (0, "")
    assert not said["wrong"], rig.shown(said["wrong"])
    assert said["places"] > 100


@pytest.mark.parametrize("call", ["upsert", "query", "get"])
def test_wherever_a_signal_can_strike(call: str, tmp_path: Path) -> None:
    sweep_places(call, 7, tmp_path / "store")


@pytest.mark.long
@pytest.mark.parametrize("call", ["upsert", "query", "get"])
def test_wherever_a_signal_can_strike_without_gaps(call: str, tmp_path: Path) -> None:
    sweep_places(call, 1, tmp_path / "store")


STRUCK = ["upsert", "update", "delete", "count", "query", "regex", "embed", "progress", "index", "open", "serve", "ask"]
"""The kinds of calls of `tests.faults.struck`."""


def strike(kind: str, times: int, folder: Path) -> None:
    with rig.Child("struck", folder, times, 5, kind) as child:
        said = child.said()
        status, errors = child.finish(timeout=120)
    assert said is not None, errors
    assert (status, errors) == (0, "")
    assert not said["wrong"], rig.shown(said["wrong"])


@pytest.mark.parametrize("kind", STRUCK)
def test_whatever_a_handler_raises_reaches_the_caller(kind: str, tmp_path: Path) -> None:
    strike(kind, 6, tmp_path / "store")


@pytest.mark.long
@pytest.mark.parametrize("kind", STRUCK)
def test_two_thousand_strikes(kind: str, tmp_path: Path) -> None:
    strike(kind, 700, tmp_path / "store")


PREPARE = """
import numpy as np, chroma_nb
client = chroma_nb.PersistentClient({folder!r})
collection = client.get_or_create_collection("kept", embedding_function=None)
vectors = np.random.default_rng(0).standard_normal((200_000, 128)).astype(np.float32)
ids = [f"a{{i}}" for i in range(len(vectors))]
"""
LONG = """
print("begun", flush=True)
collection.bulk_upsert(ids, embeddings=vectors, max_batch_size=100, print_progress=False)
"""
AFTER = """
count = collection.count()
collection.add("later", embeddings=vectors[7:8] + 1000)
nearest = collection.query(vectors[7:8] + 1000, n_results=1)["id"].iloc[0]
print(count, collection.count() - count, nearest, collection.get("a5", include=["embeddings"]).shape[0])
"""


@pytest.fixture
def kernel() -> Iterator[Any]:
    """Return the client of a real Jupyter kernel."""
    manager_module = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    manager, client = manager_module.start_new_kernel(cwd=str(rig.ROOT), env=rig.environment())
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def outcome(client: Any, message: str, *, timeout: float = 120) -> tuple[str, str]:
    """Wait until a cell is done; return what it printed and the name of the error it ended with."""
    printed, error = "", ""
    while True:
        said = client.get_iopub_msg(timeout=timeout)
        if said["parent_header"].get("msg_id") != message:
            continue
        if said["msg_type"] == "stream":
            printed += said["content"]["text"]
        elif said["msg_type"] == "error":
            error = said["content"]["ename"]
        elif said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
            return printed, error


def test_interrupting_a_kernel(kernel: Any, tmp_path: Path) -> None:
    manager, client = kernel
    assert outcome(client, client.execute(PREPARE.format(folder=str(tmp_path / "store")))) == ("", "")
    message = client.execute(LONG)
    while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    time.sleep(0.3)
    manager.interrupt_kernel()
    assert outcome(client, message)[1] == "KeyboardInterrupt"
    printed, error = outcome(client, client.execute(AFTER))
    assert error == ""
    count, more, nearest, found = printed.split()
    assert 0 < int(count) < 200_000
    assert int(count) % 100 == 0, "a batch is whole or not there"
    assert (more, nearest, found) == ("1", "later", "1")
