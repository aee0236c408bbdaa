"""Metadata through the store: floats to the bit, ints as ints, bools as bools, keys in order, absent keys absent."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb import ops
from chroma_nb.engine.encoding import decode_metadatas, encode_metadata
from chroma_nb.engine.engine import Engine
from tests.engine import asked
from tests.filters.strategies import VALUES

KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4).filter(lambda key: key[0] not in "$#")
DICTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


@given(st.lists(st.none() | DICTS, max_size=6))
def test_metadata_is_read_back_exactly(metadatas: list[Any]) -> None:
    assert repr(decode_metadatas([encode_metadata(each) for each in metadatas])) == repr(metadatas)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_kept_to_the_bit(value: float) -> None:
    read = decode_metadatas([encode_metadata({"v": value, "list": (value,)})])[0]
    assert read is not None
    assert type(read["v"]) is float
    assert struct.pack("<d", read["v"]) == struct.pack("<d", value)
    assert repr(read["list"]) == repr((value,))


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_kept_whole(value: int) -> None:
    read = decode_metadatas([encode_metadata({"v": value})])[0]
    assert read is not None
    assert (type(read["v"]), read["v"]) == (int, value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    first=DICTS,
    changes=st.dictionaries(KEYS, st.none() | VALUES, min_size=1, max_size=5),
)
def test_merging_touches_only_what_is_given(engine: Engine, first: dict[str, Any], changes: dict[str, Any]) -> None:
    engine.execute(ops.Reset())
    collection = asked.create(engine)
    asked.add(engine, collection, ["a"], [[1]], metadatas=[first])
    asked.update(engine, collection, ["a"], None, [changes])
    merged = {key: value for key, value in {**first, **changes}.items() if value is not None}
    assert repr(asked.get(engine, collection).metadatas) == repr([merged or None])


def test_values_survive_closing(tmp_path: Path) -> None:
    values: list[Any] = [0, 1, True, False, 1.0, 0.1, 5e-324, 2**63 - 1, "1", "", (1.0,), (1,), (True,)]
    made = Engine(tmp_path / "store")
    collection = asked.create(made)
    asked.add(made, collection, [str(i) for i in range(len(values))], [[1]] * len(values), metadatas=[{"v": value} for value in values])
    made.close()
    again = Engine(tmp_path / "store")
    found = asked.get(again, collection).metadatas
    again.close()
    assert found is not None
    assert [repr(each["v"]) for each in found if each is not None] == [repr(value) for value in values]
