"""Real Jupyter servers, one for each kind of base URL, and kernels of them that serve real collections."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.notebook import Notebook
from tests.extension.rig import Jupyter

PREFIX = "/pre/"
"""As behind a proxy that leads to several programs."""
PERSONAL = "/user/a@b/"
"""As on a Hub: with a sign that some clients encode and some do not."""

RECORDS = 40
FILL = f"""
import chroma_nb
client = chroma_nb.EphemeralClient()
docs = client.create_collection("docs", embedding_function=None)
docs.add(
    [f"r{{i:02d}}" for i in range({RECORDS})],
    documents=[f"document number {{i}}" for i in range({RECORDS})],
    embeddings=[[float(i), 0.0, 1.0] for i in range({RECORDS})],
    metadatas=[{{"n": i, "even": i % 2 == 0}} for i in range({RECORDS})],
)
server = chroma_nb.serve(client)
"""
"""What a notebook does whose collection others query: ``docs``, whose record ``r07`` has the embedding ``[7, 0, 1]``."""


@pytest.fixture(scope="package")
def jupyters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Jupyter]]:
    """Return a function that gives the server of a base URL. In the end no token is in its log, and no failure of our code."""
    started: dict[str, Jupyter] = {}
    with contextlib.ExitStack() as running:

        def of(base_url: str) -> Jupyter:
            if base_url not in started:
                started[base_url] = running.enter_context(Jupyter.started(tmp_path_factory.mktemp("jupyter"), base_url=base_url))
            return started[base_url]

        yield of
    for jupyter in started.values():
        assert jupyter.token not in jupyter.log
        assert not re.search(r'File "[^"]*chroma_nb', jupyter.log)


@pytest.fixture(scope="package")
def jupyter(jupyters: Callable[[str], Jupyter]) -> Jupyter:
    """Return the server that most tests share."""
    return jupyters(PREFIX)


@pytest.fixture(scope="module")
def served(jupyter: Jupyter) -> Iterator[Notebook]:
    """Start a kernel that serves ``docs``."""
    opened = Notebook(jupyter, "folder/served ü.ipynb")
    opened.run(FILL)
    yield opened
    opened.kernel.shutdown()
