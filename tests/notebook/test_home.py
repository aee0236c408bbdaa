"""Which Jupyter server a kernel finds, and what it believes of the files around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chroma_nb.jupyter import files
from chroma_nb.jupyter.home import Home, Kernel, address, home_of, this_kernel

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links, and a variable that holds a process id")
URL = "http://localhost:8888/user/a%40b/"
PREFIX = "/user/a%40b/"


def private(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(0o600)
    path.write_text(json.dumps(content))
    return path


def announced(runtime: Path, pid: int, /, **changes: Any) -> Path:
    content = {"schema": 1, "pid": pid, "url": URL, "base_url": PREFIX, "version": "0.1.0", **changes}
    return private(runtime / "chroma_nb" / f"server-{pid}.json", content)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return this process's number, as that of the Jupyter server that started the kernel."""
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    return os.getpid()


def found_in(*runtimes: Path) -> Home | None:
    return home_of(Kernel("id", runtimes))


@posix
class TestServerRecord:
    """It is believed when this user alone can have written it, and while its process lives."""

    def test_is_found_in_either_directory(self, here: int, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        announced(tmp_path, here)
        for runtimes in [(tmp_path, other), (other, tmp_path)]:
            found = found_in(*runtimes)
            assert found is not None
            assert (found.pid, found.runtime, found.url) == (here, tmp_path, URL)
        assert found_in(other) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"schema": 2},
            {"pid": 1},
            {"machine": "another.machine"},
            {"url": None},
            {"url": "ftp://localhost/"},
            {"url": "http://user:password@localhost/"},
            {"url": "http://localhost:port/"},
            {"url": "http://localhost/?token=x"},
            {"url": "http://local\nhost/"},
        ],
    )
    def test_that_makes_no_sense(self, here: int, tmp_path: Path, changes: dict[str, Any]) -> None:
        announced(tmp_path, here, **changes)
        assert found_in(tmp_path) is None

    def test_that_others_may_have_written(self, here: int, tmp_path: Path) -> None:
        record = announced(tmp_path, here)
        record.chmod(0o620)
        assert found_in(tmp_path) is None
        record.chmod(0o600)
        assert found_in(tmp_path) is not None
        kept = record.rename(tmp_path / "kept.json")
        record.symlink_to(kept)
        assert found_in(tmp_path) is None
        record.unlink()
        os.mkfifo(record, 0o600)
        assert found_in(tmp_path) is None

    def test_of_a_process_whose_number_was_given_away(self, here: int, tmp_path: Path) -> None:
        began = files.born(here)
        if began is None:
            pytest.skip("nobody tells when a process began")
        announced(tmp_path, here, born=began)
        assert found_in(tmp_path) is not None
        for other in (began - 1, str(began), [began], -1):
            announced(tmp_path, here, born=other)
            assert found_in(tmp_path) is None

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            "{}".encode("utf-16"),
            b"\xef\xbb\xbf{}",
            b'{"a": ' * 10_000,
            b"\xff",
            b"[" * 60_000,
            b'{"a": "' + b"x" * (1 << 16) + b'"}',
        ],
    )
    def test_that_is_none(self, here: int, tmp_path: Path, content: bytes) -> None:
        announced(tmp_path, here).write_bytes(content)
        assert found_in(tmp_path) is None

    def test_of_a_process_that_ended(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        monkeypatch.setenv("JPY_PARENT_PID", str(ended.pid))
        announced(tmp_path, ended.pid)
        assert found_in(tmp_path) is None

    def test_of_a_server_that_did_not_start_the_kernel(self, here: int, tmp_path: Path) -> None:
        # As when a terminal of Jupyter runs something that starts kernels: an ancestor, but not the kernel's server.
        announced(tmp_path, os.getppid())
        assert found_in(tmp_path) is None
        del here

    def test_is_found_among_the_ancestors_when_nothing_is_said(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("JPY_PARENT_PID", raising=False)
        announced(tmp_path, os.getpid())
        code = (
            "import sys; from pathlib import Path; from chroma_nb.jupyter.home import Kernel, home_of\n"
            "print(home_of(Kernel('id', (Path(sys.argv[1]),))).url)"
        )
        between = (
            "import subprocess, sys; print(subprocess.run([sys.executable, '-c', *sys.argv[1:]], capture_output=True, text=True).stdout)"
        )
        asked = [sys.executable, "-c", between, code, str(tmp_path)]
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == URL

    def test_a_server_without_the_extension_is_told_from_none(self, here: int, tmp_path: Path) -> None:
        assert found_in(tmp_path) is None
        private(tmp_path / f"jpserver-{here}.json", {"token": "t"})
        found = found_in(tmp_path)
        assert found is not None
        assert (found.url, found.public_url()) == (None, None)


class TestToken:
    """It is read when it is asked for, and never kept."""

    def test_is_jupyter_s(self, tmp_path: Path) -> None:
        home = Home(Kernel("id", ()), 7, tmp_path, URL, {"JUPYTERHUB_API_TOKEN": "hub"})
        file = private(tmp_path / "jpserver-7.json", {"token": "first"})
        assert home.token() == "first"
        private(file, {"token": "second"})
        assert home.token() == "second"
        assert "second" not in repr(home)

    @pytest.mark.parametrize("content", [{"token": ""}, {"token": None}, {}])
    def test_is_the_hub_s_where_jupyter_has_none(self, tmp_path: Path, content: dict[str, Any]) -> None:
        private(tmp_path / "jpserver-7.json", content)
        assert Home(Kernel("id", ()), 7, tmp_path, URL, {"JUPYTERHUB_API_TOKEN": "hub"}).token() == "hub"
        assert Home(Kernel("id", ()), 7, tmp_path, URL, {}).token() is None


HUB = {"JUPYTERHUB_SERVICE_PREFIX": PREFIX}


class TestPublicUrl:
    """What other machines call the server: known behind a Hub that tells, unknown elsewhere."""

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ({}, None),
            (HUB, None),
            ({**HUB, "JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/a%40b/"}, "https://hub.example/user/a%40b/"),
            ({**HUB, "JUPYTERHUB_PUBLIC_URL": "https://hub.example:8443/user/a%40b"}, "https://hub.example:8443/user/a%40b/"),
            ({**HUB, "JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example/hub/"}, "https://hub.example/user/a%40b/"),
            ({**HUB, "JUPYTERHUB_PUBLIC_URL": "", "JUPYTERHUB_PUBLIC_HUB_URL": "http://hub/hub/"}, "http://hub/user/a%40b/"),
            # A user's server on a domain of its own.
            (
                {
                    **HUB,
                    "JUPYTERHUB_PUBLIC_URL": "https://a.hub.example/user/a%40b/",
                    "JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example/hub/",
                },
                "https://a.hub.example/user/a%40b/",
            ),
            ({**HUB, "JUPYTERHUB_SERVICE_PREFIX": "/user/a@b/", "JUPYTERHUB_PUBLIC_URL": "https://h/user/a@b/"}, "https://h/user/a@b/"),
            # Another Jupyter server that was started within the Hub's.
            ({"JUPYTERHUB_SERVICE_PREFIX": "/user/other/", "JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/other/"}, None),
            ({**HUB, "JUPYTERHUB_PUBLIC_URL": "no address"}, None),
            ({"JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/a%40b/"}, None),
        ],
    )
    def test_behind(self, tmp_path: Path, environment: dict[str, str], expected: str | None) -> None:
        assert Home(Kernel("id", ()), 7, tmp_path, URL, environment).public_url() == expected

    def test_ends_in_a_slash_and_is_of_the_web(self) -> None:
        assert address("http://[::1]:8888/pre") == "http://[::1]:8888/pre/"
        assert [address(text) for text in ("", "/pre/", "http:///x", "file:///etc", "http://h/#a", 5, None)] == [None] * 7


