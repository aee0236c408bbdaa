"""What a collection answers becomes a frame and records again, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma_nb.frames import OURS, column_of, frame_of, frame_of_query, key_of, records_of_frame
from chroma_nb.results import GetResult, QueryResult
from chroma_nb.scalars import Instant

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGER = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
NANOSECONDS = st.integers(-(2**63) + 1, 2**63 - 1)
ZONE = st.sampled_from([None, "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "+02:00", "-05:30", "+00:00:20"])
INSTANT = st.builds(Instant, NANOSECONDS, ZONE)
LIST = st.one_of(*(st.lists(item, min_size=1, max_size=3).map(tuple) for item in (TEXT, INTEGER, FLOAT, st.booleans())))
VALUE = st.one_of(TEXT, INTEGER, FLOAT, st.booleans(), INSTANT, LIST)
COLUMN = st.one_of(
    st.sampled_from([TEXT, INTEGER, FLOAT, st.booleans(), LIST, VALUE]),
    ZONE.map(lambda zone: st.builds(Instant, NANOSECONDS, st.just(zone))),
)
KEY = st.one_of(
    st.sampled_from([*OURS, "metadata.id", "metadata.metadata.id", "metadata.x", "x", "year"]),
    TEXT.filter(lambda text: text and text[0] not in "$#" and text != "chroma:document"),
)


@st.composite
def results(draw: st.DrawFn, *, minimum: int = 1) -> GetResult:
    """Results whose metadata columns are sometimes of one kind, sometimes mixed, and sometimes have holes."""
    n = draw(st.integers(minimum, 6))
    ids = draw(st.lists(TEXT.filter(bool), min_size=n, max_size=n, unique=True))
    rows: list[dict[str, Any]] = [{} for _ in range(n)]
    for key, cells in draw(st.dictionaries(KEY, COLUMN, max_size=4)).items():
        for row in rows:
            value = draw(cells if draw(st.booleans()) else st.one_of(st.none(), cells))
            if value is not None:
                row[key] = value
    metadatas = [row or None for row in rows]
    bits = draw(st.binary(min_size=12 * n, max_size=12 * n))
    vectors = np.nan_to_num(np.frombuffer(bits, np.float32).reshape(n, 3), nan=1.5, posinf=2.5, neginf=-2.5)
    texts = st.lists(st.none() | TEXT, min_size=n, max_size=n)
    return GetResult(
        ids,
        draw(st.none() | st.just(vectors)),
        draw(st.none() | texts),
        draw(st.none() | st.just(metadatas)),
        draw(st.none() | texts),
    )


def exact(metadatas: Any) -> list[str]:
    """Write rows down so that 1, 1.0 and True, or 0.0 and -0.0, differ."""
    return [repr(sorted((metadata or {}).items())) for metadata in metadatas]


def assert_same(records: Any, result: GetResult) -> None:
    assert records.ids == result.ids
    assert records.documents == result.documents
    assert records.uris == (result.uris if result.uris is not None and any(uri is not None for uri in result.uris) else None)
    if result.embeddings is None:
        assert records.embeddings is None
    else:
        assert records.embeddings.dtype == np.float32
        assert records.embeddings.tobytes() == result.embeddings.tobytes()
    if result.metadatas is None or not any(result.metadatas):
        assert records.metadatas is None
    else:
        assert exact(records.metadatas) == exact(result.metadatas)
        assert [metadata is None for metadata in records.metadatas] == [metadata is None for metadata in result.metadatas]


@settings(deadline=None, max_examples=300)
@given(results())
def test_a_get_frame_gives_the_same_records(result: GetResult) -> None:
    frame = frame_of(result, attrs={"collection": "c"})
    assert frame.attrs == {"collection": "c"}
    records = records_of_frame(frame)
    assert_same(records, result)
    again = frame_of(
        GetResult(records.ids, records.embeddings, records.documents, list(records.metadatas or []) or None, records.uris), attrs={}
    )
    pd.testing.assert_frame_equal(frame, again, check_exact=True)


@settings(deadline=None, max_examples=100)
@given(results(), st.data())
def test_a_query_frame_gives_the_same_records(result: GetResult, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(result)))
    query = QueryResult(result, [cut, 0, len(result) - cut], np.linspace(0, 1, len(result)))
    frame = frame_of_query(query, attrs={})
    assert frame.index.tolist() == [(0, rank + 1) for rank in range(cut)] + [(2, rank + 1) for rank in range(len(result) - cut)]
    assert frame["distance"].tolist() == np.linspace(0, 1, len(result)).tolist()
    assert_same(records_of_frame(frame), result)


@given(st.one_of(KEY, TEXT))
def test_every_key_has_a_column_that_is_not_ours(key: str) -> None:
    assert key_of(column_of(key)) == key
    assert column_of(key) not in OURS


@pytest.mark.parametrize("ns", [2**63 - 1, -(2**63) + 1])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo", "America/New_York"])
def test_the_ends_of_time(ns: int, zone: str | None) -> None:
    for other in (None, {"t": Instant(0, zone)}, {"t": Instant(0, "Europe/Paris")}):
        result = GetResult(["a", "b"], metadatas=[{"t": Instant(ns, zone)}, other])
        frame = frame_of(result, attrs={})
        assert records_of_frame(frame).metadatas == result.metadatas
        assert "t" in repr(frame) + frame.to_html()


@pytest.mark.parametrize("ns", [1_729_989_000_123_456_789, 1_729_992_600_123_456_789])
def test_both_hours_of_a_fold_stay_apart(ns: int) -> None:
    alone = GetResult(["a"], metadatas=[{"t": Instant(ns, "Europe/Paris")}])
    mixed = GetResult(["a", "b"], metadatas=[{"t": Instant(ns, "Europe/Paris")}, {"t": Instant(ns, "UTC")}])
    for result in (alone, mixed):
        frame = frame_of(result, attrs={})
        assert frame["t"].iloc[0].strftime("%H:%M:%S") == "02:30:00"
        assert records_of_frame(frame).metadatas == result.metadatas
