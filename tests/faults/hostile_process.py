"""The process that opens prepared stores, seen from outside: started when needed, told cases, listened to, ended when it hangs.

It is replaced when it died or hung, and the case it was told last is the one to blame. What it does is in `hostile_opener`; what is
made of its reports, in `hostile_run`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from typing_extensions import Self

from tests.faults import rig

PATIENCE = 30.0
"""Seconds that a case may take on the clock; it takes some hundredths."""
_STARTING = 60.0
_WORDS = 1.0
"""Seconds for faulthandler to write down where a process hangs."""
_SHOWN = 6000


@dataclass(frozen=True)
class Report:
    """What became of a case: what the process said of it, or in which verb it ended and what it wrote to stderr last."""

    fate: Literal["ended", "died", "hung"]
    said: dict[str, Any]
    verb: str = ""
    stderr: str = ""


class Opener:
    """The process.

    Parameters
    ----------
    folder
        Where it finds its home and a place for temporary files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def _start(self) -> Connection:
        for name in ("home", "tmp"):
            (self._folder / name).mkdir(exist_ok=True)
        environment = {"HOME": str(self._folder / "home"), "TMPDIR": str(self._folder / "tmp"), "MALLOC_ARENA_MAX": "2"}
        self._pipe, its = Pipe()
        with (self._folder / "stderr").open("wb") as errors, its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.hostile_opener", str(its.fileno())],
                stdin=subprocess.PIPE,  # never written to, so that whoever reads it waits
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(its.fileno(),),
                cwd=rig.ROOT,
                env=rig.environment() | environment,
            )
        return self._pipe

    def tell(self, **case: object) -> None:
        """Have a store opened."""
        (self._pipe or self._start()).send_bytes(json.dumps(case).encode())

    def hear(self, patience: float = PATIENCE) -> Report:
        """Wait for the end of the case that was told last, or of the process."""
        assert self._pipe is not None
        verb, until = "(not begun)", time.monotonic() + _STARTING + patience
        try:
            while self._pipe.poll(max(0.0, until - time.monotonic())):
                said = json.loads(self._pipe.recv_bytes())
                if "ends" in said:
                    return Report("ended", said)
                if "begins" in said:
                    until = time.monotonic() + patience
                else:
                    verb = said["verb"]
        except (EOFError, ConnectionError):
            return self._over("died", verb)
        return self._over("hung", verb)

    def _over(self, fate: Literal["died", "hung"], verb: str) -> Report:
        assert self._process is not None
        if fate == "hung":
            self._process.send_signal(signal.SIGABRT)  # faulthandler says where
            time.sleep(_WORDS)
            self._process.kill()
        status = self._process.wait()
        self.close()
        return Report(fate, {"status": status}, verb, (self._folder / "stderr").read_text(errors="replace")[-_SHOWN:])

    def close(self) -> None:
        """End the process."""
        if self._process is None or self._pipe is None:
            return
        self._pipe.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = self._pipe = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
