"""Nobody is led anywhere, and nothing is removed, by what somebody has put into the runtime folder."""

from __future__ import annotations

import contextlib
import html
import json
import os
import platform
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chroma_nb_extension.listeners import born
from chroma_nb_extension.records import Records
from tests.extension.decoy import Decoy
from tests.extension.rig import Jupyter, Kernel
from tests.extension.upstream import content_of_record, write_record

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes, modes and owners")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who listens")
root = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only the administrator can do this")
DEAD = 2**22 + 5

Refused = Callable[[], None]
UNIX = {"host": None, "port": None}

SAID: list[dict[str, Any]] = [
    *(
        {"secret": secret}
        for secret in (
            "x" * 15,
            "x" * 513,
            "x" * 20 + "\n",
            "x" * 20 + "\r\nA: b",
            "x" * 20 + " y",
            "é" * 20,
            "x" * 20 + "\0",
            7,
            ["x" * 20],
        )
    ),
    *({"nonce": nonce} for nonce in ("", "0" * 7, "0" * 129, "G" * 16, "0" * 16 + "\n", 7, None)),
    *({"pid": pid} for pid in (0, True, 1.0, "7", None, [7], DEAD, 2**31, 2**63, 10**4000, -(2**31))),
    *({"born": began} for began in ("1", -1, True, 1.5, 2**64, [1], 1)),
    *(
        {"host": host}
        for host in ("", "127.0.0.1 ", "127.0.0.1\n", "127.000.000.001", "0x7f.1", "2130706433", "[::1]", "::1%lo", "::", "169.254.169.254")
    ),
    *({"host": host} for host in ("127.0.0.1\0", "LOCALHOST", "localhost.", "192.168.0.1", "fe80::1", "example.org", 2130706433, {}, True)),
    *({"port": port} for port in (None, -1, 2**16, 2**64, "80", 80.0, "0", [80], False)),
    *({"version": version} for version in ("", "<b>1</b>", "1\n2", "1" * 65, 1, None)),
    *({"started": started} for started in ("", "<script>", "2026", "2026-01-01T00:00:00\n", "9" * 41, 5, None)),
    *({"place": place} for place in ("x" * 4097, 5, ["x"])),
    *({"read_only": given} for given in (0, 1, "true", None)),
    *({"schema": given} for given in (0, 2, "1", True + 1, [1], {})),
    *({"machine": given} for given in ("another", "", None, 5)),
    *({"kernel_id": given} for given in ("../../etc/passwd", "", None, "a-b-c-d-e")),
    *(
        {**UNIX, "socket": given}
        for given in ("", "/", "s", "./s", "~/s", "\0abstract", "/\ud800", "/" + "x" * 200, "/a\0b", 7, {}, ["/s"], True)
    ),
    *(
        {**UNIX, "socket": given}
        for given in ("{folder}/./decoy", "{folder}//decoy", "{folder}/../{name}/decoy", "{folder}/decoy/", "/..{folder}/decoy")
    ),
]

TRUE = json.dumps(content_of_record("ID", port=7))
RAW: dict[str, bytes] = {
    "nothing": b"",
    "UTF-16": TRUE.encode("utf-16"),
    "UTF-16, little end first": TRUE.encode("utf-16-le"),
    "UTF-32": TRUE.encode("utf-32"),
    "a mark before it": b"\xef\xbb\xbf" + TRUE.encode(),
    "a name twice": TRUE[:-1].encode() + b', "port": 8}',
    "a name twice, spelled otherwise": TRUE[:-1].encode() + b', "p\\u006frt": 8}',
    "not a number": TRUE[:-1].encode() + b', "more": NaN}',
    "an endless number": TRUE[:-1].encode() + b', "more": -Infinity}',
    "a long number": TRUE[:-1].encode() + b', "more": ' + b"1" * 60_000 + b"}",
    "deep lists": TRUE[:-1].encode() + b', "more": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "two of them": TRUE.encode() * 2,
    "something behind it": TRUE.encode() + b"x",
    "a zero behind it": TRUE.encode() + b"\0",
    "other quotes": TRUE.replace('"', "'").encode(),
    "broken text": TRUE[:-1].encode() + b', "more": "\xff"}',
    "too large": TRUE[:-1].encode() + b', "more": "' + b"x" * (1 << 16) + b'"}',
}


@pytest.fixture
def path(jupyter: Jupyter, idle: Kernel) -> Path:
    """Return where the idle kernel's record would be."""
    return jupyter.runtime / "chroma_nb" / f"kernel-{idle.id}.json"


