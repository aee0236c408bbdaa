"""Who is let in: what all routes of the extension have in common, and the list of servers.

Jupyter decides who a user is and what the user may do; here it is only asked, before anything else happens. Its checks of origin and
of cross-site requests (for clients with cookies) stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from chroma_nb_extension.actions import ACTIONS, RESOURCE, Action
from chroma_nb_extension.addresses import path_of_kernel, without_secrets
from chroma_nb_extension.kernels import Serving
from chroma_nb_extension.refusal import TOKEN_HINT, Refused, error_body

if TYPE_CHECKING:
    from chroma_nb_extension.app import ChromaNB


def _admitted(handler: JupyterHandler) -> None:
    """Be what the guards below stand before."""


# One guard per action: jupyter_server's decorator remembers an action it had to infer, for all later requests.
_GUARDS: dict[Action, Callable[[JupyterHandler], Awaitable[None]]] = {
    action: authorized(action, resource=RESOURCE)(_admitted) for action in ACTIONS
}


class Discreet(JupyterHandler):
    """A request whose token is in no log line and in no login URL, and whose user is asked about before anything happens."""

    def initialize(self, extension: ChromaNB) -> None:
        """Take over what tornado's rule brings."""
        self.extension = extension
        # Jupyter has parsed the query already. What follows (tornado's messages, the redirect to the login) writes the URL out.
        self.request.query = without_secrets(self.request.query)
        self.request.uri = f"{self.request.path}?{self.request.query}" if self.request.query else self.request.path

    async def permit(self, action: Action) -> None:
        """Ask Jupyter whether the user may.

        Raises
        ------
        web.HTTPError
            Status 403: there is no user, or it may not.
        """
        if not self.current_user:
            raise Refused(403, f"Jupyter wants to know who asks; {TOKEN_HINT}")
        await _GUARDS[action](self)


class Door(Discreet, APIHandler):
    """A route for programs: whoever is not let in reads why as JSON, in Chroma's shape."""

    def initialize(self, extension: ChromaNB) -> None:
        """Take over what tornado's rule brings."""
        super().initialize(extension)
        # A client that polls would keep an idle server from being culled.
        self._track_activity = extension.track_activity

    def write_error(self, status_code: int, **details: Any) -> None:
        """Write an error in Chroma's shape."""
        error = details.get("exc_info", (None, None))[1]
        message = error.message if isinstance(error, Refused) else self._said_by_jupyter(status_code, error)
        self.finish(json.dumps(error_body(status_code, message)))

    def _said_by_jupyter(self, status: int, error: BaseException | None) -> str:
        if not isinstance(error, web.HTTPError):
            return "the extension failed; the log of the Jupyter server says why"
        said = (error.log_message or "") % error.args or error.reason or self._reason
        if status == 403 and not self.token_authenticated:
            return f"Jupyter refuses this request ({said}); programs {TOKEN_HINT}, pages of Jupyter send the X-XSRFToken header"
        return str(said)

    @allow_unauthenticated
    def options(self, *_: Any) -> None:
        """Answer a browser's question in advance: what Jupyter allows, and the headers of Chroma's clients."""
        super().options()
        allowed = self._headers.get("Access-Control-Allow-Headers", "")
        self.set_header("Access-Control-Allow-Headers", f"{allowed}, user-agent, x-chroma-token")
        self.set_status(204)
        self.clear_header("Content-Type")


class Servers(Door):
    """``GET chroma-nb/servers``: which kernels serve."""

    @web.authenticated
    async def get(self) -> None:
        """Write the list."""
        await self.permit("read")
        found = await self.extension.kernels.listed()
        self.finish(json.dumps([described(each, self.base_url) for each in found]))

    @web.authenticated
    async def head(self) -> None:
        """Write the headers of the list."""
        await self.get()  # type: ignore[misc]


class Nowhere(Door):
    """Every other path below ``chroma-nb/``."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Say what there is.

        Raises
        ------
        web.HTTPError
            Always.
        """
        await super().prepare()
        await self.permit("read")
        raise Refused(404, "unknown path; below chroma-nb/ there are servers, k/<kernel id>/, s/<notebook path>/, default/ and ui")


def described(serving: Serving, base_url: str) -> dict[str, Any]:
    """Return what the list says of one kernel."""
    record = serving.record
    return {
        "kernel_id": record.kernel_id,
        "url": url_path_join(base_url, path_of_kernel(record.kernel_id)),
        "notebook": serving.notebook,
        "name": serving.name,
        "state": serving.state,
        "started": record.started,
        "place": record.place,
        "read_only": record.read_only,
        "version": record.version,
    }
