"""Several kernels at once, and what becomes of an address when its kernel is interrupted, restarted, killed, shut down or busy."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import chroma_nb
from tests.end_to_end.conftest import FILL, RECORDS
from tests.end_to_end.notebook import DATABASE, Notebook, eventually
from tests.extension.rig import CellError, Jupyter

PATIENCE = 60.0
HANG = 10.0
"""Seconds after which a kernel that is busy counts as one that does not answer; how fast it is, the benchmark says."""
HOW_TO = "chroma_nb.serve()"
BUSY = """
total = 0
while True:
    total += sum(i * i for i in range(1000))
"""


@pytest.fixture
def opened(jupyter: Jupyter) -> Iterator[Callable[[str], Notebook]]:
    """Return a function that opens a notebook of a name; all are shut down after the test."""
    made: list[Notebook] = []

    def open_(path: str) -> Notebook:
        made.append(Notebook(jupyter, path))
        return made[-1]

    yield open_
    for notebook in made:
        if jupyter.ask("GET", f"api/sessions/{notebook.kernel.session}").status_code == 200:
            notebook.kernel.shutdown()


def record(notebook: Notebook) -> Path:
    return notebook.jupyter.runtime / "chroma_nb" / f"kernel-{notebook.kernel.id}.json"


def refusal(response: httpx.Response, *statuses: int) -> str:
    """Return why a request was refused, in the shape that Chroma's clients read."""
    assert response.status_code in statuses
    said = response.json()
    assert set(said) == {"error", "message"}
    return str(said["message"])


def test_two_kernels_have_an_address_each(jupyter: Jupyter, opened: Callable[[str], Notebook]) -> None:
    notebooks = [opened("one.ipynb"), opened("more/two ü 100%.ipynb")]
    for number, notebook in enumerate(notebooks):
        notebook.run(FILL)
        notebook.run(f"docs.add([f'mine{{i}}' for i in range({number} + 1)], embeddings=[[{number}, 0, 0]] * ({number} + 1))")
    for number, notebook in enumerate(notebooks):
        assert notebook.count("docs") == notebook.count("docs", notebook.by_path) == RECORDS + 1 + number
        url = f"{jupyter.url}{notebook.by_path}"
        with chroma_nb.HttpClient(url, headers=jupyter.headers) as client:
            mine = client.get_collection("docs").get("mine0", include=["embeddings"])
            assert mine["embedding"].iloc[0].tolist() == [number, 0, 0]
    message = refusal(jupyter.ask("GET", "chroma-nb/default/api/v2/heartbeat"), 409)
    for notebook in notebooks:
        assert notebook.by_id in message
        assert notebook.path in message
    notebooks[0].run("server.stop()")
    assert notebooks[1].count("docs", "chroma-nb/default") == RECORDS + 2
    listed = jupyter.ask("GET", "chroma-nb/servers").json()
    assert [each["notebook"] for each in listed] == [notebooks[1].path]


def test_two_kernels_with_one_store_agree(jupyter: Jupyter, opened: Callable[[str], Notebook], tmp_path: Path) -> None:
    notebooks = [opened("one.ipynb"), opened("two.ipynb")]
    for notebook in notebooks:
        notebook.run(f"import chroma_nb; client = chroma_nb.PersistentClient({str(tmp_path)!r}); server = chroma_nb.serve(client)")
    clients = [chroma_nb.HttpClient(f"{jupyter.url}{each.by_id}", headers=jupyter.headers) for each in notebooks]
    clients[0].create_collection("docs", embedding_function=None)
    docs = [client.get_collection("docs") for client in clients]

    def write(number: int) -> None:
        docs[number % 2].upsert([f"r{number}"], embeddings=[[number, 1]], documents=[f"from {number % 2}"])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(40)))
    for side in docs:
        assert sorted(side.get().index) == sorted(f"r{number}" for number in range(40))
        assert side.query([[7, 1]], n_results=1)["id"].tolist() == ["r7"]
    docs[0].delete(["r7"])
    assert docs[1].query([[7, 1]], n_results=1)["id"].iloc[0] in ("r6", "r8")
    assert notebooks[1].value("client.get_collection('docs').count()") == 39
    for client in clients:
        client.close()


def test_interrupting_a_cell_leaves_requests_alone(jupyter: Jupyter, opened: Callable[[str], Notebook]) -> None:
    notebook = opened("interrupted.ipynb")
    notebook.run(FILL)
    # One request whose body is still on its way, and many short ones, when the interrupt comes.
    with ThreadPoolExecutor(5) as threads:
        cell = notebook.kernel.start("import time\nprint('waiting')\nwhile True:\n    time.sleep(0.01)")
        held = threads.submit(_add_slowly, notebook, 3.0)
        asked = [threads.submit(notebook.count, "docs") for _ in range(40)]
        time.sleep(1)
        notebook.kernel.interrupt()
        with pytest.raises(CellError, match="KeyboardInterrupt"):
            notebook.kernel.wait(cell)
        assert held.result().status_code == 201
        assert {each.result() for each in asked} <= {RECORDS, RECORDS + 1}
    assert notebook.value("docs.get('slow')['document'].tolist()") == ["sent slowly"]


