"""Programs that use Chroma's own clients, run where those are installed and with nothing but Jupyter's token in the environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import ENVIRONMENTS, Environment, OtherPythonError, UnavailableError

_PATIENCE = 240
_NOT_THEIRS = ("PYTHONPATH", "JUPYTER", "JPY_")
_QUIET = {"ANONYMIZED_TELEMETRY": "False", "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}


def environment(name: str) -> Environment:
    """Return a client's environment, made if need be; skip where it cannot be."""
    found = ENVIRONMENTS[name]
    try:
        found.make()
    except UnavailableError as error:
        if "CI" in os.environ and not isinstance(error, OtherPythonError):
            raise
        pytest.skip(str(error))
    return found


def program(client: Environment, code: str, folder: Path) -> list[str]:
    """Write a program down where its client is found; return the command that runs it."""
    folder.mkdir(exist_ok=True)
    if client.is_python:
        written = folder / "program.py"
        command = [str(client.python), str(written)]
    else:
        # A module is looked for beside the program that imports it.
        written = folder / "program.mjs"
        (folder / "node_modules").symlink_to(client.folder / "node_modules")
        command = ["node", str(written)]
    written.write_text(code, encoding="utf-8")
    return command


def output(command: list[str], **variables: str) -> str:
    """Run a program; return what it prints.

    Raises
    ------
    AssertionError
        It failed; the text is the end of what it complained about.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_THEIRS)}
    done = subprocess.run(
        command, env={**inherited, **_QUIET, **variables}, check=False, capture_output=True, encoding="utf-8", timeout=_PATIENCE
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
