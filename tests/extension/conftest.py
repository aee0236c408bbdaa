"""Jupyter servers and kernels that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.extension.rig import Jupyter, Kernel
from tests.extension.upstream import SECRET

BASE = "/user/a@b/"
SERVE = "from tests.extension.upstream import Upstream; upstream = Upstream()"


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Start a server below a base URL that clients encode in two ways. No token and no secret is in its log when its tests have run."""
    with Jupyter.started(tmp_path_factory.mktemp("jupyter"), base_url=BASE) as started:
        yield started
    assert started.token not in started.log
    assert SECRET not in started.log


@pytest.fixture(scope="module")
def kernel(jupyter: Jupyter) -> Kernel:
    """Start a kernel whose server shows what it is asked (`tests.extension.upstream`)."""
    made = jupyter.kernel("sub/a ü 50%@2.ipynb")
    made.run(SERVE)
    return made


@pytest.fixture(scope="module")
def api(kernel: Kernel) -> str:
    """Return the path of that kernel's API, below the base URL."""
    return f"chroma-nb/k/{kernel.id}/api/v2"
