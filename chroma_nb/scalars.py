"""What a metadata value may be, and how foreign values become one.

A value is a text, a 64-bit integer, a finite float, a bool, an instant in time, or a non-empty array of one of the first
four. Everything that reaches a backend has passed through `value_of`, so no room below asks again. Absence (None, NaN,
NaT, ``pandas.NA``) is decided here too: a key whose value is absent is simply not there. A masked value is neither absent nor a
value, and is refused.

pandas and numpy.ma are recognised without importing them: their classes can only arrive once the caller has imported them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from chroma_nb.brief import said, shown
from chroma_nb.errors import ChromaError, InvalidArgumentError, InvalidTypeError
from chroma_nb.optional import loaded

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - instants without a zone are a kind of their own


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment, exact to the nanosecond.

    Parameters
    ----------
    ns
        Nanoseconds since 1970-01-01: of UTC when `zone` is set, else of the clock on the wall.
    zone
        Name of the time zone the value was written in (``"Europe/Paris"``, ``"UTC"``, ``"+02:00"``), None for a naive one.

    Examples
    --------
    >>> Instant(0, None).iso()
    '1970-01-01T00:00:00'
    >>> Instant(1_500_000_000, "UTC").iso()
    '1970-01-01T00:00:01.500+00:00'
    """

    ns: int
    zone: str | None = None

    def iso(self) -> str:
        """Return the ISO 8601 text that clients without instants see."""
        seconds, fraction = divmod(self.ns, 1_000_000_000)
        moment = _EPOCH + dt.timedelta(seconds=seconds)
        offset = ""
        if self.zone is not None:
            aware = moment.replace(tzinfo=dt.timezone.utc).astimezone(zone_of(self.zone))
            moment = aware.replace(tzinfo=None)
            offset = aware.strftime("%z")
            offset = f"{offset[:3]}:{offset[3:5]}"
        text = f"{fraction:09d}"
        while text.endswith("000"):
            text = text[:-3]
        return moment.isoformat(timespec="seconds") + (f".{text}" if text else "") + offset


Scalar: TypeAlias = "str | int | float | bool | Instant"
Value: TypeAlias = "Scalar | tuple[str, ...] | tuple[int, ...] | tuple[float, ...] | tuple[bool, ...]"
Metadata: TypeAlias = Mapping[str, Value]

PLAIN = frozenset((str, int, float, bool))


def zone_of(name: str) -> dt.tzinfo:
    """Return the time zone called `name`: an IANA name, ``UTC``, or an offset such as ``+02:00`` or ``-00:00:20``.

    Raises
    ------
    InvalidArgumentError
        No such zone is known on this machine.
    """
    if name == "UTC":
        return dt.timezone.utc
    try:
        if name[:1] not in ("+", "-"):
            return ZoneInfo(name)
        parts = [float(part) for part in name[1:].split(":")]
        offset = sum((dt.timedelta(seconds=part * 60**power) for part, power in zip(parts, (2, 1, 0), strict=False)), dt.timedelta(0))
        return dt.timezone(-offset if name[0] == "-" else offset)
    except (LookupError, ValueError, OverflowError, OSError):
        message = f"the time zone {name[:60]!r} is not known on this machine; install the package tzdata, or use UTC"
        raise InvalidArgumentError(message) from None


def zone_key(zone: dt.tzinfo) -> str | None:
    """Return the name under which `zone_of` finds `zone` again, None for a zone that has only an offset at a time.

    Examples
    --------
    >>> zone_key(ZoneInfo("Europe/Paris")), zone_key(dt.timezone(dt.timedelta(hours=2)))
    ('Europe/Paris', '+02:00')
    """
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(name, str):
        try:
            zone_of(name)
        except InvalidArgumentError:
            return None
        return name
    fixed = zone.utcoffset(None)
    return None if fixed is None else _offset_name(fixed)


