"""Chroma's `Settings`: the few keys that mean something for a store in this process, and any others, kept and ignored.

The factories read them; nothing else does. Neither the environment nor a ``.env`` file is read: a key such as
``allow_reset`` permits deleting everything, and belongs into the code that means it.
"""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.factories import DEFAULT_DATABASE, DEFAULT_TENANT

__all__ = ["DEFAULT_DATABASE", "DEFAULT_TENANT", "Settings"]

_REMOTE = ("fastapi", "rest")
_BEARER, _TOKEN = "authorization", "x-chroma-token"


class Settings(SimpleNamespace):
    """Settings of a client.

    Parameters
    ----------
    is_persistent
        Whether `Client` and `AdminClient` open the folder `persist_directory`, or the store in memory.
    persist_directory
        That folder; `PersistentClient` has its own argument for it.
    allow_reset
        Whether ``client.reset()`` may delete everything.
    anonymized_telemetry, others
        Accepted and ignored, as Chroma ignores keys it does not know; nothing is ever sent anywhere.

    Examples
    --------
    >>> settings = Settings(allow_reset=True, anonymized_telemetry=False)
    >>> settings.allow_reset, settings["is_persistent"]
    (True, False)
    """

    is_persistent: bool
    persist_directory: str
    allow_reset: bool

    def __init__(
        self,
        *,
        is_persistent: bool = False,
        persist_directory: str = "./chroma",
        allow_reset: bool = False,
        anonymized_telemetry: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(
            is_persistent=is_persistent,
            persist_directory=str(persist_directory),
            allow_reset=allow_reset,
            anonymized_telemetry=anonymized_telemetry,
            **others,
        )

    def __getitem__(self, key: str) -> Any:
        """Return the value of a key that is set."""
        return getattr(self, key)

    def require(self, key: str) -> Any:
        """Return the value of a key that must be there.

        Raises
        ------
        InvalidArgumentError
            It is not set, or None.
        """
        value = getattr(self, key, None)
        if value is None:
            raise InvalidArgumentError(f"settings: {key!r} is not set; pass Settings({key}=...)")
        return value


def typed(settings: object) -> Settings:
    """Return settings, refusing anything else.

    Raises
    ------
    InvalidTypeError
        They are of another type.
    """
    if not isinstance(settings, Settings):
        raise InvalidTypeError(f"settings: expected chromadb.config.Settings, got {type(settings).__name__}")
    return settings


def is_remote(settings: Settings) -> bool:
    """Tell whether settings ask for a server."""
    implementation = str(getattr(settings, "chroma_api_impl", "") or "")
    return any(word in implementation.lower() for word in _REMOTE) or bool(getattr(settings, "chroma_server_host", None))


def headers_of(settings: Settings) -> dict[str, str]:
    """Return the headers that settings ask to be sent: ``chroma_server_headers``, and what their auth provider makes of credentials.

    Raises
    ------
    InvalidArgumentError
        The provider is neither Chroma's for tokens nor its for basic authentication.
    """
    headers = dict(getattr(settings, "chroma_server_headers", None) or {})
    provider = str(getattr(settings, "chroma_client_auth_provider", None) or "").lower()
    if not provider:
        return headers
    secret = str(settings.require("chroma_client_auth_credentials"))
    if "basic" in provider:
        return {**headers, _BEARER: f"Basic {base64.b64encode(secret.encode()).decode('ascii')}"}
    if "token" not in provider:
        raise InvalidArgumentError(f"settings: unknown chroma_client_auth_provider {provider[:80]!r}; pass headers={{...}} instead")
    named = str(getattr(settings, "chroma_auth_token_transport_header", None) or _BEARER).lower().replace("_", "-")
    return {**headers, **({_TOKEN: secret} if named == _TOKEN else {_BEARER: f"Bearer {secret}"})}


def checked(settings: object) -> Settings:
    """Return settings that ask for a store in this process.

    Raises
    ------
    InvalidTypeError
        They are of another type.
    InvalidArgumentError
        They ask for a server.
    """
    settings = typed(settings)
    if is_remote(settings):
        raise InvalidArgumentError(
            "settings: they ask for a server, and this client works on a store in this process; drop those keys, or use HttpClient"
        )
    return settings
