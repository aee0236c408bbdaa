"""Text of others never commands a terminal: whatever says something shows control characters and marks that turn text as escapes.

Data frames are left out: what pandas prints of a cell is pandas' own. The figures of a widget and HTML have tests of their own.
"""

from __future__ import annotations

import io
import logging
import re
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chroma_nb
from chroma_nb import errors
from chroma_nb.chromadb.api.models.Collection import Collection as ChromaCollection
from chroma_nb.errors import ChromaError
from chroma_nb.filters import describe, parse_where
from chroma_nb.scalars import Instant
from tests.http.scripted import PRE_FLIGHT, reply, scripted

EVIL = "\x1b[2J\x1b]0;owned\x07\r\x08\x7f\x9b31m\u202e\u2066\u061c\u200f\u2028\nforged"
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
E = [[1.0, 2.0]]
Call = Callable[[Any], object]


def leaks(text: str) -> bool:
    return ACTIVE.search(text) is not None or "\nforged" in text


def evil_named(name: str) -> str:
    return name + EVIL


class Told:
    """An embedding function that is called after its enemy."""

    def name(self) -> str:
        return EVIL

    def __call__(self, input: list[str]) -> Any:  # noqa: A002 - Chroma's name
        return [EVIL] * len(input)


class Evil:
    """Of a class that is named and shown as its enemy likes."""

    def __repr__(self) -> str:
        return EVIL

    __str__ = __repr__


Evil.__name__ = EVIL

WRITES: list[Call] = [
    lambda docs: docs.add([EVIL] * 2, embeddings=E * 2),
    lambda docs: docs.add([Evil()], embeddings=E),
    lambda docs: docs.add(Evil(), embeddings=E),
    lambda docs: docs.add([EVIL, ""], embeddings=E * 2),
    lambda docs: docs.add([EVIL + "\ud800"], embeddings=E),
    lambda docs: docs.add(["x"], embeddings=[[EVIL, 1]]),
    lambda docs: docs.add(["x"], embeddings=[EVIL]),
    lambda docs: docs.add(["x"], embeddings=EVIL),
    lambda docs: docs.add(["x"], embeddings=Evil()),
    lambda docs: docs.add(["x"], embeddings=[[Evil()]]),
    lambda docs: docs.add(["x"], embeddings=np.zeros(1, dtype=[(EVIL, "f4")])),
    lambda docs: docs.add(["x"], embeddings=E, documents=[Evil()]),
    lambda docs: docs.add(["x"], embeddings=E, documents=[EVIL + "\ud800"]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=EVIL),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[Evil()]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{Evil(): 1}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{"$" + EVIL: 1}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL + "\ud800": 1}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL: Evil()}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL: [1, EVIL]}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL: {EVIL: EVIL}}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL: 2**70}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL: []}]),
    lambda docs: docs.add(["x"], embeddings=E, metadatas=[{EVIL: Instant(EVIL)}]),  # type: ignore[arg-type]
    lambda docs: docs.bulk_upsert(["x"], embeddings=E, on_batch_processed=raising),
    lambda docs: docs.modify(name=EVIL),
    lambda docs: docs.modify(metadata={EVIL: Evil()}),
    lambda docs: docs.modify(configuration={EVIL: 1}),
    lambda docs: docs.modify(configuration={"hnsw": {EVIL: 1}}),
    lambda docs: docs.modify(configuration={"hnsw": {"ef_search": EVIL}}),
    lambda docs: docs.fork(EVIL),
    lambda docs: docs.delete(where={EVIL: {EVIL: 1}}),
]
FRAMES: list[Call] = [
    lambda docs: docs.add(pd.DataFrame({"embedding": E}, index=pd.Index([EVIL + "\ud800"], dtype=object))),
    lambda docs: docs.add(pd.DataFrame({"embedding": E * 2}, index=[EVIL, EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": [EVIL]}, index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": [[EVIL]]}, index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": E, EVIL: [Evil()]}, index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": E, "document": [Evil()]}, index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": E, "$" + EVIL: [1]}, index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": E, Evil(): [1]}, index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame([[1, 2]], columns=[EVIL, EVIL], index=[EVIL])),
    lambda docs: docs.add(pd.DataFrame({"embedding": E}, index=pd.MultiIndex.from_tuples([(EVIL, 1)], names=[EVIL, EVIL]))),
]
READS: list[Call] = [
    lambda docs: docs.get(Evil()),
    lambda docs: docs.get(include=[EVIL]),
    lambda docs: docs.get(include=EVIL),
    lambda docs: docs.get(limit=EVIL),
    lambda docs: docs.get(where={EVIL: {EVIL: 1}}),
    lambda docs: docs.get(where={"$" + EVIL: 1}),
    lambda docs: docs.get(where={EVIL: {"$gt": EVIL}}),
    lambda docs: docs.get(where={EVIL: Evil()}),
    lambda docs: docs.get(where={EVIL: {"$in": [EVIL, 1]}}),
    lambda docs: docs.get(where={EVIL: 1, "b" + EVIL: 2}),
    lambda docs: docs.get(where=EVIL),
    lambda docs: docs.get(where_document={EVIL: EVIL}),
    lambda docs: docs.get(where_document={"$contains": Evil()}),
    lambda docs: docs.get(where_document={"$regex": "(" + EVIL}),
    lambda docs: docs.query([[EVIL]]),
    lambda docs: docs.query(query_texts=[Evil()]),
    lambda docs: docs.query(query_texts=EVIL),
    lambda docs: docs.query([[1, 2, 3]]),
    lambda docs: docs.query(E, n_results=EVIL),
    lambda docs: docs.query(E, include=[EVIL]),
    lambda docs: docs.query(like=[EVIL]),
    lambda docs: docs.values(Evil()),
    lambda docs: docs.values("$" + EVIL),
    lambda docs: docs.columns([EVIL, Evil()]),
    lambda docs: docs.sample(Evil()),
    lambda docs: docs.project(EVIL),
    lambda docs: docs.project("pca", **{EVIL: 1}),
]
CATALOGUE: list[Call] = [
    lambda client: client.create_collection(EVIL),
    lambda client: client.create_collection("docs", embedding_function=None),
    lambda client: client.create_collection("fresh", {EVIL: Evil()}, None),
    lambda client: client.create_collection("fresh", {"hnsw:space": EVIL}, None),
    lambda client: client.create_collection("fresh", configuration={"embedding_function": {EVIL: Evil()}}),
    lambda client: client.create_collection("fresh", embedding_function=EVIL),
    lambda client: client.get_collection(EVIL),
    lambda client: client.get_collection("docs" + EVIL),
    lambda client: client.delete_collection(EVIL),
    lambda client: client.set_tenant(evil_named("ten")),
    lambda client: client.set_tenant("default_tenant", evil_named("dat")),
    lambda client: client.set_database(evil_named("dat") + "/"),
    lambda client: client.get_or_create_collection("told", embedding_function=Told()).upsert(["x"], documents=["y"]),
    lambda client: client.get_or_create_collection("thrown", embedding_function=raising).upsert(["x"], documents=["y"]),
]


