"""Embeddings on their way into a layout: read once from the backend, as often as needed from here.

Must not live here: where they come from, what is made of them. Called by `chroma_nb.client.layouts`.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from chroma_nb.errors import StorageFullError, StoreError
from chroma_nb.records import Vectors

_CHUNK = 20_000


def check_alike(part: NDArray[np.float32], others: NDArray[np.float32]) -> None:
    """Refuse embeddings that came later and are of another length.

    Raises
    ------
    StoreError
        They are.
    """
    if part.shape[1] != others.shape[1]:
        raise StoreError(
            f"embeddings of {part.shape[1]} numbers came after some of {others.shape[1]}: the collection was filled anew meanwhile,"
            " or its server is wrong; call again"
        )


class Spool:
    """A table of vectors that grows by parts: in memory, or `on_disk` in a file that has no name and ends with the object.

    Parameters
    ----------
    rows
        At most so many. How wide they are is known from the first part.

    Examples
    --------
    >>> with Spool(3, on_disk=True) as spool:
    ...     spool.add(np.float32([[1, 2], [3, 4]]))
    ...     spool.add(np.float32([[5, 6]]))
    ...     [chunk.shape for chunk in spool.chunks()]
    [(3, 2)]
    """

    def __init__(self, rows: int, *, on_disk: bool) -> None:
        self.on_disk = on_disk
        self._rows = 0 if on_disk else rows
        self._filled = 0
        self._table: Vectors = np.empty((0, 1), dtype=np.float32)
        self._file: IO[bytes] | None = tempfile.TemporaryFile(prefix="chroma_nb-") if on_disk else None  # noqa: SIM115 - closed by `close`

    def __len__(self) -> int:
        """Return the number of rows added."""
        return self._filled

    def add(self, part: NDArray[np.float32]) -> None:
        """Append rows.

        Raises
        ------
        StorageFullError
            The folder for temporary files is full.
        StoreError
            They are not as wide as those before.
        """
        if not self._filled:
            self._table = np.empty((self._rows, part.shape[1]), dtype=np.float32)
        check_alike(part, self._table)
        if self._file is None:
            self._table[self._filled : self._filled + len(part)] = part
        else:
            try:
                self._file.write(np.ascontiguousarray(part, dtype=np.float32).data)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise StorageFullError(
                    f"{tempfile.gettempdir()}: no room for a copy of the embeddings; free some, or set TMPDIR to another folder"
                ) from error
        self._filled += len(part)

    def whole(self) -> Vectors:
        """Return all rows of a table in memory."""
        return self._table[: self._filled]

    def chunks(self) -> Iterator[Vectors]:
        """Yield the rows from the first on: all at once from memory, a bounded number at a time from disk."""
        if self._file is None:
            yield self.whole()
            return
        self._file.seek(0)
        while len(data := self._file.read(_CHUNK * self._table.shape[1] * 4)):
            yield np.frombuffer(data, dtype=np.float32).reshape(-1, self._table.shape[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
