"""The tree that a filter is parsed into: one class per kind of node, and how trees are joined and cut.

Must not live here: what a node means (`chroma_nb.filters.meaning`) and how it is read or written. Called by the parser, by whoever
walks a tree, and by the verbs to join ``where`` and ``where_document``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from chroma_nb.filters.operators import kind_of
from chroma_nb.scalars import Scalar


class _Leaf:
    """Equality of tests: ``1`` and ``True`` are equal to Python and different filters."""

    __slots__ = ()

    def _identity(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


@dataclass(frozen=True, slots=True, eq=False)
class Compare(_Leaf):
    """``{key: {op: value}}`` for ``$eq $ne $gt $gte $lt $lte``; `missing` is whether a record without `key` matches (``$ne``)."""

    key: str
    op: str
    value: Scalar
    missing: bool = False

    def _identity(self) -> tuple[object, ...]:
        return self.key, self.op, kind_of(self.value), self.value, self.missing


@dataclass(frozen=True, slots=True, eq=False)
class Member(_Leaf):
    """``{key: {op: [values]}}`` for ``$in $nin``; `values` are of one kind, `missing` as in `Compare` (``$nin``)."""

    key: str
    op: str
    values: tuple[Scalar, ...]
    missing: bool = False

    def _identity(self) -> tuple[object, ...]:
        return self.key, self.op, tuple(map(kind_of, self.values)), self.values, self.missing


@dataclass(frozen=True, slots=True, eq=False)
class Contains(_Leaf):
    """``{key: {op: value}}`` for ``$contains $not_contains`` on a key that holds lists; `missing` as in `Compare`."""

    key: str
    op: str
    value: Scalar
    missing: bool = False

    def _identity(self) -> tuple[object, ...]:
        return self.key, self.op, kind_of(self.value), self.value, self.missing


@dataclass(frozen=True, slots=True)
class Document:
    """``{op: text}`` on the document; `missing` is whether a record without a document matches (the two ``$not_`` operators)."""

    op: str
    text: str
    missing: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """Every one of `parts` (two or more, none of them `Everything`)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of `parts` (two or more, none of them `Everything`)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """No filter: all records match."""


Filter: TypeAlias = Compare | Member | Contains | Document | And | Or | Everything
EVERYTHING: Final = Everything()
NODES: Final = (Compare, Member, Contains, Document, And, Or, Everything)
"""The classes that make up `Filter`."""


def both(*filters: Filter) -> Filter:
    """Return the filter that matches what all of `filters` match; flat, and without `Everything`.

    Examples
    --------
    >>> both(EVERYTHING, Document("$contains", "a"))
    Document(op='$contains', text='a', missing=False)
    """
    given = (part for each in filters for part in (each.parts if isinstance(each, And) else (each,)))
    parts = tuple(part for part in given if not isinstance(part, Everything))
    if not parts:
        return EVERYTHING
    return parts[0] if len(parts) == 1 else And(parts)


def needs_document(filter: Filter) -> bool:  # noqa: A002 - the field's name
    """Tell whether any part of `filter` tests documents."""
    if isinstance(filter, (And, Or)):
        return any(map(needs_document, filter.parts))
    return isinstance(filter, Document)


def split(filter: Filter) -> tuple[Filter, Filter]:  # noqa: A002 - the field's name
    """Cut `filter` into a part on metadata alone and the rest; a record matches `filter` when it matches both.

    The rest is `Everything`, tests of documents, or, where one ``$or`` mixes the two, a test of both.

    Examples
    --------
    >>> from chroma_nb.filters import parse_filter
    >>> split(parse_filter({"n": 1}, {"$contains": "a"}))[1]
    Document(op='$contains', text='a', missing=False)
    """
    if not needs_document(filter):
        return filter, EVERYTHING
    if not isinstance(filter, And):
        return EVERYTHING, filter
    halves = list(map(split, filter.parts))
    return both(*(plain for plain, _ in halves)), both(*(rest for _, rest in halves))
