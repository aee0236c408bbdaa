"""What every front end's source has to be, whatever it draws."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from chroma_nb.widgets import assets

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = files("chroma_nb.widgets") / "static"
STATIC = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir() if path.name.endswith((".js", ".css"))}
FRONTS = sorted(name.removesuffix(".js") for name, text in STATIC.items() if "export default" in text)
FORBIDDEN = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|"
    r"fetch\(|XMLHttpRequest|WebSocket|importScripts|\bimport\("
)
ADDRESS = r"""["'(]\s*(?:https?:)?//"""
NAMESPACE = '"http://www.w3.org/2000/svg"'


@pytest.mark.parametrize("front", FRONTS)
def test_a_front_end_is_one_module_that_parses(front: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine")
    text = assets.module(front)
    assert 'from "./' not in text
    file = tmp_path / f"{front}.mjs"
    file.write_text(text, "utf-8")
    # Neighbours share one scope once they are joined: a name that two of them declare is an error here.
    checked = subprocess.run([node, "--check", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr[-2000:]


@pytest.mark.parametrize("name", sorted(STATIC))
def test_pages_make_no_markup_of_text_run_no_text_and_fetch_nothing(name: str) -> None:
    text = STATIC[name].replace(NAMESPACE, "")
    assert re.findall(FORBIDDEN, text) == []
    assert re.findall(ADDRESS, text) == []


def test_every_front_end_has_a_style() -> None:
    assert {"map", "table", "detail", "builder", "selection", "tabs"} <= set(FRONTS)
    for front in FRONTS:
        assert f".cnb-{front}" in assets.style(front)
