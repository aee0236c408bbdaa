"""Has prepared stores opened by a process of its own, one after the other, and judges what happens to it and around it.

While the process opens one store the next is made. A process that died or hangs is replaced, and the case it was told last is the
one to blame. Run by the test, or by hand: ``python -m tests.faults.hostile_run FIRST COUNT [LOG [PATIENCE]]`` reports figures and goes on.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from typing_extensions import Self

from tests.faults import rig
from tests.faults.hostile_ground import Ground, Promise, seen, touched
from tests.faults.hostile_stores import MISSED, Case, prepare

PATIENCE = 30.0
"""Seconds that a case may take on the clock; it takes some hundredths."""
ALLOWANCE = 96 << 20
"""Bytes by which a case may exceed twice what the unchanged template takes."""
Fate = Literal["ended", "died", "hung"]


@dataclass(frozen=True)
class Report:
    """What became of a case: what the process said of it, or how it ended and what it wrote to stderr last."""

    fate: Fate
    said: dict[str, Any]
    verb: str = ""
    stderr: str = ""


class Opener:
    """The process that opens stores; started when needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self) -> subprocess.Popen[bytes]:
        told, self._commands = os.pipe()
        self._reports, said = os.pipe()
        environment = {**rig.environment(), "HOME": str(self._folder / "home"), "TMPDIR": str(self._folder / "tmp")}
        for name in ("home", "tmp"):
            (self._folder / name).mkdir(exist_ok=True)
        with (self._folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.hostile_opener", str(told), str(said)],
                stdin=subprocess.PIPE,  # never written to, so that whoever reads it waits
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(told, said),
                cwd=rig.ROOT,
                env=environment,
            )
        os.close(told)
        os.close(said)
        self._unread = b""
        return self._process

    def tell(self, case: Case, misbehave: str = "") -> None:
        """Have a store opened."""
        process = self._process or self._start()
        audit = case.promise is not Promise.ORDERLY or case.seed % 4 == 0
        said = {"seed": case.seed, "store": str(case.ground.store), "read_only": case.read_only, "audit": audit, "misbehave": misbehave}
        assert process is self._process
        os.write(self._commands, json.dumps(said).encode() + b"\n")

    def hear(self, patience: float = PATIENCE) -> Report:
        """Wait for the end of the case that was told last, or of the process."""
        verb, until = "start", time.monotonic() + patience + (60 if not self._unread else 0)
        begun = False
        while (line := self._line(until)) is not None:
            said = json.loads(line)
            if "begins" in said:
                begun, until = True, time.monotonic() + patience
            elif "verb" in said:
                verb = said["verb"]
            else:
                return Report("ended", said)
        process = self._process
        assert process is not None
        fate: Fate = "died" if self._ended else "hung"
        if fate == "hung":
            process.send_signal(6)  # faulthandler says where
            time.sleep(0.5)
            process.kill()
        status = process.wait()
        stderr = (self._folder / "stderr").read_text(errors="replace")[-6000:]
        self.close()
        return Report(fate, {"status": status}, verb if begun else f"{verb} (not begun)", stderr)

    def _line(self, until: float) -> bytes | None:
        self._ended = False
        while b"\n" not in self._unread:
            if not select.select([self._reports], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            more = os.read(self._reports, 1 << 16)
            if not more:
                self._ended = True
                return None
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        os.close(self._commands)
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(self._reports)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Tally:
    """Figures of a run."""

    cases: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)
    fates: Counter[str] = field(default_factory=Counter)
    faults: int = 0

    def count(self, case: Case, report: Report) -> None:
        """Enter a case."""
        self.cases += 1
        self.kinds.update(case.kinds)
        self.missed.update(kind for kind, change in zip(case.kinds, case.changes, strict=True) if change.startswith(MISSED))
        self.fates[report.fate] += 1
        outcomes = [tuple(each) for each in report.said.get("outcomes", ())]
        self.verbs.update(verb for verb, _ in outcomes)
        self.outcomes.update(outcome for _, outcome in outcomes)
        first = next((outcome for verb, outcome in outcomes if verb == "open 1"), report.fate)
        self.opened[first] += 1
        self.by_kind.setdefault(case.kinds[0], Counter())[first] += 1
        self.slowest = max(self.slowest, (report.said.get("seconds", 0.0), case.seed))
        self.largest = max(self.largest, (report.said.get("memory", 0), case.seed))

    def __str__(self) -> str:
        lines = [
            f"{self.cases} cases, {dict(self.fates)}, {self.faults} faults; changes that {MISSED}: {dict(self.missed)}",
            f"opening: {dict(self.opened.most_common())}",
            f"all calls: {dict(self.outcomes.most_common())}",
            f"verbs, the rarest: {self.verbs.most_common()[:-6:-1]}",
            f"slowest: seed {self.slowest[1]}, {self.slowest[0]:.2f} s; most memory: seed {self.largest[1]}, {self.largest[0] >> 20} MiB",
        ]
        for kind, opened in sorted(self.by_kind.items()):
            lines.append(f"  {kind}: {self.kinds[kind]} cases; opening {dict(opened.most_common())}")
        return "\n".join(lines)


