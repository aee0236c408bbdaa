"""Our server against ``chroma run``, asked by the same official Python client in one run: ``make bench``.

``CHROMA_PYTHON`` is an interpreter that has chromadb. Rounds alternate between the servers, each round on a new store; what
counts is the ratio of the medians.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from tests.benchmarks import data

ROWS, ROUNDS = 10_000, 3
TARGETS = {"get(where), all 10,000 rows": 3.0, "get(where), 1,000 rows": 3.0}
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run everything and print the table."""
    chroma = os.environ.get("CHROMA_PYTHON")
    if not chroma:
        raise SystemExit("CHROMA_PYTHON: expected the path of a Python that has chromadb; `make bench` sees to it")
    commands = {
        "chroma_nb": [sys.executable, "-m", "chroma_nb", "run"],
        "chromadb": [str(Path(chroma).with_name("chroma")), "run"],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="chroma_nb-bench-") as folder:
        vectors = Path(folder) / "vectors.npz"
        np.savez(vectors, vectors=data.make(ROWS)[0].stored.vectors)
        for number in range(ROUNDS):
            for name in sorted(commands, reverse=bool(number % 2)):
                with _served(commands[name], Path(folder) / f"{name}-{number}") as url:
                    script = str(Path(__file__).with_name("http_asking.py"))
                    ran = subprocess.run([chroma, script, url, str(vectors)], check=True, capture_output=True, text=True)
                    found[name].append(json.loads(ran.stdout.splitlines()[-1]))
    print(f"{ROWS:,} x {data.DIMENSION} over HTTP, official Python client, medians of {ROUNDS} rounds\n")
    print("| task | chroma_nb | chroma run | ratio | target | |\n|---|---|---|---|---|---|")
    for task in found["chroma_nb"][0]:
        ours, theirs = (median(taken[task] for taken in found[name]) for name in commands)
        target = TARGETS.get(task, 1.0)
        verdict = "met" if theirs / ours >= target else "MISSED"
        print(f"| {task} | {ours * 1000:.2f} ms | {theirs * 1000:.2f} ms | {theirs / ours:.1f}x | >= {target:g}x | {verdict} |")


@contextlib.contextmanager
def _served(command: list[str], folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"no server came up on port {port}")


if __name__ == "__main__":
    main()
