"""The query builder as an object: its traits, what it refuses, runs, counts, history, and threads. No browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chroma_nb
from chroma_nb.errors import ChromaError, InvalidArgumentError, InvalidDimensionError, InvalidTypeError, NotFoundError
from chroma_nb.filters import Filter, parse_filter, to_dict
from chroma_nb.widgets.builder import QueryBuilder
from chroma_nb.widgets.rows import Row
from tests.filters.strategies import filters
from tests.widgets.asking import Answers
from tests.widgets.builder_data import SIZE, papers


@pytest.fixture(scope="module")
def collection() -> Iterator[Any]:
    with chroma_nb.EphemeralClient() as client:
        yield papers(client, "builder-state")
        client.delete_collection("builder-state")


@pytest.fixture
def builder(collection: Any) -> QueryBuilder:
    made: QueryBuilder = collection.builder()
    return made


def heard(builder: QueryBuilder, *names: str) -> list[tuple[str, Any]]:
    """Return a list that grows with each change of the traits: its name and how it stood when it was heard of."""
    changes: list[tuple[str, Any]] = []
    builder.observe(lambda change: changes.append((change["name"], change["new"])), list(names))
    return changes


@pytest.fixture
def page(builder: QueryBuilder, monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(builder.front, monkeypatch)


def question(page: Answers, *rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what a page would send after these rows were made."""
    asked: dict[str, Any] = page.ask("state")["question"]
    return {**asked, "rows": {"id": "root", "junction": "$and", "parts": list(rows)}, **changes}


def row(name: str, key: str, op: str, *operands: tuple[str, str]) -> dict[str, Any]:
    return {"id": name, "key": key, "op": op, "operands": [{"kind": kind, "text": text} for kind, text in operands]}


YEAR = row("r1", "year", "$gte", ("number", "1990"))


# Two-way state.


def test_what_it_is_made_with_is_what_it_asks(collection: Any) -> None:
    builder = collection.builder({"year": 1990}, {"$contains": "owl"}, query="bones", n_results=3, include=["metadatas"], limit=None)
    assert (builder.where, builder.where_document) == ({"year": {"$eq": 1990}}, {"$contains": "owl"})
    assert (builder.query_texts, builder.query_embeddings, builder.like) == (["bones"], None, None)
    assert (builder.n_results, builder.limit, builder.include) == (3, None, ("metadatas",))
    assert (builder.frame, builder.count, builder.error) == (None, None, None)


def test_setting_a_trait_is_heard_once_and_shown(builder: QueryBuilder, page: Answers) -> None:
    changes = heard(builder, "where", "where_document")
    builder.where = {"year": 1990}
    builder.where = {"year": 1990}
    builder.where = None
    assert changes == [("where", {"year": {"$eq": 1990}}), ("where", None)]
    assert page.told == ["question"] * 2
    builder.where_document = {"$contains": "owl"}
    (shown,) = page.ask("state")["question"]["rows"]["parts"]
    assert (shown["key"], shown["op"]) == ("#document", "$contains")


@pytest.mark.parametrize("values", [(1, True), (1, 1.0), (0.0, False)])
def test_values_that_are_equal_to_python_are_different_filters(builder: QueryBuilder, values: tuple[Any, Any]) -> None:
    changes = heard(builder, "where")
    for value in values:
        builder.where = {"v": value}
    assert [repr(new) for _, new in changes] == [repr({"v": {"$eq": value}}) for value in values]


def test_who_hears_of_the_filter_sees_both_halves_of_it(builder: QueryBuilder) -> None:
    seen: list[tuple[Any, Any]] = []
    builder.observe(lambda _: seen.append((builder.where, builder.where_document)), ["where", "where_document"])
    builder.set(where={"year": 1990}, where_document={"$contains": "owl"})
    assert set(map(repr, seen)) == {repr(({"year": {"$eq": 1990}}, {"$contains": "owl"}))}


def test_tests_of_documents_move_to_where_document(builder: QueryBuilder) -> None:
    builder.where = {"$and": [{"#document": {"$contains": "owl"}}, {"year": 1990}]}
    assert (builder.where, builder.where_document) == ({"year": {"$eq": 1990}}, {"$contains": "owl"})


