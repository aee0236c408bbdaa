"""Who serves, how it is asked for, and what is said when nobody answers: a real Jupyter server, real kernels."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.extension.conftest import BASE, SERVE
from tests.extension.rig import Jupyter, Kernel
from tests.extension.upstream import content_of_record, write_record

WAIT = 60.0


@pytest.fixture(scope="module")
def other(jupyter: Jupyter) -> Kernel:
    """Start a kernel that serves nothing yet."""
    return jupyter.kernel("other.ipynb")


def error(response: httpx.Response) -> str:
    """Return the message of a refusal, which has Chroma's shape."""
    body = response.json()
    assert set(body) == {"error", "message"}
    assert response.headers["content-type"].startswith("application/json")
    return str(body["message"])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_server_is_announced_to_kernels(jupyter: Jupyter) -> None:
    folder = jupyter.runtime / "chroma_nb"
    record = folder / f"server-{jupyter.process.pid}.json"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert record.stat().st_mode & 0o777 == 0o600
    written = json.loads(record.read_text())
    assert written["schema"] == 1
    assert written["pid"] == jupyter.process.pid
    assert written["url"] == jupyter.url
    assert written["base_url"] == BASE
    assert jupyter.token not in record.read_text()


def test_kernels_that_serve_are_listed(jupyter: Jupyter, kernel: Kernel, other: Kernel) -> None:
    listed = jupyter.ask("GET", "chroma-nb/servers").raise_for_status().json()
    assert other.id not in [each["kernel_id"] for each in listed]
    (found,) = (each for each in listed if each["kernel_id"] == kernel.id)
    assert found.pop("started") < "3"
    assert found == {
        "kernel_id": kernel.id,
        "url": f"{BASE}chroma-nb/k/{kernel.id}",
        "notebook": kernel.notebook,
        "name": kernel.notebook.rpartition("/")[2],
        "state": "serving",
        "place": ":memory:",
        "read_only": False,
        "version": "0.1.0",
    }
    assert jupyter.ask("HEAD", "chroma-nb/servers").status_code == 200


@pytest.mark.parametrize("port", ["", ":8000"])
@pytest.mark.parametrize("route", ["k/{id}", "s/sub/a%20%C3%BC%2050%25%402.ipynb", "s/sub/a%20%C3%BC%2050%25@2.ipynb", "default"])
def test_every_way_leads_to_the_kernel(jupyter: Jupyter, kernel: Kernel, route: str, port: str) -> None:
    path = f"chroma-nb/{route.format(id=kernel.id)}{port}"
    said = jupyter.ask("POST", f"{path}/api/v2/a%2Fb/%C3%BC@?x=%20&y=1&z", json={"a": 1}).raise_for_status().json()
    assert said["method"] == "POST"
    assert said["target"] == "/api/v2/a%2Fb/%C3%BC@?x=%20&y=1&z"
    assert said["size"] == len(b'{"a":1}')
    assert jupyter.ask("GET", f"{path}/api/v1/heartbeat").raise_for_status().json()["target"] == "/api/v1/heartbeat"
    assert jupyter.ask("GET", path).raise_for_status().json()["target"] == "/"


def test_every_spelling_of_the_base_url_is_taken(jupyter: Jupyter, api: str) -> None:
    encoded = jupyter.url.replace("a@b", "a%40b") + api
    assert httpx.get(encoded, headers=jupyter.headers, trust_env=False).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_verb_passes(jupyter: Jupyter, api: str, method: str) -> None:
    assert jupyter.ask(method, f"{api}/x").raise_for_status().json()["method"] == method


def test_head_is_the_head_of_get(jupyter: Jupyter, api: str) -> None:
    response = jupyter.ask("HEAD", f"{api}/x")
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 100
    assert response.content == b""


@pytest.mark.parametrize("code", [200, 204, 304, 400, 404, 422, 500, 503])
def test_a_kernels_status_is_the_reply(jupyter: Jupyter, api: str, code: int) -> None:
    response = jupyter.ask("GET", f"{api}/status?code={code}")
    assert response.status_code == code
    assert response.content == b""


def test_a_kernel_that_does_not_serve_says_how_to(jupyter: Jupyter, other: Kernel) -> None:
    response = jupyter.ask("GET", f"chroma-nb/k/{other.id}/api/v2")
    assert response.status_code == 404
    assert "chroma_nb.serve()" in error(response)
    response = jupyter.ask("GET", "chroma-nb/s/other.ipynb/api/v2")
    assert response.status_code == 404
    assert "chroma_nb.serve()" in error(response)


def test_an_unknown_kernel_or_notebook_is_not_found(jupyter: Jupyter, kernel: Kernel) -> None:
    strange = kernel.id[::-1]
    write_record(jupyter.runtime, content_of_record(strange, port=int(jupyter.url.split(":")[2].partition("/")[0])))
    for path in (f"k/{strange}/api/v2", "k/x/api/v2", "s/none.ipynb/api/v2", "s/", f"k/{kernel.id}/other", "nothing", ""):
        response = jupyter.ask("GET", f"chroma-nb/{path}")
        assert response.status_code == 404
        assert error(response)
    assert strange not in jupyter.ask("GET", "chroma-nb/servers").text


