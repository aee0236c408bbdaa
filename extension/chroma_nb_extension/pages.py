"""The page at ``{base_url}/chroma-nb/ui``: which kernels serve, their collections, and a look into each.

Rendered here, from templates that escape everything; it works without a script, under any base URL, and loads nothing from
anywhere. A browser that nobody has logged in yet is sent to Jupyter's login. What is shown comes from `asking`, how it looks
from ``templates/``.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_server.utils import url_path_join
from tornado import web

from chroma_nb_extension.addresses import path_of_kernel, path_of_notebook
from chroma_nb_extension.asking import MOST_COLLECTIONS, PAGE, Asking, Collection, Rows, Search
from chroma_nb_extension.handlers import Discreet
from chroma_nb_extension.kernels import HOW_TO_SERVE, Serving
from chroma_nb_extension.records import Record
from chroma_nb_extension.refusal import Refused
from chroma_nb_extension.snippets import Snippet, snippets
from chroma_nb_extension.visible import visible

_KERNEL = "Address of the kernel"
_NOTEBOOK = "Address of the notebook, whichever kernel runs it"
_MOST_COLUMNS = 12
_MOST_KEYS = 100
_SHORT = 160
_NAMED = 1000
_LONG = 20_000
_LONG_IN_ALL = 500_000
"""Characters of long values on one page: it is written at a stretch, and others wait."""


@dataclass(frozen=True)
class Card:
    """A kernel on the first page; `problem` says why its collections are not there."""

    serving: Serving
    addresses: dict[str, str]
    collections: list[Collection]
    problem: str | None
    code: list[Snippet]


class Page(Discreet):
    """What the pages have in common."""

    @cached_property
    def nonce(self) -> str:
        """What the page's own style and script carry, and nobody else's can."""
        return secrets.token_urlsafe(16)

    @property
    def content_security_policy(self) -> str:
        """Nothing but the page's own style and script, and nowhere but in Jupyter's own frames."""
        own = f"'nonce-{self.nonce}'"
        return f"default-src 'none'; style-src {own}; script-src {own}; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"

    @web.authenticated
    async def head(self) -> None:
        """Write the headers of the page."""
        await self.get()  # type: ignore[misc]

    def show(self, template: str, **values: Any) -> None:
        """Write a page."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "same-origin")
        shared = {"nonce": self.nonce, "base_url": self.base_url, "home": self.home, "how": HOW_TO_SERVE, "origin": self.origin}
        self.finish(self.extension.templates.get_template(template).render(**shared, **values))

    def write_error(self, status_code: int, **details: Any) -> None:
        """Show what went wrong."""
        error = details.get("exc_info", (None, None))[1]
        message = error.message if isinstance(error, Refused) else ""
        self.show("problem.html", status=status_code, reason=self._reason, message=message)

    @property
    def home(self) -> str:
        """Path of the first page."""
        return url_path_join(self.base_url, "chroma-nb/ui")

    @property
    def origin(self) -> str:
        """Scheme, host and port as the browser's request says; the page's script corrects it where a proxy hides the scheme."""
        return f"{self.request.protocol}://{self.request.host}"

    def addresses(self, kernel_id: str, notebook: str | None) -> dict[str, str]:
        """Return the URLs of a kernel's API, each with what it is; percent-encoded."""
        paths = {_KERNEL: path_of_kernel(kernel_id), **({_NOTEBOOK: path_of_notebook(notebook)} if notebook else {})}
        return {said: self.origin + quote(url_path_join(self.base_url, path), safe="/%:@!$&'()*+,;=~") for said, path in paths.items()}


