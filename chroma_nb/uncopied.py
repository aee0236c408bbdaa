"""What holds a live store, a running server or a secret is neither copied nor pickled: half of it would be alive, or a token in a file.

Clients, collections, servers and widgets are such; what they answer with is plain data and may go anywhere.
"""

from __future__ import annotations

from typing import ClassVar, NoReturn, SupportsIndex

from chroma_nb.errors import InvalidTypeError


class Uncopied:
    """Refuses ``copy``, ``deepcopy`` and ``pickle`` (and so `multiprocessing`) with a message that says what to do instead."""

    _instead: ClassVar[str] = "make a new one where it is needed"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Refuse to be pickled."""
        self._refuse()

    def __copy__(self) -> NoReturn:
        """Refuse to be copied."""
        self._refuse()

    def __deepcopy__(self, memo: object, /) -> NoReturn:
        """Refuse to be copied."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        name = type(self).__name__
        raise InvalidTypeError(f"{name}: what lives in this process cannot be copied or pickled; {self._instead}")
