"""Chroma's error names, and errors that are at once what each generation of Chroma raised.

Code written for Chroma catches ``ValueError``, ``InvalidCollectionException`` or ``NotFoundError`` for the same missing
collection, depending on its age. The errors of this package carry the names that did not change; the few situations whose
class changed are translated here, by `as_chroma`, on the way out of the backend. Names of which nothing here is an instance
exist so that old ``except`` clauses still import. Messages are written elsewhere, never here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from chroma_nb import errors
from chroma_nb.errors import (
    AuthorizationError,
    BatchSizeExceededError,
    ChromaError,
    DuplicateIDError,
    InvalidArgumentError,
    InvalidUUIDError,
)

__all__ = [
    "AuthorizationError",
    "BatchSizeExceededError",
    "ChromaAuthError",
    "ChromaError",
    "DuplicateIDError",
    "IDAlreadyExistsError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidCollectionException",
    "InvalidDimensionException",
    "InvalidHTTPVersion",
    "InvalidUUIDError",
    "NotFoundError",
    "QuotaError",
    "RateLimitError",
    "UniqueConstraintError",
    "VersionMismatchError",
    "as_chroma",
]

InvalidDimensionException = errors.InvalidDimensionError
InternalError = errors.StoreError


class NotFoundError(errors.NotFoundError, ValueError):
    """No such tenant, database or collection: a ``ValueError`` in Chroma 0.5, a ``NotFoundError`` from 1.0 on."""


InvalidCollectionException = NotFoundError
"""What Chroma 0.5 and 0.6 called the use of a collection that is gone."""


class UniqueConstraintError(errors.UniqueConstraintError, errors.StoreError):
    """The name is taken: a ``UniqueConstraintError`` up to Chroma 0.6, an ``InternalError`` in process from 1.0 on."""


class ChromaAuthError(AuthorizationError):
    """Never raised: a store in this process asks nobody to log in."""


class IDAlreadyExistsError(InvalidArgumentError):
    """Never raised: `add` leaves known ids as they are."""


class InvalidHTTPVersion(ChromaError):  # noqa: N818 - Chroma's name
    """Never raised: there is no HTTP between this client and its store."""


class VersionMismatchError(ChromaError):
    """Never raised: client and store are one package."""


class RateLimitError(ChromaError):
    """Never raised: a store in this process has no rate limit."""


class QuotaError(ChromaError):
    """Never raised: a store in this process has no quota."""


@contextlib.contextmanager
def as_chroma() -> Iterator[None]:
    """Let errors out under the classes that code written for Chroma expects.

    Examples
    --------
    >>> try:
    ...     with as_chroma():
    ...         raise errors.NotFoundError("collection 'docs': there is none")
    ... except ValueError as error:
    ...     print(type(error).__name__, error)
    NotFoundError collection 'docs': there is none
    """
    try:
        yield
    except errors.NotFoundError as error:
        raise NotFoundError(str(error)).with_traceback(error.__traceback__) from error.__cause__
    except errors.UniqueConstraintError as error:
        raise UniqueConstraintError(str(error)).with_traceback(error.__traceback__) from error.__cause__
