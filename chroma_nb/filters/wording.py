"""Filters written down: back into the dicts they were parsed from, and as one line for people.

Must not live here: parsing; `to_dict` is held to be its inverse by test. Called by the HTTP codec, by widgets and by everything that
shows a filter.
"""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import assert_never

from chroma_nb.brief import WIDTH, quoted, short
from chroma_nb.filters.operators import DOCUMENT_KEY, OPERATORS
from chroma_nb.filters.tree import And, Compare, Contains, Document, Everything, Filter, Member, Or, both, needs_document
from chroma_nb.scalars import Instant, Scalar


def to_dict(filter: Filter) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:  # noqa: A002 - the field's name
    """Write `filter` back as ``(where, where_document)``, so that `parse_filter` of them gives it again under the same rules.

    Documents are tested in ``where_document`` when the filter is a conjunction that can be cut there, else in ``where`` under
    the key ``"#document"``. Instants stay `Instant` objects.

    Examples
    --------
    >>> from chroma_nb.filters import parse_filter
    >>> to_dict(parse_filter({"n": 1}, {"$contains": "a"}))
    ({'n': {'$eq': 1}}, {'$contains': 'a'})
    """
    if isinstance(filter, Everything):
        return None, None
    if _only_documents(filter):
        return None, _written(filter, documents=True)
    if isinstance(filter, And):
        cut = sum(not needs_document(part) for part in filter.parts)
        plain, rest = filter.parts[:cut], filter.parts[cut:]
        if cut and rest and not any(map(needs_document, plain)) and all(map(_only_documents, rest)):
            sides = both(*plain), both(*rest)
            if both(*sides) == filter:
                return _written(sides[0]), _written(sides[1], documents=True)
    return _written(filter), None


def _written(node: Filter, *, documents: bool = False) -> dict[str, Any]:
    match node:
        case Compare(key, op, value) | Contains(key, op, value):
            return {key: {op: value}}
        case Member(key, op, values):
            return {key: {op: list(values)}}
        case Document(op, text):
            return {op: text} if documents else {DOCUMENT_KEY: {op: text}}
        case And(parts):
            return {"$and": [_written(part, documents=documents) for part in parts]}
        case Or(parts):
            return {"$or": [_written(part, documents=documents) for part in parts]}
        case Everything():
            return {}
        case _:
            assert_never(node)


def _only_documents(node: Filter) -> bool:
    if isinstance(node, (And, Or)):
        return all(map(_only_documents, node.parts))
    return isinstance(node, Document)


def describe(filter: Filter, limit: int = 300) -> str:  # noqa: A002 - the field's name
    """Say `filter` in one line of at most `limit` characters, for people.

    Examples
    --------
    >>> from chroma_nb.filters import parse_where
    >>> describe(parse_where({"$or": [{"year": {"$gte": 2000}}, {"topic": {"$in": ["art", "law"]}}]}))
    "year is at least 2000 or topic is one of 'art', 'law'"
    """
    text = _said(filter, 0)
    return text if len(text) <= limit else text[: limit - 1] + "…"


_NAMED: Final = 6
_NESTED: Final = 4
"""What a line has room for: parts of a list, and levels."""


def _said(node: Filter, depth: int) -> str:
    match node:
        case Everything():
            return "every record"
        case And(parts) | Or(parts):
            return _joined(parts, "and" if isinstance(node, And) else "or", depth)
        case Document(op, text):
            said = f"document {OPERATORS[op].sentence} {quoted(text)}"
        case Compare(key, op, scalar) | Contains(key, op, scalar):
            said = f"{_subject(key)} {OPERATORS[op].sentence} {_spoken(scalar)}"
        case Member(key, op, values):
            said = f"{_subject(key)} {OPERATORS[op].sentence} {', '.join(map(_spoken, values[:_NAMED]))}"
            said += f" or {len(values) - _NAMED} more" if len(values) > _NAMED else ""
        case _:
            assert_never(node)
    return f"{said} (or has none)" if node.missing else said


def _joined(parts: tuple[Filter, ...], word: str, depth: int) -> str:
    if depth >= _NESTED:
        return f"({len(parts)} filters joined by {word})"
    said = [_said(part, depth + 1) for part in parts[:_NAMED]]
    if len(parts) > _NAMED:
        said.append(f"{len(parts) - _NAMED} more")
    text = f" {word} ".join(said)
    return f"({text})" if depth else text


def _subject(key: str) -> str:
    return key if key.isidentifier() and len(key) <= WIDTH else quoted(key)


def _spoken(value: Scalar) -> str:
    return value.iso() if isinstance(value, Instant) else short(value)
