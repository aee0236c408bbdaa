"""Jupyter's token, and the secret between kernel and Jupyter, are nowhere where somebody else could read them."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.notebook import Notebook
from tests.extension.rig import Jupyter

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes of files")
SHOW = """
import logging
logging.basicConfig(level=logging.DEBUG)
print(repr(server), str(server), server._repr_html_(), server.python(), server.js(), server.curl(), server.url, server.advice)
other = chroma_nb.HttpClient(server.url, headers=server.headers)
remote = other.get_collection("docs")
print(other, remote, other._repr_html_() if hasattr(other, "_repr_html_") else "", remote._repr_html_())
wrong = {
    "name": lambda: other.get_collection("none"),
    "dimension": lambda: remote.add(["new"], embeddings=[[1]]),
    "token": lambda: chroma_nb.HttpClient(server.url),
}
for call in wrong.values():
    try:
        call()
    except chroma_nb.errors.ChromaError as error:
        print(repr(error))
print("shown")
"""


@pytest.fixture
def secrets(jupyter: Jupyter, served: Notebook) -> list[str]:
    """Return what nobody may see: Jupyter's token, and the secret of the kernel's record."""
    record = jupyter.runtime / "chroma_nb" / f"kernel-{served.kernel.id}.json"
    return [jupyter.token, json.loads(record.read_text())["secret"]]


def test_files_of_kernel_and_server_are_the_users_own(jupyter: Jupyter, served: Notebook, secrets: list[str]) -> None:
    folder = jupyter.runtime / "chroma_nb"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {path.name for path in folder.iterdir()}
    assert {f"kernel-{served.kernel.id}.json", f"server-{jupyter.process.pid}.json"} <= names
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_uid == os.getuid()
        assert secrets[0] not in path.read_text()
    socket = Path(served.value("server.socket_path"))
    assert (stat.S_IMODE(socket.stat().st_mode), stat.S_IMODE(socket.parent.stat().st_mode)) == (0o600, 0o700)


def test_nothing_that_a_cell_shows_has_them(served: Notebook, secrets: list[str]) -> None:
    shown = served.run(SHOW)
    assert shown.endswith("shown\n")
    assert shown.count("Error(") == 3
    assert "JUPYTER_TOKEN" in shown
    for secret in secrets:
        assert secret not in shown


def test_no_address_and_no_page_has_them(jupyter: Jupyter, served: Notebook, secrets: list[str]) -> None:
    for path in ("servers", "ui", f"ui/collection?kernel={served.kernel.id}&name=docs", "default/openapi.json", "default/docs", "nowhere"):
        response = jupyter.ask("GET", f"chroma-nb/{path}")
        said = f"{response.headers} {response.text}"
        for secret in secrets:
            assert secret not in said


def test_no_log_has_them_however_they_were_sent(jupyter: Jupyter, served: Notebook, secrets: list[str]) -> None:
    url = f"{jupyter.url}{served.by_id}/api/v2/heartbeat"
    for written in (f"?token={jupyter.token}", f"?a=b&token={jupyter.token}&c", f"?%74oken={jupyter.token}"):
        assert httpx.get(url + written, trust_env=False).status_code == 200
        assert httpx.get(f"{url}/nowhere{written}", trust_env=False).status_code == 404
        assert httpx.get(f"{jupyter.url}chroma-nb/ui{written}", trust_env=False).status_code == 200
    for written in (f"?token={jupyter.token[:-1]}", f"?token={jupyter.token}0"):
        assert httpx.get(url + written, trust_env=False).status_code == 403
        assert httpx.get(f"{jupyter.url}chroma-nb/ui{written}", trust_env=False).status_code == 302
    assert "nowhere" in jupyter.log  # it says what is asked ...
    for secret in secrets:
        assert secret not in jupyter.log  # ... but not by whom
    assert not re.findall(r"token=\w", jupyter.log)
    for path in jupyter.folder.rglob("*.log"):
        assert secrets[1] not in path.read_text(errors="replace")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at through /proc")
def test_no_process_has_them_among_its_arguments(secrets: list[str]) -> None:
    seen = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes()
        except OSError:
            continue
        seen += b"ipykernel_launcher" in arguments
        for secret in secrets:
            assert secret.encode() not in arguments
    assert seen
