"""What the way through Jupyter costs: a kernel of a real Jupyter server, asked directly and at Jupyter's address in turn.

Run as ``python -m tests.benchmarks.proxy_speed``; prints, asserts nothing. The difference counts, for both ways are as busy as the machine.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from tests.extension.rig import Jupyter, Kernel

RECORDS, DIMENSION, ASKED, TURNS, GETS, CLIENTS = 10_000, 384, 10, 400, 7, 50
TARGET = 3.0
"""Milliseconds that a query may take longer through Jupyter."""
FILL = f"""
import json, numpy as np, chroma_nb
client = chroma_nb.EphemeralClient()
docs = client.create_collection("docs", embedding_function=None)
vectors = np.random.default_rng(0).normal(size=({RECORDS}, {DIMENSION})).astype("float32")
texts = [f"document number {{i}} of the benchmark, long enough to be one sentence" for i in range({RECORDS})]
docs.add([f"id{{i}}" for i in range({RECORDS})], embeddings=vectors, documents=texts, metadatas=[{{"n": i}} for i in range({RECORDS})])
docs.build_index(show_progress=False)
server = chroma_nb.serve(client)
print()
print(json.dumps([server.socket_path, server.secret, str(docs.id)]))
"""
BUSY = "total = 0\nwhile True:\n    total += sum(i * i for i in range(1000))"

Ask = Callable[[str, dict[str, object]], bytes]


def direct(socket: str, secret: str, path: str) -> Ask:
    """Return a function that asks the kernel itself, as the Jupyter server does."""
    client = httpx.Client(
        transport=httpx.HTTPTransport(uds=socket), base_url="http://localhost", headers={"X-Chroma-Token": secret}, timeout=60
    )
    return lambda verb, body: client.post(f"{path}/{verb}", json=body).raise_for_status().content


def proxied(jupyter: Jupyter, kernel: Kernel, path: str) -> Ask:
    """Return a function that asks at Jupyter's address, with Jupyter's token."""
    client = httpx.Client(headers=jupyter.headers, trust_env=False, timeout=60)
    url = f"{jupyter.url}chroma-nb/k/{kernel.id}{path}"
    return lambda verb, body: client.post(f"{url}/{verb}", json=body).raise_for_status().content


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def in_turn(ways: dict[str, Ask], verb: str, bodies: list[dict[str, object]]) -> dict[str, np.ndarray]:
    """Return the milliseconds of each request on each way; they take turns in going first."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number, body in enumerate(bodies):
        for name in sorted(ways, reverse=bool(number % 2)):
            found[name].append(milliseconds(lambda ask=ways[name], body=body: ask(verb, body)))  # type: ignore[misc]
    return {name: np.array(times) for name, times in found.items()}


def queries(number: int) -> list[dict[str, object]]:
    """Return requests for the nearest of a vector."""
    vectors = np.random.default_rng(1).normal(size=(number, DIMENSION)).astype(np.float32)
    return [{"query_embeddings": [vector.tolist()], "n_results": ASKED} for vector in vectors]


def crowd(way: Callable[[], Ask], each: int) -> np.ndarray:
    """Return the milliseconds of queries of `CLIENTS` clients that ask at once, each with a connection of its own."""
    ready = threading.Barrier(CLIENTS)

    def work(_: int) -> list[float]:
        ask, asked = way(), queries(each)
        ask("query", asked[0])
        ready.wait()
        return [milliseconds(lambda body=body: ask("query", body)) for body in asked]  # type: ignore[misc]

    with ThreadPoolExecutor(CLIENTS) as threads:
        return np.array(list(threads.map(work, range(CLIENTS)))).ravel()


def line(name: str, times: np.ndarray) -> str:
    """Return figures in words."""
    p50, p99 = np.percentile(times, (50, 99))
    return f"  {name:12} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   worst {times.max():7.2f} ms"


def show(title: str, found: dict[str, np.ndarray]) -> float:
    """Print figures of both ways; return by how many milliseconds the medians differ."""
    print(title, *(line(name, times) for name, times in found.items()), sep="\n")
    more = float(np.median(found["proxied"]) - np.median(found["direct"]))
    print(f"  difference of the medians {more:.2f} ms\n", flush=True)
    return more


def main() -> None:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory() as folder, Jupyter.started(Path(folder) / "jupyter", base_url="/pre/") as jupyter:
        kernel = jupyter.kernel()
        socket, secret, collection = json.loads(kernel.run(FILL).splitlines()[-1])
        path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{collection}"
        makers = {"direct": lambda: direct(socket, secret, path), "proxied": lambda: proxied(jupyter, kernel, path)}
        ways = {name: make() for name, make in makers.items()}
        in_turn(ways, "query", queries(20))
        more = show(f"one query, {RECORDS:,} x {DIMENSION}, {ASKED} found", in_turn(ways, "query", queries(TURNS)))
        print(f"  target: at most {TARGET:g} ms more: {'met' if more <= TARGET else 'MISSED'}\n")
        everything: list[dict[str, object]] = [{"include": ["documents", "metadatas", "embeddings"], "limit": RECORDS}] * GETS
        size = len(ways["direct"]("get", everything[0])) / 2**20
        rows = in_turn(ways, "get", everything)
        show(f"get of all {RECORDS:,} rows, {size:.0f} MiB", rows)
        print(*(f"  {name}: {1000 * RECORDS / np.median(times):,.0f} rows/s\n" for name, times in rows.items()), sep="")
        show(f"queries of {CLIENTS} clients at once", {name: crowd(make, 20) for name, make in makers.items()})
        kernel.start(BUSY)
        show("one query while a cell computes in pure Python", in_turn(ways, "query", queries(60)))
        kernel.interrupt()


if __name__ == "__main__":
    main()