def raising(_: object) -> object:
    raise ValueError(EVIL)


def faults(calls: list[Call], asked: Any) -> Iterator[tuple[int, str]]:
    for i, call in enumerate(calls):
        try:
            call(asked)
        except ChromaError as error:
            if leaks(str(error)) or leaks(repr(error)):
                yield i, str(error)
        except Exception as error:  # noqa: BLE001 - any other is a fault too
            yield i, repr(error)
        else:
            yield i, "no error"


@pytest.mark.parametrize(("calls", "count"), [(WRITES, 32), (FRAMES, 10), (READS, 27), (CATALOGUE, 14)], ids=["w", "f", "r", "c"])
def test_messages_are_inert(client: Any, docs: Any, calls: list[Call], count: int) -> None:
    assert len(calls) == count
    assert list(faults(calls, client if calls is CATALOGUE else docs)) == []


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a store of a stranger's, in which every name is hostile."""
    with chroma_nb.PersistentClient(tmp_path / "theirs") as client:
        docs = client.create_collection("docs", {EVIL: EVIL, "n": 1}, None)
        docs.add(
            [EVIL, "b"],
            embeddings=E * 2,
            documents=[EVIL, None],
            metadatas=[{EVIL: EVIL, "list": [EVIL], "n": 1}, {EVIL: 5}],
            uris=[EVIL] * 2,
        )
    with chroma_nb.AdminClient(tmp_path / "theirs") as admin:
        admin.create_tenant(evil_named("ten"))
        admin.create_database(evil_named("dat"), evil_named("ten"))
    connection = sqlite3.connect(next((tmp_path / "theirs").glob("*.sqlite3")))
    with connection:
        connection.execute("UPDATE collection SET name = ?, database = (SELECT max(number) FROM database)", (EVIL,))
    connection.close()
    return tmp_path / "theirs"


