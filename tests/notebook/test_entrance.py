"""The forms of an address: each client asks for the same path, whatever it does to the one it is given."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma_nb.http.address import Address
from chroma_nb.http.entrance import Entrance, encoded

TOKEN = 'it\'s "secret" `$HOME` \\ ${x}'
names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/"), min_size=1).filter(lambda name: name not in (".", ".."))


def entrance(address: str = "http://localhost:8888/pre/chroma-nb/k/1", token: str | None = TOKEN, **options: str) -> Entrance:
    return Entrance(address, "Authorization", lambda: token, scheme="token ", **{"variable": "JUPYTER_TOKEN", **options})


def as_chromadb(url: str) -> str:
    """Return the path that Chroma's Python client sends: it quotes what it is given, escapes too."""
    return quote(urlsplit(url).path)


@given(names)
def test_every_client_means_the_same_path(name: str) -> None:
    path = f"/user/{quote(name, safe='@~')}/chroma-nb/k/1"
    way = entrance(f"http://localhost:8888{path}")
    assert way.path == path
    assert shlex.split(way.curl())[-1].startswith(f"http://localhost:8888{path}/api/v2/")
    assert f'host: "localhost:8888{path}", port: 8888' in way.js()
    # Some signs cannot stand in an address as they are; for a name with one of those, Chroma's client has no address at all.
    if all(sign.isprintable() and sign not in "/?#%\\" for sign in name):
        assert unquote(as_chromadb(way.url)) == unquote(path)
        assert way.url.isprintable()
    assert unquote(urlsplit(Address.of(way.url).url).path) == unquote(path)


@given(names)
def test_what_is_encoded_is_ascii_and_stays_as_it_is(name: str) -> None:
    once = encoded(f"http://h/user/{quote(name)}/x")
    assert once.isascii()
    assert encoded(once) == once
    assert "'" not in encoded("http://h/user/it's")


@pytest.mark.parametrize(
    ("address", "url", "arguments"),
    [
        ("http://h:8888/pre/k/1", "http://h:8888/pre/k/1", 'host: "h:8888/pre/k/1", port: 8888'),
        ("https://hub/user/a%40b/k/1", "https://hub/user/a@b/k/1", 'host: "hub/user/a%40b/k/1", port: 443, ssl: true'),
        ("http://hub/k/1", "http://hub/k/1", 'host: "hub/k/1", port: 80'),
        ("https://hub:8443/%C5%BC%23/k/1", "https://hub:8443/ż%23/k/1", 'host: "hub:8443/%C5%BC%23/k/1", port: 8443, ssl: true'),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", 'host: "127.0.0.1", port: 5000'),
        ("http://[::1]:5000", "http://[::1]:5000", 'host: "[::1]", port: 5000'),
    ],
)
def test_forms(address: str, url: str, arguments: str) -> None:
    way = entrance(address, token=None)
    assert (way.url, way.headers) == (url, {})
    assert way.js().endswith(f"new ChromaClient({{ {arguments} }});\n")
    assert way.python() == f"import chromadb\n\nclient = chromadb.HttpClient(host={url!r})\n"
    assert way.curl().startswith(f"curl '{address}/api")


def test_the_token_stays_out_of_what_is_shown() -> None:
    for way in (entrance(), entrance(variable=None)):  # type: ignore[arg-type]
        assert TOKEN not in "".join([repr(way), way.python(), way.js(), way.curl(), way.url])
        assert way.headers == {"Authorization": f"token {TOKEN}"}


def test_a_token_on_show_is_text_in_every_language() -> None:
    way = entrance()
    assert shlex.split(way.curl(show_token=True))[2] == f"Authorization: token {TOKEN}"
    seen: dict[str, object] = {}
    code = way.python(show_token=True).replace("import chromadb", "").replace("chromadb.HttpClient", "dict")
    exec(code, seen)
    assert seen["client"] == {"host": way.url, "headers": way.headers}


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_javascript_says_what_it_means() -> None:
    way = entrance("https://hub/user/a%40b/k/1")
    stub = "class ChromaClient { constructor(given) { console.log(JSON.stringify(given)) } }\n"
    for show in (True, False):
        code = stub + re.sub(r"import .*\n", "", way.js(show_token=show))
        done = subprocess.run(
            ["node", "-e", code],
            env={"JUPYTER_TOKEN": TOKEN, "PATH": "/usr/bin:/bin:/usr/local/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        expected = {"host": "hub/user/a%40b/k/1", "port": 443, "ssl": True, "headers": {"Authorization": f"token {TOKEN}"}}
        assert json.loads(done.stdout) == expected
