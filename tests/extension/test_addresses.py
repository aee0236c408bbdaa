"""Paths are taken apart as they came; what could be read in two ways leads nowhere."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb_extension.addresses import by_kernel, by_notebook, checked, default, path_of_notebook, spellings, target, without_secrets
from chroma_nb_extension.refusal import Refused

ID = "3f182048-649e-459d-944d-003ed280b6d4"
NAMES = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("tail", "rest"), [("", ""), ("/api/v2", "/api/v2"), (":8000/api/v1/x", "/api/v1/x"), (":80", ""), ("/a%2Fb?", "/a%2Fb?")]
)
def test_a_kernel_is_found_with_and_without_a_port(tail: str, rest: str) -> None:
    assert by_kernel(f"k/{ID}{tail}") == (ID, rest)
    assert default(f"default{tail}") == rest


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "x",
        "../x",
        f"{ID[:-1]}%64",
        f"{ID}%2F..%2F",
        f"..%2F{ID}",
        "127.0.0.1",
        "127.0.0.1:8888/api",
        "http://127.0.0.1/",
        f"{ID}:/api",
        f"{ID}:abc",
        f"{ID}:800000",
        f"{ID}@evil.example/api/v2",
        f"{ID}\x00",
        "a-b-c-d-..",
        f"{'a' * 41}-b-c-d-e",
    ],
)
def test_what_is_no_kernel_id_is_none(tail: str) -> None:
    with pytest.raises(Refused, match="404"):
        by_kernel(f"k/{tail}")


@given(st.lists(NAMES, min_size=1, max_size=4), st.sampled_from(["", ":1", ":65535"]), st.sampled_from(["", "/api/v2/x%2Fy", "/"]))
def test_every_notebook_is_found_by_its_path(names: list[str], port: str, rest: str) -> None:
    path = "/".join(names)
    tail = path_of_notebook(path).removeprefix("chroma-nb/") + port + rest
    assert by_notebook(tail, ["other.ipynb", path, "x/y"]) == (path, rest)


def test_the_longest_path_that_fits_is_meant() -> None:
    paths = ["a", "a/api/v2/b.ipynb", "a:80"]
    assert by_notebook("s/a/api/v2/b.ipynb/api/v2/x", paths) == ("a/api/v2/b.ipynb", "/api/v2/x")
    assert by_notebook("s/a/api/v2/c", paths) == ("a", "/api/v2/c")
    assert by_notebook("s/a:80/api/v2", paths) == ("a:80", "/api/v2")
    assert by_notebook("s/a:81/api/v2", paths) == ("a", "/api/v2")


@pytest.mark.parametrize(
    "tail", ["s/", "s/b.ipynb/api/v2", "s/a%2Fb.ipynb", "s/a%252Fb.ipynb", "s/a/../a/b.ipynb", "s/a//b.ipynb", "s/a/b.ipynbx"]
)
def test_other_notebooks_are_not_found(tail: str) -> None:
    with pytest.raises(Refused, match="404"):
        by_notebook(tail, ["a/b.ipynb"])


@pytest.mark.parametrize(
    "rest",
    [
        "/api/v2",
        "/api/v1/",
        "/api/v2/tenants/a%2Fb/x",
        "/docs",
        "/openapi.json",
        "/",
        "/api/v2/%252e%252e",
        "/api/v2/.a/..b/c..",
        "/api/v2/...",
    ],
)
def test_paths_of_the_api_pass(rest: str) -> None:
    assert checked(rest) == rest


def test_no_path_is_the_root() -> None:
    assert checked("") == "/"


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ("/api", 404),
        ("/api/v3/x", 404),
        ("/api/v22", 404),
        ("/other", 404),
        ("/docs/x", 404),
        ("//evil.example/api/v2", 404),
        ("/api/v2/../../x", 400),
        ("/api/v2/%2e%2E/x", 400),
        ("/api/v2/.%2e", 400),
        ("/api/v2/..%2f..%2f", 400),
        ("/api/v2/x%5c..%5cy", 400),
        ("/./api/v2", 400),
        ("/api/v2/a%00b", 400),
        ("/api/v2/a%0d%0aHost:x", 400),
        ("/api/v2/a b", 400),
        ("/api/v2/ü", 400),
        ("/api/v2/%zz", 400),
        ("/api/v2/a#b", 400),
        ("/api/v2/a\\b", 400),
    ],
)
def test_other_paths_do_not(rest: str, status: int) -> None:
    with pytest.raises(Refused, match=str(status)):
        checked(rest)


@pytest.mark.parametrize("base", ["/", "/pre/", "/user/a@b/", "/user/a%40b/", "/user/ü ö/", "/user/a.b-c/"])
def test_a_base_url_is_known_in_every_spelling(base: str) -> None:
    pattern = re.compile(spellings(base))
    decoded = base.replace("%40", "@")
    for spelled in (quote(decoded), quote(decoded, safe="/@"), quote(decoded).replace("%C3", "%c3")):
        assert pattern.fullmatch(spelled)
    assert not pattern.fullmatch(f"{quote(decoded)}x")
    assert not pattern.fullmatch("/user/aXb/")


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("token=abc", ""),
        ("a=1&token=abc&b=%20", "a=1&b=%20"),
        ("%74oken=abc&to%6ben=x&tokens=1", "tokens=1"),
        ("_xsrf=2|a&a", "a"),
        ("token", ""),
        ("a=token=abc", "a=token=abc"),
    ],
)
def test_jupyters_token_leaves_the_query(query: str, kept: str) -> None:
    assert without_secrets(query) == kept


def test_the_target_is_ascii() -> None:
    assert target("/api/v2", "a=b") == b"/api/v2?a=b"
    with pytest.raises(Refused, match="400"):
        target("/api/v2", "a=ü")
