"""The values of a query builder's rows: what an input shows and holds while it is edited, and the value that it means.

Numbers travel as text, since a page's numbers end at 2**53. Called by `rows`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.scalars import INT_MAX, INT_MIN, Instant, Scalar, scalar_of, zone_of

OperandKind: TypeAlias = Literal["str", "number", "bool", "datetime"]
KINDS: Final[tuple[OperandKind, ...]] = ("str", "number", "bool", "datetime")

_DATE: Final = re.compile(
    r"(?P<wall>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,9}))?)?(?P<offset>Z|[+-]\d\d:\d\d)?"
)
_INTEGER: Final = re.compile(r"[+-]?\d+")
_BILLION: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Operand:
    """A value as it stands in an input.

    Parameters
    ----------
    kind
        Which input.
    text
        What it shows: of a datetime the clock on the wall in `zone`, ISO 8601.
    zone
        Time zone of a datetime, None for one without.
    ns
        The exact moment, as long as nobody has edited the text.
    """

    kind: OperandKind
    text: str
    zone: str | None = None
    ns: int | None = None

    @classmethod
    def of(cls, value: Scalar) -> Operand:
        """Return the operand that means `value`.

        Examples
        --------
        >>> Operand.of(1.0).text, Operand.of(Instant(0, "+02:00")).text
        ('1.0', '1970-01-01T02:00:00')
        """
        if isinstance(value, str):
            return cls("str", value)
        if isinstance(value, bool):
            return cls("bool", "true" if value else "false")
        if isinstance(value, Instant):
            return cls("datetime", _wall(value), value.zone, value.ns)
        return cls("number", repr(value))

    def scalar(self) -> Scalar:
        """Return the value that is meant.

        Raises
        ------
        InvalidArgumentError
            The text is none of that kind.
        """
        text = self.text.strip()
        match self.kind:
            case "str":
                return scalar_of(self.text, "where")
            case "bool":
                return text == "true"
            case "number":
                return _number(text)
            case "datetime":
                return Instant(self.ns, self.zone) if self.ns is not None else _moment(text, self.zone)

    def to_json(self) -> dict[str, Any]:
        """Return the operand as the page has it."""
        made: dict[str, Any] = {"kind": self.kind, "text": self.text}
        if self.kind == "datetime":
            made |= {"zone": self.zone, "ns": None if self.ns is None else str(self.ns)}
        return made

    @classmethod
    def from_json(cls, given: object) -> Operand:
        """Read an operand that a page sent.

        Raises
        ------
        InvalidArgumentError
            It is not in the form that `to_json` gives.
        """
        if not isinstance(given, Mapping) or given.get("kind") not in KINDS or not isinstance(given.get("text"), str):
            raise InvalidArgumentError("value: expected an object with kind and text")
        zone, ns = given.get("zone"), given.get("ns")
        if zone is not None:
            zone_of(zone if isinstance(zone, str) else "?")
        exact = int(ns) if isinstance(ns, str) and _INTEGER.fullmatch(ns) and len(ns) < 21 else None
        return cls(given["kind"], given["text"], zone, exact if exact is not None and INT_MIN < exact <= INT_MAX else None)


def _wall(value: Instant) -> str:
    if value.zone is None:
        return value.iso()
    seconds, fraction = divmod(value.ns, _BILLION)
    offset = (_EPOCH_UTC + dt.timedelta(seconds=seconds)).astimezone(zone_of(value.zone)).utcoffset() or dt.timedelta(0)
    shifted = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds) + offset  # noqa: DTZ001 - the clock on the wall
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return shifted.isoformat(timespec="seconds") + digits


_EPOCH_UTC: Final = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def _number(text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        value: int | float = int(text) if len(text) <= 20 else INT_MAX + 1
        if not INT_MIN <= value <= INT_MAX:
            raise InvalidArgumentError("the number does not fit 64 bits; write it with a decimal point if rounding is fine")
        return value
    try:
        value = float(text)
    except ValueError:
        raise InvalidArgumentError(f"{text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise InvalidArgumentError(f"{text[:40]!r} is not a finite number")
    return value


def _moment(text: str, zone: str | None) -> Instant:
    found = _DATE.fullmatch(text)
    if found is None:
        raise InvalidArgumentError(f"{text[:40]!r} is not a date; write it as 2024-12-31 or 2024-12-31T23:59:59")
    try:
        wall = dt.datetime.fromisoformat(f"{found['wall']}T{found['time'] or '00:00'}")
        offset = found["offset"]
        if offset is not None:
            wall = wall.replace(tzinfo=zone_of("UTC" if offset == "Z" else offset))
        elif zone is not None:
            wall = wall.replace(tzinfo=zone_of(zone))
        whole = scalar_of(wall, "date")
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from None
    assert isinstance(whole, Instant)  # noqa: S101 - of a datetime
    ns = whole.ns + int((found["fraction"] or "0").ljust(9, "0"))
    if not INT_MIN < ns <= INT_MAX:
        raise InvalidArgumentError(f"{text[:40]!r} is outside the years 1677 to 2262 that nanoseconds can count")
    return Instant(ns, whole.zone if zone is None else zone)
