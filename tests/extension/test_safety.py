"""Nothing but this user's own kernels is ever connected to, whatever a record or a path says."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.extension.conftest import BASE
from tests.extension.decoy import Decoy
from tests.extension.rig import Jupyter, Kernel
from tests.extension.upstream import content_of_record, write_record

MINE = "3f182048-649e-459d-944d-003ed280b6d4"


def test_a_true_record_leads_to_its_server(jupyter: Jupyter, idle: Kernel, decoy: Decoy) -> None:
    for address in ({"port": decoy.port}, {"socket": decoy.path, "host": None, "port": None}):
        path = write_record(jupyter.runtime, content_of_record(idle.id, **address))
        assert jupyter.ask("GET", f"chroma-nb/k/{idle.id}/api/v2").json() == {}
        path.unlink()
    assert decoy.calls == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "localhost"},
        {"host": "0.0.0.0"},
        {"host": "127.0.0.2"},
        {"host": "127.1"},
        {"host": "::ffff:127.0.0.1"},
        {"host": "127.0.0.1@127.0.0.1"},
        {"host": "127.0.0.1/"},
        {"host": "10.0.0.1"},
        {"host": ["127.0.0.1"]},
        {"host": None},
        {"port": "PORT"},
        {"port": True},
        {"port": 0},
        {"port": 65_536},
        {"port": 1.5},
        {"socket": "DECOY"},  # besides host and port
        {"socket": "relative", "host": None, "port": None},
        {"socket": "DECOY\0x", "host": None, "port": None},
        {"socket": "/etc/passwd", "host": None, "port": None},
        {"socket": "/nowhere/at/all", "host": None, "port": None},
        {"socket": ["DECOY"], "host": None, "port": None},
        {"kernel_id": MINE},
        {"schema": 2},
        {"schema": None},
        {"secret": ""},
        {"secret": "x" * 20 + "\r\nHost: evil"},
        {"secret": None},
        {"nonce": "../../x"},
        {"pid": "1"},
        {"pid": -1},
        {"pid": 2**40},
        {"pid": 2**22 + 5},
        {"read_only": "no"},
        {"place": None},
        {"padding": "x" * (1 << 16)},
    ],
    ids=repr,
)
def test_a_record_that_says_something_else_leads_nowhere(
    jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Callable[[], None], changes: dict[str, Any]
) -> None:
    said = {"port": decoy.port, **changes}
    for name, value in said.items():
        if value == "PORT":
            said[name] = str(decoy.port)
        elif isinstance(value, str):
            said[name] = value.replace("DECOY", decoy.path)
    write_record(jupyter.runtime, content_of_record(idle.id, **said), f"kernel-{idle.id}.json")
    refused()
    assert decoy.calls == 0


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"7", b"{", b"\xff\xfe", b'{"schema": 1}', b"[" * 60_000], ids=lambda content: repr(content[:20])
)
def test_a_record_that_is_none_leads_nowhere(jupyter: Jupyter, idle: Kernel, refused: Callable[[], None], content: bytes) -> None:
    write_record(jupyter.runtime, content, f"kernel-{idle.id}.json")
    refused()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o700 | 0o001])
def test_a_record_that_others_may_touch_leads_nowhere(
    jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Callable[[], None], mode: int
) -> None:
    write_record(jupyter.runtime, content_of_record(idle.id, port=decoy.port), mode=mode)
    refused()
    assert decoy.calls == 0


def test_a_record_elsewhere_leads_nowhere(
    jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Callable[[], None], tmp_path: Path
) -> None:
    path = jupyter.runtime / "chroma_nb" / f"kernel-{idle.id}.json"
    real = write_record(tmp_path, content_of_record(idle.id, port=decoy.port), "real.json")
    for target in (real, Path("/dev/zero"), tmp_path):
        path.symlink_to(target)
        refused()
        path.unlink()
    os.mkfifo(path, 0o600)
    refused()
    path.unlink()
    path.mkdir(0o700)
    refused()
    path.rmdir()
    assert decoy.calls == 0


def test_a_socket_through_a_link_leads_nowhere(
    jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Callable[[], None], tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(decoy.path)
    write_record(jupyter.runtime, content_of_record(idle.id, socket=str(tmp_path / "link"), host=None, port=None))
    refused()
    assert decoy.calls == 0


def test_a_folder_that_others_may_touch_leads_nowhere(jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Callable[[], None]) -> None:
    folder = jupyter.runtime / "chroma_nb"
    write_record(jupyter.runtime, content_of_record(idle.id, port=decoy.port))
    for mode in (0o755, 0o770, 0o701):
        folder.chmod(mode)
        refused()
    folder.chmod(0o700)
    aside = folder.rename(folder.with_name("aside"))
    folder.symlink_to(aside)
    refused()
    folder.unlink()
    aside.rename(folder)
    assert decoy.calls == 0


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only the administrator can make a file somebody else's")
def test_what_belongs_to_somebody_else_leads_nowhere(jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Callable[[], None]) -> None:
    path = write_record(jupyter.runtime, content_of_record(idle.id, port=decoy.port))
    for theirs in (path, path.parent):
        os.chown(theirs, 12_345, -1)
        refused()
        os.chown(theirs, os.getuid(), -1)
    write_record(jupyter.runtime, content_of_record(idle.id, socket=decoy.path, host=None, port=None))
    os.chown(decoy.path, 12_345, -1)
    refused()
    assert decoy.calls == 0


@pytest.mark.parametrize(
    "path",
    [
        "k/{id}/../../../../etc/passwd",
        "k/{id}/%2e%2e/%2e%2e/api/kernels",
        "k/{id}/api/v2/..%2f..%2f",
        "k/{id}/api/v2/%00",
        "k/{id}//127.0.0.1:{port}/api/v2",
        "k/{id}/http://127.0.0.1:{port}/api/v2",
        "k/{id}@127.0.0.1:{port}/api/v2",
        "k/{id}%40127.0.0.1:{port}/api/v2",
        "k/127.0.0.1:{port}/api/v2",
        "k/..%2Fkernel-{id}/api/v2",
        "k/%2e%2e/k/{id}/api/v2",
        "s/..%2Fidle.ipynb/api/v2",
        "s/http://127.0.0.1:{port}/api/v2",
        "default:{port}@127.0.0.1/api/v2",
        "default/api/v2\\..\\..",
        "{port}/api/v2",
    ],
)
def test_a_path_leads_nowhere_but_into_the_api(jupyter: Jupyter, idle: Kernel, decoy: Decoy, path: str) -> None:
    record = write_record(jupyter.runtime, content_of_record(idle.id, socket=decoy.path, host=None, port=None))
    try:
        for written in (f"{BASE}chroma-nb/{path}", f"http://127.0.0.1:{{port}}{BASE}chroma-nb/k/{{id}}/api/v2"):
            assert _status(jupyter, written.format(id=idle.id, port=decoy.port)) in (400, 403, 404)
        assert decoy.calls == 0
    finally:
        record.unlink()


def test_a_port_in_the_path_means_nothing(jupyter: Jupyter, idle: Kernel, decoy: Decoy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.2)
        record = write_record(jupyter.runtime, content_of_record(idle.id, socket=decoy.path, host=None, port=None))
        for route in (f"k/{idle.id}", "s/idle.ipynb", "default"):
            assert jupyter.ask("GET", f"chroma-nb/{route}:{other.getsockname()[1]}/api/v2").json() == {}
        with pytest.raises(TimeoutError):
            other.accept()
        record.unlink()
    assert decoy.calls == 3


def _status(jupyter: Jupyter, target: str) -> int:
    """Send a request whose first line is exactly this; return the reply's status."""
    parts = urlsplit(jupyter.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        headers = f"Host: {parts.netloc}\r\nAuthorization: token {jupyter.token}\r\nConnection: close\r\n\r\n"
        connection.sendall(f"GET {target} HTTP/1.1\r\n{headers}".encode())
        return int(connection.makefile("rb").readline().split()[1])
