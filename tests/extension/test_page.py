"""The page shows what is there, and nothing of what it shows acts."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from tests.extension.conftest import SERVE
from tests.extension.rig import Jupyter, Kernel

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\u202e'\"&amp;"
SHOWN = HOSTILE.replace("\u202e", "\\u202e")
FILL = f"""
import chroma_nb
client = chroma_nb.EphemeralClient()
hostile = {HOSTILE!r}
function = chroma_nb.HashingEmbeddingFunction()
docs = client.create_collection("docs", embedding_function=function, metadata={{"about": hostile}})
docs.add(
    ids=[f"r{{i:03d}}" for i in range(60)] + [hostile],
    documents=[None if i == 3 else f"document number {{i}}" for i in range(60)] + [hostile * 40],
    embeddings=[[float(i)] * 256 for i in range(61)],
    metadatas=[{{"n": i, "half": i / 2, "even": i % 2 == 0, "tags": ["a", "b"]}} for i in range(60)] + [{{hostile: hostile}}],
)
client.create_collection("empty")
chroma_nb.AdminClient().create_database("second")
other = chroma_nb.EphemeralClient(database="second")
other.create_collection("elsewhere", embedding_function=function).add(ids=["x"], documents=["y"])
server = chroma_nb.serve(client)
"""


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "dd"):
            self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def served(jupyter: Jupyter) -> Kernel:
    """Start a kernel that serves real collections."""
    made = jupyter.kernel("folder/my <b>notes</b>.ipynb")
    made.run(FILL)
    return made


def page(jupyter: Jupyter, path: str, status: int = 200, method: str = "GET") -> Reader:
    response = jupyter.ask(method, f"chroma-nb/{path}")
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    policy = dict(each.strip().partition(" ")[::2] for each in response.headers["content-security-policy"].split(";"))
    nonce = re.fullmatch(r"'nonce-([\w-]{20,})'", policy.pop("script-src"))
    assert nonce
    assert policy.pop("style-src") == f"'nonce-{nonce[1]}'"
    assert policy == {"default-src": "'none'", "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'self'"}
    found = Reader(response.text)
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert tag not in ("img", "iframe", "object", "link", "base")
        if tag in ("script", "style"):
            assert attributes == {"nonce": nonce[1]}
        for name in ("href", "action", "src"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", urlsplit(jupyter.url).path))
    assert jupyter.token not in response.text
    return found


def table(kernel: Kernel, **query: Any) -> str:
    return "ui/collection?" + urlencode({"kernel": kernel.id, "name": "docs", **query})


def test_without_kernels_it_says_what_to_do(jupyter: Jupyter) -> None:
    assert "import chroma_nb; server = chroma_nb.serve()" in page(jupyter, "ui").text
    page(jupyter, "ui/")


def test_kernels_and_their_collections_are_shown(jupyter: Jupyter, served: Kernel) -> None:
    found = page(jupyter, "ui")
    assert "folder/my <b>notes</b>.ipynb" in found.text
    flat = " ".join(found.text.split())
    assert "docs default_database 61 256 l2" in flat
    assert "empty default_database 0 –" in flat
    assert "elsewhere second 1 256" in flat
    links = [attributes["href"] or "" for tag, attributes in found.tags if tag == "a" and "name=" in (attributes.get("href") or "")]
    assert len(links) == 3
    for link in links:
        assert jupyter.ask("GET", urljoin(jupyter.url, link).removeprefix(jupyter.url)).status_code == 200
    codes = (
        found.text.count("$JUPYTER_TOKEN") + found.text.count("os.environ['JUPYTER_TOKEN']") + found.text.count("process.env.JUPYTER_TOKEN")
    )
    assert codes == 4
    assert f"{jupyter.url}chroma-nb/k/{served.id}" in found.text


def test_a_snippet_works_as_it_stands(jupyter: Jupyter, served: Kernel) -> None:
    code = re.search(r"import os\nimport chroma_nb\n.*?\n\)\ncollection = [^\n]*", page(jupyter, table(served)).text, re.DOTALL)
    assert code
    program = f"import os; os.environ['JUPYTER_TOKEN'] = {jupyter.token!r}\n{code[0]}\nprint(collection.count())"
    scratch = jupyter.kernel("scratch.ipynb")
    assert scratch.run(program).strip() == "61"
    scratch.shutdown()


def test_records_come_in_pages(jupyter: Jupyter, served: Kernel) -> None:
    shown: list[str] = []
    for number, expected in enumerate(("1–25 of 61", "26–50 of 61", "51–61 of 61")):
        found = page(jupyter, table(served, page=number))
        assert expected in found.text
        shown += re.findall(r"\br\d{3}\b", found.text)
        wanted = {"prev": number > 0, "next": number < 2}
        rels = {attributes.get("rel") for tag, attributes in found.tags if tag == "a"}
        assert {name: name in rels for name in wanted} == wanted
    assert shown == [f"r{i:03d}" for i in range(60)]
    assert "No records on this page" in page(jupyter, table(served, page=9)).text
    for odd in ("-1", "x", "9" * 50, "²"):
        assert "1–25 of 61" in page(jupyter, table(served, page=odd)).text


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"text": "number 1"}, ["r001", *(f"r{i:03d}" for i in range(10, 20))]),
        ({"record": "r007"}, ["r007"]),
        ({"where": '{"n": {"$gte": 58}}'}, ["r058", "r059"]),
        ({"text": "number 5", "where": '{"even": true}', "record": ""}, ["r050", "r052", "r054", "r056", "r058"]),
        ({"text": "nothing like it"}, []),
        ({"record": "r00"}, []),
    ],
)
def test_records_are_found(jupyter: Jupyter, served: Kernel, query: dict[str, str], ids: list[str]) -> None:
    found = page(jupyter, table(served, **query))
    assert [each for each in re.findall(r"\br\d{3}\b", found.text) if each != "r00"] == ids
    assert ("No record matches" in found.text) == (not ids)
    fields = {attributes["name"]: attributes["value"] for tag, attributes in found.tags if tag == "input"}
    assert {name: fields[name] for name in query} == query


@pytest.mark.parametrize(
    ("where", "said"),
    [("{", "is not JSON"), ("[" * 5000, "is not JSON"), ('{"n": {"$foo": 1}}', "unknown operator"), ("[]", "where"), ("7", "where")],
)
def test_a_filter_that_is_none_is_explained(jupyter: Jupyter, served: Kernel, where: str, said: str) -> None:
    assert said in page(jupyter, table(served, where=where)).text


def test_hostile_text_is_text(jupyter: Jupyter, served: Kernel) -> None:
    found = page(jupyter, table(served, page=2))
    assert found.text.count(SHOWN) > 40
    assert "\u202e" not in found.text
    found = page(jupyter, table(served, text=HOSTILE, record=HOSTILE, where=HOSTILE))
    assert "is not JSON" in found.text
    found = page(jupyter, f"ui/collection?{urlencode({'kernel': HOSTILE, 'name': HOSTILE})}", 404)
    assert SHOWN in found.text


def test_what_is_asked_for_writes_no_lines_into_the_log(jupyter: Jupyter) -> None:
    page(jupyter, "ui/collection?kernel=first%0aforged%0d%e2%80%aeline&name=x", 404)
    assert "kernel first forged \\u202eline does not run here" in jupyter.log


def test_what_is_not_there_is_said(jupyter: Jupyter, served: Kernel) -> None:
    assert "does not exist" in page(jupyter, table(served, name="none"), 404).text
    assert "[none] not found" in page(jupyter, table(served, database="none"), 404).text
    assert "does not run here" in page(jupyter, "ui/collection?kernel=x&name=y", 404).text
    page(jupyter, "ui/collection", 400)
    for method in ("POST", "TRACE"):
        assert "Method Not Allowed" in page(jupyter, "ui", 405, method).text
    assert "Add some in the notebook" in page(jupyter, table(served, name="empty")).text


def test_a_server_that_talks_nonsense_is_shown_as_such(jupyter: Jupyter, kernel: Kernel) -> None:
    assert "is not understood" in page(jupyter, "ui").text
    page(jupyter, table(kernel), 502)
    kernel.shutdown()


def test_a_server_that_breaks_off_is_shown_as_such(jupyter: Jupyter) -> None:
    broken = jupyter.kernel("broken.ipynb")
    broken.run(f"{SERVE}\nfrom tests.extension import upstream as module; module._Handler._tenants = module._Handler._cut")
    found = page(jupyter, "ui")
    assert "broken.ipynb" in found.text
    assert "broke the connection off" in found.text
    broken.shutdown()


def test_a_kernel_that_is_gone_says_what_to_do(jupyter: Jupyter) -> None:
    killed = jupyter.kernel("killed.ipynb")
    killed.run(SERVE)
    killed.restart()
    found = page(jupyter, "ui")
    assert "killed.ipynb" in found.text
    assert "Run this in it to serve again" in found.text
    killed.shutdown()


@pytest.fixture
def browser(jupyter: Jupyter) -> Iterator[Page]:
    """Open a browser that is logged in; its console must stay empty."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = started.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        opened.goto(f"{jupyter.url}chroma-nb/ui?token={jupyter.token}")
        yield opened
        started.close()
    assert said == []


