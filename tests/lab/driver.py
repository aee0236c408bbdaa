"""A real JupyterLab with a real kernel, in a real browser, driven as its user drives it.

``with Lab.started(folder) as lab: lab.open(lab.notebook("a.ipynb", [...])); lab.run_all(); lab.cell("1 + 1")``. What a cell gave is read
from the notebook's own model, what a widget shows from the page. Screenshots go to ``build/screenshots``.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from typing_extensions import Self

from tests.extension.rig import ROOT, CellError, Jupyter
from tests.widgets.bridge import WEBGL
from tests.widgets.map_rig import MapPage

PATIENCE = 60_000
"""Milliseconds; a guard against hanging, not a promise."""

SCREENSHOTS = ROOT / "build" / "screenshots"
_SIGNS = re.compile(r"\x1b\[[0-9;]*m")
_CONFIG = {
    # The page's own commands are what a menu or a key of JupyterLab calls.
    "LabApp": {"expose_app_in_browser": True},
    "JupyterNotebookApp": {"expose_app_in_browser": True},
}
_KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
_OUTPUTS = "() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.outputs?.toJSON() ?? [])"
_APPENDED = """async (code) => {
  const { commands, shell } = window.jupyterapp;
  const notebook = shell.currentWidget.content;
  notebook.activeCellIndex = notebook.widgets.length - 1;
  await commands.execute("notebook:insert-cell-below");
  notebook.activeCell.model.sharedModel.setSource(code);
  await commands.execute("notebook:enter-command-mode");
  return notebook.activeCellIndex;
}"""


@dataclass
class Lab:
    """A browser page with JupyterLab, and the server behind it."""

    jupyter: Jupyter
    page: Any
    errors: list[str] = field(default_factory=list)
    """Uncaught errors of the page and what widgets wrote to the console as errors."""

    dialogs: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """Start server and browser, and end both; skip the test where there is no browser."""
        playwright = pytest.importorskip("playwright.sync_api")
        chromium = shutil.which("chromium")
        if chromium is None:
            pytest.skip("no chromium on this machine")
        _no_news(folder)
        with Jupyter.started(folder, lab=True, config=_CONFIG) as jupyter, playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=WEBGL)
            context = browser.new_context(viewport={"width": 1500, "height": 1250})
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            context.set_default_timeout(PATIENCE)
            made = cls(jupyter, context.new_page())
            made._watch()
            yield made
            browser.close()

    def notebook(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook of code cells into the server's folder; return its name."""
        written = nbformat.v4.new_notebook(metadata=_KERNEL, cells=[nbformat.v4.new_code_cell(code) for code in cells])
        nbformat.write(written, self.jupyter.notebooks / name)
        return name

    def open(self, name: str) -> None:
        """Open a notebook in a tab of its own, without what was open before, and wait for its kernel."""
        self.page.goto(f"{self.jupyter.url}lab/tree/{name}?token={self.jupyter.token}&reset")
        self.ready()

    def open_in_notebook(self, name: str) -> None:
        """Open a notebook in Notebook 7 instead, whose page shows nothing else."""
        self.page.goto(f"{self.jupyter.url}notebooks/{name}?token={self.jupyter.token}")
        self._kernel_answers()

    def ready(self) -> None:
        """Wait until the notebook is there and its kernel answers."""
        self._kernel_answers()
        # The side bar takes the width that a reader would give to the notebook.
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def execute(self, command: str, **arguments: Any) -> None:
        """Run a command of JupyterLab, as its menus do, and wait for it."""
        self.page.evaluate("([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => null)", [command, arguments])

    def run_all(self) -> None:
        """Run all cells and wait for the last one.

        Raises
        ------
        CellError
            One of them raised.
        """
        self.execute("notebook:run-all-cells")
        self.wait_idle()
        for outputs in self.page.evaluate(_OUTPUTS):
            _text_of(outputs)

    def wait_idle(self) -> None:
        """Wait until no cell is running or waiting."""
        self.page.locator(".jp-InputPrompt", has_text="[*]").first.wait_for(state="detached")

    def start(self, code: str) -> int:
        """Append a cell and run it, without waiting; return its number."""
        place: int = self.page.evaluate(_APPENDED, code)
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
        return place

    def cell(self, code: str) -> str:
        """Append a cell, run it, and return what it printed and, as text, what it ended with.

        Raises
        ------
        CellError
            It raised.
        """
        place: int = self.page.evaluate(_APPENDED, code)
        self.execute("notebook:run-cell")
        return self.output(place)

    def value(self, expression: str) -> Any:
        """Return what an expression comes to in a new cell, through JSON; the cell is taken away again."""
        shown = self.cell(f"import json\nprint(json.dumps({expression}))")
        self.execute("notebook:delete-cell")
        return json.loads(shown)

    def output(self, place: int) -> str:
        """Return what a cell has given so far, as `cell` returns it."""
        outputs = self.page.evaluate(_OUTPUTS)[place]
        return _text_of(outputs)

    def sources(self) -> list[str]:
        """Return the code of all cells."""
        found: list[str] = self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.sharedModel.getSource())"
        )
        return found

    def theme(self, name: str) -> None:
        """Switch to the "light" or the "dark" theme."""
        self.execute("apputils:change-theme", theme=f"JupyterLab {name.capitalize()}")
        self.page.wait_for_function("(light) => document.body.dataset.jpThemeLight === String(light)", arg=name == "light")
        self.page.wait_for_timeout(300)  # the widgets look again when the page has changed

    def screenshot(self, name: str, place: Any = None) -> None:
        """Keep a picture of the page, or of an element in it."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (place or self.page).screenshot(path=SCREENSHOTS / f"{name}.png")

    def _kernel_answers(self) -> None:
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")

    def _watch(self) -> None:
        page = self.page
        page.on("dialog", lambda dialog: (self.dialogs.append(f"{dialog.type}: {dialog.message}"), dialog.accept()))
        page.on("pageerror", lambda error: self.errors.append(str(error)))


class LabMap(MapPage):
    """An explorer's map in JupyterLab."""

    def __init__(self, lab: Lab, view: int = 0) -> None:
        self.page = lab.page
        self.root = self.page.locator(".jp-Notebook .cnb-map").nth(view)
        self.stage = self.root.locator(".cnb-map-stage")

    def settled(self) -> None:
        self.stage.scroll_into_view_if_needed()
        self.page.wait_for_timeout(100)
        self.wait("drawn", "true")
        self.wait("moving", "false")

    def lasso(self, pixels: Sequence[tuple[float, float]], *keys: str) -> None:
        """Draw a loop with keys held, and wait until the kernel has answered."""
        self.settled()
        with self.holding(*keys):
            self.drag([*pixels, pixels[0]])
        self.page.wait_for_timeout(400)
        self.settled()


def _no_news(folder: Path) -> None:
    """Keep JupyterLab from asking whether it may look for news, in a box over the notebook's corner."""
    written = folder / "config" / "labconfig" / "default_setting_overrides.json"
    written.parent.mkdir(parents=True)
    written.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}))


def _text_of(outputs: list[dict[str, Any]]) -> str:
    shown = []
    for output in outputs:
        match output["output_type"]:
            case "error":
                raise CellError(_SIGNS.sub("", "\n".join(output["traceback"])))
            case "stream":
                shown.append("".join(output["text"]))
            case _:
                shown.append("".join(output["data"].get("text/plain", "")))
    return "".join(shown)
