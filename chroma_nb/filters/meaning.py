"""The meaning of filters: in words here, in code in `matches`, the oracle that every faster evaluation is tested against.

Must not live here: numpy, storage, anything done for speed. Called by the tests of those evaluations.

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

from collections.abc import Mapping

from typing_extensions import assert_never

from chroma_nb.filters.operators import COMPARISONS, OPERATORS, comparable, kind_of
from chroma_nb.filters.patterns import is_found
from chroma_nb.filters.tree import And, Compare, Contains, Document, Everything, Filter, Member, Or
from chroma_nb.scalars import Value


def matches(filter: Filter, metadata: Mapping[str, Value] | None, document: str | None) -> bool:  # noqa: A002 - the field's name
    """Tell whether one record matches: what a filter means, in the plainest words.

    Examples
    --------
    >>> from chroma_nb.filters import parse_where
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
    return is_found(test.text, document)


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
