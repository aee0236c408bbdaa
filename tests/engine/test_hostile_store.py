"""A folder prepared by somebody else: whatever is asked of it ends in an answer or one of our errors, and nothing beside it changes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from chroma_nb import PersistentClient
from chroma_nb.engine import memory
from chroma_nb.engine.database import Database
from chroma_nb.engine.encoding import head_crc, row_crc
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import InvalidArgumentError
from tests.engine import hostile

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and links that anybody can make")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("hostile") / "store"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(memory, "_WORTH_SAVING", 1)
        collection = hostile.filled(folder)
    return folder, collection


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of commits, none of which has to survive a power cut."""
    configure = Database._configure

    def quick(self: Database, connection: sqlite3.Connection) -> None:
        configure(self, connection)
        connection.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(Database, "_configure", quick)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(original: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    shutil.copytree(original[0], tmp_path / "store")
    return tmp_path / "store", original[1]


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Path]:
    """Give a folder of the user's beside the store, in which nothing may change."""
    folder = tmp_path / "mine"
    folder.mkdir()
    name = "00000000-0000-0000-0000-000000000000-columns-1-00000000"
    for each in ("precious.txt", "thesis.tmp", "weights.cache", f"{name}.cache", f"{name}.tmp"):
        (folder / each).write_bytes(b"mine\n" * 10)
        os.utime(folder / each, (1e9, 1e9))
    before = state(folder)
    yield folder
    assert state(folder) == before