def test_one_way_of_comparing_takes_the_place_of_another(builder: QueryBuilder) -> None:
    builder.query_texts = ["owl"]
    builder.like = ["p1"]
    assert (builder.query_texts, builder.like) == (None, ["p1"])
    builder.query_embeddings = np.ones(16)
    assert builder.like is None
    assert builder.query_embeddings.shape == (1, 16)
    builder.query_embeddings = None
    assert (builder.query_texts, builder.query_embeddings, builder.like) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("where", {"year": {"$gt": "many"}}, InvalidArgumentError),
        ("where", "year > 3", InvalidTypeError),
        ("where", {"$contains": "owl"}, InvalidArgumentError),
        ("where_document", {"$regex": "(("}, InvalidArgumentError),
        ("where_document", {"year": 1}, InvalidArgumentError),
        ("query_texts", [1, 2.5, "x"], InvalidArgumentError),
        ("query_texts", ["\ud800"], InvalidArgumentError),
        ("query_embeddings", [[1, 2], [3]], InvalidArgumentError),
        ("query_embeddings", [float("nan")], InvalidArgumentError),
        ("like", 7, InvalidTypeError),
        ("like", [], InvalidArgumentError),
        ("n_results", 0, InvalidTypeError),
        ("n_results", True, InvalidTypeError),
        ("n_results", "10", InvalidTypeError),
        ("limit", -1, InvalidTypeError),
        ("include", "documents", InvalidTypeError),
        ("include", ["document"], InvalidArgumentError),
    ],
)
def test_nonsense_is_refused_and_nothing_changes(builder: QueryBuilder, name: str, value: Any, error: type[ChromaError]) -> None:
    builder.set(where={"year": 1990}, like="p1")
    names = ["where", "where_document", "query_texts", "query_embeddings", "like", "n_results", "limit", "include"]
    before = {each: getattr(builder, each) for each in names}
    with pytest.raises(error):
        setattr(builder, name, value)
    assert {each: getattr(builder, each) for each in names} == before
    assert builder.where == {"year": {"$eq": 1990}}


def test_a_query_and_likeness_are_too_much(collection: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="query or like"):
        collection.builder(query="owl", like="p1")


@pytest.mark.parametrize("name", ["frame", "count", "error"])
def test_results_cannot_be_set(builder: QueryBuilder, name: str) -> None:
    with pytest.raises(Exception, match="read-only"):
        setattr(builder, name, 3)


@given(data=st.data())
def test_any_filter_comes_back_from_the_page_as_the_same(collection: Any, data: st.DataObject) -> None:
    filter_: Filter = data.draw(filters())
    where, where_document = to_dict(filter_)
    builder = collection.builder(where, where_document, results=False)
    meant = parse_filter(builder.where, builder.where_document)
    builder.edit(builder.shown_question()["question"], "a view")
    assert parse_filter(builder.where, builder.where_document) == meant
    assert builder.count_matches()["count"] == collection.count(where, where_document)


# What the page does.


def test_a_page_is_given_fields_with_what_fits_them(page: Answers) -> None:
    state = page.ask("state")
    fields = {field["key"]: field for field in state["fields"]}
    assert next(iter(fields)) == "#document"
    assert set(fields) == {"#document", "topic", "year", "score", "open", "published", "seen", "tags", "rare"}
    assert "$regex" in fields["#document"]["operators"]
    assert "$gt" not in fields["topic"]["operators"]
    assert "between" in fields["year"]["operators"]
    assert fields["tags"]["operators"] == ["$contains", "$not_contains"]
    assert (fields["year"]["least"]["text"], fields["year"]["greatest"]["text"], fields["year"]["whole"]) == ("1950", "2024", True)
    assert not fields["score"]["whole"]
    assert (fields["published"]["zone"], fields["seen"]["zone"]) == ("Europe/Paris", None)
    assert fields["rare"]["note"] == "str · 10 % of records"
    assert state["total"] == SIZE


