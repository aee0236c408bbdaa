"""Does in a clean environment what this folder tells Binder to do, then what a visitor does, and reports time and memory.

Run as ``make binder``. conda is not needed: Python is the one that runs this, and PyTorch is pip's of ``.ci/constraints.txt``; both are
said. Everything happens in a temporary copy of what git has.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_MEMORY = 2 << 30
"""Bytes that a visitor's session may use; Binder ends what uses more."""
_WAIT = 120


class Peak:
    """The most memory that a process and its descendants used at one time, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self.bytes = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Return the peak in bytes."""
        self._ended.set()
        self._thread.join()
        return self.bytes

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.bytes = max(self.bytes, sum(map(_resident, _family(self._pid))))


def _family(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _resident(pid: int) -> int:
    try:
        # Shared pages count once for each process that shares them, divided by their number.
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _copied(folder: Path) -> Path:
    copy = folder / "repository"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return copy


def _environment(folder: Path) -> dict[str, str]:
    """Make what ``environment.yml`` asks for, as near as this machine can; return the variables that make it the one in use."""
    wanted = re.findall(r"^  - (\S+)$", (ROOT / "binder" / "environment.yml").read_text("utf-8"), re.MULTILINE)[1:]
    torch = re.search(r"^torch==\S+", (ROOT / ".ci" / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert torch is not None, "no torch in .ci/constraints.txt"
    here = f"Python {sys.version_info[0]}.{sys.version_info[1]} and {torch[0]} from pip"
    print(f"environment.yml wants {', '.join(wanted)}; here it is {here}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    path = os.pathsep.join([str(folder / "environment" / "bin"), os.environ["PATH"]])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "PIP_CONSTRAINT", "PYTHON"))}
    home = folder / "home"
    home.mkdir()
    variables = {**inherited, "PATH": path, "HOME": str(home), "VIRTUAL_ENV": str(folder / "environment")}
    subprocess.run(["python", "-m", "pip", "install", "--quiet", torch[0]], check=True, env=variables)
    return variables


def _opened(copy: Path, variables: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """Start JupyterLab as Binder does; return it and where it sends a visitor."""
    token = secrets.token_hex(16)
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}"]
    process = subprocess.Popen(["jupyter", "lab", *options], cwd=copy, env=variables, stderr=subprocess.DEVNULL)
    runtime = Path(variables["HOME"]) / ".local" / "share" / "jupyter" / "runtime"
    for _ in range(_WAIT):
        for record in runtime.glob("jpserver-*.json"):
            url = json.loads(record.read_text())["url"]
            with urllib.request.urlopen(f"{url}?token={token}") as reply:
                return process, str(reply.url).partition("?")[0].removeprefix(url)
        time.sleep(1)
    process.terminate()
    raise SystemExit("JupyterLab did not start")


def main() -> None:
    """Check, and end with an error where a visitor would."""
    with tempfile.TemporaryDirectory(prefix="chroma_nb-binder-") as name:
        folder = Path(name)
        copy = _copied(folder)
        variables = _environment(folder)
        started = time.monotonic()
        subprocess.run(["bash", "binder/postBuild"], cwd=copy, env=variables, check=True, stdout=subprocess.DEVNULL)
        print(f"postBuild: {time.monotonic() - started:.0f} s", flush=True)
        server, landing = _opened(copy, variables)
        print(f"opens at {landing}", flush=True)
        peak = Peak(os.getpid())
        started = time.monotonic()
        command = ["python", "notebooks/run.py", "notebooks/01_explorer.ipynb", "--into", "build"]
        subprocess.run(command, cwd=copy, env=variables, check=True, stdout=subprocess.DEVNULL)
        seconds, most = time.monotonic() - started, peak.stop()
        server.terminate()
        server.wait()
        print(f"the notebook runs in {seconds:.0f} s; with JupyterLab it uses at most {most / 1e9:.2f} GB", flush=True)
        if "01_explorer" not in landing:
            raise SystemExit("a visitor does not land in the explorer")
        if most > MOST_MEMORY:
            raise SystemExit(f"more than the {MOST_MEMORY / 1e9:.2f} GB that a visitor has")


if __name__ == "__main__":
    main()