class Overview(Page):
    """``GET chroma-nb/ui``."""

    @web.authenticated
    async def get(self) -> None:
        """Show the kernels and their collections."""
        await self.permit("read")
        found = await self.extension.kernels.listed()
        cards = await asyncio.gather(*map(self._card, found))
        self.show("overview.html", cards=cards, link=self._link, making=making, most=MOST_COLLECTIONS)

    async def _card(self, serving: Serving) -> Card:
        collections: list[Collection] = []
        problem = None
        if serving.alive:
            try:
                collections = await Asking(self.extension.upstreams, serving.record).collections()
            except Refused as refusal:
                problem = refusal.message
            except (KeyError, TypeError, ValueError, AttributeError):
                problem = "the kernel's answer is not understood; its version of chroma_nb may be too far from this server's"
        addresses = self.addresses(serving.record.kernel_id, serving.notebook)
        return Card(serving, addresses, collections, problem, list(snippets(addresses[_KERNEL])))

    def _link(self, card: Card, collection: Collection) -> str:
        query = {
            "kernel": card.serving.record.kernel_id,
            "tenant": collection.tenant,
            "database": collection.database,
            "name": collection.name,
        }
        return f"{self.home}/collection?{urlencode(query)}"


class Table(Page):
    """``GET chroma-nb/ui/collection?kernel=...&name=...``."""

    @web.authenticated
    async def get(self) -> None:
        """Show a page of a collection's records."""
        await self.permit("read")
        kernel_id = self.get_argument("kernel")
        record = await self.extension.kernels.record_of(kernel_id)
        asking = Asking(self.extension.upstreams, record)
        where = {name: self.get_argument(name, f"default_{name}", strip=False) for name in ("tenant", "database")}
        number = self.get_argument("page", "0")
        search = Search(
            self.get_argument("text", "", strip=False),
            self.get_argument("record", "", strip=False),
            self.get_argument("where", ""),
            int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0,
        )
        problem, rows = None, Rows([], [], [], [], more=False)
        try:
            collection = await asking.collection(where["tenant"], where["database"], self.get_argument("name", strip=False))
            try:
                rows = await asking.rows(collection, search)
            except Refused as refusal:
                problem = refusal.message
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused(
                502, "the kernel's answer is not understood; its version of chroma_nb may be too far from this server's"
            ) from None
        kept = {"kernel": kernel_id, **where, "name": collection.name}
        asked = {key: value for key, value in (("text", search.text), ("record", search.record), ("where", search.where)) if value}

        def link(page: int = 0, *, narrowed: bool = True) -> str:
            query = {**kept, **(asked if narrowed else {}), **({"page": page} if page else {})}
            return f"{self.home}/collection?{urlencode(query)}"

        left = _LONG_IN_ALL

        def cell(value: Any) -> dict[str, Any]:
            nonlocal left
            found = shown(value, max(left, _SHORT))
            left -= len(found["whole"])
            return found

        addresses = self.addresses(kernel_id, None)
        self.show(
            "collection.html",
            record=record,
            collection=collection,
            search=search,
            rows=rows,
            first=search.page * PAGE + 1,
            columns=rows.keys[:_MOST_COLUMNS],
            others=rows.keys[_MOST_COLUMNS:_MOST_KEYS],
            more=len(rows.keys[_MOST_COLUMNS:]),
            problem=problem,
            kept=kept,
            link=link,
            shown=cell,
            name=lambda text: _cut(text, _NAMED),
            facts=list(collection.metadata.items())[:_MOST_KEYS],
            addresses=addresses,
            snippets=list(snippets(addresses[_KERNEL], collection)),
        )


def making(record: Record) -> str:
    """Return a line that makes a collection in the store a kernel serves."""
    client = "EphemeralClient()" if record.place == ":memory:" else f"PersistentClient({record.place!r})"
    return f'collection = chroma_nb.{client}.create_collection("docs")'


def shown(value: Any, long: int = _LONG) -> dict[str, Any]:
    """Return how a cell shows a value: its text, the rest of a long one up to `long` characters, and its kind for the style.

    Examples
    --------
    >>> shown(None)["kind"], shown(2.5)["text"], shown(["a"])["text"]
    ('absent', '2.5', '["a"]')
    """
    kind = "absent" if value is None else "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else "text"
    text = value if isinstance(value, str) else "" if value is None else _written(value)
    return {"kind": kind, "text": _cut(text, _SHORT), "whole": _cut(text, min(long, _LONG)) if len(text) > _SHORT else ""}


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "…"  # nested more deeply than it can be written


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[:size] + "…"


JINJA_OPTIONS = {"finalize": visible, "trim_blocks": True, "lstrip_blocks": True}
"""How the templates are read: whatever they write is made visible first, and then escaped."""
