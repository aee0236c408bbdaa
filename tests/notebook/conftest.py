"""A real Jupyter server with our extension, and kernels of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.extension.rig import Jupyter, Kernel


@pytest.fixture(scope="package")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with Jupyter.started(tmp_path_factory.mktemp("jupyter"), base_url="/user/a@b/") as made:
        yield made


@pytest.fixture(scope="package")
def shared_kernel(jupyter: Jupyter) -> Kernel:
    return jupyter.kernel("shared.ipynb")


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Iterator[Kernel]:
    """Return a kernel in which nothing is served yet; what a test serves is stopped after it."""
    yield shared_kernel
    shared_kernel.run("import chroma_nb.factories\nfor each in list(chroma_nb.factories._servers.values()): each.stop()")
