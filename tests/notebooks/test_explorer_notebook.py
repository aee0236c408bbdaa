"""The explorer notebook runs by itself on fewer documents; what it leaves behind is small, and can be read where no widgets are."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbconvert import HTMLExporter
from PIL import Image

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_explorer.ipynb"
DOCUMENTS = 300
WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST = 2_000_000
RENDERS = 10
RECORDS = 5_000
"""About as many as the notebook has without a limit."""

MADE = f"""import numpy as np
import pandas as pd

import chroma_nb

draw = np.random.default_rng(0)
places = draw.normal(size=({RECORDS}, 2))
documents = [f"record {{i}} " + "word " * 50 for i in range({RECORDS})]
frame = pd.DataFrame({{"document": documents, "group": draw.integers(0, 9, {RECORDS})}})
frame["embedding"] = list(np.hstack([places, draw.normal(size=({RECORDS}, 6))]).astype(np.float32))
frame.index = [f"r{{i}}" for i in range({RECORDS})]
collection = chroma_nb.EphemeralClient().create_collection("rendered", embedding_function=None)
collection.add(frame)
explorer = collection.explore("group", coordinates=places)
explorer.wait()"""


def executed(notebook: Any, folder: Path) -> tuple[Any, str]:
    """Run a notebook in `folder` and return the executed copy and what was printed."""
    nbformat.write(notebook, folder / NOTEBOOK.name)
    command = [sys.executable, ROOT / "notebooks" / "run.py", folder / NOTEBOOK.name, "--into", folder / "build"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return nbformat.read(folder / "build" / NOTEBOOK.name, as_version=4), done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str, Path]:
    folder = tmp_path_factory.mktemp("explorer")
    shutil.copy(ROOT / "notebooks" / "library_docs.py", folder)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source, replaced = re.subn(r"^LIMIT = None\b", f"LIMIT = {DOCUMENTS}", first.source, flags=re.MULTILINE)
    assert replaced == 1
    return *executed(notebook, folder), folder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a notebook that has shown one explorer many times."""
    cells = [MADE, *["explorer.select(collection.sample(500))\nexplorer"] * RENDERS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return executed(notebook, tmp_path_factory.mktemp("rendered"))[0]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def without_state(notebook: Any) -> Any:
    """Return a copy as it is saved where widget state is not."""
    copy = nbformat.from_dict(notebook)
    copy.metadata.pop("widgets", None)
    return copy


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert outputs(notebook) == []
    assert all(cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_every_cell_runs_and_none_complains(run: tuple[Any, str, Path]) -> None:
    notebook, printed, _ = run
    assert "Every cell ran" in printed
    kinds = {output.output_type for output in outputs(notebook)}
    assert "error" not in kinds
    assert [output.text for output in outputs(notebook) if output.output_type == "stream" and output.name == "stderr"] == []


def test_where_nobody_draws_the_hits_are_the_selection(run: tuple[Any, str, Path]) -> None:
    notebook, printed, _ = run
    asked, selected = (
        next(cell for cell in notebook.cells if begin in cell.source) for begin in ("explorer.ask(", "explorer.select(explorer.hits)")
    )
    hits = set(re.findall(r"^ {2,}\d+ +(\S+)|^0 +1 +(\S+)", asked.outputs[0].data["text/plain"], re.MULTILINE))
    assert hits
    for name in ("".join(pair) for pair in hits):
        assert name in selected.outputs[0].data["text/plain"]
    assert re.search(r"tagged [1-9]\d* records", printed)


def test_its_files_are_written(run: tuple[Any, str, Path]) -> None:
    folder = run[2]
    page = (folder / "library_docs_map.html").read_text("utf-8")
    assert "Plotly.newPlot" in page
    assert not re.search(r"<script[^>]+src=", page)
    assert len((folder / "library_docs_selection.csv").read_text("utf-8").splitlines()) > 1


def test_many_renders_stay_small(rendered: Any) -> None:
    shown = [output for output in outputs(rendered) if WIDGET in output.get("data", {})]
    assert len(shown) == RENDERS
    assert len({output.data[WIDGET]["model_id"] for output in shown}) == 1, "one widget, however often it is shown"
    assert len(nbformat.writes(without_state(rendered))) < LARGEST
    assert len(nbformat.writes(rendered)) < LARGEST, "with the widgets' state too"


def test_a_page_without_widgets_shows_map_and_table(rendered: Any) -> None:
    page, _ = HTMLExporter().from_notebook_node(without_state(rendered))
    pictures = re.findall(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"', page)
    assert len(pictures) == RENDERS
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[0]))).convert("RGBA"))
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 50, "the picture is blank"
    assert f"{RECORDS:,} records, 500 selected" in page
    assert "record 1 word word" in page
    assert "record 10 word word" not in page, "a fallback does not hold all records"
