"""A client that is closed, cancelled, forked or taken to another event loop while it is at work: what its calls end in."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chroma_nb
from chroma_nb import chromadb, ops
from chroma_nb.errors import ChromaError, ClosedError
from chroma_nb.http.backend import AsyncHttpBackend, HttpBackend
from chroma_nb.http.server import Server
from chroma_nb.records import Records
from tests.http.scripted import PRE_FLIGHT, Piecewise, Scripted, reply, scripted

COLLECTION = "11111111-1111-1111-1111-111111111111"
READY = reply(200, PRE_FLIGHT, x_chroma_nb="1")
BEAT = reply(200, {"nanosecond heartbeat": 5})
UPSERT = ops.Upsert(COLLECTION, Records(["a"], np.ones((1, 2), dtype=np.float32)))
CALLS = 20


def stalled(head: bytes) -> Piecewise:
    """Return a reply that begins and does not go on."""

    def pieces(ended: threading.Event) -> Any:
        yield head
        ended.wait(30)

    return pieces


STAGES: dict[str, bytes | Piecewise | None] = {
    "waiting": b"",
    "in the head": stalled(b"HTTP/1.1 200 OK\r\nContent-"),
    "in the body": stalled(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "in a chunk": stalled(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{"),
}


def wait_until_asked(server: Scripted, times: int) -> None:
    """Wait until so many requests have reached the server; in a loop, from a thread."""
    while len(server.asked) < times:
        threading.Event().wait(0.005)


@pytest.mark.parametrize("stage", STAGES)
def test_closing_ends_the_calls_of_other_threads(stage: str) -> None:
    ended: list[BaseException | int] = []

    def call(backend: HttpBackend) -> None:
        try:
            ended.append(backend.execute(ops.Heartbeat()))
        except BaseException as error:  # noqa: BLE001 - told to the test
            ended.append(error)

    with scripted(STAGES[stage]) as server:
        backend = HttpBackend(server.url, timeout=60)
        threads = [threading.Thread(target=call, args=(backend,)) for _ in range(CALLS)]
        for thread in threads:
            thread.start()
        wait_until_asked(server, CALLS)
        backend.close()
        for thread in threads:
            thread.join(timeout=30)
        assert not any(thread.is_alive() for thread in threads)
    assert {type(each) for each in ended} == {ClosedError}
    assert "while a call was under way; make a new one" in str(ended[0])


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("calls", [CALLS, 130], ids=["connected", "queued"])
def test_closing_ends_the_calls_of_other_tasks(stage: str, calls: int) -> None:
    async def work(server: Scripted) -> list[BaseException]:
        backend = AsyncHttpBackend(server.url, timeout=60)
        tasks = [asyncio.ensure_future(backend.execute(ops.Heartbeat())) for _ in range(calls)]
        await asyncio.to_thread(wait_until_asked, server, min(calls, 100))
        await backend.close()
        return [
            each for each in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30) if isinstance(each, BaseException)
        ]

    with scripted(STAGES[stage]) as server:
        ended = asyncio.run(work(server))
    assert [type(each) for each in ended] == [ClosedError] * calls


def test_a_write_that_was_under_way_is_in_doubt() -> None:
    async def work(server: Scripted) -> None:
        backend = AsyncHttpBackend(server.url)
        task = asyncio.ensure_future(backend.execute(UPSERT))
        await asyncio.to_thread(wait_until_asked, server, 2)
        await backend.close()
        with pytest.raises(ClosedError, match="may have been written"):
            await task

    with scripted(READY, b"") as server:
        asyncio.run(work(server))


def test_a_call_is_not_repeated_once_its_client_is_closed() -> None:
    async def work(server: Scripted) -> None:
        backend = AsyncHttpBackend(server.url)
        task = asyncio.ensure_future(backend.execute(ops.Heartbeat()))
        await asyncio.to_thread(wait_until_asked, server, 1)
        await backend.close()
        with pytest.raises(ClosedError):
            await task
        with pytest.raises(ClosedError):
            await backend.execute(ops.Heartbeat())
        await backend.close()

    with scripted(None) as server:
        asyncio.run(work(server))


@pytest.mark.parametrize("module", [chroma_nb, chromadb], ids=["native", "facade"])
@pytest.mark.parametrize("pause", [0, 0.001, 0.003, 0.01])
def test_clients_of_a_real_server_end_their_calls(server: Server, module: Any, pause: float) -> None:
    with chroma_nb.HttpClient(f"http://127.0.0.1:{server.port}") as local:
        local.create_collection("docs", embedding_function=None).add([str(i) for i in range(500)], embeddings=np.ones((500, 4), "f4"))

    async def asynchronous() -> list[Any]:
        client = await module.AsyncHttpClient(f"http://127.0.0.1:{server.port}")
        docs = await client.get_collection("docs", embedding_function=None)
        tasks = [asyncio.ensure_future(docs.get()) for _ in range(CALLS)]
        await asyncio.sleep(pause)
        await client.close()
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)

    def synchronous() -> list[Any]:
        client = module.HttpClient(f"http://127.0.0.1:{server.port}")
        docs = client.get_collection("docs", embedding_function=None)
        ended: list[Any] = []

        def call() -> None:
            try:
                ended.append(docs.get())
            except BaseException as error:  # noqa: BLE001 - told to the test
                ended.append(error)

        threads = [threading.Thread(target=call) for _ in range(CALLS)]
        for thread in threads:
            thread.start()
        threading.Event().wait(pause)
        client.close()
        for thread in threads:
            thread.join(timeout=30)
        return ended

    for ended in (asyncio.run(asynchronous()), synchronous()):
        assert len(ended) == CALLS
        assert {type(each) for each in ended if isinstance(each, BaseException)} <= {ClosedError}
    with chroma_nb.HttpClient(f"http://127.0.0.1:{server.port}") as after:
        assert after.count_collections() == 1


def test_a_cancelled_call_is_cancelled_and_its_client_goes_on() -> None:
    async def work(server: Scripted) -> int:
        backend = AsyncHttpBackend(server.url)
        task = asyncio.ensure_future(backend.execute(ops.Heartbeat()))
        await asyncio.to_thread(wait_until_asked, server, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found: int = await backend.execute(ops.Heartbeat())
        await backend.close()
        return found

    with scripted(b"", BEAT) as server:
        assert asyncio.run(work(server)) == 5


def test_a_client_belongs_to_one_event_loop() -> None:
    with scripted(reply(200, {"nanosecond heartbeat": 5}, connection="close")) as server:
        backend = AsyncHttpBackend(server.url)
        assert asyncio.run(backend.execute(ops.Heartbeat())) == 5
        with pytest.raises(ClosedError, match=r"belongs to another event loop.*await AsyncHttpClient"):
            asyncio.run(backend.execute(ops.Heartbeat()))
        asyncio.run(backend.close())
        assert backend.closed


def test_a_client_may_be_closed_from_another_loop_while_its_own_runs() -> None:
    async def ask(backend: AsyncHttpBackend) -> None:
        with pytest.raises(ClosedError):
            await backend.execute(ops.Heartbeat())

    with scripted(b"") as server:
        backend = AsyncHttpBackend(server.url)
        thread = threading.Thread(target=lambda: asyncio.run(ask(backend)))
        thread.start()
        wait_until_asked(server, 1)
        asyncio.run(backend.close())
        thread.join(timeout=30)
        assert not thread.is_alive()


def in_a_child(work: Callable[[], bool]) -> bool:
    """Run `work` in a forked child and return what it returned."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_connections_alone() -> None:
    with scripted(BEAT) as server:
        backend = HttpBackend(server.url)
        assert backend.execute(ops.Heartbeat()) == 5

        def closed_at_once() -> bool:
            backend.close()
            return backend.closed

        def used_and_closed() -> bool:
            found = backend.execute(ops.Heartbeat()) == 5
            backend.close()
            return found

        assert in_a_child(closed_at_once)
        assert in_a_child(used_and_closed)
        assert backend.execute(ops.Heartbeat()) == 5
        backend.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_an_asynchronous_client_says_so_in_a_forked_child() -> None:
    async def work(server: Scripted) -> None:
        backend = AsyncHttpBackend(server.url)
        assert await backend.execute(ops.Heartbeat()) == 5

        def asked() -> bool:
            try:
                asyncio.run(backend.execute(ops.Heartbeat()))
            except ClosedError as error:
                return "another event loop" in str(error)
            return False

        assert in_a_child(asked)
        assert await backend.execute(ops.Heartbeat()) == 5
        await backend.close()

    with scripted(BEAT) as server:
        asyncio.run(work(server))


def test_a_scan_ends_when_its_client_is_closed(server: Server) -> None:
    client = chroma_nb.HttpClient(f"http://127.0.0.1:{server.port}")
    docs = client.create_collection("docs", embedding_function=None)
    docs.add(list("abcd"), embeddings=np.ones((4, 2), "f4"))
    pages = iter(docs.scan(1))
    next(pages)
    client.close()
    with pytest.raises(ClosedError):
        next(pages)


def test_closing_in_the_middle_of_a_long_write_ends_it(server: Server) -> None:
    client = chroma_nb.HttpClient(f"http://127.0.0.1:{server.port}")
    docs = client.create_collection("docs", embedding_function=None)
    with pytest.raises(ChromaError) as caught:
        docs.bulk_upsert(list("abcd"), embeddings=np.ones((4, 2), "f4"), max_batch_size=1, on_batch_processed=lambda _: client.close())
    assert isinstance(caught.value.__cause__, ClosedError)
