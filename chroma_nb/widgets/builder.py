"""The query builder: a question put together by hand, its answer, and both as variables of the notebook.

Lives here: the state, who may change it and who is told. Must not live here: what a filter means (`chroma_nb.filters`), how rows become
one (`rows`), programs (`code`), the page (`builder_front`). Made by ``collection.builder()``.

Truth is one frozen `Question` and what its rows say, its `Reading`, replaced together under a lock. Traits show them; setting a trait makes
a new question. A page sends whole questions and is sent whole questions, so that several views agree.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import ipywidgets
import traitlets

from chroma_nb import filters, html
from chroma_nb.brief import shown
from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.filters import EVERYTHING
from chroma_nb.results import Summary
from chroma_nb.uncopied import Uncopied
from chroma_nb.widgets import question as asking
from chroma_nb.widgets.answering import Source, answer, matches, vectors_of
from chroma_nb.widgets.builder_front import BuilderFront
from chroma_nb.widgets.code import LANGUAGES, Language, code_of, needs_vectors
from chroma_nb.widgets.keys import Suggestions, offered, operators, unknown
from chroma_nb.widgets.literals import filter_in
from chroma_nb.widgets.operands import Operand
from chroma_nb.widgets.question import Question
from chroma_nb.widgets.request import Request, dicts_of
from chroma_nb.widgets.rows import Reading, read, rows_of
from chroma_nb.widgets.table import FrameSource, TableWidget
from chroma_nb.widgets.traits import Exact, Together

if TYPE_CHECKING:
    import pandas as pd

_KEPT: Final = 20
"""Questions in the history."""
_FIELDS: Final = 2_000
_STATIC_ROWS: Final = 5
UNSET: Final[Any] = object()
"""Stands for "not given" where None has a meaning."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A question of the past: in words, and how many records it found."""

    question: Question
    words: str
    results: int


