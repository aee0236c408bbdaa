"""Each verb once: a generator of operations, driven without or with ``await``.

A verb's body yields operations and receives their replies; whoever holds the backend drives it::

    @verb
    def count(self) -> Steps[int]:
        return (yield from ask(ops.Count(self.id)))

On a class with the `Sync` flavour ``collection.count()`` is an int, with `Async` it is awaitable, and help and signatures
show what the caller sees. A `stream` is the same for verbs that give many items: its body also yields `Item`s.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from types import MethodType
from typing import Any, Concatenate, Generic, TypeAlias, TypeVar, overload

from typing_extensions import ParamSpec

from chroma_nb.ops import Local, Op
from chroma_nb.stepping import arun, run

P = ParamSpec("P")
R = TypeVar("R")
Steps: TypeAlias = Generator[Op[Any], Any, R]


@dataclass(frozen=True)
class Callback(Op[None]):
    """Call `work` where the caller lives; what it returns is awaited if it can be."""

    work: Callable[[], Any]


@dataclass(frozen=True)
class Item(Op[None], Generic[R]):
    """Something a stream hands to its caller."""

    value: R


def ask(op: Op[R]) -> Steps[R]:
    """Yield one operation and return its reply."""
    reply: R = yield op
    return reply


class Sync:
    """Flavour of classes whose verbs return."""

    _execute: Callable[[Op[Any]], Any]


class Async:
    """Flavour of classes whose verbs are awaited."""

    _execute: Callable[[Op[Any]], Awaitable[Any]]


def drive(steps: Generator[Op[Any], Any, R], execute: Callable[[Op[Any]], Any]) -> R:
    """Run a verb to its end."""
    return run(steps, lambda op: _done(op, execute))


def _done(op: Op[Any], execute: Callable[[Op[Any]], Any]) -> Any:
    return op.work() if isinstance(op, (Local, Callback)) else execute(op)


def _streamed(steps: Generator[Op[Any], Any, None], execute: Callable[[Op[Any]], Any]) -> Iterator[Any]:
    reply: Any = None
    try:
        while True:
            try:
                op = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(op, Item):
                yield op.value
            else:
                reply = _done(op, execute)
    finally:
        steps.close()


async def adrive(steps: Generator[Op[Any], Any, R], execute: Callable[[Op[Any]], Awaitable[Any]]) -> R:
    """Run a verb to its end on the running loop; local work goes to a thread, so that the loop goes on."""
    return await arun(steps, lambda op: _awaited(op, execute))


async def _awaited(op: Op[Any], execute: Callable[[Op[Any]], Awaitable[Any]]) -> Any:
    if isinstance(op, Local):
        import asyncio  # only here: it costs a synchronous client a good part of its start

        return await asyncio.to_thread(op.work)
    if isinstance(op, Callback):
        reply = op.work()
        return await reply if inspect.isawaitable(reply) else reply
    return await execute(op)


async def _astreamed(steps: Generator[Op[Any], Any, None], execute: Callable[[Op[Any]], Awaitable[Any]]) -> AsyncIterator[Any]:
    reply: Any = None
    try:
        while True:
            try:
                op = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(op, Item):
                yield op.value
            else:
                reply = await _awaited(op, execute)
    finally:
        steps.close()


class _Descriptor:
    """What `verb` and `stream` share: documentation, name, and signatures that show what the caller sees."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self._body = body
        self.__doc__ = body.__doc__
        self.__name__ = body.__name__

    def _dressed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def face() -> None: ...

        functools.update_wrapper(call, self._body)
        signature = inspect.signature(self._body)
        face.__signature__ = signature.replace(return_annotation=_shown(signature.return_annotation))  # type: ignore[attr-defined]
        # Not on `call` itself: what wraps the bound method would get it as its own, with the owner among the parameters.
        call.__wrapped__ = face  # type: ignore[attr-defined]
        return call


def _shown(annotation: Any) -> Any:
    """Return the caller's side of ``Steps[X]``: X."""
    if isinstance(annotation, str) and "[" in annotation:
        return annotation.partition("[")[2].removesuffix("]")
    return annotation


class verb(_Descriptor, Generic[P, R]):  # noqa: N801 - used as a decorator
    """Make a body of `Steps` a method that drives itself."""

    def __init__(self, body: Callable[Concatenate[Any, P], Steps[R]]) -> None:
        super().__init__(body)

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, owner: Sync, kind: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, owner: Async, kind: type) -> Callable[P, Awaitable[R]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self._body
        return MethodType(self._awaited if isinstance(owner, Async) else self._driven, owner)

    @functools.cached_property
    def _driven(self) -> Callable[..., Any]:
        body = self._body

        def call(owner: Any, /, *args: Any, **kwargs: Any) -> R:
            reply: R = drive(body(owner, *args, **kwargs), owner._execute)
            return reply

        return self._dressed(call)

    @functools.cached_property
    def _awaited(self) -> Callable[..., Any]:
        body = self._body

        async def acall(owner: Any, /, *args: Any, **kwargs: Any) -> R:
            reply: R = await adrive(body(owner, *args, **kwargs), owner._execute)
            return reply

        return self._dressed(acall)


class stream(_Descriptor, Generic[P]):  # noqa: N801 - used as a decorator
    """Make a body that yields `Item`s a method that returns an iterator (or an async one) over them."""

    def __init__(self, body: Callable[Concatenate[Any, P], Generator[Op[Any], Any, None]]) -> None:
        super().__init__(body)

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, owner: Sync, kind: type) -> Callable[P, Iterator[Any]]: ...
    @overload
    def __get__(self, owner: Async, kind: type) -> Callable[P, AsyncIterator[Any]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self._body
        return MethodType(self._streaming, owner)

    @functools.cached_property
    def _streaming(self) -> Callable[..., Any]:
        body = self._body

        def call(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
            steps = body(owner, *args, **kwargs)
            return _astreamed(steps, owner._execute) if isinstance(owner, Async) else _streamed(steps, owner._execute)

        return self._dressed(call)
