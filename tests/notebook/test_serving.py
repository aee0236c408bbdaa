"""What `serve` does in a kernel of a real Jupyter server: how it listens, what it writes down, when it takes that back."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chroma_nb import chromadb
from tests.extension.rig import Jupyter, Kernel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="unix sockets and modes")
TENANT = "api/v2/tenants/default_tenant"


def record_of(kernel: Kernel) -> dict[str, Any] | None:
    path = kernel.jupyter.runtime / "chroma_nb" / f"kernel-{kernel.id}.json"
    return json.loads(path.read_text()) if path.exists() else None


def recorded(kernel: Kernel) -> dict[str, Any]:
    found = record_of(kernel)
    assert found is not None
    return found


def value(kernel: Kernel, code: str) -> Any:
    """Return the value of an expression in a kernel."""
    return json.loads(kernel.run(f"import json; print(json.dumps({code}))"))


def serve(kernel: Kernel, arguments: str = "", name: str = "server") -> None:
    kernel.run(f"import chroma_nb; {name} = chroma_nb.serve({arguments})")


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


class TestListening:
    """Only the user's own programs get at the socket, and only with the secret."""

    def test_on_a_private_socket(self, kernel: Kernel) -> None:
        serve(kernel)
        record = recorded(kernel)
        path = record["socket"]
        assert (mode(path), mode(Path(path).parent), record["host"], record["port"]) == (0o600, 0o700, None, None)
        assert (
            value(kernel, "[server.socket_path, server.host, server.port, server.local_url, server.local_headers]") == [path] + [None] * 4
        )
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://any.name") as direct:
            assert direct.get("/api/v2/heartbeat").status_code == 200
            assert direct.get(f"/{TENANT}").status_code == 401
            assert direct.get(f"/{TENANT}", headers={"X-Chroma-Token": record["secret"] + "x"}).status_code == 401
            assert direct.get(f"/{TENANT}", headers={"X-Chroma-Token": record["secret"]}).json() == {"name": "default_tenant"}

    def test_on_a_port_when_one_is_asked_for(self, kernel: Kernel) -> None:
        serve(kernel, "port=0, token='a token of one`s own'.replace(' ', '-')")
        record = recorded(kernel)
        url, headers = value(kernel, "[server.local_url, server.local_headers]")
        assert (record["socket"], record["host"], url) == (None, "127.0.0.1", f"http://127.0.0.1:{record['port']}")
        assert headers == {"X-Chroma-Token": "a-token-of-one`s-own"}
        assert httpx.get(f"{url}/{TENANT}", headers=headers).status_code == 200
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200

    def test_for_everyone_is_announced_too(self, kernel: Kernel) -> None:
        serve(kernel, "token=None")
        assert httpx.get(f"{value(kernel, 'server.local_url')}/{TENANT}").status_code == 200
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200

    @pytest.mark.parametrize("token", ["short", "long" * 200])
    def test_with_a_token_that_jupyter_does_not_take_is_not_announced(self, kernel: Kernel, token: str) -> None:
        serve(kernel, f"token={token!r}")
        assert record_of(kernel) is None
        assert "shorter than 16 characters" in kernel.run("server.advice")
        assert value(kernel, "server.url == server.local_url")

    def test_where_no_folder_is_short_enough(self, kernel: Kernel, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 90)
        deep.mkdir()
        code = "import os, tempfile; os.environ.pop('XDG_RUNTIME_DIR', None); kept, tempfile.tempdir = tempfile.tempdir, {!r}"
        kernel.run(code.format(str(deep)))
        try:
            serve(kernel)
        finally:
            kernel.run("tempfile.tempdir = kept")
        assert recorded(kernel)["socket"].startswith("/tmp/cnb-")
        assert list(deep.iterdir()) == []


