"""A client of a server needs none of what embeds, indexes and draws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import chroma_nb

ROOT = Path(__file__).parent.parent.parent

THIN = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"hnswlib", "torch", "umap", "plotly", "ipywidgets", "sentence_transformers", "sklearn", "uvicorn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Blocker())

import asyncio
import chroma_nb
from chroma_nb import chromadb

url, token = sys.argv[1:]
headers = {"X-Chroma-Token": token}
with chroma_nb.HttpClient(url, headers=headers) as client:
    made = client.create_collection("docs", embedding_function=chroma_nb.HashingEmbeddingFunction(512))
    made.add(["a", "b"], documents=["an owl at night", "paint"], metadatas=[{"y": 1}, {"y": 2}])
    made.bulk_upsert(["c"], documents=["more"], print_progress=False)
    assert made.query(query_texts=["owl"], n_results=1)["id"].tolist() == ["a"]
    assert made.count({"y": {"$ne": 1}}) == 1
    print(made.describe())
    made.update("a", metadatas={"y": 3})
    assert len(list(made.scan(1))) == 3
    made.delete(["b"])

async def work():
    async with await chroma_nb.AsyncHttpClient(url, headers=headers) as client:
        return await (await client.get_collection("docs")).count()

assert asyncio.run(work()) == 2
with chromadb.HttpClient(url, headers=headers) as client:
    assert client.get_collection("docs").get(ids=["a"])["documents"] == ["an owl at night"]
try:
    chroma_nb.PersistentClient("nowhere").create_collection("docs", embedding_function=None)
except ImportError:
    pass
blocked = {"hnswlib", "torch", "umap", "plotly", "ipywidgets", "chroma_nb.engine.engine"} & set(sys.modules)
print("done" if blocked <= {"chroma_nb.engine.engine"} else blocked)
"""
"""A client's whole day, in an interpreter where the heavy packages are not to be had."""


def test_a_client_needs_no_heavy_package(tmp_path: Path) -> None:
    with chroma_nb.serve(tmp_path / "store") as server:
        command = [sys.executable, "-W", "error", "-c", THIN, server.url, server.headers["X-Chroma-Token"]]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done"
