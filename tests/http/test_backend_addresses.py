"""Which server an address means, and what is said of it in messages."""

from __future__ import annotations

from typing import Any

import pytest

from chroma_nb.errors import InvalidArgumentError
from chroma_nb.http.address import Address


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (("localhost",), "http://localhost:8000"),
        (("db.example", 9000), "http://db.example:9000"),
        (("localhost", "9000"), "http://localhost:9000"),
        (("::1", 9000), "http://[::1]:9000"),
        (("[::1]", 9000), "http://[::1]:9000"),
        (("http://h:8888", 1), "http://h:8888"),
        (("https://h", 1), "https://h"),
        (("http://h/", 1), "http://h"),
        (("http://h:8888/user/a@b/chroma-nb/k/ID", 1), "http://h:8888/user/a@b/chroma-nb/k/ID"),
        (("http://h/user/a b/ü/50%/x%2Fy/", 1), "http://h/user/a%20b/%C3%BC/50%25/x%2Fy"),
        (("http://h/base/api/v2", 1), "http://h/base"),
        (("http://[::1]:9000/x", 1), "http://[::1]:9000/x"),
    ],
    ids=str,
)
def test_addresses(given: tuple[Any, ...], url: str) -> None:
    assert Address.of(*given).url == url
    assert Address.of(url).url == url


def test_ssl_means_https() -> None:
    assert Address.of("h", 443, ssl=True).url == "https://h:443"
    assert Address.of("http://h:1", ssl=True).url == "https://h:1"


def test_a_login_in_the_address_is_sent_and_never_shown() -> None:
    address = Address.of("http://me:p%40ss@h:1/x", headers={"X-Chroma-Token": "secret"})
    assert address.url == "http://h:1/x"
    assert address.headers == {"authorization": "Basic bWU6cEBzcw==", "x-chroma-token": "secret"}
    assert "secret" not in repr(address)
    assert "Basic" not in repr(address)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((5,), "host"),
        (("",), "host"),
        (("h:9000",), "host.*port apart"),
        (("h/path",), "host"),
        (("two words",), "host"),
        (("ftp://h",), "host"),
        (("http://",), "host"),
        (("http://h:99999",), "host"),
        (("http://h/?token=x",), "headers"),
        (("h", 0), "port"),
        (("h", 65_536), "port"),
        (("h", "many"), "port"),
        (("h", True), "port"),
    ],
    ids=str,
)
def test_no_addresses(given: tuple[Any, ...], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        Address.of(*given)


@pytest.mark.parametrize("headers", [5, {"a": 5}, {5: "a"}, {"a b": "x"}, {"": "x"}, {"a": "secret\r\nb: c"}, {"a": "secrét"}], ids=str)
def test_bad_headers_are_refused_without_being_shown(headers: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="headers") as caught:
        Address.of("h", headers=headers)
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "near"),
    [("http://localhost:1", True), ("http://127.0.0.2:1", True), ("http://[::1]:1", True), ("http://h", False), ("http://10.0.0.1", False)],
)
def test_servers_of_this_machine_are_told(url: str, near: bool) -> None:
    assert Address.of(url).is_near is near
