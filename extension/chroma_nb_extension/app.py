"""The extension as jupyter_server sees it."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp


class ChromaNB(ExtensionApp):
    """The extension."""

    name = "chroma_nb"
