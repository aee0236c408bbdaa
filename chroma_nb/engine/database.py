"""The SQLite file: who may read and write it, and when.

Theory of operation
-------------------
* One file per store, in WAL mode with ``synchronous=FULL``: a committed transaction survives a crash and a power cut.
* Reads run on connections of their own, taken from a pool, each in a transaction that sees one consistent state.
* Writes of all threads and processes go one at a time, under a lock of the kernel's (`write.lock`, released when its
  holder dies) that also covers every checkpoint: SQLite before 3.51.3 can corrupt a WAL when one connection commits while
  another checkpoints (sqlite.org/wal.html, "The WAL-reset bug"), so automatic checkpoints are off.
* No connection is open while the process is forked; parent and child each open their own afterwards (`engine.forking`).
* Whoever calls holds signals back (`chroma_nb.stopping`). A statement looks every few thousand steps whether it is to end, so that a
  Ctrl-C, a time limit or a client that left ends any of them, and whatever SQLite was told to do by somebody's file.
* A store without a folder lives in memory behind one connection and one lock.

Only this package knows SQLite; its errors leave here translated.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from chroma_nb import stopping
from chroma_nb.engine import folder as files
from chroma_nb.engine import schema
from chroma_nb.engine.forking import Gate
from chroma_nb.engine.scanning import STEPS
from chroma_nb.engine.turn import Turn
from chroma_nb.errors import (
    ChromaError,
    ClosedError,
    DatabaseBusyError,
    DatabaseCorruptedError,
    InvalidArgumentError,
    NotFoundError,
    ReadOnlyError,
    StorageFullError,
    StoreError,
)
from chroma_nb.filters import is_found

RECORDS = "chroma_nb.sqlite3"
CACHES = "caches"
_LOCK = "write.lock"
BUSY_TIMEOUT = 30.0
_SLICE = 0.1
_LARGE_WAL = 4 << 20
_LARGEST_WAL = 256 << 20
"""Past this a write folds the WAL into the records file itself; before, that is left to a pause in the writing."""
_KEPT_READERS = 8
_FORK_PATIENCE = 5.0
_HARMLESS = (InvalidArgumentError, NotFoundError)
"""Errors that leave no statement behind in the middle of its rows."""

_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_torn: set[str] = set()
"""In a forked child: the places that another thread of the parent was using at that moment."""
_abandoned: list[Any] = []


class _Still(sqlite3.Connection):
    """A connection that takes the file for unchanging; good for one read, because the next one may find a writer."""


class Shared(sqlite3.Connection):
    """The one connection of a store in memory. Whoever reads for long lets others in between two statements."""

    turn: Turn
    lends = False

    def lend(self) -> bool:
        """Let others in for a moment if this read may do so; tell whether the store is still what it was."""
        if not self.lends:
            return True
        before = self.total_changes
        self.execute("ROLLBACK")
        self.turn.lend()
        self.lends = True
        self.execute("BEGIN")
        return self.total_changes == before


class _Errors:
    """Context that turns SQLite's errors into ours, and says of every damage in which file it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        place = self._database.place
        if isinstance(error, sqlite3.Error):
            stopping.check()  # what broke the statement off, or was raised in a function that it called, says more
            raise self._translated(error) from error
        if isinstance(error, UnicodeDecodeError):  # a message of SQLite's that quotes damaged text
            raise DatabaseCorruptedError(f"{place}: damaged ({error}); restore it from a backup") from error
        if isinstance(error, DatabaseCorruptedError) and place not in str(error):
            raise DatabaseCorruptedError(f"{place}: {error}") from error

    def _translated(self, error: sqlite3.Error) -> ChromaError:
        if self._database._closed:  # by another thread, while a read had let others in
            return ClosedError(f"the client of {self._database.place} is closed; make a new one")
        # It may quote the file: a table's name, a text.
        text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(error)[:200])
        damage = ("malformed", "not a database", "decode to UTF-8", "unsupported file format")
        if isinstance(error, sqlite3.IntegrityError) or any(each in text for each in damage):  # no call of ours breaks a constraint
            return DatabaseCorruptedError(f"{self._database.place}: damaged ({text}); restore it from a backup")
        if "full" in text:
            return StorageFullError(f"{self._database.place}: the disk is full; the call was undone. Free some space and repeat it")
        if "readonly" in text or "read-only" in text:
            return ReadOnlyError(f"{self._database.place}: cannot be written ({text})")
        if "locked" in text or "busy" in text:
            return DatabaseBusyError(f"{self._database.place}: another program holds the file ({text}); try again when it is done")
        if "unable to open" in text and self._database.read_only:
            return ReadOnlyError(
                f"{self._database.place}: the last writes are in its -wal file, which cannot be read where nothing may be written;"
                " copy the folder to a place where you may write"
            )
        return StoreError(f"{self._database.place}: {text}; what was committed before is intact")


