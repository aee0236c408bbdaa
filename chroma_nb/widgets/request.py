"""What is asked of which collection, as plain values, and what every language of `code` says about it alike.

Must not live here: a language. Called by the query builder, which makes the values, and by the writers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import orjson

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import EVERYTHING, OPERATORS, Filter, both, describe, parse_filter, split, to_dict
from chroma_nb.http.call import DEFAULT_DATABASE, DEFAULT_TENANT
from chroma_nb.http.session import leaves, operands
from chroma_nb.records import Vectors
from chroma_nb.scalars import Instant

_TOKEN: Final = "X-Chroma-Token"  # noqa: S105 - a header's name
_RULES_NOTE: Final = "Without the key a record does not match a negative test, as in chroma_nb; Chroma's own server reads that differently."
_SERVE_NOTE: Final = "The store is in a process: server = chroma_nb.serve(client); CHROMA_URL is server.url, CHROMA_TOKEN its token."


@dataclass(frozen=True)
class Connection:
    """Where a collection is, without secrets.

    Parameters
    ----------
    kind
        ``"memory"``, ``"folder"`` and ``"server"`` say how to make a client; ``"other"`` leaves that to the user.
    place
        The folder or the URL.
    headers
        Names of the headers that the server is sent.
    embeds
        Whether a new client can embed texts for this collection by itself.
    """

    kind: Literal["memory", "folder", "server", "other"]
    place: str
    collection: str
    collection_id: str
    tenant: str = DEFAULT_TENANT
    database: str = DEFAULT_DATABASE
    headers: tuple[str, ...] = ()
    embeds: bool = False


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a collection.

    Parameters
    ----------
    filter
        Which records take part.
    texts, vectors, like
        The queries: texts, (q, d) float32, or ids of records; `texts` may come with their `vectors`. None of them is a plain `get`.
    n_results
        Of each query.
    limit
        Records that a `get` returns at most, None for all.
    include
        Columns.
    """

    filter: Filter = EVERYTHING
    texts: tuple[str, ...] | None = None
    vectors: Vectors | None = None
    like: tuple[str, ...] | None = None
    n_results: int = 10
    limit: int | None = None
    include: tuple[str, ...] = ("documents", "metadatas")

    @property
    def is_query(self) -> bool:
        """Whether records are ranked."""
        return self.texts is not None or self.vectors is not None or self.like is not None


def dicts_of(filter: Filter) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:  # noqa: A002 - the field's name
    """Return ``where`` and ``where_document`` of a filter, tests of documents in the latter wherever that can be.

    Examples
    --------
    >>> from chroma_nb.filters import parse_where
    >>> dicts_of(parse_where({"$and": [{"#document": {"$contains": "a"}}, {"n": 1}]}))
    ({'n': {'$eq': 1}}, {'$contains': 'a'})
    """
    return to_dict(both(*split(filter)))


def lacks_are_left_out(filter: Filter) -> bool:  # noqa: A002 - the field's name
    """Tell whether a negative test is meant not to find records without the key, which is not how Chroma's own API reads it."""
    return any(OPERATORS[leaf.op].negates is not None and not leaf.missing for leaf in leaves(filter))


def variable(header: str) -> str:
    """Return the environment variable that holds a header's value."""
    name = re.sub(r"[^A-Z0-9]+", "_", header.upper()).strip("_").removeprefix("X_").removeprefix("CHROMA_")
    return f"CHROMA_{name}"


def paragraphs(*blocks: str) -> str:
    """Return the blocks of code that are not empty, an empty line between them."""
    return "\n\n".join(block for block in blocks if block)


def refuse_foreign(filter: Filter, speaker: str) -> None:  # noqa: A002 - the field's name
    """Refuse a filter that Chroma's own clients do not send: they look through filters, and know neither datetimes nor all of ours.

    Raises
    ------
    InvalidArgumentError
        The message names the test, and where it can be said.
    """
    cure = "copy it as Python (chroma_nb) or as curl, which can"
    for leaf in leaves(filter):
        if any(isinstance(value, Instant) for value in operands(leaf)):
            raise InvalidArgumentError(f"{speaker} cannot compare datetimes ({describe(leaf, 80)}); {cure}")
    for leaf in leaves(parse_filter(dicts_of(filter)[0])):
        if leaf.op in ("$regex", "$not_regex"):
            raise InvalidArgumentError(
                f"{speaker} cannot join a pattern with tests of metadata by $or: it takes {leaf.op} in where_document only; {cure}"
            )


def of_texts(request: Request, comment: str) -> str:
    """Return a line of comment that says which texts the vectors are of; nothing for vectors without texts."""
    if request.texts is None:
        return ""
    # The repr has no line ends and no marks that turn text round, so the comment ends where it seems to.
    shown = ", ".join(repr(text[:80]) for text in request.texts[:3]) + (", ..." if len(request.texts) > 3 else "")
    return f"{comment} {shown}, embedded by the collection's function\n"


def headers_for(connection: Connection) -> tuple[str, ...]:
    """Return the headers to send: those of the server, or the one that a server of the embedded store will want."""
    return connection.headers if connection.kind == "server" else (_TOKEN,)


def notes_for(comment: str, connection: Connection, *, guide: bool) -> str:
    """Return lines of comment on how to reach the records, and on negative tests."""
    notes = [*([] if connection.kind == "server" else [_SERVE_NOTE]), *([_RULES_NOTE] if guide else [])]
    return "".join(f"{comment} {note}\n" for note in notes)


def vectors_source(vectors: Vectors) -> str:
    """Return vectors as nested lists: float32 values with the fewest digits that bring them back, several to a line."""
    rows = []
    for vector in vectors:
        numbers = orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
        lines = [", ".join(numbers[i : i + 8]) for i in range(0, len(numbers), 8)]
        rows.append("  [" + ",\n   ".join(lines) + "],")
    return "[\n" + "\n".join(rows) + "\n]"
