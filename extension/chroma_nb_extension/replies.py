"""The head of a kernel's reply: its first line, its headers, and where its body ends. Pure functions over bytes.

Read as strictly as HTTP/1.1 allows, and more so where two readers could understand it differently: a reply that one takes for
longer than the other is how a second one is smuggled in. No folded lines, no lone CR or LF, no second opinion about a length, no
interim replies, which are never asked for. Called by `chroma_nb_extension.exchange`, which reads the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LARGEST_HEAD: Final = 1 << 14
"""Bytes of a reply before its body."""
MOST_HEADERS: Final = 100
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t -~\x80-\xff]*)?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t -~\x80-\xff]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_ONCE: Final = frozenset({"content-length", "content-type", "transfer-encoding"})

Headers = list[tuple[str, str]]


class BrokenError(Exception):
    """The connection broke, or what came over it was no HTTP."""


@dataclass(frozen=True)
class Head:
    """What comes before the body.

    Parameters
    ----------
    headers
        Names in lower case.
    length
        Bytes of the body; None when it comes in chunks, or ends with the connection.
    chunked
        Whether it comes in chunks.
    closes
        Whether the kernel closes the connection when the reply has ended.
    """

    status: int
    headers: Headers
    length: int | None
    chunked: bool
    closes: bool


def head_of(content: bytes, method: str) -> Head:
    r"""Return what a head says.

    Parameters
    ----------
    content
        Everything up to the empty line, with it.
    method
        Of the request.

    Raises
    ------
    BrokenError
        It is none, or could be understood in two ways.

    Examples
    --------
    >>> head_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "GET").length
    2
    """
    first, *lines = content.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _STATUS.fullmatch(first)
    if found is None:
        raise BrokenError("no reply of HTTP/1.1")
    if len(lines) > MOST_HEADERS:
        raise BrokenError(f"more than {MOST_HEADERS} headers")
    status, headers = int(found[1]), [header_of(line) for line in lines]
    names = [name for name, _ in headers]
    if any(names.count(name) > 1 for name in _ONCE):
        raise BrokenError("a header twice that may be there once")
    given = dict(headers)
    coding, length = given.get("transfer-encoding"), given.get("content-length")
    if coding is not None and (length is not None or coding.lower() != "chunked"):
        raise BrokenError("a reply that says twice how long it is, or is encoded in a way that nobody asked for")
    if length is not None and not _LENGTH.fullmatch(length):
        raise BrokenError("a length that is none")
    closes = any("close" in value.lower() for name, value in headers if name == "connection")
    if method == "HEAD" or status == 304:
        return Head(status, headers, 0, chunked=False, closes=closes)
    if status == 204 and (coding or int(length or 0)):
        raise BrokenError("a body where none may be")
    known = 0 if status == 204 else None if length is None else int(length)
    return Head(status, headers, known, coding is not None, closes or (known is None and coding is None))


def header_of(line: bytes) -> tuple[str, str]:
    """Return name, in lower case, and value.

    Raises
    ------
    BrokenError
        The line is no header.
    """
    found = _HEADER.fullmatch(line)
    if found is None:
        raise BrokenError("a line that is no header")
    return found[1].decode("ascii").lower(), found[2].strip(b" \t").decode("latin-1")


def check_trailer(line: bytes) -> None:
    """See that a line after the last chunk is a header, and none that would say something about the body.

    Raises
    ------
    BrokenError
        It is not.
    """
    if header_of(line)[0] in _ONCE:
        raise BrokenError("a header behind the body that belongs before it")
