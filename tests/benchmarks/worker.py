"""The process of one engine: runs the blocks it is told to, one line of JSON in, one out.

Started by `measure` as ``python -m tests.benchmarks.worker <engine> <data folder> <store folder>``, in the interpreter that has
the engine. A block times each call by itself and says how noisy the machine was just before.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.data import ADDED, ADDED_BATCHES, Data, load
from tests.benchmarks.engines import ENGINES, ChromaNb, Engine

Times = list[float]
Answers = list[list[str]]


class Session:
    """One engine with the data, while it is being measured."""

    def __init__(self, name: str, data: Data, folder: Path) -> None:
        self._name, self._data, self._folder = name, data, folder
        self._engine: Engine = ENGINES[name](folder)
        self._added = 0
        self.answers: Answers = []

    def _timed(self, *calls: Callable[[], Any]) -> Times:
        """Run calls one by one; the answers of the last ones are kept for checking."""
        times, found = [], []
        for call in calls:
            begun = time.perf_counter()
            answer = call()
            times.append(time.perf_counter() - begun)
            found.append(answer)
        self.answers = [ids for answer in found if answer is not None and not isinstance(answer, int) for ids in self._engine.ids(answer)]
        return times

    def _queries(self, name: str, number: int) -> Times:
        where, document = self._data.filters[name]
        return self._timed(*(lambda i=i: self._engine.query(self._data.queries[i : i + 1], where, document) for i in range(number)))

    def ingest(self) -> Times:
        """Store everything, up to the first answer."""

        def all_of_it() -> Any:
            self._engine.add(self._data.stored)
            return self._engine.query(self._data.queries[:1])

        return self._timed(all_of_it)

    def ingest_frame(self) -> Times:
        """Store everything from a data frame, up to the first answer; in a store of its own."""
        if self._name != "chroma_nb":
            return []
        other = ChromaNb(self._folder.with_name("frame"))
        frame = other.frame(self._data.stored)

        def all_of_it() -> Any:
            other.add_frame(frame)
            return other.query(self._data.queries[:1])

        times = self._timed(all_of_it)
        other.close()
        return times

    def query(self) -> Times:
        """Ask single queries."""
        return self._queries("all", 50)

    def query_100(self) -> Times:
        """Ask 100 queries in one call."""
        return [self._timed(lambda: self._engine.query(self._data.queries))[0] for _ in range(5)]

    def query_1pct(self) -> Times:
        """Ask under a filter that one record in a hundred passes."""
        return self._queries("1%", 20)

    def query_50pct(self) -> Times:
        """Ask under a filter that every other record passes."""
        return self._queries("50%", 10)

    def query_word(self) -> Times:
        """Ask for documents with a word."""
        return self._queries("word", 20)

    def get_ids(self) -> Times:
        """Get 100 records by id."""
        return self._timed(*(lambda ids=ids: self._engine.get(ids) for ids in self._data.wanted))

    def get_where(self) -> Times:
        """Get a quarter of all records by a filter."""
        where, _ = self._data.filters["quarter"]
        return self._timed(*[lambda: self._engine.get(where=where)] * 5)

    def get_word(self) -> Times:
        """Get the documents with a word."""
        _, document = self._data.filters["word"]
        return self._timed(*[lambda: self._engine.get(where_document=document)] * 5)

    def count_where(self) -> Times:
        """Count under a filter."""
        where, _ = self._data.filters["quarter"]
        return self._timed(*[lambda: self._engine.count(where)] * 10)

    def _next_added(self) -> Any:
        start = self._added * ADDED
        self._added += 1
        return self._data.added.part(start, start + ADDED)

    def add_100(self) -> Times:
        """Add 100 records."""
        return self._timed(*[lambda: self._engine.add(self._next_added())] * (ADDED_BATCHES // 2))

    def add_100_query(self) -> Times:
        """Add 100 records and find one of them."""

        def added_and_found() -> Any:
            rows = self._next_added()
            self._engine.add(rows)
            answer = self._engine.query(rows.vectors[:1])
            assert self._engine.ids(answer)[0][0] == rows.ids[0]
            return answer

        return self._timed(*[added_and_found] * (ADDED_BATCHES // 2))

    def upsert_1k(self) -> Times:
        """Overwrite 1,000 records."""
        return self._timed(lambda: self._engine.upsert(self._data.changed))

    def delete_1k(self) -> Times:
        """Remove 1,000 records."""
        return self._timed(lambda: self._engine.delete(self._data.deleted))

    def query_churned(self) -> Times:
        """Ask single queries right after all the writes."""
        return self._queries("all", 50)

    def close(self) -> Times:
        """Close the store."""
        return self._timed(self._engine.close)

    def settled(self, block: str) -> float:
        """Wait for what the engine does in the background after a block, so that it is in nobody's way; the seconds waited."""
        if block in {"close", "ingest_frame"}:
            return 0.0
        begun = time.perf_counter()
        self._engine.settle()
        return time.perf_counter() - begun


def noise() -> float:
    """Return the seconds that a fixed piece of work takes right now."""
    matrix = np.ones((600, 600), dtype=np.float32)
    begun = time.perf_counter()
    for _ in range(4):
        matrix @ matrix
    sum(range(100_000))
    return time.perf_counter() - begun


def peak_memory() -> int:
    """Return the most bytes of memory this process has used."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Answer requests until the input ends."""
    name, data, folder = sys.argv[1], load(Path(sys.argv[2])), Path(sys.argv[3])
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever an engine prints must not get among the answers
    before = peak_memory()
    session = Session(name, data, folder)
    noise()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        loud = noise()
        cpu = time.process_time()
        block = line.strip()
        times = getattr(session, block)()
        settled = session.settled(block)
        reply = {
            "times": times,
            "settled": settled,
            "cpu": time.process_time() - cpu,
            "noise": loud,
            "answers": session.answers,
            "memory": peak_memory(),
            "memory_before": before,
        }
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
