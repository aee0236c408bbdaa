"""A request as a program: Python for chroma_nb and for chromadb, JavaScript, curl, and the bare filter. What is written runs.

Pure functions from values to text. Every value is a literal of its language, so that no text of a record or a user can become code. No
secret is written: what a server wants in headers is read from the environment. Called by the query builder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from chroma_nb.widgets.code_python import in_chroma_nb, in_chromadb, where_alone
from chroma_nb.widgets.code_web import in_curl, in_javascript
from chroma_nb.widgets.request import Connection, Request

Language: TypeAlias = Literal["chroma_nb", "chromadb", "javascript", "curl", "where"]
LANGUAGES: Final[Mapping[Language, str]] = {
    "chroma_nb": "Python (chroma_nb)",
    "chromadb": "Python (chromadb)",
    "javascript": "JavaScript (chromadb 3)",
    "curl": "curl",
    "where": "where dict",
}
"""What a request can be written in, and what people call it."""


def needs_vectors(language: Language, request: Request, connection: Connection) -> bool:
    """Tell whether the vectors of the queries have to be known before `request` is written in `language`."""
    if language == "where":
        return False
    if language == "chroma_nb":
        return request.texts is not None and not connection.embeds
    return request.texts is not None or (request.like is not None and language == "curl")


def code_of(language: Language, request: Request, connection: Connection) -> str:
    """Write `request` as a program.

    Raises
    ------
    InvalidArgumentError
        The language cannot say it; the message names what, and where it can be said.

    Examples
    --------
    >>> from chroma_nb.filters import parse_where
    >>> request = Request(parse_where({"year": {"$gte": 2000}}), limit=5)
    >>> print(code_of("where", request, Connection("memory", "", "docs", "")))
    {'year': {'$gte': 2000}}
    >>> print(code_of("chroma_nb", request, Connection("memory", "", "docs", "")))
    import chroma_nb
    <BLANKLINE>
    client = chroma_nb.EphemeralClient()
    collection = client.get_collection('docs')
    frame = collection.get(limit=5, where={'year': {'$gte': 2000}}, include=['documents', 'metadatas'])
    """
    return _WRITERS[language](request, connection)


_WRITERS: Final[Mapping[Language, Callable[[Request, Connection], str]]] = {
    "chroma_nb": in_chroma_nb,
    "chromadb": in_chromadb,
    "javascript": in_javascript,
    "curl": in_curl,
    "where": where_alone,
}
