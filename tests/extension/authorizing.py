"""An authorizer for tests: lets everyone read, and write down what they asked to do."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.authorizer import Authorizer


class ReadersOnly(Authorizer):
    """Lets nobody write or execute what belongs to chroma_nb; with ``?blind``, nor read it."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Decide."""
        del user
        if resource != "chroma_nb":
            return True
        return action == "read" and "blind" not in handler.request.arguments
