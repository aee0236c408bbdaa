"""The Jupyter server extension: a kernel's Chroma API at Jupyter's own address, behind Jupyter's own door.

Runs in the process of the Jupyter *server*, which may be another environment than the kernel's; so nothing here imports
``chroma_nb``, and nothing opens a store. What the two sides know of each other is in `chroma_nb_extension.records`.
Called by jupyter_server, which looks for the function below.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__version__ = version("chroma-nb")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell jupyter_server what to load."""
    from chroma_nb_extension.app import ChromaNB

    return [{"module": "chroma_nb_extension", "app": ChromaNB}]
