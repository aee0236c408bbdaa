"""The parser: from the dicts of ``where`` and ``where_document`` to a tree, or to an error that says where, what and how to do it right.

Lives here: what the generations of the API read differently (`Rules`) and how large a filter may be. Must not live here: the tree, the
table of operators, and how a filter is written back (`chroma_nb.filters.wording`). Called by the verbs, the HTTP codec and the query
builder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chroma_nb import stopping
from chroma_nb.brief import quoted, shown
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.filters.operators import DOCUMENT_KEY, JUNCTIONS, ON_DOCUMENTS, ON_METADATA, OPERATORS, ORDERED, kind_of
from chroma_nb.filters.patterns import checked_pattern
from chroma_nb.filters.tree import EVERYTHING, NODES, And, Compare, Contains, Document, Filter, Member, Or, both
from chroma_nb.scalars import INT_MAX, INT_MIN, Scalar, check_text, check_unmasked, entries_of, is_absent, scalar_of, sequence_of

MAX_DEPTH: Final = 200
"""Levels of ``$and`` and ``$or`` inside each other."""
MAX_CLAUSES: Final = 100_000
"""Clauses in one filter; also what stops a filter whose parts contain one another many times over."""
MAX_VALUES: Final = 1_000_000
"""Values in all ``$in`` and ``$nin`` of one filter."""


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
    >>> from chroma_nb.filters import describe
    >>> print(describe(parse_filter({"year": 1999}, {"$contains": "owl"})))
    year is 1999 and document contains 'owl'
    """
    return both(parse_where(where, rules), parse_where_document(where_document, rules))


class _Parser:
    """One parse: carries the rules, the name of the argument, and the numbers of clauses and values seen."""

    def __init__(self, rules: Rules, place: str, *, documents: bool) -> None:
        self.rules, self.place, self.documents = rules, place, documents
        self.clauses = self.values = 0

    def parse(self, node: object) -> Filter:
        if node is None:
            return EVERYTHING
        if isinstance(node, NODES):
            return node
        if isinstance(node, Mapping) and not entries_of(node, self.place):
            if self.rules.lone:
                return EVERYTHING
            raise InvalidArgumentError(f"{self.place}: got an empty dict; leave {self.place} out (or pass None) to match every record")
        return self.clause(node, self.place, 0)

    def clause(self, node: object, place: str, depth: int) -> Filter:
        stopping.check()
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise InvalidArgumentError(
                f"{self.place}: more than {MAX_CLAUSES} clauses; match many values of one key with {{key: {{'$in': [...]}}}} instead of $or"
            )
        example = "{'$contains': 'word'}" if self.documents else "{'year': {'$gte': 2000}}"
        key, operand = _only_entry(node, place, f"a dict such as {example}", lambda name: f"{{{quoted(name)}: ...}}")
        if key in JUNCTIONS:
            return self.junction(key, operand, f"{place}['{key}']", depth + 1)
        if self.documents:
            return self.document(key, operand, place)
        if key.startswith("$"):
            raise InvalidArgumentError(f"{place}: {_bare_operator(key)}")
        inner = f"{place}[{quoted(key)}]"
        if key == DOCUMENT_KEY:
            op, text = _only_entry(
                operand, inner, "a dict such as {'$contains': 'word'}", lambda op: f"{{'{DOCUMENT_KEY}': {{{quoted(op)}: ...}}}}"
            )
            return self.document(op, text, inner)
        check_text(key, inner)
        return self.metadata(key, operand, inner)

    def junction(self, op: str, operand: object, place: str, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            nested = f"$and and $or are nested deeper than {MAX_DEPTH} levels (or contain themselves)"
            raise InvalidArgumentError(f"{self.place}: {nested}; put the clauses into one list")
        if not isinstance(operand, (list, tuple)):
            raise InvalidTypeError(f"{place}: expected a list of filters, got {shown(operand)}")
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
            raise InvalidTypeError(f"{place}: expected the text to look for, a str, got {shown(text)}")
        text = str.__str__(text)
        if not text:
            raise InvalidArgumentError(f"{place}: the text to look for is empty; every document contains it, so leave the clause out")
        check_text(text, place)
        if op in ("$regex", "$not_regex"):
            try:
                checked_pattern(text)
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"{place}: {error}") from None
        return Document(op, text, self.missing(op))

    def metadata(self, key: str, operand: object, place: str) -> Filter:
        if not isinstance(operand, Mapping):
            return Compare(key, "$eq", _operand("$eq", operand, place))
        op, value = _only_entry(operand, place, "an operator and a value", lambda op: f"{{{quoted(key)}: {{{quoted(op)}: ...}}}}")
        if op not in ON_METADATA:
            cure = ""
            if op in ON_DOCUMENTS:
                cure = f"; it tests documents: put it into where_document, or write {{'{DOCUMENT_KEY}': {{'{op}': ...}}}}"
            elif op in JUNCTIONS:
                cure = f"; {op} goes outside: {{'{op}': [{{{quoted(key)}: ...}}, {{{quoted(key)}: ...}}]}}"
            raise InvalidArgumentError(f"{place}: {_unknown(op, ON_METADATA)}{cure}")
        place = f"{place}['{op}']"
        if OPERATORS[op].operand == "values":
            values = _operands(op, key, value, place, MAX_VALUES - self.values)
            self.values += len(values)
            return Member(key, op, values, self.missing(op))
        if "list" in OPERATORS[op].applies:
            return Contains(key, op, _operand(op, value, place), self.missing(op))
        return Compare(key, op, _operand(op, value, place), self.missing(op))

    def missing(self, op: str) -> bool:
        return self.rules.missing and OPERATORS[op].negates is not None


