"""Clients whose collections answer in data frames."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import Self

from chroma_nb import html, ops
from chroma_nb.client import arguments
from chroma_nb.client.collection import AsyncCollection, Collection
from chroma_nb.client.shared import SharedClientVerbs
from chroma_nb.client.steps import UNSET
from chroma_nb.client.verb import Async, Steps, Sync, ask, verb
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.names import scope_name
from chroma_nb.results import CollectionInfo, DatabaseInfo
from chroma_nb.uncopied import Uncopied

_LISTED = 50


class ClientVerbs(SharedClientVerbs):
    """The verbs of a client; made by the factories of `chroma_nb`, never by hand."""

    @verb
    def get_version(self) -> Steps[str]:
        """Return the version of the backend."""
        return (yield from ask(ops.Version()))

    @verb
    def reset(self) -> Steps[bool]:
        """Delete everything: all tenants, databases, collections. There is no way back.

        Raises
        ------
        AuthorizationError
            The client was not made with ``allow_reset=True``.
        """
        return (yield from self._reset())

    @verb
    def create_collection(
        self,
        name: str,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Callable[[list[str]], Any] | None = UNSET,
        *,
        configuration: Mapping[str, Any] | None = None,
        get_or_create: bool = False,
    ) -> Steps[Any]:
        """Make a collection.

        Parameters
        ----------
        name : str
            3 to 63 letters, digits, dots, dashes and underscores, with a lower-case letter or a digit at both ends.
        metadata : dict, optional
            Yours, and ``hnsw:*`` parameters: ``{"hnsw:space": "cosine"}``; ``"l2"`` (squared) is the default.
        embedding_function : callable, optional
            Texts to an (n, d) array. By default MiniLM (`chroma_nb.embedding.DefaultEmbeddingFunction`); None for none.
        configuration : dict, optional
            The same parameters in Chroma's newer form: ``{"hnsw": {"space": "cosine", "ef_search": 200}}``.
        get_or_create : bool
            Return the collection of that name if there is one, unchanged.

        Raises
        ------
        UniqueConstraintError
            The name is taken.

        Examples
        --------
        >>> import chroma_nb
        >>> client = chroma_nb.EphemeralClient()
        >>> client.create_collection("doc-create", {"hnsw:space": "cosine"})
        Collection(name='doc-create', space='cosine')
        >>> client.delete_collection("doc-create")
        """
        return (yield from self._create(name, metadata, configuration, embedding_function, get_or_create=get_or_create))

    @verb
    def get_or_create_collection(
        self,
        name: str,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Callable[[list[str]], Any] | None = UNSET,
        *,
        configuration: Mapping[str, Any] | None = None,
    ) -> Steps[Any]:
        """Return the collection of that name, unchanged, or make it as `create_collection` does: safe to run again."""
        return (yield from self._create(name, metadata, configuration, embedding_function, get_or_create=True))

    @verb
    def get_collection(self, name: str, embedding_function: Callable[[list[str]], Any] | None = UNSET) -> Steps[Any]:
        """Return a collection that exists.

        Parameters
        ----------
        embedding_function : callable, optional
            The one the collection was made with. Not needed for those that come with this package and load no model of
            the user's choice (the default, and hashing).

        Raises
        ------
        NotFoundError
            There is none of that name.
        EmbeddingFunctionConflictError
            The collection was made with another function.
        """
        return (yield from self._get_collection(name, embedding_function))

    def __repr__(self) -> str:
        """Return place, tenant and database."""
        return f"{type(self).__name__}({self._place!r}, tenant={self.tenant!r}, database={self.database!r})"


class Client(ClientVerbs, Sync):
    """A client: where collections are made and found. Use it in a ``with`` block, or `close` it, to let go of the store."""

    _collection_type = Collection

    def close(self) -> None:
        """Let go of the store; safe to call twice. Data is saved by each call, not by this one."""
        self._close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def _repr_html_(self) -> str:
        try:
            infos: list[CollectionInfo] = self._execute(ops.ListCollections(self.tenant, self.database, _LISTED + 1))
        except ChromaError as error:  # closed, or out of reach: still worth showing
            return str(html.card(type(self).__name__, str(error)))
        rows = [[info.name, f"{info.count:,}", info.dimension or "-", info.configuration.space] for info in infos[:_LISTED]]
        body = html.table(rows, ["collection", "records", "dimension", "space"]) if rows else "no collections yet"
        more = [html.element("div", "... and more")] if len(infos) > _LISTED else []
        return str(html.card(type(self).__name__, f"{self._place} · {self.tenant} / {self.database}", body, *more))


class AsyncClient(ClientVerbs, Async):
    """`Client` whose verbs are awaited."""

    _collection_type = AsyncCollection

    async def close(self) -> None:
        """Let go of the backend; safe to call twice."""
        released = self._close()
        if inspect.isawaitable(released):
            await released

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()


class AdminVerbs(Uncopied):
    """The verbs of an admin client: tenants and databases."""

    _instead = "make one where it is needed: AdminClient(folder or url)"

    def __init__(self, execute: Callable[[ops.Op[Any]], Any], *, place: str, release: Callable[[], None] | None = None) -> None:
        self._execute = execute
        self._place = place
        self._release = release

    @verb
    def create_tenant(self, name: str) -> Steps[None]:
        """Make a tenant."""
        yield from ask(ops.CreateTenant(scope_name(name, "tenant")))

    @verb
    def get_tenant(self, name: str) -> Steps[dict[str, str]]:
        """Return ``{"name": ...}`` of a tenant that exists."""
        return {"name": (yield from ask(ops.GetTenant(scope_name(name, "tenant"))))}

    @verb
    def list_tenants(self) -> Steps[list[str]]:
        """Return the names of all tenants."""
        return (yield from ask(ops.ListTenants()))

    @verb
    def create_database(self, name: str, tenant: str = "default_tenant") -> Steps[None]:
        """Make a database in a tenant."""
        yield from ask(ops.CreateDatabase(scope_name(tenant, "tenant"), scope_name(name, "database")))

    @verb
    def get_database(self, name: str, tenant: str = "default_tenant") -> Steps[dict[str, Any]]:
        """Return ``{"id": ..., "name": ..., "tenant": ...}`` of a database that exists."""
        return _database((yield from ask(ops.GetDatabase(scope_name(tenant, "tenant"), scope_name(name, "database")))))

    @verb
    def list_databases(
        self, limit: int | None = None, offset: int | None = None, tenant: str = "default_tenant"
    ) -> Steps[list[dict[str, Any]]]:
        """Return the databases of a tenant in the order they were made."""
        op = ops.ListDatabases(
            scope_name(tenant, "tenant"), arguments.optional_number(limit, "limit"), arguments.optional_number(offset, "offset") or 0
        )
        return [_database(info) for info in (yield from ask(op))]

    @verb
    def delete_database(self, name: str, tenant: str = "default_tenant") -> Steps[None]:
        """Delete a database with all its collections. There is no way back."""
        op = ops.DeleteDatabase(scope_name(tenant, "tenant"), scope_name(name, "database"))
        if (op.tenant, op.name) == ("default_tenant", "default_database"):
            raise InvalidArgumentError("database 'default_database': every store has it; delete its collections instead")
        yield from ask(op)

    def __repr__(self) -> str:
        """Return the place."""
        return f"AdminClient({self._place!r})"


class Admin(AdminVerbs, Sync):
    """Makes, lists and deletes tenants and databases of a store."""

    def close(self) -> None:
        """Let go of the store; safe to call twice."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()


def _database(info: DatabaseInfo) -> dict[str, Any]:
    return {"id": uuid.UUID(info.id), "name": info.name, "tenant": info.tenant}
