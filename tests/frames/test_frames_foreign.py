"""polars and pyarrow frames, and pandas frames backed by arrow."""

from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from chroma_nb.errors import DuplicateIDError, InvalidArgumentError, InvalidTypeError
from chroma_nb.frames import is_frame, plain, records_of_frame
from chroma_nb.records import Records
from chroma_nb.scalars import Instant

NS = 1_729_989_000_123_456_789
UTC = dt.timezone.utc


def arrow_backed(**columns: Any) -> pd.DataFrame:
    """Return the same columns as a pandas frame of arrow dtypes, ids in its index."""
    frame = pd.DataFrame({name: pd.Series(values, dtype=pd.ArrowDtype(values.type)) for name, values in columns.items()})
    return frame.set_index(pd.Index(["a", "b"]))


ARROW: list[tuple[str, Any, list[Any]]] = [
    ("int8", pa.array([1, None], pa.int8()), [1, None]),
    ("int64", pa.array([2**63 - 1, -(2**63)]), [2**63 - 1, -(2**63)]),
    ("float32", pa.array([0.1, None], pa.float32()), [float(np.float32(0.1)), None]),
    ("double", pa.array([-0.0, float("nan")]), [-0.0, None]),
    ("bool", pa.array([True, None]), [True, None]),
    ("string", pa.array(["\u00e9", None]), ["\u00e9", None]),
    ("large string", pa.array(["x", None], pa.large_string()), ["x", None]),
    ("dictionary", pa.array(["x", None]).dictionary_encode(), ["x", None]),
    ("list", pa.array([["x"], None]), [("x",), None]),
    ("fixed-size list", pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), [(1, 2), None]),
    ("timestamp[ns]", pa.array([NS, None], pa.timestamp("ns")), [Instant(NS), None]),
    ("timestamp[s]", pa.array([5, None], pa.timestamp("s")), [Instant(5 * 10**9), None]),
    ("timestamp with a zone", pa.array([NS, None], pa.timestamp("ns", "Europe/Paris")), [Instant(NS, "Europe/Paris"), None]),
    ("timestamp with an offset", pa.array([NS, None], pa.timestamp("ns", "+02:00")), [Instant(NS, "+02:00"), None]),
    ("null", pa.nulls(2), [None, None]),
]


@pytest.mark.parametrize(("cells", "values"), [case[1:] for case in ARROW], ids=[case[0] for case in ARROW])
def test_arrow_columns(cells: Any, values: list[Any]) -> None:
    table = pa.table({"id": ["a", "b"], "key": cells})
    expected = repr([None if value is None else {"key": value} for value in values])
    assert repr(records_of_frame(table).metadatas) == expected
    assert repr(records_of_frame(arrow_backed(key=cells)).metadatas) == expected
    assert repr(plain(pa.table({"key": cells}))) == expected
    sliced = pa.concat_tables([table.slice(0, 1), table.slice(1, 1)])
    assert repr(records_of_frame(sliced).metadatas) == expected


POLARS: list[tuple[str, Any, list[Any]]] = [
    ("Int8", pl.Series([1, None], dtype=pl.Int8), [1, None]),
    ("UInt64", pl.Series([2**63 - 1, None], dtype=pl.UInt64), [2**63 - 1, None]),
    ("Float32", pl.Series([0.1, None], dtype=pl.Float32), [float(np.float32(0.1)), None]),
    ("Float64", pl.Series([-0.0, float("nan")]), [-0.0, None]),
    ("Boolean", pl.Series([True, None]), [True, None]),
    ("String", pl.Series(["\u00e9", None]), ["\u00e9", None]),
    ("Categorical", pl.Series(["x", None], dtype=pl.Categorical), ["x", None]),
    ("Enum", pl.Series(["x", None], dtype=pl.Enum(["y", "x"])), ["x", None]),
    ("List", pl.Series([["x"], None]), [("x",), None]),
    ("Array", pl.Series([[1, 2], None], dtype=pl.Array(pl.Int16, 2)), [(1, 2), None]),
    ("Datetime[ns]", pl.Series([NS, None]).cast(pl.Datetime("ns")), [Instant(NS), None]),
    ("Datetime[ms]", pl.Series([5, None]).cast(pl.Datetime("ms")), [Instant(5 * 10**6), None]),
    ("Datetime with a zone", pl.Series([NS, None]).cast(pl.Datetime("ns", "Europe/Paris")), [Instant(NS, "Europe/Paris"), None]),
    ("Null", pl.Series([None, None]), [None, None]),
]


@pytest.mark.parametrize(("cells", "values"), [case[1:] for case in POLARS], ids=[case[0] for case in POLARS])
def test_polars_columns(cells: Any, values: list[Any]) -> None:
    expected = repr([None if value is None else {"key": value} for value in values])
    assert repr(records_of_frame(pl.DataFrame({"id": ["a", "b"], "key": cells})).metadatas) == expected
    assert repr(plain(pl.DataFrame({"key": cells}))) == expected


REFUSED: list[tuple[str, Any]] = [
    ("decimal", pa.array([None, decimal.Decimal("1.5")])),
    ("binary", pa.array([None, b"x"])),
    ("date", pa.array([None, dt.date(2024, 1, 1)])),
    ("time", pa.array([None, dt.time(1)])),
    ("duration", pa.array([None, dt.timedelta(1)])),
    ("struct", pa.array([None, {"a": 1}])),
    ("nested list", pa.array([None, [[1]]])),
    ("empty list", pa.array([None, []], pa.list_(pa.int64()))),
    ("inf", pa.array([None, float("inf")])),
    ("uint64", pa.array([None, 2**63], pa.uint64())),
    ("year 3000", pa.array([None, 32_503_680_000], pa.timestamp("s"))),
]


