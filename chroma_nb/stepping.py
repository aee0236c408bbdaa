"""Running a generator that asks: it yields questions, and each answer, or error, is put back in.

The verbs ask operations of a backend, an HTTP backend asks requests of a server; both are written once as generators and
run here, with or without ``await``.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")


def run(steps: Generator[Q, Any, R], answer: Callable[[Q], Any]) -> R:
    """Run `steps` to its end and return what it returns.

    Examples
    --------
    >>> def doubled():
    ...     return (yield 20) + (yield 1)
    >>> run(doubled(), lambda question: question * 2)
    42
    """
    proceed: Callable[[], Q] = functools.partial(next, steps)
    while True:
        try:
            question = proceed()
        except StopIteration as done:
            result: R = done.value
            return result
        try:
            given = answer(question)
        except BaseException as error:  # noqa: BLE001 - the generator decides, also about an interrupt
            proceed = functools.partial(steps.throw, error)
        else:
            proceed = functools.partial(steps.send, given)


async def arun(steps: Generator[Q, Any, R], answer: Callable[[Q], Awaitable[Any]]) -> R:
    """Run `steps` as `run` does, awaiting each answer."""
    proceed: Callable[[], Q] = functools.partial(next, steps)
    while True:
        try:
            question = proceed()
        except StopIteration as done:
            result: R = done.value
            return result
        try:
            given = await answer(question)
        except BaseException as error:  # noqa: BLE001 - the generator decides, also about a cancellation
            proceed = functools.partial(steps.throw, error)
        else:
            proceed = functools.partial(steps.send, given)
