"""The operators of filters, one row each, and the kinds of values that they compare.

Must not live here: the tree and its parser, which read these rows. Called by every other module of this package, by the evaluator of
whole columns, and by widgets that offer operators.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from chroma_nb.scalars import Instant, Value

DOCUMENT_KEY: Final = "#document"
"""The key that stands for the document inside a ``where``."""

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
ORDERED: Final[tuple[Kind, ...]] = ("number", "naive datetime", "zoned datetime")
_ELEMENT: Final[tuple[Kind, ...]] = ("str", "number", "bool")

OPERATORS: Final[Mapping[str, Operator]] = {
    row.token: row
    for row in (
        Operator("$eq", "=", "is", ("metadata",), _ANY),
        Operator("$ne", "≠", "is not", ("metadata",), _ANY, negates="$eq"),
        Operator("$gt", ">", "is greater than", ("metadata",), ORDERED),
        Operator("$gte", "≥", "is at least", ("metadata",), ORDERED),
        Operator("$lt", "<", "is less than", ("metadata",), ORDERED),
        Operator("$lte", "≤", "is at most", ("metadata",), ORDERED),
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


def comparable(value: Value) -> Any:
    """Return what two values of one kind are compared by: nanoseconds for an instant (its zone is how it was written), else itself."""
    return value.ns if isinstance(value, Instant) else value
