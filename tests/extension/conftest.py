"""Jupyter servers and kernels that several tests look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.extension.decoy import Decoy
from tests.extension.rig import Jupyter, Kernel
from tests.extension.upstream import SECRET

BASE = "/user/a@b/"
SERVE = "from tests.extension.upstream import Upstream; upstream = Upstream()"


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Start a server below a base URL that clients encode in two ways. Its log is looked through when its tests have run."""
    with Jupyter.started(tmp_path_factory.mktemp("jupyter"), base_url=BASE) as started:
        yield started
    check(started)


def check(stopped: Jupyter) -> None:
    """See that a server has logged no token and no secret, and never failed in a way it did not foresee."""
    log = stopped.log
    for what in (stopped.token, SECRET, "was never retrieved", "Exception in", "JupyterServerAuthWarning"):
        assert what not in log
    assert not re.search("Uncaught exception [A-Z]+ /", log)


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


@pytest.fixture
def decoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoy]:
    made = Decoy(tmp_path_factory.mktemp("d"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def idle(jupyter: Jupyter) -> Kernel:
    """Start a kernel that serves nothing; the tests write its record."""
    return jupyter.kernel("idle.ipynb")


@pytest.fixture
def refused(jupyter: Jupyter, idle: Kernel) -> Iterator[Callable[[], None]]:
    """Return a check that the kernel counts as one that does not serve, on every way to it. What was written goes away afterwards."""
    path = jupyter.runtime / "chroma_nb" / f"kernel-{idle.id}.json"

    def check() -> None:
        for route in (f"k/{idle.id}", "s/idle.ipynb", "default"):
            for verb in ("GET", "POST"):
                response = jupyter.ask(verb, f"chroma-nb/{route}/api/v2")
                assert response.status_code in (404, 410)
                assert SECRET not in response.text
        listed = jupyter.ask("GET", "chroma-nb/servers").json()
        assert all(each["state"] == "gone" for each in listed)
        jupyter.ask("GET", "chroma-nb/ui").raise_for_status()

    yield check
    path.unlink(missing_ok=True)