def test_rows_of_a_page_become_the_filter(builder: QueryBuilder, page: Answers) -> None:
    changes = heard(builder, "where")
    reading = page.ask("edit", question=question(page, YEAR, row("r2", "topic", "$in", ("str", "art"), ("str", "law"))), by="me")
    assert reading == {"problems": {}, "unfinished": [], "problem": None, "failure": None, "counted": False}
    assert changes == [("where", {"$and": [{"year": {"$gte": 1990}}, {"topic": {"$in": ["art", "law"]}}]})]
    page.ask("count")
    assert builder.count == len(builder.run())
    again = page.ask("edit", question=question(page, YEAR, row("r2", "topic", "$in", ("str", "art"), ("str", "law")), n_results=3), by="me")
    assert again["counted"]  # the filter is what it was


def test_a_wrong_row_is_said_at_the_row_and_keeps_the_question_from_being_asked(builder: QueryBuilder, page: Answers) -> None:
    page.ask("edit", question=question(page, YEAR))
    reading = page.ask("edit", question=question(page, YEAR, row("r2", "score", "$gte", ("number", "high"))))
    assert reading["problems"] == {"r2": "'high' is not a number"}
    assert builder.error == "'high' is not a number"
    assert builder.where == {"year": {"$gte": 1990}}
    assert page.ask("count") == {}
    assert builder.count is None
    with pytest.raises(InvalidArgumentError, match="a condition is wrong: 'high'"):
        builder.run()
    page.ask("edit", question=question(page, YEAR))
    assert builder.error is None


def test_a_vector_that_someone_types_is_read_or_refused(builder: QueryBuilder, page: Answers) -> None:
    reading = page.ask("edit", question=question(page, by="vector", vector="[1, 2, x]"))
    assert "expected" in reading["problem"]
    page.ask("edit", question=question(page, by="vector", vector=str([1.0] * 16)))
    assert builder.query_embeddings.tolist() == [[1.0] * 16]
    assert len(builder.run()) == 10


def test_a_vector_from_python_is_kept_by_the_page_unseen(builder: QueryBuilder, page: Answers) -> None:
    builder.query_embeddings = np.ones((2, 16))
    asked = page.ask("state")["question"]
    assert (asked["kept"], asked["vector"]) == ([2, 16], "")
    page.ask("edit", question={**asked, "n_results": 2})
    assert builder.query_embeddings.shape == (2, 16)
    page.ask("edit", question={**asked, "kept": None})
    assert builder.query_embeddings is None


def test_values_are_offered_with_their_counts(page: Answers, collection: Any) -> None:
    offered = page.ask("values", key="topic", typed="A")
    counts = collection.values("topic").to_dict()
    assert {value["text"]: value["count"] for value in offered["values"]} == {key: counts[key] for key in ("art", "law")}
    assert offered["values"][0]["text"] == "art"  # begins with what was typed
    elements = page.ask("values", key="tags", typed="")["values"]
    frame = collection.get(include=["metadatas"])
    assert {value["text"]: value["count"] for value in elements} == frame["tags"].explode().value_counts().to_dict()
    assert page.ask("values", key="no such key", typed="") == {"values": [], "more": 0}


def test_more_values_than_are_shown_are_counted(page: Answers) -> None:
    offered = page.ask("values", key="score", typed="")
    assert len(offered["values"]) == 50
    assert offered["more"] > 100


@pytest.mark.parametrize("kind", ["edit", "values", "code", "paste", "restore", "nonsense"])
def test_a_page_that_sends_nonsense_gets_an_answer(page: Answers, kind: str) -> None:
    with pytest.raises(AssertionError):
        page.ask(kind, question={"rows": 1}, key=1, language="perl", text="((", place=99)


