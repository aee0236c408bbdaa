"""The distinct texts and lists of a column, each with a code, so that a column keeps a small number per value.

Lives here: the table from code to text or list and back, which lists have an element, and the raw arrays in which a cache file keeps
them. Must not live here: positions of records, kinds, numbers. Called by `chroma_nb.engine.column` only.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chroma_nb.engine import packed
from chroma_nb.engine.encoding import thawed_list
from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.filters import Kind, kind_of
from chroma_nb.scalars import Scalar


class Distinct:
    """The distinct texts (and zone names) and lists of a column, each with a code; append-only, decoded from a dump when first needed.

    Parameters
    ----------
    dumped, tuples
        The arrays that `load` has checked, and the lists that were in them; none for an empty table.
    """

    def __init__(self, dumped: Mapping[str, NDArray[Any]] | None = None, tuples: list[tuple[Any, ...]] | None = None) -> None:
        self._lock = threading.Lock()
        self._dumped = dumped or {}
        self._decoded = False
        self.words: list[str] = []
        self.codes: dict[str, int] = {}
        self.tuples = tuples or []
        self.tuple_codes: dict[tuple[type, tuple[Any, ...]], int] = {}
        self._postings: dict[tuple[Kind, Any], array[int]] = {}
        self._posted = 0

    @classmethod
    def load(cls, dumped: Mapping[str, NDArray[Any]]) -> Distinct:
        """Return the table whose arrays `dump` wrote, maybe among others; they are only read, the texts decoded when first needed.

        Raises
        ------
        DatabaseCorruptedError
            They are no texts or no lists.
        """
        if "words" in dumped or "ends" in dumped:
            packed.check(dumped["words"], dumped["ends"], "surrogatepass")
        try:
            return cls(dumped, _lists(dumped))
        except (RecursionError, TypeError, ValueError) as error:
            raise DatabaseCorruptedError(f"lists in a cache: {error}; rebuild the cache") from error

    @property
    def size(self) -> int:
        """Number of texts."""
        return len(self.words) if self._decoded else len(self._dumped.get("ends", ()))

    def ready(self) -> Distinct:
        """Return self, decoded."""
        if not self._decoded:
            with self._lock:
                if not self._decoded:
                    self.words = _texts(self._dumped)
                    self.codes = {word: code for code, word in enumerate(self.words)}
                    self.tuple_codes = {(type(each[0]), each): code for code, each in enumerate(self.tuples)}
                    self._decoded = True
        return self

    def coded(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Return the codes of `words`, giving new ones to new words."""
        codes = self.codes
        fresh = [word for word in dict.fromkeys(words) if word not in codes]
        known = len(self.words)
        self.words.extend(fresh)
        codes.update(zip(fresh, range(known, known + len(fresh)), strict=True))
        return np.fromiter(map(codes.__getitem__, words), np.int32, len(words))

    def coded_lists(self, lists: Sequence[tuple[Any, ...]]) -> NDArray[np.int32]:
        """Return the codes of `lists`; ``(1,)``, ``(1.0,)`` and ``(True,)`` are three, ``(0.0,)`` and ``(-0.0,)`` are one."""
        keys = [(type(each[0]), each) for each in lists]
        for key in keys:
            if key not in self.tuple_codes:
                self.tuples.append(key[1])
                self.tuple_codes[key] = len(self.tuples) - 1
        return np.fromiter(map(self.tuple_codes.__getitem__, keys), np.int32, len(keys))

    def lists_with(self, element: Scalar) -> NDArray[np.int32]:
        """Return the codes of the lists that have an element equal to `element`; the index behind it catches up first."""
        with self._lock:
            end = len(self.tuples)
            for code in range(self._posted, end):
                each = self.tuples[code]
                kind = kind_of(each[0])
                for member in set(each):
                    self._postings.setdefault((kind, member), array("i")).append(code)
            self._posted = end
            found = self._postings.get((kind_of(element), element))
            return np.array([] if found is None else found, np.int32)

    def dump(self) -> dict[str, NDArray[Any]]:
        """Return raw arrays from which the table can be made again, by name; those that would be empty are left out."""
        words, lists = self.words[:], self.tuples[:]
        blobs = [word.encode("utf-8", "surrogatepass") for word in words]
        arrays: dict[str, NDArray[Any]] = {}
        if words:
            arrays["words"] = np.frombuffer(b"".join(blobs), np.uint8)
            arrays["ends"] = np.cumsum(np.fromiter(map(len, blobs), np.int64, len(blobs)))
        if lists:
            arrays["lists"] = np.frombuffer(json.dumps(lists).encode(), np.uint8)
        return arrays


def _texts(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    if "words" not in arrays:
        return []
    blob, ends = arrays["words"].tobytes(), arrays["ends"].tolist()
    return [blob[start:end].decode("utf-8", "surrogatepass") for start, end in zip([0, *ends], ends, strict=False)]


def _lists(arrays: Mapping[str, NDArray[Any]]) -> list[tuple[Any, ...]]:
    return [thawed_list(each) for each in json.loads(arrays["lists"].tobytes())] if "lists" in arrays else []