class _Loan:
    """Context with a connection of the pool; it comes back unless what happened may have left a statement running on it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._connection = self._database._taken()
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or isinstance(error, _HARMLESS):
            self._database._give_back(self._connection)
        else:
            self._connection.close()


class Database:
    """A store's connections.

    Parameters
    ----------
    folder
        Where the store lives; None keeps it in memory.
    read_only
        Open for reading even if the folder could be written.
    """

    def __init__(self, folder: Path | None, *, read_only: bool = False) -> None:
        self.folder = folder
        self._file = Path() if folder is None else folder / RECORDS
        self.place = "in memory" if folder is None else str(self._file)
        self.read_only = read_only
        self._closed = False
        self._errors = _Errors(self)
        self._renew()
        with self._errors:
            if folder is None:
                made = self._connect()
                assert isinstance(made, Shared)  # noqa: S101 - a store in memory has no other
                self._memory = made
                schema.prepare(self._memory, self.place)
            else:
                self._open(folder)
        _databases.add(self)

    def _renew(self) -> None:
        """Start with fresh locks and connections (at birth, and in a forked child)."""
        self._gate = Gate()
        self._quiet = True
        self._writer = threading.Lock()
        self._memory_turn = Turn()
        self._readers: deque[sqlite3.Connection] = deque()
        if self.folder is not None and not self.read_only:
            self._file_lock = FileLock(self.folder / _LOCK, thread_local=False, mode=0o600)

    def _open(self, folder: Path) -> None:
        self._check_whole()
        records = folder / RECORDS
        if folder.exists() and not folder.is_dir():
            raise InvalidArgumentError(f"path {str(folder)!r}: is a file; give the folder the store is to live in")
        if not records.exists() and (folder / "chroma.sqlite3").exists():
            raise InvalidArgumentError(
                f"path {str(folder)!r}: holds a store of Chroma's own format; choose another folder and copy the collections into it"
            )
        if self.read_only or (folder.exists() and not os.access(folder, os.W_OK)):
            self._open_read_only(records)
            return
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidArgumentError(
                f"path {str(folder)!r}: cannot be made ({error.strerror}); give a folder you may write to"
            ) from error
        files.check(folder / _LOCK)
        with self._exclusively():
            files.check_records(records, read_only=False)
            if (not records.exists() or records.stat().st_size == 0) and files.has_caches(folder / CACHES):
                raise DatabaseCorruptedError(
                    f"{records}: missing or empty, but caches of it are there; restore it from a backup, or remove the folder"
                )
            self._readers.append(self._prepared())
        self._identity = self._file_identity()

    def _open_read_only(self, records: Path) -> None:
        if not records.exists():
            raise ReadOnlyError(
                f"path {str(records.parent)!r}: no store there, and the folder is read-only; give a folder you may write to"
            )
        self.read_only = True
        self._give_back(self._prepared())
        self._identity = self._file_identity()

    def _prepared(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            schema.prepare(connection, self.place, read_only=self.read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_still(self) -> bool:
        """Tell whether the file cannot change: nobody has it open for writing, and the files by which to notice cannot be made."""
        if not self.read_only or self.folder is None or os.access(self.folder, os.W_OK):
            return False
        wal = Path(f"{self.place}-wal")
        return not (wal.exists() and wal.stat().st_size)

    def _file_identity(self) -> tuple[int, int]:
        status = self._file.stat()
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        still = self._is_still()
        if self.folder is None:
            target, uri = ":memory:", False
        else:
            files.check_records(self._file, read_only=self.read_only)
            target, uri = f"{self._file.absolute().as_uri()}?mode={'ro' if self.read_only else 'rwc'}{'&immutable=1' * still}", True
        connection = sqlite3.connect(
            target,
            uri=uri,
            isolation_level=None,
            check_same_thread=False,
            timeout=_SLICE,
            cached_statements=256,
            factory=Shared if self.folder is None else _Still if still else sqlite3.Connection,
        )
        if isinstance(connection, Shared):
            connection.turn = self._memory_turn
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(stopping.is_due, STEPS)
        schema.harden(connection)
        connection.execute(f"PRAGMA page_size = {schema.PAGE_SIZE}")
        if self.folder is not None:
            schema.is_ours(connection, self.place)  # before anything is written into what may be another program's
        if self.folder is not None and not self.read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.create_function("chroma_nb_search", 2, stopping.carrying(is_found), deterministic=True)
        connection.execute("PRAGMA cache_size = -32768")

    @contextlib.contextmanager
    def read(self, *, lending: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction that sees one committed state.

        With `lending`, others may be let in between the statements of a read of a store in memory: see `Shared.lend`.
        """
        with self._errors, self._gate:
            self.check_usable()
            if self.folder is None:
                with self._memory_turn:
                    self.check_usable()
                    self._memory.lends = lending
                    yield from self._reading(self._memory)
                return
            with _Loan(self) as connection:
                yield from self._reading(connection)

    @staticmethod
    def _reading(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        Database._leave_transaction(connection)
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            Database._leave_transaction(connection)

    @staticmethod
    def _leave_transaction(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside the one write transaction; it commits at the end, or undoes itself on any exception."""
        with self._errors, self._gate:
            self.check_usable()
            if self.read_only:
                raise ReadOnlyError(f"{self.place}: open for reading only; open it from a folder you may write to")
            with self._exclusively():
                self.check_usable()
                if self.folder is None:
                    self._memory.lends = False
                    yield from self._writing(self._memory)
                    return
                with _Loan(self) as connection:
                    yield from self._writing(connection)
                    self._checkpoint_from(_LARGEST_WAL, connection)

    def _writing(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        self._begin(connection)
        try:
            yield connection
            stopping.check()
            connection.execute("COMMIT")
        except BaseException:
            self._leave_transaction(connection)
            raise

    def _taken(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        # Still in a transaction: its undoing failed.
        usable = not connection.in_transaction and not isinstance(connection, _Still)
        if usable and len(self._readers) < _KEPT_READERS and not self._closed:
            self._readers.append(connection)
        else:
            connection.close()

    @staticmethod
    def _begin(connection: sqlite3.Connection) -> None:
        Database._leave_transaction(connection)
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                # Only a program that does not know write.lock can be in the way here.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                stopping.check()
            else:
                return

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Hold the turn to write, against the threads of this process and against other processes."""
        if self.folder is None:
            with self._memory_turn:
                yield
            return
        deadline = time.monotonic() + BUSY_TIMEOUT
        while not self._writer.acquire(timeout=_SLICE):
            self._keep_waiting(deadline)
        try:
            while True:
                try:
                    self._file_lock.acquire(timeout=_SLICE, poll_interval=0.005)
                    break
                except Timeout:
                    self._keep_waiting(deadline)
                except OSError as error:
                    raise StoreError(f"{self._file_lock.lock_file}: {error.strerror}; the store cannot be written") from error
            try:
                yield
            finally:
                self._file_lock.release()
        finally:
            self._writer.release()

    def _keep_waiting(self, deadline: float) -> None:
        stopping.check()
        if time.monotonic() > deadline:
            raise DatabaseBusyError(
                f"{self.place}: another process has been writing for {BUSY_TIMEOUT:.0f} s; try again, or stop the other notebook"
            )

    def fold(self) -> None:
        """Fold the WAL into the records file if it has grown; for whoever has time for it."""
        if self.folder is None or self.read_only or self._closed or self.is_gone():
            return
        with self._errors, self._gate, self._exclusively(), _Loan(self) as connection:
            self._checkpoint_from(_LARGE_WAL, connection)

    def _checkpoint_from(self, size: int, connection: sqlite3.Connection) -> None:
        try:
            if Path(f"{self.place}-wal").stat().st_size > size:
                self._checkpoint(connection)
        except (OSError, sqlite3.Error):
            # The commit is durable in the WAL; a checkpoint that fails (a full disk) is tried again after the next write.
            return

    @staticmethod
    def _checkpoint(connection: sqlite3.Connection) -> None:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def is_gone(self) -> bool:
        """Tell whether the file that was opened no longer is the one at this path."""
        if self.folder is None:
            return False
        try:
            return self._file_identity() != self._identity
        except OSError:
            return True

    def _check_whole(self) -> None:
        if self.place in _torn:
            raise StoreError(
                f"{self.place}: another thread was using the store when this process was forked, so it cannot be used here;"
                " start worker processes with multiprocessing's 'spawn', or before the threads"
            )

    def check_usable(self) -> None:
        """Refuse to go on when the store was closed, or its file is no longer there."""
        if self._closed:
            raise ClosedError(f"the client of {self.place} is closed; make a new one")
        self._check_whole()
        if self.is_gone():
            raise StoreError(f"{self.place}: removed or replaced while it was open; close this client and make a new one")

    def before_fork(self) -> None:
        """Let everybody finish and let go of the file (called in the parent)."""
        self._quiet = self._gate.shut(_FORK_PATIENCE)
        if self.folder is None or not self._quiet:
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            if self.read_only:
                self._close_readers()
                return
            # The last to close a file folds its WAL, under the lock as always. Who finds it taken is not the last.
            with contextlib.suppress(Timeout):
                self._file_lock.acquire(timeout=0)
            try:
                self._close_readers()
            finally:
                if self._file_lock.is_locked:
                    self._file_lock.release()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._gate.open()

    def after_fork_in_child(self) -> None:
        """Start afresh, with locks and connections of our own."""
        if not self._quiet:
            _torn.add(self.place)
            # Closing an inherited connection would drop the parent's POSIX locks, so it is kept alive, untouched.
            _abandoned.extend(self._readers)
        self._renew()

    def close(self) -> None:
        """Fold the WAL into the records file where possible and close all connections; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self.place in _torn:
            return
        with self._gate:
            self._close()

    def _close(self) -> None:
        if self.folder is None:
            with self._memory_turn:
                self._memory.close()
            return
        with contextlib.suppress(sqlite3.Error, ChromaError, OSError):
            if not self.read_only and self._file_identity() == self._identity:
                with self._exclusively():
                    connection = self._taken()
                    self._checkpoint(connection)
                    self._close_readers()
                    connection.close()
        self._close_readers()

    def _close_readers(self) -> None:
        while self._readers:
            self._readers.pop().close()


def _of_each(method: Callable[[Database], None]) -> Callable[[], None]:
    def called() -> None:
        with stopping.held_back():
            for database in list(_databases):
                method(database)

    return called


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_of_each(Database.before_fork),
        after_in_parent=_of_each(Database.after_fork_in_parent),
        after_in_child=_of_each(Database.after_fork_in_child),
    )