def test_another_view_follows_and_the_one_that_typed_is_named(
    builder: QueryBuilder, page: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    asked = question(page, YEAR)
    monkeypatch.setattr(builder.front, "_tell", lambda kind, content=None: told.append((kind, content)))
    builder.edit(asked, "view 1")
    ((kind, content),) = told
    assert (kind, content["by"]) == ("question", "view 1")
    assert content["question"]["rows"]["parts"] == [{**YEAR, "operands": [{"kind": "number", "text": "1990"}]}]


# Counting.


def told_counts(builder: QueryBuilder) -> dict[str, Any]:
    return builder.count_matches()


def test_matches_are_counted(builder: QueryBuilder, collection: Any) -> None:
    assert told_counts(builder) == {"count": SIZE, "total": SIZE, "blame": []}
    builder.where = {"open": True}
    assert builder.count is None
    assert told_counts(builder)["count"] == builder.count == collection.count({"open": True})


def test_when_nothing_matches_the_condition_to_blame_comes_first(builder: QueryBuilder, collection: Any) -> None:
    builder.where = {"$and": [{"open": True}, {"year": {"$gt": 3000}}, {"topic": "art"}]}
    blame = told_counts(builder)["blame"]
    assert blame[0]["words"] == "year is greater than 3000"
    assert blame[0]["without"] == collection.count({"$and": [{"open": True}, {"topic": "art"}]})
    assert blame[0]["alone"] == 0
    alone = {each["words"]: each["alone"] for each in blame}
    assert alone["topic is 'art'"] == collection.count({"topic": "art"})


def test_alternatives_are_not_blamed_one_by_one(builder: QueryBuilder) -> None:
    builder.where = {"$or": [{"year": {"$gt": 3000}}, {"year": {"$lt": 0}}]}
    assert told_counts(builder) == {"count": 0, "total": SIZE, "blame": []}


def test_records_written_later_are_seen_after_a_refresh() -> None:
    with chroma_nb.EphemeralClient() as client:
        collection = papers(client, "builder-refresh", 10)
        builder = collection.builder()
        assert builder.shown_state()["total"] == 10
        assert builder.suggestions("topic", "new")[0] == []
        collection.add(["new"], embeddings=np.ones((1, 16)), metadatas=[{"topic": "new", "fresh": 1}])
        builder.refresh()
        assert builder.shown_state()["total"] == 11
        assert "fresh" in [field["key"] for field in builder.shown_state()["fields"]]
        assert [operand.text for operand, _ in builder.suggestions("topic", "new")[0]] == ["new"]
        client.delete_collection("builder-refresh")


# Running.


def test_without_anything_to_compare_with_it_gets(builder: QueryBuilder, collection: Any) -> None:
    builder.where = {"open": True}
    frame = builder.run()
    pd.testing.assert_frame_equal(frame, collection.get(where={"open": True}))
    assert builder.frame is frame
    assert builder.table is not None
    assert builder.children == (builder.front, builder.table)


@pytest.mark.parametrize("asked", [{"query": "owls"}, {"query": ["owls", "bones"]}, {"query": np.ones(16)}, {"like": ["p1", "p2"]}])
def test_with_something_to_compare_with_it_queries(collection: Any, asked: dict[str, Any]) -> None:
    builder = collection.builder({"open": True}, n_results=4, results=False, **asked)
    name, value = next(iter(asked.items()))
    verb = {"like": "like", "query": "query_embeddings" if isinstance(value, np.ndarray) else "query_texts"}[name]
    pd.testing.assert_frame_equal(builder.run(), collection.query(**{verb: value}, n_results=4, where={"open": True}))
    assert builder.children == (builder.front,)


def test_a_get_stops_at_the_limit_and_says_so(collection: Any) -> None:
    builder = collection.builder(limit=5)
    assert len(builder.run()) == 5
    assert builder.table is not None
    assert builder.table._title == "first 5 records"


def test_whoever_waits_for_runs_is_told(builder: QueryBuilder) -> None:
    sizes: list[int] = []
    builder.on_run(lambda ran: sizes.append(len(ran.frame)))
    changes = heard(builder, "frame")
    builder.set(query="owls", n_results=2)
    builder.run()
    assert sizes == [2]
    assert [len(new) for _, new in changes] == [2]


def test_a_failing_run_is_an_error_of_ours_and_stays_readable(builder: QueryBuilder, page: Answers) -> None:
    builder.set(query=[1.0, 2.0])
    with pytest.raises(InvalidDimensionError):
        builder.run()
    assert builder.error is not None
    assert "16" in builder.error
    with pytest.raises(AssertionError, match="16"):
        page.ask("run")
    builder.set(query="owls")
    assert builder.error is None
    page.ask("run")
    assert builder.frame is not None


def test_records_that_are_not_there_cannot_be_likened_to(builder: QueryBuilder) -> None:
    builder.like = ["p1", "nobody"]
    with pytest.raises(InvalidArgumentError, match="nobody"):
        builder.run()
    with pytest.raises(InvalidArgumentError, match="nobody"):
        builder.code("curl")


def test_a_collection_that_is_gone_is_said_so() -> None:
    with chroma_nb.EphemeralClient() as client:
        builder = papers(client, "builder-gone", 5).builder()
        client.delete_collection("builder-gone")
        with pytest.raises(NotFoundError):
            builder.run()
        assert "does not exist" in str(builder.error)


def test_questions_are_kept_and_come_back_whole(builder: QueryBuilder, page: Answers) -> None:
    builder.set(where={"year": {"$gte": 1990}}, query="owls", n_results=3)
    builder.run()
    builder.run()
    builder.set(where={"open": True}, query=None)
    builder.run()
    assert builder.history == ["open is True", "3 nearest to 'owls' where year is at least 1990"]
    page.ask("restore", place=1)
    assert (builder.where, builder.query_texts, builder.n_results) == ({"year": {"$gte": 1990}}, ["owls"], 3)
    for i in range(30):
        builder.where = {"year": i}
        builder.run()
    assert len(builder.history) == 20
    with pytest.raises(InvalidArgumentError, match="20 questions"):
        builder.restore(20)


def test_a_filter_is_pasted_or_refused(builder: QueryBuilder, page: Answers) -> None:
    page.ask("paste", text="{'$or': [{'year': 1990}, {'open': True}]}")
    assert builder.where == {"$or": [{"year": {"$eq": 1990}}, {"open": {"$eq": True}}]}
    with pytest.raises(InvalidArgumentError):
        builder.paste("year > 1990")
    assert builder.where == {"$or": [{"year": {"$eq": 1990}}, {"open": {"$eq": True}}]}


def test_code_of_an_unknown_language_is_refused(builder: QueryBuilder) -> None:
    with pytest.raises(InvalidArgumentError, match="expected one of chroma_nb, chromadb"):
        builder.code("perl")  # type: ignore[arg-type]


# Shown where nothing runs.


def test_the_static_form_has_the_question_and_the_first_results(builder: QueryBuilder) -> None:
    builder.set(where={"topic": "<script>alert(1)</script>"})
    builder.run()
    bundle = builder._repr_mimebundle_()
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    builder.set(where={"topic": "art"}, query="owls", n_results=2)
    frame = builder.run()
    shown = builder._repr_mimebundle_()["text/html"]
    assert "2 nearest to" in shown
    assert frame["document"].iloc[0] in shown
    assert "application/vnd.jupyter.widget-view+json" in builder._repr_mimebundle_()


# Threads.


def test_threads_may_set_edit_count_and_run_at_once(collection: Any) -> None:
    builder = collection.builder(results=False)
    faults: list[BaseException] = []
    halves: list[tuple[Any, Any]] = []
    builder.observe(lambda _: halves.append((builder.where, builder.where_document)), "where")

    def work(number: int) -> None:
        try:
            for i in range(15):
                if number % 3 == 0:
                    builder.set(where={"year": 1950 + i}, where_document={"$contains": f"{i}"})
                elif number % 3 == 1:
                    builder.edit(builder.shown_question()["question"], f"view {number}")
                    builder.count_matches()
                else:
                    builder.run()
        except BaseException as fault:  # noqa: BLE001 - told to the test
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    last = parse_filter(builder.where, builder.where_document)
    assert last == builder._reading.filter
    assert all(isinstance(part, Row) for part in builder._question.rows.parts)


def test_an_observer_may_wait_for_another_thread_that_uses_the_builder(builder: QueryBuilder) -> None:
    def look(_: Any) -> None:
        other = threading.Thread(target=builder.shown_question)
        other.start()
        other.join(timeout=10)
        assert not other.is_alive()

    builder.observe(look, "where")
    builder.where = {"year": 1990}


def test_an_async_collection_has_no_builder() -> None:
    assert not hasattr(chroma_nb.client.collection.AsyncCollection, "builder")  # type: ignore[attr-defined]
