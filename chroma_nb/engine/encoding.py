"""A record as the bytes SQLite keeps, and back, with checksums.

SQLite has no checksums of its own, so every row carries two: one of what identifies it (id, uri, metadata and the label of
its vector) and one of its document; every BLOB of vectors has one too. They are compared whenever a row is read for a caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, cast
from zlib import crc32

import numpy as np
import orjson

from chroma_nb.errors import DatabaseCorruptedError
from chroma_nb.records import Records
from chroma_nb.scalars import INT_MAX, INT_MIN, PLAIN, Instant, Value


@dataclass(frozen=True)
class Encoded:
    """The columns of a batch as they will be stored; made before the transaction begins, so that nothing in it can fail for their sake."""

    records: Records
    metadatas: list[bytes | None]
    documents: list[str | None]
    uris: list[str | None]
    crcs: list[int]
    document_crcs: list[int]


def encode(records: Records) -> Encoded:
    """Encode a batch whose metadata has no removals."""
    n = len(records)
    nothing: list[None] = [None] * n
    documents: list[str | None] = [*(nothing if records.documents is None else records.documents)]
    uris: list[str | None] = [*(nothing if records.uris is None else records.uris)]
    metadatas = [encode_metadata(metadata) for metadata in (nothing if records.metadatas is None else records.metadatas)]
    return Encoded(records, metadatas, documents, uris, head_crcs(records.ids, uris, metadatas), document_crcs(documents))


def encode_metadata(metadata: Mapping[str, Value | None] | None) -> bytes | None:
    """Write metadata as JSON; instants as ``{"ns": ..., "zone": ...}``. Nothing left to write is None."""
    if not metadata:
        return None
    if None in metadata.values():
        metadata = {key: value for key, value in metadata.items() if value is not None}
    return orjson.dumps(metadata) if metadata else None


def decode_metadatas(texts: Sequence[bytes | None]) -> list[dict[str, Value] | None]:
    """Read many metadata texts at once.

    Raises
    ------
    DatabaseCorruptedError
        One is not what `encode_metadata` writes.
    """
    present = [text for text in texts if text is not None]
    try:
        parsed = orjson.loads(b"[" + b",".join(present) + b"]")
        decoded = _checked(parsed, len(present))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatabaseCorruptedError(f"metadata in the records file is damaged ({error}); restore it from a backup") from error
    if len(present) == len(texts):
        return list(decoded)
    following = iter(decoded)
    return [None if text is None else next(following) for text in texts]


def _checked(parsed: list[Any], count: int) -> list[dict[str, Value]]:
    if set(map(type, parsed)) - {dict} or len(parsed) != count:
        raise ValueError("not one object per record")
    kinds = set(map(type, chain.from_iterable(map(dict.values, parsed))))
    if kinds & {list, dict}:
        parsed = [{key: _thaw(value) if type(value) in (list, dict) else value for key, value in each.items()} for each in parsed]
    if kinds - PLAIN - {list, dict} or (
        int in kinds and any(type(value) is int and not INT_MIN <= value <= INT_MAX for each in parsed for value in each.values())
    ):
        raise ValueError("a value of no kind that is stored")
    return parsed


def thawed_list(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return a list read from JSON as a value, if it is one: of texts, of 64-bit integers, of finite floats or of bools.

    Raises
    ------
    ValueError
        It is not.
    """
    kinds = set(map(type, values))
    if len(kinds) != 1 or not kinds <= PLAIN:
        raise ValueError("a list of no kind that is stored")
    if (int in kinds and not INT_MIN <= min(values) <= max(values) <= INT_MAX) or (float in kinds and not all(map(isfinite, values))):
        raise ValueError("a number of no kind that is stored")
    return tuple(values)


def _thaw(value: Any) -> Value:
    if isinstance(value, list):
        return thawed_list(value)
    ns, zone = value["ns"], value["zone"]
    if type(ns) is not int or not INT_MIN < ns <= INT_MAX or not isinstance(zone, (str, NoneType)):
        raise ValueError("an instant out of range")
    return Instant(ns, zone)


def head_crc(identifier: str, uri: str | None, metadata: bytes | None) -> int:
    """Checksum of a row but for its label and document."""
    crc = crc32(identifier.encode())
    if uri is not None:
        crc = crc32(uri.encode(), crc ^ 1)
    return crc if metadata is None else crc32(metadata, crc)


def row_crc(head: int, label: int) -> int:
    """Checksum of a row but for its document."""
    return crc32(label.to_bytes(8, "little"), head)


def head_crcs(ids: Sequence[str], uris: Sequence[str | None], metadatas: Sequence[bytes | None]) -> list[int]:
    """`head_crc` of many rows."""
    if uris.count(None) != len(uris) or None in metadatas:
        return [head_crc(*row) for row in zip(ids, uris, metadatas, strict=True)]
    return list(map(crc32, cast("Sequence[bytes]", metadatas), map(crc32, map(str.encode, ids))))


def row_crcs(heads: Sequence[int], labels: Sequence[int]) -> list[int]:
    """`row_crc` of many rows."""
    return list(map(crc32, np.array(labels, dtype="<i8").view("V8").tolist(), heads))


def are_sound(
    ids: Sequence[str], labels: Sequence[int], metadatas: Sequence[bytes | None], uris: Sequence[str | None], crcs: Sequence[int]
) -> bool:
    """Tell whether all of many rows are sound, quicker than `is_sound` for each."""
    try:
        return row_crcs(head_crcs(ids, uris, metadatas), labels) == list(crcs)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return False


def is_sound(identifier: str, label: int, metadata: bytes | None, uri: str | None, crc: int) -> bool:
    """Tell whether a row but for its document is what was stored."""
    try:
        return row_crc(head_crc(identifier, uri, metadata), label) == crc
    except (AttributeError, OverflowError, TypeError):  # damage can change a value's type, too
        return False


def is_sound_document(document: str | None, crc: int) -> bool:
    """Tell whether a row's document is what was stored."""
    return (document is None or isinstance(document, str)) and document_crc(document) == crc


def document_crc(document: str | None) -> int:
    """Checksum of a document; 0 for none."""
    return 0 if document is None else crc32(document.encode())


def document_crcs(documents: Sequence[str | None]) -> list[int]:
    """`document_crc` of many documents."""
    return [0 if document is None else crc32(document.encode()) for document in documents]


def are_sound_documents(documents: Sequence[str | None], crcs: Sequence[int]) -> bool:
    """Tell whether all of many documents are sound, quicker than `is_sound_document` for each."""
    try:
        return document_crcs(documents) == list(crcs)
    except AttributeError:
        return False
