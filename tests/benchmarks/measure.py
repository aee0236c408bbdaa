"""Rounds of blocks: every block runs on one engine, then on the other, and nobody else works meanwhile.

`rounds` starts the processes (`worker`), tells them what to do and gathers times, answers, memory and disk; it judges nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.data import Data
from tests.benchmarks.engines import FIRST_ANSWER

ROOT = Path(__file__).parents[2]
BLOCKS = (
    "ingest",
    "query",
    "query_100",
    "query_1pct",
    "query_50pct",
    "query_word",
    "get_ids",
    "get_where",
    "get_word",
    "count_where",
    "add_100",
    "add_100_query",
    "upsert_1k",
    "delete_1k",
    "query_churned",
    "close",
    "ingest_frame",
)
_FIRST_ANSWERS = 3


@dataclass
class Measured:
    """What the rounds found out about one engine: per block one entry per round.

    Parameters
    ----------
    seconds, cpu
        Median time of a call; processor time of the whole block, background threads included.
    answers
        The ids that the last round found.
    memory, disk
        Bytes: peak of the process beyond what it held when the data was loaded, and the folder after closing.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    noise: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    disk: list[int] = field(default_factory=list)

    def note(self, block: str, seconds: float) -> None:
        """Add the time of a block in this round."""
        self.seconds.setdefault(block, []).append(seconds)


class Worker:
    """A `worker` process as seen from here."""

    def __init__(self, python: str, engine: str, data: Path, store: Path) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "tests.benchmarks.worker", engine, str(data), str(store)],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reply()

    def run(self, block: str) -> dict[str, Any]:
        """Run one block and return its figures."""
        assert self._process.stdin is not None
        self._process.stdin.write(block + "\n")
        self._process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a benchmark process ended early (exit status {self._process.wait()}); what it said is above")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def end(self) -> None:
        """Let the process finish."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


@contextmanager
def _workers(pythons: dict[str, str], data: Path, stores: dict[str, Path]) -> Iterator[dict[str, Worker]]:
    workers = {engine: Worker(python, engine, data, stores[engine]) for engine, python in pythons.items()}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.end()


def rounds(pythons: dict[str, str], data: Data, folder: Path, number: int, say: Callable[[str], None]) -> dict[str, Measured]:
    """Measure each engine of `pythons` (engine -> interpreter) `number` times, from an empty store on.

    Parameters
    ----------
    folder
        Where `data` was saved; the stores are made in it.
    """
    found = {engine: Measured() for engine in pythons}
    for turn in range(number):
        stores = {engine: folder / f"round-{turn}" / engine / "store" for engine in pythons}
        for store in stores.values():
            store.parent.mkdir(parents=True)
        order = list(pythons) if turn % 2 == 0 else list(reversed(pythons))
        with _workers(pythons, folder, stores) as workers:
            for block in BLOCKS:
                say(f"round {turn + 1} of {number}: {block}")
                for engine in order:
                    _note(found[engine], block, workers[engine].run(block))
        say(f"round {turn + 1} of {number}: first answer")
        for engine in order * _FIRST_ANSWERS:
            found[engine].note("first_answer", _first_answer(pythons[engine], engine, stores[engine], data))
        for engine, store in stores.items():
            found[engine].disk.append(sum(path.stat().st_size for path in store.rglob("*") if path.is_file()))
    return found


def _note(measured: Measured, block: str, reply: dict[str, Any]) -> None:
    if not reply["times"]:
        return
    measured.note(block, median(reply["times"]))
    if block == "ingest":
        measured.note("ingest_settled", sum(reply["times"]) + reply["settled"])
    measured.cpu.setdefault(block, []).append(reply["cpu"])
    measured.answers[block] = reply["answers"]
    measured.noise.append(reply["noise"])
    if block == "close":
        measured.memory.append(reply["memory"] - reply["memory_before"])


def _first_answer(python: str, engine: str, store: Path, data: Data) -> float:
    """Return the seconds from starting a process to its first line of output, an id that was found."""
    query = json.dumps([float(x) for x in data.queries[0]])
    begun = time.perf_counter()
    with subprocess.Popen(
        [python, "-c", FIRST_ANSWER[engine], str(store), query], cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
    if not line.strip():
        raise SystemExit(f"the fresh process of {engine} found nothing; what it said is above")
    return seconds


def interpreters(chroma: str) -> dict[str, str]:
    """Return engine -> interpreter: ours is the one that runs this."""
    return {"chroma_nb": sys.executable, "chromadb": chroma}
