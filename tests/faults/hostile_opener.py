"""A process that opens prepared stores, one after the other, calls verbs on them, and says what came of it.

It announces each case before it touches it, and each verb before it is called, so that the test knows in
what it died or hung. Its limits are the kernel's. Nothing is judged here but what only this process can see: errors that are not
ours, threads and descriptors left behind.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import hashlib
import io
import json
import os
import resource
import sqlite3
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np

from chroma_nb import AdminClient, EphemeralClient, PersistentClient, chromadb, cli, ops
from chroma_nb.client.client import Client
from chroma_nb.client.collection import Collection
from chroma_nb.embedding import HashingEmbeddingFunction
from chroma_nb.engine import database
from chroma_nb.errors import ChromaError
from tests.faults import rig
from tests.faults.hostile_templates import COLLECTIONS, DIMENSION, arguments

_MORE_ADDRESSES = 4 << 30
_SECONDS_OF_A_CASE = 60
_LARGEST_FILE = 512 << 20
_BUSY = 2.0
_PATIENCE = 3.0
"""Seconds for threads to end after a store was closed."""

Verb: TypeAlias = Callable[[Client, Collection, Random], Any]

WHERES: tuple[dict[str, Any], ...] = (
    {"n": {"$gt": 3}},
    {"group": "g1"},
    {"$or": [{"flag": True}, {"share": {"$lt": 2}}]},
    {"tags": {"$contains": "a"}},
    {"mixed": {"$in": ["text", 4]}},
    {"a": {"$ne": 1}},
    {"missing": 1},
)
EVERYTHING = ["documents", "metadatas", "embeddings", "uris"]


def _vectors(random: Random, count: int = 1) -> Any:
    return np.random.default_rng(random.randrange(1000)).standard_normal((count, DIMENSION)).astype(np.float32)


def _scanned(collection: Collection, random: Random) -> None:
    for _ in collection.scan(batch_size=random.choice((3, 100)), where=random.choice((None, *WHERES))):
        pass


def _shown(client: Client, collection: Collection) -> None:
    for each in (client, collection):
        each._repr_html_()
        repr(each)
    collection.configuration, collection.space  # noqa: B018 - they read what is stored


def _found(client: Client, random: Random) -> None:
    """Look collections up with an embedding function of ours, or with what they say of their own."""
    for each in client.list_collections():
        repr(client.get_collection(each.name, **random.choice(({}, {"embedding_function": HashingEmbeddingFunction(DIMENSION)}))))


def _added(random: Random) -> dict[str, Any]:
    start = random.choice((0, 100_000, 500_000))
    return arguments(range(start, start + random.choice((1, 4, 40))))


def _administered(client: Client, *, write: bool) -> None:
    with AdminClient(rig.engine_of(client).folder) as admin:
        for tenant in admin.list_tenants()[:3]:
            for held in admin.list_databases(tenant=tenant)[:3]:
                admin.get_database(held["name"], tenant)
        if write:
            admin.create_tenant("more")
            admin.create_database("more", "more")
            admin.delete_database("more", "more")


def _through_the_facade(client: Client, collection: Collection, random: Random) -> None:
    facade = chromadb.PersistentClient(str(rig.engine_of(client).folder))
    try:
        same = facade.get_collection(collection.name, embedding_function=None)
        same.get(include=EVERYTHING)
        same.peek()
        same.query(query_embeddings=_vectors(random), n_results=3)
    finally:
        facade.close()


READS: dict[str, Verb] = {
    "count": lambda _, c, _r: c.count(),
    "count where": lambda _, c, r: c.count(where=r.choice(WHERES)),
    "count documents": lambda _, c, r: c.count(where_document={r.choice(("$contains", "$not_contains")): "says"}),
    "get": lambda _, c, _r: c.get(include=EVERYTHING),
    "get ids": lambda _, c, _r: c.get(ids=["r1", "r2", "é3", "nobody"], include=EVERYTHING),
    "get where": lambda _, c, r: c.get(where=r.choice(WHERES), include=EVERYTHING),
    "get regex": lambda _, c, _r: c.get(where_document={"$regex": "w.rd [12]"}),
    "get page": lambda _, c, r: c.get(limit=5, offset=r.choice((0, 3, 10_000))),
    "peek": lambda _, c, _r: c.peek(),
    "query": lambda _, c, r: c.query(_vectors(r), n_results=r.choice((1, 3, 10)), include=[*EVERYTHING, "distances"]),
    "query many": lambda _, c, r: c.query(_vectors(r, 20), n_results=3),
    "query where": lambda _, c, r: c.query(_vectors(r), n_results=3, where=r.choice(WHERES)),
    "query like": lambda _, c, _r: c.query(like=["r1", "r100000"], n_results=2),
    "query texts": lambda _, c, _r: c.query(query_texts=["a"], n_results=2),
    "explain": lambda _, c, _r: c.explain(n_results=3),
    "describe": lambda _, c, _r: str(c.describe()),
    "describe in html": lambda _, c, _r: c.describe()._repr_html_(),
    "values": lambda _, c, r: c.values(
        r.choice(("n", "share", "group", "flag", "mixed", "tags", "day", "at", "a")), top=r.choice((3, None))
    ),
    "columns": lambda _, c, _r: c.columns(["n", "mixed", "tags", "day", "at", "a"]),
    "sample": lambda _, c, r: c.sample(5, seed=1, where=r.choice((None, *WHERES))),
    "scan": lambda _, c, r: _scanned(c, r),
    "version": lambda _, c, _r: c.version(),
    "changed since": lambda _, c, r: c._client._execute(ops.ChangedSince(str(c.id), r.choice((0, 3, 4, 5)))),
    "has layout": lambda _, c, _r: c.has_layout("pca"),
    "project": lambda _, c, r: c.project("pca", place_new=r.random() < 0.5, show_progress=False),
    "show": lambda client, c, _: _shown(client, c),
    "list collections": lambda client, _, _r: client.list_collections(),
    "find": lambda client, _, r: _found(client, r),
    "facade": _through_the_facade,
    "list tenants": lambda client, *_: _administered(client, write=False),
}
WRITES: dict[str, Verb] = {
    "add": lambda _, c, r: c.add(**_added(r)),
    "upsert": lambda _, c, r: c.upsert(**_added(r)),
    "update": lambda _, c, r: c.update(**_added(r)),
    "update metadata": lambda _, c, _r: c.update(ids=["r1", "r4"], metadatas=[{"n": 5, "group": None}, {"new": "x"}]),
    "delete ids": lambda _, c, _r: c.delete(ids=["r1", "r2", "é3"]),
    "delete where": lambda _, c, r: c.delete(where=r.choice(WHERES)),
    "delete limited": lambda _, c, _r: c.delete(where_document={"$contains": "says"}, limit=2),
    "rename": lambda _, c, r: c.modify(name=f"renamed-{r.randrange(100)}"),
    "modify": lambda _, c, _r: c.modify(metadata={"a": 1}, configuration={"hnsw": {"ef_search": 50, "max_neighbors": 8}}),
    "fork": lambda _, c, r: c.fork(f"forked-{r.randrange(100)}").count(),
    "put layout": lambda _, c, _r: c._client._execute(ops.PutLayout(str(c.id), "key", 1, ["r1"], np.zeros((1, 2), np.float32))),
    "build index": lambda _, c, _r: c.build_index(show_progress=False),
    "create collection": lambda client, _, _r: client.get_or_create_collection("more", embedding_function=None).add(**arguments(range(50))),
    "delete collection": lambda client, c, _r: client.delete_collection(c.name),
    "reset": lambda client, _, _r: client.reset(),
    "make tenants": lambda client, *_: _administered(client, write=True),
    "pause": lambda *_: time.sleep(0.03),
}


def audit(client: Client) -> str:
    """Return a digest of all that the store holds, read without its caches."""
    digest = hashlib.sha256()
    for name in COLLECTIONS:
        identifier = str(client.get_collection(name, embedding_function=None).id)
        found = client._execute(ops.Get(identifier, include=rig.EVERY_FIELD))
        embeddings = b"" if found.embeddings is None else found.embeddings.tobytes()
        digest.update(
            repr((client._execute(ops.Count(identifier)), found.ids, found.documents, found.metadatas, found.uris)).encode() + embeddings
        )
    return digest.hexdigest()


MINE: dict[str, Any] = {
    "ids": ["mine 0", "mine 1", "mine 2"],
    "embeddings": np.eye(3, DIMENSION, dtype=np.float32),
    "documents": ["my own", "words", ""],
    "metadatas": [{"mine": i} for i in range(3)],
}


def lost(client: Client, collection: str) -> list[str]:
    """Say what is not as it was of the records `MINE`, which were added to a prepared store."""
    found = client._execute(ops.Get(collection, MINE["ids"], include=rig.EVERY_FIELD))
    held = {name: getattr(found, name) for name in MINE if name != "embeddings"}
    wrong = [f"{name}: {value}" for name, value in held.items() if value != MINE[name]]
    if found.embeddings is None or not np.array_equal(found.embeddings, MINE["embeddings"]):
        wrong.append(f"embeddings: {found.embeddings}")
    matching = client._execute(ops.Get(collection, filter=rig.where(mine=1))).ids
    return wrong if matching == ["mine 1"] else [*wrong, f"the filter finds {matching}"]


class Trial:
    """What happens to one prepared store.

    Parameters
    ----------
    announce
        Told each verb before it is called.
    """

    def __init__(self, case: dict[str, Any], announce: Callable[[str], None]) -> None:
        self._folder, self._read_only, self._random = Path(case["store"]), case["read_only"], Random(f"verbs of {case['seed']}")
        self._audited: bool = case["audit"]
        self._trusted: bool | None = self._random.choice((None, None, True, False))
        self._mine: str | None = None
        self._announce = announce
        self.outcomes: list[tuple[str, str]] = []
        self.raw: list[str] = []
        self.digest: str | None = None

    @contextlib.contextmanager
    def trying(self, verb: str) -> Iterator[None]:
        self._announce(verb)
        outcome = "answered"
        try:
            yield
        except ChromaError as error:
            outcome = type(error).__name__
            if not str(error).isprintable():
                self.raw.append(f"{verb}: the message of {outcome} is not fit for a terminal: {str(error)[:300]!r}")
        except BaseException:  # noqa: BLE001 - whatever it is, the test is to know
            outcome = "raw"
            self.raw.append(f"{verb}: {traceback.format_exc(limit=-6)[-3000:]}")
        self.outcomes.append((verb, outcome))

    def run(self) -> None:
        """Open the store, call some verbs, close it, open it again."""
        if self._random.random() < 0.2:
            self._print_info()
        self._opened(1, self._random.randrange(4, 11))
        if self._random.random() < 0.5:
            self._opened(2, 3)

    def _print_info(self) -> None:
        printed = io.StringIO()
        with self.trying("info"), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            cli.main(["info", str(self._folder)])
        self.raw += [f"info prints {line!r}" for line in printed.getvalue().splitlines() if not line.isprintable()]

    def _opened(self, turn: int, verbs: int) -> None:
        client: Client | None = None
        with self.trying(f"open {turn}"):
            client = PersistentClient(self._folder, read_only=self._read_only, allow_reset=True, trust_caches=self._trusted)
        if client is None:
            return
        if turn == 1 and self._audited:
            with self.trying("audit"):
                self.digest = audit(client)
        self._find_mine(client)
        collections: list[Collection] = []
        for name in COLLECTIONS:
            with self.trying("get collection"):
                collections.append(client.get_collection(name, embedding_function=None))
        table = READS if self._read_only else READS | WRITES
        names = [name for name in table if name not in {"reset", "delete collection"} or turn == 2 or self._random.random() < 0.1]
        names = self._random.sample(names, verbs)
        if turn == 1:  # the graph and the saved columns are used before a write can replace them
            names[:0] = ["query", "columns"]
        for name in names if collections else ():
            collection = collections[0] if self._random.random() < 0.7 else self._random.choice(collections)
            with self.trying(name):
                table[name](client, collection, self._random)
        if collections and not self._read_only and turn == 1:
            self._add_mine(collections[0])
            self._find_mine(client)
        with self.trying("close"):
            client.close()

    def _add_mine(self, collection: Collection) -> None:
        with self.trying("add mine"):
            collection.add(**MINE)
            self._mine = str(collection.id)

    def _find_mine(self, client: Client) -> None:
        if self._mine is not None:
            with self.trying("find mine"):
                self.raw += [f"what was added to it is not there: {wrong}" for wrong in lost(client, self._mine)]


def misbehave(how: str, folder: Path, trial: Trial) -> None:
    """Do what no opener of a store may do, so that the test can be seen to notice."""
    if how == "delete":
        (folder.parent / "outside" / "precious.txt").unlink()
    elif how == "overwrite":
        (folder.parent / "outside" / "thesis.tmp").write_bytes(b"mine now")
    elif how == "create":
        (folder.parent / "outside" / "deeper" / "new").write_bytes(b"")
    elif how == "create at home":
        Path.home().joinpath("new").write_bytes(b"")
    elif how == "create inside":
        (folder / "surprise").write_bytes(b"")
    elif how == "remember":
        np.ones(400 << 20, np.uint8)
    elif how == "sleep":
        time.sleep(600)
    elif how == "die":
        os.kill(os.getpid(), 11)
    elif how == "exit":
        os._exit(0)
    elif how == "raise":
        raise ValueError("not one of ours")
    elif how == "leave descriptors":
        os.open(folder, os.O_RDONLY)
    elif how == "leave a thread":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    elif how == "lose":
        with PersistentClient(folder) as client:  # says that something was added to it
            trial._mine = str(client.get_collection(COLLECTIONS[0], embedding_function=None).id)
    elif how == "read otherwise":
        connection = sqlite3.connect(folder / database.RECORDS)
        for name, other in (("first", "kept"), ("second", "first"), ("kept", "second")):
            connection.execute("UPDATE collection SET name = ? WHERE name = ?", (other, name))
        connection.commit()
        connection.close()
    elif how == "refuse":
        (folder / database.RECORDS).write_bytes(b"no records")
    else:
        raise LookupError(how)


def _load() -> None:
    """Import what the verbs need, so that no case is charged with it."""
    with EphemeralClient() as client:
        collection = client.create_collection("some", embedding_function=None)
        collection.add(**arguments(range(60)))
        collection.build_index(show_progress=False)
        for name in ("project", "query", "describe in html", "get regex", "query texts", "show", "changed since", "columns"):
            with contextlib.suppress(ChromaError):
                READS[name](client, collection, Random(1))


def _peak() -> int:
    """Return the most memory that this process held since `_forget_peak`, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise OSError("the kernel does not tell")


