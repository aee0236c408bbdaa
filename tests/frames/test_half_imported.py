"""A package that another thread is just importing is not there yet, and nothing fails for it."""

from __future__ import annotations

import sys
import types

import pytest

from chroma_nb.records import parse_texts, parse_vectors
from chroma_nb.scalars import is_absent


@pytest.mark.parametrize("module", ["pandas", "polars", "pyarrow", "numpy.ma"])
def test_a_module_without_its_names(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    assert is_absent(None)
    assert not is_absent("text")
    assert parse_texts(["a", None], "documents") == ["a", None]
    assert parse_vectors([[1, 2]], "embeddings").tolist() == [[1, 2]]