def test_two_that_serve_are_a_choice(jupyter: Jupyter, kernel: Kernel) -> None:
    second = jupyter.kernel("second.ipynb")
    second.run(SERVE)
    response = jupyter.ask("GET", "chroma-nb/default/api/v2")
    assert response.status_code == 409
    assert kernel.id in error(response)
    assert "second.ipynb" in error(response)
    second.shutdown()
    assert jupyter.ask("GET", "chroma-nb/default/api/v2").status_code == 200
    assert jupyter.ask("GET", f"chroma-nb/k/{second.id}/api/v2").status_code == 404


def test_none_that_serves_says_how_to(tmp_path: Path) -> None:
    with Jupyter.started(tmp_path, config={"ChromaNB": {"timeout": 1.0}}) as jupyter:
        response = jupyter.ask("GET", "chroma-nb/default/api/v2")
        assert response.status_code == 404
        assert "chroma_nb.serve()" in error(response)
        _a_kernel_that_gives_no_answer(jupyter)
        record = jupyter.runtime / "chroma_nb" / f"server-{jupyter.process.pid}.json"
        assert record.exists()
    assert not record.exists()


def _a_kernel_that_gives_no_answer(jupyter: Jupyter) -> None:
    kernel = jupyter.kernel()
    kernel.run(SERVE)
    response = jupyter.ask("GET", "chroma-nb/default/api/v2/slow?silent=1&seconds=3")
    assert response.status_code == 504
    assert "busy" in error(response)
    assert jupyter.ask("GET", "chroma-nb/default/api/v2/slow?seconds=3").status_code == 200  # it says something all the time


def test_a_server_that_stopped_and_one_in_its_place(jupyter: Jupyter, other: Kernel) -> None:
    path = f"chroma-nb/k/{other.id}/api/v2/x"
    for where in ("", "tcp=True"):
        other.run(f"{SERVE[:-1]}{where})")
        assert jupyter.ask("GET", path).status_code == 200
        other.run("upstream.stop()")
        response = jupyter.ask("GET", f"{path}?again")
        assert response.status_code in (404, 502)
        assert "serve()" in error(response)
    other.run(SERVE)
    assert jupyter.ask("GET", f"{path}?new").status_code == 200
    assert json.loads(other.run("import json; print(json.dumps([each['target'] for each in upstream.seen]))")) == ["/api/v2/x?new"]


def test_a_kernel_that_was_restarted_or_killed_is_gone_until_it_serves_again(jupyter: Jupyter, other: Kernel) -> None:
    path = f"chroma-nb/k/{other.id}/api/v2/x"
    for end in ("restart", "kill"):
        other.run(SERVE)
        assert jupyter.ask("GET", path).status_code == 200
        pid = other.pid
        if end == "kill":
            other.disconnect()
            os.kill(pid, signal.SIGKILL)
        else:
            other.restart()
        until(lambda: jupyter.ask("GET", path).status_code == 410)
        assert "serve()" in error(jupyter.ask("GET", path))
        listed = jupyter.ask("GET", "chroma-nb/servers").json()
        assert [each["state"] for each in listed if each["kernel_id"] == other.id] == ["gone"]
        until(lambda: _idle(jupyter, other))
    other.run(SERVE)
    assert jupyter.ask("GET", path).status_code == 200


def _idle(jupyter: Jupyter, kernel: Kernel) -> bool:
    return bool(jupyter.ask("GET", f"api/kernels/{kernel.id}").json()["execution_state"] in ("idle", "starting"))


def test_records_of_the_dead_are_removed_and_others_stay(jupyter: Jupyter) -> None:
    dead = 2**22 + 5
    left, foreign = Path(tempfile.mkdtemp(prefix="cnb-")), Path(tempfile.mkdtemp())
    sockets = []
    for number, folder in enumerate((left, foreign)):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(folder / "s"))
        address = {"socket": str(folder / "s"), "host": None, "port": None}
        sockets.append(write_record(jupyter.runtime, content_of_record(f"a-a-a-{number}-socket", pid=dead, **address)))
    gone = write_record(jupyter.runtime, content_of_record("a-a-a-a-dead", pid=dead))
    server = write_record(jupyter.runtime, {"schema": 1, "pid": dead, "machine": content_of_record("x")["machine"]}, f"server-{dead}.json")
    elsewhere = write_record(jupyter.runtime, content_of_record("a-a-a-a-elsewhere", pid=dead, machine="another"))
    living = write_record(jupyter.runtime, content_of_record("a-a-a-a-living"))
    stranger = write_record(jupyter.runtime, b"{}", "notes.json")
    jupyter.ask("GET", "chroma-nb/servers").raise_for_status()
    assert [path.exists() for path in (gone, server, elsewhere, living, stranger)] == [False, False, True, True, True]
    assert [path.exists() for path in (*sockets, left, foreign / "s")] == [False, False, False, True]
    shutil.rmtree(foreign)
