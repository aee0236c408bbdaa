"""Official Chroma clients of every generation, unchanged, against one running server of ours, all at the same time.

Each runs in an environment and a process of its own (`tests.clients.environments`), in a tenant of its own. ``CHROMA_NB_CLIENTS=all``
takes all of them, which is what ``make test-clients`` does; otherwise it is a choice that spans the generations.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.clients.environments import ENVIRONMENTS, Environment, OtherPythonError, UnavailableError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKEN = "open-sesame_0.4+/="


@dataclass(frozen=True)
class Case:
    """A client, the kind of its API, and how many checks it takes at least."""

    environment: Environment
    mode: str
    least: int

    def __str__(self) -> str:
        return f"{self.environment.name}-{self.mode}"


def cases() -> Iterator[Case]:
    for environment in ENVIRONMENTS.values():
        if not environment.usual and os.environ.get("CHROMA_NB_CLIENTS") != "all":
            continue
        if not environment.is_python:
            yield Case(environment, "promises", 50)
            continue
        yield Case(environment, "sync", 70)
        if environment.name != "py-0.4.24":
            yield Case(environment, "async", 68)


CASES = list(cases())


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Where the one server is: without a token, and with it."""
    log = tmp_path_factory.mktemp("clients") / "server.log"
    command = [sys.executable, "-W", "error", str(HERE / "serve.py"), str(log.parent / "store"), TOKEN]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().split()
        server.stdin.close()
        status = server.wait(timeout=60)
    assert (status, log.read_text(encoding="utf-8")) == (0, ""), "the server complained"


Reports = dict[str, "concurrent.futures.Future[list[dict[str, Any]]]"]


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest, addresses: list[str]) -> Iterator[Reports]:
    """Start the chosen clients; their reports come in later."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function) and "reports" in item.fixturenames]
    chosen = [cast("Case", item.callspec.params["case"]) for item in functions]
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        yield {str(case): threads.submit(report, case, addresses) for case in chosen}
        threads.shutdown(cancel_futures=True)


def report(case: Case, addresses: list[str]) -> list[dict[str, Any]]:
    """Let a client do all its checks."""
    case.environment.make()
    given = [*addresses, TOKEN, f"tenant ü {uuid.uuid4().hex[:8]}"]
    if case.environment.is_python:
        command = [str(case.environment.python), str(HERE / "check.py"), *given, case.mode]
    else:
        command = ["node", str(HERE / "check.mjs"), str(case.environment.folder), *given]
    quiet = {"ANONYMIZED_TELEMETRY": "False", "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | quiet
    done = subprocess.run(command, env=environment, check=False, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_official_client(case: Case, reports: Reports) -> None:
    try:
        results = reports[str(case)].result()
    except UnavailableError as error:
        if "CI" in os.environ and not isinstance(error, OtherPythonError):
            raise
        pytest.skip(str(error))
    failed = [f"{each['name']}\n{each['detail']}" for each in results if not each["ok"]]
    assert not failed, "\n".join(failed)
    assert len(results) >= case.least
    assert [name for name, times in Counter(each["name"] for each in results).items() if times > 1] == []
