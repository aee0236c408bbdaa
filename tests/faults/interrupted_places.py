"""A process that is interrupted at the n-th place of a call where Python looks for signals, for all n, or every so many.

Those places are behind calls, at the start of functions and at the end of loops; a real signal cannot strike between them.
"""

from __future__ import annotations

import contextlib
import dis
import itertools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import filelock

import chroma_nb.engine
from chroma_nb import PersistentClient, ops, stopping
from chroma_nb.engine import indexer
from tests.faults import rig

WATCHED = (str(Path(chroma_nb.engine.__file__).parent), stopping.__file__, contextlib.__file__, str(Path(filelock.__file__).parent))
"""Whose code counts: the engine's, and of what holds its locks."""


class Clock:
    """Counts the places, and interrupts at one of them."""

    def __init__(self) -> None:
        self._left = 0
        self._last: dict[FrameType, str] = {}
        self.struck = False

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if self._last.get(frame, "RESUME").startswith(("CALL", "JUMP_BACKWARD", "RESUME")):
                self._count()
            self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        elif event == "return":
            self._last.pop(frame, None)
        return self.trace

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.struck = True
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)

    def interrupt(self, call: Callable[[], object], place: int) -> bool:
        """Make a call, interrupted at a place; return whether the interrupt reached the caller."""
        self._left, self.struck = place, False
        self._last.clear()
        try:
            sys.settrace(self.trace)
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False


def sweep(client: Any, name: str, step: int) -> tuple[int, list[str]]:
    """Interrupt one kind of call at every `step`-th place; return how many places it has, and what was wrong."""
    collection = client.get_collection("kept", embedding_function=None)
    identifier = str(collection.id)
    clock = Clock()
    wrong: list[str] = []
    state = rig.state_of(rig.read_all(client, identifier))
    for place in itertools.count(1, step):
        changes = {f"a{i}": place + 1 for i in range(3)}
        calls: dict[str, tuple[Callable[[], object], rig.State]] = {
            "upsert": (lambda changes=changes: collection.upsert(**rig.columns(changes)), state | changes),  # type: ignore[misc]
            "query": (lambda: client._execute(ops.Query(identifier, rig.vector("a9", 1)[None], 2)), state),
            "get": (lambda: rig.read_all(client, identifier, filter=rig.where(group=1)), state),
        }
        call, after = calls[name]
        if name != "upsert":
            collection.update(**rig.columns({"a1": place + 1}))  # so that there is something to catch up with
            state = after = state | {"a1": place + 1}
        reached = clock.interrupt(call, place)
        database = rig.engine_of(client)._database
        if database._writer.locked() or database._file_lock.is_locked or rig.engine_of(client)._memory._catching_up.locked():
            return place, [*wrong, f"place {place}: a lock is held"]
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return place, [*wrong, f"place {place}: SIGINT is not handled as before"]
        if clock.struck and not reached:
            wrong.append(f"place {place}: the interrupt got lost")
        seen = rig.state_of(rig.read_all(client, identifier))
        if seen not in (state, after):
            wrong.append(f"place {place}: neither before nor after")
        collection.update(**rig.columns({"a5": place + 1}))
        hits = client._execute(ops.Query(identifier, rig.vector("a5", place + 1)[None], 1)).hits.ids
        state = seen | {"a5": place + 1}
        if hits != ["a5"]:
            wrong.append(f"place {place}: the next write is not found")
        if not clock.struck:
            return place, wrong
    raise AssertionError


def main(folder: str, name: str, step: str) -> None:
    """Sweep one kind of call; say what was found."""
    rig.lower_thresholds()
    rig.hush()
    indexer._PAUSE = indexer._LONGEST_PAUSE = 600
    with PersistentClient(folder) as client:
        client.create_collection("kept", embedding_function=None).add(**rig.columns({f"a{i}": 1 for i in range(12)}))
        places, wrong = sweep(client, name, int(step))
        wrong += rig.accounting(client)
    rig.reply(places=places, wrong=wrong)


if __name__ == "__main__":
    main(*sys.argv[1:])