def state(folder: Path) -> dict[str, Any]:
    found = {path.name: (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}
    return {**found, ".": folder.stat().st_mode}


def link(path: Path, foreign: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(foreign / "precious.txt")


def hard_link(path: Path, foreign: Path) -> None:
    path.unlink(missing_ok=True)
    os.link(foreign / "precious.txt", path)


def dangling(path: Path, foreign: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(foreign / "new.txt")


def pipe(path: Path, _: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path, _: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def folder(path: Path, _: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


INSTEAD = (link, hard_link, dangling, pipe, device, folder)
FILES = (hostile.RECORDS, *(f"{hostile.RECORDS}-{end}" for end in ("wal", "shm", "journal")), "write.lock")


@posix
@pytest.mark.parametrize("instead", INSTEAD, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", FILES)
def test_files_that_are_none(name: str, instead: Callable[[Path, Path], None], store: tuple[Path, str], foreign: Path) -> None:
    instead(store[0] / name, foreign)
    kind = (store[0] / name).lstat().st_mode
    assert hostile.replies(*store) == {"open": "DatabaseCorruptedError"}
    if name != "write.lock" and (name, instead) != (hostile.RECORDS, hard_link):  # nothing is written through either
        assert hostile.replies(*store, read_only=True).keys() == {"open"}
    assert (store[0] / name).lstat().st_mode == kind


@pytest.mark.parametrize("read_only", [False, True])
def test_a_journal_that_makes_sqlite_delete_a_file(read_only: bool, store: tuple[Path, str], foreign: Path) -> None:
    name = os.fsencode(foreign / "precious.txt")
    pages, size = (store[0] / hostile.RECORDS).stat().st_size // 16384, 16384
    magic = bytes.fromhex("d9d505f920a163d7")
    head = (magic + struct.pack(">IIIII", 0, 1, pages, 512, size)).ljust(512, b"\0")
    tail = (
        struct.pack(">I", 0x40000000 // size + 1) + name + struct.pack(">II", len(name), sum(struct.unpack(f"{len(name)}b", name))) + magic
    )
    (store[0] / f"{hostile.RECORDS}-journal").write_bytes(head + tail)
    assert hostile.replies(*store, read_only=read_only) == {"open": "DatabaseCorruptedError"}
    assert (foreign / "precious.txt").exists()


NAMES = (
    "{foreign}/precious.txt",
    "{foreign}/weights.cache",
    "{foreign}/00000000-0000-0000-0000-000000000000-columns-1-00000000.cache",
    "../mine/precious.txt",
    "../../mine/weights.cache",
    "../mine/00000000-0000-0000-0000-000000000000-columns-1-00000000.cache",
    "00000000-0000-0000-0000-000000000000-columns-1-00000000.cache/../../../mine/precious.txt",
    "../chroma_nb.sqlite3",
    "../write.lock",
    "",
    ".",
    "..",
    "\0",
    "a\0b.cache",
    "00000000-0000-0000-0000-000000000000-columns-1-00000000.cache\n",
    "{collection}-columns-99999999999999999999-00000000.cache",
    "{collection}-columns-1-0000000g.cache",
    "/dev/zero",
    "/dev/stdin",
    "CON",
    b"\xff",
    7,
    None,
)


@pytest.mark.parametrize("kind", ["columns", "graph"])
def test_names_of_caches_that_lead_elsewhere(kind: str, original: tuple[Path, str], foreign: Path, tmp_path: Path) -> None:
    for i, name in enumerate(NAMES):
        copy = shutil.copytree(original[0], tmp_path / f"store{i}")
        if isinstance(name, str):
            name = name.format(foreign=foreign, collection=original[1])  # noqa: PLW2901
        with hostile.prepared(copy) as connection:
            connection.execute("UPDATE cache SET seq = 0, file = ? WHERE kind = ?", (name, kind))
        said = hostile.replies(copy, original[1])
        assert set(said.values()) == {"answered"}, name
        assert (copy / hostile.RECORDS).exists()
    assert len(NAMES) == 23


@posix
@pytest.mark.parametrize("instead", [link, dangling, pipe, device, folder, hard_link], ids=lambda each: each.__name__)
def test_cache_files_that_are_none(instead: Callable[[Path, Path], None], store: tuple[Path, str], foreign: Path) -> None:
    for path in list((store[0] / "caches").iterdir()):
        instead(path, foreign)
    assert set(hostile.replies(*store).values()) == {"answered"}


@posix
def test_a_folder_of_caches_that_is_none(store: tuple[Path, str], foreign: Path) -> None:
    caches = store[0] / "caches"
    shutil.rmtree(caches)
    for make in (lambda: caches.symlink_to(foreign), lambda: caches.symlink_to(foreign / "new"), lambda: os.mkfifo(caches)):
        make()
        shutil.copytree(store[0], store[0].with_name("copy"), symlinks=True, ignore=lambda *_: ["caches"])
        caches.rename(store[0].with_name("copy") / "caches")
        assert set(hostile.replies(store[0].with_name("copy"), store[1]).values()) == {"answered"}
        shutil.rmtree(store[0].with_name("copy"))


SCHEMA = (
    "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",
    "CREATE TRIGGER t BEFORE DELETE ON record BEGIN SELECT raise(ABORT, 'mine'); END",
    "CREATE TRIGGER t AFTER UPDATE ON collection BEGIN UPDATE collection SET count = 0; END",
    "CREATE VIEW v AS SELECT * FROM record",
    "CREATE TABLE more (x)",
    "CREATE TABLE more (x PRIMARY KEY) WITHOUT ROWID",
    "CREATE INDEX i ON record (abs(crc))",
    "CREATE INDEX i ON record (label) WHERE label > 3",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
    "CREATE VIRTUAL TABLE r USING rtree(i, a, b)",
    "ALTER TABLE record ADD COLUMN g AS (hex(zeroblob(1000000)))",
    "ALTER TABLE record ADD COLUMN g DEFAULT (1)",
    "ALTER TABLE record ADD COLUMN g CHECK (length(hex(randomblob(9))))",
    "ALTER TABLE record ADD COLUMN g REFERENCES collection ON DELETE CASCADE",
    "ALTER TABLE layout RENAME TO other",
    "ALTER TABLE record RENAME COLUMN uri TO url",
    "DROP TABLE cache",
    "ALTER TABLE chunk RENAME TO c; CREATE VIEW chunk AS SELECT key, size, live, crc FROM c",
    "ALTER TABLE chunk RENAME TO c; CREATE TABLE chunk AS SELECT * FROM c",
    "ANALYZE",
    "PRAGMA user_version = 0",
    "PRAGMA user_version = -1",
    "PRAGMA user_version = 3",
    "PRAGMA user_version = 1",
    "PRAGMA application_id = 7",
    "PRAGMA application_id = 0; PRAGMA user_version = 0",
)


@pytest.mark.parametrize("statements", SCHEMA)
def test_a_schema_that_is_not_ours(statements: str, store: tuple[Path, str]) -> None:
    records = store[0] / hostile.RECORDS
    with closing(sqlite3.connect(records, isolation_level=None)) as connection:
        try:
            connection.executescript(statements)
        except sqlite3.OperationalError as error:
            if "no such module" not in str(error):
                raise
            pytest.skip(str(error))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = records.read_bytes()
    assert hostile.replies(*store) == {"open": "DatabaseCorruptedError"}
    assert hostile.replies(*store, read_only=True) == {"open": "DatabaseCorruptedError"}
    assert records.read_bytes() == before


VALUES = (None, -1, 0, 1, 2**31, 2**39, 2**40 + 1, 2**63 - 1, -(2**63), 0.5, 1e300, "", "text", "1", "\0", b"", b"\xff", b"[[]]", b"9" * 80)
COLUMNS = {
    "collection": "number id database name metadata configuration dimension count next_row next_label seq vectors_seq floor",
    "record": "key collection id label metadata uri document crc document_crc",
    "chunk": "key size live crc",
    "vectors": "key data",
    "change": "key written removed label",
    "cache": "collection kind seq file size sha256",
    "layout": "collection key version ids coordinates crc",
    "database": "number id tenant name",
    "tenant": "number name",
    "store": "value",
}


PLACES = [(table, column) for table, columns in COLUMNS.items() for column in columns.split()]


@pytest.mark.parametrize("table", COLUMNS)
def test_values_of_any_kind_in_any_column(table: str, original: tuple[Path, str], foreign: Path, tmp_path: Path) -> None:
    """Some of the values in each column; all of them below."""
    for i, (owner, column) in enumerate(PLACES):
        if owner == table:
            for value in VALUES[i % 5 :: 5]:
                ask_with(table, column, value, original, tmp_path / "store", caches=table in ("cache", "collection"))


@pytest.mark.long
@pytest.mark.parametrize(("table", "column"), PLACES)
def test_every_value_in_any_column(table: str, column: str, original: tuple[Path, str], foreign: Path, tmp_path: Path) -> None:
    for caches in (False, True):
        for value in VALUES:
            ask_with(table, column, value, original, tmp_path / "store", caches=caches)
    assert len(PLACES) * len(VALUES) * 2 == 1938


def ask_with(table: str, column: str, value: object, original: tuple[Path, str], copy: Path, *, caches: bool) -> None:
    """Ask everything of a store in which one row of the table says something else; without saved caches the records answer."""
    shutil.copytree(original[0], copy)
    with hostile.prepared(copy) as connection:
        if not caches:
            connection.execute("DELETE FROM cache")
        key = "1" if table in ("store", "cache") else "rowid"
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = (SELECT min({key}) FROM {table})", (value,))
        except sqlite3.Error:  # a key that is no integer, or is taken
            assert column in ("key", "number", "collection", "name", "kind", "id", "seq"), (column, value)
    try:
        said = hostile.replies(copy, original[1])
    except BaseException as error:
        raise AssertionError(f"{table}.{column} = {value!r}: {type(error).__name__}: {error}") from error
    assert said
    shutil.rmtree(copy)


METADATA = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'{"a":1},{"b":2}',
    b'{"a":[1',
    b'{"a":null}',
    b'{"a":[]}',
    b'{"a":[1,"x"]}',
    b'{"a":[[1]]}',
    b'{"a":[null]}',
    b'{"a":{}}',
    b'{"a":{"ns":"1","zone":null}}',
    b'{"a":{"ns":99999999999999999999,"zone":null}}',
    b'{"a":{"ns":1,"zone":7}}',
    b'{"a":{"ns":1,"zone":"../../etc/passwd"}}',
    b'{"a": [1, 2]}',
    b'{"a":18446744073709551615}',
    b'{"a":[18446744073709551615]}',
    b'{"a":1e999}',
    b'{"a":NaN}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"a":' + b"[" * 5000,
    b'{"a":' + b'{"a":' * 3000 + b"1" + b"}" * 3001,
    b'{"":1,"":2}',
)


@pytest.mark.parametrize("table", ["record", "collection"])
def test_metadata_of_any_kind(table: str, original: tuple[Path, str], tmp_path: Path) -> None:
    """With the right checksum, as whoever prepares it can write it."""
    copy = tmp_path / "store"
    for text in METADATA:
        shutil.copytree(original[0], copy)
        with hostile.prepared(copy) as connection:
            connection.execute("DELETE FROM cache")
            connection.execute(f"UPDATE {table} SET metadata = ?", (text,))
            if table == "record":
                for key, identifier, label, uri in connection.execute("SELECT key, id, label, uri FROM record").fetchall():
                    crc = row_crc(head_crc(identifier, uri, text), label)
                    connection.execute("UPDATE record SET crc = ? WHERE key = ?", (crc, key))
        hostile.replies(copy, original[1])
        shutil.rmtree(copy)
    assert len(METADATA) == 27


def test_vectors_that_are_no_numbers(original: tuple[Path, str], tmp_path: Path) -> None:
    for i, value in enumerate((np.nan, np.inf, -np.inf)):
        copy = shutil.copytree(original[0], tmp_path / f"store{i}")
        with hostile.prepared(copy) as connection:
            (data,) = connection.execute("SELECT data FROM vectors ORDER BY key LIMIT 1").fetchone()
            changed = np.frombuffer(data, "<f4").copy()
            changed[7] = value
            connection.execute("UPDATE vectors SET data = ? WHERE key = (SELECT min(key) FROM vectors)", (changed.tobytes(),))
            connection.execute("UPDATE chunk SET crc = ? WHERE key = (SELECT min(key) FROM chunk)", (crc32(changed.tobytes()),))
        assert hostile.replies(copy, original[1])["get"] == "DatabaseCorruptedError"


def test_a_row_far_away_takes_no_memory_for_those_between(original: tuple[Path, str], tmp_path: Path) -> None:
    """A row number of 2^38 is one that a collection may have given away."""
    copy = shutil.copytree(original[0], tmp_path / "store")
    with hostile.prepared(copy) as connection:
        connection.execute("DELETE FROM cache")
        connection.execute("UPDATE collection SET next_row = ?", (2**38 + 1,))
        connection.execute("UPDATE record SET key = (1 << 40) + ? WHERE key = (SELECT max(key) FROM record)", (2**38,))
    assert set(hostile.replies(copy, original[1]).values()) == {"answered"}


@pytest.mark.parametrize(
    "table", [*COLUMNS, "sqlite_sequence", "sqlite_autoindex_collection_2", "sqlite_autoindex_record_1", "sqlite_autoindex_layout_1"]
)
def test_a_table_that_leads_back_to_itself(table: str, store: tuple[Path, str]) -> None:
    """A few pages with more rows than anybody can wait for."""
    with hostile.prepared(store[0]) as connection:
        connection.execute("DELETE FROM cache")
        connection.execute("INSERT INTO cache VALUES (1, 'columns', 1, 'x', 1, 'y')")
    hostile.bomb(store[0], table)
    hostile.replies(*store)


@pytest.mark.parametrize(("mine", "asked", "used"), [(True, None, True), (False, None, False), (False, True, True), (True, False, False)])
def test_caches_of_somebody_else(
    mine: bool,
    asked: bool | None,
    used: bool,
    store: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if not mine:
        if not hasattr(os, "geteuid"):
            pytest.skip("files have no owners here")
        me = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with PersistentClient(store[0], trust_caches=asked) as client:
        found = client.get_collection("docs", embedding_function=None).get(where={"i": 5})
        assert list(found.index) == ["é5"]
        engine = client._engine  # type: ignore[attr-defined]
        assert (store[1] in engine._memory._saved) == used
        assert ("belongs to another user" in caplog.text) == (not mine and asked is None)
        with pytest.raises(InvalidArgumentError, match="already open"):
            PersistentClient(store[0], trust_caches=not used)


def test_a_folder_reached_by_a_link_is_the_users_choice(store: tuple[Path, str], tmp_path: Path) -> None:
    try:
        (tmp_path / "link").symlink_to(store[0])
    except OSError:
        pytest.skip("no links here")
    with closing(Engine(tmp_path / "link")) as engine:
        assert set(hostile.verbs(engine, store[1])) >= {"get", "query"}
