"""The command ``chroma-nb``: a server without a notebook, and what a store holds.

Must not live here: what the server does (`chroma_nb.http`) and what the store does (`chroma_nb.engine`). A command that cannot do
what it was asked for says so in one line on stderr and ends with status 2.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from chroma_nb import ops
from chroma_nb._version import __version__
from chroma_nb.errors import ChromaError, InvalidArgumentError

if TYPE_CHECKING:
    from chroma_nb.engine.engine import Engine

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
_FINISH = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the process's exit status: 0 for done, 1 for a server that ended by itself, 2 for what cannot be done.

    Examples
    --------
    >>> main(["info", "/no/such/folder"])
    2
    """
    asked = _parser().parse_args(arguments)
    try:
        status: int = asked.command(asked)
    except ChromaError as error:
        print(f"chroma-nb: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201 - a command talks
        return 2
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chroma-nb", description="Serve and inspect collections of embeddings.")
    parser.add_argument("--version", action="version", version=f"chroma-nb {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="serve a store over HTTP",
        description="Serve a store to every client that speaks Chroma's HTTP API. Ctrl-C stops the server.",
        epilog="On 127.0.0.1, the default, every program of this machine may call, as with Chroma's own server; --token-file asks for a"
        " token. On any other host a token is asked for in any case, unless --no-token says otherwise. Traffic is not encrypted.",
    )
    run.add_argument("--path", default="./chroma_nb", help="the store's folder, made if need be (default: %(default)s)")
    run.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all of this machine's (default: %(default)s)")
    run.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: %(default)s)")
    token = run.add_mutually_exclusive_group()
    token.add_argument("--token-file", metavar="FILE", help="file with the token that clients must send; made with a new token if missing")
    token.add_argument("--no-token", action="store_true", help="let everyone in who reaches the port")
    run.add_argument("--allow-reset", action="store_true", help="let clients delete everything by a reset")
    run.add_argument("--read-only", action="store_true", help="refuse every write")
    trust = "use columns and graphs saved in a folder of another user's, instead of making them anew"
    run.add_argument("--trust-caches", action="store_true", default=None, help=trust)
    origin = "web pages that may call, such as http://localhost:5173; may be repeated"
    run.add_argument("--allow-origin", metavar="ORIGIN", action="append", default=[], help=origin)
    name = "another name under which clients reach the server; may be repeated"
    run.add_argument("--host-name", metavar="NAME", action="append", default=[], help=name)
    run.set_defaults(command=_run)

    info = commands.add_parser("info", help="list the collections of a store", description="List the collections of a store.")
    info.add_argument("path", metavar="PATH", help="the store's folder")
    info.set_defaults(command=_info)
    return parser


def _run(asked: argparse.Namespace) -> int:
    from chroma_nb.http.call import Service
    from chroma_nb.http.server import is_loopback, start

    logging.basicConfig(level=logging.WARNING, format="chroma-nb: %(message)s")
    with _signals() as stopped:
        engine = _opened(Path(asked.path), allow_reset=asked.allow_reset, read_only=asked.read_only, trust_caches=asked.trust_caches)
        try:
            file = _token_file(asked, engine, near=is_loopback(asked.host))
            server = start(
                Service(engine.execute, allow_reset=asked.allow_reset, read_only=asked.read_only),
                token=None if file is None else _token(file),
                host=asked.host,
                port=asked.port,
                hosts=tuple(asked.host_name),
                origins=tuple(asked.allow_origin),
            )
            known = "no token asked for" if file is None else f"token in {file}"
            print(f"chroma-nb {__version__} serves {engine.folder} at {server.url} ({known})", flush=True)  # noqa: T201 - as above
            # In slices, because on Windows a wait without an end is not interrupted by a signal.
            while server.running and not stopped.wait(0.5):
                pass
            ended = not server.running
            server.stop(wait=_FINISH)
        finally:
            engine.close()
    if ended:
        print("chroma-nb: the server ended by itself; what was stored is saved", file=sys.stderr)  # noqa: T201 - as above
    return int(ended)


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """Give the event that a request to stop sets; a second one finds the signals as they were, and ends the process at once."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: FrameType | None) -> None:
        restore()
        stopped.set()

    for number in _SIGNALS:
        if before[number] is not signal.SIG_IGN or number in (signal.SIGINT, signal.SIGTERM):  # nohup means SIGHUP
            signal.signal(number, stop)
    try:
        yield stopped
    finally:
        restore()


def _opened(path: Path, *, allow_reset: bool = False, read_only: bool = False, trust_caches: bool | None = None) -> Engine:
    from chroma_nb.engine.database import RECORDS
    from chroma_nb.engine.engine import Engine

    folder = path.expanduser().resolve()
    if read_only and folder.is_dir() and not (folder / RECORDS).exists() and not (folder / "chroma.sqlite3").exists():
        raise InvalidArgumentError(f"{folder}: no store there; give the folder that a client or 'chroma-nb run --path' made")
    if read_only and not folder.exists():
        raise InvalidArgumentError(f"{folder}: no such folder; give the folder that a client or 'chroma-nb run --path' made")
    return Engine(folder, allow_reset=allow_reset, read_only=read_only, trust_caches=trust_caches)


def _token_file(asked: argparse.Namespace, engine: Engine, *, near: bool) -> Path | None:
    if asked.token_file is not None:
        return Path(asked.token_file).expanduser()
    if asked.no_token or near or engine.folder is None:
        return None
    # Not in the store: whoever made that would know the token.
    try:
        tokens = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "chroma_nb"
        tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # a home that is not there, or of nobody
        raise InvalidArgumentError(f"no folder to keep a token in: {error}; give a --token-file") from error
    return tokens / f"{hashlib.sha256(os.fsencode(engine.folder)).hexdigest()[:16]}.token"


def _token(file: Path) -> str:
    """Return the token in `file`; a file that is not there is made, for its owner's eyes only, with a new one."""
    from chroma_nb.http.app import new_token

    try:
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as made:
                made.write(new_token() + "\n")
        token = file.read_text("utf-8").strip()
        if not token:
            raise InvalidArgumentError(f"token file {file}: is empty; write the token into it, or remove it and a new one is made")
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            logging.getLogger("chroma_nb.cli").warning("%s can be read by other users; run: chmod 600 %s", file, file)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not text"
        raise InvalidArgumentError(f"token file {file}: {said}; give another --token-file") from error
    return token


def _info(asked: argparse.Namespace) -> int:
    engine = _opened(Path(asked.path), read_only=True)
    try:
        found = [
            info
            for tenant in engine.execute(ops.ListTenants())
            for database in engine.execute(ops.ListDatabases(tenant))
            for info in engine.execute(ops.ListCollections(tenant, database.name))
        ]
    finally:
        engine.close()
    rows = [("collection", "records", "dimension", "space", "database", "tenant")]
    rows += [
        (info.name, f"{info.count:,}", str(info.dimension or "-"), info.configuration.space, info.database, info.tenant) for info in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) if i in (1, 2) else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        print(_plain("  ".join(cells).rstrip()))  # noqa: T201 - as above
    return 0


def _plain(line: str) -> str:
    """Return a line without what a terminal would take for a command; names of tenants and databases may hold anything."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in line)
