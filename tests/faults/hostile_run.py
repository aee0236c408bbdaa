"""A run of the store fuzzer: prepares one store while a process opens another, and judges what happened to it and around it.

Run by the test, or by hand: ``python -m tests.faults.hostile_run FIRST COUNT [LOG [PATIENCE]]`` carries out so many cases from a
number on, prints (or writes into LOG, a line of JSON per case) what is wrong, and the figures at the end. One case is repeated by its
number and a count of 1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import Self

from tests.faults import rig
from tests.faults.hostile_ground import Ground, Promise, seen, touched
from tests.faults.hostile_process import PATIENCE, Opener, Report
from tests.faults.hostile_stores import MISSED, Case, prepare

ALLOWANCE, SHARE = 96 << 20, 4
"""Bytes by which a case may exceed twice what the unchanged template takes, and how many more for every byte of the store on the disk."""


@dataclass
class Tally:
    """Figures of a run: `opened` and `by_kind` by what the first opening came to, `slowest` and `largest` with the seed."""

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
                self._tell(case)
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
        self._tell(case, how)
        wrong = self._judged(case, self._opener.hear(patience))
        shutil.rmtree(case.ground.root)
        return wrong

    def _tell(self, case: Case, misbehave: str = "") -> None:
        audit = case.promise is not Promise.ORDERLY or case.seed % 4 == 0
        store = str(case.ground.store)
        self._opener.tell(seed=case.seed, store=store, read_only=case.read_only, audit=audit, misbehave=misbehave)

    def _unchanged(self, template: str) -> Case:
        ground = Ground.lay(self.folder / f"unchanged-{template}", self.templates / template)
        return Case(-1, template, ("nothing",), ("nothing",), Promise.WHOLE, False, ground, seen(ground, whole=False))

    def _measure(self) -> None:
        """Learn what the unchanged templates hold, and what memory they take."""
        for path in sorted(self.templates.iterdir()) if not self._digests else ():
            case = self._unchanged(path.name)
            self._tell(case)
            report = self._opener.hear()
            shutil.rmtree(case.ground.root)
            if report.fate != "ended" or report.said["raw"] or report.said["digest"] is None:
                raise AssertionError(f"the unchanged store {path.name}: {report}")
            self._digests[path.name], self._memory[path.name] = report.said["digest"], report.said["memory"]

    def _judged(self, case: Case, report: Report) -> list[str]:
        wrong = touched(case.before, seen(case.ground, whole=case.read_only)) + self._swept()
        if report.fate == "ended":
            bound = 2 * self._memory[case.template] + ALLOWANCE + SHARE * case.ground.size
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
                spent = time.monotonic() - begun
                print(f"{run.tally.cases} cases in {spent:.0f} s, {run.tally.faults} faults; last {case.seed}", flush=True)
        print(run.tally)
        print(f"{time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