class TestAnnouncement:
    """The record is there exactly while the server that it names serves."""

    def test_says_what_the_extension_needs(self, kernel: Kernel, tmp_path: Path) -> None:
        serve(kernel, f"{str(tmp_path / 'store')!r}, read_only=True")
        record = recorded(kernel)
        folder = kernel.jupyter.runtime / "chroma_nb"
        assert (mode(folder), mode(folder / f"kernel-{kernel.id}.json")) == (0o700, 0o600)
        assert (record["schema"], record["kernel_id"], record["pid"]) == (1, kernel.id, kernel.pid)
        assert (record["place"], record["read_only"]) == (str(tmp_path / "store"), True)
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []

    def test_ends_with_the_server(self, kernel: Kernel) -> None:
        serve(kernel)
        path = recorded(kernel)["socket"]
        kernel.run("server.stop()")
        assert record_of(kernel) is None
        assert not Path(path).parent.exists()
        assert "stopped" in kernel.run("server")

    def test_ends_with_the_kernel(self, jupyter: Jupyter) -> None:
        kernel = jupyter.kernel("shutdown.ipynb")
        serve(kernel)
        path = recorded(kernel)["socket"]
        kernel.shutdown()
        eventually(lambda: record_of(kernel) is None and not Path(path).parent.exists())

    def test_a_cell_that_is_run_again(self, kernel: Kernel) -> None:
        serve(kernel, name="first")
        nonce = recorded(kernel)["nonce"]
        serve(kernel, name="second")
        assert value(kernel, "first is second")
        assert recorded(kernel)["nonce"] == nonce

    def test_is_written_anew_when_someone_removed_it(self, kernel: Kernel) -> None:
        serve(kernel)
        (kernel.jupyter.runtime / "chroma_nb" / f"kernel-{kernel.id}.json").unlink()
        serve(kernel)
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200

    def test_is_left_alone_when_it_is_another_server_s(self, kernel: Kernel) -> None:
        serve(kernel)
        path = kernel.jupyter.runtime / "chroma_nb" / f"kernel-{kernel.id}.json"
        others = {**recorded(kernel), "nonce": "ab" * 16}
        path.write_text(json.dumps(others))
        kernel.run("server.stop()")
        assert recorded(kernel) == others
        path.unlink()

    def test_the_latest_of_two_has_the_address(self, kernel: Kernel, tmp_path: Path) -> None:
        serve(kernel, repr(str(tmp_path / "one")), "one")
        url = value(kernel, "one.url")
        serve(kernel, repr(str(tmp_path / "two")), "two")
        assert (recorded(kernel)["place"], value(kernel, "two.url")) == (str(tmp_path / "two"), url)
        # Nobody may take the one store for the other.
        code = "try:\n    one.url\nexcept chroma_nb.errors.ServerUnreachableError as error:\n    print(error)"
        assert f"leads to the later server of {tmp_path / 'two'}" in kernel.run(code)
        assert "running" in kernel.run("one")
        kernel.run("two.stop()")
        assert (recorded(kernel)["place"], value(kernel, "one.url")) == (str(tmp_path / "one"), url)
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200
        kernel.run("one.stop()")
        assert record_of(kernel) is None

    def test_the_earlier_of_two_stops_first(self, kernel: Kernel, tmp_path: Path) -> None:
        serve(kernel, repr(str(tmp_path / "one")), "one")
        serve(kernel, repr(str(tmp_path / "two")), "two")
        kernel.run("one.stop()")
        assert recorded(kernel)["place"] == str(tmp_path / "two")
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200

    def test_the_earlier_of_two_keeps_its_port(self, kernel: Kernel, tmp_path: Path) -> None:
        serve(kernel, f"{str(tmp_path / 'one')!r}, port=0", "one")
        serve(kernel, repr(str(tmp_path / "two")), "two")
        assert value(kernel, "one.url == one.local_url")
        assert httpx.get(f"{value(kernel, 'one.url')}/{TENANT}", headers=value(kernel, "one.headers")).status_code == 200

    def test_asking_for_the_earlier_again_gives_it_the_address(self, kernel: Kernel, tmp_path: Path) -> None:
        serve(kernel, repr(str(tmp_path / "one")), "one")
        serve(kernel, repr(str(tmp_path / "two")), "two")
        serve(kernel, repr(str(tmp_path / "one")), "again")
        assert value(kernel, "again is one")
        assert recorded(kernel)["place"] == str(tmp_path / "one")

    def test_a_forked_child_neither_takes_it_back_nor_makes_one(self, kernel: Kernel) -> None:
        serve(kernel)
        before = recorded(kernel)
        kernel.run(
            "import os, warnings; warnings.simplefilter('ignore'); from chroma_nb.publishing import find_way\n"
            "ours, theirs = os.pipe(); child = os.fork()\n"
            "if not child:\n"
            "    server.stop(); os.write(theirs, str([server.running, find_way().home]).encode()); os._exit(0)\n"
            "os.waitpid(child, 0)"
        )
        assert kernel.run("print(os.read(ours, 100).decode())") == "[False, None]\n"
        assert recorded(kernel) == before
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200

    def test_after_a_restart(self, jupyter: Jupyter) -> None:
        kernel = jupyter.kernel("restart.ipynb")
        serve(kernel)
        before, url = recorded(kernel), value(kernel, "server.url")
        kernel.restart()
        serve(kernel)
        assert value(kernel, "server.url") == url
        assert recorded(kernel)["nonce"] != before["nonce"]
        kernel.shutdown()

    def test_what_a_killed_kernel_left_is_cleared_away_when_nobody_asks_for_it_any_more(self, jupyter: Jupyter, kernel: Kernel) -> None:
        killed = jupyter.kernel("killed.ipynb")
        serve(killed)
        left = recorded(killed)
        killed.disconnect()
        os.kill(left["pid"], signal.SIGKILL)
        alive = Path(f"/proc/{left['pid']}") if sys.platform == "linux" else None
        eventually(lambda: alive is None or not alive.exists())
        assert Path(left["socket"]).exists()
        foreign = jupyter.runtime / "chroma_nb" / "kernel-00000000-0000-4000-8000-000000000000.json"
        foreign.touch(0o600)
        foreign.write_text(json.dumps({**left, "machine": "another.machine"}))
        serve(kernel)
        assert jupyter.ask("GET", f"chroma-nb/k/{killed.id}/{TENANT}").status_code == 410
        killed.shutdown()
        jupyter.ask("GET", "chroma-nb/servers").raise_for_status()
        assert record_of(killed) is None
        assert not Path(left["socket"]).parent.exists()
        assert foreign.exists()
        assert recorded(kernel)["pid"] == kernel.pid
        foreign.unlink()


