"""How clients and servers come to be: the place where the facades meet a backend.

A process has one engine per store, shared by all clients and servers of it and closed with the last of them. A client of a
server has a backend of its own.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chroma_nb import ops, stopping
from chroma_nb.client.client import Admin, AsyncClient, Client
from chroma_nb.errors import ClosedError, InvalidArgumentError, InvalidTypeError
from chroma_nb.names import scope_name

if TYPE_CHECKING:
    from chroma_nb.engine.engine import Engine
    from chroma_nb.http.server import Server

C = TypeVar("C")
DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
_MEMORY = ":memory:"
_SECONDS = 60.0


@dataclass(frozen=True)
class _Serving:
    """What makes two calls of `serve` mean the same server."""

    store: str
    host: str | None
    port: int | None
    token: str | None = field(repr=False)
    allow_reset: bool
    read_only: bool


_turn = threading.RLock()  # dropping a client in the middle of this module may come back to it
# Not the same, because serving waits for another thread, where the garbage collector may drop a client.
_serving_turn = threading.RLock()
_engines: dict[str, Engine] = {}
_holders: dict[str, int] = {}
_servers: dict[_Serving, Server] = {}


def _held(
    path: str | os.PathLike[str] | None, *, read_only: bool = False, trust_caches: bool | None = None
) -> tuple[Engine, Callable[[], None]]:
    """Return the engine of a store and what gives it up again, once."""
    from chroma_nb.engine.engine import Engine

    folder = None if path is None else _folder(path)
    key = _MEMORY if folder is None else str(folder)
    with stopping.taking(_turn):
        engine = _engines.get(key)
        if engine is not None and engine.gone:
            # Its clients say so at their next call; whoever asks for the store anew gets the one that is there now.
            engine.close()
        if engine is None or engine.closed:
            # Whether a client may reset the store is said by the client.
            engine = Engine(folder, allow_reset=True, read_only=read_only, trust_caches=trust_caches)
            _engines[key] = engine
            _holders[key] = 0
        elif read_only and not engine.read_only:
            raise InvalidArgumentError(
                f"path {key!r}: already open for writing in this process; close that client first, or open it without read_only"
            )
        elif trust_caches not in (None, engine.trust_caches):
            raise InvalidArgumentError(
                f"path {key!r}: already open in this process with trust_caches={engine.trust_caches}; close that client first"
            )
        _holders[key] += 1
    waiting = [key]
    return engine, lambda: _release(waiting.pop(), engine) if waiting else None


def _folder(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidTypeError(f"path: expected the folder of the store as str or Path, got {type(path).__name__}")
    if "\0" in str(path):
        raise InvalidArgumentError("path: has a NUL character, which no file system takes")
    try:
        return Path(os.fspath(path)).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # a home of nobody, links in a circle
        raise InvalidArgumentError(f"path: {str(path)[:80]!r} leads to no folder: {error}; write it out, from / on") from None


def _release(key: str, engine: Engine) -> None:
    with stopping.held_back():
        with _turn:
            if _engines.get(key) is not engine:
                return
            _holders[key] -= 1
            if _holders[key] > 0:
                return
            del _engines[key], _holders[key]
        engine.close()


def _made(
    kind: Callable[..., C],
    path: str | os.PathLike[str] | None,
    *,
    read_only: bool = False,
    trust_caches: bool | None = None,
    **options: Any,
) -> C:
    release: Callable[[], None] | None = None
    try:
        with stopping.held_back():
            engine, release = _held(path, read_only=read_only, trust_caches=trust_caches)
            if "tenant" in options:
                scope_name(options["tenant"], "tenant")
                scope_name(options["database"], "database")
                engine.execute(ops.GetDatabase(options["tenant"], options["database"]))
            client = kind(engine.execute, place=engine.place, **options)
            client._engine = engine  # type: ignore[attr-defined]
            # Runs once, at close() or when the client is dropped without it: re-running a notebook cell must not pile up holders.
            client._release = weakref.finalize(client, release)  # type: ignore[attr-defined]
    except BaseException:  # also a signal that was held back until here
        if release is not None:
            release()
        raise
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
    trust_caches: bool | None = None,
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
    trust_caches : bool, optional
        Whether to use the columns and graphs saved beside the records, which spares building them anew. By default those of a folder that
        belongs to you. Whoever prepared them can make filters and searches find other records than they should.

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
    options = {"tenant": tenant, "database": database, "allow_reset": allow_reset}
    return _made(Client, path, read_only=read_only, trust_caches=trust_caches, **options)


def HttpClient(  # noqa: N802 - Chroma's name
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,  # noqa: FBT001, FBT002 - Chroma's signature
    headers: Mapping[str, str] | None = None,
    *,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    timeout: float = _SECONDS,
    allow_reset: bool = False,
) -> Client:
    """Return a client of a server: one of ours (`serve`), or Chroma's own from 0.5.16 on.

    Verbs, data frames and embedding functions are those of every client; texts are embedded here, not by the server.
    What is larger than a request may be is sent in several: such a call of `add`, `upsert` or `update` is not atomic.
    Reads are repeated when a connection breaks; writes only when the server cannot have seen them. Threads may share a client.
    Chroma's own server lacks some of the operations: they are made of others, with the differences listed in
    `chroma_nb.http.emulation`.

    Parameters
    ----------
    host : str
        Name of the machine, or a URL with everything in it: ``"https://hub.example/user/me/chroma-nb/k/ID"``. With a URL
        `port` does not count.
    ssl : bool
        Whether to use https.
    headers : dict, optional
        Sent with every request, never shown: ``{"X-Chroma-Token": token}``.
    tenant, database : str
        Must exist; see `AdminClient`.
    timeout : float
        Seconds to wait for a reply; writes and index builds may take longer.
    allow_reset : bool
        Whether ``client.reset()`` may delete everything; the server must permit it too.

    Raises
    ------
    ServerUnreachableError
        Nothing answers at that address.
    ServerReplyError
        What answers is no Chroma server.
    AuthorizationError
        The token is missing or wrong.
    NotFoundError
        There is no such tenant or database.

    Examples
    --------
    >>> with serve() as server, HttpClient(server.url, headers=server.headers) as client:
    ...     client.heartbeat() > 0
    True
    """
    return _connected(Client, host, port, headers, ssl=ssl, timeout=timeout, tenant=tenant, database=database, allow_reset=allow_reset)


async def AsyncHttpClient(  # noqa: N802 - Chroma's name
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,  # noqa: FBT001, FBT002 - Chroma's signature
    headers: Mapping[str, str] | None = None,
    *,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    timeout: float = _SECONDS,
    allow_reset: bool = False,
) -> AsyncClient:
    """Return a client of a server whose verbs are awaited: ``client = await AsyncHttpClient(...)``. See `HttpClient`."""
    options = {"tenant": tenant, "database": database, "allow_reset": allow_reset}
    return await _aconnected(AsyncClient, host, port, headers, ssl=ssl, timeout=timeout, **options)


def _connected(
    kind: Callable[..., C], host: object, port: object, headers: object, *, ssl: bool, timeout: float = _SECONDS, **options: Any
) -> C:
    """Return a client of a server, once tenant and database (of the `options`) are known to be there."""
    from chroma_nb.http.address import Address
    from chroma_nb.http.backend import HttpBackend

    backend = HttpBackend(Address.of(host, port, ssl=ssl, headers=headers), timeout=timeout)
    try:
        _ = backend.execute(_scope(**options)) if "tenant" in options else backend.execute(ops.Heartbeat())
        client = kind(backend.execute, place=backend.place, **options)
    except BaseException:
        backend.close()
        raise
    client._release = weakref.finalize(client, backend.close)  # type: ignore[attr-defined]
    return client


async def _aconnected(
    kind: Callable[..., C], host: object, port: object, headers: object, *, ssl: bool, timeout: float = _SECONDS, **options: Any
) -> C:
    from chroma_nb.http.address import Address
    from chroma_nb.http.backend import AsyncHttpBackend

    backend = AsyncHttpBackend(Address.of(host, port, ssl=ssl, headers=headers), timeout=timeout)
    try:
        await backend.execute(_scope(**options))
        client = kind(backend.execute, place=backend.place, **options)
    except BaseException:
        await backend.close()
        raise
    client._release = backend.close  # type: ignore[attr-defined]
    return client


def _scope(*, tenant: object, database: object, **_: object) -> ops.GetDatabase:
    return ops.GetDatabase(scope_name(tenant, "tenant"), scope_name(database, "database"))


def AdminClient(  # noqa: N802 - Chroma's name
    path: str | os.PathLike[str] | None = None, *, headers: Mapping[str, str] | None = None
) -> Admin:
    """Return a client that makes, lists and deletes tenants and databases of a store.

    Parameters
    ----------
    path : str or Path, optional
        The store's folder, or the URL of a server (with the `headers` it wants); by default the store in memory.

    Examples
    --------
    >>> with AdminClient() as admin:
    ...     admin.get_tenant("default_tenant")
    {'name': 'default_tenant'}
    """
    if isinstance(path, str) and path.startswith(("http://", "https://")):
        return _connected(Admin, path, None, headers, ssl=False)
    return _made(Admin, path)


def serve(
    client: Any = None,
    *,
    host: str | None = None,
    port: int | None = None,
    token: str | None = "",
    allow_reset: bool = False,
    read_only: bool = False,
) -> Server:
    """Serve a store over HTTP from a thread of this process, so that any Chroma client reaches the same live data.

    In a kernel of a Jupyter server that has our extension, the store is served at Jupyter's own address to those who have Jupyter's
    own token, and to nobody else. Anywhere else, only programs of this machine that have the server's token get through.
    A cell that serves may be run again: the same store with the same options is served once.

    Parameters
    ----------
    client : client or path, optional
        Whose store to serve: a client's, the one in a folder, or by default the one in memory.
    host : str, optional
        Address to listen on, besides what Jupyter forwards; by default none in Jupyter, and this machine's loopback elsewhere.
    port : int, optional
        Port to listen on, besides what Jupyter forwards; 0 takes a free one, as is the default outside of Jupyter.
    token : str, optional
        What clients that do not come through Jupyter must send; by default one that nobody can guess is made up. None lets everyone
        in who reaches the port. Given, the server listens on a port in Jupyter too.
    allow_reset : bool
        Whether clients may delete everything at once.
    read_only : bool
        Refuse writes.

    Returns
    -------
    Server
        ``url``, ``headers``, code to paste (``python()``, ``js()``, ``curl()``), ``stop()``. Use it in a ``with`` block, or
        let it run until the process ends. Where it listens on a port: ``local_url`` and ``local_headers``, past Jupyter.

    Raises
    ------
    InvalidArgumentError
        It cannot listen there.
    StoreError
        It did not start, or could not be announced to Jupyter.

    Examples
    --------
    >>> with serve(token=None) as server, HttpClient(server.url) as client:
    ...     client.count_collections() >= 0
    True
    """
    from chroma_nb.http.call import Service
    from chroma_nb.http.server import start
    from chroma_nb.publishing import find_way, publish

    release: Callable[[], None] | None = None
    made: Server | None = None
    try:
        with stopping.held_back(), stopping.taking(_serving_turn):
            engine, release = _engine_of(client)
            key = _Serving(engine.place, host, port, token, allow_reset, read_only)
            _make_room(key)
            way = find_way()
            found = _servers.get(key)
            if found is not None:
                publish(way, found, engine.folder, read_only=read_only)
                release()
                return found
            service = Service(engine.execute, allow_reset=allow_reset, read_only=read_only)
            unix = way.socket() if host is None and port is None and token == "" else None
            made = start(service, token=token, host="127.0.0.1" if host is None else host, port=port or 0, unix=unix)
            publish(way, made, engine.folder, read_only=read_only)
            made.released = release
            _servers[key] = made
    except BaseException:  # also a signal that was held back until here: nothing listens that nobody has a handle of
        if made is not None:
            made.stop()
        if release is not None:
            release()
        raise
    return made


def _engine_of(client: Any) -> tuple[Engine, Callable[[], None]]:
    """Return the engine of a client or a folder, held once more, and what lets it go."""
    if client is None or isinstance(client, (str, os.PathLike)):
        return _held(client)
    found: Engine | None = getattr(client, "_engine", None)
    if found is None:
        raise InvalidTypeError(
            f"client: expected a client of a store in this process, or a folder, got {type(client).__name__};"
            " what a server holds is served already"
        )
    if found.closed:
        raise ClosedError(f"the client of {found.place} is closed; make a new one")
    return _held(found.folder)


def _make_room(key: _Serving) -> None:
    """Forget servers that stopped; stop one that holds the very port with other options, for a cell was changed and run again."""
    for other, server in list(_servers.items()):
        if not server.running:
            del _servers[other]
        elif key.port and other != key and (other.store, other.host, other.port) == (key.store, key.host, key.port):
            server.stop()
            del _servers[other]


def _close_all() -> None:
    """Close every store that is still open when the process ends."""
    for engine in list(_engines.values()):
        engine.close()


def _after_fork_in_child() -> None:
    global _turn, _serving_turn
    # A thread of the parent may have held them.
    _turn, _serving_turn = threading.RLock(), threading.RLock()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
