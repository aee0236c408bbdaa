"""How clients come to be: the place where the facades meet a backend.

A process has one engine per store, shared by all clients of it and closed with the last of them.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chroma_nb import ops
from chroma_nb.client.client import Admin, Client
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.names import scope_name

if TYPE_CHECKING:
    from chroma_nb.engine.engine import Engine

C = TypeVar("C")
DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
_MEMORY = ":memory:"

_turn = threading.RLock()  # dropping a client in the middle of this module may come back to it
_engines: dict[str, Engine] = {}
_holders: dict[str, int] = {}


def _held(path: str | os.PathLike[str] | None, *, read_only: bool = False) -> tuple[Engine, Callable[[], None]]:
    """Return the engine of a store and what gives it up again."""
    from chroma_nb.engine.engine import Engine

    folder = None if path is None else _folder(path)
    key = _MEMORY if folder is None else str(folder)
    with _turn:
        engine = _engines.get(key)
        if engine is not None and engine.gone:
            # Its clients say so at their next call; whoever asks for the store anew gets the one that is there now.
            engine.close()
        if engine is None or engine.closed:
            engine = Engine(folder, allow_reset=True, read_only=read_only)  # whether a client may is said by the client
            _engines[key] = engine
            _holders[key] = 0
        elif read_only and not engine.read_only:
            raise InvalidArgumentError(
                f"path {key!r}: already open for writing in this process; close that client first, or open it without read_only"
            )
        _holders[key] += 1
    return engine, lambda: _release(key, engine)


def _folder(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidTypeError(f"path: expected the folder of the store as str or Path, got {type(path).__name__}")
    if "\0" in str(path):
        raise InvalidArgumentError("path: has a NUL character, which no file system takes")
    return Path(os.fspath(path)).expanduser().resolve()


def _release(key: str, engine: Engine) -> None:
    with _turn:
        if _engines.get(key) is not engine:
            return
        _holders[key] -= 1
        if _holders[key] > 0:
            return
        del _engines[key], _holders[key]
    engine.close()


def _made(kind: Callable[..., C], path: str | os.PathLike[str] | None, *, read_only: bool = False, **options: Any) -> C:
    engine, release = _held(path, read_only=read_only)
    try:
        if "tenant" in options:
            scope_name(options["tenant"], "tenant")
            scope_name(options["database"], "database")
            engine.execute(ops.GetDatabase(options["tenant"], options["database"]))
        client = kind(engine.execute, place=engine.place, **options)
    except BaseException:
        release()
        raise
    # Runs once, at close() or when the client is dropped without it: re-running a notebook cell must not pile up holders.
    client._release = weakref.finalize(client, release)  # type: ignore[attr-defined]
    return client


def EphemeralClient(  # noqa: N802 - Chroma's name
    *, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE, allow_reset: bool = False
) -> Client:
    """Return a client of a store in memory, gone when the process ends or the last such client is closed.

    All ephemeral clients of a process share one store, as Chroma's do.

    Examples
    --------
    >>> with EphemeralClient() as client:
    ...     client.heartbeat() > 0
    True
    """
    return _made(Client, None, tenant=tenant, database=database, allow_reset=allow_reset)


def PersistentClient(  # noqa: N802 - Chroma's name
    path: str | os.PathLike[str] = "./chroma_nb",
    *,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    allow_reset: bool = False,
    read_only: bool = False,
) -> Client:
    """Return a client of the store in the folder `path`, which is made if need be.

    Every call that returned is on disk. Any number of processes of one machine may use a folder at once; each call sees
    what was committed before it.

    Parameters
    ----------
    path : str or Path
        A folder for the store alone.
    tenant, database : str
        Must exist; see `AdminClient`.
    allow_reset : bool
        Whether ``client.reset()`` may delete everything.
    read_only : bool
        Refuse writes; this also happens by itself where the folder cannot be written.

    Raises
    ------
    InvalidArgumentError
        The path is a file, or holds a store of another program.
    NotFoundError
        There is no such tenant or database.
    DatabaseCorruptedError
        The records file is damaged, or was written by a newer version.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, PersistentClient(folder) as client:
    ...     client.count_collections()
    0
    """
    return _made(Client, path, read_only=read_only, tenant=tenant, database=database, allow_reset=allow_reset)


def AdminClient(path: str | os.PathLike[str] | None = None) -> Admin:  # noqa: N802 - Chroma's name
    """Return a client that makes, lists and deletes tenants and databases of the store in `path` (None: the one in memory).

    Examples
    --------
    >>> with AdminClient() as admin:
    ...     admin.get_tenant("default_tenant")
    {'name': 'default_tenant'}
    """
    return _made(Admin, path)


def _close_all() -> None:
    """Close every store that is still open when the process ends."""
    for engine in list(_engines.values()):
        engine.close()


def _after_fork_in_child() -> None:
    global _turn  # noqa: PLW0603 - a thread of the parent may have held it
    _turn = threading.RLock()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
