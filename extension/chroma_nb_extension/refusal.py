"""What is said to a client whose request goes no further, in the shape of Chroma's own errors.

Official clients look the error's class up by the name in ``error`` and show ``message``; so every message says the way out.
"""

from __future__ import annotations

from typing import Final

from tornado import web

from chroma_nb_extension.visible import visible

_NAMES: Final = {
    400: "InvalidArgumentError",
    403: "AuthorizationError",
    404: "NotFoundError",
    405: "InvalidArgumentError",
    409: "InvalidArgumentError",
    410: "NotFoundError",
    413: "BatchSizeExceededError",
}
"""Status -> the error as Chroma's clients know it; what is not here is an ``InternalError``."""

TOKEN_HINT: Final = "send 'Authorization: token <Jupyter token>'"  # noqa: S105 - the words, not a token


class Refused(web.HTTPError):
    """A request that goes no further.

    Parameters
    ----------
    status
        Of the reply.
    message
        Why, and the way out; shown to the client, and logged in one line, for it may name what somebody else has thought up.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, visible(" ".join(message.split())))
        self.message = message


def error_body(status: int, message: str) -> dict[str, str]:
    """Return the body of a refusal.

    Examples
    --------
    >>> error_body(404, "no such kernel")
    {'error': 'NotFoundError', 'message': 'no such kernel'}
    """
    return {"error": _NAMES.get(status, "InternalError"), "message": message}
