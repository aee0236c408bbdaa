"""The rows of a query builder: a tree of conditions as people edit them, and how it becomes a filter and comes from one.

Rows may be unfinished or wrong, which a filter never is. Pure functions over frozen values. Must not live here: what an operator means or
is called (`chroma_nb.filters`), and the page that shows the rows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import (
    DOCUMENT_KEY,
    EVERYTHING,
    JUNCTIONS,
    MAX_CLAUSES,
    MAX_DEPTH,
    OPERATORS,
    And,
    Compare,
    Contains,
    Document,
    Everything,
    Filter,
    Member,
    Or,
    Rules,
    kind_of,
    parse_where,
)
from chroma_nb.scalars import Scalar
from chroma_nb.widgets.literals import filter_in, written
from chroma_nb.widgets.operands import Operand

BETWEEN: Final = "between"
"""The operator of a row that stands for ``$gte`` and ``$lte``."""

_TAGS: Final = 100
"""Values up to which ``$in`` and ``$nin`` have a control of their own."""
_PATH: Final = re.compile(r"^where(?:_document)?(?:\[(?:'[^']*'|\"[^\"]*\"|\d+)\])*: ")


@dataclass(frozen=True, slots=True)
class Row:
    """A condition.

    Parameters
    ----------
    key
        A metadata key, `DOCUMENT_KEY`, or None while none is chosen.
    op
        An operator's token, or `BETWEEN`.
    operands
        What is compared with; of `BETWEEN` the lower and the upper end, None for an open one.
    """

    id: str
    key: str | None
    op: str
    operands: tuple[Operand | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Raw:
    """A part of the filter as text, in Python's or JSON's notation: what has too many values for controls."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions joined by ``$and`` or ``$or``."""

    id: str
    junction: str = "$and"
    parts: tuple[Part, ...] = ()


Part: TypeAlias = "Row | Raw | Group"


@dataclass(frozen=True, eq=False)
class Reading:
    """What a tree of rows says.

    Parameters
    ----------
    filter
        Of the rows that are finished and right.
    problems
        Id of a row -> what is wrong with it.
    unfinished
        Ids of rows that wait for a field or a value, and say nothing until then.
    said
        Id of a row or group that says something -> its filter.
    """

    filter: Filter
    problems: Mapping[str, str] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    said: Mapping[str, Filter] = field(default_factory=dict)


def rows_of(filter: Filter) -> Group:  # noqa: A002 - the field's name
    """Return the rows that say `filter`; the root is always a group.

    Examples
    --------
    >>> from chroma_nb.filters import parse_where
    >>> root = rows_of(parse_where({"$and": [{"year": {"$gte": 1990}}, {"year": {"$lte": 1999}}]}))
    >>> [(row.key, row.op, [each.text for each in row.operands]) for row in root.parts]
    [('year', 'between', ['1990', '1999'])]
    """
    names = (f"r{i}" for i in itertools.count())
    if isinstance(filter, Everything):
        return Group(next(names))
    if isinstance(filter, (And, Or)):
        return _group(filter, names)
    return Group(next(names), "$and", (_part(filter, names),))


def _group(node: And | Or, names: Iterator[str]) -> Group:
    own = next(names)
    if isinstance(node, Or):
        return Group(own, "$or", tuple(_part(part, names) for part in node.parts))
    parts: list[Part] = []
    waiting = list(node.parts)
    while waiting:
        first = waiting.pop(0)
        if waiting and _is_range(first, waiting[0]):
            parts.append(_range(first, waiting.pop(0), names))
        else:
            parts.append(_part(first, names))
    return Group(own, "$and", tuple(parts))


def _part(node: Filter, names: Iterator[str]) -> Part:
    match node:
        case And() | Or():
            return _group(node, names)
        case Member(key, op, values) if len(values) > _TAGS:
            return Raw(next(names), written({key: {op: list(values)}}))
        case Member(key, op, values):
            return Row(next(names), key, op, tuple(map(Operand.of, values)))
        case Compare(key, op, value) | Contains(key, op, value):
            return Row(next(names), key, op, (Operand.of(value),))
        case Document(op, text):
            return Row(next(names), DOCUMENT_KEY, op, (Operand.of(text),))
        case _:
            return Group(next(names))


def _is_range(first: Filter, second: Filter) -> bool:
    return (
        isinstance(first, Compare)
        and isinstance(second, Compare)
        and (first.op, second.op) == ("$gte", "$lte")
        and first.key == second.key
        and kind_of(first.value) == kind_of(second.value)
    )


def _range(first: Filter, second: Filter, names: Iterator[str]) -> Row:
    assert isinstance(first, Compare)  # noqa: S101 - as `_is_range` found
    assert isinstance(second, Compare)  # noqa: S101 - as above
    return Row(next(names), first.key, BETWEEN, (Operand.of(first.value), Operand.of(second.value)))


