"""A notebook that is open, its kernel, and the public addresses of what it serves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from tests.extension.rig import Jupyter, Kernel

DATABASE = "api/v2/tenants/default_tenant/databases/default_database"
_PATIENCE = 60.0


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Notebook:
    """An open notebook."""

    def __init__(self, jupyter: Jupyter, path: str) -> None:
        self.jupyter = jupyter
        self.path = path
        self.kernel: Kernel = jupyter.kernel(path)

    def run(self, code: str) -> str:
        """Run a cell; return what it shows."""
        return self.kernel.run(code)

    def value(self, code: str) -> Any:
        """Return the value of an expression that JSON can carry."""
        return json.loads(self.run(f"import json; print(json.dumps({code}))"))

    @property
    def by_id(self) -> str:
        """Below the base URL, the address of what its kernel serves."""
        return f"chroma-nb/k/{self.kernel.id}"

    @property
    def by_path(self) -> str:
        """The same, whichever kernel runs the notebook."""
        return f"chroma-nb/s/{quote(self.path)}"

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask what it serves through Jupyter."""
        return self.jupyter.ask(method, f"{self.by_id}/{path}", **options)

    def count(self, collection: str, base: str = "") -> int:
        """Return how many records a collection has, asked for through Jupyter."""
        found = self.jupyter.ask("GET", f"{base or self.by_id}/{DATABASE}/collections/{collection}").raise_for_status().json()
        return int(self.jupyter.ask("GET", f"{base or self.by_id}/{DATABASE}/collections/{found['id']}/count").raise_for_status().json())
