"""Engines and collections of a test's own, reached by operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chroma_nb.engine.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path / "store", allow_reset=True)
    yield made
    made.close()
