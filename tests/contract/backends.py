"""The backends on which the contract is checked: one row each in `BACKENDS`, whatever is asked of them.

A test is written once, as if every verb returned; `Awaited` makes that true of asynchronous clients.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from typing_extensions import Self

import chroma_nb
from chroma_nb import ops
from chroma_nb.client.client import Admin, AsyncClient
from chroma_nb.client.collection import AsyncCollection
from chroma_nb.engine.engine import Engine
from chroma_nb.http.call import Service
from chroma_nb.http.server import start
from tests.contract.chroma_server import ChromaServer

DEFAULTS = {"tenant": "default_tenant", "database": "default_database"}


class Backend:
    """A store of a test's own, and the clients that were made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[Any] = []

    def client(self, **options: Any) -> Any:
        """Return a new client."""
        return self._noted(self._client(**{"allow_reset": True, **options}))

    def admin(self) -> Any:
        """Return a new admin client of the same store."""
        return self._noted(self._admin())

    def again(self, collection: Any) -> Any:
        """Return `collection` as one finds it later; stores that outlive their clients are closed and opened in between."""
        return collection

    def close(self) -> None:
        """Close every client."""
        while self._open:
            self._open.pop().close()

    def dispose(self) -> None:
        """Close every client, and give up what the backend itself needs."""
        self.close()

    def _noted(self, made: Any) -> Any:
        self._open.append(made)
        return made

    def _client(self, **options: Any) -> Any:
        return chroma_nb.EphemeralClient(**options)

    def _admin(self) -> Any:
        return chroma_nb.AdminClient()


class Ephemeral(Backend):
    """In memory. Clients of other tests may still hold the store, so it is emptied first."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.client().reset()


class Persistent(Backend):
    """In a folder."""

    def _client(self, **options: Any) -> Any:
        return chroma_nb.PersistentClient(self.folder, **options)

    def _admin(self) -> Any:
        return chroma_nb.AdminClient(self.folder)


class Reopened(Persistent):
    """In a folder, closed and opened again between writing and reading."""

    def again(self, collection: Any) -> Any:
        self.close()
        client = self.client(tenant=collection.tenant, database=collection.database)
        return client.get_collection(collection.name)


class Asynchronous(Backend):
    """An asynchronous client whose backend answers from a thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._loop = asyncio.new_event_loop()
        self._engine = Engine(folder, allow_reset=True)

    def close(self) -> None:
        super().close()
        self._engine.close()

    def dispose(self) -> None:
        super().dispose()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _client(self, **options: Any) -> Any:
        async def execute(op: ops.Op[Any]) -> Any:
            return await asyncio.to_thread(self._engine.execute, op)

        made = AsyncClient(execute, place=self._engine.place, **{**DEFAULTS, **options})
        self._engine.execute(ops.GetDatabase(made.tenant, made.database))
        return Awaited(self._loop, made)

    def _admin(self) -> Any:
        return Admin(self._engine.execute, place=self._engine.place)


class Http(Backend):
    """A client of our own server, which serves a store in a folder from a thread of this process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._engine = Engine(folder, allow_reset=True)
        self._server = start(Service(self._engine.execute, allow_reset=True), token="")

    def dispose(self) -> None:
        super().dispose()
        self._server.stop()
        self._engine.close()

    def _client(self, **options: Any) -> Any:
        return chroma_nb.HttpClient(self._server.url, headers=self._server.headers, **options)

    def _admin(self) -> Any:
        return chroma_nb.AdminClient(self._server.url, headers=self._server.headers)


class AsynchronousHttp(Http):
    """The same with an asynchronous client."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._loop = asyncio.new_event_loop()

    def dispose(self) -> None:
        super().dispose()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _client(self, **options: Any) -> Any:
        connecting = chroma_nb.AsyncHttpClient(self._server.url, headers=self._server.headers, **options)
        return Awaited(self._loop, self._loop.run_until_complete(connecting))


class Chroma(Backend):
    """A client of Chroma's own server, which all tests share: it is emptied for each."""

    _server: ChromaServer | None = None

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if Chroma._server is None:
            Chroma._server = ChromaServer.started(os.environ[CHROMA_PYTHON])
        self._url = Chroma._server.url
        self.client().reset()

    def _client(self, **options: Any) -> Any:
        return chroma_nb.HttpClient(self._url, **options)

    def _admin(self) -> Any:
        return chroma_nb.AdminClient(self._url)


class Awaited:
    """An asynchronous client or collection whose calls are run to their end at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: Any) -> None:
        self._loop = loop
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not inspect.isroutine(value):
            return self._plain(value)

        @functools.wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = value(*args, **kwargs)
            return self._plain(self._loop.run_until_complete(result) if inspect.isawaitable(result) else result)

        return call

    def _plain(self, value: Any) -> Any:
        if isinstance(value, (AsyncClient, AsyncCollection)):
            return Awaited(self._loop, value)
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        return self._items(value) if isinstance(value, AsyncIterator) else value

    def _items(self, values: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(anext(values))
            except StopAsyncIteration:
                return

    def __enter__(self) -> Self:
        self._loop.run_until_complete(self._target.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run_until_complete(self._target.__aexit__(*error))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Awaited) and self._target == other._target

    def __hash__(self) -> int:
        return hash(self._target)

    def __repr__(self) -> str:
        return repr(self._target)


BACKENDS: dict[str, type[Backend]] = {
    "ephemeral": Ephemeral,
    "persistent": Persistent,
    "reopened": Reopened,
    "async": Asynchronous,
    "http": Http,
    "http-async": AsynchronousHttp,
    "chroma": Chroma,
}
CHROMA_PYTHON = "CHROMA_PYTHON"
"""Variable that names the interpreter of an environment with Chroma; without it there is no server of Chroma's to ask."""
EVERY_FIELD = frozenset({"documents", "embeddings", "metadatas", "uris"})


def content(collection: Any) -> list[tuple[Any, ...]]:
    """Return all records of a collection, exactly: id, bytes of the embedding, document, metadata in order and types, uri."""
    found = collection._execute(ops.Get(str(collection.id), include=EVERY_FIELD))
    columns = (found.ids, [each.tobytes() for each in found.embeddings], found.documents, map(repr, found.metadatas), found.uris)
    return list(zip(*columns, strict=True))


def everything(client: Any) -> dict[str, Any]:
    """Return all collections of a client's database: name to version, metadata, configuration and content."""
    infos = client._execute(ops.ListCollections(client.tenant, client.database))
    return {
        info.name: (
            info.version,
            info.count,
            info.dimension,
            repr(info.metadata),
            info.configuration,
            content(client.get_collection(info.name)),
        )
        for info in infos
    }
