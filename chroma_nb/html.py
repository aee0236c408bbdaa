"""HTML for ``_repr_html_``: the one place where text of users becomes markup.

Whatever is not `Html` is escaped, by construction: every function here takes any text and only `element` makes `Html`. Joining
`Html` with ``+`` or an f-string gives a plain str, which is escaped when it is used again; so a slip shows as visible tags and never
as markup. No scripts, no links, no styles or attribute names from outside.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

from chroma_nb.brief import inert

LIMIT = 300
"""Characters of one text that are shown."""

_TAGS = frozenset(["b", "code", "details", "div", "em", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr"])
_ATTRIBUTES = frozenset(("class", "dir", "open", "scope", "style", "title"))
_LINE = "1px solid var(--jp-border-color2, rgba(128,128,128,.4))"
_CARD = (
    "font-family:var(--jp-ui-font-family, system-ui, sans-serif);font-size:13px;color:var(--jp-ui-font-color1, inherit);"
    f"border:{_LINE};border-radius:4px;padding:8px 12px;margin:2px 0;max-width:960px;overflow-x:auto"
)
_MUTED = "color:inherit;opacity:.75"
_TABLE = "border-collapse:collapse;margin:4px 0;font-size:inherit;color:inherit"
_CELL = f"text-align:left;padding:2px 12px 2px 0;border:0;border-bottom:{_LINE};vertical-align:top;max-width:420px;overflow-wrap:anywhere"
_NO_MATH = "tex2jax_ignore mathjax_ignore"  # otherwise $...$ in a text is typeset, and TeX can make links


class Html(str):
    """Markup that is safe as it stands; only this file makes it from anything but constants."""

    __slots__ = ()


def esc(value: object, limit: int = LIMIT) -> Html:
    r"""Return `value` as HTML text, also fit for a quoted attribute; `Html` passes unchanged.

    Parameters
    ----------
    limit
        Characters shown of a longer text; the rest becomes an ellipsis.

    Examples
    --------
    >>> esc("<b onclick='x'>")
    '&lt;b onclick=&#x27;x&#x27;&gt;'
    >>> esc("a\u202eb"), esc("long text", limit=5)
    ('a\\u202eb', 'long…')
    """
    if isinstance(value, Html):
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = text[: max(limit - 1, 0)] + "…"
    return Html(html.escape(inert(text), quote=True))


def join(pieces: Iterable[object], separator: object = "") -> Html:
    """Return `pieces` one after the other, each escaped."""
    return Html(esc(separator).join(esc(piece) for piece in pieces))


def element(tag: str, *children: object, **attributes: object) -> Html:
    """Return ``<tag ...>children</tag>``; children and attribute values are escaped.

    Raises
    ------
    ValueError
        A tag or an attribute that has no business in a display (``script``, ``onclick``, ``href``).

    Examples
    --------
    >>> element("span", "a < b", title='"')
    '<span title="&quot;">a &lt; b</span>'
    """
    if tag not in _TAGS or not attributes.keys() <= _ATTRIBUTES:
        raise ValueError(f"element: <{tag} {' '.join(attributes)}> is not among the tags and attributes of a display")
    written = "".join(f' {name}="{esc(str(value), limit=LIMIT * 10)}"' for name, value in attributes.items())
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def table(rows: Iterable[Sequence[object]], headers: Sequence[object] = (), *, limit: int = LIMIT) -> Html:
    """Return a table; cells and `headers` are escaped, `limit` characters of each cell are shown."""

    def line(tag: str, cells: Sequence[object], **attributes: Any) -> Html:
        written = (element(tag, esc(cell, limit), style=_CELL, dir="auto", **attributes) for cell in cells)
        return element("tr", *written, style="background:none")

    head = element("thead", line("th", headers, scope="col")) if headers else Html()
    body = element("tbody", *(line("td", row) for row in rows))
    return element("table", head, body, style=_TABLE, **{"class": _NO_MATH})


def card(title: object, subtitle: object = "", *body: object) -> Html:
    """Return a framed block: a bold `title`, a muted `subtitle`, and `body` below."""
    heading = element("div", element("strong", title), " ", element("span", subtitle, style=_MUTED), dir="auto")
    return element("div", heading, *body, style=_CARD, **{"class": _NO_MATH})


def picture(png: bytes, alternative: str) -> Html:
    """Return a PNG image inside the page, with the text that is read where it is not seen."""
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Html(f'<img src="{source}" alt="{esc(alternative)}" style="max-width:100%;height:auto">')


def folded(summary: object, *body: object) -> Html:
    """Return `body` hidden under a line `summary` that opens it."""
    return element("details", element("summary", summary, style="cursor:pointer;" + _MUTED), *body, **{"class": _NO_MATH})
