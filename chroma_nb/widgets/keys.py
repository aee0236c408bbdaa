"""What a query builder offers: the fields of a collection, the operators that fit them, and their values.

Which operators there are and what they are called comes from the engine's own table; nothing is listed twice. Called by the builder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chroma_nb.filters import DOCUMENT_KEY, ON_DOCUMENTS, ON_METADATA, OPERATORS, Kind, kind_of
from chroma_nb.frames import column_of
from chroma_nb.results import FieldSummary, Summary
from chroma_nb.scalars import Instant, Scalar, Value, scalar_of
from chroma_nb.widgets.operands import Operand, OperandKind
from chroma_nb.widgets.rows import BETWEEN

MOST: Final = 5_000
"""Distinct values of a field that are looked through for what someone types."""
_OFFERED: Final = 50
_LABEL: Final = 200
_KIND_OF_TYPE: Final[Mapping[str, OperandKind]] = {
    "str": "str",
    "int": "number",
    "float": "number",
    "bool": "bool",
    "datetime": "datetime",
}

_KIND_OF_KIND: Final[Mapping[Kind, OperandKind]] = {
    "str": "str",
    "number": "number",
    "bool": "bool",
    "naive datetime": "datetime",
    "zoned datetime": "datetime",
}


@dataclass(frozen=True)
class Offered:
    """A field that a row can be about.

    Parameters
    ----------
    key
        The metadata key, or `DOCUMENT_KEY`.
    label
        What it is called; differs from the key where that could be taken for something else.
    note
        Types and coverage, for people.
    kinds, elements
        Kinds of its single values, and of the elements of its lists.
    operators
        Tokens of what fits, and `BETWEEN`.
    whole
        Whether all its numbers are integers.
    least, greatest
        Its range, None for what has none.
    zone
        Time zone of its datetimes.
    """

    key: str
    label: str
    note: str
    kinds: tuple[OperandKind, ...]
    elements: tuple[OperandKind, ...]
    operators: tuple[str, ...]
    whole: bool = False
    least: Operand | None = None
    greatest: Operand | None = None
    zone: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the field as the page has it."""
        ends = {name: None if end is None else end.to_json() for name, end in (("least", self.least), ("greatest", self.greatest))}
        texts = {"key": self.key, "label": self.label[:_LABEL], "note": self.note, "zone": self.zone, "whole": self.whole}
        return {**texts, **ends, "kinds": self.kinds, "elements": self.elements, "operators": self.operators}


def operators() -> list[dict[str, Any]]:
    """Return the table of operators for the page: those of the engine, and "is between" for its two that make a range."""
    rows = [
        {
            "token": row.token,
            "sentence": row.sentence,
            "kinds": _operand_kinds(row.kinds),
            "operand": row.operand,
            "list": "list" in row.applies,
        }
        for row in OPERATORS.values()
        if row.operand != "filters"
    ]
    low = OPERATORS["$gte"]
    between = {"token": BETWEEN, "sentence": "is between", "kinds": _operand_kinds(low.kinds), "operand": "range", "list": False}
    place = next(i for i, row in enumerate(rows) if row["token"] == "$in")  # noqa: S105 - an operator's
    return [*rows[:place], between, *rows[place:]]


def offered(summary: Summary) -> list[Offered]:
    """Return the fields of a collection, the document first, then those that most records have."""
    count = summary.info.count
    fields = sorted(summary.fields, key=lambda each: -each.present)
    note = f"text · {_share(summary.documents, count)}"
    document = Offered(DOCUMENT_KEY, "document", note, ("str",), ("str",), ON_DOCUMENTS)
    return [document, *(_offered(each, count) for each in fields)]


def unknown() -> Offered:
    """Return what is offered for a key that no record has: everything."""
    kinds: tuple[OperandKind, ...] = ("str", "number", "bool", "datetime")
    return Offered("", "", "no record has it", kinds, ("str", "number", "bool"), (*ON_METADATA, BETWEEN))


def _offered(summary: FieldSummary, count: int) -> Offered:
    kinds = tuple(dict.fromkeys(_KIND_OF_TYPE[name] for name in summary.types if name in _KIND_OF_TYPE))
    lists = [each for each in summary.samples if isinstance(each, tuple)]
    elements = tuple(dict.fromkeys(Operand.of(item).kind for each in lists for item in each[:1]))
    least, greatest = summary.minimum, summary.maximum
    return Offered(
        summary.key,
        column_of(summary.key),
        f"{', '.join(summary.types)} · {_share(summary.present, count)}",
        kinds,
        (elements or ("str", "number", "bool")) if "list" in summary.types else (),
        _fitting(kinds, lists="list" in summary.types),
        "float" not in summary.types,
        None if least is None else Operand.of(least),
        None if greatest is None else Operand.of(greatest),
        least.zone if isinstance(least, Instant) else None,
    )


def _fitting(kinds: tuple[OperandKind, ...], *, lists: bool) -> tuple[str, ...]:
    tokens = [
        token
        for token in ON_METADATA
        if ("metadata" in OPERATORS[token].applies and set(_operand_kinds(OPERATORS[token].kinds)) & set(kinds))
        or ("list" in OPERATORS[token].applies and lists)
    ]
    return (*tokens, BETWEEN) if "$gte" in tokens else tuple(tokens)


def _operand_kinds(kinds: tuple[Kind, ...]) -> list[OperandKind]:
    return list(dict.fromkeys(_KIND_OF_KIND[kind] for kind in kinds if kind in _KIND_OF_KIND))


def _share(part: int, whole: int) -> str:
    if not whole or part == whole:
        return "all records" if whole else "no records"
    share = 100 * part / whole
    return f"{share:.0f} % of records" if share >= 1 else f"{part:,} records"


class Suggestions:
    """Values of fields with their counts, kept until the collection changes; for one builder.

    Parameters
    ----------
    counts
        Key and number -> that many of its most frequent values, with counts.
    """

    def __init__(self, counts: Callable[[str, int], Mapping[Any, int]]) -> None:
        self._counts = counts
        self._known: dict[str, list[tuple[Scalar, int]]] = {}

    def forget(self) -> None:
        """Ask anew from now on."""
        self._known = {}

    def matching(self, key: str, typed: str) -> tuple[list[tuple[Operand, int]], int]:
        """Return values of `key` that contain `typed`, most frequent first, and how many more there are.

        Case does not matter. Elements of lists are values too.
        """
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _flat(self._counts(key, MOST))
        wanted = typed.casefold()
        found = [(value, count) for value, count in known if wanted in _text(value).casefold()]
        # What begins with the text before what merely contains it; the sort keeps the order by frequency.
        found.sort(key=lambda each: not _text(each[0]).casefold().startswith(wanted))
        return [(Operand.of(value), count) for value, count in found[:_OFFERED]], len(found) - len(found[:_OFFERED])


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else str(value)


def _flat(counts: Mapping[Any, int]) -> list[tuple[Scalar, int]]:
    totals: Counter[tuple[str, Scalar]] = Counter()
    for value, count in counts.items():
        items: tuple[Value, ...] = tuple(dict.fromkeys(value)) if isinstance(value, (tuple, list)) else (value,)
        for item in items:
            scalar = scalar_of(item, "value")
            totals[kind_of(scalar), scalar] += int(count)
    return [(value, count) for (_, value), count in totals.most_common()]
