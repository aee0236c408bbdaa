"""Installing the wheel is all: the extension is on, and a kernel's environment needs no Jupyter server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FILL, RECORDS
from tests.end_to_end.installing import environment, wheel
from tests.end_to_end.notebook import Notebook
from tests.extension.rig import Jupyter

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="environments made of links")]
_SIGNS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("wheel"))


def test_jupyter_lists_the_extension_as_enabled_and_valid(built: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", built)
    mine = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTHONPATH"))}
    done = subprocess.run(
        [python, "-m", "jupyter_server", "extension", "list"],
        env={**inherited, **mine},
        check=True,
        capture_output=True,
        text=True,
    )
    listed = _SIGNS.sub("", done.stdout + done.stderr)
    assert re.search(r"^\s*chroma_nb_extension\W+enabled\s*$", listed, re.MULTILINE)
    assert re.search(r"^\s*chroma_nb_extension 0\.1\.0 \W*OK\s*$", listed, re.MULTILINE)
    assert not re.search(r"chroma_nb_extension.*(disabled|X )", listed)


def test_a_kernel_whose_environment_has_no_jupyter_server_serves(built: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", built, without=("jupyter_server", "jupyterlab", "notebook"))
    assert subprocess.run([python, "-c", "import jupyter_server"], check=False, capture_output=True).returncode == 1
    # Jupyter finds this kernel under the name of its own, as a user does who has registered another environment.
    spec = tmp_path / "specs" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "Another", "language": "python", "env": {"PYTHONPATH": ""}}))
    with Jupyter.started(tmp_path / "jupyter", base_url="/pre/", environment={"JUPYTER_PATH": str(tmp_path / "specs")}) as jupyter:
        notebook = Notebook(jupyter, "other environment.ipynb")
        notebook.run(FILL)
        assert notebook.value("__import__('sys').executable") == str(python)
        assert notebook.value("chroma_nb.__file__").startswith(str(tmp_path))
        assert notebook.value("'jupyter_server' in __import__('sys').modules") is False
        assert notebook.value("server.url") == f"{jupyter.url}{notebook.by_id}"
        assert notebook.count("docs") == RECORDS
