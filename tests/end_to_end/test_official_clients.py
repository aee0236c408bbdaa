"""Chroma's own clients query what a notebook serves, with Jupyter's URL and token and the code that the notebook shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FILL, PERSONAL, PREFIX, RECORDS
from tests.end_to_end.notebook import Notebook
from tests.end_to_end.official import environment, output, program
from tests.extension.rig import Jupyter

QUERY = [7.2, 0.0, 1.0]
FOUND = [["r08", "r06", "r10"], ["document number 8", "document number 6", "document number 10"]]
"""What `QUERY` finds among the even records: ids and documents, nearest first."""

PYTHON = f"""
import json
docs = client.get_collection("docs", embedding_function=None)
found = docs.query(query_embeddings=[{QUERY}], n_results=3, where={{"even": True}})
docs.add(ids=["python"], embeddings=[[0.0, 9.0, 9.0]], documents=["from Python"], metadatas=[{{"n": -1}}])
print(json.dumps([found["ids"][0], found["documents"][0]]))
"""
JAVASCRIPT = f"""
const docs = await client.getCollection({{ name: "docs", embeddingFunction: null }});
const found = await docs.query({{ queryEmbeddings: [{QUERY}], nResults: 3, where: {{ even: true }} }});
await docs.add({{ ids: ["javascript"], embeddings: [[0, 9, 9]], documents: ["from JavaScript"], metadatas: [{{ n: -2 }}] }});
console.log(JSON.stringify([found.ids[0], found.documents[0]]));
"""


@pytest.fixture(scope="module", params=["/", PREFIX, PERSONAL])
def notebook(request: pytest.FixtureRequest, jupyters: Callable[[str], Jupyter]) -> Iterator[Notebook]:
    """Open a notebook below each kind of base URL; it serves ``docs``."""
    opened = Notebook(jupyters(request.param), "official.ipynb")
    opened.run(FILL)
    yield opened
    opened.kernel.shutdown()


@pytest.mark.parametrize(("client", "language", "code"), [("py-1.5.9", "python", PYTHON), ("js-3.5.0", "js", JAVASCRIPT)])
def test_the_code_that_a_notebook_shows_connects(notebook: Notebook, tmp_path: Path, client: str, language: str, code: str) -> None:
    shown = notebook.run(f"print(server.{language}())")
    assert notebook.jupyter.token not in shown
    command = program(environment(client), shown + code, tmp_path / "program")
    assert json.loads(output(command, JUPYTER_TOKEN=notebook.jupyter.token).splitlines()[-1]) == FOUND
    # What the client wrote is in the notebook's own collection, as the next cell sees it.
    name = "python" if language == "python" else "javascript"
    row = notebook.value(f"docs.get({name!r})[['document', 'n']].values.tolist()")
    assert row == [[f"from {name.title().replace('script', 'Script')}", -1 if name == "python" else -2]]
    notebook.run(f"docs.delete({name!r})")


def test_the_command_that_a_notebook_shows_answers(notebook: Notebook) -> None:
    command = notebook.run("print(server.curl())").replace("curl ", "curl --silent --show-error --fail ", 1)
    (listed,) = json.loads(output(["bash", "-c", command], JUPYTER_TOKEN=notebook.jupyter.token))
    assert (listed["name"], listed["dimension"], notebook.value("docs.count()")) == ("docs", 3, RECORDS)