class TestAddress:
    """What the server says of itself leads to it."""

    def test_and_headers_are_what_a_client_needs(self, kernel: Kernel) -> None:
        serve(kernel)
        jupyter = kernel.jupyter
        url, headers = value(kernel, "[server.url, server.headers]")
        assert url == f"{jupyter.url}chroma-nb/k/{kernel.id}"
        assert headers == jupyter.headers
        assert httpx.get(f"{url}/{TENANT}", headers=headers).status_code == 200
        assert httpx.get(f"{url}/{TENANT}").status_code == 403
        with chromadb.HttpClient(host=url, headers=headers) as client:
            client.create_collection("docs", embedding_function=None).add(ids=["a"], embeddings=[[1.0, 2.0]])
        kernel.run("client = chroma_nb.EphemeralClient()")
        assert kernel.run("print(client.get_collection('docs').get().index.tolist()); client.delete_collection('docs')") == "['a']\n"

    def test_code_to_paste_works_elsewhere(self, kernel: Kernel) -> None:
        serve(kernel)
        python, curl = value(kernel, "[server.python(), server.curl()]")
        elsewhere = {**os.environ, "JUPYTER_TOKEN": kernel.jupyter.token}
        code = (
            f"import sys; from chroma_nb import chromadb; sys.modules['chromadb'] = chromadb\n{python}\nprint(client.count_collections())"
        )
        assert subprocess.run([sys.executable, "-c", code], env=elsewhere, check=True, capture_output=True, text=True).stdout == "0\n"
        # As a shell reads it, without needing curl here.
        program, *arguments = shlex.split(curl.replace("$JUPYTER_TOKEN", kernel.jupyter.token))
        assert (program, arguments[0]) == ("curl", "-H")
        name, _, shown = arguments[1].partition(": ")
        assert httpx.get(arguments[2], headers={name: shown}).json() == []

    def test_the_magic_serves_there_too(self, kernel: Kernel) -> None:
        kernel.run("%load_ext chroma_nb\nimport chroma_nb\nclient = chroma_nb.EphemeralClient()")
        assert f"{kernel.jupyter.url}chroma-nb/k/{kernel.id}', running" in kernel.run("%chroma serve")
        assert kernel.jupyter.ask("GET", f"chroma-nb/k/{kernel.id}/{TENANT}").status_code == 200
        assert "stopped" in kernel.run("%chroma stop")
        assert record_of(kernel) is None

    def test_no_token_is_shown_unasked(self, kernel: Kernel) -> None:
        serve(kernel)
        shown = kernel.run(
            "print(server, server._repr_html_(), server.python(), server.js(), server.curl(), server.url, vars(server.public))"
        )
        record = (kernel.jupyter.runtime / "chroma_nb" / f"kernel-{kernel.id}.json").read_text()
        assert "$JUPYTER_TOKEN" in shown
        for token in (kernel.jupyter.token, recorded(kernel)["secret"]):
            assert token not in shown
            assert token not in kernel.jupyter.log
        assert kernel.jupyter.token not in record
        for language in ("python", "js", "curl"):
            assert kernel.jupyter.token in kernel.run(f"print(server.{language}(show_token=True))")


