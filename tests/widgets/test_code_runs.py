"""What "Copy as code" prints is run, in every language, against real servers and stores, and must find what the builder found."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import Filter, to_dict
from tests.clients.environments import ENVIRONMENTS, UnavailableError
from tests.filters.strategies import RECORDS, filters
from tests.widgets.builder_data import as_key, hostile, papers
from tests.widgets.hostile import PAYLOADS

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
TOKEN = "code-token-4711"

FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "one test": {"where": {"topic": "art"}},
    "a range and a negative": {"where": {"$and": [{"year": {"$gte": 1960}}, {"year": {"$lte": 1999}}, {"topic": {"$ne": "law"}}]}},
    "lists and groups": {"where": {"$or": [{"tags": {"$contains": "a"}}, {"$and": [{"open": True}, {"score": {"$gt": 2.5}}]}]}},
    "lacking keys": {"where": {"rare": {"$ne": "y"}}},
    "lacking keys, many": {"where": {"rare": {"$nin": ["y", "z"]}}},
    "documents": {
        "where": {"topic": {"$in": ["art", "law", "économie"]}},
        "where_document": {"$and": [{"$contains": "owl"}, {"$not_contains": "7"}]},
    },
    "a pattern": {"where_document": {"$regex": r"^(owls|a study).*[13579]$"}},
    "documents or metadata": {"where": {"$or": [{"#document": {"$contains": "owl"}}, {"year": 1990}]}},
    "mixed numbers": {"where": {"score": {"$in": [1, 2.5, 3.0]}}},
    "nothing": {"where": {"year": {"$gt": 3000}}},
    "limited": {"where": {"open": True}, "limit": 7},
    "by text": {"query": "owls in the night", "where": {"open": True}, "n_results": 7},
    "by two texts": {"query": ["owls", "rivers"], "n_results": 4},
    "by vector": {"query": np.linspace(-1, 1, 16), "n_results": 5, "where_document": {"$not_contains": "law"}},
    "by a large vector": {"query": np.full(16, 1e-30), "n_results": 3},
    "like one": {"like": "p7", "n_results": 5},
    "like two": {"like": ["p3", "p1"], "n_results": 3, "where": {"topic": {"$ne": "music"}}},
    "all columns": {"query": "bones", "include": ["documents", "metadatas", "distances", "embeddings", "uris"]},
}
DATES: dict[str, dict[str, Any]] = {
    "a moment": {"where": {"published": {"$gte": pd.Timestamp("2015-06-01 12:00", tz="Europe/Paris")}}},
    "to the nanosecond": {"where": {"seen": {"$lt": pd.Timestamp("2020-01-03 04:00:00.000000001")}}},
    "hours shown twice": {"where": {"published": {"$ne": pd.Timestamp("2015-10-25 00:30", tz="UTC").tz_convert("Europe/Paris")}}},
}


@dataclass
class Place:
    """A store in a folder, served, and its collections seen from both sides."""

    client: Any
    url: str
    collections: dict[str, Mapping[str, Any]]

    def builder(self, side: str, name: str = "papers", **asked: Any) -> Any:
        return self.collections[side][name].builder(results=False, **asked)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with chroma_nb.PersistentClient(tmp_path_factory.mktemp("store 'quoted' $HOME")) as client:
        made = {"papers": papers(client), "hostile": hostile(client)}
        with (
            chroma_nb.serve(client, token=TOKEN) as server,
            chroma_nb.HttpClient(server.url, headers={"X-Chroma-Token": TOKEN}) as far,
        ):
            served = {name: far.get_collection(name) for name in made}
            yield Place(client, server.url, {"embedded": made, "served": served})


@pytest.fixture(autouse=True)
def environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_URL", place.url)
    monkeypatch.setenv("CHROMA_TOKEN", TOKEN)


def found(builder: Any) -> list[list[str]]:
    """Return the ids that a builder finds, a list per query."""
    frame = builder.run()
    if "query" not in frame.index.names:
        return [frame.index.tolist()]
    return [part["id"].tolist() for _, part in frame.groupby(level="query")]


def as_lists(ids: Any) -> list[list[str]]:
    return ids if ids and isinstance(ids[0], list) else [ids]


def quiet() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"ANONYMIZED_TELEMETRY": "False"}


def run_chromadb(programs: list[str]) -> list[Any]:
    environment = ENVIRONMENTS["client-1.5.9"]
    make(environment)
    command = [str(environment.python), str(HERE / "run_python.py")]
    done = subprocess.run(command, input=json.dumps(programs), env=quiet(), check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return [ast.literal_eval(text) for text in json.loads(done.stdout)]


def run_javascript(programs: list[str], folder: Path) -> list[Any]:
    environment = ENVIRONMENTS["js-3.5.0"]
    make(environment)
    (folder / "node_modules").symlink_to(environment.folder / "node_modules")
    for i, program in enumerate(programs):
        (folder / f"copied{i}.mjs").write_text(program, encoding="utf-8")
    # What is printed for people is cut short; the ids themselves are wanted.
    lines = ["const printed = [];", "console.log = (ids) => printed.push(ids);"]
    lines += [f'await import("./copied{i}.mjs");' for i in range(len(programs))]
    (folder / "all.mjs").write_text("\n".join([*lines, "process.stdout.write(JSON.stringify(printed));"]), encoding="utf-8")
    done = subprocess.run(["node", "all.mjs"], cwd=folder, env=quiet(), check=False, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    printed: list[Any] = json.loads(done.stdout)
    return printed


def make(environment: Any) -> None:
    try:
        environment.make()
    except UnavailableError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


def run_curl(program: str) -> Any:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    done = subprocess.run(["sh", "-c", program], check=False, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)["ids"]


def run_chroma_nb(program: str) -> list[list[str]]:
    names: dict[str, Any] = {}
    exec(program, names)
    frame = names["frame"]
    if "query" not in frame.index.names:
        return [frame.index.tolist()]
    return [part["id"].tolist() for _, part in frame.groupby(level="query")]


def without_own(ids: list[list[str]], like: list[str] | None, n_results: int) -> list[list[str]]:
    """Leave out the records themselves, as the comment above the command tells people to."""
    if like is None:
        return ids
    return [[each for each in row if each != own][:n_results] for own, row in zip(like, ids, strict=True)]


SIDES = pytest.mark.parametrize("side", ["embedded", "served"])


@SIDES
@pytest.mark.parametrize("name", [*FILTERS, *DATES])
def test_python_for_chroma_nb(place: Place, side: str, name: str) -> None:
    builder = place.builder(side, **{**FILTERS, **DATES}[name])
    assert run_chroma_nb(builder.code("chroma_nb")) == found(builder)


def test_python_for_chroma_nb_in_a_process_of_its_own(place: Place) -> None:
    builder = place.builder("embedded", **FILTERS["by text"])
    program = builder.code("chroma_nb") + "\nprint(frame['id'].tolist())"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120)
    assert [ast.literal_eval(done.stdout)] == found(builder)


@SIDES
def test_python_for_chromadb(place: Place, side: str) -> None:
    builders = [place.builder(side, **asked) for asked in FILTERS.values()]
    answers = run_chromadb([builder.code("chromadb") for builder in builders])
    for name, builder, ids in zip(FILTERS, builders, answers, strict=True):
        assert as_lists(ids) == found(builder), name


@SIDES
def test_javascript(place: Place, side: str, tmp_path: Path) -> None:
    builders = [place.builder(side, **asked) for asked in FILTERS.values()]
    answers = run_javascript([builder.code("javascript") for builder in builders], tmp_path)
    for name, builder, ids in zip(FILTERS, builders, answers, strict=True):
        assert as_lists(ids) == found(builder), name


@SIDES
@pytest.mark.parametrize("name", [*FILTERS, *DATES])
def test_curl(place: Place, side: str, name: str) -> None:
    builder = place.builder(side, **{**FILTERS, **DATES}[name])
    answer = as_lists(run_curl(builder.code("curl")))
    assert without_own(answer, builder.like, builder.n_results) == found(builder)


@pytest.mark.parametrize("name", [*FILTERS, *DATES])
def test_the_bare_filter(place: Place, name: str) -> None:
    asked = {key: value for key, value in {**FILTERS, **DATES}[name].items() if key in ("where", "where_document")}
    builder = place.builder("embedded", **asked)
    source = builder.code("where")
    again = place.builder("embedded")
    again.paste(source)
    assert (again.where, again.where_document) == (builder.where, builder.where_document)


def hostile_questions(texts: list[str]) -> list[dict[str, Any]]:
    """Return a question per text, in which it is key, value, one of several values and part of a document."""
    return [
        {"where": {"$or": [{as_key(text): {"$eq": text}}, {"text": {"$in": [text, "y"]}}]}, "where_document": {"$contains": text}}
        for text in texts
    ]


TEXTS = [text for text in PAYLOADS if text and len(text) < 1000]


def test_hostile_texts_stay_texts_in_every_language(place: Place, tmp_path: Path) -> None:
    builders = [place.builder("embedded", "hostile", **asked) for asked in hostile_questions(TEXTS)]
    expected = [found(builder) for builder in builders]
    assert all(ids[0] for ids in expected)
    languages: dict[str, Callable[[], list[Any]]] = {
        "chroma_nb": lambda: [run_chroma_nb(builder.code("chroma_nb")) for builder in builders],
        "chromadb": lambda: run_chromadb([builder.code("chromadb") for builder in builders]),
        "javascript": lambda: run_javascript([builder.code("javascript") for builder in builders], tmp_path),
        "curl": lambda: [run_curl(builder.code("curl")) for builder in builders],
    }
    for language, run in languages.items():
        answers = [as_lists(ids) for ids in run()]
        wrong = [text for text, answer, ids in zip(TEXTS, answers, expected, strict=True) if answer != ids]
        assert not wrong, language


def test_hostile_ids_stay_ids_in_every_language(place: Place, tmp_path: Path) -> None:
    ids = place.collections["embedded"]["hostile"].get(include=[]).index.tolist()
    like = [each for each in ids if len(each) < 1000]
    builder = place.builder("embedded", "hostile", like=like, n_results=3)
    expected = found(builder)
    assert run_chroma_nb(builder.code("chroma_nb")) == expected
    assert run_chromadb([builder.code("chromadb")])[0] == expected
    assert run_javascript([builder.code("javascript")], tmp_path)[0] == expected
    assert without_own(run_curl(builder.code("curl")), like, 3) == expected


def test_no_language_writes_a_secret(place: Place) -> None:
    builder = place.builder("served", query="owls")
    for language in ("chroma_nb", "chromadb", "javascript", "curl", "where"):
        assert TOKEN not in builder.code(language)


@given(drawn=st.lists(filters(), min_size=40, max_size=40), records=RECORDS.filter(bool))
@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_any_filter_that_is_written_runs(place: Place, tmp_path_factory: pytest.TempPathFactory, drawn: list[Filter], records: Any) -> None:
    place.client.get_or_create_collection("random", embedding_function=None)
    place.client.delete_collection("random")
    collection = place.client.create_collection("random", embedding_function=None)
    ids = [str(i) for i in range(len(records))]
    documents = [document for _, document in records]
    metadatas = [{key: value for key, value in (metadata or {}).items() if key} or None for metadata, _ in records]
    collection.add(ids, embeddings=np.ones((len(ids), 2)), metadatas=metadatas, documents=documents)
    runs: dict[Any, Any] = {"chromadb": run_chromadb, "javascript": lambda codes: run_javascript(codes, tmp_path_factory.mktemp("js"))}
    for language, run in runs.items():
        written = {}
        for each in drawn:
            where, where_document = to_dict(each)
            builder = collection.builder(where, where_document, results=False)
            with contextlib.suppress(InvalidArgumentError):
                written[builder.code(language)] = found(builder)
        assert [as_lists(answer) for answer in run(list(written))] == list(written.values())
