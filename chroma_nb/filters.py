"""Filters: what ``where`` and ``where_document`` mean, parsed once.

Lives here: the operators (one row each), the tree they are parsed into, the parser, its inverse `to_dict`, the sentence
`describe` and the oracle `matches`. Must not live here: storage, numpy, SQL; `engine.columns` evaluates the same tree over whole
columns and is held to `matches` by test. Called by the verbs, the HTTP codec and the query builder (parse), by backends (evaluate).

What a filter means
-------------------
- ``{"v": 1}`` is ``{"v": {"$eq": 1}}``. Integers and floats are one kind, *number*, and compare exactly, without rounding.
  A bool is never a number, a text never a number. A datetime without zone and one with a zone are two kinds.
- A scalar test looks at scalars: a stored list never equals a value and has no order, so it does match ``$ne`` and ``$nin``.
- ``$contains`` on a metadata key looks for an element of a stored list; on documents it is a literal, case-sensitive
  substring. ``$regex`` is a Python regular expression, searched anywhere in the document.
- A record without the key (or without a document) matches no positive test. Whether it matches the negative ones (``$ne``,
  ``$nin``, ``$not_contains``, ``$not_regex``) is the one thing on which the usage guide and Chroma from 0.5.12 on disagree: it is
  the property `missing` of those nodes, set from the `Rules` at parse time.
"""

from __future__ import annotations

import math
import operator
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from typing_extensions import assert_never

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.scalars import INT_MAX, INT_MIN, Instant, Scalar, Value, check_text, is_absent, scalar_of

DOCUMENT_KEY: Final = "#document"
"""The key that stands for the document inside a ``where``."""
MAX_DEPTH: Final = 200
"""Levels of ``$and`` and ``$or`` inside each other."""
MAX_CLAUSES: Final = 100_000
"""Clauses in one filter; also what stops a filter whose parts contain one another many times over."""

Kind: TypeAlias = Literal["str", "number", "bool", "naive datetime", "zoned datetime", "list"]
Target: TypeAlias = Literal["metadata", "list", "document", "filters"]


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of `OPERATORS`.

    Parameters
    ----------
    token
        As written in a filter, ``"$gte"``.
    sign
        As shown in a formula.
    sentence
        As said between a key and a value.
    applies
        What it tests: a metadata scalar, a metadata list, a document; or ``"filters"`` for what joins filters.
    kinds
        Kinds its operand (or each element of it) may have.
    operand
        One value, a list of values of one kind, or a list of filters.
    negates
        Token of the operator it is the opposite of, for those that a record without the key may match.
    """

    token: str
    sign: str
    sentence: str
    applies: tuple[Target, ...]
    kinds: tuple[Kind, ...]
    operand: Literal["value", "values", "filters"] = "value"
    negates: str | None = None


_ANY: Final[tuple[Kind, ...]] = ("str", "number", "bool", "naive datetime", "zoned datetime")
_ORDERED: Final[tuple[Kind, ...]] = ("number", "naive datetime", "zoned datetime")
_ELEMENT: Final[tuple[Kind, ...]] = ("str", "number", "bool")

OPERATORS: Final[Mapping[str, Operator]] = {
    row.token: row
    for row in (
        Operator("$eq", "=", "is", ("metadata",), _ANY),
        Operator("$ne", "≠", "is not", ("metadata",), _ANY, negates="$eq"),
        Operator("$gt", ">", "is greater than", ("metadata",), _ORDERED),
        Operator("$gte", "≥", "is at least", ("metadata",), _ORDERED),
        Operator("$lt", "<", "is less than", ("metadata",), _ORDERED),
        Operator("$lte", "≤", "is at most", ("metadata",), _ORDERED),
        Operator("$in", "∈", "is one of", ("metadata",), _ANY, "values"),
        Operator("$nin", "∉", "is none of", ("metadata",), _ANY, "values", negates="$in"),
        Operator("$contains", "∋", "contains", ("list", "document"), _ELEMENT),
        Operator("$not_contains", "∌", "does not contain", ("list", "document"), _ELEMENT, negates="$contains"),
        Operator("$regex", "~", "matches the pattern", ("document",), ("str",)),
        Operator("$not_regex", "≁", "does not match the pattern", ("document",), ("str",), negates="$regex"),
        Operator("$and", "&", "and", ("filters",), (), "filters"),
        Operator("$or", "|", "or", ("filters",), (), "filters"),
    )
}
"""Every operator by its token; the parser, the widgets, the docs and the tests read these rows."""

ON_METADATA: Final = tuple(token for token, row in OPERATORS.items() if {"metadata", "list"} & set(row.applies))
ON_DOCUMENTS: Final = tuple(token for token, row in OPERATORS.items() if "document" in row.applies)
JUNCTIONS: Final = tuple(token for token, row in OPERATORS.items() if "filters" in row.applies)
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def kind_of(value: Value) -> Kind:
    """Return the kind of a stored or wanted value; only values of one kind can be equal or have an order.

    Examples
    --------
    >>> kind_of(1) == kind_of(1.0), kind_of(True), kind_of(("a", "b"))
    (True, 'bool', 'list')
    """
    if isinstance(value, str):
        return "str"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, Instant):
        return "naive datetime" if value.zone is None else "zoned datetime"
    return "list"


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
_NODES: Final = (Compare, Member, Contains, Document, And, Or, Everything)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the two generations of Chroma's API read differently.

    Parameters
    ----------
    missing
        Whether a record without the key, or without a document, matches a negative test.
    lone
        Whether ``{}`` is allowed (everything), and ``$and``/``$or`` of a single filter (that filter).
    """

    missing: bool
    lone: bool


