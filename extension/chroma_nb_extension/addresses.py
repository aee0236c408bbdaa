"""The public paths: what a client may ask for below ``{base_url}/chroma-nb/``, taken apart as it came over the wire.

Pure functions over text. Paths stay percent-encoded, for what is handed on must be what was asked; nothing here decides where a
connection goes, a path only names a kernel and the part of its API. The number after ``:`` is what Chroma's JavaScript client 3
appends to every host; it means nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, unquote_plus, unquote_to_bytes

from chroma_nb_extension.records import KERNEL_ID
from chroma_nb_extension.refusal import Refused

_PORT = r"(?::[0-9]{1,5})?"
_BY_KERNEL = re.compile(rf"k/({KERNEL_ID}){_PORT}(/.*)?")
_DEFAULT = re.compile(rf"default{_PORT}(/.*)?")
_PORT_AFTER = re.compile(r":[0-9]{1,5}\Z")
_API = re.compile(r"/api/v[12](?:/.*)?|/(?:docs|openapi\.json)?")
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_STEP = re.compile(r"(?:\A|[/\\])\.\.?(?:[/\\]|\Z)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUERY = re.compile(r"[!-~]*")
_SECRETS: Final = frozenset({"token", "_xsrf"})
"""Query parameters that are Jupyter's business and nobody else's."""


def spellings(path: str) -> str:
    """Return a regular expression for all percent-encodings of a path, itself encoded or not.

    Clients and proxies disagree on which characters to encode: ``/user/a@b/`` is ``/user/a%40b/`` too.

    Examples
    --------
    >>> bool(re.fullmatch(spellings("/user/a%40b/"), "/user/a@b/"))
    True
    """
    return "".join(_spelled(byte) for byte in unquote_to_bytes(path))


def _spelled(byte: int) -> str:
    encoded = "".join(f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in f"{byte:02X}")
    plain = re.escape(chr(byte)) if byte < 0x80 else None
    if plain is None:
        return f"%{encoded}"
    return plain if chr(byte).isalnum() or byte in b"/-._~" else f"(?:{plain}|%{encoded})"


def by_kernel(tail: str) -> tuple[str, str]:
    """Take ``k/<kernel id>...`` apart; return the id and the rest.

    Raises
    ------
    Refused
        It names no kernel.
    """
    found = _BY_KERNEL.fullmatch(tail)
    if found is None:
        raise Refused(
            404, "the path names no kernel; expected chroma-nb/k/<kernel id>/api/v2/..., and chroma-nb/servers lists what there is"
        )
    return found[1], found[2] or ""


def by_notebook(tail: str, paths: Iterable[str]) -> tuple[str, str]:
    """Take ``s/<notebook path>...`` apart, where `paths` are the notebooks that are open; return the path and the rest.

    Raises
    ------
    Refused
        No open notebook has this path.
    """
    asked = tail.removeprefix("s/").split("/")
    for path in sorted(paths, key=len, reverse=True):
        names = path.split("/")
        *folders, name = (unquote(piece) for piece in asked[: len(names)])
        if folders == names[:-1] and name in (names[-1], f"{names[-1]}{_port_of(name)}"):
            rest = asked[len(names) :]
            return path, "/" + "/".join(rest) if rest else ""
    raise Refused(404, "no open notebook has this path; open it in Jupyter and serve from it, or see chroma-nb/servers for what there is")


def _port_of(name: str) -> str:
    found = _PORT_AFTER.search(name)
    return found[0] if found else ""


def default(tail: str) -> str:
    """Take ``default...`` apart; return the rest.

    Raises
    ------
    Refused
        It is another path.
    """
    found = _DEFAULT.fullmatch(tail)
    if found is None:
        raise Refused(404, "unknown path; expected chroma-nb/default/api/v2/...")
    return found[1] or ""


def checked(rest: str) -> str:
    """Return the part of a path that is handed on, ``"/"`` for none.

    Raises
    ------
    Refused
        It is no path of Chroma's API, or could be read in two ways.
    """
    path = rest or "/"
    if not _PATH.fullmatch(path):
        raise Refused(400, "the path has characters that must be percent-encoded")
    decoded = unquote(path, errors="replace")
    if _STEP.search(decoded) or _CONTROL.search(decoded):
        raise Refused(400, "the path has '.', '..' or a control character as a name")
    if not _API.fullmatch(path):
        raise Refused(404, "unknown path; after the kernel come /api/v1, /api/v2, /docs or /openapi.json")
    return path


def without_secrets(query: str) -> str:
    """Return a query string without Jupyter's token, in whatever spelling.

    Examples
    --------
    >>> without_secrets("limit=5&%74oken=abc&tenant=a+b")
    'limit=5&tenant=a+b'
    """
    return "&".join(item for item in query.split("&") if unquote_plus(item.partition("=")[0]) not in _SECRETS)


def target(path: str, query: str) -> bytes:
    """Return what stands in the first line of the request that is sent on.

    Raises
    ------
    Refused
        The query cannot be sent on as it is.
    """
    if not _QUERY.fullmatch(query):
        raise Refused(400, "the query has characters that must be percent-encoded")
    return (f"{path}?{query}" if query else path).encode("ascii")


def path_of_kernel(kernel_id: str) -> str:
    """Return the public path of a kernel's API, below ``{base_url}``."""
    return f"chroma-nb/k/{kernel_id}"


def path_of_notebook(notebook: str) -> str:
    """Return the public path of a notebook's API, below ``{base_url}``.

    Examples
    --------
    >>> path_of_notebook("a b/ü.ipynb")
    'chroma-nb/s/a%20b/%C3%BC.ipynb'
    """
    return f"chroma-nb/s/{quote(notebook)}"