@pytest.mark.parametrize("cells", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(cells: Any) -> None:
    table = pa.table({"id": ["a", "b"], "key": cells})
    for frame in (table, arrow_backed(key=cells), pl.from_arrow(table)):
        with pytest.raises(InvalidArgumentError, match="column 'key', row 'b'"):
            records_of_frame(frame)


VECTORS = np.array([[0.1, 2, 3], [4, 5, 6]], np.float32)
LISTS = pa.array(VECTORS.tolist(), pa.list_(pa.float32()))
FIXED = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 3)


@pytest.mark.parametrize(
    "frame",
    [
        pa.table({"id": ["a", "b"], "embedding": FIXED}),
        pa.table({"id": ["a", "b"], "embedding": LISTS}),
        pa.concat_tables([pa.table({"id": ["a", "0"], "embedding": FIXED}).slice(0, 1), pa.table({"id": ["b"], "embedding": FIXED[1:]})]),
        pa.concat_tables([pa.table({"id": ["a", "0"], "embedding": LISTS}).slice(0, 1), pa.table({"id": ["b"], "embedding": LISTS[1:]})]),
        arrow_backed(embedding=FIXED),
        arrow_backed(embedding=LISTS),
        pl.DataFrame({"id": ["a", "b"], "embedding": VECTORS}),
        pl.DataFrame({"id": ["a", "b"], "embedding": pl.Series(VECTORS.tolist(), dtype=pl.List(pl.Float32))}),
        pl.DataFrame({"id": ["a", "b"], "embedding": pl.Series([VECTORS[0], VECTORS[1]], dtype=pl.Object)}),
    ],
)
def test_embeddings(frame: Any) -> None:
    records = records_of_frame(frame)
    assert records.ids == ["a", "b"]
    assert records.embeddings is not None
    assert records.embeddings.tobytes() == VECTORS.tobytes()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (pa.array([[1.0], None]), "row 'b': no embedding"),
        (pa.array([[1.0], [1.0, 2.0]]), "inconsistent dimensions"),
        (pa.array([[1.0, 2.0], [1.0, None]]), "row 'b'"),
        (pa.array([[1.0], [float("nan")]]), "row 'b'.*finite"),
        (pa.array([[], []], pa.list_(pa.float32())), "non-empty"),
        (pa.array([["x"], ["y"]]), "row 'a'.*(texts|type str)"),
        (pa.array([1.0, 2.0]), "row 'a'.*list or array"),
    ],
)
def test_embeddings_that_are_none(cells: Any, message: str) -> None:
    table = pa.table({"id": ["a", "b"], "embedding": cells})
    for frame in (table, pl.from_arrow(table), arrow_backed(embedding=cells)):
        with pytest.raises(InvalidArgumentError, match=message):
            records_of_frame(frame)


def test_ids_documents_and_uris() -> None:
    for frame in (pa.table({"id": ["a"], "document": ["x"], "uri": ["u"]}), pl.DataFrame({"id": ["a"], "document": ["x"], "uri": ["u"]})):
        records = records_of_frame(frame)
        assert (records.ids, records.documents, records.uris, records.metadatas) == (["a"], ["x"], ["u"], None)
        assert is_frame(frame)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"n": [1]}, InvalidArgumentError, "no column 'id'"),
        ({"id": [1]}, InvalidTypeError, "column 'id', row 0"),
        ({"id": ["a", None]}, InvalidArgumentError, "row 1: the id is missing"),
        ({"id": ["a", "a"]}, DuplicateIDError, "duplicates of: a"),
        ({"id": ["a"], "document": [1]}, InvalidTypeError, "column 'document', row 'a'"),
        ({"id": ["a"], "rank": [1]}, InvalidArgumentError, "metadata.rank"),
        ({"id": pa.array([], pa.string())}, InvalidArgumentError, "no rows"),
    ],
)
def test_wrong_frames(columns: dict[str, Any], error: type[Exception], message: str) -> None:
    table = pa.table(columns)
    for frame in (table, pl.from_arrow(table)):
        with pytest.raises(error, match=message):
            records_of_frame(frame)


def test_an_arrow_column_twice() -> None:
    with pytest.raises(InvalidArgumentError, match="'n' occurs twice"):
        records_of_frame(pa.table([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["id", "n", "n"]))


def test_columns_may_be_passed_field_by_field() -> None:
    records = Records.of(
        plain(pl.Series(["a", "b"]), "ids"),
        plain(pl.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]}), "embeddings"),
        plain(pa.chunked_array([["x"], [None]]), "documents"),
        plain(pa.table({"n": [1, None]}), "metadatas"),
        plain(pa.array(["u", "v"]), "uris"),
    )
    assert (records.ids, records.documents, records.metadatas, records.uris) == (["a", "b"], ["x", None], [{"n": 1}, None], ["u", "v"])
    assert records.embeddings is not None
    assert records.embeddings.tolist() == [[1, 3], [2, 4]]


def test_no_frame_library_is_imported_for_others() -> None:
    use = "from chroma_nb.frames import is_frame, plain; is_frame([]); plain([])"
    script = f"import sys; {use}; print(sorted({{'pandas', 'polars', 'pyarrow'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