def _add_slowly(notebook: Notebook, seconds: float) -> httpx.Response:
    found = notebook.ask("GET", f"{DATABASE}/collections/docs").json()
    body = json.dumps({"ids": ["slow"], "embeddings": [[1, 2, 3]], "documents": ["sent slowly"]}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 10):
            time.sleep(seconds * 10 / len(body))
            yield body[start : start + 10]

    url = f"{notebook.jupyter.url}{notebook.by_id}/{DATABASE}/collections/{found['id']}/add"
    return httpx.post(url, content=pieces(), headers={**notebook.jupyter.headers, "Content-Type": "application/json"}, timeout=PATIENCE)


def test_a_restarted_kernel_has_its_address_when_it_serves_again(jupyter: Jupyter, opened: Callable[[str], Notebook]) -> None:
    notebook = opened("restarted.ipynb")
    notebook.run(FILL)
    url = notebook.value("server.url")
    with chroma_nb.HttpClient(url, headers=jupyter.headers) as client:
        docs = client.get_collection("docs")
        assert docs.count() == RECORDS
        notebook.kernel.restart()
        for base in (notebook.by_id, notebook.by_path, "chroma-nb/default"):
            assert HOW_TO in refusal(jupyter.ask("GET", f"{base}/api/v2/heartbeat"), 404)
        with pytest.raises(chroma_nb.errors.ChromaError, match=r"chroma_nb\.serve\(\)"):
            docs.count()
        notebook.run(FILL)
        assert notebook.value("server.url") == url
        assert client.get_collection("docs").count() == RECORDS


def test_a_killed_kernel_is_gone_and_leaves_nothing_for_good(jupyter: Jupyter, opened: Callable[[str], Notebook]) -> None:
    notebook = opened("killed.ipynb")
    notebook.run(FILL)
    pid = notebook.kernel.pid
    notebook.kernel.disconnect()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: notebook.ask("GET", "api/v2/heartbeat").status_code == 410)
    assert HOW_TO in refusal(notebook.ask("GET", "api/v2/heartbeat"), 410)
    assert [each["state"] for each in jupyter.ask("GET", "chroma-nb/servers").json()] == ["gone"]
    # Jupyter starts its process anew.
    eventually(lambda: jupyter.ask("GET", f"api/kernels/{notebook.kernel.id}").json()["execution_state"] != "dead")
    notebook.run(FILL)
    assert notebook.count("docs") == RECORDS
    notebook.kernel.disconnect()
    os.kill(notebook.kernel.pid, signal.SIGKILL)
    notebook.kernel.shutdown()
    refusal(notebook.ask("GET", "api/v2/heartbeat"), 404)
    assert jupyter.ask("GET", "chroma-nb/servers").json() == []
    assert not record(notebook).exists()


def test_a_kernel_that_is_shut_down_is_not_known_any_more(jupyter: Jupyter, opened: Callable[[str], Notebook]) -> None:
    notebook = opened("shut down.ipynb")
    notebook.run(FILL)
    assert record(notebook).exists()
    notebook.kernel.shutdown()
    for base in (notebook.by_id, notebook.by_path):
        refusal(jupyter.ask("GET", f"{base}/api/v2/heartbeat"), 404)
    eventually(lambda: not record(notebook).exists())


def test_a_server_that_stops_and_one_that_starts_in_its_place(opened: Callable[[str], Notebook]) -> None:
    notebook = opened("stopped.ipynb")
    notebook.run(FILL)
    for _ in range(3):
        assert notebook.count("docs") == RECORDS
        notebook.run("server.stop()")
        assert HOW_TO in refusal(notebook.ask("GET", "api/v2/heartbeat"), 404)
        notebook.run("server = chroma_nb.serve(client)")


def test_a_busy_kernel_answers(jupyter: Jupyter, opened: Callable[[str], Notebook]) -> None:
    notebook = opened("busy.ipynb")
    notebook.run(FILL)
    cell = notebook.kernel.start(BUSY)
    with chroma_nb.HttpClient(f"{jupyter.url}{notebook.by_id}", headers=jupyter.headers, timeout=HANG) as client:
        docs = client.get_collection("docs")
        for number in range(10):
            docs.upsert(["new"], embeddings=[[number, 5, 5]])
            assert docs.query([[number, 5, 5]], n_results=1)["id"].tolist() == ["new"]
    notebook.kernel.interrupt()
    with pytest.raises(CellError, match="KeyboardInterrupt"):
        notebook.kernel.wait(cell)
    assert notebook.value("docs.count()") == RECORDS + 1
