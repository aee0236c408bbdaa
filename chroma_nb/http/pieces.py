"""JSON in pieces: a reply's value is written about a MiB at a time, so that neither memory nor the interpreter is taken by all of it.

One call of a JSON library lets no other thread run until it ends, and holds the whole text. Here long lists, arrays, texts and objects are
written part by part; put together the parts are what `chroma_nb.http.wire.dumps` would have written at once. Must not live here: what is
replied. Called by `chroma_nb.http.serving`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import length_hint
from types import NoneType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Dump: TypeAlias = Callable[[Any], bytes]
Part: TypeAlias = "bytes | memoryview"

PIECE: Final = 1 << 20
"""Bytes of a piece, roughly: the last thing put into it may make it longer, and signs that JSON escapes do."""
_STEP = 1024
_FEW = 32
_SAMPLED = 16
_OBJECTS: Final = frozenset({dict, NoneType})
_FLAT: Final = frozenset({str, int, float, bool, NoneType})
_NUMBER = 12
_WIDE = 20


def pieces(value: Any, dump: Dump) -> Iterator[bytes]:
    """Write `value`, part by part by `dump`, in pieces of about `PIECE` bytes.

    Examples
    --------
    >>> import orjson
    >>> list(pieces({"ids": ["a", "b"]}, orjson.dumps))
    [b'{"ids":["a","b"]}']
    """
    held: list[Part] = []
    size = 0
    for part in _parts(value, dump):
        held.append(part)
        size += len(part)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def size_of(value: Any) -> int:
    """Return about how many bytes of JSON a value makes: texts count by their letters, numbers by what they take as a rule.

    Of a long list of objects some are measured, since measuring them takes longer than writing them.

    Examples
    --------
    >>> size_of({"ids": ["a", "b"]}) < 100
    True
    """
    kind = type(value)
    if kind is dict:
        return sum(len(key) + 4 + size_of(inner) for key, inner in value.items())
    if kind is list or kind is tuple:
        return sum(_size_of_step(value[start : start + _STEP]) for start in range(0, len(value), _STEP))
    return _size_of_items((value,))


def _size_of_step(items: Sequence[Any]) -> int:
    if len(items) == _STEP and _OBJECTS.issuperset(map(type, items)):
        return _size_of_items(items[::_SAMPLED]) * _SAMPLED
    return _size_of_items(items)


def _size_of_items(items: Sequence[Any]) -> int:
    """Return the size of a few items. Its loops run in C: every reply is measured on its way out."""
    kinds = set(map(type, items))
    size = _NUMBER * len(items)
    if kinds <= _FLAT:
        return size + sum(map(length_hint, items))
    if dict in kinds:
        size += _size_of_objects(items if len(kinds) == 1 else [item for item in items if type(item) is dict])
    for item in items if kinds != {dict} else ():
        kind = type(item)
        if kind is np.ndarray:
            size += item.size * (_NUMBER if item.itemsize <= 4 else _WIDE)
        elif kind is list or kind is tuple:
            size += sum(_size_of_items(item[start : start + _STEP]) for start in range(0, len(item), _STEP))
        elif kind is str:
            size += len(item)
    return size


def _size_of_objects(objects: Sequence[dict[str, Any]]) -> int:
    keys = set[str]().union(*objects)
    size = len(objects) * sum(map(len, keys))  # at most, and as a rule exactly so: they have the same keys
    if size > PIECE:
        size = sum(map(len, chain.from_iterable(objects)))
    return size + _size_of_items(list(chain.from_iterable(map(dict.values, objects))))


def _parts(value: Any, dump: Dump) -> Iterator[Part]:
    kind = type(value)
    if kind is str and len(value) > PIECE:
        yield b'"'
        for start in range(0, len(value), PIECE):
            yield _inner(dump(value[start : start + PIECE]))
        yield b'"'
    elif kind is np.ndarray and value.ndim and value.size:
        yield from _parts_of_array(value, dump)
    elif (kind is list or kind is tuple) and value:
        yield b"["
        for start in range(0, len(value), _STEP):
            yield b"," if start else b""
            yield from _parts_of_items(value[start : start + _STEP], dump)
        yield b"]"
    elif kind is dict and value:
        for i, (key, inner) in enumerate(value.items()):
            yield (b"," if i else b"{") + dump(key) + b":"
            yield from _parts(inner, dump)
        yield b"}"
    else:
        yield dump(value)


def _parts_of_items(items: Sequence[Any], dump: Dump) -> Iterator[Part]:
    """Write the items of a list without its brackets: at once, or half by half."""
    if _OBJECTS.issuperset(map(type, items)):
        # Measuring objects takes longer than writing them.
        for start in range(0, len(items), _FEW):
            if start:
                yield b","
            yield _inner(dump(items[start : start + _FEW]))
    elif _size_of_items(items) <= PIECE:
        yield _inner(dump(items))
    elif len(items) == 1:
        yield from _parts(items[0], dump)
    else:
        middle = len(items) // 2
        yield from _parts_of_items(items[:middle], dump)
        yield b","
        yield from _parts_of_items(items[middle:], dump)


def _inner(dumped: bytes) -> memoryview:
    """Return a list's or a text's JSON without the signs around it, uncopied."""
    return memoryview(dumped)[1:-1]


def _parts_of_array(array: NDArray[Any], dump: Dump) -> Iterator[Part]:
    rows = max(PIECE // (_WIDE * (array.size // len(array))), 1)
    for start in range(0, len(array), rows):
        yield b"," if start else b"["
        part = array[start : start + rows]
        if len(part) == 1 and part.ndim > 1:
            yield from _parts(part[0], dump)
        else:
            yield _inner(dump(part))
    yield b"]"
