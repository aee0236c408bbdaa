"""The quickstart notebook runs, the way `make demo` runs it, on fewer documents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "00_quickstart.ipynb"
DOCUMENTS = 600
PLOTLY = "application/vnd.plotly.v1+json"


def executed(notebook: Any, folder: Path) -> tuple[Any, str]:
    """Run a notebook in `folder` and return the executed copy and what was printed."""
    nbformat.write(notebook, folder / NOTEBOOK.name)
    command = [sys.executable, ROOT / "notebooks" / "run.py", folder / NOTEBOOK.name, "--into", folder / "build"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return nbformat.read(folder / "build" / NOTEBOOK.name, as_version=4), done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart")
    shutil.copy(ROOT / "notebooks" / "library_docs.py", folder)
    return folder


@pytest.fixture(scope="module")
def shortened() -> Any:
    """Put a number in place of ``LIMIT = None``, and change nothing else."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source, replaced = re.subn(r"^LIMIT = None\b", f"LIMIT = {DOCUMENTS}", first.source, flags=re.MULTILINE)
    assert replaced == 1
    return notebook


@pytest.fixture(scope="module")
def run(shortened: Any, folder: Path) -> tuple[Any, str]:
    return executed(shortened, folder)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert outputs(notebook) == []
    assert all(cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_every_cell_runs_and_none_complains(run: tuple[Any, str]) -> None:
    notebook, printed = run
    assert "Every cell ran" in printed
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    kinds = {output.output_type for output in outputs(notebook)}
    assert "error" not in kinds
    assert [output.text for output in outputs(notebook) if output.output_type == "stream" and output.name == "stderr"] == []


def test_it_shows_two_maps_of_all_documents(run: tuple[Any, str]) -> None:
    figures = [
        output.data["application/vnd.plotly.v1+json"] for output in outputs(run[0]) if "data" in output and "plotly" in str(output.data)
    ]
    assert len(figures) == 2
    for figure in figures:
        assert {trace["type"] for trace in figure["data"]} == {"scattergl"}
        assert sum(len(trace["hovertext"]) for trace in figure["data"]) == DOCUMENTS


def test_it_ends_with_what_it_found(run: tuple[Any, str]) -> None:
    found = run[1].partition("What it found")[2]
    assert re.search(r"draw numbers from a bell curve +(numpy\.random|random|statistics)\.", found), found


def test_a_second_run_embeds_nothing(run: tuple[Any, str], shortened: Any, folder: Path) -> None:
    upserting = next(i for i, cell in enumerate(shortened.cells) if "bulk_upsert" in cell.source)
    again = nbformat.v4.new_notebook(cells=shortened.cells[: upserting + 1], metadata=shortened.metadata)
    again.cells.append(nbformat.v4.new_code_cell("import sys\nprint(len(new), 'new of', collection.count(), 'torch' in sys.modules)"))
    assert f"0 new of {DOCUMENTS} False" in executed(again, folder)[1]
