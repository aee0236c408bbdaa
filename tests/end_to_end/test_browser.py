"""As a user sees it: a notebook run in JupyterLab, its code taken by Chroma's clients, and the page of collections."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.end_to_end.conftest import FILL, PREFIX, RECORDS
from tests.end_to_end.notebook import Notebook, eventually
from tests.end_to_end.official import environment, output, program
from tests.end_to_end.test_official_clients import FOUND, JAVASCRIPT, PYTHON
from tests.extension.rig import ROOT, Jupyter
from tests.widgets.hostile import EXECUTED, PAYLOADS, as_shown

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCREENSHOTS = ROOT / "build" / "screenshots"
CONFIG = {"LabApp": {"expose_app_in_browser": True}}
KERNEL = "shell.currentWidget?.sessionContext?.session?.kernel"
SHORT = 60
"""Characters of a text that the page shows whole."""
CELLS = (FILL, "server", "print(server.python())", "print(server.js())", "print(server.curl())")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Start JupyterLab with a notebook that is saved and has not been run."""
    folder = tmp_path_factory.mktemp("lab")
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "notebooks").mkdir()
    nbformat.write(written, folder / "notebooks" / "serving.ipynb")
    with Jupyter.started(folder, base_url=PREFIX, lab=True, config=CONFIG) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def saved(lab: Jupyter, browser: Browser) -> Path:
    """Run the notebook in JupyterLab as a user does, and save it there; return its file."""
    page = browser.new_page(viewport={"width": 1400, "height": 1400})
    page.set_default_timeout(90_000)
    page.goto(f"{lab.url}lab/tree/serving.ipynb?token={lab.token}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.wait_for_function(f"() => window.jupyterapp?.{KERNEL}?.status === 'idle'")
    for command in ("notebook:run-all-cells", "docmanager:save"):
        # What the menus call, and when it has ended.
        page.evaluate("(command) => window.jupyterapp.commands.execute(command).then(() => null)", command)
    page.screenshot(path=SCREENSHOTS / "serving-in-lab.png")
    path = lab.notebooks / "serving.ipynb"
    eventually(lambda: nbformat.read(path, 4).cells[-1].outputs)
    page.close()
    return path


def shown(saved: Path, cell: int) -> str:
    """Return what a cell of the saved notebook shows as text."""
    return "".join(each["text"] for each in nbformat.read(saved, 4).cells[cell].outputs if each["output_type"] == "stream")


@pytest.mark.parametrize(
    ("client", "cell", "code"),
    [
        ("py-1.5.9", 2, f'{PYTHON}\ndocs.delete(ids=["python"])'),
        ("js-3.5.0", 3, f'{JAVASCRIPT}\nawait docs.delete({{ ids: ["javascript"] }});'),
    ],
    ids=["python", "javascript"],
)
def test_the_code_of_a_saved_notebook_connects(lab: Jupyter, saved: Path, tmp_path: Path, client: str, cell: int, code: str) -> None:
    command = program(environment(client), shown(saved, cell) + code, tmp_path / "program")
    assert json.loads(output(command, JUPYTER_TOKEN=lab.token).splitlines()[-1]) == FOUND


def test_a_saved_notebook_has_no_token(lab: Jupyter, saved: Path) -> None:
    written = saved.read_text()
    assert "JUPYTER_TOKEN" in written
    assert lab.token not in written
    assert lab.token not in lab.log
    for record in (lab.runtime / "chroma_nb").glob("kernel-*.json"):
        assert json.loads(record.read_text())["secret"] not in written


@pytest.fixture
def page(lab: Jupyter, browser: Browser, saved: Path) -> Iterator[Page]:
    """Open the page of collections, logged in. Whatever its console says is a failure, and a violated policy says so there."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    opened.on("requestfailed", lambda request: said.append(request.url))
    opened.goto(f"{lab.url}chroma-nb/ui?token={lab.token}")
    yield opened
    opened.close()
    assert said == []


def photographed(page: Page, name: str) -> None:
    """Take pictures of a page as those see it who like it light, dark, or have a telephone."""
    usual: Any = page.viewport_size
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 800})
    page.screenshot(path=SCREENSHOTS / f"{name}-narrow.png", full_page=True)
    page.set_viewport_size(usual)
    page.emulate_media(color_scheme="light")


def test_the_page_leads_from_kernels_to_records(lab: Jupyter, page: Page) -> None:
    card = page.locator("section.card", has=page.get_by_role("heading", name="serving.ipynb"))
    row = card.get_by_role("row", name="docs")
    assert row.get_by_role("cell").all_inner_texts() == [str(RECORDS), "3", "l2"]
    photographed(page, "page-kernels")
    row.get_by_role("link", name="docs").click()
    assert page.locator("tbody tr").count() == 25
    photographed(page, "page-records")
    page.get_by_label("Metadata filter").fill('{"n": {"$gte": 38}}')
    page.get_by_label("Metadata filter").press("Enter")
    page.wait_for_url("**where=*")
    assert page.locator("tbody th").all_inner_texts() == ["r38", "r39"]
    page.get_by_label("Document contains").fill("number 39")
    page.get_by_label("Document contains").press("Enter")
    page.wait_for_url("**39*")
    assert page.locator("tbody th").all_inner_texts() == ["r39"]
    page.get_by_role("link", name="chroma_nb").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Collections in your kernels"


def test_hostile_texts_are_texts(lab: Jupyter, page: Page) -> None:
    notebook = Notebook(lab, "hostile.ipynb")
    notebook.run(
        f"""
        import chroma_nb
        payloads = {PAYLOADS!r}
        client = chroma_nb.EphemeralClient()
        bad = client.create_collection("bad", embedding_function=None, metadata={{each: each for each in payloads[:20]}})
        bad.add([f"{{i:02d}} {{each}}" for i, each in enumerate(payloads)], documents=payloads, embeddings=[[1.0, 2.0]] * len(payloads),
                metadatas=[{{"kept": each, **({{each: i}} if i < 36 else {{}})}} for i, each in enumerate(payloads)])
        server = chroma_nb.serve(client)
        """
    )
    page.reload()
    page.get_by_role("link", name="bad").click()
    seen = 0
    while True:
        photographed(page, f"page-hostile-{seen}")
        rows = page.locator("tbody tr")
        for number in range(rows.count()):
            assert rows.nth(number).locator("th").inner_text().startswith(f"{seen:02d}")
            if len(PAYLOADS[seen]) <= SHORT:
                assert as_shown(PAYLOADS[seen]).strip() in (rows.nth(number).locator("td").first.text_content() or "")
            seen += 1
        for summary in page.locator("tbody summary").all():
            summary.click()
        assert page.evaluate(EXECUTED) is None
        assert page.evaluate("document.querySelectorAll('main script, main img, main svg, main iframe, main style').length") == 0
        following = page.get_by_role("link", name="Next")
        if not following.count():
            break
        following.click()
    assert seen == len(PAYLOADS) > 60
    notebook.kernel.shutdown()
