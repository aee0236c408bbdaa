"""A batch of records as columns: the one shape data has from the verb to the backend.

`Records.of` is the only place that checks shapes, types and lengths of what a caller wrote down; whoever holds a `Records`
may rely on them. Data frames become the same columns in `chroma_nb.frames`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chroma_nb.brief import WIDTH, inert_line, quoted, said, shown
from chroma_nb.errors import DuplicateIDError, InvalidArgumentError, InvalidTypeError
from chroma_nb.scalars import (
    INT_MAX,
    INT_MIN,
    Metadata,
    Value,
    check_text,
    check_unmasked,
    entries_of,
    is_absent,
    plain_text,
    sequence_of,
    value_of,
)

Vectors: TypeAlias = NDArray[np.float32]
MAX_DIMENSION = 65_536
_INFINITY = float("inf")
_NUMBERS = frozenset((float, int))
_REAL = (int, float, np.integer, np.floating)
_TEXTS = frozenset((str, bytes, np.str_, np.bytes_))
_SEQUENCES = frozenset((list, tuple))
_SIZED = _SEQUENCES | {np.ndarray}
RESERVED_KEYS = frozenset({"chroma:document"})
"""Metadata keys that Chroma keeps for itself."""
_MARKS = "$#"
"""First characters of operators and of Chroma's own fields: filters could not tell such keys from them."""

# A masked element among plain numbers becomes NaN, which is refused: numpy's word about it would only stand beside ours.
warnings.filterwarnings("ignore", "Warning: converting a masked element to nan", UserWarning, r"chroma_nb\.records")


@dataclass(frozen=True, eq=False)
class Records:
    """Columns of equal length n.

    Parameters
    ----------
    ids
        n distinct, non-empty texts.
    embeddings
        (n, d) float32, C-order, finite; or None when not given.
    documents, uris
        n texts or None each; or None when not given.
    metadatas
        n dicts of values or None each; or None when not given. In an update a key whose value is None is to be removed.
    embedded
        (n,) bool, in an update that changes the embeddings of some records only: which; `embeddings` then has a row for
        each of these. None when all of them, or none, have an embedding.
    """

    ids: list[str]
    embeddings: Vectors | None = None
    documents: list[str | None] | None = None
    metadatas: Sequence[Mapping[str, Value | None] | None] | None = None
    uris: list[str | None] | None = None
    embedded: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.ids)

    def slice(self, start: int, stop: int) -> Records:
        """Return records `start` to `stop` (exclusive), sharing memory."""
        part = slice(start, stop)
        if self.embedded is not None and self.embeddings is not None:
            before, inside = int(self.embedded[:start].sum()), int(self.embedded[part].sum())
            return replace(
                replace(self, embeddings=None, embedded=None).slice(start, stop),
                embeddings=self.embeddings[before : before + inside],
                embedded=self.embedded[part],
            )
        return Records(
            self.ids[part],
            None if self.embeddings is None else self.embeddings[part],
            None if self.documents is None else self.documents[part],
            None if self.metadatas is None else self.metadatas[part],
            None if self.uris is None else self.uris[part],
        )

    @classmethod
    def of(
        cls,
        ids: object,
        embeddings: object = None,
        documents: object = None,
        metadatas: object = None,
        uris: object = None,
        *,
        removals: bool = False,
    ) -> Records:
        """Parse what a caller passed; a single record may be given without lists around it.

        Parameters
        ----------
        ids : str or sequence of str
        embeddings : array-like (n, d) or, for one record, (d,)
        documents, uris : str or sequence of str or None
        metadatas : dict or sequence of dict or None
        removals : keep None values of metadata keys (an update removes such keys)

        Raises
        ------
        InvalidArgumentError
            Anything wrong with any value; the message says where.

        Examples
        --------
        >>> records = Records.of("a", [1, 2], "text", {"year": 2024})
        >>> records.ids, records.embeddings.shape, records.metadatas
        (['a'], (1, 2), [{'year': 2024}])
        """
        names = parse_ids(ids)
        batch = cls(
            names,
            None if embeddings is None else parse_vectors(embeddings, "embeddings"),
            None if documents is None else parse_texts(documents, "documents"),
            None if metadatas is None else parse_metadatas(metadatas, removals=removals),
            None if uris is None else parse_texts(uris, "uris"),
        )
        batch.check_lengths()
        return batch

    def check_lengths(self) -> None:
        """Refuse columns of unequal lengths."""
        columns = {
            "embeddings": self.embeddings if self.embedded is None else self.embedded,
            "documents": self.documents,
            "metadatas": self.metadatas,
            "uris": self.uris,
        }
        wrong = {name: len(column) for name, column in columns.items() if column is not None and len(column) != len(self.ids)}
        if wrong:
            found = ", ".join(f"{name}: {length}" for name, length in {"ids": len(self.ids), **wrong}.items())
            raise InvalidArgumentError(f"Unequal lengths for fields: {found}; every field needs one entry per id")


