"""How long clients wait for a server in a kernel whose main thread is busy with pure Python: the worst case for the GIL.

Run as ``python -m tests.benchmarks.http_busy``; prints, asserts nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

import numpy as np

import chroma_nb

RECORDS, DIMENSION = 10_000, 384
ASKING = """
import sys, time
import numpy as np
import chroma_nb

client = chroma_nb.HttpClient(sys.argv[1])
docs = client.get_collection("docs")
vectors = np.random.default_rng(1).normal(size=(200, 384)).astype(np.float32)
calls = {
    "heartbeat": lambda i: client.heartbeat(),
    "query": lambda i: docs.query(vectors[i], n_results=10),
    "filtered get of 100": lambda i: docs.get(where={"n": i}),
    "upsert": lambda i: docs.upsert([f"id{i}"], embeddings=vectors[i : i + 1]),
}
for name, call in calls.items():
    call(0)  # what is read from disk once is no matter of a busy thread
    times = []
    for i in range(200):
        start = time.perf_counter()
        call(i)
        times.append(1000 * (time.perf_counter() - start))
    print(f"{name:20} p50 {np.percentile(times, 50):7.1f} ms   p99 {np.percentile(times, 99):7.1f} ms   worst {max(times):7.1f} ms")
"""


def busy_until(process: subprocess.Popen[str]) -> None:
    """Compute without end, as a cell with a loop does, until the other process is done."""
    total = 0
    while process.poll() is None:
        for i in range(1_000_000):
            total += i * i


def idle_until(process: subprocess.Popen[str]) -> None:
    """Wait, as a kernel between two cells does."""
    process.wait()


def main() -> None:
    """Measure with an idle and with a busy main thread."""
    with tempfile.TemporaryDirectory() as folder, chroma_nb.PersistentClient(folder) as client:
        docs = client.create_collection("docs", embedding_function=None)
        vectors = np.random.default_rng(0).normal(size=(RECORDS, DIMENSION)).astype(np.float32)
        docs.add([f"id{i}" for i in range(RECORDS)], embeddings=vectors, metadatas=[{"n": i // 100} for i in range(RECORDS)])
        docs.build_index(show_progress=False)
        with chroma_nb.serve(client, token=None) as server:
            for name, waiting in (("idle", idle_until), ("busy", busy_until)):
                start = time.perf_counter()
                print(f"main thread {name}")
                process = subprocess.Popen([sys.executable, "-c", ASKING, server.url], stdout=subprocess.PIPE, text=True)
                waiting(process)
                print(process.communicate()[0] + f"{time.perf_counter() - start:.1f} s in all\n")


if __name__ == "__main__":
    main()
