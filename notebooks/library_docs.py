"""The documentation of Python's standard library, numpy and pandas, as a data frame: real input for the quickstart.

What is gathered are the docstrings of the packages that are installed, so nothing is downloaded and another machine's frame
differs where its versions do. Modules are imported to read them: silently, and without those that act when imported. Knows
nothing of chroma_nb; called by the notebook.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import itertools
import pkgutil
import platform
import re
import sys
import types
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

SHORTEST = 40
"""Characters of prose a docstring needs to say something worth finding."""

DOCUMENT_LENGTH = 300
"""Most characters of a document: the name and the first paragraphs, which say what a thing is for."""

NUMPY = (
    *("numpy", "numpy.linalg", "numpy.fft", "numpy.random", "numpy.polynomial", "numpy.strings", "numpy.ma", "numpy.char", "numpy.rec"),
    *("numpy.emath", "numpy.exceptions", "numpy.dtypes", "numpy.ctypeslib", "numpy.typing", "numpy.lib"),
    *("numpy.lib.array_utils", "numpy.lib.format", "numpy.lib.introspect", "numpy.lib.mixins", "numpy.lib.stride_tricks"),
    *("numpy.polynomial.polyutils", "numpy.polynomial.polynomial", "numpy.polynomial.chebyshev", "numpy.polynomial.legendre"),
    *("numpy.polynomial.hermite", "numpy.polynomial.hermite_e", "numpy.polynomial.laguerre"),
)
PANDAS = (
    *("pandas", "pandas.api.extensions", "pandas.api.indexers", "pandas.api.interchange", "pandas.api.types", "pandas.api.typing"),
    *("pandas.arrays", "pandas.errors", "pandas.io.formats.style", "pandas.io.json", "pandas.plotting", "pandas.testing"),
    *("pandas.tseries.frequencies", "pandas.tseries.holiday", "pandas.tseries.offsets"),
)
"""The modules their documentation lists; what else can be imported is not meant for users."""

LEFT_OUT = {
    *("antigravity", "this", "rlcompleter", "idlelib", "turtledemo", "tkinter", "turtle", "test", "tests", "site", "sitecustomize"),
    *("usercustomize", "distutils", "ensurepip", "lib2to3", "encodings", "pydoc_data", "xxlimited", "xxlimited_35", "xxsubtype", "nt"),
    *("macholib", "posix", "posixpath", "ntpath", "nturl2path", "genericpath", "sre_compile", "sre_constants", "sre_parse"),
    *("bdb", "dummy", "expatbuilder", "minidom", "pulldom", "reduction", "tabnanny", "readline", "curses", "pdb", "imaplib", "optparse"),
    *("wsgiref", "xmlrpc", "doctest", "pydoc", "pickletools", "symtable", "pyclbr", "modulefinder", "trace", "profile", "pstats", "dis"),
    *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "imp", "mailcap", "msilib", "nis", "nntplib"),
    *("ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
}
"""Parts of the standard library that open, print or patch something when imported, need a display, implement another part, serve
those who build tools, or are gone from newer versions."""

BEST_KNOWN = {"pandas.DataFrame", "pandas.Series"}
"""Classes whose names go first where several have the same method."""

REFERRALS = ("Scalar method identical to", "Alias for field number", "Partial function of", "The type of the None singleton")
"""How docstrings begin that only point elsewhere."""

HEADING = re.compile(r" (-{3,}|={3,})( |$)")
"""A word with a line below it, as in numpy's docstrings, once the lines are joined."""


@dataclass(frozen=True)
class Entry:
    """Something with a docstring, under the name users know it by."""

    id: str
    module: str
    kind: str
    thing: Any
    docstring: str

    @cached_property
    def parameters(self) -> list[str] | None:
        """Names of the parameters; None where there are none, or Python cannot tell."""
        try:
            names = list(inspect.signature(self.thing).parameters)
        except (ValueError, TypeError, AttributeError, NameError):
            return None
        return [name for name in names if name not in {"self", "cls"}] or None

    @cached_property
    def prose(self) -> str:
        """The paragraphs before the first heading; signatures only when there is nothing else."""
        paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", self.docstring)]
        told = list(itertools.takewhile(lambda part: not HEADING.search(part), paragraphs))
        return " ".join(part for part in told if not self._is_signature(part)) or " ".join(told)

    def document(self) -> str:
        """Return the name and the prose, cut at a word where the two are longer than `DOCUMENT_LENGTH`."""
        text = f"{self.id}: {self.prose}"
        return text if len(text) <= DOCUMENT_LENGTH else text[: DOCUMENT_LENGTH - 4].rsplit(" ", 1)[0] + " ..."

    def _is_signature(self, paragraph: str) -> bool:
        return re.match(rf"[\w.]*\b{re.escape(self.id.rpartition('.')[2])}\(", paragraph) is not None


