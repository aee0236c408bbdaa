"""What the fault tests need from their surroundings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that other users can reach (those of pytest they cannot)."""
    folder = Path(tempfile.mkdtemp(prefix="chroma_nb-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
