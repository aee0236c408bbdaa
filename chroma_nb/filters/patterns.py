"""The regular expressions of ``$regex``: Python's own, bounded before they are compiled, and no search keeps others waiting.

Python's matcher can take years over a pattern such as ``(a|aa)+$`` and keeps every other thread waiting. The package `regex` lets others
run, and gives up when told to; but it expands counted repeats (``a{1000000}`` takes 270 MB), and reads much that is plain text to Python as
something else: ``a{e<=3}`` as an approximate match, ``[[:alpha:]]`` as a class. So Python's parser reads the pattern, and what is given to
`regex` is written anew from the tree, with nothing but what Python has, once the tree's size is known to be in bounds.

Python warns of patterns that a later version might read differently, such as ``[[a]``. They are valid, whoever wrote one may sit at the
other end of a connection, and where warnings are errors a search would fail: so they are taken as they are. Called by the parser, the
oracle and the engines.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from chroma_nb import stopping
from chroma_nb.errors import InvalidArgumentError

try:
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_parse as _parser

MAX_LENGTH: Final = 16_384
"""Characters of a pattern."""
MAX_SIZE: Final = 10_000
"""Parts of a pattern, one that must come n times counted n times. Each takes some 250 bytes."""
MAX_DOCUMENT: Final = 1 << 20
"""Characters of a document in which a pattern with open repeats (``*``, ``+``) is searched for: each may take 100 bytes meanwhile."""
_DEEPEST = 100
_REPEAT = 10
"""Parts that a repeat counts for: `regex` looks at the clock between its steps, and one takes longer the more repeats there are."""
_STRING = 100
"""Characters that may stand together: what `regex` prepares before it searches for n of them takes n³ steps."""
_PATIENCE = 1.0
"""Seconds that one document may take."""
_LOCK = threading.Lock()
_CLASSES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_PLACES = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
    "AT_END": "$",
    "AT_END_STRING": r"\Z",
}
_SUFFIXES = {"MAX_REPEAT": "", "MIN_REPEAT": "?", "POSSESSIVE_REPEAT": "+"}
_FLAGS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.UNICODE: "u"}


@dataclass(frozen=True)
class Pattern:
    """A pattern that was checked.

    Parameters
    ----------
    text
        As the package `regex` reads it.
    is_open
        Whether it has repeats without end: it may then run through a document many times.
    """

    text: str
    is_open: bool


@lru_cache(maxsize=64)
def checked_pattern(text: str) -> Pattern:
    """Parse a regular expression; never warns.

    Raises
    ------
    InvalidArgumentError
        It is not a regular expression, too deep, or too large.

    Examples
    --------
    >>> checked_pattern("h.l+")
    Pattern(text='h.(?:l)+', is_open=True)
    >>> checked_pattern("(a{100}){1000}")
    Traceback (most recent call last):
    ...
    chroma_nb.errors.InvalidArgumentError: the regular expression '(a{100}){1000}' has 112,010 parts when its repeats are counted, ...
    """
    shown = repr(text if len(text) <= 60 else f"{text[:57]}...")
    if len(text) > MAX_LENGTH:
        raise InvalidArgumentError(f"the regular expression {shown} has {len(text):,} characters; at most {MAX_LENGTH:,} are searched for")
    try:
        # The list of warning filters is the process's own: two threads that set it aside at once could restore it in the wrong order.
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parser.parse(text)
        writer = _Writer()
        body, size = writer.sequence(tree, 0)
    except re.error as error:
        at = "" if error.pos is None else f" at position {error.pos}"
        cure = "; use $contains, or re.escape(text), for literal text"
        raise InvalidArgumentError(f"not a regular expression: {error.msg}{at} of {shown}{cure}") from None
    except (RecursionError, OverflowError):
        raise InvalidArgumentError(f"the regular expression {shown} is too deep or too large; simplify it") from None
    if size > MAX_SIZE:
        message = f"has {size:,} parts when its repeats are counted, at most {MAX_SIZE:,} are searched for; make the counts smaller"
        raise InvalidArgumentError(f"the regular expression {shown} {message}")
    flags = _letters(tree.state.flags & ~re.UNICODE)
    return Pattern(f"(?{flags}){body}" if flags else body, writer.is_open)


def _letters(flags: int) -> str:
    return "".join(letter for flag, letter in _FLAGS.items() if flags & flag)


def _character(code: int) -> str:
    return chr(code) if code < 128 and chr(code).isalnum() else f"\\U{code:08x}"


class _Writer:
    """Writes a tree of Python's parser as text, and counts its parts as it goes."""

    def __init__(self) -> None:
        self.is_open = False
        self.literals = 0

    def sequence(self, tokens: Iterable[tuple[Any, Any]], depth: int) -> tuple[str, int]:
        if depth > _DEEPEST:
            raise RecursionError
        parts = [self.token(str(op), value, depth + 1) for op, value in tokens]
        return "".join(text for text, _ in parts), sum(size for _, size in parts)

    def token(self, op: str, value: Any, depth: int) -> tuple[str, int]:
        match op:
            case "LITERAL":
                self.literals += 1
                return (f"(?>{_character(value)})" if self.literals % _STRING == 0 else _character(value)), 1
            case "NOT_LITERAL":
                return f"[^{_character(value)}]", 1
            case "ANY":
                return ".", 1
            case "IN":
                return self.members(value), len(value)
            case "AT":
                return _PLACES[str(value)], 1
            case "FAILURE":
                return "(?!)", 1
            case "BRANCH":
                branches = [self.sequence(branch, depth) for branch in value[1]]
                return f"(?:{'|'.join(text for text, _ in branches)})", 1 + sum(size for _, size in branches)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, inner = value
                return self.repeat(op, least, most, *self.sequence(inner, depth))
            case "SUBPATTERN":
                group, added, removed, inner = value
                text, size = self.sequence(inner, depth)
                on, off = _letters(added), _letters(removed)
                return (f"(?{on}{'-' if off else ''}{off}:{text})" if group is None else f"({text})"), size + 2
            case "ATOMIC_GROUP":
                text, size = self.sequence(value, depth)
                return f"(?>{text})", size + 2
            case "ASSERT" | "ASSERT_NOT":
                direction, inner = value
                return self.look(op, direction, inner, depth)
            case "GROUPREF":
                return rf"\g<{value}>", 1
            case "GROUPREF_EXISTS":
                group, there, otherwise = value
                (yes, first), (no, second) = self.sequence(there, depth), self.sequence(otherwise or (), depth)
                return f"(?({group}){yes}|{no})", first + second + 2
        raise re.error(f"{op.lower()} is not supported")

    def members(self, items: list[tuple[Any, Any]]) -> str:
        written = []
        for op, value in items:
            match str(op):
                case "NEGATE":
                    written.append("^")
                case "LITERAL":
                    written.append(_character(value))
                case "RANGE":
                    written.append(f"{_character(value[0])}-{_character(value[1])}")
                case _:
                    written.append(_CLASSES[str(value)])
        return f"[{''.join(written)}]"

    def repeat(self, op: str, least: int, most: int, text: str, size: int) -> tuple[str, int]:
        endless = most == _parser.MAXREPEAT
        self.is_open = self.is_open or endless or most > MAX_SIZE
        counts = {(0, True): "*", (1, True): "+"}.get((least, endless)) or f"{{{least},{'' if endless else most}}}"
        return f"(?:{text}){counts}{_SUFFIXES[op]}", max(size, 1) * max(least, 1) + _REPEAT

    def look(self, op: str, direction: int, inner: Any, depth: int) -> tuple[str, int]:
        if direction < 0:
            shortest, longest = inner.getwidth()
            if shortest != longest:
                raise re.error("look-behind requires fixed-width pattern")
        text, size = self.sequence(inner, depth)
        return f"(?{'<' if direction < 0 else ''}{'=' if op == 'ASSERT' else '!'}{text})", size + 2


