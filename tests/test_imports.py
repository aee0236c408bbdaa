"""What ``import chroma_nb`` costs and what it offers."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chroma_nb
from chroma_nb import optional

ROOT = Path(__file__).parent.parent

UNUSED = {
    "IPython",
    "anywidget",
    "hnswlib",
    "httpx",
    "ipywidgets",
    "jupyter_server",
    "numba",
    "pandas",
    "plotly",
    "polars",
    "psycopg",
    "pyarrow",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "starlette",
    "torch",
    "tqdm",
    "transformers",
    "umap",
    "uvicorn",
}
"""What a session that has done nothing yet has not loaded."""


ALONE = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [module for module in sys.modules if module.partition(".")[0] == "chroma_nb"]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
"""A program that imports each module it is given as if it were the first."""


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a new interpreter; return the top-level modules it has loaded."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return set(json.loads(done.stdout))


def test_the_import_loads_nothing_that_is_not_used_yet() -> None:
    assert loaded_by("import chroma_nb") & UNUSED == set()


def test_a_loaded_package_would_be_seen() -> None:
    assert {"tqdm", "pandas"} <= loaded_by("import chroma_nb, pandas, tqdm") & UNUSED


def test_every_module_imports_alone() -> None:
    names = [module.name for module in pkgutil.walk_packages(chroma_nb.__path__, "chroma_nb.")]
    assert "chroma_nb.errors" in names
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE, *names], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_public_names_are_sorted_and_there() -> None:
    names = list(chroma_nb.__all__)
    constants_classes_others = sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))
    assert names == constants_classes_others
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(chroma_nb, name)] == []


def test_public_names_are_offered_for_completion() -> None:
    assert set(chroma_nb.__all__) <= set(dir(chroma_nb))


def undocumented(name: str, thing: Any) -> list[str]:
    """Return the dotted names of a public class or function, and of its public members, that have no docstring."""
    if inspect.isroutine(thing) or isinstance(thing, property):
        return [] if inspect.getdoc(thing) else [name]
    if not inspect.isclass(thing):
        return []
    members = [(key, member) for key, member in vars(thing).items() if not key.startswith("_")]
    described = [
        f"{name}.{key}" for key, member in members if callable(member) or isinstance(member, (property, classmethod, staticmethod))
    ]
    silent = [full for full in described if not inspect.getdoc(getattr(thing, full.rpartition(".")[2]))]
    return ([] if thing.__doc__ else [name]) + silent


def test_what_is_public_is_documented() -> None:
    assert [silent for name in chroma_nb.__all__ for silent in undocumented(name, getattr(chroma_nb, name))] == []


def test_a_missing_docstring_would_be_seen() -> None:
    class Silent:
        def verb(self) -> None: ...

        @property
        def noun(self) -> None: ...

        @classmethod
        def made(cls) -> None: ...

    assert undocumented("Silent", Silent) == ["Silent", "Silent.verb", "Silent.noun", "Silent.made"]
    assert undocumented("verb", Silent.verb) == ["verb"]


def test_every_extra_an_error_may_name_exists() -> None:
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # pytest brings tomli along
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(optional.EXTRAS.values()) - {"core"} <= set(project["optional-dependencies"])


@pytest.mark.parametrize("module", sorted(optional.EXTRAS))
def test_every_optional_module_has_this_name(module: str) -> None:
    assert importlib.util.find_spec(module) is not None
