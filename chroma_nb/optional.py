"""Imports of packages that only some features need.

A feature asks for its package here when it is first used, never at import time, so that the thin use stays thin and a
missing package is an error that names the feature and the command that cures it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from chroma_nb.errors import MissingExtraError

EXTRAS = {
    "pandas": "core",
    "hnswlib": "core",
    "sentence_transformers": "embed",
    "plotly": "viz",
    "umap": "viz",
    "sklearn": "viz",
    "scipy": "viz",
    "numba": "viz",
    "PIL": "viz",
    "ipywidgets": "widgets",
    "anywidget": "widgets",
    "polars": "arrow",
    "pyarrow": "arrow",
    "httpcore": "http",
    "httpx": "http",
    "uvicorn": "server",
    "jupyter_server": "jupyter",
}
"""Top-level module -> the extra of this distribution that installs it."""


def need(module: str, feature: str) -> Any:
    """Import `module`, or say which `feature` needs it and how to get it.

    Raises
    ------
    MissingExtraError
        The package is not installed.

    Examples
    --------
    >>> need("json", "reading").loads("1")
    1
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        extra = EXTRAS.get(package, "all")
        target = "chroma-nb" if extra == "core" else f"chroma-nb[{extra}]"
        message = f"{feature} needs the package {package!r}, which is not installed. Run: pip install '{target}'"
        raise MissingExtraError(message) from error


def loaded(module: str, name: str) -> Any:
    """Return what a module that somebody has imported calls `name`; None when nobody has, or another thread is just about to.

    Examples
    --------
    >>> loaded("sys", "maxsize") > 0, loaded("no_such_module", "x")
    (True, None)
    """
    return getattr(sys.modules.get(module), name, None)