@pytest.fixture
def private() -> Iterator[Path]:
    """Return a private folder whose path is short enough for a socket."""
    made = Path(f"/tmp/cnb-{secrets.token_hex(4)}")
    made.mkdir(0o700)
    yield made
    subprocess.run(["rm", "-rf", str(made)], check=True)


def test_what_it_says(jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Refused, path: Path) -> None:
    folder = Path(decoy.path).parent
    assert len(SAID) > 100
    for changes in SAID:
        said = {"port": decoy.port, **changes}
        if isinstance(said.get("socket"), str):
            said["socket"] = said["socket"].replace("{folder}", str(folder)).replace("{name}", folder.name)
        write_record(jupyter.runtime, content_of_record(idle.id, **said), path.name)
        assert jupyter.ask("GET", f"chroma-nb/k/{idle.id}/api/v2").status_code in (404, 410), changes
    refused()
    assert decoy.calls == 0


@pytest.mark.parametrize("kind", RAW)
def test_what_it_is_written_in(jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Refused, path: Path, kind: str) -> None:
    content = RAW[kind]
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        content = content.replace("ID".encode(encoding), idle.id.encode(encoding))
        content = content.replace('"port": 7'.encode(encoding), f'"port": {decoy.port}'.encode(encoding))
    write_record(jupyter.runtime, content, path.name)
    refused()
    assert decoy.calls == 0


def test_what_it_is(jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Refused, path: Path, tmp_path: Path) -> None:
    real = write_record(tmp_path, content_of_record(idle.id, port=decoy.port), "real.json")
    kinds: list[Callable[[], object]] = [
        lambda: path.symlink_to(real),
        lambda: path.symlink_to(os.path.relpath(real, path.parent)),
        lambda: path.symlink_to(path),
        lambda: path.symlink_to("/proc/self/fd/0"),
        lambda: path.hardlink_to(real),
        lambda: os.mkfifo(path, 0o600),
        lambda: path.mkdir(0o700),
        lambda: _bound(path),
        lambda: _sparse(path, 100 << 20),
        *((lambda: os.mknod(path, 0o020600, os.makedev(1, 5)),) if os.getuid() == 0 else ()),
    ]
    for make in kinds:
        with contextlib.suppress(PermissionError):
            make()
        refused()
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    assert decoy.calls == 0
    assert real.exists()


def _bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent) if sys.version_info >= (3, 11) else contextlib.nullcontext():
        made.bind(path.name)
    path.chmod(0o600)


def _sparse(path: Path, size: int) -> None:
    path.touch(0o600)
    os.truncate(path, size)


def test_where_its_socket_is(jupyter: Jupyter, idle: Kernel, refused: Refused, private: Path, tmp_path: Path) -> None:
    decoy = Decoy(private)
    inner = private / "inner"
    inner.mkdir(0o700)
    (private / "link").symlink_to(decoy.path)
    (private / "folder").symlink_to(private)
    (inner / "up").symlink_to(private.parent)
    (inner / "file").touch(0o600)
    os.mkfifo(inner / "pipe", 0o600)
    for place in (
        private / "link",
        private / "folder" / "decoy",
        inner / "up" / private.name / "decoy",
        inner / "file",
        inner / "pipe",
        inner,
    ):
        write_record(jupyter.runtime, content_of_record(idle.id, **UNIX, socket=str(place)))
        refused()
    write_record(jupyter.runtime, content_of_record(idle.id, **UNIX, socket=decoy.path))
    for mode in (0o755, 0o770, 0o777, 0o1777, 0o701):
        private.chmod(mode)
        write_record(jupyter.runtime, content_of_record(idle.id, **UNIX, socket=decoy.path))
        refused()
    assert decoy.calls == 0
    private.chmod(0o700)
    assert jupyter.ask("GET", f"chroma-nb/k/{idle.id}/api/v2").status_code == 200  # the decoy could have been reached
    decoy.close()


@root
def test_whose_its_socket_is(jupyter: Jupyter, idle: Kernel, refused: Refused, private: Path) -> None:
    decoy = Decoy(private)
    write_record(jupyter.runtime, content_of_record(idle.id, **UNIX, socket=decoy.path))
    for theirs in (Path(decoy.path), private):
        os.chown(theirs, 12_345, -1)
        refused()
        os.chown(theirs, os.getuid(), -1)
    assert decoy.calls == 0
    decoy.close()


