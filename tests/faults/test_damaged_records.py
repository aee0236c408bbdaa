"""A damaged records file: what it still gives is right, and what it does not give is one clear error that names the file.

SQLite's pages have no checksums, and ours cover rows, documents and vectors. So three kinds of damage show only in
``PRAGMA integrity_check`` or a backup's comparison and are not tested here: an index entry that no longer leads to its record
(``get(ids=...)`` passes over it), a document that a text filter passes over, and the numbers of a collection's own row.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults import damage, rig

RECORDS = "chroma_nb.sqlite3"
REFUSALS = {"open", "find", "close"}
Answers = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a closed store that names no caches, so that nothing but the records file can answer."""
    folder = tmp_path_factory.mktemp("records") / "store"
    with rig.Child("store_maker", folder) as child:
        assert child.said() is not None, child.finish()
        child.finish()
    connection = sqlite3.connect(folder / RECORDS)
    connection.execute("DELETE FROM cache")
    connection.commit()
    connection.close()
    return folder


@pytest.fixture(scope="module")
def truth(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Return what the undamaged store answers."""
    return asked([damage.copied(store, tmp_path_factory.mktemp("truth") / "store")])[0]


def asked(stores: list[Path]) -> list[Answers]:
    """Have a process ask each store everything; a crash is a failure."""
    with rig.Child("victim", "records", *stores) as child:
        replies = list(child.lines())
        status, errors = child.finish()
    assert status == 0, f"{stores[len(replies)].name}: ended with status {status}: {errors[-2000:]}"
    assert not errors, errors
    for said in replies:
        said.pop("store")
    return replies


def misled(said: Answers, truth: Answers) -> list[str]:
    """Return which answers are neither right nor a clear error of ours."""
    wrong = []
    for question, answer in said.items():
        if "error" in answer:
            if not answer["ours"]:
                wrong.append(f"{question}: foreign exception {answer['error']}")
            elif not answer["named"]:
                wrong.append(f"{question}: the message does not name the file: {answer['error']}")
        elif answer != truth[question]:
            wrong.append(f"{question}: another answer, silently")
    return wrong


def tables(path: Path) -> dict[int, str]:
    """Return the table that each page of an SQLite file belongs to."""
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT pageno, name FROM dbstat").fetchall())
    except sqlite3.OperationalError:
        pytest.skip("this SQLite cannot say which page belongs to which table")
    finally:
        connection.close()


def test_the_questions_have_answers(truth: Answers) -> None:
    assert not misled(truth, truth)
    assert len(truth["get"]["answer"][0]) == truth["count"]["answer"] == 115
    assert truth["filter"]["answer"]
    assert truth["documents"]["answer"]
    assert truth["query"]["answer"][0] == "k7"


@pytest.mark.parametrize("name", ["truncate", "zero", "ones", "append", "text", "same_size", "folder", "header"])
def test_coarse_damage(name: str, store: Path, truth: Answers, tmp_path: Path) -> None:
    stores = []
    for i in range(4):
        copy = damage.copied(store, tmp_path / f"{name}-{i}")
        damage.ANY[name](copy / RECORDS, np.random.default_rng(i))
        stores.append(copy)
    problems = [f"{path.name}: {line}" for path, said in zip(stores, asked(stores), strict=True) for line in misled(said, truth)]
    assert not problems, rig.shown(problems)


PAYLOADS: dict[str, tuple[str, str]] = {
    "vectors": ("SELECT data FROM vectors", "vectors"),
    "document": ("SELECT document FROM record", "record"),
    "metadata": ("SELECT metadata FROM record", "record"),
    "uri": ("SELECT uri FROM record", "record"),
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_flipped_payload(payload: str, store: Path, truth: Answers, tmp_path: Path) -> None:
    """One bit of what a user stored is noticed wherever that user would see it."""
    random = np.random.default_rng(len(payload))
    connection = sqlite3.connect(store / RECORDS)
    values = [value for (value,) in connection.execute(PAYLOADS[payload][0])]
    connection.close()
    data = (store / RECORDS).read_bytes()
    stores = []
    for i in range(12):
        value = values[int(random.integers(len(values)))]
        raw = value if isinstance(value, bytes) else value.encode()
        place = data.index(raw) + int(random.integers(len(raw)))
        copy = damage.copied(store, tmp_path / f"{payload}-{i}")
        changed = bytearray(data)
        changed[place] ^= 1 << int(random.integers(8))
        (copy / RECORDS).write_bytes(changed)
        stores.append(copy)
    replies = asked(stores)
    for said in replies:
        said.pop("documents", None)  # see above
    problems = [f"{path.name}: {line}" for path, said in zip(stores, replies, strict=True) for line in misled(said, truth)]
    assert not problems, rig.shown(problems)
    assert any("error" in said["get"] for said in replies)


TABLES = ["record", "vectors", "chunk", "sqlite_schema", "change"]


@pytest.mark.parametrize("table", TABLES)
def test_flipped_pages(table: str, store: Path, truth: Answers, tmp_path: Path) -> None:
    """Bits anywhere in a page of a table: also in what SQLite keeps there about the rows."""
    problems = flipped_pages(table, 10, len(table), store, truth, tmp_path)
    assert not problems, rig.shown(problems)


def flipped_pages(table: str, cases: int, seed: int, store: Path, truth: Answers, folder: Path) -> list[str]:
    """Return what went wrong on stores in which one bit of a table's pages was turned around."""
    random = np.random.default_rng(seed)
    pages = [page for page, owner in tables(store / RECORDS).items() if owner == table]
    data = (store / RECORDS).read_bytes()
    size = 16_384
    stores = []
    for i in range(cases):
        start = (int(random.choice(pages)) - 1) * size
        used = [place for place in range(start + (100 if start == 0 else 0), start + size) if data[place]]
        copy = damage.copied(store, folder / f"{table}-{i}")
        changed = bytearray(data)
        changed[int(random.choice(used))] ^= 1 << int(random.integers(8))
        (copy / RECORDS).write_bytes(changed)
        stores.append(copy)
    return [f"{path.name}: {line}" for path, said in zip(stores, asked(stores), strict=True) for line in misled(said, truth)]


def contents(folder: Path) -> dict[str, str]:
    """Return a checksum per file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def foreign_sqlite(store: Path) -> None:
    (store / RECORDS).unlink()
    connection = sqlite3.connect(store / RECORDS)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.execute("INSERT INTO recipes VALUES ('bread')")
    connection.commit()
    connection.close()


def foreign_sqlite_alone(store: Path) -> None:
    foreign_sqlite(store)
    shutil.rmtree(store / "caches")


def newer_format(store: Path) -> None:
    connection = sqlite3.connect(store / RECORDS)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def empty_beside_caches(store: Path) -> None:
    damage.empty(store / RECORDS, np.random.default_rng(0))


def missing_beside_caches(store: Path) -> None:
    (store / RECORDS).unlink()


def a_text(store: Path) -> None:
    damage.text(store / RECORDS, np.random.default_rng(0))


def a_short_text(store: Path) -> None:
    (store / RECORDS).write_text("hello")


def a_folder(store: Path) -> None:
    damage.folder(store / RECORDS, np.random.default_rng(0))


@pytest.mark.parametrize(
    "make",
    [
        foreign_sqlite,
        foreign_sqlite_alone,
        newer_format,
        empty_beside_caches,
        missing_beside_caches,
        a_text,
        a_short_text,
        a_folder,
    ],
    ids=lambda make: make.__name__,
)
def test_what_is_refused_is_left_as_it_is(make: Callable[[Path], None], store: Path, truth: Answers, tmp_path: Path) -> None:
    copy = damage.copied(store, tmp_path / "store")
    make(copy)
    before = contents(copy)
    (said,) = asked([copy])
    assert set(said) == {"open"}
    assert not misled(said, truth)
    after = contents(copy)
    after.pop("write.lock", None)
    before.pop("write.lock", None)
    assert after == before
