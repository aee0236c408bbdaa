"""The built distributions hold the packages, all of them, and nothing else."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from chroma_nb._version import __version__

ROOT = Path(__file__).parent.parent
INFO = f"chroma_nb-{__version__}.dist-info"
SWITCH = f"chroma_nb-{__version__}.data/data/etc/jupyter/jupyter_server_config.d/chroma_nb_extension.json"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build with the backend itself: the same files as through pip, without fetching anything."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(dist / f"chroma_nb-{__version__}-py3-none-any.whl") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files(package: str, folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in (folder / package).rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_the_wheel_is_the_packages_and_their_description(wheel: dict[str, bytes]) -> None:
    sources = files("chroma_nb", ROOT) | files("chroma_nb_extension", ROOT / "extension")
    assert {"chroma_nb/py.typed", "chroma_nb_extension/py.typed", "chroma_nb_extension/templates/layout.html"} <= sources
    assert {name for name in wheel if not name.startswith(f"{INFO}/")} == {*sources, SWITCH}
    assert {name.removeprefix(f"{INFO}/") for name in wheel if name.startswith(f"{INFO}/")} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_installing_the_wheel_switches_the_server_extension_on(wheel: dict[str, bytes]) -> None:
    (name,) = json.loads(wheel[SWITCH])["ServerApp"]["jpserver_extensions"]
    (point,) = importlib.import_module(name)._jupyter_server_extension_points()
    assert f"{point['module']}/__init__.py" in wheel
    assert point["app"].name == "chroma_nb"


def test_the_wheel_says_what_it_is(wheel: dict[str, bytes]) -> None:
    metadata = Parser().parsestr(wheel[f"{INFO}/METADATA"].decode())
    assert metadata["Name"] == "chroma-nb"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload()


def test_a_plain_install_stays_small(wheel: dict[str, bytes]) -> None:
    metadata = Parser().parsestr(wheel[f"{INFO}/METADATA"].decode())
    core = {line.split(">=")[0] for line in metadata.get_all("Requires-Dist", []) if ";" not in line}
    assert core == {"filelock", "hnswlib", "numpy", "orjson", "pandas", "regex", "tqdm", "typing-extensions"}


def test_the_source_distribution_can_be_tested(dist: Path) -> None:
    with tarfile.open(dist / f"chroma_nb-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "Makefile", "LICENSE", "README.md", ".ci/run", ".ci/constraints.txt", "tests/test_wheel.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", "build"))]