def _forget_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _limit() -> None:
    addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, limit in (
        (resource.RLIMIT_AS, addresses + _MORE_ADDRESSES),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _grant_time() -> None:
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + _SECONDS_OF_A_CASE, resource.RLIM_INFINITY))


def _descriptors() -> list[str]:
    found = []
    for held in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(held.readlink()))
    return sorted(found)


def _left(descriptors: list[str], threads: int) -> list[str]:
    """Say what a case left behind, after a while for threads to end."""
    until = time.monotonic() + _PATIENCE
    while (len(_descriptors()) > len(descriptors) or threading.active_count() > threads) and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    left = [f"left a thread: {thread.name}" for thread in threading.enumerate()[threads:]]
    now = _descriptors()
    for held in descriptors:
        if held in now:
            now.remove(held)
    return left + [f"left open: {held}" for held in now if len(_descriptors()) > len(descriptors)]


def _cases(pipe: Connection) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(EOFError):
        while True:
            yield json.loads(pipe.recv_bytes())


def main(descriptor: str) -> None:
    """Take cases from a pipe, and report on it, until there are no more."""
    faulthandler.enable()
    warnings.simplefilter("error")
    rig.lower_thresholds()
    rig.hush()
    if not hasattr(database, "BUSY_TIMEOUT"):
        raise AttributeError("the database has no BUSY_TIMEOUT any more")
    database.BUSY_TIMEOUT = _BUSY
    unheard: list[str] = []
    threading.excepthook = lambda hook: unheard.append(f"in a thread: {''.join(traceback.format_exception(hook.exc_value))[-2000:]}")
    sys.unraisablehook = lambda hook: unheard.append(f"unraisable: {hook.exc_value!r} in {hook.object!r}")
    with Connection(int(descriptor)) as pipe:

        def say(**words: object) -> None:
            pipe.send_bytes(json.dumps(words).encode())

        _load()
        _limit()
        gc.collect()
        gc.freeze()
        for case in _cases(pipe):
            say(begins=case["seed"])
            descriptors, threads = _descriptors(), threading.active_count()
            trial = Trial(case, lambda verb: say(verb=verb))
            _grant_time()
            before, begun = _forget_peak(), time.perf_counter()
            if case["misbehave"]:
                with trial.trying("misbehave"):
                    misbehave(case["misbehave"], Path(case["store"]), trial)
            trial.run()
            seconds, memory = time.perf_counter() - begun, _peak() - before
            raw = trial.raw + _left(descriptors, threads) + unheard
            unheard.clear()
            say(ends=case["seed"], outcomes=trial.outcomes, raw=raw, digest=trial.digest, seconds=seconds, memory=memory)


if __name__ == "__main__":
    main(*sys.argv[1:])
