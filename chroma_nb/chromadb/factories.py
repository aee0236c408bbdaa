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
from chroma_nb.chromadb.api.client import AdminClient as Admin
from chroma_nb.chromadb.api.client import Client as Created
from chroma_nb.chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings, checked
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
    return _opened(Created, _with(settings, is_persistent=False), tenant=str(tenant), database=str(database))


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
    return _opened(Created, asked, tenant=str(tenant), database=str(database))


def Client(  # noqa: N802 - Chroma's name
    settings: Settings | None = None, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> Created:
    """Return a client of the store that `settings` describe: in memory, or with ``is_persistent`` in ``persist_directory``."""
    return _opened(Created, _with(settings or _defaults), tenant=str(tenant), database=str(database))


def AdminClient(settings: Settings | None = None) -> Admin:  # noqa: N802 - Chroma's name
    """Return a client that makes, lists and deletes tenants and databases of the store that `settings` describe.

    Examples
    --------
    >>> AdminClient().get_tenant("default_tenant")
    {'name': 'default_tenant'}
    """
    return _opened(Admin, _with(settings))


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
