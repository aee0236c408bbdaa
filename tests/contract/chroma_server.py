"""Chroma's own server in a process of its own, for the tests that ask how our client gets on with it."""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Self

from chroma_nb.errors import ChromaError
from chroma_nb.http.backend import HttpBackend
from chroma_nb.ops import Heartbeat

_PATIENCE = 60.0


@dataclass
class ChromaServer:
    """A running server over a folder of its own; ends with the process that started it."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @classmethod
    def started(cls, python: str) -> Self:
        """Start the ``chroma`` that stands beside the interpreter `python`."""
        folder = Path(tempfile.mkdtemp(prefix="chroma-server"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        lines = (f"port: {port}", "listen_address: 127.0.0.1", f"persist_path: {folder / 'store'}", "allow_reset: true")
        (folder / "config.yaml").write_text("\n".join(lines))
        command = [Path(python).with_name("chroma"), "run", folder / "config.yaml"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        made = cls(f"http://127.0.0.1:{port}", process, folder)
        atexit.register(made.stop)
        made._await()
        return made

    def _await(self) -> None:
        backend = HttpBackend(self.url)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                backend.execute(Heartbeat())
            except ChromaError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                backend.close()
                return

    def stop(self) -> None:
        """End the server and remove its folder."""
        self.process.terminate()
        self.process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)