GUIDE: Final = Rules(missing=False, lone=True)
"""Chroma's usage guide: our own API and HTTP v1."""
CHROMA: Final = Rules(missing=True, lone=False)
"""Chroma from 0.5.16 on: HTTP v2 and the ``chromadb`` facade."""


def parse_where(where: object, rules: Rules = GUIDE, place: str = "where") -> Filter:
    """Parse a filter on metadata (and, by the key ``"#document"``, on documents).

    Parameters
    ----------
    where
        A dict as the usage guide describes it, None for everything, or a filter parsed before (returned as it is).
    rules
        Which generation's reading.
    place
        How error messages call it.

    Raises
    ------
    InvalidArgumentError
        It is malformed; the message has the path to the fault, what was expected there, and the cure.

    Examples
    --------
    >>> parse_where({"year": {"$gte": 2000}})
    Compare(key='year', op='$gte', value=2000, missing=False)
    >>> parse_where({"$or": [{"topic": "art"}, {"#document": {"$contains": "paint"}}]}).parts[1]
    Document(op='$contains', text='paint', missing=False)
    """
    return _Parser(rules, place, documents=False).parse(where)


def parse_where_document(where_document: object, rules: Rules = GUIDE, place: str = "where_document") -> Filter:
    """Parse a filter on documents: ``$contains $not_contains $regex $not_regex``, joined by ``$and`` and ``$or``.

    Raises
    ------
    InvalidArgumentError
        As for `parse_where`; also for a regular expression that does not compile.

    Examples
    --------
    >>> parse_where_document({"$not_contains": "draft"}, CHROMA)
    Document(op='$not_contains', text='draft', missing=True)
    """
    return _Parser(rules, place, documents=True).parse(where_document)


def parse_filter(where: object, where_document: object = None, rules: Rules = GUIDE) -> Filter:
    """Parse both filters of a call into the one that records must match; the inverse of `to_dict`.

    Examples
    --------
    >>> print(describe(parse_filter({"year": 1999}, {"$contains": "owl"})))
    year is 1999 and document contains 'owl'
    """
    return both(parse_where(where, rules), parse_where_document(where_document, rules))


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


