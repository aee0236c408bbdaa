"""Environments of official Chroma clients, each in a folder of its own under ``.venv-clients``: what is in them, and how they are made.

``python environments.py [NAME ...]`` makes those that are missing (all of them without a name). A Python client gets the packages
that talking to a server takes, pinned, and no others: the rest of a ``chromadb`` (a Kubernetes client, servers) is ten times as much.
"""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

FOLDER = Path(__file__).resolve().parents[2] / ".venv-clients"

_HTTP = (
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "certifi==2026.10.18",
    "exceptiongroup==1.3.1 ; python_version < '3.11'",
    "googleapis-common-protos==1.76.0",
    "grpcio==1.85.1",
    "h11==0.16.0",
    "httpcore==1.0.9",
    "httpx==0.28.1",
    "idna==3.20",
    "opentelemetry-api==1.45.2",
    "opentelemetry-exporter-otlp-common==0.66b2",
    "opentelemetry-exporter-otlp-proto-common==1.45.2",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-proto==1.45.2",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-semantic-conventions==0.66b2",
    "orjson==3.13.0",
    "overrides==7.7.0",
    "protobuf==7.36.2",
    "pydantic==2.14.3",
    "pydantic-core==2.50.4",
    "pyyaml==6.0.3",
    "tenacity==9.2.1",
    "typing-extensions==4.16.0",
    "typing-inspection==0.4.5",
)
"""What every Python client imports."""
_TO_1_0 = (
    "backoff==2.2.1",
    "charset-normalizer==3.5.2",
    "distro==1.9.0",
    "posthog==5.4.0",
    "python-dateutil==2.9.0.post0",
    "requests==2.34.2",
    "six==1.17.0",
    "urllib3==2.8.0",
)
"""... those up to 1.0 in addition."""
_FROM_1_0 = (
    "attrs==26.1.0",
    "jsonschema==4.26.0",
    "jsonschema-specifications==2025.9.1",
    "pybase64==1.5.1",
    "pydantic-settings==2.11.0",
    "python-dotenv==1.2.4",
    "referencing==0.37.0",
    "rpds-py==0.27.1",
)
_FULL = ("onnxruntime==1.23.2", "tokenizers==0.23.3", "tqdm==4.70.1")
"""For the default embedding function, which ``chromadb`` makes when it is imported and ``chromadb-client`` does not have."""
_NUMPY = ("numpy==2.2.6 ; python_version < '3.11'", "numpy==2.4.6 ; python_version >= '3.11'")
_NUMPY_1 = ("numpy==1.26.4",)


class UnavailableError(Exception):
    """An environment cannot be made here; the message says why."""


class OtherPythonError(UnavailableError):
    """A client's packages do not exist for this Python."""