def is_absent(value: object) -> bool:
    """Tell whether `value` means "no value": None, a NaN, NaT or ``pandas.NA``."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, np.generic):
        return (isinstance(value, np.floating) and bool(np.isnan(value))) or (isinstance(value, np.datetime64) and bool(np.isnat(value)))
    return value is loaded("pandas", "NA") or value is loaded("pandas", "NaT")


def check_unmasked(value: object, place: str) -> None:
    """Refuse a masked array of numpy in which something is masked: what stands behind the mask is not data."""
    masked = loaded("numpy.ma", "MaskedArray")
    if masked is not None and isinstance(value, masked) and value.dtype.names is None and np.ma.is_masked(value):
        raise InvalidArgumentError(f"{place}: has masked values; put values in their place with .filled(...), or leave such records out")


def unwrapped(value: object) -> object:
    """Return the plain value of a numpy scalar or of a subclass of str, int or float; anything else, long doubles too, as it is.

    The plain type's own methods are asked: what a subclass says of itself (an enum's member its name) is not its value.

    Examples
    --------
    >>> unwrapped(np.str_("year")), unwrapped(np.int8(3)), unwrapped(None)
    ('year', 3, None)
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return value if isinstance(value, bool) else int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (np.bool_, np.integer, np.float16, np.float32)):
        return np.generic.item(value)
    return value


def plain_text(value: object, place: str) -> str:
    """Return a name, a key or a text as plain str.

    Raises
    ------
    InvalidTypeError
        It is none.
    """
    if not isinstance(value, str):
        raise InvalidTypeError(f"{place}: expected a str, got {shown(value)}")
    return value if type(value) is str else str.__str__(value)


def sequence_of(values: object, place: str, expected: str) -> list[Any]:
    """Return a list, tuple, array or other iterable of values as a list of its own.

    Raises
    ------
    InvalidTypeError, InvalidArgumentError
        It is none (a text or a dict is none here), something in it is masked, or its own code failed.
    """
    if type(values) in (list, tuple):
        return list(values)  # type: ignore[call-overload,no-any-return]
    if isinstance(values, np.ndarray) and values.ndim:
        check_unmasked(values, place)
        return values.tolist() if values.ndim == 1 else list(values)
    if isinstance(values, (str, bytes, Mapping, np.ndarray)) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"{place}: expected {expected}, got {shown(values)}")
    try:
        return list(values)
    except Exception as error:  # a foreign iterator or length may do anything
        raise InvalidTypeError(f"{place}: the {type(values).__name__} cannot be read ({said(error)}); expected {expected}") from error


def entries_of(mapping: Mapping[Any, Any], place: str) -> list[tuple[Any, Any]]:
    """Return the keys and values of a mapping, of whatever class it is.

    Raises
    ------
    InvalidTypeError
        Its own code failed.
    """
    try:
        return [(key, value) for key, value in mapping.items()]
    except Exception as error:
        raise InvalidTypeError(f"{place}: the {type(mapping).__name__} cannot be read ({said(error)}); pass a dict") from error


def value_of(value: object, place: str) -> Value:
    """Turn one metadata value that is not absent into a `Value`.

    Raises
    ------
    InvalidArgumentError
        It cannot be kept exactly; the message names `place` and what to use instead.

    Examples
    --------
    >>> import numpy as np
    >>> value_of(np.int32(3), "metadatas[0]['n']"), value_of([1, 2], "metadatas[0]['n']")
    (3, (1, 2))
    """
    if isinstance(value, (list, tuple, np.ndarray)):
        return _array_of(value, place)
    return scalar_of(value, place)


def scalar_of(value: object, place: str) -> Scalar:
    """Turn `value` into a `Scalar`; numpy and pandas scalars and datetimes are welcome.

    Raises
    ------
    InvalidArgumentError
        It is of another type, not finite, beyond 64 bits, or not valid text.
    """
    kind = type(value)
    if kind is str:
        return _text(value, place)  # type: ignore[arg-type]
    if kind is bool:
        return value  # type: ignore[return-value]
    if kind is int:
        return _integer(value, place)  # type: ignore[arg-type]
    if kind is float:
        return _finite(value, place)  # type: ignore[arg-type]
    if isinstance(value, Instant):
        return _checked_instant(value, place)
    if isinstance(value, np.longdouble):
        with np.errstate(over="ignore"):
            plain = float(value)
        if plain != value:
            raise InvalidArgumentError(f"{place}: {value!r} does not fit a 64-bit float; convert it with float() to accept the rounding")
        return _finite(plain, place)
    if isinstance(value, np.datetime64):
        return _instant_of_datetime64(value, place)
    if isinstance(value, dt.datetime):
        try:
            return _instant_of_datetime(value, place)
        except ChromaError:
            raise
        except Exception as error:  # a time zone is the caller's own code, and the first and last years have no UTC
            raise InvalidArgumentError(f"{place}: {shown(value)} is no moment in UTC ({said(error)}); store it as text") from error
    unwound = unwrapped(value)
    if type(unwound) in PLAIN:
        return scalar_of(unwound, place)
    check_unmasked(value, place)
    found = "NoneType" if value is None else shown(value)
    raise InvalidTypeError(
        f"{place}: expected str, int, float, bool, datetime or a list of one of the first four, got {found}{_cure(value)}"
    )


