"""What code says that cannot be seen by running it: what is refused, what is left to the environment, what is explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.filters import GUIDE, parse_filter, parse_where
from chroma_nb.scalars import Instant
from chroma_nb.widgets.code import LANGUAGES, code_of, needs_vectors
from chroma_nb.widgets.request import Connection, Request, variable
from tests.filters.strategies import filters
from tests.widgets.hostile import PAYLOADS

SERVER = Connection("server", "https://hub.example/user/a%40b/nb", "docs", "0f1e", headers=("x-chroma-token", "authorization"))
MEMORY = Connection("memory", "", "docs", "0f1e", embeds=True)


def asked(where: Any = None, where_document: Any = None, **more: Any) -> Request:
    return Request(parse_filter(where, where_document), **more)


@pytest.mark.parametrize(
    ("language", "request_", "message"),
    [
        ("chromadb", asked({"when": {"$gte": Instant(0, "UTC")}}), "cannot compare datetimes .*copy it as Python"),
        ("javascript", asked({"when": {"$in": [Instant(0, None)]}}), "cannot compare datetimes"),
        ("javascript", asked({"n": {"$in": [1, 2**53 + 1]}}), "beyond 2\\*\\*53"),
        ("javascript", asked({"n": {"$lt": float(2**60)}}), "beyond 2\\*\\*53"),
        ("chromadb", asked({"$or": [{"n": 1}, {"#document": {"$regex": "x"}}]}), "where_document only"),
        ("javascript", asked({"$or": [{"n": 1}, {"#document": {"$not_regex": "x"}}]}), "where_document only"),
    ],
)
def test_what_a_language_cannot_say_is_refused_with_a_way_out(language: Any, request_: Request, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        code_of(language, request_, SERVER)
    assert "0f1e" in code_of("curl", request_, SERVER)
    assert "docs" in code_of("chroma_nb", request_, SERVER)


@given(filters())
@settings(max_examples=200)
def test_every_filter_is_written_or_refused(filter_: Any) -> None:
    for language in LANGUAGES:
        try:
            assert code_of(language, Request(filter_), SERVER)
        except InvalidArgumentError as error:
            assert "copy it as" in str(error)  # noqa: PT017 - most of them are not refused


@pytest.mark.parametrize("language", ["chroma_nb", "chromadb", "javascript", "curl"])
def test_headers_come_from_the_environment(language: Any) -> None:
    code = code_of(language, asked({"a": 1}), SERVER)
    assert "CHROMA_TOKEN" in code
    assert "CHROMA_AUTHORIZATION" in code
    assert "https://hub.example" in code or "hub.example:443/user/a%40b/nb" in code


@given(st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", fullmatch=True))
def test_a_headers_variable_is_a_name_in_every_shell(header: str) -> None:
    assert variable(header).replace("_", "").isalnum()
    assert variable(header).isascii()


def test_the_tenant_is_said_where_it_is_not_the_usual_one() -> None:
    connection = Connection("server", "http://localhost:8000", "docs", "0f1e", tenant="te'nant", database="däta/base")
    for language in ("chroma_nb", "chromadb", "javascript"):
        assert "däta/base" in code_of(language, asked(), connection)
    assert "/tenants/te%27nant/databases/d%C3%A4ta%2Fbase/collections/0f1e/get" in code_of("curl", asked(), connection)
    assert "tenant" not in code_of("chroma_nb", asked(), MEMORY)


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("http://localhost:8000", 'ssl: false, host: "localhost", port: 8000'),
        ("https://example.org", 'ssl: true, host: "example.org", port: 443'),
        ("http://[::1]:9", 'ssl: false, host: "[::1]", port: 9'),
        ("http://h:8888/user/x/nb", 'ssl: false, host: "h:8888/user/x/nb", port: 8000'),
    ],
)
def test_javascript_takes_an_address_apart(place: str, address: str) -> None:
    assert f"new ChromaClient({{ {address} }})" in code_of("javascript", asked(), Connection("server", place, "docs", "0f1e"))


def test_a_store_in_a_process_has_to_be_served_for_others() -> None:
    for language in ("chromadb", "javascript", "curl"):
        assert "chroma_nb.serve(client)" in code_of(language, asked(), MEMORY)
    assert "serve" not in code_of("chroma_nb", asked(), MEMORY)


def test_negative_tests_are_explained_where_chroma_reads_them_differently() -> None:
    for language in ("chromadb", "javascript", "curl"):
        assert "x-chroma-nb-rules" in code_of(language, asked({"a": {"$ne": 1}}), SERVER)
        assert "x-chroma-nb-rules" not in code_of(language, asked({"a": 1}), SERVER)


@pytest.mark.parametrize("payload", [text for text in PAYLOADS if text.strip()], ids=str.__len__)
def test_comments_end_where_they_seem_to(payload: str) -> None:
    request = asked(texts=(payload,), vectors=np.ones((1, 3), np.float32))
    for language, comment in (("chromadb", "#"), ("javascript", "//"), ("curl", "#")):
        (line,) = [line for line in code_of(language, request, SERVER).splitlines() if "embedded by the" in line]  # type: ignore[arg-type]
        assert line.startswith(comment)
        assert line.isprintable()


def test_texts_are_embedded_here_for_those_who_cannot() -> None:
    request = asked(texts=("owl",))
    assert not needs_vectors("chroma_nb", request, MEMORY)
    assert needs_vectors("chroma_nb", request, SERVER)
    assert needs_vectors("curl", request, MEMORY)
    assert needs_vectors("curl", asked(like=("a",)), MEMORY)
    assert not needs_vectors("where", request, SERVER)
    assert "query_texts=['owl']" in code_of("chroma_nb", request, MEMORY)


def test_a_filter_too_deep_for_source_code_is_refused() -> None:
    clause: dict[str, Any] = {"v": 1}
    for level in range(150):
        clause = {"$or" if level % 2 else "$and": [clause, {"v": level}]}
    try:
        code_of("where", Request(parse_where(clause, GUIDE)), MEMORY)
    except InvalidArgumentError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017 - Python's own limit depends on its version
