"""A server's reply opened: the JSON of one that says yes, an error for one that refuses, is no JSON, or comes from something else.

What the JSON holds is read in `chroma_nb.http.decoding`. Called by `chroma_nb.http.backend`.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from chroma_nb import errors
from chroma_nb.errors import ChromaError, InvalidDimensionError, ServerReplyError
from chroma_nb.http.message import SERVER_HEADER, Reply

_DONE = frozenset({200, 201, 202})
_LARGE, _LARGEST = 64 << 20, 4 << 30
"""Bytes of a body from which it is looked at before it is parsed (none becomes forty times as large), and that the outcome may take."""
_MOST_SHOWN = 2000
_DIMENSION = re.compile(r"expecting embedding with dimension of \d+", re.IGNORECASE)


def _family() -> dict[tuple[str, int], type[ChromaError]]:
    """Return the class of each wire name that says anything, and status; where several share both, the most general one."""
    known: dict[tuple[str, int], type[ChromaError]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ChromaError) and kind.code != ChromaError.code:
            known.setdefault((kind.code, kind.status), kind)
    return known


_BY_NAME = _family()
_BY_STATUS: dict[int, type[ChromaError]] = {
    400: errors.InvalidArgumentError,
    401: errors.AuthorizationError,
    403: errors.AuthorizationError,
    404: errors.NotFoundError,
    409: errors.UniqueConstraintError,
    410: errors.NotOfferedError,
    413: errors.BatchSizeExceededError,
    415: errors.InvalidArgumentError,
    421: errors.AuthorizationError,
    422: errors.InvalidArgumentError,
    501: errors.NotOfferedError,
}


def json_of(reply: Reply, place: str) -> Any:
    """Return the JSON of a reply that is no refusal.

    Raises
    ------
    ChromaError
        It is a refusal; or it is no JSON, so that something else than a Chroma server answered.
    """
    if reply.status not in _DONE:
        raise refusal_of(reply, place)
    body = _parsed(reply, place)
    if SERVER_HEADER not in reply.headers and isinstance(body, dict) and isinstance(body.get("metadatas"), list):
        body["metadatas"] = [list(map(ordered, each)) if isinstance(each, list) else ordered(each) for each in body["metadatas"]]
    return body


def _parsed(reply: Reply, place: str) -> Any:
    if len(reply.body) > _LARGE and _size_in_memory(reply.body) > _LARGEST:
        raise ServerReplyError(f"{place}: the reply would need more than {_LARGEST:,} bytes of memory; ask for less at once")
    try:
        return orjson.loads(reply.body)
    except (orjson.JSONDecodeError, MemoryError):
        raise _foreign(reply, place) from None


def _size_in_memory(body: bytes) -> int:
    """Estimate what a body takes once it is parsed: an empty list is 2 bytes of it and 64 of memory."""
    return len(body) + 240 * body.count(b"{") + 64 * body.count(b"[") + 32 * body.count(b",")


def ordered(metadata: Any) -> Any:
    """Return metadata with its keys sorted: Chroma's server sends them in another order each time, and columns would jump about."""
    return dict(sorted(metadata.items())) if isinstance(metadata, dict) else metadata


def refusal_of(reply: Reply, place: str) -> ChromaError:
    """Return the error that a reply tells of; ``trace_id`` is the server's name for the incident."""
    try:
        body = orjson.loads(reply.body)
    except (orjson.JSONDecodeError, MemoryError):
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        error = _without_body(reply, place, body)
    else:
        code, message = body["error"], body.get("message")
        if not isinstance(message, str) or not message:
            message = code
        kind = _BY_NAME.get((code, reply.status)) or _BY_STATUS.get(reply.status) or errors.StoreError
        if kind is errors.InvalidArgumentError and _DIMENSION.search(message):
            kind = InvalidDimensionError
        if reply.status == 401:
            message += f" ({place}; pass it to the client as headers={{'X-Chroma-Token': '...'}})"
        error = kind(message)
        error.status = reply.status
    error.trace_id = shown(reply.headers["chroma-trace-id"]) if "chroma-trace-id" in reply.headers else None
    return error


def _without_body(reply: Reply, place: str, body: object) -> ChromaError:
    if reply.status == 413:
        return errors.BatchSizeExceededError(f"{place}: the request is larger than the server takes; send fewer records at once")
    if reply.status in (401, 403):
        return errors.AuthorizationError(f"{place}: access denied (status {reply.status}); is the token in headers={{...}} the right one?")
    if reply.status in (404, 410) and body is not None:
        return ServerReplyError(f"{place}: the server has no version 2 of Chroma's API; it needs Chroma 0.5.16 or newer")
    return _foreign(reply, place)


def _foreign(reply: Reply, place: str) -> ServerReplyError:
    kind = reply.headers.get("content-type", "").partition(";")[0] or "no content type"
    if 300 <= reply.status < 400:
        to = reply.headers.get("location", "elsewhere").partition("?")[0][:100]
        return ServerReplyError(f"{place}: redirected to {to}, as login pages are; is the address right, and the token in headers={{...}}?")
    what = "a web page" if "html" in kind else f"{len(reply.body)} bytes of {kind}"
    cure = "is a Chroma server at this address, and the token for a proxy in front of it in headers={...}?"
    return ServerReplyError(f"{place}: expected JSON, got {what} (status {reply.status}); {cure}")


def shown(text: str) -> str:
    """Return a text of a server as it may stand in a message: not too long, and without characters that steer a terminal."""
    cut = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + " ..."
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in cut)
