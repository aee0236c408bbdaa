"""Filters and other plain values as text in Python's notation, and back: what is shown as code, and what users paste.

Text is only ever read as literals, never run. Must not live here: whole programs (`code`). Called by the query builder and its rows.
"""

from __future__ import annotations

import ast
import datetime as dt
import pprint
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import orjson

from chroma_nb.errors import ChromaError, InvalidArgumentError
from chroma_nb.filters import ON_DOCUMENTS, Filter, Rules, both, parse_filter, parse_where, parse_where_document
from chroma_nb.http.wire import thawed
from chroma_nb.scalars import INT_MAX, INT_MIN, Instant, scalar_of, zone_of

WIDTH: Final = 110
"""Characters of a line of code."""


class _Code(str):
    """Source text that is its own repr, so that `pprint` puts it where the value stood."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def written(value: object) -> str:
    """Return Python source of `value`: dicts, lists, tuples, texts, numbers, bools, None and instants, over several lines if need be.

    Instants become ``pd.Timestamp(...)``, or ``Instant(...)`` in the few hours that pandas cannot name.

    Raises
    ------
    InvalidArgumentError
        It is nested more deeply than Python reads.

    Examples
    --------
    >>> written({"year": {"$gte": 2000}})
    "{'year': {'$gte': 2000}}"
    >>> written([Instant(0, "UTC")])
    "[pd.Timestamp('1970-01-01T00:00:00', tz='UTC')]"
    """
    try:
        return pprint.pformat(_spelled(value), width=WIDTH, sort_dicts=False)
    except RecursionError:
        raise InvalidArgumentError("the filter is nested too deeply to be written as code; put its clauses into fewer lists") from None


def imports_for(source: str) -> list[str]:
    """Return the import lines that source made by `written` needs."""
    wanted = {"pd.Timestamp(": "import pandas as pd", "Instant(": "from chroma_nb.scalars import Instant"}
    return [line for call, line in wanted.items() if call in source]


def _spelled(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _spelled(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_spelled(inner) for inner in value)
    return _Code(_moment(value)) if isinstance(value, Instant) else value


def _moment(value: Instant) -> str:
    import pandas as pd

    wall = Instant(value.ns).iso()
    try:
        if value.zone is None:
            text = f"pd.Timestamp({wall!r})"
            same = scalar_of(pd.Timestamp(wall), "") == value
        else:
            # From UTC, since a wall clock shows some hours of the year twice.
            zone = "" if value.zone == "UTC" else f".tz_convert({value.zone!r})"
            text = f"pd.Timestamp({wall!r}, tz='UTC'){zone}"
            stamp = pd.Timestamp(wall, tz="UTC")
            same = scalar_of(stamp.tz_convert(value.zone) if zone else stamp, "") == value
    except (ValueError, OverflowError, ChromaError):
        same, text = False, ""
    return text if same else f"Instant({value.ns}, {value.zone!r})"


def filter_in(text: str, rules: Rules) -> Filter:
    """Read a filter that someone pasted: a dict in Python's or JSON's notation, or assignments to ``where`` and ``where_document``.

    Raises
    ------
    InvalidArgumentError
        It is none, or no filter.

    Examples
    --------
    >>> from chroma_nb.filters import GUIDE
    >>> filter_in('{"year": {"$gte": 2000}}', GUIDE)
    Compare(key='year', op='$gte', value=2000, missing=False)
    >>> filter_in("where = {'open': True}", GUIDE) == filter_in('{"open": true}', GUIDE)
    True
    """
    given = value_in(text)
    if isinstance(given, _Assigned):
        return parse_filter(given.get("where"), given.get("where_document"), rules)
    if isinstance(given, Mapping) and next(iter(given), None) in ON_DOCUMENTS:
        return parse_where_document(given, rules)
    try:
        return both(parse_where(given, rules))
    except InvalidArgumentError:
        try:
            return parse_where_document(given, rules)
        except InvalidArgumentError:
            pass
        raise


def value_in(text: str) -> object:
    """Read one value in JSON's or Python's notation.

    Raises
    ------
    InvalidArgumentError
        It is neither.

    Examples
    --------
    >>> value_in("[1, 2.5, true]"), value_in("{'a': None}")
    ([1, 2.5, True], {'a': None})
    """
    try:
        return thawed(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        json_fault = error
    except UnicodeEncodeError:
        raise InvalidArgumentError("the text has a lone surrogate, which is no valid Unicode") from None
    try:
        return _python_value(text)
    except SyntaxError as error:
        faults = f"as Python: {error.msg}, line {error.lineno}; as JSON: {json_fault.msg}, line {json_fault.lineno}"
        raise InvalidArgumentError(f"expected a dict in Python's or JSON's notation ({faults})") from None
    except (RecursionError, MemoryError):
        raise InvalidArgumentError("nested too deeply to be read") from None
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        if isinstance(error, ChromaError):
            raise
        message = "expected a literal such as {'year': {'$gte': 2000}}; names and calculations are not read"
        raise InvalidArgumentError(f"{message} ({str(error)[:120]})") from None


class _Assigned(dict[str, Any]):
    """What assignments in a pasted text said, by name."""


def _python_value(text: str) -> object:
    lines = ast.parse(text.strip()).body
    lines = [line for line in lines if not isinstance(line, (ast.Import, ast.ImportFrom))]
    if lines and all(isinstance(line, ast.Assign) for line in lines):
        return _Assigned({_name(line): _literal(line.value) for line in lines if isinstance(line, ast.Assign)})
    if len(lines) != 1 or not isinstance(lines[0], ast.Expr):
        raise ValueError("expected one dict, or where = ... and where_document = ...")
    return _literal(lines[0].value)


def _name(line: ast.Assign) -> str:
    target = line.targets[0]
    if len(line.targets) != 1 or not isinstance(target, ast.Name) or target.id not in {"where", "where_document"}:
        raise ValueError("only where and where_document are read")
    return target.id


def _literal(node: ast.expr) -> object:
    return thawed(ast.literal_eval(_Moments().visit(node)))


class _Moments(ast.NodeTransformer):
    """Puts the instants into the tree that `written`, or a hand, has spelled as calls; their arguments are literals."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        made = _made(node)
        if isinstance(made, (Instant, dt.datetime, np.datetime64)):
            return ast.copy_location(ast.Constant(scalar_of(made, "datetime")), node)  # type: ignore[arg-type]
        raise ValueError(f"{ast.unparse(node.func)[:60]} is not among the calls that are read")


def _made(node: ast.expr) -> object:
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    arguments = [ast.literal_eval(argument) for argument in node.args]
    named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    if name == "tz_convert" and isinstance(node.func, ast.Attribute):
        moment = _made(node.func.value)
        return moment.tz_convert(*arguments, **named) if hasattr(moment, "tz_convert") else None
    maker = _MAKERS.get(name)
    return maker(*arguments, **named) if maker else None


def _timestamp(*arguments: Any, **named: Any) -> object:
    import pandas as pd

    return pd.Timestamp(*arguments, **named)


def _instant(ns: object, zone: object = None) -> Instant:
    if type(ns) is not int or not INT_MIN < ns <= INT_MAX or not isinstance(zone, (str, type(None))):
        raise InvalidArgumentError("Instant: expected nanoseconds since 1970 and the name of a time zone, or None")
    if zone is not None:
        zone_of(zone)
    return Instant(ns, zone)


_MAKERS: Final[Mapping[str, Callable[..., object]]] = {
    "Timestamp": _timestamp,
    "Instant": _instant,
    "datetime": dt.datetime,
    "datetime64": np.datetime64,
}
