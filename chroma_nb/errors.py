"""Every error chroma_nb raises on purpose.

::

    ChromaError                        anything below; `status` is its HTTP status, `code` its wire name
    ├── InvalidArgumentError           400  the caller's value is wrong; nothing was written (a ValueError)
    │   ├── InvalidTypeError           400  ... because of its type (also a TypeError)
    │   ├── InvalidDimensionError      400  vectors of another length than the collection's
    │   ├── DuplicateIDError           400  the same id twice in one call
    │   ├── InvalidUUIDError           400  a collection's id that is no UUID
    │   ├── BatchSizeExceededError     413  more rows than one call may carry
    │   └── EmbeddingFunctionConflictError  400  not the function the collection was made with
    ├── NotFoundError                  404  no such tenant, database, collection (a LookupError)
    ├── UniqueConstraintError          409  the name is taken
    ├── AuthorizationError             403  not allowed here (reset without allow_reset)
    ├── BulkUpsertError                500  bulk_upsert stopped; says how far it came (`committed`)
    ├── EmbeddingError                 500  an embedding function failed or returned nonsense
    ├── MissingExtraError              501  an optional package is not installed (an ImportError)
    ├── NotOfferedError                501  the server has no such operation (a NotImplementedError)
    ├── ServerUnreachableError         503  no server there, or the connection broke (a ConnectionError)
    │   └── ServerTimeoutError         504  it did not answer in time (a TimeoutError)
    ├── ServerReplyError               502  what answered is no Chroma server, or a proxy in front of it
    ├── TimeLimitError                 504  it took longer than one request may (a TimeoutError)
    ├── AbandonedError                 503  whoever asked for it went away meanwhile
    └── StoreError                     500  the store could not do it
        ├── ClosedError                500  the client was closed
        ├── DatabaseBusyError          503  another process holds the write lock for too long
        ├── DatabaseCorruptedError     500  the records file is damaged or missing
        ├── ReadOnlyError              403  the folder cannot be written
        └── StorageFullError           507  the disk is full

Names that Chroma has too mean the same thing here, so that code written for Chroma catches what it used to catch.
A message says where, what was found, what was expected and what to do about it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ChromaError(Exception):
    """Base of all errors of this package."""

    status = 500
    code = "ChromaError"
    trace_id: str | None = None
    """What a server called the incident, for its log."""

    def __str__(self) -> str:
        """Return the message itself (a LookupError would otherwise print its repr)."""
        return str(self.args[0]) if self.args else ""


class InvalidArgumentError(ChromaError, ValueError):
    """The caller's value is wrong; nothing was written."""

    status = 400
    code = "InvalidArgumentError"


class InvalidTypeError(InvalidArgumentError, TypeError):
    """The caller's value has the wrong type; nothing was written."""


class InvalidDimensionError(InvalidArgumentError):
    """Vectors whose length differs from the collection's dimension."""

    code = "InvalidDimension"


class DuplicateIDError(InvalidArgumentError):
    """The same id occurs twice in one call."""

    code = "DuplicateID"


class InvalidUUIDError(InvalidArgumentError):
    """A collection's id that is no UUID."""

    code = "InvalidUUID"


class BatchSizeExceededError(InvalidArgumentError):
    """More rows than one call may carry."""

    status = 413
    code = "BatchSizeExceededError"


class EmbeddingFunctionConflictError(InvalidArgumentError):
    """The collection was made with another embedding function."""


class NotFoundError(ChromaError, LookupError):
    """There is no tenant, database or collection of that name."""

    status = 404
    code = "NotFoundError"


class UniqueConstraintError(ChromaError, ValueError):
    """The name is taken."""

    status = 409
    code = "UniqueConstraintError"


class AuthorizationError(ChromaError, PermissionError):
    """The operation is switched off or not permitted."""

    status = 403
    code = "AuthorizationError"


class BulkUpsertError(ChromaError, RuntimeError):
    """``bulk_upsert`` stopped on the way; the cause is ``__cause__``.

    Parameters
    ----------
    committed
        Records that are stored for good: the first so many of those that were given.
    """

    committed = 0

    @classmethod
    def after(cls, committed: int, ids: Sequence[str], cause: BaseException) -> BulkUpsertError:
        """Make the error for a call whose first `committed` of `ids` are stored."""
        last = f", the last of them {ids[committed - 1][:60]!r}" if committed else ""
        error = cls(
            f"bulk_upsert stopped after {committed:,} of {len(ids):,} records, which are stored{last}."
            f" Repeat the call with resume_from={committed} to go on. Cause: {cause}"
        )
        error.committed = committed
        return error


class EmbeddingError(ChromaError, RuntimeError):
    """An embedding function failed, or did not return one finite vector per text.

    Parameters
    ----------
    raised
        What the function itself raised; None when it returned nonsense, or no model could be loaded.
    """

    raised: Exception | None = None


class MissingExtraError(ChromaError, ImportError):
    """A feature needs a package that is not installed; the message has the pip command."""

    status = 501


class NotOfferedError(ChromaError, NotImplementedError):
    """The server that was asked has no such operation."""

    status = 501
    code = "Unimplemented"


class ServerUnreachableError(ChromaError, ConnectionError):
    """No server answers at the address, or the connection broke.

    Parameters
    ----------
    sent
        Whether the request may have reached the server: a write may then have happened.
    """

    status = 503
    code = "ServerUnreachable"
    sent = False


class ServerTimeoutError(ServerUnreachableError, TimeoutError):
    """The server did not answer in time; a write may have happened all the same."""

    status = 504
    sent = True


class ServerReplyError(ChromaError, RuntimeError):
    """What answered does not speak Chroma's API: another program, a login page, a proxy."""

    status = 502
    code = "ServerReply"


class TimeLimitError(ChromaError, TimeoutError):
    """The operation took longer than its time limit; a write was undone."""

    status = 504
    code = "TimeLimit"


class AbandonedError(ChromaError):
    """Whoever asked for the operation has gone; a write was undone."""

    status = 503
    code = "Abandoned"


class StoreError(ChromaError, RuntimeError):
    """The store could not carry out the operation; what was committed before is intact."""

    code = "InternalError"


class ClosedError(StoreError):
    """The client or its store was closed."""


class DatabaseBusyError(StoreError, TimeoutError):
    """Another process held the write lock longer than the busy timeout."""

    status = 503


class DatabaseCorruptedError(StoreError):
    """The records file is damaged, missing, or not one of ours."""


class ReadOnlyError(StoreError, PermissionError):
    """The store was opened for reading only."""

    status = 403


class StorageFullError(StoreError, OSError):
    """The disk is full; the call was undone."""

    status = 507


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` when a known word is close to `word`, else nothing.

    Examples
    --------
    >>> did_you_mean("$gtt", ["$gt", "$in"])
    " Did you mean '$gt'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
