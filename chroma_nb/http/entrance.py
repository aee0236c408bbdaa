"""A way to a server as its clients take it: address and token, and the code that says so in three languages.

Must not live here: where the server listens, and who forwards to it. Called by `chroma_nb.http.server` for the direct way and by
`chroma_nb.publishing` for the way through Jupyter.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from chroma_nb.uncopied import Uncopied

_MASK = "<token>"
_COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True)
class Entrance(Uncopied):
    """Where a server is reached, and what it wants to see.

    Parameters
    ----------
    address
        Scheme, host, port and percent-encoded path, without a slash at the end.
    header
        Name of the header that carries the token.
    scheme
        What stands before the token in it, such as ``"token "``.
    token
        Returns the token as it is now, or None when none is asked for.
    variable
        Environment variable that code for elsewhere takes the token from; without one it shows a placeholder.
    """

    _instead = "take its url and headers"

    address: str
    header: str
    token: Callable[[], str | None] = field(repr=False)
    scheme: str = ""
    variable: str | None = None

    @property
    def url(self) -> str:
        """The address as Chroma's Python client wants it: the client encodes the path itself, so it comes without escapes."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}{_ESCAPES.sub(_readable, parts.path)}"

    @property
    def path(self) -> str:
        """The address from its first slash on; empty for a server that has a port to itself."""
        return urlsplit(self.address).path

    @property
    def headers(self) -> dict[str, str]:
        """What a client has to send."""
        token = self.token()
        return {} if token is None else {self.header: f"{self.scheme}{token}"}

    def python(self, *, show_token: bool = False) -> str:
        """Return Python code that connects Chroma's client (1.x) or ours."""
        value = self._value(show_token=show_token)
        head, headers = "import chromadb", ""
        if value is not None:
            headers = f", headers={{{json.dumps(self.header)}: {json.dumps(value)}}}"
        elif self.variable is not None and self.token() is not None:
            head = "import os\n\nimport chromadb"
            headers = f', headers={{"{self.header}": "{self.scheme}" + os.environ["{self.variable}"]}}'
        return f"{head}\n\nclient = chromadb.HttpClient(host={self.url!r}{headers})\n"

    def js(self, *, show_token: bool = False) -> str:
        """Return JavaScript code that connects Chroma's client 3.

        That client knows host and port only and joins them with a colon. So the path goes with the host, and whoever forwards ignores
        the port behind it.
        """
        parts = urlsplit(self.address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = f"{parts.netloc}{parts.path}" if parts.path else parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
        given = [f"host: {json.dumps(host)}", f"port: {port}"]
        if parts.scheme == "https":
            given.append("ssl: true")
        value = self._value(show_token=show_token)
        if value is not None:
            given.append(f"headers: {{ {json.dumps(self.header)}: {json.dumps(value)} }}")
        elif self.variable is not None and self.token() is not None:
            given.append(f'headers: {{ "{self.header}": `{self.scheme}${{process.env.{self.variable}}}` }}')
        return f'import {{ ChromaClient }} from "chromadb";\n\nconst client = new ChromaClient({{ {", ".join(given)} }});\n'

    def curl(self, *, show_token: bool = False) -> str:
        """Return a shell command that asks for the collections."""
        value = self._value(show_token=show_token)
        header = ""
        if value is not None:
            header = f" -H {shlex.quote(f'{self.header}: {value}')}"
        elif self.variable is not None and self.token() is not None:
            header = f' -H "{self.header}: {self.scheme}${self.variable}"'
        return f"curl{header} '{self.address}{_COLLECTIONS}'"

    def _value(self, *, show_token: bool) -> str | None:
        """Return what stands in the code for the header's value; None when nothing does, or an environment variable."""
        token = self.token()
        if token is None:
            return None
        if show_token:
            return f"{self.scheme}{token}"
        return f"{self.scheme}{_MASK}" if self.variable is None else None


def _readable(escapes: re.Match[str]) -> str:
    r"""Return what a run of escapes stands for, but for signs that an address cannot hold as they are."""
    return "".join(sign if sign.isprintable() and sign not in "/?#%\\" else quote(sign, safe="") for sign in unquote(escapes[0]))


def encoded(url: str) -> str:
    """Return an address whose path has no signs but those that URLs consist of; escapes in it stay as they are.

    Examples
    --------
    >>> encoded("http://localhost:8888/user/a b@c/%41'")
    'http://localhost:8888/user/a%20b@c/%41%27'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{quote(parts.path, safe='/%:@!$&()*+,;=~')}"
