"""Values that no caller means: classes that lie about themselves, masked and nested arrays, texts and numbers at their ends."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from chroma_nb.scalars import Instant


def _fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("a method of a foreign class")


def lying(base: type, *methods: str, **answers: Any) -> type:
    """Return a subclass whose `methods` raise and whose other methods give `answers`."""
    failing = {f"__{name}__": _fail for name in methods}
    return type(f"Lying{base.__name__.title()}", (base,), {**failing, **{f"__{name}__": answer for name, answer in answers.items()}})


_SAYING = ("str", "repr", "format", "bool", "lt", "le", "gt", "ge")
Text = lying(str, *_SAYING, "len", "getitem", "iter", "contains", hash=lambda _: 7, eq=lambda *_: True, ne=lambda *_: True)
Whole = lying(int, *_SAYING, "int", "index", "eq", "ne", hash=lambda _: 7)
Real = lying(float, *_SAYING, "float", "eq", "ne", hash=lambda _: 7)
Thing = lying(object, "str", "repr")
AsArray = lying(object, "array", "repr")
Unreadable = lying(dict, "iter", "len", "getitem", items=lambda _: _fail())
Unreadable.items = _fail  # type: ignore[attr-defined]
Attributes = lying(object, "getattr")
Zone = type("Zone", (dt.tzinfo,), {"utcoffset": _fail, "dst": _fail, "tzname": _fail})


class Short:
    """Says it is longer than it is."""

    def __init__(self, said: int) -> None:
        self.said = said

    def __len__(self) -> int:
        return self.said

    def __getitem__(self, i: int) -> float:
        return [1.0, 2.0][i]

    def __iter__(self) -> Iterator[float]:
        return iter([1.0, 2.0])


class Endless(list[Any]):
    """A list whose length no memory holds."""

    def __len__(self) -> int:
        return 2**62


class Member(str, enum.Enum):
    """A text that is shown as something else."""

    YEAR = "year"


class Number(enum.IntEnum):
    """A number that is shown as something else."""

    ONE = 1


def broken() -> Iterator[list[float]]:
    yield [1.0, 2.0]
    raise OSError("the source is gone")


_circle: list[Any] = []
_circle.append(_circle)
_masked = np.ma.masked_array
MASKED: list[Any] = [
    _masked(np.ones((1, 2)), mask=[[1, 0]]),
    [_masked([1.0, 2.0], mask=[0, 1])],
    [[1.0, np.ma.masked]],
    np.ma.masked,
    [np.ma.masked],
    _masked(["a"], mask=[1]),
    _masked([1], mask=[1]),
    np.ma.array(5, mask=True),
    _masked([("a", 1)], dtype=[("x", "U1"), ("y", int)], mask=[(1, 0)]),
    _masked([1.0, 2.0], mask=[1, 0], dtype=object),
]
_classes = [
    Text("abc"),
    Text(""),
    Text("$x"),
    [Text("a")],
    Whole(3),
    [Whole(1)],
    Real(1.5),
    Real("nan"),
    [[Real(1.0), Whole(2)]],
    Thing(),
    AsArray(),
]
_classes += [
    [AsArray()],
    Attributes(),
    Unreadable(a=1),
    {Text("k"): 1},
    {Whole(1): 2},
    Short(2**62),
    Short(3),
    [Short(3)],
    Endless([1]),
    Member.YEAR,
]
_classes += [
    Number.ONE,
    np.str_("abc"),
    np.bytes_(b"a"),
    _circle,
    broken(),
    iter([[1.0, 2.0]]),
    {"a": 1}.keys(),
    memoryview(b"ab"),
    len,
    type,
    Thing,
]
_numbers = [
    1,
    1.5,
    True,
    None,
    10**400,
    -(10**5000),
    float("nan"),
    float("inf"),
    1j,
    np.float16(1),
    np.float32(1e30),
    np.longdouble("1e400"),
]
_numbers += [
    np.uint64(2**64 - 1),
    np.bool_(True),
    [[10**400, 1]],
    [[np.longdouble("1e400"), 1]],
    [[1.0], [1.0, 2.0]],
    [[1.0, None]],
    [[1.0, pd.NA]],
]
_numbers += [[[1.0, pd.NaT]], pd.NA, [None], [[1]], [[[1.0]]], [], {}, (), set(), range(2), [1, "a"]]
_moments = [
    np.datetime64("NaT"),
    np.datetime64(2**62, "D"),
    np.timedelta64(1, "s"),
    pd.NaT,
    [pd.NaT],
    pd.Timestamp.max,
    dt.datetime.max,  # noqa: DTZ901 - without a zone is what is meant
    dt.date.max,
]
_moments += [dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-12))), dt.datetime(2020, 1, 1, tzinfo=Zone()), pd.Timedelta(1)]
_moments += [pd.Period("2020"), Instant("x"), Instant(10**30), Instant(1, 5), Instant(1, "\ud800")]  # type: ignore[arg-type]
_texts = ["", "\ud800", "a\0b", "x" * 1_000_000, "\x1b[2J\u202e", b"a", bytearray(b"a"), [["x" * 1000, 1.0]], ["x" * 1_000_000]]
_arrays = [
    np.array(5),
    np.array("a"),
    np.array(None),
    np.array([["x", "y"]]),
    np.array([[1.0, 2.0]], object),
    np.array([[1e300, 1]]),
    np.zeros((1, 0)),
]
_arrays += [
    np.zeros((0, 2)),
    np.zeros((1, 65_537)),
    np.zeros((1, 1, 2)),
    np.array([[1, 2]], "c8"),
    np.array([(1, 2)], [("a", int), ("b", int)]),
]
_arrays += [np.array(["2020"], "M8[D]"), np.array([b"x"]), pd.Series([pd.NA], dtype="Int64"), pd.Series([[1.0, 2.0]]), pd.Index(["a"])]
_arrays += [pd.DataFrame({0: [1.0]}), pd.DataFrame({"0": pd.array([1.0, None], "Float64")}), pd.DataFrame(), pd.Categorical(["a"])]
ODD: list[Any] = [*_classes, *_numbers, *_moments, *_texts, *_arrays, *MASKED]