def _only_entry(node: object, place: str, expected: str, write: Callable[[str], str]) -> tuple[str, object]:
    """Return the one key of `node` and what it holds; `write` shows how to write an entry of its own for a key."""
    if not isinstance(node, Mapping):
        raise InvalidTypeError(f"{place}: expected {expected}, got {shown(node)}")
    entries = entries_of(node, place)
    if not entries:
        raise InvalidArgumentError(f"{place}: expected {expected}, got an empty dict")
    for key, _ in entries:
        if not isinstance(key, str):
            raise InvalidTypeError(f"{place}: expected {expected}; its keys are str, got {shown(key)}")
    if len(entries) > 1:
        first, second = (write(key) for key, _ in entries[:2])
        rest = ", ..." if len(entries) > 2 else ""
        raise InvalidArgumentError(f"{place}: {len(entries)} keys in one dict; say how they combine: {{'$and': [{first}, {second}{rest}]}}")
    key, value = entries[0]
    return str.__str__(key), value


def _operand(op: str, value: object, place: str) -> Scalar:
    if is_absent(value):
        raise InvalidArgumentError(f"{place}: got {shown(value)}, which no record holds; leave the clause out")
    if isinstance(value, Mapping) or (isinstance(value, Collection) and not isinstance(value, (str, bytes, bytearray))):
        cure = f"; to match any of several values use {'$nin' if op == '$ne' else '$in'}" if op in ("$eq", "$ne") else ""
        raise InvalidTypeError(f"{place}: expected one value, got {shown(value)}{cure if not isinstance(value, Mapping) else ''}")
    scalar = scalar_of(value, place)
    if kind_of(scalar) not in OPERATORS[op].kinds:
        raise InvalidArgumentError(f"{place}: {op} {_wants(op)}, got {shown(scalar)}")
    return scalar


def _wants(op: str) -> str:
    if OPERATORS[op].kinds == ORDERED:
        return "compares numbers, or datetimes (pass a datetime, not its text)"
    return "looks for an element of a list: a str, a number or a bool"


def _operands(op: str, key: str, values: object, place: str, most: int) -> tuple[Scalar, ...]:
    if not isinstance(values, Collection) or isinstance(values, (str, bytes, bytearray, Mapping)) or getattr(values, "ndim", 1) != 1:
        raise InvalidTypeError(f"{place}: expected a list of values, got {shown(values)}")
    check_unmasked(values, place)
    numeric = getattr(getattr(values, "dtype", None), "kind", "") in tuple("biuf")
    items: list[Any] = values.tolist() if numeric else sequence_of(values, place, "a list of values")  # type: ignore[attr-defined]
    if not items:
        raise InvalidArgumentError(f"{place}: the list is empty; {op} needs at least one value")
    if len(items) > most:
        raise InvalidArgumentError(f"{place}: too many values, {len(items):,}; one filter may have {MAX_VALUES:,}, so ask in several parts")
    if _is_plain(items):
        return tuple(items)
    scalars = tuple([_operand(op, item, f"{place}[{i}]") for i, item in enumerate(items)])
    kinds = list(map(kind_of, scalars))
    if len(set(kinds)) > 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        join = "$or" if op == "$in" else "$and"
        raise InvalidArgumentError(
            f"{place}: the values are of one kind (int and float may mix), got {shown(scalars[0])} and {shown(scalars[other])};"
            f" write {{'{join}': [{{{quoted(key)}: {{'{op}': [...]}}}}, {{{quoted(key)}: {{'{op}': [...]}}}}]}}"
        )
    return scalars


def _is_plain(items: list[Any]) -> bool:
    """Tell quickly that all items are scalars of one kind as they stand; False may also mean "look closer"."""
    types = set(map(type, items))
    if types == {int}:
        return bool(min(items) >= INT_MIN and max(items) <= INT_MAX)
    return types == {bool} or (types == {str} and all(map(str.isascii, items))) or (types == {float} and all(map(math.isfinite, items)))


def _unknown(op: str, known: tuple[str, ...], otherwise: str = "") -> str:
    fault = f"{op} does not apply here" if op in OPERATORS else f"unknown operator {quoted(op)}"
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