def _text(value: str, place: str) -> str:
    check_text(value, place)
    return value


def check_text(value: str, place: str) -> None:
    """Refuse text that cannot be written as UTF-8 (a lone surrogate)."""
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"{place}: the text has a lone surrogate at position {error.start}, which is no valid Unicode;"
            " clean it with text.encode('utf-8', 'replace').decode()"
        ) from None


def _integer(value: int, place: str) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise InvalidArgumentError(
            f"{place}: the integer {shown(value)} does not fit 64 bits; store it as str, or as float if rounding is fine"
        )
    return value


def _finite(value: float, place: str) -> float:
    if not math.isfinite(value):
        raise InvalidArgumentError(f"{place}: {value!r} is not a finite number; leave the key out, or store a text")
    return value


def _array_of(values: Sequence[object] | np.ndarray[Any, Any], place: str) -> Value:
    if isinstance(values, np.ndarray):
        check_unmasked(values, place)
        if values.ndim != 1:
            raise InvalidArgumentError(f"{place}: expected a flat array, got shape {values.shape}")
        values = values.tolist() if values.dtype.kind in "biufU" else list(values)
    elif type(values) not in (list, tuple):
        values = sequence_of(values, place, "a flat array")
    if not values:
        raise InvalidArgumentError(f"{place}: an empty list cannot be kept, its type is unknown; leave the key out")
    items = tuple(scalar_of(item, f"{place}[{i}]") for i, item in enumerate(values))
    kinds = {type(item) for item in items}
    if len(kinds) > 1 or Instant in kinds:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidArgumentError(f"{place}: a list must hold values of one type (all str, all int, all float or all bool), got {found}")
    return items  # type: ignore[return-value]


def _checked_instant(value: Instant, place: str) -> Instant:
    if type(value.ns) is not int or not INT_MIN < value.ns <= INT_MAX or not (value.zone is None or type(value.zone) is str):
        raise InvalidArgumentError(
            f"{place}: expected an Instant of nanoseconds since 1970 (64 bits) and the name of a time zone, or None,"
            f" got {shown(value.ns)} and {shown(value.zone)}"
        )
    if value.zone is not None:
        check_text(value.zone, place)
    return value if type(value) is Instant else Instant(value.ns, value.zone)


def _instant_of_datetime64(value: np.datetime64, place: str) -> Instant:
    ns = value.astype("datetime64[ns]")
    if ns.astype(value.dtype) != value:
        raise InvalidArgumentError(f"{place}: {value!r} is outside the years 1677 to 2262 that nanoseconds can count; store it as text")
    return Instant(int(ns.astype(np.int64)), None)


def _instant_of_datetime(value: dt.datetime, place: str) -> Instant:
    nanosecond = int(getattr(value, "nanosecond", 0))
    zone = None if value.tzinfo is None else _zone_name(value)
    moment = dt.datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold
    )
    if zone is not None:
        moment = moment.astimezone(dt.timezone.utc).replace(tzinfo=None)
    since = moment - _EPOCH
    ns = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000 + nanosecond
    if not INT_MIN < ns <= INT_MAX:
        found = shown(value)
        raise InvalidArgumentError(f"{place}: {found} is outside the years 1677 to 2262 that nanoseconds can count; store it as text")
    return Instant(ns, zone)


def _zone_name(value: dt.datetime) -> str:
    name = None if value.tzinfo is None else zone_key(value.tzinfo)
    return name or _offset_name(value.utcoffset() or dt.timedelta(0))


def _offset_name(offset: dt.timedelta) -> str:
    if not offset:
        return "UTC"
    sign = "-" if offset < dt.timedelta(0) else "+"
    return f"{sign}{_EPOCH + abs(offset):%H:%M:%S.%f}".removesuffix(".000000").removesuffix(":00")


def _cure(value: object) -> str:
    if isinstance(value, dict):
        return "; flatten the dict into keys such as 'a.b', or store json.dumps(value)"
    if isinstance(value, (dt.date, dt.timedelta)):
        return "; use pandas.to_datetime(value), or its text" if isinstance(value, dt.date) else "; store its total_seconds()"
    if isinstance(value, (bytes, bytearray)):
        return "; decode it to str"
    if isinstance(value, (set, frozenset)):
        return "; use sorted(value)"
    return "; store str(value)"