def make_templates(folder: Path) -> None:
    """Have the stores made that the cases start from."""
    subprocess.run([sys.executable, "-m", "tests.faults.hostile_templates", str(folder)], check=True, cwd=rig.ROOT, env=rig.environment())


class Run:
    """A run of cases on a set of templates.

    Parameters
    ----------
    folder
        Where the templates and cases are put; in memory if possible.
    patience
        Seconds after which a case counts as hung.
    """

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        self.folder = folder
        self._patience = patience
        self.templates = folder / "templates"
        make_templates(self.templates)
        self._opener = Opener(folder)
        self.tally = Tally()
        self._digests: dict[str, str] = {}
        self._memory: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opener.close()

    def cases(self, seeds: Iterable[int]) -> Iterator[tuple[Case, list[str]]]:
        """Carry out the cases; yield each with what was wrong."""
        self._measure()
        following: Case | None = None
        for seed in [*seeds, None]:
            case = following
            if case is not None:
                self._opener.tell(case)
            following = None if seed is None else prepare(seed, self.templates, self.folder / f"case-{seed}")
            if case is not None:
                report = self._opener.hear(self._patience)
                self.tally.count(case, report)
                yield case, self._judged(case, report)
                shutil.rmtree(case.ground.root)

    def misbehaving(self, how: str, patience: float = PATIENCE) -> list[str]:
        """Return what is found wrong when an unchanged store is opened by a process that does `how`."""
        self._measure()
        case = self._unchanged("few")
        self._opener.tell(case, how)
        wrong = self._judged(case, self._opener.hear(patience))
        shutil.rmtree(case.ground.root)
        return wrong

    def _unchanged(self, template: str) -> Case:
        ground = Ground.lay(self.folder / f"unchanged-{template}", self.templates / template)
        return Case(-1, template, ("nothing",), ("nothing",), Promise.WHOLE, False, ground, seen(ground, whole=False))

    def _measure(self) -> None:
        """Learn what the unchanged templates hold, and what memory they take."""
        for path in sorted(self.templates.iterdir()) if not self._digests else ():
            case = self._unchanged(path.name)
            self._opener.tell(case)
            report = self._opener.hear()
            shutil.rmtree(case.ground.root)
            if report.fate != "ended" or report.said["raw"] or report.said["digest"] is None:
                raise AssertionError(f"the unchanged store {path.name}: {report}")
            self._digests[path.name], self._memory[path.name] = report.said["digest"], report.said["memory"]

    def _judged(self, case: Case, report: Report) -> list[str]:
        wrong = touched(case.before, seen(case.ground, whole=case.read_only)) + self._swept()
        if report.fate == "ended":
            bound = 2 * self._memory[case.template] + ALLOWANCE
            if report.said["memory"] > bound:
                wrong.append(f"took {report.said['memory'] >> 20} MiB, more than {bound >> 20} MiB")
            wrong += report.said["raw"] + self._broken(case, report)
        else:
            wrong.append(f"{report.fate} (status {report.said['status']}) in {report.verb}: {report.stderr}")
        self.tally.faults += bool(wrong)
        return wrong

    def _swept(self) -> list[str]:
        """Say what was left in the process's home and among its temporary files, and remove it."""
        wrong = []
        for name in ("home", "tmp"):
            for path in (self.folder / name).iterdir():
                wrong.append(f"{name} has {path.name}")
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        return wrong

    def _broken(self, case: Case, report: Report) -> list[str]:
        """Say how the promise was broken that is made for this kind of change."""
        digest = report.said["digest"]
        if case.promise is Promise.ORDERLY or digest == self._digests[case.template] or (digest is None and case.promise is Promise.HONEST):
            return []
        outcomes = [tuple(each) for each in report.said["outcomes"] if each[0] in {"open 1", "audit"}]
        return [f"promised that {case.promise.value}; {'other records were read' if digest else f'not read: {outcomes}'}"]


def ground() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder, in memory where the system has such."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="chroma_nb-", dir=shared if os.access(shared, os.W_OK) else None)


def main(first: str, count: str, log: str = "", patience: str = str(PATIENCE)) -> None:
    """Run so many cases from a seed on; write down every fault."""
    begun = time.monotonic()
    with ground() as folder, Run(Path(folder), float(patience)) as run:
        for case, wrong in run.cases(range(int(first), int(first) + int(count))):
            if wrong and log:
                with Path(log).open("a") as file:
                    file.write(json.dumps({"case": str(case), "wrong": wrong}) + "\n")
            elif wrong:
                print(case, *wrong, sep="\n    ")
            if run.tally.cases % 1000 == 0:
                print(
                    f"{run.tally.cases} cases in {time.monotonic() - begun:.0f} s, {run.tally.faults} faults; last {case.seed}", flush=True
                )
        print(run.tally)
        print(f"{time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
