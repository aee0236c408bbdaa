"""The quickstart's input: what is gathered, and that gathering it disturbs nobody."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"

GATHER = """
import json, sys
deeds = []
watched = {"webbrowser.open", "subprocess.Popen", "os.system", "os.posix_spawn", "socket.bind", "socket.connect", "socket.getaddrinfo"}
sys.addaudithook(lambda event, arguments: deeds.append(event) if event in watched else None)
from library_docs import library_docs
loaded = set(sys.modules)
whole, part = library_docs(), library_docs(limit=50)
whole.to_json(sys.argv[1], orient="split")
print(json.dumps({"deeds": deeds, "loaded": sorted(set(sys.modules) - loaded), "part": part.index.tolist()}))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, list[str]], str]:
    """Gather in a process of its own: importing the whole standard library is nothing for the one that runs the tests."""
    return gathered(tmp_path_factory.mktemp("docs") / "docs.json", seed="1")


def gathered(path: Path, seed: str) -> tuple[pd.DataFrame, dict[str, list[str]], str]:
    """Gather in a process whose sets of texts have the order that `seed` gives them."""
    command, environment = [sys.executable, "-c", GATHER, str(path)], os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return pd.DataFrame(**json.loads(path.read_text("utf-8"))), json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def docs(run: tuple[pd.DataFrame, dict[str, list[str]], str]) -> pd.DataFrame:
    return run[0]


def test_there_are_thousands_of_each_library(docs: pd.DataFrame) -> None:
    counts = docs["library"].value_counts()
    assert set(counts.index) == {"python", "numpy", "pandas"}
    assert counts["python"] > 3000
    assert counts["numpy"] > 800
    assert counts["pandas"] > 800
    assert len(docs) < 8000  # more would not be embedded in the time a quickstart may take


def test_every_record_is_complete_and_bounded(docs: pd.DataFrame) -> None:
    assert docs.index.is_unique
    assert docs["document"].is_unique
    assert docs["document"].str.len().between(40, 300).all()
    assert all(document.startswith(f"{identifier}: ") for identifier, document in docs["document"].items())
    assert set(docs["kind"]) == {"module", "class", "exception", "function", "method", "property"}
    assert (docs["length"] >= 40).all()
    assert not docs[["library", "module", "kind", "version"]].isna().any(axis=None)


@pytest.mark.parametrize(
    ("identifier", "library", "kind", "module", "parameter", "words"),
    [
        ("numpy.linalg.norm", "numpy", "function", "numpy.linalg", "axis", "norm"),
        ("pandas.merge", "pandas", "function", "pandas", "how", "join"),
        ("pandas.DataFrame.fillna", "pandas", "method", "pandas", "value", "Fill NA"),
        ("pandas.Series.str.split", "pandas", "method", "pandas", "pat", "Split strings"),
        ("os.path.join", "python", "function", "os.path", "a", "Join two or more pathname components"),
        ("random.choice", "python", "function", "random", "seq", "Choose a random element"),
        ("str.split", "python", "method", "builtins", "sep", "list of the substrings"),
        ("sqlite3", "python", "module", "sqlite3", None, "SQLite"),
        ("ValueError", "python", "exception", "builtins", None, "Inappropriate argument value"),
    ],
)
def test_what_everybody_knows_is_there(
    docs: pd.DataFrame, identifier: str, library: str, kind: str, module: str, parameter: str | None, words: str
) -> None:
    row = docs.loc[identifier]
    assert (row["library"], row["kind"], row["module"]) == (library, kind, module)
    assert words in row["document"]
    assert parameter is None or parameter in row["parameters"]


def test_versions_are_those_of_the_libraries(docs: pd.DataFrame) -> None:
    versions = docs.groupby("library")["version"].unique().map(list).to_dict()
    assert versions == {"python": [platform.python_version()], "numpy": [np.__version__], "pandas": [pd.__version__]}


def test_gathering_is_silent_and_has_no_side_effects(run: tuple[pd.DataFrame, dict[str, list[str]], str]) -> None:
    _, report, errors = run
    assert errors == ""
    assert report["deeds"] == []
    assert not {"antigravity", "this", "idlelib", "tkinter", "turtle", "turtledemo", "test", "rlcompleter"} & set(report["loaded"])
    assert "wave" in report["loaded"]  # it did import the standard library


def test_a_limit_spreads_over_all_of_it(run: tuple[pd.DataFrame, dict[str, list[str]], str]) -> None:
    docs, report, _ = run
    assert len(report["part"]) == 50
    assert docs.loc[report["part"], "library"].nunique() == 3


def test_every_process_gathers_the_same(docs: pd.DataFrame, tmp_path: Path) -> None:
    again, _, _ = gathered(tmp_path / "docs.json", seed="2")
    pd.testing.assert_frame_equal(again, docs)
