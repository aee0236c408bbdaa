"""Vectors in pieces: read by label in any order, and gone when none of a piece is wanted any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma_nb import stopping
from chroma_nb.engine import vectors
from chroma_nb.engine.engine import Engine
from chroma_nb.errors import DatabaseCorruptedError, TimeLimitError
from tests.engine import asked

NUMBER, D = 7, 4


def pieces(connection: Any) -> list[tuple[int, int, int]]:
    base = NUMBER << 40
    rows = connection.execute("SELECT key, size, live FROM chunk WHERE key >= ? ORDER BY key", (base,)).fetchall()
    assert [key for (key,) in connection.execute("SELECT key FROM vectors WHERE key >= ? ORDER BY key", (base,))] == [
        key for key, *_ in rows
    ]
    return [(key - base, size, live) for key, size, live in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.integers(1, 9), min_size=1, max_size=6), per_piece=st.integers(1, 5), data=st.data())
def test_labels_are_read_in_any_order_and_empty_pieces_go(engine: Engine, calls: list[int], per_piece: int, data: st.DataObject) -> None:
    total = sum(calls)
    truth = np.random.default_rng(total).standard_normal((total, D)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patches, engine._database.write() as connection:
        patches.setattr(vectors, "_PIECE", 4 * D * per_piece)
        for table in ("chunk", "vectors"):
            connection.execute(f"DELETE FROM {table}")
        first = 0
        for size in calls:
            vectors.store(connection, NUMBER, first, truth[first : first + size])
            first += size
        assert sum(size for _, size, _ in pieces(connection)) == total
        assert all(size == live <= per_piece for _, size, live in pieces(connection))
        living = list(range(total))
        while living:
            wanted = np.array(data.draw(st.lists(st.sampled_from(living), max_size=12)), dtype=np.int64)
            np.testing.assert_array_equal(vectors.read(connection, NUMBER, wanted, D), truth[wanted])
            gone = data.draw(st.lists(st.sampled_from(living), min_size=1, unique=True))
            vectors.retire(connection, NUMBER, np.array(gone))
            living = [label for label in living if label not in gone]
            for label, size, live in pieces(connection):
                assert live == sum(label <= each < label + size for each in living) > 0
        assert pieces(connection) == []


def test_a_missing_or_damaged_vector_is_an_error_not_an_answer(engine: Engine) -> None:
    with engine._database.write() as connection:
        vectors.store(connection, NUMBER, 0, np.ones((3, D), dtype=np.float32))
        vectors.store(connection, NUMBER, 10, np.ones((3, D), dtype=np.float32))
        for label in (3, 9, 13):
            with pytest.raises(DatabaseCorruptedError, match=f"label {label} is missing"):
                vectors.read(connection, NUMBER, np.array([0, label]), D)
        connection.execute("UPDATE vectors SET data = zeroblob(48) WHERE key = ?", ((NUMBER << 40) + 10,))
        with pytest.raises(DatabaseCorruptedError, match="labels from 10"):
            vectors.read(connection, NUMBER, np.array([11]), D)
        np.testing.assert_array_equal(vectors.read(connection, NUMBER, np.array([2, 0]), D), np.ones((2, D)))


def test_reading_ends_with_its_time_and_leaves_nothing_half_read(engine: Engine) -> None:
    collection = asked.create(engine)
    truth = np.random.default_rng(0).standard_normal((20, D)).astype(np.float32)
    asked.add(engine, collection, [str(i) for i in range(20)], truth)
    with pytest.raises(TimeLimitError), stopping.limited(0):
        asked.query(engine, collection, truth[:1], 3)
    assert asked.found(asked.query(engine, collection, truth[3:4], 1)) == [["3"]]
    assert np.array_equal(asked.get(engine, collection).embeddings, truth)
