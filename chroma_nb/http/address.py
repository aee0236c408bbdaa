"""Where a server is: the address a caller gives, checked and encoded once, and what it may say about who is calling."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from chroma_nb.errors import InvalidArgumentError, InvalidTypeError
from chroma_nb.uncopied import Uncopied

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_API = re.compile(r"/api(/v[12])?$")
_SHORTEST_SECRET = 8
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Address(Uncopied):
    """A server's address.

    Parameters
    ----------
    url
        Scheme, host, port and path, percent-encoded, without a slash at the end and without ``/api``.
    headers
        What to send with every request; never shown.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_near(self) -> bool:
        """Whether the server is on this machine, where no proxy of the environment belongs in between."""
        name = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost" or name.endswith(".localhost")

    @property
    def secrets(self) -> frozenset[str]:
        """What no message may show: values of headers, and the words they are made of."""
        words = (word for value in self.headers.values() for word in (value, *value.split()))
        return frozenset(word for word in words if len(word) >= _SHORTEST_SECRET)

    @classmethod
    def of(cls, host: object, port: object = 8000, *, ssl: bool = False, headers: object = None) -> Address:
        """Read host and port, or an URL in place of the host, with which `port` does not count.

        Raises
        ------
        InvalidArgumentError
            It is no address of a server; the message says what to write.

        Examples
        --------
        >>> Address.of("localhost").url
        'http://localhost:8000'
        >>> Address.of("https://hub.example/user/a b/chroma-nb/").url
        'https://hub.example/user/a%20b/chroma-nb'
        """
        if not isinstance(host, str):
            raise InvalidTypeError(f"host: expected a str such as 'localhost' or 'http://localhost:8000', got {type(host).__name__}")
        given = _given_headers(headers)
        if "://" not in host:
            return cls(f"{'https' if ssl else 'http'}://{_name(host)}:{_port(port)}", given)
        login, url = _url(host, ssl=ssl)
        return cls(url, {**login, **given})


def _name(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return f"[{bare}]" if ipaddress.ip_address(bare).version == 6 else host
    except ValueError:
        pass
    if not host or not re.fullmatch(r"[^\s/:@?#\\]+", host):
        cure = "pass host and port apart, or a whole URL such as 'http://localhost:8000'"
        raise InvalidArgumentError(f"host: {host[:80]!r} is not the name of a machine; {cure}")
    return host


def _port(port: object) -> int:
    number = int(port) if isinstance(port, str) and port.isdecimal() else port
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65_535:
        raise InvalidArgumentError(f"port: expected a number from 1 to 65535, got {str(port)[:40]!r}")
    return number


def _url(given: str, *, ssl: bool) -> tuple[dict[str, str], str]:
    """Return the login an URL has in front of its host, as a header, and the URL without it."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise InvalidArgumentError(f"host: not a valid URL ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgumentError("host: expected an URL such as 'http://localhost:8000' or 'https://example.org/path'")
    if parts.query or parts.fragment:
        raise InvalidArgumentError("host: the URL ends in a query or fragment; leave it out and pass a token as headers={...}")
    path = _API.sub("", parts.path.rstrip("/")).rstrip("/")
    encoded = quote(_STRAY_PERCENT.sub("%25", path), safe="/%:@!$&'()*+,;=~-._")
    scheme = "https" if ssl else parts.scheme
    url = f"{scheme}://{_name(parts.hostname)}{'' if port is None else f':{port}'}{encoded}"
    if parts.username is None:
        return {}, url
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode("ascii")}, url


def _given_headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise InvalidTypeError(f"headers: expected a dict such as {{'X-Chroma-Token': '...'}}, got {type(headers).__name__}")
    checked: dict[str, str] = {}
    for name, value in headers.items():
        # The value may be a secret, so no message shows it.
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidTypeError(f"headers: names and values are str, got {type(name).__name__} and {type(value).__name__}")
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidArgumentError(f"headers: {name[:40]!r} is not the name of a header")
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise InvalidArgumentError(
                f"headers[{name!r}]: the value has characters that a header cannot carry there; a stray space or line end, perhaps"
            )
        checked[name.lower()] = value
    return checked
