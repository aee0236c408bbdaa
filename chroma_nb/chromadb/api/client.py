"""Clients whose collections answer in Chroma's dicts. The bodies of the verbs are in `chroma_nb.client.steps`."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Self

from chroma_nb import dialect, embedding, ops
from chroma_nb.brief import shown
from chroma_nb.chromadb.api.models.AsyncCollection import AsyncCollection
from chroma_nb.chromadb.api.models.Collection import Collection
from chroma_nb.chromadb.errors import InvalidUUIDError, as_chroma
from chroma_nb.chromadb.version import CHROMA_VERSION
from chroma_nb.client.client import Admin
from chroma_nb.client.shared import SharedClientVerbs
from chroma_nb.client.steps import UNSET
from chroma_nb.client.verb import Async, Steps, Sync, ask, verb
from chroma_nb.dialect import Dialect
from chroma_nb.errors import EmbeddingFunctionConflictError, InvalidArgumentError, InvalidTypeError
from chroma_nb.results import CollectionInfo
from chroma_nb.scalars import plain_text, unwrapped
from chroma_nb.spaces import SPACES

if TYPE_CHECKING:
    from chroma_nb.chromadb.config import Settings

_PARAMETERS = ["self", "input"]


@dataclass(frozen=True)
class UserIdentity:
    """Who the client works as: a store in this process knows nobody."""

    user_id: str = ""
    tenant: str | None = None
    databases: list[str] = field(default_factory=list)
    attributes: dict[str, Any] | None = None


class ClientVerbs(SharedClientVerbs):
    """The verbs of a client; made by the factories of `chroma_nb.chromadb`, never by hand."""

    dialect: ClassVar[Dialect] = dialect.CHROMA

    def __init__(
        self,
        execute: Callable[[ops.Op[Any]], Any],
        *,
        settings: Settings,
        tenant: str,
        database: str,
        place: str,
        remote: bool = False,
    ) -> None:
        # Whether a server may be emptied is for the server to say.
        allow_reset = settings.allow_reset or remote
        super().__init__(self._translating(execute), tenant=tenant, database=database, place=place, allow_reset=allow_reset)
        self._settings = settings

    def _translating(self, execute: Callable[[ops.Op[Any]], Any]) -> Callable[[ops.Op[Any]], Any]:
        return _translating(execute)

    @verb
    def get_version(self) -> Steps[str]:
        """Return the version of Chroma whose API this is."""
        yield from ()
        return CHROMA_VERSION

    def get_settings(self) -> Settings:
        """Return the settings the client was made with."""
        return self._settings

    @verb
    def get_user_identity(self) -> Steps[UserIdentity]:
        """Return who the client works as."""
        yield from ()
        return UserIdentity(tenant=self.tenant, databases=[self.database])

    @verb
    def reset(self) -> Steps[bool]:
        """Delete everything: all tenants, databases, collections. There is no way back.

        Raises
        ------
        AuthorizationError
            The settings of the client do not say ``allow_reset=True``.
        """
        return (yield from self._reset())

    @verb
    def create_collection(
        self,
        name: str,
        schema: Any = None,
        configuration: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Any = UNSET,
        data_loader: Any = None,
        get_or_create: bool = False,  # noqa: FBT001, FBT002 - Chroma's signature
    ) -> Steps[Any]:
        """Make a collection.

        Parameters
        ----------
        name : str
            3 to 512 letters, digits, dots, dashes and underscores, with a letter or a digit at both ends.
        schema, data_loader
            Not supported.
        configuration : dict, optional
            ``{"hnsw": {"space": "cosine", "ef_search": 200}, "embedding_function": function}``.
        metadata : dict, optional
            Yours, and ``hnsw:*`` parameters.
        embedding_function : object with ``__call__(self, input)``, optional
            By default MiniLM; None for none. Its ``default_space()`` is the collection's, unless another is given.
        get_or_create : bool
            Return the collection of that name if there is one, unchanged.

        Raises
        ------
        UniqueConstraintError
            The name is taken (also an ``InternalError``).
        """
        _not_offered(schema=schema, data_loader=data_loader)
        function, settled = _settled(embedding_function, configuration)
        if function is not UNSET and not _names_space(metadata, settled):
            settled = _with_space_of(function, settled)
        made = yield from self._create(name, metadata, settled, function, get_or_create=get_or_create)
        return made

    @verb
    def get_or_create_collection(
        self,
        name: str,
        schema: Any = None,
        configuration: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Any = UNSET,
        data_loader: Any = None,
    ) -> Steps[Any]:
        """Return the collection of that name, unchanged, or make it as `create_collection` does."""
        chosen = (name, schema, configuration, metadata, embedding_function, data_loader)
        return (yield from ClientVerbs.create_collection(self, *chosen, get_or_create=True))

    @verb
    def get_collection(self, name: str, embedding_function: Any = UNSET, data_loader: Any = None) -> Steps[Any]:
        """Return a collection that exists; `embedding_function` is the one it was made with.

        Raises
        ------
        NotFoundError
            There is none of that name (also a ``ValueError``).
        EmbeddingFunctionConflictError
            It was made with another function (a ``ValueError``).
        """
        _not_offered(data_loader=data_loader)
        _check_signature(embedding_function)
        found = yield from self._get_collection(name, embedding_function)
        return found

    @verb
    def get_collection_by_id(self, id: uuid.UUID, embedding_function: Any = UNSET, data_loader: Any = None) -> Steps[Any]:  # noqa: A002
        """Return a collection that exists, by its id."""
        _not_offered(data_loader=data_loader)
        _check_signature(embedding_function)
        try:
            identifier = str(id if isinstance(id, uuid.UUID) else uuid.UUID(plain_text(id, "id")))
        except ValueError:
            raise InvalidUUIDError(f"id: expected a UUID, got {shown(id)}; collection.id is one") from None
        info = yield from ask(ops.GetCollectionById(identifier))
        found = self._made(info, self._function_of(info, embedding_function))
        return found

    @staticmethod
    def clear_system_cache() -> None:
        """Do nothing: stores are closed with their last client, so there is no cache to clear."""

    @staticmethod
    def _function_of(info: CollectionInfo, function: Any) -> Any:
        """Return the embedding function to use; in Chroma the default one means "none given" when the collection has another."""
        stored = info.configuration.embedding_function
        if isinstance(function, embedding.DefaultEmbeddingFunction) and embedding.conflict(stored, function) is not None:
            return embedding.restore(stored)
        return SharedClientVerbs._function_of(info, function)


class Client(ClientVerbs, Sync):
    """A client: where collections are made and found; made by the factories of `chroma_nb.chromadb`."""

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


class AsyncClient(ClientVerbs, Async):
    """`Client` whose verbs are awaited; made by ``await chromadb.AsyncHttpClient(...)``."""

    _collection_type = AsyncCollection

    def _translating(self, execute: Callable[[ops.Op[Any]], Any]) -> Callable[[ops.Op[Any]], Any]:
        async def translated(op: ops.Op[Any]) -> Any:
            with as_chroma():
                return await execute(op)

        return translated

    async def close(self) -> None:
        """Let go of the server; safe to call twice."""
        released = self._close()
        if inspect.isawaitable(released):
            await released

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()


class AdminClient(Admin):
    """Makes, lists and deletes tenants and databases of a store; made by `chroma_nb.chromadb.AdminClient`."""

    def __init__(self, execute: Callable[[ops.Op[Any]], Any], *, settings: Settings, place: str) -> None:
        super().__init__(_translating(execute), place=place)
        self._settings = settings


def _translating(execute: Callable[[ops.Op[Any]], Any]) -> Callable[[ops.Op[Any]], Any]:
    def translated(op: ops.Op[Any]) -> Any:
        with as_chroma():
            return execute(op)

    return translated


def _not_offered(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidArgumentError(f"{name}: not supported; leave it out. Graph parameters go into configuration or metadata")


def _check_signature(function: Any) -> None:
    """Refuse embedding functions that Chroma refuses: it calls ``__call__(self, input)`` by that name."""
    if function is None or function is UNSET:
        return
    try:
        found = list(inspect.signature(type(function).__call__).parameters)
    except (AttributeError, TypeError, ValueError):
        found = []
    if found != _PARAMETERS:
        raise InvalidArgumentError(
            f"embedding_function: Expected EmbeddingFunction.__call__ to have the parameters (self, input), got ({', '.join(found)});"
            " pass an instance of a class with __call__(self, input)"
        )


def _settled(function: Any, configuration: Mapping[str, Any] | None) -> tuple[Any, dict[str, Any]]:
    """Return the embedding function, which may come in two ways, and the configuration without it."""
    if configuration is not None and not isinstance(configuration, Mapping):
        raise InvalidTypeError(f"configuration: expected a dict such as {{'hnsw': {{...}}}}, got {type(configuration).__name__}")
    rest = dict(configuration or {})
    second = rest.get("embedding_function")
    if second is not None and not isinstance(second, Mapping):
        del rest["embedding_function"]
        first = None if function is UNSET or isinstance(function, embedding.DefaultEmbeddingFunction) else function
        if first is not None and embedding.conflict(embedding.identity(first), second) is not None:
            raise EmbeddingFunctionConflictError(
                "Multiple embedding functions provided: embedding_function and configuration['embedding_function']; give one of them"
            )
        function = second
    _check_signature(function)
    return function, rest


def _names_space(metadata: object, configuration: Mapping[str, Any]) -> bool:
    if isinstance(metadata, Mapping) and "hnsw:space" in metadata:
        return True
    sections = (configuration.get("hnsw"), configuration.get("spann"))
    return any(section is not None and (not isinstance(section, Mapping) or "space" in section) for section in sections)


def _with_space_of(function: Any, configuration: dict[str, Any]) -> dict[str, Any]:
    """Enter the space an embedding function was made for; the default one leaves it at "l2", as in Chroma."""
    chosen = getattr(function, "default_space", None)
    if isinstance(function, embedding.DefaultEmbeddingFunction) or not callable(chosen):
        return configuration
    space = unwrapped(chosen())
    if not isinstance(space, str) or space not in SPACES:
        return configuration
    section = "hnsw" if configuration.get("spann") is None else "spann"
    return {**configuration, section: {**(configuration.get(section) or {}), "space": space}}