@pytest.mark.browser
def test_a_browser_walks_through_it(jupyter: Jupyter, served: Kernel, browser: Page) -> None:
    browser.get_by_role("link", name="docs").click()
    assert browser.get_by_role("heading", level=1).inner_text() == "docs"
    browser.get_by_role("link", name="Next").click()
    assert browser.locator("tbody th").first.inner_text() == "r025"
    browser.get_by_label("Document contains").fill("number 42")
    browser.get_by_label("Document contains").press("Enter")
    assert browser.locator("tbody th").all_inner_texts() == ["r042"]
    browser.get_by_role("link", name="Clear").click()
    browser.get_by_text("Connect from elsewhere").click()
    browser.context.grant_permissions(["clipboard-read", "clipboard-write"])
    browser.get_by_role("button", name="Copy: Python, chromadb").click()
    copied = browser.evaluate("navigator.clipboard.readText()")
    assert copied == browser.locator("pre[aria-label='Python, chromadb']").inner_text()
    assert json.dumps(f"{jupyter.url}chroma-nb/k/{served.id}") in copied
    browser.goto(f"{jupyter.url}chroma-nb/{table(served, page=2)}")
    assert browser.locator("tbody tr").last.locator("summary").first.inner_text().startswith(SHOWN)
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    browser.emulate_media(color_scheme="dark")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") != light


@pytest.mark.browser
def test_a_narrow_window_scrolls_the_table_and_not_the_page(jupyter: Jupyter, served: Kernel, browser: Page) -> None:
    browser.set_viewport_size({"width": 390, "height": 800})
    for path in ("ui", table(served), table(served, page=2)):
        browser.goto(f"{jupyter.url}chroma-nb/{path}")
        assert browser.evaluate("document.documentElement.scrollWidth") == 390