def is_found(pattern: str, document: str) -> bool:
    """Tell whether `pattern`, which was checked, is found anywhere in `document`.

    Raises
    ------
    InvalidArgumentError
        It takes longer than a second, or too much memory.
    TimeLimitError, AbandonedError
        As `chroma_nb.stopping.check`.

    Examples
    --------
    >>> is_found("(?i)HELLO", "say hello")
    True
    """
    matcher, is_open = _matcher(pattern)
    if is_open and len(document) > MAX_DOCUMENT:
        fault = f"has repeats without end, and one document has {len(document):,} characters, more than {MAX_DOCUMENT:,}"
        raise _unsearched(pattern, f"{fault}; write it without * and +, or use $contains")
    try:
        return matcher.search(document, timeout=stopping.patience(_PATIENCE), concurrent=True) is not None
    except TimeoutError:
        stopping.check()
        raise _unsearched(pattern, f"takes longer than {_PATIENCE:g} s on one document; write it without repeats inside repeats") from None
    except MemoryError:
        raise _unsearched(pattern, "takes too much memory on one document; write it without repeats inside repeats") from None


def _unsearched(pattern: str, fault: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"$regex: {pattern if len(pattern) <= 60 else f'{pattern[:57]}...'!r} {fault}")


@lru_cache(maxsize=32)
def _matcher(pattern: str) -> tuple[Any, bool]:
    import regex  # not loaded before a pattern is searched for

    checked = checked_pattern(pattern)
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return regex.compile(checked.text, cache_pattern=False), checked.is_open
        except (regex.error, RecursionError) as error:
            raise _unsearched(pattern, f"cannot be searched for ({error}); write it differently") from error