def read(root: Group, rules: Rules) -> Reading:
    """Return what the rows say under `rules`, and what is wrong with them.

    Examples
    --------
    >>> from chroma_nb.filters import GUIDE
    >>> row = Row("a", "year", "$gte", (Operand("number", "two"),))
    >>> read(Group("root", "$and", (row,)), GUIDE).problems
    {'a': "'two' is not a number"}
    """
    problems: dict[str, str] = {}
    unfinished: set[str] = set()
    said: dict[str, Filter] = {}

    def clauses(part: Part) -> list[Filter]:
        """Return the filters that a part adds to a conjunction."""
        if isinstance(part, Group):
            found = joined(part)
            return [] if isinstance(found, Everything) else [found]
        try:
            texts = _clauses(part, rules)
        except InvalidArgumentError as error:
            problems[part.id] = _PATH.sub("", str(error))
            return []
        if not texts:
            unfinished.add(part.id)
            return []
        said[part.id] = texts[0] if len(texts) == 1 else And(tuple(texts))
        return texts

    def joined(group: Group) -> Filter:
        found: list[Filter] = []
        for part in group.parts:
            own = clauses(part)
            found += own if group.junction == "$and" and len(group.parts) > 1 else [And(tuple(own))] if len(own) > 1 else own
        if not found:
            return EVERYTHING
        whole = found[0] if len(found) == 1 else (And if group.junction == "$and" else Or)(tuple(found))
        said[group.id] = whole
        return whole

    return Reading(joined(root), problems, frozenset(unfinished), said)


def _clauses(part: Row | Raw, rules: Rules) -> list[Filter]:
    """Return the filters a row says, none while it is unfinished."""
    if isinstance(part, Raw):
        found = filter_in(part.text, rules) if part.text.strip() else EVERYTHING
        return [] if isinstance(found, Everything) else [found]
    if part.key is None:
        return []
    if part.op == BETWEEN:
        ends = zip(("$gte", "$lte"), part.operands, strict=False)
        return [_leaf(part.key, op, operand.scalar(), rules) for op, operand in ends if operand is not None]
    values = [operand.scalar() for operand in part.operands if operand is not None]
    if not values:
        return []
    return [_leaf(part.key, part.op, values if _takes_many(part.op) else values[0], rules)]


def _takes_many(op: str) -> bool:
    return op in OPERATORS and OPERATORS[op].operand == "values"


def _leaf(key: str, op: str, value: Scalar | list[Scalar], rules: Rules) -> Filter:
    return parse_where({key: {op: value}}, rules)


def to_json(part: Part) -> dict[str, Any]:
    """Return a row or a group as the page has it."""
    match part:
        case Group(own, junction, parts):
            return {"id": own, "junction": junction, "parts": [to_json(each) for each in parts]}
        case Raw(own, text):
            return {"id": own, "raw": text}
        case Row(own, key, op, operands):
            values = [None if each is None else each.to_json() for each in operands]
            return {"id": own, "key": key, "op": op, "operands": values}


def from_json(given: object) -> Group:
    """Read the rows that a page sent.

    Raises
    ------
    InvalidArgumentError
        They are not in the form that `to_json` gives.
    """
    left = [MAX_CLAUSES]
    part = _read_part(given, MAX_DEPTH + 1, left, set())
    if not isinstance(part, Group):
        raise InvalidArgumentError("rows: expected a group at the top")
    return part


def _read_part(given: object, depth: int, left: list[int], seen: set[str]) -> Part:
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        raise InvalidArgumentError(f"rows: more than {MAX_CLAUSES:,}, or groups nested deeper than {MAX_DEPTH}; use fewer")
    own = given.get("id") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(own, str) or own in seen:
        raise InvalidArgumentError("rows: expected objects, each with an id of its own")
    seen.add(own)
    if "parts" in given:
        parts, junction = given["parts"], given.get("junction")
        if not isinstance(parts, list) or junction not in JUNCTIONS:
            raise InvalidArgumentError(f"rows: expected a group with parts and one of {', '.join(JUNCTIONS)}")
        return Group(own, str(junction), tuple(_read_part(each, depth - 1, left, seen) for each in parts))
    if isinstance(given.get("raw"), str):
        return Raw(own, given["raw"])
    key, op, operands = given.get("key"), given.get("op"), given.get("operands")
    if not isinstance(key, (str, type(None))) or not isinstance(op, str) or not isinstance(operands, Sequence):
        raise InvalidArgumentError("rows: expected a row with key, op and operands")
    return Row(own, key, op, tuple(None if each is None else Operand.from_json(each) for each in operands))
