"""What both facades show alike: verbs whose replies need no shaping, and what a collection says of itself."""

from __future__ import annotations

import uuid
from typing import Any

from chroma_nb import ops
from chroma_nb.client.steps import ClientSteps, CollectionSteps
from chroma_nb.client.verb import Steps, ask, verb


class SharedClientVerbs(ClientSteps):
    """Verbs of a client that answer in plain values or collections."""

    @verb
    def heartbeat(self) -> Steps[int]:
        """Return the backend's clock in nanoseconds since 1970; proof that it answers."""
        return (yield from ask(ops.Heartbeat()))

    @verb
    def get_max_batch_size(self) -> Steps[int]:
        """Return the rows Chroma's own clients may send at once. Verbs of this package split by themselves; you never need it."""
        return (yield from ask(ops.MaxBatchSize()))

    @verb
    def delete_collection(self, name: str) -> Steps[None]:
        """Delete a collection with all its records. There is no way back."""
        yield from ask(ops.DeleteCollection(self.tenant, self.database, self._checked_name(name, new=False)))

    @verb
    def list_collections(self, limit: int | None = None, offset: int | None = None) -> Steps[list[Any]]:
        """Return the database's collections in the order they were made."""
        return (yield from self._list_collections(limit, offset))

    @verb
    def count_collections(self) -> Steps[int]:
        """Return how many collections the database has."""
        return (yield from ask(ops.CountCollections(self.tenant, self.database)))

    @verb
    def set_tenant(self, tenant: str, database: str = "default_database") -> Steps[None]:
        """Work in another tenant and database from now on."""
        yield from self._set_scope(tenant, database)

    @verb
    def set_database(self, database: str) -> Steps[None]:
        """Work in another database of the same tenant from now on."""
        yield from self._set_scope(self.tenant, database)


class CollectionIdentity(CollectionSteps):
    """Which collection this is."""

    @property
    def id(self) -> uuid.UUID:
        """The collection's id, which survives renaming."""
        return uuid.UUID(self._info.id)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._info.name

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The collection's own metadata, None for none."""
        return None if self._info.metadata is None else dict(self._info.metadata)

    @property
    def tenant(self) -> str:
        """The tenant the collection belongs to."""
        return self._info.tenant

    @property
    def database(self) -> str:
        """The database the collection belongs to."""
        return self._info.database
