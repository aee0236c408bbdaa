"""What a client of a server keeps in mind between requests, and the requests themselves before they are sent.

A step of the client's side yields an `Ask` and receives the JSON of the reply, or has the refusal raised inside it; who
sends, with or without ``await``, is no concern of the steps (see `chroma_nb.http.backend`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, TypeAlias, TypeVar

from typing_extensions import ParamSpec

from chroma_nb._version import __version__
from chroma_nb.errors import ChromaError, NotFoundError, ServerReplyError
from chroma_nb.filters import EVERYTHING, OPERATORS, And, Compare, Contains, Document, Filter, Member, Or, to_dict
from chroma_nb.http import decoding
from chroma_nb.http.message import RULES_HEADER, SERVER_HEADER, TYPED_HEADER, Request
from chroma_nb.http.routes import ROUTES, path_of
from chroma_nb.http.wire import dumps
from chroma_nb.results import CollectionInfo, Layout
from chroma_nb.scalars import Instant, Value

P = ParamSpec("P")
R = TypeVar("R")
DEFAULT_SCOPE = ("default_tenant", "default_database")
_AGENT = f"chroma-nb/{__version__}"
_LARGEST_EXACT = 2**53
LARGEST_REPLY = 1 << 30
"""Bytes of records that are read in one reply, compressed or not."""
_LARGEST_LISTING = 64 << 20
"""Bytes of any other reply."""


@dataclass(frozen=True)
class Answer:
    """A reply that is no refusal.

    Parameters
    ----------
    json
        What it says, as it came. Nobody looks into it but through `read`.
    headers
        Its headers.
    place
        Who was asked for what, for messages.
    """

    json: Any
    headers: Mapping[str, str]
    place: str

    @property
    def own(self) -> bool:
        """Whether one of our servers gave it."""
        return SERVER_HEADER in self.headers

    def read(self, reader: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `reader` makes of the JSON.

        Raises
        ------
        ServerReplyError
            It has another form than the API says. A reader refuses as one of arguments does; here it is the server that is wrong.
        """
        try:
            return reader(self.json, *args, **kwargs)
        except ChromaError as error:
            raise ServerReplyError(f"{self.place}: the reply is not as Chroma's API has it: {error}") from None
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
            raise ServerReplyError(f"{self.place}: the reply cannot be read ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, eq=False)
class Ask:
    """A request to be sent.

    Parameters
    ----------
    route
        Its row in `chroma_nb.http.routes`.
    parts
        What goes into the path.
    body
        The JSON of the body, written down already; empty for none.
    query
        The query string.
    rules
        How the filter in the body is meant.
    patient
        The reply may take as long as it takes.
    """

    route: str
    parts: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    rules: str = "guide"
    patient: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent twice without harm."""
        return not ROUTES[self.route].writes

    @property
    def most(self) -> int:
        """Bytes its reply may have."""
        return LARGEST_REPLY if self.route.startswith(("records.", "nb.")) else _LARGEST_LISTING

    def request(self) -> Request:
        """Return the request itself."""
        headers = {"user-agent": _AGENT, "accept": "application/json", TYPED_HEADER: "1", RULES_HEADER: self.rules}
        if self.body:
            headers["content-type"] = "application/json"
        return Request(ROUTES[self.route].method, path_of(self.route, **self.parts), self.query, headers, self.body)


Steps: TypeAlias = Generator[Ask, Answer, R]


@dataclass(frozen=True)
class Server:
    """What a server said of itself.

    Parameters
    ----------
    own
        Whether it is one of ours, with the routes that Chroma lacks.
    rows
        Records it takes in one request.
    packed
        Whether it reads vectors as base64.
    """

    own: bool
    rows: int
    packed: bool

    @classmethod
    def of(cls, answer: Answer) -> Server:
        """Read the pre-flight reply."""
        rows, packed = answer.read(decoding.pre_flight)
        return cls(answer.own, rows, packed)


class Session:
    """What is known of a server and its collections; shared by all threads of a client.

    Chroma's paths want tenant and database of a collection, and operations carry its id alone, so each collection's place is
    kept from when it was last seen. Layouts that a server cannot keep stay here, and so does the number of writes by which a
    layout of Chroma's server is told to be outdated.
    """

    def __init__(self) -> None:
        self._server: Server | None = None
        self._scopes: dict[str, tuple[str, str]] = {}
        self.layouts: dict[tuple[str, str], Layout] = {}
        self.writes: Counter[str] = Counter()

    def server(self) -> Steps[Server]:
        """Return what the server is, asking it the first time."""
        if self._server is None:
            self._server = Server.of((yield Ask("pre_flight_checks")))
        return self._server

    def seen(self, info: CollectionInfo) -> CollectionInfo:
        """Remember where a collection is."""
        self._scopes[info.id] = (info.tenant, info.database)
        return info

    def parts(self, collection: str) -> dict[str, str]:
        """Return the parts of a collection's paths."""
        tenant, database = self._scopes.get(collection, DEFAULT_SCOPE)
        return {"tenant": tenant, "database": database, "collection": collection}

    def count(self, collection: str) -> Steps[int]:
        """Ask how many records a collection has."""
        return (yield Ask("records.count", self.parts(collection))).read(decoding.number)

    def ask(self, route: str, collection: str, body: Mapping[str, Any], where: Filter = EVERYTHING, *, patient: bool = False) -> Ask:
        """Return a request about a collection, `where` and all."""
        said = dict(body)
        if where is not EVERYTHING:
            said["where"], said["where_document"] = to_dict(divided(where))
        return Ask(route, self.parts(collection), dumps(said), rules=rules_of(where), patient=patient)


def scoped(tenant: str, database: str, **more: str) -> dict[str, str]:
    """Return the parts of a path below a database.

    Raises
    ------
    NotFoundError
        `more` names a collection that no path can name, so there is none.
    """
    for name in more.values():
        if name in ("", ".", ".."):
            raise NotFoundError(f"Collection [{name}] does not exist in database {database!r}.")
    return {"tenant": tenant, "database": database, **more}


def leaves(where: Filter) -> list[Compare | Member | Contains | Document]:
    """Return the tests a filter is made of."""
    if isinstance(where, (And, Or)):
        return [leaf for part in where.parts for leaf in leaves(part)]
    return [where] if isinstance(where, (Compare, Member, Contains, Document)) else []


def _negatives(where: Filter) -> set[bool]:
    return {leaf.missing for leaf in leaves(where) if OPERATORS[leaf.op].negates is not None}


def rules_of(where: Filter) -> str:
    """Return the rules under which a server reads the filter as it is meant, or, if it is meant in two ways, more widely."""
    return "chroma" if True in _negatives(where) else "guide"


def understood(where: Filter, server: Server) -> bool:
    """Tell whether the server itself can find just what the filter means.

    Ours can, unless one filter holds tests of both rules. To Chroma's a record without the key always passes ``$ne``, and
    instants are unknown.
    """
    negatives = _negatives(where)
    if server.own:
        return len(negatives) < 2
    return False not in negatives and not any(isinstance(value, Instant) for leaf in leaves(where) for value in operands(leaf))


def operands(leaf: Compare | Member | Contains | Document) -> tuple[Value, ...]:
    """Return what a test compares with."""
    if isinstance(leaf, Member):
        return leaf.values
    return (leaf.text,) if isinstance(leaf, Document) else (leaf.value,)


def divided(where: Filter) -> Filter:
    """Return the filter with lists of int and float written as Chroma's server takes them: of one type."""
    if isinstance(where, (And, Or)):
        return type(where)(tuple(map(divided, where.parts)))
    if not isinstance(where, Member) or {type(value) for value in where.values} != {int, float}:
        return where
    whole = tuple(value for value in where.values if isinstance(value, int))
    rest = tuple(value for value in where.values if isinstance(value, float))
    if all(abs(value) <= _LARGEST_EXACT for value in whole):
        return Member(where.key, where.op, (*map(float, whole), *rest), where.missing)
    halves = (Member(where.key, where.op, whole, where.missing), Member(where.key, where.op, rest, where.missing))
    return Or(halves) if where.op == "$in" else And(halves)
