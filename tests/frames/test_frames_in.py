"""What pandas frames may hold, and how the rest is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import enum
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from chroma_nb.errors import DuplicateIDError, InvalidArgumentError, InvalidTypeError
from chroma_nb.frames import is_frame, plain, records_of_frame
from chroma_nb.records import Records
from chroma_nb.scalars import Instant

NS = 1_729_989_000_123_456_789  # in the first of the two hours from 02:00 that Paris had that night
HOUR = 3_600_000_000_000
HALF = np.float32(0.1)


class Colour(str, enum.Enum):
    RED = "red"


def column(cells: Any) -> list[Any]:
    """Read a frame of one metadata column `key`; give the value of every row, None where the row has no metadata."""
    frame = pd.DataFrame({"key": cells})
    frame.index = frame.index.map("r{}".format)
    metadatas = records_of_frame(frame).metadatas
    assert metadatas is not None
    return [None if metadata is None else metadata["key"] for metadata in metadatas]


def objects(*cells: object) -> pd.Series[Any]:
    array = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        array[i] = cell
    return pd.Series(array, dtype=object)


PARIS = pd.DatetimeIndex(np.array([NS, NS + HOUR]).view("M8[ns]")).tz_localize("UTC").tz_convert("Europe/Paris")

KEPT: list[tuple[str, Any, list[Any]]] = [
    *((kind, pd.Series([1, 2], dtype=kind), [1, 2]) for sign in ("int", "uint") for bits in (8, 16, 32, 64) for kind in [f"{sign}{bits}"]),
    *((kind, pd.Series([1, None], dtype=kind), [1, None]) for kind in ("Int8", "Int32", "Int64", "UInt8", "UInt64")),
    ("extreme int64", pd.Series([-(2**63), 2**63 - 1]), [-(2**63), 2**63 - 1]),
    ("extreme Int64", pd.Series([2**63 - 1, None, 2**53 + 1], dtype="Int64"), [2**63 - 1, None, 2**53 + 1]),
    ("uint64 that fits", pd.Series([2**63 - 1], dtype="uint64"), [2**63 - 1]),
    ("float16", pd.Series([0.5, np.nan], dtype="float16"), [0.5, None]),
    ("float32", pd.Series([0.1], dtype="float32"), [float(HALF)]),
    ("float64", pd.Series([0.1, -0.0, 5e-324, np.nan]), [0.1, -0.0, 5e-324, None]),
    ("Float32", pd.Series([0.1, None], dtype="Float32"), [float(HALF), None]),
    ("Float64", pd.Series([0.1, None], dtype="Float64"), [0.1, None]),
    ("longdouble that fits", pd.Series(np.array([0.5, 2], np.longdouble)), [0.5, 2.0]),
    ("bool", pd.Series([True, False]), [True, False]),
    ("boolean", pd.Series([True, None], dtype="boolean"), [True, None]),
    ("str", pd.Series(["a", "", "\u00e9\U0001f600", None]), ["a", "", "\u00e9\U0001f600", None]),
    ("string", pd.Series(["a", pd.NA], dtype="string"), ["a", None]),
    ("object str", objects("a", None, np.nan, pd.NA, pd.NaT), ["a", None, None, None, None]),
    ("categorical str", pd.Series(["a", None, "a"], dtype="category"), ["a", None, "a"]),
    ("categorical int", pd.Series(pd.Categorical([3, 1, 3], categories=[1, 2, 3])), [3, 1, 3]),
    ("categorical instants", pd.Series(pd.Categorical([pd.Timestamp(5), None])), [Instant(5), None]),
    ("categorical, a bad category unused", pd.Series(pd.Categorical([1.5], categories=[np.inf, 1.5])), [1.5]),
    ("sparse", pd.Series(pd.arrays.SparseArray([1.5, np.nan])), [1.5, None]),
    *(
        (f"datetime64[{unit}]", pd.Series(["2024-01-01", None], dtype=f"datetime64[{unit}]"), [Instant(1_704_067_200 * 10**9), None])
        for unit in ("s", "ms", "us", "ns")
    ),
    ("datetime64 to the nanosecond", pd.Series(np.array([NS]).view("M8[ns]")), [Instant(NS)]),
    ("both hours of a fold", PARIS, [Instant(NS, "Europe/Paris"), Instant(NS + HOUR, "Europe/Paris")]),
    ("utc", pd.Series(pd.to_datetime([0, None], utc=True)), [Instant(0, "UTC"), None]),
    ("fixed offset", pd.Series(pd.to_datetime(["2024-01-01T02:00:00+02:00"])), [Instant(1_704_067_200 * 10**9, "+02:00")]),
    ("python datetimes", objects(dt.datetime(1970, 1, 1, 0, 0, 1)), [Instant(10**9)]),  # noqa: DTZ001 - naive on purpose
    (
        "python datetimes in a fold",
        objects(*(dt.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Paris")) for fold in (0, 1))),
        [Instant(1_729_989_000 * 10**9, "Europe/Paris"), Instant(1_729_992_600 * 10**9, "Europe/Paris")],
    ),
    (
        "Timestamp objects",
        objects(PARIS[0], PARIS[1], pd.Timestamp(5)),
        [Instant(NS, "Europe/Paris"), Instant(NS + HOUR, "Europe/Paris"), Instant(5)],
    ),
    (
        "numpy scalars",
        objects(np.int16(1), HALF, np.bool_(True), np.str_("x"), np.datetime64(5, "s")),
        [1, float(HALF), True, "x", Instant(5 * 10**9)],
    ),
    ("mixed", objects(1, 1.0, True, "1", None), [1, 1.0, True, "1", None]),
    ("lists", objects([1, 2], (True,), ["a"], [0.5], None), [(1, 2), (True,), ("a",), (0.5,), None]),
    ("arrays", objects(np.array([0.1], np.float32), np.array([1, 2], np.uint8), np.array(["a"])), [(float(HALF),), (1, 2), ("a",)]),
    ("an enum of str", objects(Colour.RED), ["red"]),
]


@pytest.mark.parametrize(("cells", "values"), [case[1:] for case in KEPT], ids=[case[0] for case in KEPT])
def test_kept(cells: Any, values: list[Any]) -> None:
    read = column(cells)
    assert repr(read) == repr(values)


REFUSED: list[tuple[str, Any, str]] = [
    ("decimal", objects(1, decimal.Decimal("1.5")), "got Decimal"),
    ("bytes", objects("a", b"b"), "decode it"),
    ("dict", objects("a", {"b": 1}), "flatten"),
    ("set", objects("a", {"b"}), "sorted"),
    ("date", objects("a", dt.date(2024, 1, 1)), "to_datetime"),
    ("time", objects("a", dt.time(1)), "got time"),
    ("uuid", objects("a", uuid.UUID(int=1)), "store str"),
    ("timedelta64", pd.to_timedelta([None, 5], unit="s"), "total_seconds"),
    ("timedelta", objects("a", dt.timedelta(1)), "total_seconds"),
    ("period", pd.Series(pd.PeriodIndex([None, "2024-01"], freq="M")), "got Period"),
    ("interval", pd.Series(pd.arrays.IntervalArray.from_tuples([np.nan, (0, 1)])), "got Interval"),
    ("cut", pd.cut(pd.Series([np.nan, 2, 3]), [0, 2, 4]), "got Interval"),
    ("complex", objects("a", 1j), "got complex"),
    ("nested list", objects("a", [[1]]), "got list"),
    ("2-D array", objects("a", np.ones((2, 2))), "shape"),
    ("empty list", objects("a", []), "empty list"),
    ("list of two kinds", objects("a", [1, 1.5]), "one type"),
    ("list with a hole", objects("a", [1.5, None]), "NoneType"),
    ("list of datetimes", objects("a", [pd.Timestamp(5)]), "one type"),
    ("inf", pd.Series([1.5, np.inf]), "finite"),
    ("-inf among texts", objects("a", -np.inf), "finite"),
    ("inf in float32", pd.Series([1.5, -np.inf], dtype="float32"), "finite"),
    ("inf in Float64", pd.Series([1.5, np.inf], dtype="Float64"), "finite"),
    ("inf as a category", pd.Series(pd.Categorical([1.5, np.inf])), "finite"),
    ("list with inf", objects("a", [np.inf]), "finite"),
    ("uint64", pd.Series([1, 2**63], dtype="uint64"), "64 bits"),
    ("UInt64", pd.Series([None, 2**64 - 1], dtype="UInt64"), "64 bits"),
    ("a huge int", objects(1, 2**63), "64 bits"),
    ("a huge negative int", objects(1, -(2**63) - 1), "64 bits"),
    ("a longdouble beyond float64", objects(1, np.longdouble(1) + np.finfo(np.longdouble).eps), "64-bit float"),
    ("year 3000", pd.Series(["2024-01-01", "3000-01-01"], dtype="datetime64[s]"), "years 1677 to 2262"),
    ("year 3000 with a zone", pd.Series(["2024-01-01", "3000-01-01"], dtype="datetime64[s]").dt.tz_localize("UTC"), "years 1677 to 2262"),
    ("year 1 as an object", objects("a", dt.datetime(1, 1, 1)), "years 1677 to 2262"),  # noqa: DTZ001
    ("a lone surrogate", objects("a", "x\ud800"), "surrogate"),
]


@pytest.mark.parametrize(("cells", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(cells: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        column(cells)
    assert "column 'key', row 'r1'" in str(caught.value)


def test_complex_columns_are_refused() -> None:
    with pytest.raises(InvalidTypeError, match=r"column 'key', row 'r0'.*got complex"):
        column(pd.Series([1j, 2], dtype="complex64"))


def framed(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns, index=["a", "b"])


def test_ids_documents_uris_and_embeddings_are_read() -> None:
    frame = framed(document=["x", None], uri=[None, "u"], embedding=[[1, 2], np.array([3, 4])], n=[1, 2])
    records = records_of_frame(frame)
    assert (records.ids, records.documents, records.uris, records.metadatas) == (["a", "b"], ["x", None], [None, "u"], [{"n": 1}, {"n": 2}])
    assert records.embeddings is not None
    assert (records.embeddings.dtype, records.embeddings.tolist()) == (np.float32, [[1, 2], [3, 4]])


def test_an_id_column_wins_over_the_index() -> None:
    assert records_of_frame(pd.DataFrame({"id": ["x", "y"], "n": [1, 2]})).ids == ["x", "y"]
    assert records_of_frame(framed(id=["x", "y"])).ids == ["x", "y"]
    both = framed(id=["a", "b"]).rename_axis("id")
    assert records_of_frame(both).ids == ["a", "b"]


def test_a_series_is_ids_and_documents() -> None:
    records = records_of_frame(pd.Series(["x", None], index=["a", "b"], name="n"))
    assert (records.ids, records.documents, records.metadatas, records.embeddings) == (["a", "b"], ["x", None], None, None)
    categories = records_of_frame(pd.Series(["x", "x"], index=pd.CategoricalIndex(["a", "b"]), dtype="category"))
    assert (categories.ids, categories.documents) == (["a", "b"], ["x", "x"])


def test_rows_without_values_have_no_metadata() -> None:
    frame = framed(n=[1.5, np.nan], s=["x", None])
    assert records_of_frame(frame).metadatas == [{"n": 1.5, "s": "x"}, None]
    assert records_of_frame(frame, removals=True).metadatas == [{"n": 1.5, "s": "x"}, {"n": None, "s": None}]
    assert records_of_frame(framed(document=["x", "y"])).metadatas is None


def test_no_embeddings_at_all_is_no_embeddings() -> None:
    assert records_of_frame(framed(embedding=[None, np.nan])).embeddings is None


def test_keys_named_like_our_columns() -> None:
    frame = pd.DataFrame([[1, 2, 3, 4]], index=["a"], columns=["metadata.id", "metadata.rank", "metadata.metadata.id", "year"])
    assert records_of_frame(frame).metadatas == [{"id": 1, "rank": 2, "metadata.id": 3, "year": 4}]
    with pytest.raises(InvalidArgumentError, match=r"'x' and 'metadata\.x' are the same metadata key"):
        records_of_frame(pd.DataFrame([[1, 2]], index=["a"], columns=["x", "metadata.x"]))


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("a counting index", pd.DataFrame({"n": [1]}), InvalidArgumentError, r"df\.set_index"),
    ("an int index", pd.DataFrame({"n": [1]}, index=[7]), InvalidTypeError, r"df\.index = df\.index\.astype\(str\)"),
    ("an index with a hole", pd.DataFrame({"n": [1, 2]}, index=["a", None]), InvalidArgumentError, "row 1: the id is missing"),
    ("a datetime index", pd.DataFrame({"n": [1]}, index=pd.to_datetime(["2024-01-01"])), InvalidTypeError, r"astype\(str\)"),
    (
        "two levels",
        pd.DataFrame({"n": [1]}, index=pd.MultiIndex.from_tuples([("a", "b")], names=["x", "y"])),
        InvalidArgumentError,
        "2 levels",
    ),
    ("an int id column", pd.DataFrame({"id": [1]}), InvalidTypeError, r"df\['id'\]\.astype\(str\)"),
    ("an empty id", pd.DataFrame({"id": [""]}), InvalidArgumentError, "at least one character"),
    ("ids twice", pd.DataFrame({"id": ["a", "a"]}), DuplicateIDError, "duplicates of: a"),
    ("two ids", framed(id=["a", "c"]).rename_axis("id"), InvalidArgumentError, "differ"),
    ("an int column name", pd.DataFrame({0: [1]}, index=["a"]), InvalidTypeError, r"df\.columns = df\.columns\.map\(str\)"),
    ("a column twice", pd.DataFrame([[1, 2]], index=["a"], columns=["n", "n"]), InvalidArgumentError, "'n' occurs twice"),
    ("no rows", pd.DataFrame({"n": []}), InvalidArgumentError, "no rows"),
    ("a reserved key", pd.DataFrame({"chroma:document": [1]}, index=["a"]), InvalidArgumentError, "reserved"),
    ("an empty key", pd.DataFrame({"": [1]}, index=["a"]), InvalidArgumentError, "at least one character"),
    ("documents that are numbers", framed(document=[1.5, 2]), InvalidTypeError, r"column 'document', row 'a'.*astype\(str\)"),
    ("a uri that is a number", framed(uri=["x", 2]), InvalidTypeError, "column 'uri', row 'b'"),
    (
        "a document with a surrogate",
        framed(document=objects("x", "\udc80").set_axis(["a", "b"])),
        InvalidArgumentError,
        "row 'b'.*surrogate",
    ),
    ("a series of numbers", pd.Series([1], index=["a"]), InvalidTypeError, "expected a str"),
    ("some embeddings", framed(embedding=[[1], None]), InvalidArgumentError, r"row 'b': no embedding.*notna"),
    ("ragged embeddings", framed(embedding=[[1], [1, 2]]), InvalidArgumentError, "inconsistent dimensions"),
    ("an embedding with nan", framed(embedding=[[1], [np.nan]]), InvalidArgumentError, "row 'b'.*not a finite"),
    ("an embedding as text", framed(embedding=["[1]", "[2]"]), InvalidTypeError, "row 'a'.*json.loads"),
    ("embeddings that are numbers", framed(embedding=[1.5, 2.5]), InvalidTypeError, "row 'a'.*list or array"),
    ("embeddings of texts", framed(embedding=[["x"], ["y"]]), InvalidTypeError, "texts"),
    ("a rank of the caller", framed(rank=[1, 2]), InvalidArgumentError, r"'rank'.*metadata\.rank"),
    ("a distance of the caller", framed(distance=[1, 2]), InvalidArgumentError, r"'distance'.*metadata\.distance"),
]


@pytest.mark.parametrize(("frame", "error", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_wrong_frames_are_refused_with_the_cure(frame: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        records_of_frame(frame)


@pytest.mark.parametrize("cells", [[1, 2], [{"a": 1}, None]])
def test_a_frame_is_never_changed(cells: list[Any]) -> None:
    frame = framed(document=["x", None], key=cells)
    before = frame.copy(deep=True)
    with contextlib.suppress(InvalidArgumentError):
        records_of_frame(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_columns_may_be_passed_field_by_field() -> None:
    frame = framed(text=["x", None], n=[1, 2], s=["a", None])
    passed = {
        "ids": frame.index,
        "embeddings": pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]}),
        "documents": frame["text"],
        "metadatas": frame[["n", "s"]],
        "uris": pd.Series(["u", pd.NA], dtype="string"),
    }
    records = Records.of(**{field: plain(values, field) for field, values in passed.items()})
    assert (records.ids, records.documents, records.uris) == (["a", "b"], ["x", None], ["u", None])
    assert records.metadatas == [{"n": 1, "s": "a"}, {"n": 2}]
    assert records.embeddings is not None
    assert records.embeddings.tolist() == [[1, 3], [2, 4]]


def test_plain_leaves_other_things_alone() -> None:
    for value in ("text", ["a"], {"n": 1}, np.eye(2), None):
        assert plain(value, "documents") is value
    assert plain(framed(n=[1, np.nan])) == [{"n": 1.0}, None]
    assert plain(framed(n=[1, np.nan]), removals=True) == [{"n": 1.0}, {"n": None}]
    assert plain(pd.DataFrame(index=["a", "b"])) == [None, None]
    with pytest.raises(InvalidTypeError, match="documents: expected one column"):
        plain(framed(n=[1, 2]), "documents")
    with pytest.raises(InvalidArgumentError, match=r"metadatas\[1\]\['n'\]"):
        plain(framed(n=[1, b"x"]))


def test_members_of_a_str_enum_are_their_values() -> None:
    records = records_of_frame(pd.DataFrame({"id": objects(Colour.RED), "document": objects(Colour.RED)}))
    assert (records.ids, records.documents) == (["red"], ["red"])


def test_what_counts_as_a_frame() -> None:
    assert is_frame(framed(n=[1, 2]))
    assert is_frame(pd.Series(["x"]))
    assert not any(is_frame(value) for value in ([], {}, None, "x", np.eye(2), pd.Index(["a"])))