def parse_ids(ids: object, place: str = "ids", *, unique: bool = True) -> list[str]:
    """Return `ids` as a list of texts.

    Raises
    ------
    InvalidTypeError, InvalidArgumentError
        Not texts, empty, or with a lone surrogate.
    DuplicateIDError
        An id occurs twice and `unique` is set.
    """
    names = [ids] if isinstance(ids, str) else sequence_of(ids, place, "str or a list of str")
    if not names:
        raise InvalidArgumentError(f"{place}: expected at least one id, got an empty list")
    for i, name in enumerate(names):
        if type(name) is not str:
            if not isinstance(name, str):
                raise InvalidTypeError(f"{place}[{i}]: expected a str, got {shown(name)}; convert with str()")
            name = names[i] = str.__str__(name)  # noqa: PLW2901 - from here on it is plain; str() of an enum's member would be its name
        if not name:
            raise InvalidArgumentError(f"{place}[{i}]: an id must have at least one character")
        check_text(name, f"{place}[{i}]")
    if unique and len(set(names)) != len(names):
        raise DuplicateIDError(_duplicates(names, place))
    return names


def parse_vectors(vectors: object, place: str) -> Vectors:
    """Return `vectors` as (n, d) float32; one flat vector counts as n = 1.

    Raises
    ------
    InvalidTypeError, InvalidArgumentError
        Not numbers, ragged, empty, masked, not finite in float32, or of more than 65,536 dimensions.
    """
    array = _numeric(vectors, place)
    if array.ndim == 1 and array.size:
        array = array[None, :]
    if array.ndim != 2 or not array.size:
        raise InvalidArgumentError(f"{place}: expected a non-empty list of vectors, shape (n, d), got shape {array.shape}")
    if array.shape[1] > MAX_DIMENSION:
        raise InvalidArgumentError(f"{place}: {array.shape[1]} dimensions; at most {MAX_DIMENSION} are supported")
    with np.errstate(over="ignore", invalid="ignore"):
        result: Vectors = np.ascontiguousarray(array, dtype=np.float32)
    finite = np.isfinite(result)
    if not finite.all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        raise InvalidArgumentError(f"{place}[{row}][{column}]: {array[row, column]!r} is not a finite float32; drop or repair such vectors")
    return result


def _numeric(vectors: object, place: str) -> NDArray[Any]:
    array = numbers_of(vectors, place)
    if array.dtype.kind not in "iuf":
        raise InvalidTypeError(f"{place}: expected vectors of float or int numbers, got {_element(array)}")
    return array


def numbers_of(vectors: object, place: str) -> NDArray[Any]:
    """Return an array of what looks like vectors: an array, a tensor, or a sequence of either or of sequences; never one of texts.

    Whether it holds numbers, and how many, is for the caller to see.

    Raises
    ------
    InvalidTypeError, InvalidArgumentError
        It is none, its parts differ in length, something is masked, or its own code failed.
    """
    try:
        if not isinstance(vectors, np.ndarray) and hasattr(vectors, "__array__"):
            vectors = np.asarray(_without_torch(vectors))
        if isinstance(vectors, np.ndarray) and vectors.dtype != object:
            check_unmasked(vectors, place)
            return np.asarray(vectors)
        rows = sequence_of(vectors, place, "a list of vectors")
        if not set(map(type, rows)) <= _NUMBERS:
            rows = _plain_rows(rows, place)
        array = np.asarray(rows)
        plain = array.dtype != object or not all(isinstance(each, _REAL) for each in array.flat)
        return array if plain else np.asarray(array.tolist())
    except InvalidArgumentError:
        raise
    except Exception as error:  # also whatever the objects raise that a caller passes
        raise InvalidTypeError(f"{place}: expected a list of vectors of numbers, got {shown(vectors)} ({said(error)})") from error


def _without_torch(value: Any) -> Any:
    """Return a tensor as an array (numpy reads neither bfloat16 nor tensors with gradients), anything else as it is."""
    return value.detach().cpu().float().numpy() if hasattr(value, "detach") and hasattr(value, "cpu") else value


def _plain_rows(rows: list[Any], place: str) -> list[Any]:
    """Return rows that numpy reads, all of one length: no tensors, no texts (an array of them takes the longest one's room for each)."""
    kinds = set(map(type, rows))
    if not kinds <= _SIZED:
        rows = [_plain_row(row, place, i) for i, row in enumerate(rows)]
        kinds = set(map(type, rows))
    lengths = set(map(len, rows)) if kinds <= _SIZED else {len(row) for row in rows if hasattr(row, "__len__")}
    if len(lengths) > 1:
        found = sorted(lengths)[:10]
        raise InvalidArgumentError(f"{place}: inconsistent dimensions {found} in one call; every vector needs the same length")
    if kinds <= _SEQUENCES and 0 not in lengths and not _TEXTS.isdisjoint(map(type, map(itemgetter(0), rows))):
        i = next(i for i, row in enumerate(rows) if type(row[0]) in _TEXTS)
        raise InvalidTypeError(f"{place}[{i}]: expected a vector of float or int numbers, got {shown(rows[i][0])}; texts are not numbers")
    return rows


