"""Who may import whom, as rules over the source text of the package.

``LAYERS`` is the architecture: a module imports from its own part and from lower layers, never from a higher one and never
from another part of its own layer. It counts wherever the import stands: inside a function and under TYPE_CHECKING too.
The other rules say which third-party packages a part may touch, and what nobody may do. The checker is tested on made-up
sources, so that a rule that has stopped biting is noticed.
"""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = "chroma_nb"

LAYERS: tuple[dict[str, set[str]], ...] = (
    {"ground": {"errors", "_version", "optional", "stopping"}},
    {
        "values": {
            "configuration",
            "dialect",
            "filters",
            "frames",
            "html",
            "names",
            "ops",
            "progress",
            "records",
            "results",
            "scalars",
            "spaces",
            "stepping",
        },
    },
    {"engine": {"engine"}, "embedding": {"embedding"}, "viz": {"viz"}, "http": {"http"}, "jupyter": {"jupyter"}, "postgres": {"postgres"}},
    {"widgets": {"widgets"}},
    {"client": {"client"}},
    {"wiring": {"factories", "publishing"}},
    {"chromadb": {"chromadb"}, "notebook": {"notebook"}, "cli": {"__main__", "cli"}},
    {"package": {""}},
)
"""From the bottom up: part of the architecture -> the modules and packages directly under chroma_nb that make it up ("" is the top)."""

HEAVY = {"httpx", "ipywidgets", "pandas", "plotly", "sentence_transformers", "sklearn", "starlette", "torch", "tqdm", "umap", "uvicorn"}
"""Never imported at module level: ``import chroma_nb`` stays quick, and a feature that is not used need not be installed."""

UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"__import__", "compile", "eval", "exec"}
UNSAFE_METHODS = {"read_pickle", "to_pickle"}

CONFINED = {"hnswlib": f"{PACKAGE}.engine.graph", "sqlite3": f"{PACKAGE}.engine"}
"""Package -> the only module, or package with all its modules, that may import it."""

FRAMES = {"pandas", "polars", "pyarrow"}
ALLOWED = {
    "ground": set[str](),
    "values": {"numpy", "orjson", "regex", "typing_extensions"},
    "extension": {"chroma_nb_extension", "jupyter_server", "tornado", "traitlets"},
}
"""Part -> the third-party packages it may import; a part that is not here may import what `DENIED` does not name."""

MAY_LOAD = {"widgets": {"ipywidgets"}}
"""Part -> the heavy packages that it imports at module level, since nothing of it works without them."""

ALSO_ALLOWED = {f"{PACKAGE}.frames": FRAMES, f"{PACKAGE}.progress": {"ipywidgets", "tqdm"}}
DENIED = {
    "engine": FRAMES | HEAVY | {"IPython", "anywidget", "ipykernel", "jupyter_server", "tornado"},
    "embedding": FRAMES | {"IPython", "anywidget", "ipywidgets", "jupyter_server", "plotly"},
}


class Import(NamedTuple):
    """One import as it stands in a source."""

    target: str
    line: int
    kind: str
    """When it happens: "load" (with the module), "use" (inside a function) or "typing" (never)."""


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, its text, whether it is a package's ``__init__``."""

    name: str
    text: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


def read(folder: Path, prefix: str) -> list[Source]:
    """Read every module below a folder; `prefix` is the dotted name of the folder."""
    sources = []
    for path in sorted(folder.rglob("*.py")):
        parts = [prefix, *path.relative_to(folder).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        sources.append(Source(".".join(parts[:-1] if is_package else parts), path.read_text("utf-8"), is_package))
    return sources


def imports(source: Source, modules: Iterable[str]) -> Iterator[Import]:
    """Find what a module imports; `modules` are the known names that tell a submodule from an attribute."""
    known = set(modules)

    def visit(node: ast.AST, kind: str) -> Iterator[Import]:
        match node:
            case ast.Import(names):
                yield from (Import(alias.name, node.lineno, kind) for alias in names)
            case ast.ImportFrom(module, names, level):
                base = module or ""
                if level:
                    package = source.name.split(".") if source.is_package else source.name.split(".")[:-1]
                    base = ".".join([*package[: len(package) - level + 1], *([module] if module else [])])
                for alias in names:
                    below = f"{base}.{alias.name}"
                    yield Import(below if below in known else base, node.lineno, kind)
            case ast.Call(
                ast.Name("need") | ast.Name("import_module") | ast.Attribute(_, "need" | "import_module"), [ast.Constant(str(target)), *_]
            ):
                yield Import(target, node.lineno, kind)
            case ast.If(ast.Name("TYPE_CHECKING") | ast.Attribute(_, "TYPE_CHECKING"), body, orelse):
                yield from (found for child in body for found in visit(child, "typing"))
                yield from (found for child in orelse for found in visit(child, kind))
                return
        inner = "use" if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and kind == "load" else kind
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inner)

    yield from visit(source.tree, "load")


