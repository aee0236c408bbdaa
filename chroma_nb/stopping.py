"""When work must end before it is done: a signal, a time limit, a client that went away.

Theory of operation
-------------------
Work that holds a lock, a connection or a transaction cannot be broken off between any two bytecodes, which is what a Python signal
handler that raises would do (Ctrl-C, ``signal.alarm``). So it runs inside `held_back`: there every handler written in Python only leaves
a note, and the work calls `check` where stopping is safe. `check` calls the handler that was kept waiting; what that raises undoes the
work like any other exception. Handlers run in the main thread only, so in other threads there is nothing to hold back.

A time limit and the wish of a client that left concern one thread's work: `limited` sets them, the same `check` looks at them.

What is due comes out, whoever swallows it on the way: C code that calls back says only that a function failed (`is_due` and `carrying`
keep what was raised), and code that tries something and goes on without it takes a handler's TimeoutError for an error of its own. So
what was raised once is raised again by every `check`, and by the end of `held_back`.

Called by the engine, the server and whatever takes a while. Must not live here: what is done when work ends early.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol, TypeVar

from chroma_nb.errors import AbandonedError, TimeLimitError

try:
    # The public functions turn every number into an enum, which takes ten times as long as the calls themselves, and this is on the way of
    # each operation.
    from _signal import getsignal as _get  # type: ignore[import-not-found]
    from _signal import signal as _set
except ImportError:
    _get, _set = signal.getsignal, signal.signal

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")
_SLICE, _LEAST = 0.1, 0.001
_NUMBERS = tuple(sorted(int(number) for number in signal.valid_signals() if signal.Signals.__members__.get("SIGKILL") != number))


class _Lock(Protocol):
    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...  # noqa: FBT001 - the form of threading's locks

    def release(self) -> None: ...


class _Here(threading.local):
    inside = 0
    limit: limited | None = None
    kept: BaseException | None = None


_here = _Here()
_depth = 0
_owner = 0
_handlers: dict[int, Any] = {}
_noted: dict[int, FrameType | None] = {}
_raised: BaseException | None = None
_seen: tuple[Any, ...] = ()
_held: tuple[tuple[int, Any], ...] = ()


def _note(number: int, frame: FrameType | None) -> None:
    global _raised  # noqa: PLW0603 - handlers are the process's own
    if _depth:
        _noted[number] = frame
        return
    # Not held back: inside `witnessed`, or another signal's exception came while the handlers were being put back.
    try:
        _handlers[number](number, frame)
    except BaseException as error:
        _raised = error
        raise


def _replace() -> None:
    global _seen, _held  # noqa: PLW0603 - handlers are the process's own
    found = tuple(map(_get, _NUMBERS))
    if found != _seen:
        # None: a handler in C; those and the default actions do not raise.
        _held = tuple(
            (number, _handlers[number] if handler is _note else handler)
            for number, handler in zip(_NUMBERS, found, strict=True)
            if callable(handler)
        )
        _seen = found
    for number, handler in _held:
        _handlers[number] = handler
        _set(number, _note)


def _put_back() -> None:
    try:
        for number, handler in _held:
            if _get(number) is _note:
                _set(number, handler)
    except BaseException:  # what a handler raised that had been put back already
        _put_back()
        raise


def _deliver() -> None:
    """Call the handlers that were kept waiting, each of them, whatever the others raise."""
    while _noted:
        number, frame = next(iter(_noted.items()))
        del _noted[number]
        try:
            _handlers[number](number, frame)
        finally:
            if _noted:
                _deliver()


class held_back:  # noqa: N801 - reads as a statement, like contextlib.suppress
    """Context in which signals wait until `check` is called or the context ends; also inside another one, and in any thread.

    Examples
    --------
    >>> with held_back():
    ...     check()
    """

    __slots__ = ("_outer",)

    def __enter__(self) -> None:
        global _depth, _owner  # noqa: PLW0603 - as above
        self._outer = -1
        if threading.current_thread() is threading.main_thread():
            if not _depth:
                _replace()
                _owner = threading.get_ident()
            # From the next store on no handler raises any more, and before it nothing is held: no gap in which a signal could be lost.
            self._outer = _depth
            _depth += 1
        _here.inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _depth  # noqa: PLW0603 - as above
        kept = None
        _here.inside -= 1
        if not _here.inside:
            kept, _here.kept = _here.kept, None
        if self._outer > 0:
            _depth = self._outer
        elif self._outer == 0:
            try:
                _put_back()
            finally:
                _depth = 0
                if _noted:
                    _deliver()
        if kept is not None and kept is not error:
            raise kept


class released:  # noqa: N801 - as above
    """Context, inside `held_back`, for calling a function of the user's: signals interrupt it as they interrupt all Python code."""

    __slots__ = ("_inside", "_outer")

    def __enter__(self) -> None:
        global _depth  # noqa: PLW0603 - as above
        self._inside, _here.inside = _here.inside, 0
        self._outer = _depth if threading.get_ident() == _owner else 0
        if self._outer:
            try:
                _put_back()
                _depth = 0
                _deliver()
            except BaseException:
                self._hold_again()
                raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._hold_again()

    def _hold_again(self) -> None:
        global _depth  # noqa: PLW0603 - as above
        try:
            if self._outer:
                _replace()
        finally:
            if self._outer:
                _depth = self._outer
            _here.inside = self._inside


