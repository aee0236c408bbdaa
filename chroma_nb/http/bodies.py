"""JSON that somebody sent, read within bounds: what it becomes in memory, and how long the reading keeps other threads waiting.

Theory of operation
-------------------
A short body is read at once. A long one is cut at commas outside of texts, one in every `_BLOCK` bytes or so. The brackets that are open
where a piece begins are written before it, those open where it ends behind it: so each piece is a document of its own. orjson reads it, and
refuses what is no JSON; what it holds is grafted onto what the pieces before have become. Where to cut, and what a piece weighs at most,
is known before anything is made of it, from the positions of quotes and brackets that numpy finds.

Beside each cut stands a placeholder, before and behind, so that a comma that lacks a neighbour is refused as in a short body.

Vectors become float32 after each piece. Of the millions of numbers in a body only those of one piece are objects at a time.

A key that comes twice in one object is read differently by different parsers. There is one colon for each key in the text: when the
objects have fewer keys than the text has colons outside of texts, two were the same, however they were written.

Called by `chroma_nb.http.message`. Must not live here: what a body means.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from chroma_nb import stopping
from chroma_nb.errors import BatchSizeExceededError, InvalidArgumentError
from chroma_nb.http.wire import VectorColumn
from chroma_nb.records import MAX_DIMENSION

_BLOCK: Final = 1 << 18
_LONGEST: Final = 16 << 20
"""Bytes without a comma outside of texts: orjson makes a text of so many in less than 100 ms."""
_DEEPEST: Final = 1000
_BASE, _PER_BYTE, _HEAVIEST = 128 << 20, 4, 256 << 20
"""What the values of a body may take, beside the characters of texts: so much, and more for each byte of it, up to a bound."""
_DENSEST, _WIDEST = 40, 4
"""What a byte of a short body becomes at most, and what a character of a text does."""
_ITEM, _TEXT, _KEY, _OBJECT, _ARRAY = 32, 58, 52, 140, 256
"""Bytes of a value, a text, a key, an object and an array beside what is in them, by `sys.getsizeof` in CPython 3.10 to 3.13.

