"""The front end's sources, put together for a widget.

``static/`` holds plain ES modules and style sheets, with nothing to build. A widget's page code has to be one module, so what it imports
from its neighbours is written in place of the import. Called when a widget class is defined.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+)\.js";\n', re.MULTILINE)
_SELECTOR: Final = re.compile(r"[^{},;]+(?=[,{])")
_CLASS: Final = re.compile(r"\.cnb[\w-]*")
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const|class|let)\b)", re.MULTILINE)


@cache
def module(name: str) -> str:
    """Return ``static/name.js`` with the neighbours it imports, each once, before it.

    Examples
    --------
    >>> "export default" in module("common"), "import {" in module("common")
    (False, False)
    """
    parts: dict[str, str] = {}
    _collect(name, parts)
    neighbours = [_EXPORT.sub("", text) for part, text in parts.items() if part != name]
    return "\n".join([*neighbours, parts[name]])


def _collect(name: str, parts: dict[str, str]) -> None:
    text = _source(f"{name}.js")
    for neighbour in _IMPORT.findall(text):
        if neighbour not in parts:
            _collect(neighbour, parts)
    parts[name] = _IMPORT.sub("", text)


@cache
def style(name: str) -> str:
    """Return the common style sheet followed by ``static/name.css``, whose rules outweigh the common ones.

    Every widget brings the common sheet, and a page may add one after the sheet of another widget, so order alone decides nothing. In
    each selector of the own sheet the first class stands twice.
    """
    own = _SELECTOR.sub(lambda found: _CLASS.sub(r"\g<0>\g<0>", found[0], count=1), _source(f"{name}.css"))
    return _source("common.css") + "\n" + own


def _source(name: str) -> str:
    return (files("chroma_nb.widgets") / "static" / name).read_text(encoding="utf-8")
