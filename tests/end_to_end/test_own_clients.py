"""Our own clients through Jupyter: from the kernel that serves, from another one, and from a program beside them; data frames survive."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pandas as pd
import pytest

import chroma_nb
from tests.end_to_end.conftest import RECORDS
from tests.end_to_end.notebook import Notebook
from tests.end_to_end.official import output
from tests.extension.rig import ROOT, Jupyter

FOUND = ["r08", "r06", "r10"]
SYNC = """
import chroma_nb
def ask(url, headers):
    with chroma_nb.HttpClient(url, headers=headers) as client:
        docs = client.get_collection("docs")
        return docs.count(), docs.query([[7.2, 0, 1]], n_results=3, where={"even": True})["id"].tolist()
"""
ASYNC = """
import chroma_nb
async def ask(url, headers):
    async with await chroma_nb.AsyncHttpClient(url, headers=headers) as client:
        docs = await client.get_collection("docs")
        found = await docs.query([[7.2, 0, 1]], n_results=3, where={"even": True})
        return await docs.count(), found["id"].tolist()
"""
KINDS = pytest.mark.parametrize(("code", "call"), [(SYNC, "ask"), (ASYNC, "await ask")], ids=["sync", "async"])
ANSWER = f"({RECORDS}, {FOUND})\n"


@pytest.fixture(scope="module")
def beside(jupyter: Jupyter) -> Iterator[Notebook]:
    """Open a notebook that serves nothing and asks others."""
    opened = Notebook(jupyter, "beside.ipynb")
    yield opened
    opened.kernel.shutdown()


@KINDS
def test_the_kernel_that_serves_can_ask_itself(served: Notebook, code: str, call: str) -> None:
    assert served.run(f"{code}\nprint({call}(server.url, server.headers))") == ANSWER


@KINDS
def test_another_kernel_can_ask_it(served: Notebook, beside: Notebook, code: str, call: str) -> None:
    url, headers = served.value("[server.url, server.headers]")
    assert beside.run(f"{code}\nprint({call}({url!r}, {headers!r}))") == ANSWER


def test_a_program_beside_jupyter_can_ask_it(served: Notebook) -> None:
    headers = "{'Authorization': 'token ' + os.environ['JUPYTER_TOKEN']}"
    code = f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\n{SYNC}\nprint(ask({served.value('server.url')!r}, {headers}))"
    assert output([sys.executable, "-c", code], JUPYTER_TOKEN=served.jupyter.token) == ANSWER


def test_data_frames_come_back_as_they_were(jupyter: Jupyter, served: Notebook) -> None:
    frame = pd.DataFrame(
        {
            "document": ["eins", None, "<b>drei</b> \u202e"],
            "embedding": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
            "when": pd.to_datetime(["2024-01-02", None, "2026-03-04"], utc=True),
            "number": pd.array([1, None, 3], dtype="Int64"),
            "share": [0.1, 1 / 3, 1e300],
            "yes": pd.array([True, None, False], dtype="boolean"),
        },
        index=pd.Index(["a", "b/ü?#%", " "], name="id"),
    )

    async def asked() -> pd.DataFrame:
        async with await chroma_nb.AsyncHttpClient(served.value("server.url"), headers=jupyter.headers) as client:
            made = await client.create_collection("frames", embedding_function=None)
            await made.add(frame)
            found: pd.DataFrame = await made.get()
            return found

    remote = asyncio.run(asked())
    assert remote.index.tolist() == frame.index.tolist()
    served.run("frames = client.get_collection('frames').get()")
    assert {name: str(kind) for name, kind in remote.dtypes.items()} == served.value("{n: str(k) for n, k in frames.dtypes.items()}")
    assert remote.to_json(date_format="iso") == served.run("print(frames.to_json(date_format='iso'), end='')")
    for name in ("document", "number", "share", "yes"):
        assert remote[name].isna().tolist() == frame[name].isna().tolist()
        assert remote[name].dropna().tolist() == frame[name].dropna().tolist()
    assert served.value("docs.count()") == RECORDS