class TestElsewhere:
    """Where Jupyter does not forward, it is the loopback server that it is anywhere, and says so."""

    def test_without_the_extension(self, tmp_path: Path) -> None:
        config = {"ServerApp": {"jpserver_extensions": {"chroma_nb_extension": False}}}
        with Jupyter.started(tmp_path, config=config) as jupyter:
            kernel = jupyter.kernel()
            kernel.run("import logging; logging.basicConfig(); logging.getLogger('chroma_nb.http').setLevel('INFO')")
            assert "pip install chroma-nb" in kernel.run("import chroma_nb; server = chroma_nb.serve()")
            assert record_of(kernel) is None
            shown = kernel.run("print(server.url == server.local_url, list(server.headers), server._repr_html_())")
            assert shown.startswith("True ['X-Chroma-Token']")
            assert "pip install chroma-nb" in shown
            assert value(kernel, "chroma_nb.HttpClient(server.url, headers=server.headers).count_collections()") == 0

    def test_where_jupyter_has_no_token(self, tmp_path: Path) -> None:
        with Jupyter.started(tmp_path, config={"IdentityProvider": {"token": ""}}) as jupyter:
            jupyter._client.headers.update({"Cookie": "_xsrf=ab", "X-XSRFToken": "ab"})  # what its own pages send
            kernel = jupyter.kernel()
            serve(kernel, "port=0")
            assert kernel.run("server.advice").startswith("'This Jupyter server has no token")
            made = {"name": "made"}
            refused = httpx.post(f"{value(kernel, 'server.url')}/api/v2/tenants", json=made, headers=value(kernel, "server.headers"))
            assert refused.status_code == 403
            near, headers = value(kernel, "[server.local_url, server.local_headers]")
            httpx.post(f"{near}/api/v2/tenants", json=made, headers=headers).raise_for_status()

    def test_where_records_cannot_be_private(self, kernel: Kernel, jupyter: Jupyter, tmp_path: Path) -> None:
        folder = jupyter.runtime / "chroma_nb"
        kept = folder.rename(tmp_path / "kept")
        folder.symlink_to(kept)
        try:
            serve(kernel)
            assert value(kernel, "server.url == server.local_url")
            assert "is not a folder of this user" in kernel.run("server.advice")
        finally:
            folder.unlink()
            kept.rename(folder)

    def test_behind_a_hub(self, tmp_path: Path) -> None:
        hub = {
            "JUPYTERHUB_SERVICE_PREFIX": "/hub/user/a%40b/",
            "JUPYTERHUB_PUBLIC_URL": "https://hub.example/hub/user/a%40b/",
            "JUPYTERHUB_API_TOKEN": "the Hub's",
        }
        with Jupyter.started(tmp_path, base_url="/hub/user/a%40b/", environment=hub) as jupyter:
            kernel = jupyter.kernel()
            serve(kernel)
            path = f"chroma-nb/k/{kernel.id}"
            assert value(kernel, "server.url") == f"https://hub.example/hub/user/a@b/{path}"
            assert f"'https://hub.example/hub/user/a%40b/{path}/api" in value(kernel, "server.curl()")
            javascript = f'{{ host: "hub.example/hub/user/a%40b/{path}", port: 443, ssl: true, headers: {{ "Authorization": `token ${{'
            assert javascript in value(kernel, "server.js()")
            # Programs of the same machine may not get out and in again; they are told the way that they have.
            near = next(word for word in value(kernel, "server.advice").split() if word.startswith("http"))
            assert near.startswith("http://127.0.0.1:")
            assert httpx.get(f"{near}/{TENANT}", headers=value(kernel, "server.headers")).status_code == 200
