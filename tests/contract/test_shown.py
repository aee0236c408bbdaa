"""What objects say of themselves: reprs, HTML for notebooks, signatures and help."""

from __future__ import annotations

import inspect
from html.parser import HTMLParser
from typing import Any

import pytest

from chroma_nb.client.client import AsyncClient, Client
from chroma_nb.client.collection import AsyncCollection, Collection
from chroma_nb.client.verb import stream, verb

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>&lt;b&gt;\"'"
SHOWN = {"div", "table", "thead", "tbody", "tr", "td", "th", "strong", "span", "details", "summary", "b", "em", "code"}


class Outline(HTMLParser):
    """Tags, attributes and text of a piece of HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(shown: Any) -> Outline:
    markup = shown._repr_html_()
    parsed = Outline(markup)
    assert parsed.open == []
    assert set(parsed.tags) <= SHOWN
    assert parsed.attributes <= {"style", "class", "dir", "scope", "title", "open"}
    assert len(markup) < 100_000
    return parsed


@pytest.fixture
def evil(client: Any) -> Any:
    made = client.create_collection("evil", {EVIL: EVIL, "long": "y" * 100_000, **{f"key {i}": i for i in range(50)}}, None)
    made.add([EVIL], embeddings=[[1, 2]], documents=[EVIL], metadatas=[{EVIL: EVIL, "list": [EVIL], "long": "z" * 100_000}])
    return made


def shows_html(shown: Any) -> None:
    if not hasattr(shown, "_repr_html_"):
        pytest.skip("an asynchronous object cannot ask its backend while it is being shown")


def test_a_collection_shows_itself_escaped_and_bounded(evil: Any) -> None:
    shows_html(evil)
    shown = outline(evil)
    assert "<script>alert('x')</script>" in shown.text
    assert "Collection evil" in shown.text
    assert "y" * 1000 not in shown.text
    assert "key 49" not in shown.text
    assert "squared" in shown.text or "sum((a - b)^2)" in shown.text


def test_a_client_lists_its_collections(client: Any, evil: Any) -> None:
    shows_html(client)
    assert "evil" in outline(client).text
    for i in range(60):
        client.create_collection(f"more-{i}", embedding_function=None)
    shown = outline(client)
    assert "more-0" in shown.text
    assert "more-59" not in shown.text
    assert "more" in shown.text.rpartition("more-")[2]


def test_an_empty_client_says_so(client: Any) -> None:
    shows_html(client)
    assert "no collections yet" in outline(client).text


def test_a_description_shows_itself_escaped_and_bounded(evil: Any) -> None:
    evil.add("b", embeddings=[1, 2], metadatas={f"field {i}": i for i in range(100)})
    description = evil.describe()
    shown = outline(description)
    assert "<script>alert('x')</script>" in shown.text
    assert "field 99" not in shown.text
    assert len(repr(description)) < 20_000


def test_reprs_are_one_short_line(client: Any, evil: Any, backend: Any) -> None:
    assert repr(evil) == "Collection(name='evil', space='l2')"
    for shown in (repr(client), repr(backend.admin())):
        assert "\n" not in shown
        assert len(shown) < 300
    assert "tenant='default_tenant'" in repr(client)
    backend.close()
    assert repr(evil) == "Collection(name='evil', space='l2')"
    assert "Client" in repr(client)


def verbs(kind: type) -> list[str]:
    return [name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name), (verb, stream))]


def test_signatures_show_what_the_caller_passes_and_gets(client: Any, evil: Any) -> None:
    for shown, kind in ((client, Client), (evil, Collection)):
        for name in verbs(kind):
            signature = inspect.signature(getattr(shown, name))
            assert "self" not in signature.parameters, name
            assert "Steps" not in str(signature.return_annotation), name
            assert inspect.getdoc(getattr(shown, name)), name
    assert inspect.signature(evil.count).return_annotation == "int"
    assert inspect.signature(evil.get).return_annotation == "pd.DataFrame"
    assert list(inspect.signature(evil.peek).parameters) == ["limit", "include"]
    assert evil.peek.__name__ == "peek"
    for parameter in inspect.signature(evil.bulk_upsert).parameters.values():
        if parameter.name in {"max_batch_size", "on_batch_processed", "print_progress", "resume_from"}:
            assert parameter.kind is parameter.KEYWORD_ONLY


def test_both_flavours_have_the_same_verbs_with_the_same_arguments() -> None:
    for sync, asynchronous in ((Client, AsyncClient), (Collection, AsyncCollection)):
        assert verbs(sync) == verbs(asynchronous)
        for name in verbs(sync):
            ours, theirs = inspect.signature(getattr(sync, name)), inspect.signature(getattr(asynchronous, name))
            assert ours.parameters.keys() == theirs.parameters.keys()


def test_only_asynchronous_verbs_are_coroutine_functions(client: Any, evil: Any) -> None:
    target = getattr(evil, "_target", evil)
    expected = target is not evil
    for name in verbs(Collection):
        if name != "scan":
            assert inspect.iscoroutinefunction(getattr(target, name)) is expected, name
