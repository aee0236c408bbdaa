"""The command, as a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import chroma_nb

COMMAND = [sys.executable, "-c", "import sys; from chroma_nb.cli import main; sys.exit(main())"]
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and modes")


def done(*arguments: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([*(command or COMMAND), *arguments], capture_output=True, text=True, timeout=60, check=False)


class Running:
    """A server that the command runs, once it has said where."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.said = process.stdout.readline()
        found = re.search(r"http://\S+", self.said)
        assert found, (self.said, process.communicate(timeout=30))
        self.url = found.group()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the status and what stderr has."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Running]:
    """Start ``chroma-nb run`` on a free port."""
    process = subprocess.Popen([*COMMAND, "run", "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate(timeout=30)


def make(url: str, **headers: str) -> httpx.Response:
    return httpx.post(url + COLLECTIONS, json={"name": "docs"}, headers=headers)


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command said in one line what is wrong and what to do."""
    assert result.returncode == 2
    assert result.stderr.startswith("chroma-nb: ")
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert not result.stdout


def test_says_what_it_can_do() -> None:
    helped = done("--help")
    assert helped.returncode == 0
    assert "run" in helped.stdout
    assert "info" in helped.stdout
    options = done("run", "--help").stdout
    assert all(
        f"--{name}" in options
        for name in (
            "path",
            "host",
            "port",
            "token-file",
            "no-token",
            "allow-reset",
            "read-only",
            "trust-caches",
            "allow-origin",
            "host-name",
        )
    )
    assert done("--version").stdout.strip() == f"chroma-nb {chroma_nb.__version__}"
    assert done().returncode == 2


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_and_keeps_everything(tmp_path: Path, number: signal.Signals) -> None:
    with running("--path", str(tmp_path / "store")) as server, httpx.Client(base_url=server.url) as client:
        assert str(tmp_path / "store") in server.said
        found = client.post(COLLECTIONS, json={"name": "docs"}).json()["id"]
        assert client.post(f"{COLLECTIONS}/{found}/add", json={"ids": ["a", "b"], "embeddings": [[1, 2], [3, 4]]}).status_code == 201
        assert server.end(number) == (0, "")  # with the client's connection still open
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/api/v2/heartbeat")
    with chroma_nb.PersistentClient(tmp_path / "store") as client:
        assert client.get_collection("docs").count() == 2
    assert not (tmp_path / "store" / "chroma_nb.sqlite3-wal").exists()


@POSIX
def test_ends_while_a_client_sends(tmp_path: Path) -> None:
    with running("--path", str(tmp_path)) as server:
        url = httpx.URL(server.url)
        with socket.create_connection((url.host, url.port)) as half:
            half.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
            assert server.end() == (0, "")


def test_lets_everyone_of_this_machine_in_and_no_web_page(tmp_path: Path) -> None:
    with running("--path", str(tmp_path)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert "no token" in server.said
        assert make(server.url).status_code == 200
        assert make(server.url, host="evil.example").status_code == 421
        assert make(server.url, origin="http://evil.example").status_code == 403
        assert httpx.post(server.url + "/api/v2/reset").status_code == 403


def test_does_what_its_options_say(tmp_path: Path) -> None:
    allowed = (
        "--allow-reset",
        "--allow-origin",
        "http://localhost:5173",
        "--allow-origin",
        "http://page.example/",
        "--host-name",
        "Notebook.lan",
    )
    with running("--path", str(tmp_path), *allowed) as server:
        assert make(server.url, host="notebook.lan:99").status_code == 200
        for origin in ("http://localhost:5173", "http://page.example"):
            assert httpx.get(server.url + "/api/v2/version", headers={"origin": origin}).headers["access-control-allow-origin"] == origin
        assert httpx.post(server.url + "/api/v2/reset").json() is True


@POSIX
def test_token_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with running("--path", str(tmp_path / "store"), "--token-file", str(file)) as server:
        token = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert make(server.url).status_code == 401
        assert make(server.url, authorization=f"Bearer {token}").status_code == 200
        status, errors = server.end()
        assert (status, errors) == (0, "")
        assert str(file) in server.said
        assert token not in server.said
    file.write_text("my-own-token\n")
    file.chmod(0o644)
    with running("--path", str(tmp_path / "store"), "--token-file", str(file)) as server:
        assert httpx.get(server.url + COLLECTIONS, headers={"x-chroma-token": "my-own-token"}).status_code == 200
        status, errors = server.end()
        assert status == 0
        assert "chmod 600" in errors
        assert "my-own-token" not in errors + server.said


@POSIX
def test_asks_for_a_token_when_the_network_can_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = tmp_path / "store"
    store.mkdir()
    (store / "server.token").write_text("known-to-whoever-made-the-store")
    with running("--path", str(store), "--host", "0.0.0.0") as server:
        (file,) = (tmp_path / "state" / "chroma_nb").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert str(file) in server.said
        token = file.read_text().strip()
        assert make(server.url).status_code == 401
        assert make(server.url, **{"x-chroma-token": "known-to-whoever-made-the-store"}).status_code == 401
        assert make(server.url, **{"x-chroma-token": token, "host": "192.168.7.7:8000"}).status_code == 200
        assert make(server.url, **{"x-chroma-token": token, "host": "evil.example"}).status_code == 421
    with running("--path", str(store), "--host", "0.0.0.0") as server:
        assert file.read_text().strip() == token  # clients need not learn a new one at every start
    with running("--path", str(store), "--host", "0.0.0.0", "--no-token") as server:
        assert httpx.get(server.url + COLLECTIONS).status_code == 200


def test_for_reading_only(tmp_path: Path) -> None:
    refused(done("run", "--path", str(tmp_path / "nothing"), "--read-only"), "nothing", "no such folder")
    refused(done("run", "--path", str(tmp_path), "--read-only"), "no store there")
    assert list(tmp_path.iterdir()) == []
    with chroma_nb.PersistentClient(tmp_path) as client:
        client.create_collection("docs")
    with running("--path", str(tmp_path), "--read-only") as server:
        assert [found["name"] for found in httpx.get(server.url + COLLECTIONS).json()] == ["docs"]
        reply = make(server.url)
        assert reply.status_code == 403
        assert "read-only" in reply.json()["message"]


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(done("run", "--path", str(tmp_path), "--port", port), port, "another program", "another port")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "99999"], ["port", "65535"]),
        (["--host", "nowhere.invalid"], ["nowhere.invalid", "127.0.0.1"]),
        (["--token-file", "/no/such/folder/token"], ["/no/such/folder/token", "--token-file"]),
    ],
)
def test_options_that_lead_nowhere(tmp_path: Path, options: list[str], words: list[str]) -> None:
    refused(done("run", "--path", str(tmp_path / "store"), *options), *words)


def test_empty_token_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    refused(done("run", "--path", str(tmp_path / "store"), "--token-file", str(tmp_path / "token")), "is empty")


def test_path_that_is_no_store(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    refused(done("run", "--path", str(file)), "is a file")
    other = tmp_path / "other"
    other.mkdir()
    (other / "chroma.sqlite3").write_bytes(b"SQLite format 3\0")
    refused(done("run", "--path", str(other)), "Chroma's own format")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "chroma_nb.sqlite3").write_bytes(b"no database at all" * 1000)
    refused(done("run", "--path", str(damaged)), "chroma_nb.sqlite3")


def test_missing_extra(tmp_path: Path) -> None:
    without = [sys.executable, "-c", "import sys; sys.modules['uvicorn'] = None; from chroma_nb.cli import main; sys.exit(main())"]
    refused(done("run", "--path", str(tmp_path), command=without), "uvicorn", "pip install 'chroma-nb[server]'")
    assert done("--version", command=without).returncode == 0


def test_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chroma_nb.PersistentClient(tmp_path) as client:
        client.create_collection("empty")
        docs: Any = client.create_collection("docs", metadata={"hnsw:space": "cosine"})
        docs.add(ids=["a", "b"], embeddings=[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
    with chroma_nb.AdminClient(tmp_path) as admin:
        admin.create_tenant("odd\x1b[31mname")
        admin.create_database("base", tenant="odd\x1b[31mname")
    with chroma_nb.PersistentClient(tmp_path, tenant="odd\x1b[31mname", database="base") as client:
        client.create_collection("red")
    shown = done("info", str(tmp_path))
    assert (shown.returncode, shown.stderr) == (0, "")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0] == ["collection", "records", "dimension", "space", "database", "tenant"]
    assert ["docs", "2", "3", "cosine", "default_database", "default_tenant"] in rows
    assert ["empty", "0", "-", "l2", "default_database", "default_tenant"] in rows
    assert "\x1b" not in shown.stdout
    refused(done("info", str(tmp_path / "nothing")), "no such folder")


def test_info_into_a_pipe_that_closes(tmp_path: Path) -> None:
    with chroma_nb.PersistentClient(tmp_path) as client:
        client.create_collection("docs")
    process = subprocess.Popen([*COMMAND, "info", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(timeout=30)
