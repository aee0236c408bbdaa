"""Arguments of verbs, parsed: filters, includes, counts. Each function returns what an operation wants or says what is wrong."""

from __future__ import annotations

from typing import Any

from chroma_nb import filters, frames
from chroma_nb.brief import quoted, shown
from chroma_nb.dialect import Dialect
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.filters import Filter
from chroma_nb.records import Records, parse_ids
from chroma_nb.results import Include
from chroma_nb.scalars import INT_MAX, check_unmasked, plain_text, sequence_of, unwrapped

READABLE = ("documents", "embeddings", "metadatas", "uris")


def parse_filter(where: object, where_document: object, dialect: Dialect) -> Filter:
    """Parse ``where`` and ``where_document`` into one filter."""
    return filters.both(
        filters.parse_where(where, dialect.filters, "where"),
        filters.parse_where_document(where_document, dialect.filters, "where_document"),
    )


def parse_include(include: object, *, distances: bool) -> Include:
    """Parse ``include``: any of documents, embeddings, metadatas, uris, and in queries distances."""
    known = (*READABLE, "distances") if distances else READABLE
    chosen = [plain_text(name, f"include[{i}]") for i, name in enumerate(sequence_of(include, "include", "a list such as ['documents']"))]
    for name in chosen:
        if name in known:
            continue
        if name == "distances":
            raise InvalidArgumentError("include: 'distances' belong to query; get and peek have none")
        if name == "data":
            raise InvalidArgumentError(
                "include: 'data' needs a data loader, which this collection has not; ask for 'uris' and load them yourself"
            )
        raise InvalidArgumentError(f"include: unknown field {quoted(name)}; expected any of {', '.join(known)}.{did_you_mean(name, known)}")
    return frozenset(chosen)


def whole_number(value: object, name: str, lowest: int) -> int:
    """Return `value` if it is an int of at least `lowest` (numpy's ints are welcome)."""
    plain: Any = unwrapped(value)
    if hasattr(type(plain), "item") and getattr(plain, "ndim", 1) == 0:  # an array or tensor of one number
        check_unmasked(plain, name)
        plain = plain.item()
    if isinstance(plain, bool) or not isinstance(plain, int):
        raise InvalidTypeError(f"{name}: expected an integer, got {shown(value)}")
    if plain < lowest:
        raise InvalidTypeError(f"{name}: expected at least {lowest}, got {shown(plain)}")
    if plain > INT_MAX:
        raise InvalidArgumentError(f"{name}: expected at most {INT_MAX} (2**63 - 1), got a number of {plain.bit_length()} bits")
    return plain


def optional_number(value: object, name: str, lowest: int = 0) -> int | None:
    """Return `value` as by `whole_number`, None for None."""
    return None if value is None else whole_number(value, name, lowest)


def chosen_ids(ids: object, dialect: Dialect, place: str = "ids") -> list[str] | None:
    """Parse the ids a reading call is limited to; None for no limit."""
    if ids is None:
        return None
    names = parse_ids(frames.plain(ids, place), place, unique=not dialect.repeated_ids)
    return list(dict.fromkeys(names))


def parse_records(ids: Any, fields: dict[str, Any], *, removals: bool) -> Records:
    """Parse what a writing verb was given: a data frame (alone), or columns."""
    if frames.is_frame(ids):
        extra = sorted(name for name, value in fields.items() if value is not None)
        if extra:
            raise InvalidArgumentError(
                f"{extra[0]}: a data frame brings all its columns; put {extra[0]} into the frame, or pass lists only"
            )
        return frames.records_of_frame(ids, removals=removals) if len(ids) else Records([])
    if ids is None:
        raise InvalidArgumentError("ids: required; pass a list of str, or a data frame whose index are the ids")
    plain = {name: frames.plain(value, name, removals=removals) for name, value in fields.items()}
    return Records.of(frames.plain(ids, "ids"), **plain, removals=removals)
