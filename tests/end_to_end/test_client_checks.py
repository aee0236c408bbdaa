"""All that Chroma's clients are checked for against our server (`tests/clients`), through Jupyter."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.environments import ENVIRONMENTS, Environment
from tests.end_to_end.conftest import PERSONAL
from tests.end_to_end.notebook import Notebook
from tests.end_to_end.official import environment, output, program
from tests.extension.rig import Jupyter

HERE = Path(__file__).parent
CHECKS = HERE.parent / "clients"
TOKEN = "open-sesame_0.4+/="
USUAL = ("py-0.5.5", "py-1.5.9", "js-1.9.2", "js-3.5.0")
"""Those that ask for v1 and for v2, in either language; ``CHROMA_NB_CLIENTS=all`` takes every generation."""
AWAITED = ("client-1.5.9", "py-1.5.9")
"""Whose asynchronous clients send the headers they are given."""
LEAST = {"sync": 70, "async": 68, "promises": 50}
"""How many checks each kind of client takes at least."""


def cases() -> Iterator[tuple[str, str]]:
    for name, client in ENVIRONMENTS.items():
        if name in USUAL or os.environ.get("CHROMA_NB_CLIENTS") == "all":
            yield name, "sync" if client.is_python else "promises"
            if name in AWAITED:
                yield name, "async"


@pytest.fixture(scope="module")
def notebook(jupyters: Callable[[str], Jupyter]) -> Iterator[Notebook]:
    """Open a notebook whose store has two doors: the way through Jupyter, and a port of this machine that asks for `TOKEN`."""
    opened = Notebook(jupyters(PERSONAL), "checked.ipynb")
    opened.run("import chroma_nb; client = chroma_nb.EphemeralClient()")
    opened.run(f"direct = chroma_nb.serve(client, port=0, token={TOKEN!r}); server = chroma_nb.serve(client)")
    yield opened
    opened.kernel.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(("client", "mode"), list(cases()))
def test_a_client_finds_everything_as_it_should(notebook: Notebook, tmp_path: Path, client: str, mode: str) -> None:
    made = environment(client)
    url, direct = notebook.value("[server.url, direct.local_url]")
    headers = json.dumps(notebook.jupyter.headers)
    given = [direct, TOKEN, f"tenant ü {client} {mode}"]
    if made.is_python:
        printed = output([str(made.python), str(HERE / "check_through.py"), headers, url, *given, mode])
    else:
        real = str(made.folder / "node_modules" / "chromadb" / "dist" / "chromadb.mjs")
        command = ["node", str(CHECKS / "check.mjs"), str(standing_in(made, tmp_path)), url, *given]
        printed = output(command, REAL_CLIENT=real, PROXIED_URL=url, PROXIED_HEADERS=headers)
    results = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    failed = [f"{each['name']}\n{each['detail']}" for each in results if not each["ok"]]
    assert not failed, "\n".join(failed)
    assert len(results) >= LEAST[mode]


def standing_in(client: Environment, folder: Path) -> Path:
    """Make a folder in which ``through.mjs`` stands for the client."""
    installed, home = (each / "node_modules" / "chromadb" for each in (client.folder, folder))
    (home / "dist").mkdir(parents=True)
    (home / "package.json").write_bytes((installed / "package.json").read_bytes())
    (home / "dist" / "chromadb.mjs").write_bytes((HERE / "through.mjs").read_bytes())
    return folder


def test_without_the_token_a_client_says_what_is_missing(notebook: Notebook, tmp_path: Path) -> None:
    command = program(environment("py-1.5.9"), notebook.run("print(server.python())"), tmp_path / "program")
    with pytest.raises(AssertionError, match="Authorization: token"):
        output(command, JUPYTER_TOKEN="0" * 48)