class witnessed:  # noqa: N801 - as above
    """Context for code of others that may swallow what a signal's handler raises, or take it for an error of its own.

    Signals are not held back in it; what their handlers raised comes out at its end, whatever became of it.

    Examples
    --------
    >>> with witnessed():
    ...     pass
    """

    __slots__ = ("_is_outermost",)

    def __enter__(self) -> None:
        global _raised  # noqa: PLW0603 - as above
        self._is_outermost = threading.current_thread() is threading.main_thread() and not _depth
        if self._is_outermost:
            _raised = None
            _replace()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _raised
        if self._is_outermost:
            try:
                _put_back()
            finally:
                raised, _raised = _raised, None
            if raised is not None and raised is not error:
                raise raised


class limited:  # noqa: N801 - as above
    """Context for work that may take so long, and only while somebody waits for it. Inside another one the stricter limit holds.

    Parameters
    ----------
    seconds
        From the beginning of the context; None sets no limit.
    gone
        Tells whether nobody waits any more; called often, from the thread that works.

    Examples
    --------
    >>> with limited(0.0):
    ...     check()
    Traceback (most recent call last):
    ...
    chroma_nb.errors.TimeLimitError: stopped after 0 s, the time limit of one request; ask for less at once, or raise the limit
    """

    __slots__ = ("_deadline", "_gone", "_outer", "_seconds")

    def __init__(self, seconds: float | None, *, gone: Callable[[], bool] | None = None) -> None:
        self._seconds = seconds
        self._gone = gone

    def __enter__(self) -> None:
        self._deadline = None if self._seconds is None else time.monotonic() + self._seconds
        self._outer, _here.limit = _here.limit, self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _here.limit = self._outer

    def _check(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TimeLimitError(
                f"stopped after {self._seconds:g} s, the time limit of one request; ask for less at once, or raise the limit"
            )
        if self._gone is not None and self._gone():
            raise AbandonedError("stopped: whoever asked for it has gone")
        if self._outer is not None:
            self._outer._check()

    def _remaining(self) -> float | None:
        own = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)
        outer = None if self._outer is None else self._outer._remaining()
        return own if outer is None else outer if own is None else min(own, outer)


def check() -> None:
    """Raise what is due: the exception of a signal's handler that was held back, or of a limit.

    Raises
    ------
    TimeLimitError, AbandonedError
        As `limited` says.
    BaseException
        Whatever a signal's handler raises, KeyboardInterrupt as a rule.
    """
    if _here.kept is not None:
        raise _here.kept
    try:
        if _noted and threading.get_ident() == _owner:
            _deliver()
        if _here.limit is not None:
            _here.limit._check()
    except BaseException as error:
        _keep(error)
        raise


def _keep(error: BaseException) -> None:
    if _here.inside:
        _here.kept = error


def remaining() -> float | None:
    """Return the seconds that the work in this thread has left; None without a limit."""
    return None if _here.limit is None else _here.limit._remaining()


def patience(most: float) -> float:
    """Return the seconds after which C code must look again: `most`, or fewer where a limit ends before. Raises as `check` does."""
    if _here.kept is None and not _noted:
        limit = _here.limit
        if limit is None:  # on the way of every document that a pattern is searched for in
            return most
    check()
    left = remaining()
    return most if left is None else min(most, max(left, _LEAST))


def is_due() -> bool:
    """Tell C code whether to break off; what `check` would have raised is kept for the next `check`."""
    try:
        check()
    except BaseException:  # noqa: BLE001 - kept
        return True
    return False


def carrying(function: Callable[[A, B], R]) -> Callable[[A, B], R]:
    """Return `function` for C code that swallows what it raises: the next `check` raises that."""

    def called(first: A, second: B) -> R:
        try:
            return function(first, second)
        except BaseException as error:
            _keep(error)
            raise

    return called


class taking:  # noqa: N801 - as above
    """Context that holds `lock`; waiting for it ends when `check` says so.

    Examples
    --------
    >>> with taking(threading.Lock()):
    ...     pass
    """

    __slots__ = ("_lock",)

    def __init__(self, lock: _Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            while not self._lock.acquire(timeout=_SLICE):
                check()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()


def _after_fork_in_child() -> None:
    global _depth  # noqa: PLW0603 - as above
    if _owner != threading.get_ident():
        # The thread that held signals back does not exist here.
        _depth = 0
        _noted.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