def _plain_row(row: Any, place: str, i: int) -> Any:
    if isinstance(row, (str, bytes)):
        raise InvalidTypeError(f"{place}[{i}]: expected a vector of float or int numbers, got {shown(row)}; texts are not numbers")
    row = _without_torch(row)
    if isinstance(row, np.ndarray):
        check_unmasked(row, f"{place}[{i}]")
        return np.asarray(row) if row.ndim else row.item()
    return row


def _element(array: NDArray[Any]) -> str:
    if array.dtype == object and array.size:
        odd = next((each for each in array.flat if isinstance(each, bool) or not isinstance(each, (int, float))), array.flat[0])
        return f"values of type {shown(odd)}"
    kinds = {"b": "bools", "U": "texts", "S": "bytes", "c": "complex numbers"}
    return kinds.get(array.dtype.kind, f"values of type {str(array.dtype)[:WIDTH]}")


def parse_texts(texts: object, place: str) -> list[str | None]:
    """Return `texts` as a list of texts, None where one is absent."""
    items = [texts] if isinstance(texts, str) else sequence_of(texts, place, "str or a list of str")
    for i, text in enumerate(items):
        if type(text) is str:
            if not text.isascii():
                check_text(text, f"{place}[{i}]")
        elif isinstance(text, str):
            items[i] = str.__str__(text)
            check_text(items[i], f"{place}[{i}]")
        elif is_absent(text):
            items[i] = None
        else:
            check_unmasked(text, f"{place}[{i}]")
            raise InvalidTypeError(f"{place}[{i}]: expected a str, got {shown(text)}")
    return items


def parse_metadatas(metadatas: object, *, removals: bool = False, place: str = "metadatas") -> list[dict[str, Value | None] | None]:
    """Return one dict of values per record, None where a record has no metadata.

    A key whose value is absent (None, NaN, NaT) is left out; with `removals` a None value is kept as the mark "remove this key".
    """
    items = [metadatas] if isinstance(metadatas, Mapping) else sequence_of(metadatas, place, "a dict or a list of dicts")
    return [_metadata(item, f"{place}[{i}]", removals=removals) for i, item in enumerate(items)]


def _metadata(metadata: object, place: str, *, removals: bool) -> dict[str, Value | None] | None:
    if metadata is None:
        return None
    if type(metadata) is not dict:
        metadata = _plain_dict(metadata, place)
    if not metadata:
        raise InvalidArgumentError(f"{place}: expected a non-empty dict; use None for a record without metadata")
    result: dict[str, Value | None] = {}
    for key, value in metadata.items():
        if type(key) is not str:
            return _metadata(_plain_dict(metadata, place), place, removals=removals)
        if not key or key[0] in _MARKS or key in RESERVED_KEYS or not key.isascii():
            check_key(key, place)
        kind = type(value)
        if (  # the common cases, without a call per value
            (kind is str and value.isascii())
            or kind is bool
            or (kind is int and INT_MIN <= value <= INT_MAX)
            or (kind is float and -_INFINITY < value < _INFINITY)
        ):
            result[key] = value
        elif not is_absent(value):
            result[key] = value_of(value, f"{place}[{key[:60]!r}]")
        elif removals and value is None:
            result[key] = None
    return result or None


def _plain_dict(metadata: object, place: str) -> dict[str, Any]:
    """Return metadata of any kind of mapping, with keys of any kind of str, as a plain dict whose keys are plain texts."""
    if not isinstance(metadata, Mapping):
        raise InvalidTypeError(f"{place}: expected a dict or None, got {shown(metadata)}")
    result: dict[str, Any] = {}
    for key, value in entries_of(metadata, place):
        name = plain_text(key, f"{place}: metadata keys")
        if name in result:
            raise InvalidArgumentError(f"{place}: the key {quoted(name)} occurs twice, in two subclasses of str; drop one")
        result[name] = value
    return result


def check_key(key: object, place: str) -> str:
    """Return a metadata key as plain text; refuse one that is not usable."""
    key = plain_text(key, f"{place}: metadata keys")
    if not key:
        raise InvalidArgumentError(f"{place}: a metadata key must have at least one character")
    if key[0] in _MARKS:
        raise InvalidArgumentError(f"{place}: the key {quoted(key)} starts like an operator of a filter ({key[0]}); rename it")
    if key in RESERVED_KEYS:
        raise InvalidArgumentError(f"{place}: the key {key!r} is reserved; choose another")
    check_text(key, f"{place}: key {quoted(key)}")
    return key


def collection_metadata(metadata: object, place: str = "metadata") -> Metadata | None:
    """Parse the metadata of a collection (None stays None)."""
    parsed = _metadata(metadata, place, removals=False)
    return None if parsed is None else {key: value for key, value in parsed.items() if value is not None}


def _duplicates(names: list[str], place: str) -> str:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    named = ", ".join(inert_line(name[:WIDTH]) for name in list(twice)[:5]) + (", ..." if len(twice) > 5 else "")
    return f"{place}: Expected IDs to be unique, found duplicates of: {named}"