class _Parser:
    """One parse: carries the rules, the name of the argument, and the number of clauses seen."""

    def __init__(self, rules: Rules, place: str, *, documents: bool) -> None:
        self.rules, self.place, self.documents = rules, place, documents
        self.clauses = 0

    def parse(self, node: object) -> Filter:
        if node is None:
            return EVERYTHING
        if isinstance(node, _NODES):
            return node
        if isinstance(node, Mapping) and not node:
            if self.rules.lone:
                return EVERYTHING
            raise InvalidArgumentError(f"{self.place}: got an empty dict; leave {self.place} out (or pass None) to match every record")
        return self.clause(node, self.place, 0)

    def clause(self, node: object, place: str, depth: int) -> Filter:
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise InvalidArgumentError(
                f"{self.place}: more than {MAX_CLAUSES} clauses; match many values of one key with {{key: {{'$in': [...]}}}} instead of $or"
            )
        example = "{'$contains': 'word'}" if self.documents else "{'year': {'$gte': 2000}}"
        key, operand = _only_entry(node, place, f"a dict such as {example}", lambda name: f"{{{_name(name)}: ...}}")
        if key in JUNCTIONS:
            return self.junction(key, operand, f"{place}['{key}']", depth + 1)
        if self.documents:
            return self.document(key, operand, place)
        if key.startswith("$"):
            raise InvalidArgumentError(f"{place}: {_bare_operator(key)}")
        inner = f"{place}[{_name(key)}]"
        if key == DOCUMENT_KEY:
            op, text = _only_entry(
                operand, inner, "a dict such as {'$contains': 'word'}", lambda op: f"{{'{DOCUMENT_KEY}': {{{_name(op)}: ...}}}}"
            )
            return self.document(op, text, inner)
        check_text(key, inner)
        return self.metadata(key, operand, inner)

    def junction(self, op: str, operand: object, place: str, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            nested = f"$and and $or are nested deeper than {MAX_DEPTH} levels (or contain themselves)"
            raise InvalidArgumentError(f"{self.place}: {nested}; put the clauses into one list")
        if not isinstance(operand, (list, tuple)):
            raise InvalidTypeError(f"{place}: expected a list of filters, got {_shown(operand)}")
        least = 1 if self.rules.lone else 2
        if len(operand) < least:
            cure = "leave it out to match every record" if not operand else f"write that filter without {op}"
            raise InvalidArgumentError(f"{place}: {op} needs {least} or more filters, got {len(operand)}; {cure}")
        parts = []
        for i, node in enumerate(operand):
            parts.append(self.clause(node, f"{place}[{i}]", depth))
        if len(parts) == 1:
            return parts[0]
        return And(tuple(parts)) if op == "$and" else Or(tuple(parts))

    def document(self, op: str, text: object, place: str) -> Document:
        if op not in ON_DOCUMENTS:
            cure = "; filters on metadata go into where" if op in OPERATORS or not op.startswith("$") else ""
            raise InvalidArgumentError(f"{place}: {_unknown(op, (*ON_DOCUMENTS, *JUNCTIONS) if self.documents else ON_DOCUMENTS)}{cure}")
        place = f"{place}['{op}']"
        if not isinstance(text, str):
            raise InvalidTypeError(f"{place}: expected the text to look for, a str, got {_shown(text)}")
        text = str.__str__(text)
        if not text:
            raise InvalidArgumentError(f"{place}: the text to look for is empty; every document contains it, so leave the clause out")
        check_text(text, place)
        if op in ("$regex", "$not_regex"):
            _check_pattern(text, place)
        return Document(op, text, self.missing(op))

    def metadata(self, key: str, operand: object, place: str) -> Filter:
        if not isinstance(operand, Mapping):
            return Compare(key, "$eq", _operand("$eq", operand, place))
        op, value = _only_entry(operand, place, "an operator and a value", lambda op: f"{{{_name(key)}: {{{_name(op)}: ...}}}}")
        if op not in ON_METADATA:
            cure = ""
            if op in ON_DOCUMENTS:
                cure = f"; it tests documents: put it into where_document, or write {{'{DOCUMENT_KEY}': {{'{op}': ...}}}}"
            elif op in JUNCTIONS:
                cure = f"; {op} goes outside: {{'{op}': [{{{_name(key)}: ...}}, {{{_name(key)}: ...}}]}}"
            raise InvalidArgumentError(f"{place}: {_unknown(op, ON_METADATA)}{cure}")
        place = f"{place}['{op}']"
        if OPERATORS[op].operand == "values":
            return Member(key, op, _operands(op, key, value, place), self.missing(op))
        if "list" in OPERATORS[op].applies:
            return Contains(key, op, _operand(op, value, place), self.missing(op))
        return Compare(key, op, _operand(op, value, place), self.missing(op))

    def missing(self, op: str) -> bool:
        return self.rules.missing and OPERATORS[op].negates is not None


def _only_entry(node: object, place: str, expected: str, write: Callable[[str], str]) -> tuple[str, object]:
    """Return the one key of `node` and what it holds; `write` shows how to write an entry of its own for a key."""
    if not isinstance(node, Mapping):
        raise InvalidTypeError(f"{place}: expected {expected}, got {_shown(node)}")
    if not node:
        raise InvalidArgumentError(f"{place}: expected {expected}, got an empty dict")
    for key in node:
        if not isinstance(key, str):
            raise InvalidTypeError(f"{place}: expected {expected}; its keys are str, got {_shown(key)}")
    if len(node) > 1:
        first, second = (write(key) for key, _ in zip(node, range(2), strict=False))
        rest = ", ..." if len(node) > 2 else ""
        raise InvalidArgumentError(f"{place}: {len(node)} keys in one dict; say how they combine: {{'$and': [{first}, {second}{rest}]}}")
    key, value = next(iter(node.items()))
    return str.__str__(key), value


def _operand(op: str, value: object, place: str) -> Scalar:
    if is_absent(value):
        raise InvalidArgumentError(f"{place}: got {_shown(value)}, which no record holds; leave the clause out")
    if isinstance(value, Mapping) or (isinstance(value, Collection) and not isinstance(value, (str, bytes, bytearray))):
        cure = f"; to match any of several values use {'$nin' if op == '$ne' else '$in'}" if op in ("$eq", "$ne") else ""
        raise InvalidTypeError(f"{place}: expected one value, got {_shown(value)}{cure if not isinstance(value, Mapping) else ''}")
    scalar = scalar_of(value, place)
    if kind_of(scalar) not in OPERATORS[op].kinds:
        raise InvalidArgumentError(f"{place}: {op} {_wants(op)}, got {_shown(scalar)}")
    return scalar


def _wants(op: str) -> str:
    if OPERATORS[op].kinds == _ORDERED:
        return "compares numbers, or datetimes (pass a datetime, not its text)"
    return "looks for an element of a list: a str, a number or a bool"


def _operands(op: str, key: str, values: object, place: str) -> tuple[Scalar, ...]:
    if not isinstance(values, Collection) or isinstance(values, (str, bytes, bytearray, Mapping)) or getattr(values, "ndim", 1) != 1:
        raise InvalidTypeError(f"{place}: expected a list of values, got {_shown(values)}")
    if not len(values):
        raise InvalidArgumentError(f"{place}: the list is empty; {op} needs at least one value")
    numeric = getattr(getattr(values, "dtype", None), "kind", "") in tuple("biuf")
    items: list[Any] = values.tolist() if numeric else list(values)  # type: ignore[attr-defined]
    if _is_plain(items):
        return tuple(items)
    scalars = tuple([_operand(op, item, f"{place}[{i}]") for i, item in enumerate(items)])
    kinds = list(map(kind_of, scalars))
    if len(set(kinds)) > 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        join = "$or" if op == "$in" else "$and"
        raise InvalidArgumentError(
            f"{place}: the values are of one kind (int and float may mix), got {_shown(scalars[0])} and {_shown(scalars[other])};"
            f" write {{'{join}': [{{{_name(key)}: {{'{op}': [...]}}}}, {{{_name(key)}: {{'{op}': [...]}}}}]}}"
        )
    return scalars


def _is_plain(items: list[Any]) -> bool:
    """Tell quickly that all items are scalars of one kind as they stand; False may also mean "look closer"."""
    types = set(map(type, items))
    if types == {int}:
        return bool(min(items) >= INT_MIN and max(items) <= INT_MAX)
    return types == {bool} or (types == {str} and all(map(str.isascii, items))) or (types == {float} and all(map(math.isfinite, items)))


def _check_pattern(text: str, place: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        at = "" if error.pos is None else f" at position {error.pos}"
        cure = "; use $contains, or re.escape(text), for literal text"
        raise InvalidArgumentError(f"{place}: not a regular expression: {error.msg}{at} of {_name(text)}{cure}") from None
    except (RecursionError, OverflowError):
        raise InvalidArgumentError(f"{place}: the regular expression {_name(text)} is too deep or too large; simplify it") from None


def _unknown(op: str, known: tuple[str, ...], otherwise: str = "") -> str:
    fault = f"{op} does not apply here" if op in OPERATORS else f"unknown operator {_name(op)}"
    hint = "" if op in OPERATORS else did_you_mean(op[:40], known)
    return f"{fault}; expected one of {', '.join(known)}{otherwise}{'.' if hint else ''}{hint}"


def _bare_operator(op: str) -> str:
    if op not in OPERATORS:
        return _unknown(op, JUNCTIONS, " or a metadata key")
    if op not in ON_METADATA:
        return f"{op} tests documents: use where_document, or {{'{DOCUMENT_KEY}': {{'{op}': ...}}}}"
    if op in ON_DOCUMENTS:
        on_documents = f"for documents use where_document, or {{'{DOCUMENT_KEY}': {{'{op}': ...}}}}"
        return f"{op} needs a metadata key in front, {{key: {{'{op}': ...}}}}; {on_documents}"
    return f"{op} needs a metadata key in front: {{key: {{'{op}': ...}}}}"


class _Brief(reprlib.Repr):
    """A repr whose cost is bounded, also for values that contain themselves or share their parts."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxtuple, self.maxstring, self.maxother = 2, 3, 3, 3, 60, 60

    def repr_instance(self, x: object, level: int) -> str:
        return "..." if isinstance(x, Collection) else super().repr_instance(x, level)


_BRIEF: Final = _Brief()


def _name(text: str) -> str:
    return _BRIEF.repr(str.__str__(text))


def _shown(value: object) -> str:
    if value is None:
        return "None"
    try:
        return f"{type(value).__name__} {_BRIEF.repr(value)}"
    except Exception:  # noqa: BLE001 - a foreign repr may do anything; the message must still come
        return type(value).__name__


def to_dict(filter: Filter) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:  # noqa: A002 - the field's name
    """Write `filter` back as ``(where, where_document)``, so that `parse_filter` of them gives it again under the same rules.

    Documents are tested in ``where_document`` when the filter is a conjunction that can be cut there, else in ``where`` under
    the key ``"#document"``. Instants stay `Instant` objects.

    Examples
    --------
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


def needs_document(filter: Filter) -> bool:  # noqa: A002 - the field's name
    """Tell whether any part of `filter` tests documents."""
    if isinstance(filter, (And, Or)):
        return any(map(needs_document, filter.parts))
    return isinstance(filter, Document)


def _only_documents(node: Filter) -> bool:
    if isinstance(node, (And, Or)):
        return all(map(_only_documents, node.parts))
    return isinstance(node, Document)


def split(filter: Filter) -> tuple[Filter, Filter]:  # noqa: A002 - the field's name
    """Cut `filter` into a part on metadata alone and the rest; a record matches `filter` when it matches both.

    The rest is `Everything`, tests of documents, or, where one ``$or`` mixes the two, a test of both.

    Examples
    --------
    >>> split(parse_filter({"n": 1}, {"$contains": "a"}))[1]
    Document(op='$contains', text='a', missing=False)
    """
    if not needs_document(filter):
        return filter, EVERYTHING
    if not isinstance(filter, And):
        return EVERYTHING, filter
    halves = list(map(split, filter.parts))
    return both(*(plain for plain, _ in halves)), both(*(rest for _, rest in halves))


def matches(filter: Filter, metadata: Mapping[str, Value] | None, document: str | None) -> bool:  # noqa: A002 - the field's name
    """Tell whether one record matches: what a filter means, in the plainest words.

    Examples
    --------
    >>> matches(parse_where({"v": 1}), {"v": 1.0}, None), matches(parse_where({"v": 1}), {"v": True}, None)
    (True, False)
    """
    match filter:
        case Everything():
            return True
        case And(parts):
            return all(matches(part, metadata, document) for part in parts)
        case Or(parts):
            return any(matches(part, metadata, document) for part in parts)
        case Document(op, _, missing):
            return missing if document is None else _found(filter, document) is (OPERATORS[op].negates is None)
        case Compare(key, op, _, missing) | Member(key, op, _, missing) | Contains(key, op, _, missing):
            stored = (metadata or {}).get(key)
            return missing if stored is None else _holds(filter, stored) is (OPERATORS[op].negates is None)
        case _:
            assert_never(filter)


def _found(test: Document, document: str) -> bool:
    """Tell whether `document` passes the test, or for a negative one the test that it negates."""
    if (OPERATORS[test.op].negates or test.op) == "$contains":
        return test.text in document
    return re.search(test.text, document) is not None


def _holds(test: Compare | Member | Contains, stored: Value) -> bool:
    """Tell whether `stored` passes the test, or for a negative one the test that it negates."""
    match test:
        case Compare(_, op, value):
            compare = COMPARISONS[OPERATORS[op].negates or op]
            return kind_of(stored) == kind_of(value) and bool(compare(comparable(stored), comparable(value)))
        case Member(_, _, values):
            return any(kind_of(stored) == kind_of(value) and comparable(stored) == comparable(value) for value in values)
        case Contains(_, _, value):
            return isinstance(stored, tuple) and any(kind_of(element) == kind_of(value) and element == value for element in stored)
        case _:
            assert_never(test)


def comparable(value: Value) -> Any:
    """Return what two values of one kind are compared by: nanoseconds for an instant (its zone is how it was written), else itself."""
    return value.ns if isinstance(value, Instant) else value


def describe(filter: Filter, limit: int = 300) -> str:  # noqa: A002 - the field's name
    """Say `filter` in one line of at most `limit` characters, for people.

    Examples
    --------
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
            said = f"document {OPERATORS[op].sentence} {_name(text)}"
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
    return key if key.isidentifier() and len(key) <= _BRIEF.maxstring else _name(key)


def _spoken(value: Scalar) -> str:
    return value.iso() if isinstance(value, Instant) else _BRIEF.repr(value)
