"""What `binder/` says, read without doing it; `make binder` does it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"


def test_what_comes_from_conda_is_pinned_and_is_all_that_must() -> None:
    text = (BINDER / "environment.yml").read_text("utf-8")
    channels, packages = (re.findall(r"^  - (\S+)$", part, re.MULTILINE) for part in text.split("dependencies:"))
    assert channels == ["conda-forge"]
    assert {package.partition("=")[0] for package in packages} == {"python", "pip", "pytorch-cpu"}
    assert all(re.fullmatch(r"(python|pytorch-cpu)=\d+\.\d+", package) for package in packages if package != "pip")
    supported = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert supported is not None
    assert int(packages[0].rpartition(".")[2]) >= int(supported[1])


def test_post_build_can_be_run_and_names_what_is_there() -> None:
    script = BINDER / "postBuild"
    text = script.read_text("utf-8")
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    named = re.findall(r"(?:notebooks|\.ci)/[\w.]+", text)
    assert {"notebooks/run.py", "notebooks/01_explorer.ipynb", ".ci/constraints.txt"} <= set(named)
    written = (ROOT / "notebooks" / "01_explorer.ipynb").read_text("utf-8")
    for name in named:
        assert (ROOT / name).is_file() or name.removeprefix("notebooks/") in written, name
    # Without this, pip would bring another PyTorch than conda's.
    assert "grep -v '^torch=='" in text
    assert re.search(r"^torch==", (ROOT / ".ci" / "constraints.txt").read_text("utf-8"), re.MULTILINE)


def test_a_visitor_lands_in_the_explorer() -> None:
    found = re.search(r"echo '(\{.*\})'", (BINDER / "postBuild").read_text("utf-8"))
    assert found is not None
    landing = json.loads(found[1])["LabApp"]["default_url"]
    assert (ROOT / landing.removeprefix("/lab/tree/")).is_file()


@pytest.mark.parametrize("name", ["environment.yml", "postBuild", "check.py"])
def test_no_address_of_a_registry_is_named(name: str) -> None:
    assert "://" not in (BINDER / name).read_text("utf-8").replace("http://127.0.0.1", "")