def test_a_process_that_is_no_kernel_is_none() -> None:
    assert this_kernel() is None


@posix
class TestFiles:
    """Files that one process writes and another believes."""

    def test_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        folder = files.private_folder(tmp_path)
        assert files.private_folder(tmp_path) == folder
        files.write(folder / "a.json", {"text": "ü"})
        files.write(folder / "a.json", {"text": "ü", "more": [1]})
        assert files.read(folder / "a.json") == {"text": "ü", "more": [1]}
        assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [("a.json", 0o600)]

    def test_leave_nothing_behind_when_they_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "taken").mkdir()
        with pytest.raises(OSError, match="directory"):
            files.write(tmp_path / "taken", {})
        assert [path.name for path in tmp_path.iterdir()] == ["taken"]

    def test_a_folder_that_is_something_else_is_refused_and_left_as_it_is(self, tmp_path: Path) -> None:
        aside, folder = tmp_path / "aside", tmp_path / files.FOLDER
        aside.mkdir(0o755)
        for make in (lambda: folder.symlink_to(aside), lambda: folder.symlink_to("nowhere"), lambda: os.mkfifo(folder), folder.touch):
            make()
            with pytest.raises(OSError, match=files.FOLDER):
                files.private_folder(tmp_path)
            folder.unlink()
        assert (aside.stat().st_mode & 0o777, [*aside.iterdir()]) == (0o755, [])

    def test_what_was_there_before_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        kept, path = tmp_path / "kept", files.private_folder(tmp_path) / "a.json"
        kept.write_text("kept")
        for make in (lambda: path.symlink_to(kept), lambda: path.hardlink_to(kept), lambda: os.mkfifo(path), lambda: path.symlink_to(path)):
            make()
            assert files.read(path) is None
            files.write(path, {"a": 1})
            assert (files.read(path), path.is_symlink(), kept.read_text()) == ({"a": 1}, False, "kept")
            path.unlink()

    def test_a_folder_is_closed_to_others(self, tmp_path: Path) -> None:
        (tmp_path / files.FOLDER).mkdir()
        (tmp_path / files.FOLDER).chmod(0o777)
        assert files.private_folder(tmp_path).stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("pid", [0, -1, True, None, "1", 2**40])
    def test_what_is_no_process(self, pid: object) -> None:
        assert not files.is_alive(pid)

    def test_what_is_one(self) -> None:
        assert files.is_alive(os.getpid())
        assert files.is_alive(1)  # another user's, mostly
