"""Files in Jupyter's runtime directory that one process writes and another believes: private, small, and never half.

A reader believes a file that nobody but this user can have written. Called by `chroma_nb.jupyter.home` and `chroma_nb.jupyter.record`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chroma_nb.optional import need

FOLDER: Final = "chroma_nb"
"""The folder of such files below Jupyter's runtime directory."""
_LARGEST = 1 << 16
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a link leads elsewhere, a pipe would never end


def read(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None when there is none, or when another user could have written it."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None  # merely to open a pipe or a device can have effects
        descriptor = os.open(path, os.O_RDONLY | _CAREFUL)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or not _is_private(state):
            return None
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        return None
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as JSON, for its owner's eyes only; a reader finds the old file or the new one.

    Raises
    ------
    OSError
        It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def private_folder(runtime: Path) -> Path:
    """Return the folder of such files, made if need be and closed to other users.

    Raises
    ------
    OSError
        It cannot be made, or is not this user's.
    """
    folder = runtime / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or not _is_mine(state):
        raise PermissionError(f"{folder} is not a folder of this user")
    if not _is_private(state):
        # By its descriptor: a link may have taken its place since.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    return folder


def is_alive(pid: object) -> bool:
    """Tell whether a process with this number runs on this machine."""
    if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
        return False
    if os.name == "nt":  # where signal 0 would end the process; every ipykernel brings psutil along
        return bool(need("psutil", "finding kernels that ended").pid_exists(pid))
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def born(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None where nobody tells.

    With its number it names a process for good: numbers are given away again, in a container the same ones at each start.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _is_mine(state: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or state.st_uid == os.getuid()


def _is_private(state: os.stat_result) -> bool:
    # Windows keeps what others may do in lists that the mode does not show; a user's runtime directory is closed to others there.
    return _is_mine(state) and (os.name == "nt" or not state.st_mode & 0o077)
