"""Chroma's factories: which store a call means, with which settings.

The engines themselves are opened and shared by `chroma_nb.factories`. What is added here are Chroma's arguments, and its
rule that all clients of one store have the same settings.
"""

from __future__ import annotations

import functools
import gc
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from chroma_nb import factories
from chroma_nb.brief import shown
from chroma_nb.chromadb.api.client import AdminClient as Admin
from chroma_nb.chromadb.api.client import AsyncClient as AsyncCreated
from chroma_nb.chromadb.api.client import Client as Created
from chroma_nb.chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings, checked, headers_of, is_remote, typed
from chroma_nb.chromadb.errors import as_chroma
from chroma_nb.errors import InvalidArgumentError

C = TypeVar("C", Created, Admin)

_turn = threading.RLock()
_clients: weakref.WeakSet[Created | Admin] = weakref.WeakSet()
_defaults = Settings()


def configure(**kwargs: Any) -> None:
    """Choose the settings that `Client` uses when it is given none."""
    global _defaults  # noqa: PLW0603 - Chroma's own way of setting defaults
    _defaults = Settings(**kwargs)


def get_settings() -> Settings:
    """Return the settings that `Client` uses when it is given none."""
    return _defaults


def EphemeralClient(  # noqa: N802 - Chroma's name
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> Created:
    """Return a client of the store in memory that all ephemeral clients of this process share.

    Examples
    --------
    >>> with EphemeralClient() as client:
    ...     client.heartbeat() > 0
    True
    """
    return _opened(Created, _with(settings, is_persistent=False), tenant=tenant, database=database)


def PersistentClient(  # noqa: N802 - Chroma's name
    path: str | os.PathLike[str] = "./chroma",
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> Created:
    """Return a client of the store in the folder `path`, which is made if need be.

    Raises
    ------
    InvalidArgumentError
        A client with other settings has the folder open, or the folder holds a store of another program (of Chroma, too).
    NotFoundError
        There is no such tenant or database.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, PersistentClient(folder) as client:
    ...     client.create_collection("docs", embedding_function=None)
    Collection(name=docs)
    """
    asked = _with(settings, is_persistent=True, persist_directory=str(path))
    return _opened(Created, asked, tenant=tenant, database=database)


def Client(  # noqa: N802 - Chroma's name
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> Created:
    """Return a client of the store that `settings` describe: in memory, or with ``is_persistent`` in ``persist_directory``."""
    chosen = typed(settings or _defaults)
    if is_remote(chosen):
        port = getattr(chosen, "chroma_server_http_port", None) or 8000
        ssl = bool(getattr(chosen, "chroma_server_ssl_enabled", False))
        return HttpClient(chosen.require("chroma_server_host"), port, ssl, None, chosen, tenant, database)
    return _opened(Created, _with(chosen), tenant=tenant, database=database)


def HttpClient(  # noqa: N802 - Chroma's name
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,  # noqa: FBT001, FBT002 - Chroma's signature
    headers: dict[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> Created:
    """Return a client of a server: of `chroma_nb.serve`, or Chroma's own from 0.5.16 on.

    Parameters
    ----------
    host : str
        Name of the machine, or a URL, with which `port` does not count.
    headers : dict, optional
        Sent with every request: ``{"X-Chroma-Token": token}``.
    settings : Settings, optional
        ``chroma_client_auth_provider`` and ``chroma_client_auth_credentials`` become headers.

    Raises
    ------
    InvalidArgumentError
        `settings` name another server (a ``ValueError``).
    ServerUnreachableError
        Nothing answers there.
    NotFoundError
        There is no such tenant or database.
    """
    asked, sent = _remote(settings, host, port, headers)
    with as_chroma():
        kind = functools.partial(Created, settings=asked, remote=True)
        return factories._connected(kind, host, port, sent, ssl=ssl, tenant=tenant, database=database)


async def AsyncHttpClient(  # noqa: N802 - Chroma's name
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,  # noqa: FBT001, FBT002 - Chroma's signature
    headers: dict[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> AsyncCreated:
    """Return a client of a server whose verbs are awaited; arguments and errors are those of `HttpClient`."""
    asked, sent = _remote(settings, host, port, headers)
    with as_chroma():
        kind = functools.partial(AsyncCreated, settings=asked, remote=True)
        return await factories._aconnected(kind, host, port, sent, ssl=ssl, tenant=tenant, database=database)


def _remote(settings: Settings | None, host: str, port: int, headers: dict[str, str] | None) -> tuple[Settings, dict[str, str]]:
    """Return settings that say which server is meant, and the headers to send."""
    given = typed(settings if settings is not None else Settings())
    for name, value in (("chroma_server_host", host), ("chroma_server_http_port", port)):
        other = getattr(given, name, None)
        if other is not None and str(other) != str(value):
            raise InvalidArgumentError(f"settings: {name} is {shown(other)}, and the argument {shown(value)}; give it once")
    chosen = Settings(**{**vars(given), "chroma_server_host": host, "chroma_server_http_port": port})
    return chosen, {**headers_of(given), **(headers or {})}


def AdminClient(settings: Settings | None = None) -> Admin:  # noqa: N802 - Chroma's name
    """Return a client that makes, lists and deletes tenants and databases of the store that `settings` describe.

    Examples
    --------
    >>> AdminClient().get_tenant("default_tenant")
    {'name': 'default_tenant'}
    """
    if settings is not None and is_remote(typed(settings)):
        return _remote_admin(settings)
    return _opened(Admin, _with(settings))


def _remote_admin(settings: Settings) -> Admin:
    host, port = settings.require("chroma_server_host"), getattr(settings, "chroma_server_http_port", None) or 8000
    ssl = bool(getattr(settings, "chroma_server_ssl_enabled", False))
    with as_chroma():
        return factories._connected(functools.partial(Admin, settings=settings), host, port, headers_of(settings), ssl=ssl)


def _with(settings: Settings | None, **chosen: Any) -> Settings:
    """Return a copy of the settings in which the factory's own choice is entered."""
    return Settings(**{**vars(checked(settings if settings is not None else Settings())), **chosen})


def _opened(kind: Callable[..., C], settings: Settings, **scope: Any) -> C:
    path = settings.persist_directory if settings.is_persistent else None
    with _turn, as_chroma():
        _check_agreement(settings)
        client = factories._made(functools.partial(kind, settings=settings), path, **scope)
        _clients.add(client)
    return client


def _check_agreement(settings: Settings) -> None:
    if _rival(settings) is not None:
        gc.collect()  # a client that nobody holds any more may wait in a cycle
    rival = _rival(settings)
    if rival is not None:
        raise InvalidArgumentError(
            f"An instance of Chroma already exists for {_place(settings) or 'ephemeral'} with different settings"
            f" (allow_reset={rival.allow_reset}); close that client first, or use its settings"
        )


def _rival(settings: Settings) -> Settings | None:
    """Return the settings of an open client of the same store, if they differ in what means something."""
    for client in list(_clients):
        other = client._settings
        if client._release is not None and _place(other) == _place(settings) and other.allow_reset != settings.allow_reset:
            return other
    return None


def _place(settings: Settings) -> str | None:
    return os.path.realpath(Path(settings.persist_directory).expanduser()) if settings.is_persistent else None
