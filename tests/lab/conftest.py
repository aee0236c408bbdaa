"""What the tests in JupyterLab share: a server with a browser, one per file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.driver import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.started(tmp_path_factory.mktemp("lab")) as started:
        yield started