@linux
def test_whose_its_process_is(jupyter: Jupyter, idle: Kernel, decoy: Decoy, refused: Refused) -> None:
    with contextlib.ExitStack() as held:
        started = []
        for user in (None, 12_345) if os.getuid() == 0 else (None,):
            started.append(held.enter_context(subprocess.Popen(["sleep", "600"], user=user)))
            held.callback(started[-1].kill)
        # Jupyter itself, the kernel, which listens elsewhere, its parent, others, and one whose number has been given away.
        pids = [jupyter.process.pid, idle.pid, os.getppid(), 1, *(each.pid for each in started)]
        began = born(os.getpid())
        assert began is not None
        cases: list[dict[str, Any]] = [*({"pid": pid} for pid in pids), {"born": began - 1}, {"born": began + 1}]
        for case in cases:
            for address in ({"port": decoy.port}, {**UNIX, "socket": decoy.path}):
                write_record(jupyter.runtime, content_of_record(idle.id, **address, **case))
                refused()
        assert decoy.calls == 0
    write_record(jupyter.runtime, content_of_record(idle.id, port=decoy.port, born=began))
    assert jupyter.ask("GET", f"chroma-nb/k/{idle.id}/api/v2").status_code == 200


@linux
def test_whose_its_port_is(jupyter: Jupyter, idle: Kernel, refused: Refused) -> None:
    itself = int(jupyter.url.split(":")[2].partition("/")[0])
    for pid in (os.getpid(), jupyter.process.pid, idle.pid):
        write_record(jupyter.runtime, content_of_record(idle.id, port=itself, pid=pid))
        refused()


@linux
def test_a_port_that_changes_hands_is_not_connected_to(jupyter: Jupyter, idle: Kernel, tmp_path: Path) -> None:
    decoy = Decoy(tmp_path)
    path = write_record(jupyter.runtime, content_of_record(idle.id, port=decoy.port))
    assert jupyter.ask("GET", f"chroma-nb/k/{idle.id}/api/v2").status_code == 200
    decoy.close()
    listen = (
        f"import socket; s = socket.create_server(('127.0.0.1', {decoy.port})); print(flush=True); s.accept(); print('called', flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", listen], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert jupyter.ask("GET", f"chroma-nb/k/{idle.id}/api/v2").status_code == 502
        other.kill()
        assert other.stdout.read() == b""
    path.unlink()


def test_very_many_are_looked_at_a_few_at_a_time(jupyter: Jupyter) -> None:
    folder = jupyter.runtime / "chroma_nb"
    content = json.dumps(content_of_record("x", pid=DEAD))
    for number in range(500):
        made = folder / f"kernel-a-a-a-{number}-many.json"
        made.touch(0o600)
        made.write_text(content)
    left = [500]
    while left[-1]:
        assert jupyter.ask("GET", "chroma-nb/servers").status_code == 200
        left.append(len([*folder.glob("*-many.json")]))
        assert 0 < left[-2] - left[-1] <= 100


def test_strange_names_stay_what_they_are(jupyter: Jupyter) -> None:
    folder = jupyter.runtime / "chroma_nb"
    names = [
        "kernel-..%2F..%2Fx.json",
        "kernel-<b>.json",
        "kernel-a\nb.json",
        "server-1x.json",
        "kernel-\x1b[2J.json",
        "kernel-.json",
        "server-.json",
    ]
    names += [
        "kernel-a-a-a-a-é.json",
        "KERNEL-a-a-a-a-a.json",
        "kernel-a-a-a-a-a.json.bak",
        "-rf",
        "kernel-a-a-a-a-a.json\n",
        "server-" + "1" * 11 + ".json",
    ]
    for name in names:
        made = folder / name
        made.touch(0o600)
        made.write_text(json.dumps(content_of_record("a-a-a-a-a", pid=DEAD)))
    assert jupyter.ask("GET", "chroma-nb/servers").status_code == 200
    assert jupyter.ask("GET", "chroma-nb/ui").status_code == 200
    for name in names:
        (folder / name).unlink()


