"""An environment in which this package is installed from its wheel, beside what the tests' own environment has."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.extension.rig import ROOT

_OURS = ("chroma_nb", "__editable__", "_chroma_nb")


def wheel(folder: Path) -> Path:
    """Build the wheel, with the backend itself, so that nothing is fetched."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def environment(folder: Path, built: Path, *, without: tuple[str, ...] = ()) -> Path:
    """Make an environment; return its Python.

    Every package but ours is a link to where the tests have it, for a copy would take minutes.

    Parameters
    ----------
    without
        Beginnings of the names of packages that are left out.
    """
    venv.create(folder, symlinks=os.name != "nt")
    here = Path(sysconfig.get_path("purelib"))
    there = Path(sysconfig.get_path("purelib", "posix_prefix", vars={"base": str(folder)}))
    for each in here.iterdir():
        if not each.name.startswith((*_OURS, *without)):
            (there / each.name).symlink_to(each)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", f"--python={python}"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", built], check=True, capture_output=True)
    return python
