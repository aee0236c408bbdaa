"""Every test that asks for `backend` (or `client`, or `docs`) runs on each backend; ``--backends=a,b`` chooses some."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.backends import BACKENDS, CHROMA_PYTHON, Backend
from tests.contract.differences import difference


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backends", help=f"comma-separated choice of the contract's backends: {', '.join(BACKENDS)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backends", default=None)
        metafunc.parametrize("backend", chosen.split(",") if chosen else list(BACKENDS), indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "chroma":
        if CHROMA_PYTHON not in os.environ:
            pytest.skip(f"{CHROMA_PYTHON} names no interpreter with Chroma's server")
        reason = difference(request.node)
        if reason is not None:
            pytest.skip(f"Chroma's server: {reason}")
    made = BACKENDS[request.param](tmp_path / "store")
    yield made
    made.dispose()


@pytest.fixture
def client(backend: Backend) -> Any:
    return backend.client()


@pytest.fixture
def again(backend: Backend) -> Callable[[Any], Any]:
    return backend.again


@pytest.fixture
def docs(client: Any) -> Any:
    """Three records in a plane: a and b as different as can be, c without document or metadata."""
    made = client.create_collection("docs", embedding_function=None)
    made.add(
        ["a", "b", "c"],
        embeddings=[[1, 0], [0, 1], [1, 1]],
        metadatas=[{"year": 1999, "topic": "art"}, {"year": 2024, "topic": "owls"}, None],
        documents=["paint and canvas", "an owl at night", None],
        uris=["file:///a.txt", None, None],
    )
    return made
