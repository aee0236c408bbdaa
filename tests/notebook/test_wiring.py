"""Serving among other things that a notebook does at the same time."""

from __future__ import annotations

import gc
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import chroma_nb
from chroma_nb.http.server import Server


def test_a_client_may_be_dropped_by_the_thread_that_serving_waits_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dropped = []

    def serve(server: Server) -> Coroutine[Any, Any, None]:
        dropped.append(gc.collect())
        return usual(server)

    usual = Server._serve
    monkeypatch.setattr(Server, "_serve", serve)
    gc.collect()
    gc.disable()
    try:
        client: Any = chroma_nb.PersistentClient(tmp_path)
        client.itself = client  # only the collector finds it
        del client
        with chroma_nb.serve() as server:
            assert server.running
    finally:
        gc.enable()
    assert dropped[0] > 0


def test_the_same_store_is_served_once_to_all_who_ask_at_a_time(tmp_path: Path) -> None:
    ready, found = threading.Barrier(8), []

    def ask() -> None:
        ready.wait()
        found.append(chroma_nb.serve(tmp_path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    found[0].stop()
    with pytest.raises(chroma_nb.errors.ServerUnreachableError):
        chroma_nb.HttpClient(found[0].url)
