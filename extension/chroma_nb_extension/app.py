"""The extension as jupyter_server sees it: its settings, its routes, its start and its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from jupyter_server.extension.application import ExtensionApp, ExtensionAppJinjaMixin
from traitlets import Bool, Dict, Float, Integer, List, Unicode, default

from chroma_nb_extension import __version__
from chroma_nb_extension.addresses import spellings
from chroma_nb_extension.handlers import Nowhere, Servers
from chroma_nb_extension.kernels import Kernels
from chroma_nb_extension.pages import JINJA_OPTIONS, Overview, Table
from chroma_nb_extension.proxy import ByKernel, ByNotebook, TheOnly
from chroma_nb_extension.records import Records
from chroma_nb_extension.upstream import Upstreams

if TYPE_CHECKING:
    from jinja2 import Environment
    from jupyter_server.serverapp import ServerApp

_ROUTES: Final = (
    (r"servers", Servers),
    (r"k/.*", ByKernel),
    (r"s/.*", ByNotebook),
    (r"default(?:[:/].*)?", TheOnly),
    (r"ui/?", Overview),
    (r"ui/collection", Table),
    (r".*", Nowhere),
)
"""Path below ``{base_url}/chroma-nb/`` as a regular expression -> who answers."""
_ANYWHERE = ("", "0.0.0.0", "*", "::")  # noqa: S104 - compared with, not bound


class ChromaNB(ExtensionAppJinjaMixin, ExtensionApp):
    """The extension, and its settings (``c.ChromaNB.timeout = 60`` in ``jupyter_server_config.py``)."""

    name = "chroma_nb"
    extension_url = "/chroma-nb/ui"
    template_paths = List(Unicode(), [str(Path(__file__).parent / "templates")])
    jinja2_options = Dict(JINJA_OPTIONS)

    timeout = Float(300.0, config=True, help="Seconds without a sign of life after which a kernel is given up (status 504).")
    max_body_size = Integer(config=True, help="Largest body of a request in bytes; by default what ServerApp.max_body_size says.")
    track_activity = Bool(
        default_value=False,
        config=True,
        help="Whether requests of API clients count as activity, which keeps an idle server from being culled.",
    )

    @property
    def server(self) -> ServerApp:
        """The Jupyter server that has loaded this."""
        return cast("ServerApp", self.serverapp)

    @property
    def templates(self) -> Environment:
        """The templates of the page."""
        return cast("Environment", vars(self)["jinja2_env"])

    @default("max_body_size")
    def _default_max_body_size(self) -> int:
        return int(self.server.max_body_size)

    def initialize_handlers(self) -> None:
        """Register the routes; below every spelling of the base URL, for clients encode it as they like."""
        server = self.server
        self.records = Records(Path(server.runtime_dir))
        remote = bool(server.gateway_config.gateway_enabled)
        self.kernels = Kernels(self.records, server.kernel_manager, server.session_manager, remote=remote)
        self.upstreams = Upstreams(self.timeout, self.kernels.ids)
        base = f"{spellings(server.base_url)}chroma-nb/"
        self._below = re.compile(f"{base}(.*)", re.DOTALL)
        rules = [(base + path, handler, {"extension": self}) for path, handler in _ROUTES]
        server.web_app.add_handlers(".*$", rules)  # type: ignore[no-untyped-call]
        # When the loop runs, the port is known.
        server.io_loop.add_callback(self._announce)

    def below(self, path: str) -> str:
        """Return what follows ``{base_url}/chroma-nb/`` in a path that one of the routes matched."""
        found = self._below.fullmatch(path)
        return found[1] if found else ""

    async def stop_extension(self) -> None:
        """Close what is open, take back what was announced."""
        self.records.withdraw()
        self.upstreams.close()

    def _announce(self) -> None:
        url = self.server.connection_url
        if not self.server.sock and self.server.ip in _ANYWHERE:
            here = "[::1]" if self.server.ip == "::" else "127.0.0.1"
            url = f"{url.partition('://')[0]}://{here}:{self.server.port}{self.server.base_url}"
        try:
            self.records.forget_dead(self.kernels.ids())
            self.records.announce(url, self.server.base_url, __version__)
        except OSError as error:
            self.log.warning("chroma_nb: cannot write into %s (%s); kernels will serve on ports of their own", self.records.folder, error)
