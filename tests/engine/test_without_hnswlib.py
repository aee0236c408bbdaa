"""Without hnswlib everything works and every answer is exact; one warning says what that costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_CHILD = """
import json, sys, warnings
if {blocked}:
    sys.modules["hnswlib"] = None
else:
    import types
    sys.modules["hnswlib"] = types.ModuleType("hnswlib")  # another package of that name, without what is needed
import numpy as np
import chroma_nb
from chroma_nb.engine import plan
vectors = np.random.default_rng(0).standard_normal((plan.SMALL + 500, 4)).astype("float32")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with chroma_nb.PersistentClient({folder!r}) as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add([str(i) for i in range(len(vectors))], embeddings=vectors)
        docs.build_index(show_progress=False)
        found = [docs.query(vectors[i], n_results=1)["id"].tolist() for i in (3, 8000)]
        method = docs.explain(vectors[0]).method
        indexed = docs.describe().index.indexed
print(json.dumps([found, method, indexed, [(each.category.__name__, str(each.message)) for each in caught]]))
"""


@pytest.mark.parametrize("blocked", [True, False], ids=["not installed", "another package"])
def test_searches_are_exact_and_one_warning_says_so(tmp_path: Path, blocked: bool) -> None:
    code = _CHILD.format(folder=str(tmp_path / "store"), blocked=blocked)
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert child.returncode == 0, child.stderr
    found, method, indexed, warned = json.loads(child.stdout)
    assert (found, method, indexed) == ([["3"], ["8000"]], "exact", 0)
    ours: list[Any] = [message for category, message in warned if category == "RuntimeWarning"]
    assert len(ours) == len(warned) == 1
    assert "hnswlib" in ours[0]
    assert "pip install hnswlib" in ours[0]