def library_docs(limit: int | None = None) -> pd.DataFrame:
    """Return one row per documented module, class, exception, function, method and property.

    Parameters
    ----------
    limit : int, optional
        Take so many of them only, evenly spread.

    Returns
    -------
    DataFrame
        Index ``id``, such as "numpy.linalg.norm"; columns ``document`` (name and first paragraphs, at most 300 characters),
        ``library`` ("python", "numpy", "pandas"), ``module``, ``kind``, ``length`` (characters of the whole docstring),
        ``version`` (of the library) and ``parameters`` (list of names, None for none).
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        seen: set[str] = set()
        libraries = {
            "python": (platform.python_version(), entries(modules_of_python(), seen)),
            "numpy": (np.__version__, entries(NUMPY, seen)),
            "pandas": (pd.__version__, entries(PANDAS, seen)),
        }
        rows = [
            {"id": entry.id, "document": entry.document(), "library": library, "module": entry.module, "kind": entry.kind}
            | {"length": len(entry.docstring), "version": version, "parameters": entry.parameters}
            for library, (version, found) in libraries.items()
            for entry in found
        ]
    frame: pd.DataFrame = pd.DataFrame(rows).drop_duplicates("id").set_index("id")
    if limit is not None and limit < len(frame):
        frame = frame.iloc[np.linspace(0, len(frame) - 1, limit).astype(int)]
    return frame


def modules_of_python() -> Iterator[str]:
    """Yield the names of the standard library's public modules, packages before what is in them."""
    for name in ("builtins", "os.path", *sorted(sys.stdlib_module_names)):
        if is_public(name):
            yield name
            yield from submodules(name)


def submodules(package: str) -> Iterator[str]:
    """Yield the names of a package's public modules, at any depth."""
    for found in pkgutil.iter_modules(getattr(module_called(package), "__path__", [])):
        name = f"{package}.{found.name}"
        if is_public(name):
            yield name
            if found.ispkg:
                yield from submodules(name)


def is_public(module: str) -> bool:
    """Tell whether a module is meant for users and safe to import."""
    return not any(part.startswith("_") or part in LEFT_OUT for part in module.split("."))


def module_called(name: str) -> types.ModuleType | None:
    """Import a module; None where this platform or version does not have it."""
    try:
        return importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a module made for another platform may raise anything
        return None


def entries(modules: Iterable[str], seen: set[str]) -> Iterator[Entry]:
    """Yield what the modules document, each text once, under the first name it is found by; `seen` is what was found before."""
    names = list(modules)
    for name in names:
        module = module_called(name)
        if module is None:
            continue
        for entry in (entry_of(name, name, "module", module), *members(module, name, {"builtins", *names})):
            if entry is not None and entry.prose not in seen:
                seen.add(entry.prose)
                yield entry


def members(module: types.ModuleType, name: str, modules: set[str]) -> Iterator[Entry | None]:
    """Yield the public functions and classes of a module, then the methods and properties of the classes."""
    exported = getattr(module, "__all__", None)
    prefix = "" if name == "builtins" else f"{name}."
    classes = []
    for member in sorted(vars(module) if exported is None else exported):  # numpy's __all__ has another order in every process
        thing = getattr(module, member, None)
        if member.startswith("_") or isinstance(thing, types.ModuleType):
            continue
        if exported is None and getattr(thing, "__module__", name) not in {name, f"_{name}", None}:
            continue
        if isinstance(thing, type):
            classes.append((thing, f"{prefix}{member}"))
            yield entry_of(f"{prefix}{member}", name, "exception" if issubclass(thing, BaseException) else "class", thing)
        elif callable(thing) and hasattr(thing, "__name__"):
            yield entry_of(f"{prefix}{member}", name, "function", thing)
    for owner, its_name in sorted(classes, key=lambda pair: pair[1] not in BEST_KNOWN):
        yield from methods(owner, its_name, name, modules)


def methods(owner: type, name: str, module: str, modules: set[str]) -> Iterator[Entry | None]:
    """Yield a class's public methods and properties: its own, and those inherited from classes that are not listed themselves."""
    for member in dir(owner):
        if member.startswith("_"):
            continue
        home = next((base for base in owner.__mro__ if member in vars(base)), owner)
        if home is not owner and home.__module__ in modules:
            continue
        thing = inspect.getattr_static(owner, member)
        if isinstance(thing, property) or inspect.isgetsetdescriptor(thing) or type(thing).__name__ == "cached_property":
            yield entry_of(f"{name}.{member}", module, "property", thing)
        elif isinstance(thing, (classmethod, staticmethod)):
            yield entry_of(f"{name}.{member}", module, "method", thing.__func__)
        elif inspect.isroutine(thing):
            yield entry_of(f"{name}.{member}", module, "method", thing)
    for accessor in sorted(getattr(owner, "_accessors", ())):
        behind = getattr(owner, accessor, None)
        if isinstance(behind, type):
            yield from methods(behind, f"{name}.{accessor}", module, modules)


def entry_of(name: str, module: str, kind: str, thing: Any) -> Entry | None:
    """Return an entry, or None where there is no docstring to speak of."""
    docstring = getattr(thing, "__doc__", None)
    if not isinstance(docstring, str):
        return None
    entry = Entry(name, module, kind, thing, inspect.cleandoc(docstring).strip())
    return None if len(entry.prose) < SHORTEST or entry.docstring.startswith(REFERRALS) else entry
