"""Measure chroma_nb against chromadb in one run: ``make bench``, or ``CHROMA_PYTHON=... python -m tests.benchmarks [--quick]``.

``CHROMA_PYTHON`` is an interpreter that has chromadb. Prints a table of medians and ratios and writes it, with all figures, to
``build/``. A missed target is no error: times depend on the machine and on who else uses it, so read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks import data, measure, report


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure chroma_nb against chromadb.")
    parser.add_argument("--quick", action="store_true", help="5,000 records instead of 20,000")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default: 3)")
    options = parser.parse_args()
    chroma = os.environ.get("CHROMA_PYTHON")
    if not chroma:
        raise SystemExit("CHROMA_PYTHON: expected the path of a Python that has chromadb; `make bench` sees to it")
    n = 5_000 if options.quick else 20_000
    with tempfile.TemporaryDirectory(prefix="chroma_nb-bench-") as folder:
        made, masks = data.make(n)
        data.save(made, Path(folder))
        found = measure.rounds(measure.interpreters(chroma), made, Path(folder), options.rounds, _say)
        lines = report.lines(found, data.Truth(made, masks))
    _say("")
    noises = [noise * 1000 for measured in found.values() for noise in measured.noise]
    title = f"{n:,} x {data.DIMENSION} records, medians of {options.rounds} rounds"
    noise = f"noise kernel: median {median(noises):.0f} ms, {min(noises):.0f} to {max(noises):.0f}"
    text = f"{title}\n\n{report.table(lines)}\n\n{noise}\n"
    print(text)
    build = measure.ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "benchmarks.md").write_text(text, "utf-8")
    figures = {"records": n, "dimension": data.DIMENSION, "rounds": options.rounds, **report.as_json(lines, found)}
    (build / "benchmarks.json").write_text(json.dumps(figures, indent=1), "utf-8")


def _say(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
