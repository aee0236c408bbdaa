"""What a query builder asks at a moment: the rows of its filter, what records are compared with, and how much is wanted.

Frozen values, read from what users pass in Python and from what a page sends, checked once. Called by the builder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from chroma_nb.brief import quoted, shown
from chroma_nb.errors import InvalidArgumentError, InvalidTypeError, did_you_mean
from chroma_nb.filters import EVERYTHING, Everything, Filter, describe
from chroma_nb.records import Vectors, parse_ids, parse_vectors
from chroma_nb.results import Field
from chroma_nb.scalars import INT_MAX, check_text, plain_text, sequence_of, unwrapped
from chroma_nb.widgets.literals import value_in
from chroma_nb.widgets.request import Request
from chroma_nb.widgets.rows import Group, from_json, to_json

By: TypeAlias = Literal["nothing", "text", "vector", "like"]
INCLUDES: Final = tuple(name for name in get_args(Field) if name != "data")
DEFAULT_INCLUDE: Final = ("documents", "metadatas", "distances")
LIMIT: Final = 10_000
"""Records that a builder takes over without a query, unless it is told otherwise."""

_SHOWN: Final = 60


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked.

    Parameters
    ----------
    rows
        The filter.
    by
        What records are ranked by; nothing is a plain `get`.
    texts, vectors, like
        What they are compared with, under `by`. `vectors` is (q, d) float32.
    vector_text
        Vectors as someone typed them, before they are read; "" when they came from Python.
    n_results
        Of each query.
    limit
        Records without a query, None for all.
    include
        Columns.
    """

    rows: Group = field(default_factory=lambda: Group("r0"))
    by: By = "nothing"
    texts: tuple[str, ...] = ()
    vectors: Vectors | None = None
    vector_text: str = ""
    like: tuple[str, ...] = ()
    n_results: int = 10
    limit: int | None = LIMIT
    include: tuple[str, ...] = DEFAULT_INCLUDE

    def request(self, filter: Filter = EVERYTHING) -> Request:  # noqa: A002 - the field's name
        """Return what is asked of the collection, under the filter that the rows say.

        Raises
        ------
        InvalidArgumentError
            The vectors cannot be read.
        """
        texts = tuple(text for text in self.texts if text.strip()) if self.by == "text" else ()
        vectors = self.read_vectors() if self.by == "vector" else None
        like = self.like if self.by == "like" else ()
        ranked = bool(texts or like) or vectors is not None
        include = self.include if ranked else tuple(name for name in self.include if name != "distances")
        return Request(filter, texts or None, vectors, like or None, self.n_results, self.limit, include)

    def read_vectors(self) -> Vectors | None:
        """Return the vectors, of what was typed too; None while there are none.

        Raises
        ------
        InvalidArgumentError
            What was typed is no vector.
        """
        if not self.vector_text.strip():
            return self.vectors
        return parse_vectors(value_in(self.vector_text), "vector")

    def problem(self) -> str | None:
        """Return what is wrong beside the rows."""
        try:
            self.request()
        except InvalidArgumentError as error:
            return str(error)
        return None

    def words(self, filter: Filter) -> str:  # noqa: A002 - the field's name
        """Return the question in one line."""
        request = self.request(filter)
        where = "" if isinstance(filter, Everything) else describe(filter, 160)
        if not request.is_query:
            return where or "all records"
        compared = {
            "text": ", ".join(map(_quoted, request.texts or ())),
            "vector": "vectors" if request.vectors is not None and len(request.vectors) > 1 else "a vector",
            "like": ", ".join(map(_quoted, request.like or ())),
        }[self.by if self.by != "nothing" else "vector"]
        return f"{self.n_results:,} nearest to {compared[:160]}" + (f" where {where}" if where else "")

    def to_json(self) -> dict[str, Any]:
        """Return the question as a page has it; vectors from Python stay here."""
        kept = None if self.vectors is None or self.vector_text else list(self.vectors.shape)
        return {
            "rows": to_json(self.rows),
            "by": self.by,
            "texts": list(self.texts),
            "vector": self.vector_text,
            "kept": kept,
            "like": list(self.like),
            "n_results": self.n_results,
            "limit": self.limit,
            "include": list(self.include),
        }

    def edited(self, given: Mapping[str, Any]) -> Question:
        """Return the question that a page has made of this one.

        Raises
        ------
        InvalidArgumentError
            It is not in the form that `to_json` gives.
        """
        by: Any = given.get("by")
        vector = given.get("vector", "")
        if by not in get_args(By) or not isinstance(vector, str):
            raise InvalidArgumentError(f"by: expected one of {', '.join(get_args(By))}")
        limit = given.get("limit")
        return replace(
            self,
            rows=from_json(given.get("rows")),
            by=by,
            texts=_strings(given.get("texts"), "texts"),
            vector_text=vector,
            vectors=self.vectors if given.get("kept") else None,
            like=_strings(given.get("like"), "like"),
            n_results=whole(given.get("n_results"), "n_results"),
            limit=None if limit is None else whole(limit, "limit"),
            include=included(given.get("include")),
        )


def compared_with(query: Any, like: Any) -> dict[str, Any]:
    """Return the parts of a question that ``query`` (texts or vectors) and ``like`` (ids) of a Python call say.

    Raises
    ------
    InvalidArgumentError
        Both are given, or one of them is something else.

    Examples
    --------
    >>> compared_with("owls", None)["texts"], compared_with(None, "a")["like"], compared_with([0.5, 1], None)["vectors"].shape
    (('owls',), ('a',), (1, 2))
    """
    nothing: dict[str, Any] = {"by": "nothing", "texts": (), "vectors": None, "vector_text": "", "like": ()}
    if query is not None and like is not None:
        raise InvalidArgumentError("like: give query or like, one of them")
    if like is not None:
        return {**nothing, "by": "like", "like": tuple(parse_ids(like, "like", unique=False))}
    if query is None:
        return nothing
    if isinstance(query, str) or (isinstance(query, Sequence) and query and all(isinstance(each, str) for each in query)):
        texts = (query,) if isinstance(query, str) else tuple(query)
        for text in texts:
            check_text(text, "query")
        return {**nothing, "by": "text", "texts": texts}
    return {**nothing, "by": "vector", "vectors": parse_vectors(query, "query")}


def whole(value: object, name: str) -> int:
    """Return `value` if it is an int of at least 1.

    Raises
    ------
    InvalidTypeError
        It is none.
    """
    plain = unwrapped(value)
    if isinstance(plain, bool) or not isinstance(plain, int) or not 1 <= plain <= INT_MAX:
        raise InvalidTypeError(f"{name}: expected an integer of at least 1, got {shown(value)}")
    return plain


def included(names: object) -> tuple[str, ...]:
    """Return the columns that are wanted, each once, in our order.

    Raises
    ------
    InvalidArgumentError
        There is no such column.
    """
    given = sequence_of(names, "include", "a list such as ['documents']")
    wanted = [plain_text(name, f"include[{i}]") for i, name in enumerate(given)]
    for name in wanted:
        if name not in INCLUDES:
            raise InvalidArgumentError(
                f"include: unknown field {quoted(name)}; expected any of {', '.join(INCLUDES)}.{did_you_mean(name, INCLUDES)}"
            )
    return tuple(name for name in INCLUDES if name in wanted)


def _strings(given: object, place: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise InvalidArgumentError(f"{place}: expected a list of texts")
    for each in given:
        check_text(each, place)
    return tuple(given)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
