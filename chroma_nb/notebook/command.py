"""The line behind ``%chroma``: into words, words into a command with options.

Must not live here: what commands do (`chroma_nb.notebook.magics`, which calls this).
"""

from __future__ import annotations

import argparse
import ast
import json
import keyword
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from chroma_nb.errors import InvalidArgumentError, did_you_mean

_CLOSING: Final = {"{": "}", "[": "]", "(": ")"}
_QUOTES: Final = "'\""


class HelpAskedError(Exception):
    """Not a command but a question about one; the text is the answer."""


class _Parser(argparse.ArgumentParser):
    """A parser that neither prints nor ends the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidArgumentError(f"{message}; see '{self.prog} --help'")

    def print_help(self, file: Any = None) -> NoReturn:
        del file
        raise HelpAskedError(self.format_help())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words behind ``%chroma``; it raises `InvalidArgumentError` and `HelpAskedError`."""
    whole = _Parser(
        prog="%chroma",
        description="Work with a store of collections without leaving the notebook. What a command answers is shown, and is in _ .",
        epilog="'%chroma COMMAND --help' tells more. '%%chroma query' takes the question from the lines below it.",
    )
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    use = commands.add_parser(
        "use",
        help="choose a store, a collection, or both: %%chroma use ./store docs",
        description="Choose what the other commands work on. Without any, tell what is chosen.",
    )
    use.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help="a store (a folder such as ./store, :memory:, a server's URL, or a client's variable), then or instead a collection",
    )
    use.add_argument("--headers", metavar="VARIABLE", help="a variable that holds the headers a server wants")
    use.add_argument("--read-only", action="store_true", help="open a folder for reading only")

    commands.add_parser("ls", help="list the collections", description="List the collections of the store.").add_argument(
        *_OUT, **_OUT_SAYS
    )

    peek = commands.add_parser("peek", help="show the first records", description="Show the first records of a collection.")
    _add_collection(peek)
    peek.add_argument("-n", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    peek.add_argument(*_OUT, **_OUT_SAYS)

    describe = commands.add_parser("describe", help="tell what a collection holds", description="Tell what a collection holds.")
    _add_collection(describe)
    describe.add_argument(*_OUT, **_OUT_SAYS)

    query = commands.add_parser(
        "query",
        help="ask a question: %%chroma query -n 5 how do cats sleep",
        description="Return the records nearest to a question. As %%chroma query, the question is the lines below.",
    )
    query.add_argument("text", nargs="*", metavar="WORD", help="the question")
    query.add_argument("-n", type=int, default=10, metavar="N", help="results at most (default: %(default)s)")
    query.add_argument("-i", "--in", dest="collection", metavar="COLLECTION", help="another collection than the chosen one")
    query.add_argument("--where", metavar="FILTER", help="""on metadata: {"year": {"$gt": 2000}}, or a variable that holds a filter""")
    query.add_argument("--where-document", metavar="FILTER", help="""on documents: {"$contains": "cat"}, or a variable""")
    query.add_argument("--like", metavar="ID", action="append", help="records like this one, in place of a question; may be repeated")
    query.add_argument(*_OUT, **_OUT_SAYS)

    serve = commands.add_parser("serve", help="serve the store over HTTP", description="Serve the store to every Chroma client.")
    serve.add_argument("--host", help="address to listen on, besides what Jupyter forwards")
    serve.add_argument("--port", type=int, help="port to listen on, besides what Jupyter forwards; 0 takes a free one")
    serve.add_argument("--read-only", action="store_true", help="refuse writes")
    serve.add_argument("--allow-reset", action="store_true", help="let clients delete everything at once")

    commands.add_parser("stop", help="stop serving", description="Stop the server that '%chroma serve' started last.")
    return whole


_OUT: Final = ("-o", "--out")
_OUT_SAYS: Final[dict[str, Any]] = {"metavar": "NAME", "help": "keep the answer in this variable"}


def _add_collection(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "collection", nargs="?", metavar="COLLECTION", help="its name, or a variable that holds it; by default the chosen one"
    )


def commands_of(whole: argparse.ArgumentParser) -> list[str]:
    """Return the names of the commands in the order of the help."""
    return [name for action in whole._actions if isinstance(action.choices, dict) for name in action.choices]


def parse(whole: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Return the command in a line.

    Raises
    ------
    InvalidArgumentError
        There is no such command or option, or something is wrong with one.
    HelpAskedError
        Help was asked for.
    """
    given = words(line)
    known = commands_of(whole)
    if not given:
        raise HelpAskedError(whole.format_help())
    if not given[0].startswith("-") and given[0] not in known:
        offered = did_you_mean(given[0], known) or f" There are {', '.join(known)}."
        raise InvalidArgumentError(f"%chroma {given[0][:40]}: no such command.{offered}")
    asked = whole.parse_args(given)
    name = getattr(asked, "out", None)
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise InvalidArgumentError(f"--out {name[:40]}: expected the name of a variable")
    return asked


def words(line: str) -> list[str]:
    r"""Split a line at its spaces, but not within quotes or brackets that a word begins with.

    Backslashes mean nothing outside of brackets, so that paths of Windows stay whole; an apostrophe within a word is one.

    Raises
    ------
    InvalidArgumentError
        A quote or a bracket is never closed.

    Examples
    --------
    >>> words('query -n 5 what\'s new --where {"year": {"$gt": 2000}}')
    ['query', '-n', '5', "what's", 'new', '--where', '{"year": {"$gt": 2000}}']
    >>> words("use 'my store' docs")
    ['use', 'my store', 'docs']
    """
    found, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        option = line[at:].partition("=")[0] + "="
        # --where={...} is one word as well.
        head = option if option.startswith("--") and not any(map(str.isspace, option)) and line.startswith(option, at) else ""
        at += len(head)
        first = line[at : at + 1]
        if first and first in _QUOTES:
            end = _after_quote(line, at)
            found.append(head + line[at + 1 : end - 1])
        elif first in _CLOSING:
            end = _after_bracket(line, at)
            found.append(head + line[at:end])
        else:
            end = at
            while end < len(line) and not line[end].isspace():
                end += 1
            found.append(head + line[at:end])
        at = end
    return found


def _after_quote(line: str, start: int, *, escapes: bool = False) -> int:
    at = start + 1
    while at < len(line):
        if line[at] == line[start]:
            return at + 1
        at += 2 if escapes and line[at] == "\\" else 1
    raise InvalidArgumentError(f"the quote in {line[start : start + 40]!r} is never closed")


def _after_bracket(line: str, start: int) -> int:
    waiting: list[str] = []
    at = start
    while at < len(line):
        sign = line[at]
        if sign in _QUOTES:
            at = _after_quote(line, at, escapes=True)
            continue
        if sign in _CLOSING:
            waiting.append(_CLOSING[sign])
        elif waiting and sign == waiting[-1]:
            waiting.pop()
        at += 1
        if not waiting:
            return at
    raise InvalidArgumentError(f"the bracket in {line[start : start + 40]!r} is never closed")


def filter_of(text: str | None, option: str, variables: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the filter that an option gives: as a dict of Python or JSON, or by the name of a variable.

    Raises
    ------
    InvalidArgumentError
        It is none.

    Examples
    --------
    >>> filter_of('{"seen": true}', "--where", {}), filter_of("recent", "--where", {"recent": {"year": 2024}})
    ({'seen': True}, {'year': 2024})
    """
    if text is None:
        return None
    if text.isidentifier():
        if text not in variables:
            raise InvalidArgumentError(f"{option} {text}: there is no such variable; give a filter such as {{'year': 2024}}")
        found = variables[text]
    else:
        found = _literal(text)
    if not isinstance(found, Mapping):
        raise InvalidArgumentError(f"{option} {text[:80]}: expected a filter such as {{'year': 2024}}, or a variable that holds one")
    return found


def _literal(text: str) -> Any:
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None