def test_clearing_up_removes_nothing_but_what_a_kernel_left(jupyter: Jupyter, private: Path) -> None:
    def bound(folder: Path, mode: int = 0o700) -> str:
        folder.mkdir(0o700)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(folder / "s"))
        folder.chmod(mode)
        return str(folder / "s")

    left = bound(private / "cnb-left")
    shared, full = bound(private / "cnb-shared", 0o755), bound(private / "cnb-full")
    (private / "cnb-full" / "more").touch()
    other = bound(private / "other")
    (private / "cnb-link").symlink_to(private / "other")
    (private / "cnb-file").mkdir(0o700)
    (private / "cnb-file" / "s").touch()
    (private / "cnb-away").mkdir(0o700)
    (private / "cnb-away" / "s").symlink_to(other)
    (private / "cnb-live").mkdir(0o700)
    live = socket.socket(socket.AF_UNIX)
    live.bind(str(private / "cnb-live" / "s"))
    live.listen()
    named = [left, shared, full, other, *(f"{private}/{name}/s" for name in ("cnb-link", "cnb-file", "cnb-away", "cnb-live"))]
    named += [f"{private}/cnb-x/../other/s", f"{private}/other/./s", "/etc/passwd", "\0", "/\ud800", ""]
    for number, each in enumerate(named):
        write_record(jupyter.runtime, content_of_record(f"a-a-a-{number}-left", pid=DEAD, **UNIX, socket=each))
    assert jupyter.ask("GET", "chroma-nb/servers").status_code == 200
    assert not [*(jupyter.runtime / "chroma_nb").glob("*-left.json")]
    assert not Path(left).parent.exists()
    assert not Path(full).exists()  # its folder is not empty, and stays
    assert (private / "cnb-full" / "more").exists()
    kept = [
        shared,
        other,
        *(f"{private}/{name}/s" for name in ("cnb-link", "cnb-file", "cnb-away", *(["cnb-live"] if sys.platform == "linux" else []))),
    ]
    assert [os.path.lexists(each) for each in kept] == [True] * len(kept)
    live.close()


def test_clearing_up_follows_no_link_to_another_folder(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    record = write_record(aside.parent, content_of_record("a-a-a-a-a", pid=DEAD))
    record.parent.rename(aside)
    (tmp_path / "chroma_nb").symlink_to(aside)
    Records(tmp_path).forget_dead([])
    assert (aside / record.name).exists()
    (tmp_path / "chroma_nb").unlink()
    aside.rename(tmp_path / "chroma_nb")
    Records(tmp_path).forget_dead([])
    assert not record.exists()


def test_a_server_announces_itself_nowhere_else(tmp_path: Path) -> None:
    aside, runtime = tmp_path / "aside", tmp_path / "runtime"
    aside.mkdir(0o755)
    runtime.mkdir(0o700)
    folder = runtime / "chroma_nb"
    kinds: list[Callable[[], object]] = [lambda: folder.symlink_to(aside), lambda: os.mkfifo(folder), lambda: folder.write_text("")]
    if os.getuid() == 0:
        kinds.append(lambda: (folder.mkdir(), os.chown(folder, 12_345, -1)))
    for make in kinds:
        make()
        records = Records(runtime)
        with pytest.raises(OSError, match=r"."):
            records.announce("http://127.0.0.1:1/", "/", "1")
        records.withdraw()
        assert [*aside.iterdir()] == []
        assert aside.stat().st_mode & 0o777 == 0o755
        folder.rmdir() if folder.is_dir() and not folder.is_symlink() else folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    (folder / f"server-{os.getpid()}.json").symlink_to(aside / "target")
    records = Records(runtime)
    records.announce("http://127.0.0.1:1/", "/", "1")
    assert folder.stat().st_mode & 0o777 == 0o700
    (written,) = folder.iterdir()
    assert (written.is_symlink(), written.stat().st_mode & 0o777) == (False, 0o600)
    assert [*aside.iterdir()] == []
    records.withdraw()
    assert [*folder.iterdir()] == []


def test_what_it_says_is_text_on_the_page(jupyter: Jupyter, idle: Kernel, decoy: Decoy) -> None:
    hostile = "<script>alert(1)</script>\u202e\x1b[2J{{ 7*7 }}\ud800"
    path = write_record(jupyter.runtime, content_of_record(idle.id, port=decoy.port, place=hostile, machine=platform.node()))
    shown = jupyter.ask("GET", "chroma-nb/ui").raise_for_status().text
    assert "<script>alert" not in shown
    assert html.escape("<script>alert(1)</script>") in shown
    assert not {"\u202e", "\x1b"} & set(shown)
    assert r"\ud800" in shown
    assert jupyter.ask("GET", "chroma-nb/servers").raise_for_status().json()[0]["place"] == hostile
    path.unlink()