An array has 64, but counts more: Python's garbage collector looks through all of them at once, 60 ms for a million.
"""
_VECTORS: Final = ("embeddings", "query_embeddings", "coordinates")
# No client can have a key of these names in its body: they are new in each process.
_BEFORE, _BEHIND = secrets.token_hex(12), secrets.token_hex(12)
_FLAT = frozenset((str, int, float, bool, type(None)))
_BEHIND_QUOTE = re.compile(rb'"[ \t\r\n]*:')
_QUOTE, _COMMA, _COLON, _SLASH, _BAR = b'",:\\|'

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]


def weight(length: int) -> int:
    """Return how many bytes a body of `length` bytes may take in memory while it is read, beside itself.

    Examples
    --------
    >>> weight(1000), weight(256 << 20) >> 20
    (40000, 1280)
    """
    return min(_DENSEST * length, _allowed(length) + _WIDEST * length)


def _allowed(length: int) -> int:
    return min(_BASE + _PER_BYTE * length, _HEAVIEST)


def read(body: bytes) -> Any:
    """Return the value of a body; of a long one the columns of vectors as `VectorColumn`.

    Raises
    ------
    InvalidArgumentError
        It is not JSON, nested deeper than 1,000 levels, or has an object with a key that comes twice.
    BatchSizeExceededError
        It would take too much memory.
    """
    return _short(body) if len(body) <= _BLOCK else _Long(body).read()


def _short(body: bytes) -> Any:
    value = _loads(body, 0)
    colons = body.count(b":")
    keys = _keys(value, colons)
    # Colons inside of texts only make a number too large: the quick ways to count come first.
    if keys < colons and keys < len(_BEHIND_QUOTE.findall(body)) and keys < _Block.of(body, 0).colons:
        _refuse_doubled(body)
    return value


def _loads(text: bytes, start: int) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f" in the piece from byte {start:,} on" if start else ""
        raise InvalidArgumentError(f"body: not valid JSON ({error}{place})") from error


def _keys(value: Any, enough: int) -> int:
    """Return the number of keys in all objects of `value`, which has no more than `enough`."""
    count, rest = 0, [value]
    while rest and count < enough:
        node = rest.pop()
        if isinstance(node, dict):
            count += len(node)
            node = node.values()
        elif not isinstance(node, list):
            continue
        if not _FLAT.issuperset(map(type, node)):
            rest += [inner for inner in node if isinstance(inner, (dict, list))]
    return count


def _refuse_doubled(text: bytes) -> NoReturn:
    def look(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise _doubled(key)
            seen.add(key)

    with contextlib.suppress(RecursionError):
        json.loads(text, object_pairs_hook=look, parse_int=str)
    raise InvalidArgumentError("body: a key comes twice in one object")


def _doubled(key: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"body: the key {key[:60]!r} comes twice in one object")


@dataclass(frozen=True)
class _Block:
    """Where the signs that make up the structure are in some bytes; places count from their beginning.

    Parameters
    ----------
    quotes
        Those that begin or end a text.
    brackets
        Those outside of texts.
    inside, escaped
        Whether the bytes begin inside of a text, and with an escaped sign.
    """

    content: Bytes
    quotes: Places
    brackets: Places
    inside: bool
    escaped: bool

    @classmethod
    def of(cls, body: bytes, start: int, before: _Block | None = None) -> _Block:
        """Look through the block of `body` that begins at `start`, right behind the block `before`."""
        content = np.frombuffer(body, np.uint8, min(_BLOCK, len(body) - start), start)
        inside = before is not None and before.ends_inside
        escaped = before is not None and before.ends_escaped
        quotes = np.flatnonzero(content == _QUOTE)
        # [ \ ] { | } differ from each other in one bit, or follow one another: three steps instead of five comparisons.
        signs = content | np.uint8(0x20)
        signs -= np.uint8(0x7B)
        marks = np.flatnonzero(signs <= 2)
        signs = content[marks]
        slashes = marks[signs == _SLASH]
        if escaped or len(slashes):
            quotes = quotes[~_are_escaped(quotes, slashes, after_slash=escaped)]
        brackets = marks[(signs != _SLASH) & (signs != _BAR)]
        block = cls(content, quotes, brackets, inside, escaped)
        return cls(content, quotes, block.outside(brackets), inside, escaped)

    @property
    def ends_inside(self) -> bool:
        """Whether the bytes end inside of a text."""
        return self.inside ^ bool(len(self.quotes) & 1)

    @property
    def ends_escaped(self) -> bool:
        """Whether the sign behind the bytes is escaped."""
        others = np.flatnonzero(self.content[::-1] != _SLASH)
        slashes = int(others[0]) if len(others) else len(self.content) + self.escaped
        return bool(slashes & 1)

    @cached_property
    def colons(self) -> int:
        """How many colons are outside of texts."""
        return len(self.outside(np.flatnonzero(self.content == _COLON)))

    def outside(self, places: Places) -> Places:
        """Return those of `places` that are outside of texts."""
        if not len(self.quotes):
            return places[:0] if self.inside else places
        outside: Places = places[(np.searchsorted(self.quotes, places) & 1) == self.inside]
        return outside

    @property
    def last_comma(self) -> int:
        """The place of the last comma outside of texts, -1 if there is none."""
        if not len(self.quotes):  # numbers, which have the most commas
            return -1 if self.inside else self.content.tobytes().rfind(b",")
        commas = self.outside(np.flatnonzero(self.content == _COMMA))
        return int(commas[-1]) if len(commas) else -1

    def until(self, end: int) -> _Block:
        """Return what is before `end`."""
        quotes, brackets = self.quotes, self.brackets
        parts = quotes[: np.searchsorted(quotes, end)], brackets[: np.searchsorted(brackets, end)]
        return _Block(self.content[:end], *parts, self.inside, self.escaped)

    def weight(self) -> int:
        """Return how many bytes the values take at most, beside the characters of texts."""
        signs = self.content[self.brackets]
        objects, arrays = int(np.count_nonzero(signs == ord("{"))), int(np.count_nonzero(signs == ord("[")))
        commas = self.content == _COMMA
        others = _TEXT * len(self.quotes) // 2 + (_OBJECT + _ITEM) * objects + (_ARRAY + _ITEM) * arrays + _KEY * self.colons
        count = int(np.count_nonzero(commas))
        if count * _ITEM > len(self.content) and len(self.quotes):
            count = len(self.outside(np.flatnonzero(commas)))
        return others + count * _ITEM

    def opened(self, before: bytes) -> bytes:
        """Return the brackets that are open at the end, from those that are open `before`."""
        if not len(self.brackets):
            return before
        signs = self.content[self.brackets]
        steps = (signs & 2).astype(np.int64) - 1
        depth = len(before) + np.cumsum(steps)
        lowest = min(len(before), int(depth.min()))
        if lowest < 0:
            raise InvalidArgumentError("body: not valid JSON (a bracket is closed that was not opened)")
        if depth.max() > _DEEPEST:
            raise InvalidArgumentError(f"body: nested deeper than {_DEEPEST:,} levels")
        stays = (steps > 0) & (depth == np.minimum.accumulate(depth[::-1])[::-1])
        opened: bytes = signs[stays].tobytes()
        return before[:lowest] + opened


def _are_escaped(quotes: Places, slashes: Places, *, after_slash: bool) -> NDArray[np.bool_]:
    """Tell which of `quotes` come behind an odd number of backslashes."""
    if after_slash:
        slashes = np.concatenate(([-1], slashes))
    first = np.ones(len(slashes), dtype=bool)
    first[1:] = np.diff(slashes) != 1
    begins = np.maximum.accumulate(np.where(first, slashes, -1))
    last = np.searchsorted(slashes, quotes) - 1
    follows = (last >= 0) & (slashes[last] == quotes - 1)
    escaped: NDArray[np.bool_] = follows & (((quotes - begins[last]) & 1) == 1)
    return escaped


@dataclass
class _Piece:
    """Bytes of the body from `start` to `end`; which brackets are open there; what is known of what they hold."""

    start: int
    end: int
    opened: bytes
    closed: bytes
    colons: int
    weight: int

    def text(self, body: bytes) -> bytes:
        """Return the piece as a document of its own."""
        within = {"[": "[", "{": f'{{"{_BEFORE}":'}
        before = "".join(within[chr(sign)] for sign in self.opened) + ("0," if self.opened else "")
        behind = "".join("]" if sign == ord("[") else "}" for sign in reversed(self.closed))
        if self.closed:
            behind = ("0" if self.closed[-1] == ord("[") else f'"{_BEHIND}":0') + behind
        return b"".join((before.encode(), memoryview(body)[self.start : self.end], behind.encode()))

    @property
    def keys(self) -> int:
        """How many keys the document has."""
        return self.colons + self.opened.count(b"{") + self.closed[-1:].count(b"{")


@dataclass
class _Long:
    """The reading of a long body.

    Parameters
    ----------
    spine
        The containers that are open, each the last child of the one before.
    columns
        Columns of vectors, by name.
    taken, waiting
        Bytes that what was read takes at most, but for vectors; and those that a vector takes that is not complete.
    """

    body: bytes
    spine: list[Any] = field(default_factory=list)
    columns: dict[str, VectorColumn] = field(default_factory=dict)
    taken: int = 0
    waiting: int = 0

    def read(self) -> Any:
        start, opened, value = 0, b"", None
        while start < len(self.body):
            piece = self._next(start, opened)
            text = piece.text(self.body)
            part = _loads(text, start)
            if _keys(part, piece.keys) < piece.keys:
                _refuse_doubled(text)
            value = part if start == 0 else value
            before = self._column()
            self._graft(part, piece)
            self._fold(value)
            self._weigh(piece, of_vectors=before is not None and before is self._column())
            start, opened = piece.end, piece.closed
        if opened:
            raise InvalidArgumentError("body: not valid JSON (it ends too early)")
        if isinstance(value, dict):
            value.update(self.columns)
        return value

    def _next(self, start: int, opened: bytes) -> _Piece:
        """Look for the next place to cut."""
        piece, block = _Piece(start, start, opened, opened, 0, 0), None
        while piece.end < len(self.body):
            if piece.end - start > _LONGEST:
                raise BatchSizeExceededError(f"body: a single value of more than {_LONGEST >> 20} MiB; cut such texts into parts")
            stopping.check()
            block = _Block.of(self.body, piece.end, block)
            cut = block.last_comma + 1
            found = block.until(cut) if cut else block
            piece.end += len(found.content)
            piece.closed = found.opened(piece.closed)
            piece.colons += found.colons
            piece.weight += found.weight()
            if cut:
                if not piece.closed:
                    raise InvalidArgumentError("body: not valid JSON (a comma outside of everything)")
                return piece
        piece.closed = b""
        return piece

    def _graft(self, part: Any, piece: _Piece) -> None:
        """Join what a piece holds to what the pieces before have become, and take the placeholders out."""
        root = self.spine[0] if self.spine else part
        for whole in self.spine:
            if isinstance(whole, list):
                following = part.pop(0)
                whole.extend(part)
            else:
                following = part.pop(_BEFORE)
                for key in whole.keys() & part.keys():
                    raise _doubled(key)
                whole.update(part)
            part = following
        self.spine = [root] if piece.closed else []
        for _ in piece.closed[1:]:
            above = self.spine[-1]
            self.spine.append(above[-1] if isinstance(above, list) else above[next(reversed(above))])
        if self.spine:
            innermost = self.spine[-1]
            innermost.pop(*(() if isinstance(innermost, list) else (_BEHIND,)))

    def _column(self) -> list[Any] | None:
        """Return the vectors that are being read."""
        if len(self.spine) < 2 or not isinstance(self.spine[0], dict):
            return None
        rows = self.spine[1]
        return rows if isinstance(rows, list) and next(reversed(self.spine[0])) in _VECTORS else None

    def _fold(self, root: Any) -> None:
        """Make float32 of the vectors that are complete."""
        for name in _VECTORS:
            rows = root.get(name) if isinstance(root, dict) else None
            if not isinstance(rows, list) or not rows:
                continue
            is_open = len(self.spine) > 2 and self.spine[1] is rows
            if is_open and len(rows[-1]) > MAX_DIMENSION:
                raise InvalidArgumentError(f"{name}: more than {MAX_DIMENSION:,} dimensions in one vector")
            ready = rows[:-1] if is_open else rows[:]
            if ready:
                self.columns.setdefault(name, VectorColumn(name)).add(ready)
                del rows[: len(ready)]
                self.waiting = 0

    def _weigh(self, piece: _Piece, *, of_vectors: bool) -> None:
        if of_vectors:
            self.waiting += piece.weight
        else:
            self.taken += piece.weight
        allowed = _allowed(len(self.body))
        if self.taken + self.waiting > allowed:
            limit = f"{allowed >> 20} MiB, the limit for {len(self.body):,} bytes"
            raise BatchSizeExceededError(f"body: as many values as it has may take more memory than {limit}; send fewer at once")
