"""Signals, time limits and clients that left: what is due comes out, once, and nothing is left behind."""

# ruff: noqa: PT012 - what is tested is what comes out of a whole block

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chroma_nb import stopping
from chroma_nb.errors import AbandonedError, TimeLimitError


class TookTooLongError(Exception):
    """What a program's own alarm raises."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[dict[int, Any]]:
    """Install handlers that raise for three signals, and check that they are there again at the end."""

    def alarm(number: int, frame: object) -> None:
        raise TookTooLongError(number)

    wanted: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGALRM: alarm, signal.SIGUSR1: alarm}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    yield wanted
    after = {number: signal.getsignal(number) for number in wanted}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == wanted
    assert stopping._depth == 0
    stopping.check()


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGALRM, TookTooLongError)])
def test_a_signal_waits_for_a_check(number: int, raised: type[BaseException]) -> None:
    reached = []
    with pytest.raises(raised), stopping.held_back():
        signal.raise_signal(number)
        reached.append("held")
        stopping.check()
        reached.append("lost")
    assert reached == ["held"]


def test_a_signal_waits_for_the_end_also_of_nested_contexts() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with stopping.held_back():
            with stopping.held_back():
                signal.raise_signal(signal.SIGINT)
            reached.append("inner")
        reached.append("outer")
    assert reached == ["inner"]


def test_two_signals_are_both_answered(handlers: dict[int, Any]) -> None:
    with pytest.raises((KeyboardInterrupt, TookTooLongError)) as caught, stopping.held_back():
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGINT)
    assert {type(caught.value), type(caught.value.__context__)} == {KeyboardInterrupt, TookTooLongError}


def test_a_handler_that_raises_nothing_stops_nothing() -> None:
    seen = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: seen.append(number))
    try:
        with stopping.held_back():
            signal.raise_signal(signal.SIGUSR2)
            assert not seen
            stopping.check()
            assert not stopping.is_due()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [signal.SIGUSR2]


def test_a_handler_set_inside_stays() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with stopping.held_back():
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    signal.signal(signal.SIGUSR2, before)


def test_who_swallows_what_is_due_meets_it_again() -> None:
    with pytest.raises(TookTooLongError), stopping.held_back():
        signal.raise_signal(signal.SIGALRM)
        for _ in range(3):
            with pytest.raises(TookTooLongError):
                stopping.check()


def test_who_turns_it_into_another_error_meets_it_again() -> None:
    with pytest.raises(KeyboardInterrupt), stopping.held_back():
        signal.raise_signal(signal.SIGINT)
        try:
            stopping.check()
        except KeyboardInterrupt as error:
            raise RuntimeError("the call failed") from error


@pytest.mark.parametrize("how", ["function", "steps"])
def test_what_sqlite_swallows(how: str) -> None:
    connection = sqlite3.connect(":memory:")

    def searched(_: int, __: int) -> int:
        signal.raise_signal(signal.SIGINT)
        stopping.check()
        return 1

    connection.create_function("searched", 2, stopping.carrying(searched))
    connection.set_progress_handler(stopping.is_due, 1000)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(KeyboardInterrupt), stopping.held_back():
        if how == "function":
            connection.execute("SELECT searched(1, 2)").fetchall()
        else:
            signal.raise_signal(signal.SIGINT)
            connection.execute(endless).fetchall()
    connection.close()


def test_a_function_of_the_users_is_interrupted_as_usual() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), stopping.held_back(), stopping.released():
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.raise_signal(signal.SIGINT)
        reached.append("lost")
    assert not reached


def test_what_is_called_back_may_use_the_store_itself() -> None:
    with stopping.held_back():
        with stopping.released(), pytest.raises(TookTooLongError), stopping.held_back():
            signal.raise_signal(signal.SIGALRM)
            stopping.check()
        stopping.check()


def test_a_limit_of_time() -> None:
    with stopping.limited(3600):
        stopping.check()
        left = stopping.remaining()
        assert left is not None
        assert 0 < left <= 3600
        with pytest.raises(TimeLimitError, match="0 s"), stopping.limited(0):
            assert stopping.remaining() == 0
            stopping.check()
        with stopping.limited(7200):
            assert (stopping.remaining() or 0) <= 3600, "the stricter limit holds"
        stopping.check()
    assert stopping.remaining() is None


def test_a_client_that_left() -> None:
    gone = threading.Event()
    with stopping.limited(None, gone=gone.is_set):
        stopping.check()
        assert stopping.remaining() is None
        gone.set()
        with pytest.raises(AbandonedError):
            stopping.check()
    stopping.check()


def test_patience_ends_with_the_limit() -> None:
    assert stopping.patience(1.5) == 1.5
    with stopping.limited(3600):
        assert stopping.patience(1.5) == 1.5
        assert 0 < stopping.patience(7200) <= 3600
    with stopping.limited(0), pytest.raises(TimeLimitError):
        stopping.patience(1.5)


def test_a_limit_is_one_threads_own() -> None:
    found: list[object] = []
    with stopping.limited(0):
        thread = threading.Thread(target=lambda: found.append(stopping.remaining()))
        thread.start()
        thread.join()
    assert found == [None]


def test_threads_hold_nothing_back() -> None:
    def held() -> None:
        with stopping.held_back():
            inside.set()
            go_on.wait(30)

    inside, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=held)
    thread.start()
    assert inside.wait(30)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    go_on.set()
    thread.join()


def test_waiting_for_a_lock_ends() -> None:
    lock = threading.Lock()
    with lock, stopping.limited(0), pytest.raises(TimeLimitError), stopping.taking(lock):
        pass
    with stopping.taking(lock):
        assert lock.locked()
    assert not lock.locked()


@pytest.mark.parametrize("call", [stopping.check, stopping.is_due, stopping.remaining])
def test_outside_of_everything_nothing_is_due(call: Callable[[], object]) -> None:
    assert not call()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGALRM])
def test_what_others_swallow_comes_out_at_the_end(number: int, handlers: dict[int, Any]) -> None:
    reached = []
    with pytest.raises((KeyboardInterrupt, TookTooLongError)), stopping.witnessed():
        try:
            signal.raise_signal(number)
        except BaseException:  # noqa: BLE001 - as some libraries do
            reached.append("swallowed")
        reached.append("went on")
    assert reached == ["swallowed", "went on"]
    with stopping.witnessed():
        pass
    assert signal.getsignal(number) is handlers[number]


def test_what_comes_out_by_itself_comes_out_once() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, stopping.witnessed():
        signal.raise_signal(signal.SIGINT)
    assert caught.value.__context__ is None