def test_a_strangers_store_says_nothing_to_the_terminal(theirs: Path) -> None:
    scope = {"tenant": evil_named("ten"), "database": evil_named("dat")}
    with chroma_nb.PersistentClient(theirs, **scope) as client, chroma_nb.AdminClient(theirs) as admin:
        (docs,) = client.list_collections()
        explorer, builder = docs.explore(method="pca"), docs.builder({EVIL: EVIL}, like=[EVIL])
        try:
            said = {
                "client": repr(client),
                "admin": repr(admin),
                "collection": repr(docs),
                "description": str(docs.describe()),
                "description's repr": repr(docs.describe()),
                "plan": str(docs.explain(E, where={EVIL: EVIL})),
                "filter": describe(parse_where({EVIL: EVIL})),
                "explorer": repr(explorer),
                "builder": repr(builder),
                "html": (docs._repr_html_() + client._repr_html_() + docs.describe()._repr_html_()).replace("\n", " "),
                **{f"code {language}": builder.code(language) for language in ("chroma_nb", "chromadb", "where")},
            }
            for name, ask in {
                "similar": lambda: client.get_collection("docs"),
                "like": lambda: docs.query(like=["nobody"]),
                "dimension": lambda: docs.query([[1, 2, 3]]),
                "texts": lambda: docs.query(query_texts="x"),
            }.items():
                with pytest.raises(ChromaError) as caught:
                    ask()
                said[name] = str(caught.value)
        finally:
            explorer.close()
    with pytest.raises(ChromaError) as caught:
        docs.count()
    said["closed"] = str(caught.value)
    said["facade"] = repr(ChromaCollection(client, docs._info, None))
    assert [name for name, text in said.items() if leaks(text)] == []
    assert all(said.values())


def test_the_command_line_says_nothing_to_the_terminal(theirs: Path) -> None:
    for path in (theirs, theirs / "no such"):
        done = subprocess.run(
            [sys.executable, "-m", "chroma_nb", "info", str(path)], capture_output=True, text=True, check=False, timeout=120
        )
        assert "\\x1b[2J" in done.stdout or done.returncode == 2
        assert not leaks(done.stdout + done.stderr)


def test_lines_of_the_log_are_inert(docs: Any, caplog: pytest.LogCaptureFixture) -> None:
    docs.add([EVIL], embeddings=E)
    shown = io.StringIO()
    with caplog.at_level(logging.INFO, "chroma_nb"):
        docs.add([EVIL], embeddings=E)
        docs.update(["x" + EVIL], embeddings=E)
    for record in caplog.records:
        shown.write(logging.Formatter().format(record) + "\n")
    assert "left as they are" in shown.getvalue()
    assert not leaks(shown.getvalue())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 418, 429, 500, 502, 503])
@pytest.mark.parametrize(
    "body", [{"error": EVIL, "message": EVIL}, {"error": "InternalError", "message": EVIL}, EVIL, [EVIL], {EVIL: EVIL}]
)
def test_what_a_server_says_is_inert(status: int, body: Any) -> None:
    refusal = reply(status, body, **{"content-type": "text/x-evil"} if isinstance(body, str) else {})
    with scripted(reply(200, PRE_FLIGHT), reply(200, {"nanosecond heartbeat": 5}), refusal) as server, pytest.raises(ChromaError) as caught:
        chroma_nb.HttpClient(server.url).count_collections()
    assert ACTIVE.search("".join(traceback.format_exception(caught.value))) is None


def test_every_error_makes_its_message_inert() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ChromaError)]
    assert len(kinds) >= 23
    for kind in kinds:
        error = kind(f"line one\nline two\t{EVIL}")
        assert str(error).startswith(
            "line one\nline two\t\\x1b[2J\\x1b]0;owned\\x07\\x0d\\x08\\x7f\\x9b31m\\u202e\\u2066\\u061c\\u200f\\u2028"
        )
        assert error.args == (str(error),)
        assert ACTIVE.search("".join(traceback.format_exception(error))) is None
    assert "x" * 100_000 not in str(errors.BulkUpsertError.after(1, ["x" * 100_000], ValueError(EVIL)))