class QueryBuilder(Uncopied, Together, ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no annotations
    """A question to a collection that is built by hand, and its answer. Made by ``collection.builder()``.

    Every trait can be set, where it says so, and observed. Setting one changes what the page shows; nonsense is refused as by `query`.

    Attributes
    ----------
    where, where_document : dict or None
        The filter of the rows that are finished and right.
    query_texts, query_embeddings, like
        What records are compared with: texts, (q, d) float32, ids. At most one of them is not None.
    n_results, limit, include
        As for `query` and `get`; `limit` is for questions without a query.
    frame : DataFrame or None
        Results of the last run; read only.
    count : int or None
        Records that match; None while it is not known. Read only.
    error : str or None
        What keeps the question from being asked, or what the last run failed with; read only.
    front
        The inputs alone, to be put anywhere.
    """

    where = Exact(None, allow_none=True)
    where_document = Exact(None, allow_none=True)
    query_texts = traitlets.Any(None, allow_none=True)
    query_embeddings = traitlets.Any(None, allow_none=True)
    like = traitlets.Any(None, allow_none=True)
    n_results = traitlets.Any(10)
    limit = traitlets.Any(asking.LIMIT, allow_none=True)
    include = traitlets.Any(asking.DEFAULT_INCLUDE)
    frame = traitlets.Any(None, allow_none=True, read_only=True)
    count = traitlets.Any(None, allow_none=True, read_only=True)
    error = traitlets.Any(None, allow_none=True, read_only=True)

    def __init__(self, source: Source, *, results: bool = True, **asked: Any) -> None:
        self._source = source
        self._lock = threading.RLock()
        self._question, self._reading = Question(), Reading(EVERYTHING)
        self._failure: str | None = None
        self._summary: Summary | None = None
        self._suggestions = Suggestions(self._counts)
        self._history: deque[Asked] = deque(maxlen=_KEPT)
        self._runs, self._latest = itertools.count(1), 0
        self._ran: Request | None = None
        self._on_run: list[Callable[[QueryBuilder], object]] = []
        first = self._changed(self._question, **asked)
        super().__init__()
        self.front = BuilderFront(self)
        self.table = TableWidget() if results else None
        self.children: tuple[ipywidgets.Widget, ...] = (self.front,)
        self._become(lambda _: first)

    # What users call.

    def set(
        self,
        *,
        where: Any = UNSET,
        where_document: Any = UNSET,
        query: Any = UNSET,
        like: Any = UNSET,
        n_results: Any = UNSET,
        limit: Any = UNSET,
        include: Any = UNSET,
    ) -> None:
        """Change several parts of the question at once; what is not given stays. ``query`` is texts or vectors.

        Raises
        ------
        InvalidArgumentError
            Something is wrong; nothing has changed.
        """
        given = {
            "where": where,
            "where_document": where_document,
            "query": query,
            "like": like,
            "n_results": n_results,
            "limit": limit,
            "include": include,
        }
        changes = {name: value for name, value in given.items() if value is not UNSET}
        self._become(lambda question: self._changed(question, **changes))

    def run(self) -> pd.DataFrame:
        """Ask the question: `query` if there is something to compare with, else `get`. The answer is also in ``frame``.

        Raises
        ------
        InvalidArgumentError
            A row is wrong.
        ChromaError
            As `query` and `get` say.
        """
        number = next(self._runs)
        question, reading = self._snapshot()
        try:
            request = self._request(question, reading)
            frame = answer(self._source, request)
        except ChromaError as error:
            self._fail(str(error))
            raise
        self._show(number, question, question.words(reading.filter), frame, request)
        for call in list(self._on_run):
            call(self)
        return frame

    def nearest(self, n_results: int, include: Sequence[str]) -> pd.DataFrame:
        """Ask the query of the last run once more, for another number of results and other columns; the page shows nothing of it.

        Raises
        ------
        InvalidArgumentError
            There was none that ranks records.
        """
        with self._lock:
            ran = self._ran
        if ran is None or not ran.is_query:
            raise InvalidArgumentError("nearest: nothing was asked that ranks records; run a query first")
        return answer(self._source, replace(ran, n_results=asking.whole(n_results, "n_results"), include=asking.included(include)))

    def on_run(self, call: Callable[[QueryBuilder], object]) -> None:
        """Call ``call(builder)`` after each run, when ``frame`` has its results."""
        self._on_run.append(call)

    def code(self, language: Language = "chroma_nb") -> str:
        """Return the question as a program that runs: ``"chroma_nb"``, ``"chromadb"``, ``"javascript"``, ``"curl"``, or ``"where"``.

        Raises
        ------
        InvalidArgumentError
            The language cannot say it.
        """
        if not isinstance(language, str) or language not in LANGUAGES:
            raise InvalidArgumentError(f"language: expected one of {', '.join(LANGUAGES)}, got {shown(language)}")
        request, connection = self._request(*self._snapshot()), self._source.connection()
        if needs_vectors(language, request, connection):
            request = replace(request, vectors=vectors_of(self._source, request))
        return code_of(language, request, connection)

    def paste(self, text: str) -> None:
        """Take over the filter that `text` says: a dict in Python's or JSON's notation.

        Raises
        ------
        InvalidArgumentError
            It is none; nothing has changed.
        """
        pasted = rows_of(filter_in(text, self._source.rules))
        self._become(lambda question: replace(question, rows=pasted))

    @property
    def history(self) -> list[str]:
        """The questions that were asked, in words, the newest first."""
        with self._lock:
            return [asked.words for asked in self._history]

    def restore(self, place: int) -> None:
        """Go back to a question of the `history`.

        Raises
        ------
        InvalidArgumentError
            There is none at that place.
        """
        with self._lock:
            if not 0 <= place < len(self._history):
                raise InvalidArgumentError(f"place: the history has {len(self._history)} questions, counted from 0; got {place}")
            kept = self._history[place].question
        self._become(lambda _: kept)

    def refresh(self) -> None:
        """Look at the collection anew, after records were written: fields, values, counts. The question stays."""
        with self._lock:
            self._summary = None
            self._suggestions.forget()
            changes = self._assign({"count": None})
        self._tell_observers(changes)
        self.front.changed()

    # What traits do.

    @traitlets.validate("where", "where_document")
    def _checked_filter(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        parse = filters.parse_where if name == "where" else filters.parse_where_document
        where, where_document = dicts_of(parse(value, self._source.rules))
        # Written out as the question will have it, so that whoever observes the trait hears of one change.
        return where_document if name == "where_document" else where if where_document is None else value

    @traitlets.observe("where", "where_document", "query_texts", "query_embeddings", "like", "n_results", "limit", "include")
    def _trait_changed(self, change: Any) -> None:
        name, value = change["name"], change["new"]
        if value is self._published.get(name, UNSET):
            return
        given = {"query": value} if name in ("query_texts", "query_embeddings") else {name: value}
        try:
            self._become(lambda question: self._changed(question, **given))
        except ChromaError:
            self._trait_values[name] = self._published.get(name)
            raise

    def _changed(self, question: Question, **given: Any) -> Question:
        """Return `question`, the present one, with some parts replaced by what users pass."""
        new: dict[str, Any] = {}
        if "where" in given or "where_document" in given:
            where, where_document = dicts_of(self._reading.filter)
            parts = (given.get("where", where), given.get("where_document", where_document))
            new["rows"] = rows_of(filters.parse_filter(*parts, self._source.rules))
        if "query" in given or "like" in given:
            query, like = given.get("query"), given.get("like")
            new |= asking.compared_with(query, like)
        if "n_results" in given:
            new["n_results"] = asking.whole(given["n_results"], "n_results")
        if "limit" in given:
            new["limit"] = None if given["limit"] is None else asking.whole(given["limit"], "limit")
        if "include" in given:
            new["include"] = asking.included(given["include"])
        return replace(question, **new)

    def _become(self, make: Callable[[Question], Question], by: str = "") -> None:
        """Ask what `make` makes of the present question from now on, and tell traits and views; `by` is the view it comes from."""
        with self._lock:
            self._question = question = make(self._question)
            before, self._reading = self._reading, read(question.rows, self._source.rules)
            reading, self._failure = self._reading, None
            values: dict[str, Any] = {"error": self._problem(), **_traits_of(question)}
            if reading.problems or reading.filter != before.filter:
                values["count"] = None
            if not reading.problems:
                values["where"], values["where_document"] = dicts_of(reading.filter)
            changes = self._assign(values)
        self._tell_observers(changes)
        self.front.follow(by)

    def _problem(self) -> str | None:
        problems = self._reading.problems
        return next(iter(problems.values()), None) or self._question.problem() or self._failure

    def _fail(self, message: str) -> None:
        with self._lock:
            self._failure = message
            changes = self._assign({"error": self._problem()})
        self._tell_observers(changes)

    # Asking the collection.

    def _snapshot(self) -> tuple[Question, Reading]:
        with self._lock:
            return self._question, self._reading

    @staticmethod
    def _request(question: Question, reading: Reading) -> Request:
        if reading.problems:
            raise InvalidArgumentError(f"a condition is wrong: {next(iter(reading.problems.values()))}")
        return question.request(reading.filter)

    def _show(self, number: int, question: Question, words: str, frame: pd.DataFrame, request: Request) -> None:
        """Take over the results of a run, unless those of a later one are there already."""
        with self._lock:
            if number < self._latest:
                return
            self._latest, self._ran = number, request
            if self._history and self._history[0].words == words:
                self._history.popleft()
            self._history.appendleft(Asked(question, words, len(frame)))
            self._failure = None
            changes = self._assign({"frame": frame, "error": self._problem()})
        if self.table is not None:
            self.table.set_source(FrameSource(frame))
            cut = not request.is_query and len(frame) == request.limit
            self.table.set_title(f"{'first ' if cut else ''}{len(frame):,} {'record' if len(frame) == 1 else 'records'}", words)
            self.children = (self.front, self.table)
        self._tell_observers(changes)

    def _counts(self, key: str, most: int) -> Mapping[Any, int]:
        counts: Mapping[Any, int] = self._source.collection.values(key, top=most).to_dict()
        return counts

    def _described(self) -> Summary:
        with self._lock:
            known = self._summary
        if known is None:
            known = self._source.summary()
            with self._lock:
                self._summary = known
        return known

    # What the page asks.

    def shown_state(self) -> dict[str, Any]:
        """Return everything that a page shows."""
        summary = self._described()
        return {
            "name": summary.info.name,
            "total": summary.info.count,
            "dimension": summary.info.dimension,
            "fields": [field.to_json() for field in offered(summary)[:_FIELDS]],
            "unknown": unknown().to_json(),
            "operators": operators(),
            "languages": list(LANGUAGES.items()),
            "includes": list(asking.INCLUDES),
            **self.shown_question(),
        }

    def shown_question(self) -> dict[str, Any]:
        """Return the question and what is wrong with it, as a page has it."""
        with self._lock:
            return {"question": self._question.to_json(), **self._shown_reading()}

    def _shown_reading(self) -> dict[str, Any]:
        return {
            "problems": dict(self._reading.problems),
            "unfinished": sorted(self._reading.unfinished),
            "problem": self._question.problem(),
            "failure": self._failure,
            "counted": self.count is not None,
        }

    def shown_history(self) -> dict[str, Any]:
        """Return the history as a page has it."""
        with self._lock:
            return {"history": [{"words": asked.words, "results": asked.results} for asked in self._history]}

    def edit(self, given: Mapping[str, Any], by: str) -> dict[str, Any]:
        """Take over a question that a view made."""
        self._become(lambda question: question.edited(given), by)
        with self._lock:
            return self._shown_reading()

    def count_matches(self) -> dict[str, Any]:
        """Count the matching records, and say what excludes most when there are none."""
        with self._lock:
            reading, rows = self._reading, self._question.rows
        if reading.problems:
            return {"count": None}
        found = matches(self._source, reading, rows)
        with self._lock:
            if self._reading.problems or self._reading.filter != reading.filter:
                return {"count": None}
            changes = self._assign({"count": found["count"]})
        self._tell_observers(changes)
        return found

    def suggestions(self, key: str, typed: str) -> tuple[list[tuple[Operand, int]], int]:
        """Return values of a field that contain `typed`, with counts, and how many more there are."""
        return self._suggestions.matching(key, typed)

    def static_html(self) -> str:
        """Return what is shown where no widget can be: the question in words, and the first results."""
        question, reading = self._snapshot()
        try:
            words = question.words(reading.filter)
        except ChromaError as error:
            words = str(error)
        shown: list[object] = [html.element("div", words)]
        frame = self.frame
        if frame is not None and len(frame):
            head = frame.head(_STATIC_ROWS)
            ids = head["id"] if "id" in head.columns else head.index
            columns = [name for name in head.columns if name not in ("id", "embedding")]
            rows = [[identifier, *row] for identifier, row in zip(ids, head[columns].itertuples(index=False), strict=True)]
            shown.append(html.table(rows, ["id", *columns], limit=120))
        return str(html.card(f"Query of {self._source.collection.name}", "" if frame is None else f"{len(frame):,} results", *shown))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle if bundle is None else {**bundle, "text/html": self.static_html()}


def _traits_of(question: Question) -> dict[str, Any]:
    by = question.by
    vectors = None
    if by == "vector":
        try:
            vectors = question.read_vectors()
        except ChromaError:
            vectors = None
    return {
        "query_texts": list(question.texts) if by == "text" and question.texts else None,
        "query_embeddings": vectors,
        "like": list(question.like) if by == "like" and question.like else None,
        "n_results": question.n_results,
        "limit": question.limit,
        "include": question.include,
    }
