"""What the tests of embedding functions share: a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

import chroma_nb.embedding.protocol as somewhere_in_the_package


class FreshPython(Protocol):
    """Runs code in an interpreter of its own, in which warnings are errors, and returns what it printed."""

    def __call__(self, code: str, *, stdin: str = "", **environment: str) -> str:
        """Fail unless the code ends well and says nothing on stderr."""


@pytest.fixture(scope="session")
def fresh_python() -> FreshPython:
    """Return a way to run code where nothing has been imported yet."""
    root = str(Path(somewhere_in_the_package.__file__).parents[2])

    def run(code: str, *, stdin: str = "", **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": root, **environment},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run
