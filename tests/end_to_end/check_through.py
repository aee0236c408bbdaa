"""The checks of Chroma's Python clients (`tests/clients/check.py`), asked through Jupyter; runs in a client's own environment.

``python check_through.py HEADERS URL DIRECT TOKEN TENANT sync|async``: everything goes to `URL` with `HEADERS` (JSON), but for what the
checks try with tokens of their own; that goes to `DIRECT`, another door to the same store, which asks for `TOKEN`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
if TYPE_CHECKING:
    from tests.clients import check
else:
    check = importlib.import_module("check")


class ThroughJupyter(check.Story):
    """A run whose clients are given an URL and headers, as a user gives them."""

    def __init__(self, headers: dict[str, str], *given: str) -> None:
        self._headers = headers
        super().__init__(*given)

    def _admin(self) -> Any:
        settings = {"chroma_server_host": self.url, "chroma_server_http_port": 0, "chroma_server_headers": self._headers}
        return self.chromadb.AdminClient(self.chromadb.config.Settings(chroma_api_impl="chromadb.api.fastapi.FastAPI", **settings))

    def connect(self, url: str | None = None, **options: Any) -> Any:
        """Return a new client."""
        return super().connect(url, **({"host": self.url, "headers": self._headers} if url is None else {}), **options)


def main(headers: str, *given: str) -> None:
    """Print one line per check."""
    for result in check.results(ThroughJupyter(json.loads(headers), *given)):
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:7])
