"""A process that is struck by a signal in the middle of one kind of call, at a random moment, again and again, while other threads work.

Each strike must reach the caller as what the handler raised, and the next call must work. Three signals: SIGINT as Python handles it,
and two whose handlers raise what programs that watch their own time raise.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chroma_nb
from chroma_nb import ops
from chroma_nb.engine import indexer
from chroma_nb.errors import BulkUpsertError, EmbeddingError, ServerTimeoutError
from tests.faults import rig

HANG = 120.0
"""Seconds after which whatever goes on is shown and the process ended: far more than the busiest machine needs."""
RECORDS = 300
DIMENSION = 16


class TookTooLongError(Exception):
    """What a program's own alarm raises."""


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _give_up(number: int, frame: object) -> None:
    raise TookTooLongError


def _time_out(number: int, frame: object) -> None:
    raise TimeoutError  # an OSError, as errors of the disk are


HANDLERS: dict[int, tuple[Callable[[int, object], None], type[BaseException]]] = {
    signal.SIGINT: (_interrupt, KeyboardInterrupt),
    signal.SIGALRM: (_give_up, TookTooLongError),
    signal.SIGUSR1: (_time_out, TimeoutError),
}


class Slow:
    """An embedding function that takes its time in small steps, as models do."""

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        for _ in range(20):
            time.sleep(0.0002)
        return np.ones((len(texts), DIMENSION), dtype=np.float32)


