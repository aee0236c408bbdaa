"""A widget in a real browser page without Jupyter in between: the same Python object, the same page code, joined by a comm of ours.

Starts in a second where a whole JupyterLab takes twenty. `tests/lab` drives the latter, for what depends on it.
"""

from __future__ import annotations

import base64
import json
import queue
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comm
import pytest
from comm.base_comm import BaseComm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WEBGL = [
    *(
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
]
PAGE = """<!doctype html><meta charset=utf-8><title>widget</title>
<body style="margin:16px;background:var(--page);--page:#fff"><div id="root"></div></body>"""
_STEP, _PATIENCE = 20, 500
"""Milliseconds between two looks, and looks before one gives up."""
HOST = (Path(__file__).parent / "host.js").read_text("utf-8")


class BridgeComm(BaseComm):
    """Hands what the kernel says to the page that shows the widget."""

    said: queue.SimpleQueue[Any] | None = None

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:  # noqa: ARG002
        if msg_type == "comm_msg" and self.said is not None:
            parts = [base64.b64encode(memoryview(part).cast("B")).decode() for part in buffers or []]
            # Through text, as on the way through Jupyter: what JSON cannot hold has to fail here too.
            self.said.put([self.comm_id, json.loads(json.dumps(data)), parts])


@pytest.fixture
def bridged_comms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widgets made from here on can be shown in a page."""
    monkeypatch.setattr(comm, "create_comm", BridgeComm)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=WEBGL)
        yield launched
        launched.close()


@pytest.fixture
def bridge(browser: Any, bridged_comms: None) -> Iterator[Bridge]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    made = Bridge(page)
    yield made
    page.close()
    assert not made.errors, made.errors
    assert not made.dialogs, made.dialogs


class Bridge:
    """One page, with widgets shown in it one below the other. What the kernel says arrives while the test waits on the page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        self._widgets: dict[str, Any] = {}
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.expose_function("toKernel", self._to_kernel)
        page.expose_function("fromKernel", self._from_kernel)
        page.set_content(PAGE)
        page.evaluate(HOST)

    def show(self, widget: Any) -> None:
        """Show a widget made under `bridged_comms` at the bottom of the page; once more for another view of it."""
        self._widgets[widget.model_id] = widget
        widget.comm.said = self._said
        state = json.loads(
            json.dumps({key: value for key, value in widget.get_state().items() if not key.startswith(("layout", "tooltip"))})
        )
        esm, css = state.pop("_esm"), state.pop("_css", "")
        self.page.evaluate("(given) => window.host(...given)", [widget.model_id, esm, css, state])

    def theme(self, name: str) -> None:
        """Make the page "light" or "dark", as JupyterLab does."""
        self.page.evaluate("(light) => window.theme(light)", name == "light")

    def until(self, happened: Callable[[], bool]) -> None:
        """Let the page go on until it has made the kernel do something."""
        for _ in range(_PATIENCE):
            if happened():
                return
            self.page.wait_for_timeout(_STEP)
        pytest.fail("the page did not do it")

    def _to_kernel(self, model: str, data: Any, buffers: list[str]) -> list[Any]:
        parts = [memoryview(base64.b64decode(part)) for part in buffers]
        self._widgets[model]._handle_msg({"content": {"data": data}, "buffers": parts})
        return self._from_kernel()

    def _from_kernel(self) -> list[Any]:
        messages = []
        while not self._said.empty():
            messages.append(self._said.get())
        return messages