@dataclass(frozen=True)
class Environment:
    """One official client.

    Parameters
    ----------
    name
        Its folder.
    packages
        What is installed: for Python all of it, for JavaScript npm adds what the package asks for.
    newest
        The newest Python that its packages exist for; None if any will do.
    usual
        Part of every test run, not only of ``make test-clients``.
    """

    name: str
    packages: tuple[str, ...]
    newest: tuple[int, int] | None = None
    usual: bool = False

    @property
    def is_python(self) -> bool:
        """Whether it is a Python client."""
        return not self.name.startswith("js-")

    @property
    def folder(self) -> Path:
        """Where it is."""
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def make(self) -> None:
        """Install it, unless it is there.

        Raises
        ------
        OtherPythonError
            Its packages do not exist for this Python.
        UnavailableError
            A program or the network is missing.
        """
        FOLDER.mkdir(exist_ok=True)
        made_of = "\n".join((sys.version, *self.packages)) if self.is_python else "\n".join(self.packages)
        ready = self.folder / "ready"
        with FileLock(FOLDER / f"{self.name}.lock"):
            if ready.exists() and ready.read_text(encoding="utf-8") == made_of:
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.is_python:
                self._make_python()
            else:
                self._make_javascript()
            ready.write_text(made_of, encoding="utf-8")

    def _make_python(self) -> None:
        if self.newest and sys.version_info[:2] > self.newest:
            newest = ".".join(map(str, self.newest))
            raise OtherPythonError(f"{self.name} needs packages that end with Python {newest}")
        venv.create(self.folder, symlinks=os.name != "nt")
        scheme = "nt" if os.name == "nt" else "posix_prefix"
        target = sysconfig.get_path("purelib", scheme, vars={"base": str(self.folder)})
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--retries", "1", "--no-deps"]
        _run([*pip, "--only-binary", ":all:", "--target", target, *self.packages])

    def _make_javascript(self) -> None:
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            raise UnavailableError(f"{self.name} needs Node.js and npm")
        self.folder.mkdir()
        (self.folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        # Optional and peer packages are embedding services; the scripts of some want to fetch programs.
        options = ["--ignore-scripts", "--omit=optional", "--omit=peer", "--no-audit", "--no-fund", "--loglevel=error"]
        patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"]
        _run([npm, "install", "--prefix", str(self.folder), *options, *patience, *self.packages])


def _run(command: list[str]) -> None:
    # The project's own constraints and paths are not those of a foreign client.
    environment = {key: value for key, value in os.environ.items() if key not in {"PIP_CONSTRAINT", "PYTHONPATH"}}
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or error.stdout).splitlines() if "warn" not in line.lower()] or ["no message"]
        raise UnavailableError(f"{Path(command[0]).name} could not install: {' '.join(lines[-2:])[:500]}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{Path(command[0]).name} did not finish installing in {error.timeout:.0f} s") from error


ENVIRONMENTS = {
    each.name: each
    for each in (
        Environment("py-0.4.24", ("chromadb==0.4.24", "starlette==0.46.2", *_HTTP, *_TO_1_0, *_FULL, *_NUMPY_1), newest=(3, 12)),
        Environment("py-0.5.5", ("chromadb==0.5.5", *_HTTP, *_TO_1_0, *_FULL, *_NUMPY_1), newest=(3, 12), usual=True),
        Environment("py-0.5.23", ("chromadb==0.5.23", *_HTTP, *_TO_1_0, *_FULL, *_NUMPY)),
        Environment("py-0.6.3", ("chromadb==0.6.3", *_HTTP, *_TO_1_0, *_FULL, *_NUMPY), usual=True),
        Environment("py-1.0.20", ("chromadb==1.0.20", *_HTTP, *_TO_1_0, *_FROM_1_0, *_FULL, *_NUMPY)),
        Environment("py-1.5.9", ("chromadb==1.5.9", *_HTTP, *_FROM_1_0, *_FULL, *_NUMPY)),
        Environment("client-0.5.23", ("chromadb-client==0.5.23", *_HTTP, *_TO_1_0, *_NUMPY_1), newest=(3, 12)),
        Environment("client-1.5.9", ("chromadb-client==1.5.9", *_HTTP, *_FROM_1_0, *_NUMPY), usual=True),
        Environment("js-1.8.1", ("chromadb@1.8.1",)),
        Environment("js-1.9.2", ("chromadb@1.9.2",), usual=True),
        Environment("js-1.10.5", ("chromadb@1.10.5",)),
        Environment("js-2.4.6", ("chromadb@2.4.6",)),
        Environment("js-3.5.0", ("chromadb@3.5.0",), usual=True),
    )
}
"""Environments by name."""


def main(names: list[str]) -> int:
    """Make environments, two at a time, and say how long each took."""

    def timed(name: str) -> str | None:
        start = time.perf_counter()
        try:
            ENVIRONMENTS[name].make()
        except UnavailableError as error:
            return f"{name}: {error}"
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
        return None

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        problems = [problem for problem in threads.map(timed, names or ENVIRONMENTS) if problem]
    print(*problems, sep="\n", file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