def place(module: str) -> tuple[int, str] | None:
    """Return layer number and part of a module of the package; None when the architecture does not know it."""
    head = module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]
    for number, parts in enumerate(LAYERS):
        for part, heads in parts.items():
            if head in heads:
                return number, part
    return None


def faults(sources: Iterable[Source]) -> list[str]:
    """Return every breach of the rules in the given modules, as ``module:line: what is wrong``."""
    sources = list(sources)
    modules = {source.name for source in sources}
    found = []
    for source in sources:
        found += [
            f"{source.name}:{line}: {text}" for line, text in (*directions(source, modules), *packages(source, modules), *deeds(source))
        ]
    return found + cycles(sources)


def directions(source: Source, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Find imports that go up or sideways."""
    here = place(source.name)
    if not source.name.startswith(PACKAGE):
        yield from ((found.line, f"imports {found.target}") for found in imports(source, modules) if within(found.target, PACKAGE))
        return
    if here is None:
        yield 1, "stands in no layer; give it one in LAYERS"
        return
    for found in imports(source, modules):
        if not within(found.target, PACKAGE):
            continue
        there = place(found.target)
        if there is None:
            yield found.line, f"imports {found.target}, which stands in no layer"
        elif there != here and there[0] >= here[0]:
            yield found.line, f"imports {found.target}: {here[1]} may not know {there[1]}"


def packages(source: Source, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Find third-party imports where they do not belong."""
    spot = place(source.name) if source.name.startswith(PACKAGE) else (0, "extension")
    part = spot[1] if spot else ""
    for target, line, kind in imports(source, modules):
        top = target.partition(".")[0]
        if top in UNSAFE_MODULES:
            yield line, f"imports {top}, which runs code from data"
        if top in CONFINED and not within(source.name, CONFINED[top]):
            yield line, f"imports {top}, which only {CONFINED[top]} may"
        if kind == "typing":
            continue
        if top in HEAVY - MAY_LOAD.get(part, set()) and kind == "load":
            yield line, f"imports {top} at module level"
        foreign = top not in sys.stdlib_module_names and top != PACKAGE
        if foreign and part in ALLOWED and top not in ALLOWED[part] | ALSO_ALLOWED.get(source.name, set()):
            yield line, f"imports {top}, which {part} may not"
        if top in DENIED.get(part, set()):
            yield line, f"imports {top}, which {part} may not"


def deeds(source: Source) -> Iterator[tuple[int, str]]:
    """Find calls that run code from data, and imports whose name is not written in the source."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(name) if name in UNSAFE_CALLS:
                yield node.lineno, f"calls {name}"
            case ast.Attribute(ast.Name("builtins"), name) if name in UNSAFE_CALLS:
                yield node.lineno, f"calls {name}"
            case ast.Attribute(ast.Name("yaml"), "load" | "unsafe_load" | "full_load"):
                yield node.lineno, "calls yaml.load"
            case ast.Attribute(_, name) if name in UNSAFE_METHODS:
                yield node.lineno, f"calls {name}"
            case ast.Name("import_module") | ast.Attribute(_, "import_module") if source.name != f"{PACKAGE}.optional":
                if not (node.args and isinstance(node.args[0], ast.Constant)):
                    yield node.lineno, "imports a module whose name is not written here"
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
                yield node.lineno, "allows pickle"


def cycles(sources: Iterable[Source]) -> list[str]:
    """Find a circle of imports that happen at load; which module of it is imported first would decide whether it works."""
    sources = list(sources)
    modules = {source.name for source in sources}
    graph = {
        source.name: {
            found.target
            for found in imports(source, modules)
            if found.kind == "load" and found.target in modules and found.target != source.name
        }
        for source in sources
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [f"{' -> '.join(reversed(error.args[1]))}: a circle of imports"]
    return []


def within(module: str, package: str) -> bool:
    """Tell whether a dotted name is the given one or below it."""
    return module == package or module.startswith(f"{package}.")


def test_the_package_keeps_the_rules() -> None:
    sources = read(ROOT / PACKAGE, PACKAGE)
    assert {f"{PACKAGE}.errors", f"{PACKAGE}.engine.graph"} <= {source.name for source in sources}
    assert faults(sources) == []


def test_the_server_extension_does_not_import_the_package() -> None:
    assert faults(read(ROOT / "extension", "extension")) == []


OTHERS = [Source(f"{PACKAGE}.{name}", "") for name in ("errors", "records", "engine", "engine.graph", "viz", "client", "notebook")]


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("errors", "from chroma_nb.records import Records", "imports chroma_nb.records: ground may not know values"),
        ("errors", "from chroma_nb import records", "imports chroma_nb.records: ground may not know values"),
        ("errors", "import chroma_nb.records", "imports chroma_nb.records: ground may not know values"),
        ("records", "def f():\n    from chroma_nb.engine import graph", "imports chroma_nb.engine.graph: values may not know engine"),
        ("records", "if TYPE_CHECKING:\n    from .client import Client", "imports chroma_nb.client: values may not know client"),
        ("engine.store", "from chroma_nb.viz import project", "imports chroma_nb.viz: engine may not know viz"),
        ("engine.store", "from ..notebook import explore", "imports chroma_nb.notebook: engine may not know notebook"),
        ("engine.store", "from .. import viz", "imports chroma_nb.viz: engine may not know viz"),
        ("engine.store", "import_module('chroma_nb.viz')", "imports chroma_nb.viz: engine may not know viz"),
        ("client", "from chroma_nb import PersistentClient", "imports chroma_nb: client may not know package"),
        ("cli", "import chroma_nb.notebook", "imports chroma_nb.notebook: cli may not know notebook"),
        ("stray", "", "stands in no layer"),
        ("client", "import chroma_nb.stray", "imports chroma_nb.stray, which stands in no layer"),
        ("engine.store", "import hnswlib", "imports hnswlib, which only chroma_nb.engine.graph may"),
        ("client", "def f():\n    need('hnswlib', 'search')", "imports hnswlib, which only chroma_nb.engine.graph may"),
        ("client", "import sqlite3", "imports sqlite3, which only chroma_nb.engine may"),
        ("engine.store", "def f():\n    import pandas as pd", "imports pandas, which engine may not"),
        ("engine.store", "def f():\n    need('plotly.graph_objects', 'maps')", "imports plotly, which engine may not"),
        ("engine.store", "from IPython.display import HTML", "imports IPython, which engine may not"),
        ("records", "def f():\n    import pandas", "imports pandas, which values may not"),
        ("frames", "import pandas", "imports pandas at module level"),
        ("frames", "def f():\n    import scipy", "imports scipy, which values may not"),
        ("viz.figure", "import plotly.graph_objects as go", "imports plotly at module level"),
        ("viz.figure", "try:\n    import umap\nexcept ImportError:\n    umap = None", "imports umap at module level"),
        ("viz.figure", "class Figure:\n    from sklearn import decomposition", "imports sklearn at module level"),
        ("viz.figure", "umap = need('umap', 'maps')", "imports umap at module level"),
        ("viz.figure", "import ipywidgets", "imports ipywidgets at module level"),
        ("widgets.map", "import pandas", "imports pandas at module level"),
        ("widgets.map", "from chroma_nb.client import Client", "imports chroma_nb.client: widgets may not know client"),
        ("viz.figure", "if not TYPE_CHECKING:\n    import torch", "imports torch at module level"),
        ("viz.figure", "if TYPE_CHECKING:\n    import umap\nelse:\n    import torch", "imports torch at module level"),
        ("engine.store", "def f():\n    import pickle", "imports pickle, which runs code from data"),
        ("engine.store", "from joblib import load", "imports joblib, which runs code from data"),
        ("engine.store", "eval('1')", "calls eval"),
        ("engine.store", "builtins.exec('1')", "calls exec"),
        ("engine.store", "yaml.load(text)", "calls yaml.load"),
        ("engine.store", "np.load(path, allow_pickle=True)", "allows pickle"),
        ("engine.store", "importlib.import_module(name)", "imports a module whose name is not written here"),
    ],
)
def test_a_breach_is_found(module: str, text: str, fault: str) -> None:
    name = f"{PACKAGE}.{module}"
    others = [source for source in OTHERS if source.name != name]
    found = [line for line in faults([*others, Source(name, text)]) if line.startswith(f"{name}:")]
    assert len(found) == 1, found
    assert fault in found[0]
    assert re.match(rf"{re.escape(name)}:\d+: ", found[0])


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("records", "import numpy as np\nfrom chroma_nb.errors import ChromaError\nfrom chroma_nb import errors"),
        ("frames", "def f():\n    pandas = need('pandas', 'frames')\n    import polars"),
        ("engine.graph", "import hnswlib\nimport sqlite3\nfrom chroma_nb.engine import store\nimport re\nre.compile('x')"),
        ("viz.figure", "if TYPE_CHECKING:\n    import plotly\n\ndef f():\n    import plotly\n    model.eval()"),
        ("client", "from chroma_nb.engine import graph\nfrom chroma_nb.viz import project\nnp.load(path, allow_pickle=False)"),
        ("notebook", "from chroma_nb.client import Client"),
        ("widgets.map", "import ipywidgets\nfrom chroma_nb.viz import figure"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module: str, text: str) -> None:
    name = f"{PACKAGE}.{module}"
    assert faults([*(source for source in OTHERS if source.name != name), Source(name, text)]) == []


def test_a_circle_is_found() -> None:
    one, two = Source(f"{PACKAGE}.records", "import chroma_nb.results"), Source(f"{PACKAGE}.results", "import chroma_nb.records")
    assert len(faults([one, two])) == 1
    assert "a circle of imports" in faults([one, two])[0]
    assert faults([one, Source(two.name, "def f():\n    import chroma_nb.records")]) == []


def test_an_extension_that_imports_the_package_is_found() -> None:
    assert faults([Source("extension.app", "from chroma_nb import errors")]) == ["extension.app:1: imports chroma_nb"]
    assert faults([Source("extension.app", "def f():\n    import numpy")]) == ["extension.app:2: imports numpy, which extension may not"]
