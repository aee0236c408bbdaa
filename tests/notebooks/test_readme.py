"""What README and CONTRIBUTING say is true: code runs and prints what is written below it, links and names lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_code_of_the_readme_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = list(BLOCK.finditer(page("README.md")))
    assert len(blocks) >= 4
    names: dict[str, Any] = {}
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], "README.md", "exec"), names)
        assert printed.getvalue().split() == (block["output"] or "").split(), block["code"]
    assert names["figure"].data
    assert names["coordinates"].shape == (3, 3)
    names["client"].close()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    targets = [link["target"] for link in LINK.finditer(page(name))]
    assert targets
    for target in targets:
        file, _, anchor = target.partition("#")
        assert "://" not in target, f"{target}: pages link to files of this repository only"
        path = ROOT / (file or name)
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text("utf-8")), target


def test_every_part_of_the_package_is_on_the_map() -> None:
    named = set(re.findall(r"`([\w./]+)`", page("CONTRIBUTING.md")))
    parts = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "chroma_nb").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert {"errors.py", "engine/"} <= parts
    assert parts <= named


def test_the_make_targets_exist() -> None:
    defined = set(re.findall(r"^(\w+):.*##", page("Makefile"), re.MULTILINE))
    for name in PAGES:
        assert set(re.findall(r"\bmake ([a-z]+)\b +(?:#|runs)|`make ([a-z]+)`", page(name))), name
        mentioned = {first or second for first, second in re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", page(name), re.MULTILINE)}
        assert mentioned <= defined, name