class Calls:
    """The kinds of calls that are struck, each on a store of its own folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.client = chroma_nb.PersistentClient(folder)
        self.collection: Any = self.client.get_or_create_collection("kept", embedding_function=Slow())
        self.identifier = str(self.collection.id)
        self._versions = itertools.count(1)
        self._remote: Any = None
        self.upsert()

    def upsert(self) -> None:
        self.collection.upsert(**rig.columns(dict.fromkeys((f"a{i}" for i in range(RECORDS)), next(self._versions))))

    def update(self) -> None:
        self.collection.update(**rig.columns(dict.fromkeys((f"a{i}" for i in range(20)), next(self._versions))))

    def delete(self) -> None:
        self.collection.delete(ids=[f"a{i}" for i in range(20)])
        self.collection.upsert(**rig.columns(dict.fromkeys((f"a{i}" for i in range(20)), next(self._versions))))

    def count(self) -> None:
        for _ in range(20):
            self.collection.count()

    def query(self) -> None:
        self.client._execute(ops.Query(self.identifier, rig.vector("a9", 1)[None], 5, filter=rig.where(group=1)))

    def regex(self) -> None:
        self.collection.get(where_document={"$regex": "w.rd wörd"}, include=[])

    def embed(self) -> None:
        self.collection.upsert(["e1", "e2"], documents=["one", "two"])

    def progress(self) -> None:
        done: list[str] = []
        given = rig.columns(dict.fromkeys((f"a{i}" for i in range(60)), next(self._versions)))
        self.collection.bulk_upsert(**given, max_batch_size=20, on_batch_processed=done.extend, print_progress=False)

    def index(self) -> None:
        self.collection.build_index()

    def open(self) -> None:
        chroma_nb.PersistentClient(f"{self.folder}-other").close()

    def serve(self) -> None:
        server = chroma_nb.serve(self.client, host="127.0.0.1", token=None)
        server.stop()

    def ask(self) -> None:
        if self._remote is None:
            self._server = chroma_nb.serve(self.client, host="127.0.0.1")
            self._remote = chroma_nb.HttpClient(self._server.url, headers=self._server.headers)
        self._remote.get_collection("kept", embedding_function=None).get(limit=50)

    def close(self) -> None:
        """Close everything that is still open."""
        if self._remote is not None:
            self._remote.close()
            self._server.stop()
        self.client.close()

    def clear(self) -> None:
        """Put away what the last strike left standing, in the way that a user has."""
        chroma_nb.serve(self.client, host="127.0.0.1", token=None).stop()


def _load(calls: Calls, stopping: threading.Event) -> list[threading.Thread]:
    """Let other threads read and write the same store meanwhile."""

    def read() -> None:
        while not stopping.wait(0.001):
            calls.collection.get(where={"group": 2}, include=[])

    def write() -> None:
        for version in itertools.count(1):
            if stopping.wait(0.003):
                return
            calls.collection.upsert(**rig.columns({f"b{version % 7}": version}))

    threads = [threading.Thread(target=work, daemon=True) for work in (read, write)]
    for thread in threads:
        thread.start()
    return threads


class Striker:
    """Sends signals from one thread of its own: a thread for each would die at any moment, and Python swallows what is raised meanwhile."""

    def __init__(self) -> None:
        self._ordered: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        self._done = threading.Semaphore(0)
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            number, delay = self._ordered.get()
            time.sleep(delay)
            os.kill(os.getpid(), number)
            self._done.release()

    def strike(self, call: Callable[[], None], number: int, delay: float) -> BaseException | None:
        """Make a call and send a signal after so many seconds; return what came of it, None when nothing did."""
        try:
            self._ordered.put((number, delay))
            call()
            until = time.monotonic() + HANG / 2
            while time.monotonic() < until:
                time.sleep(0.0005)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test wants to see it
            return error
        finally:
            self._done.acquire()
        return None


def _expected(error: BaseException | None, kind: type[BaseException]) -> bool:
    # These two say how far they came, and which function failed; what was raised is their cause.
    while isinstance(error, (BulkUpsertError, EmbeddingError)) and kind is not KeyboardInterrupt:
        error = error.__cause__
    # A socket that was waited for says the same.
    return type(error) is kind or (kind is TimeoutError and isinstance(error, ServerTimeoutError))


def _strikes(calls: Calls, striker: Striker, name: str, number: int, times: int, seed: int) -> Iterator[str]:
    """Strike a kind of call so often; yield what is wrong."""
    chance = random.Random(f"{seed} {name} {number}")
    call: Callable[[], None] = getattr(calls, name)
    handler, kind = HANDLERS[number]
    begun = time.perf_counter()
    for _ in range(3):
        call()
    takes = (time.perf_counter() - begun) / 3
    for strike in range(times):
        faulthandler.dump_traceback_later(HANG, exit=True)
        error = striker.strike(call, number, chance.random() * takes)
        if not _expected(error, kind):
            yield f"{name}, signal {number}, strike {strike}: {type(error).__name__} came of it: {str(error)[:200]}"
        if signal.getsignal(number) is not handler:
            yield f"{name}, signal {number}, strike {strike}: not handled as before"
            signal.signal(number, handler)
        if name == "serve":
            calls.clear()
        if calls.collection.count() < RECORDS - 20:
            yield f"{name}, signal {number}, strike {strike}: records are gone"
        faulthandler.cancel_dump_traceback_later()


def _open_files() -> int:
    listed = Path("/proc/self/fd")
    return sum(1 for _ in listed.iterdir()) if listed.exists() else 0


def main(folder: str, times: str, seed: str, *names: str) -> None:
    """Strike each kind of call with each signal; say what was found."""
    rig.lower_thresholds()
    rig.hush()
    indexer._PAUSE = 0.02
    lost: list[str] = []
    sys.unraisablehook = lambda found: lost.append(f"in {found.object!r}: {found.exc_value!r}")
    for number, (handler, _) in HANDLERS.items():
        signal.signal(number, handler)
    calls = Calls(folder)
    striker, over = Striker(), threading.Event()
    calls.query()  # imports what it needs
    calls.collection.get(limit=1)
    load = _load(calls, over)
    calls.clear()
    before = _open_files()
    wrong: list[str] = []
    for name in names:
        for number in HANDLERS:
            wrong += itertools.islice(_strikes(calls, striker, name, number, int(times), int(seed)), 5)
    over.set()
    for thread in load:
        thread.join()
    wrong += rig.audit(calls.client, calls.identifier)[1] if "embed" not in names else rig.accounting(calls.client)
    calls.close()
    if _open_files() > before + 20:
        wrong.append(f"{_open_files()} files are open, at the beginning {before}")
    wrong += [f"still running: {thread.name}" for thread in threading.enumerate() if "server" in thread.name]
    rig.reply(wrong=wrong + lost)


if __name__ == "__main__":
    main(*sys.argv[1:])
